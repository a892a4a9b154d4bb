//! Cancellation: it runs to the end of what is paid for.

use super::*;

const PLANS: &str = "plans.pro = { allowance = 500 }
    plans.lite = { allowance = 100 }
    plans.yearly = { allowance = 500, billing = \"year\", refresh = \"month\" }";

fn subscribed(plan: &str) -> (Books, SubscriptionId) {
    let mut books = Books::with_program(jan(1), PLANS);
    let id = books.subscribe(plan);
    books.now = jan(10);
    (books, id)
}

#[test]
fn what_is_cancelled_ends_with_its_billing_cycle() {
    let (mut books, id) = subscribed("pro");
    let cancelled = books.change(cancelling(id, true));
    assert_eq!((cancelled.amount, cancelled.available_after), (0, 500));
    let seen = cancelled.detail.subscription.as_deref().expect("the subscription");
    assert_eq!((seen.status, seen.ends_at), (Status::Cancelled, Some(jan(32))));
    books.now = jan(32) - TICK;
    assert_eq!(books.balance().available, 500);
    books.now = on("2027-06-01");
    let before = books.posted.len();
    books.run_due();
    assert_eq!(
        books.since(before),
        [(Kind::Expiry, 500, jan(32)), (Kind::Subscription, 0, jan(32))]
    );
    let subscription = books.subscription(id);
    assert_eq!(
        (subscription.status(books.now), subscription.ended_at),
        (Status::Ended, Some(jan(32)))
    );
    assert_eq!(books.due_at, None);
}

#[test]
fn a_paid_year_is_granted_to_its_end() {
    let (mut books, id) = subscribed("yearly");
    books.change(cancelling(id, true));
    assert_eq!(books.subscription(id).ends_at, Some(on("2028-01-01")));
    books.now = on("2028-02-01");
    books.run_due();
    let renewals = books.posted.iter().filter(|t| t.kind == Kind::Renewal).count();
    assert_eq!((renewals, books.balance().available), (11, 0));
}

#[test]
fn a_cancellation_can_be_taken_back_until_it_ends() {
    let (mut books, id) = subscribed("pro");
    books.change(cancelling(id, true));
    books.now = jan(32) - TICK;
    let back = books.change(cancelling(id, false));
    assert_eq!((back.amount, books.subscription(id).ends_at), (0, None));
    assert_eq!(books.subscription(id).status(books.now), Status::Active);
    books.now = jan(32);
    assert_eq!(books.balance().available, 500);
}

#[test]
fn what_is_cancelled_is_not_cancelled_again_nor_changed() {
    let (mut books, id) = subscribed("pro");
    books.change(cancelling(id, true));
    let already = Rejection::SubscriptionAlreadyCancelled {
        subscription_id: id,
        ends_at: jan(32),
    };
    for change in [cancelling(id, true), to_plan(id, "lite"), to_units(id, 0)] {
        assert_eq!(books.try_change(change), Err(already.clone()));
    }
    // Taken back and changed in one.
    let change = ChangeSubscription {
        cancel: Some(false),
        ..to_plan(id, "lite")
    };
    books.change(change);
    books.now = jan(32);
    assert_eq!(books.balance().available, 100);
}

#[test]
fn what_has_ended_stays_ended() {
    let (mut books, id) = subscribed("pro");
    books.change(cancelling(id, true));
    books.now = jan(32);
    let ended = Rejection::SubscriptionEnded {
        subscription_id: id,
        ended_at: jan(32),
    };
    let already = Rejection::SubscriptionAlreadyCancelled {
        subscription_id: id,
        ends_at: jan(32),
    };
    for is_posted in [false, true] {
        if is_posted {
            books.run_due();
        }
        assert_eq!(books.try_change(cancelling(id, false)), Err(ended.clone()));
        assert_eq!(books.try_change(to_plan(id, "lite")), Err(ended.clone()));
        assert_eq!(books.try_change(cancelling(id, true)), Err(already.clone()));
    }
}

#[test]
fn who_subscribes_again_begins_anew_that_day() {
    let (mut books, id) = subscribed("pro");
    books.change(cancelling(id, true));
    books.now = jan(20);
    // Before the old one ends, they add up.
    let again = books.subscribe("pro");
    assert_eq!(books.balance().available, 1000);
    books.now = jan(32);
    assert_eq!(books.balance().available, 500);
    books.run_due();
    books.now = on("2027-02-20");
    books.run_due();
    assert_eq!((books.allowances(id).len(), books.allowances(again).len()), (1, 2));
}

#[test]
fn one_that_has_not_begun_ends_at_once() {
    let mut books = Books::with_program(jan(1), PLANS);
    let (_, id) = books.subscribe_as(Subscribe {
        anchor: Some(jan(20)),
        ..subscribing("pro")
    });
    books.now = jan(5);
    let cancelled = books.change(cancelling(id, true));
    let seen = cancelled.detail.subscription.as_deref().expect("the subscription");
    assert_eq!((seen.status, seen.ends_at), (Status::Ended, Some(jan(5))));
    assert_eq!(books.subscription(id).ended_at, Some(jan(5)));
    books.now = jan(25);
    let before = books.posted.len();
    books.run_due();
    assert_eq!((books.posted.len(), books.balance().available), (before, 0));
    assert!(matches!(
        books.try_change(cancelling(id, false)),
        Err(Rejection::SubscriptionEnded { .. })
    ));
}

#[test]
fn a_cancellation_comes_before_a_pending_downgrade_which_a_resumption_finds_again() {
    let (mut books, id) = subscribed("pro");
    books.change(to_plan(id, "lite"));
    books.change(cancelling(id, true));
    books.change(cancelling(id, false));
    let pending = books.subscription(id).pending.as_ref().map(|terms| terms.plan.as_str());
    assert_eq!(pending, Some("lite"));
    books.change(cancelling(id, true));
    books.now = jan(32);
    books.run_due();
    assert_eq!(
        (books.balance().available, books.subscription(id).plan.as_str()),
        (0, "pro")
    );
}

#[test]
fn the_account_cycle_goes_over_to_the_subscription_that_is_left() {
    let (mut books, id) = subscribed("pro");
    books.subscribe("lite");
    let starts = |books: &Books| books.usage_now().cycle.map(|cycle| cycle.starts_at);
    books.spend(30);
    assert_eq!(
        (starts(&books), books.used()),
        (Some(jan(1)), 30),
        "the one that began first"
    );
    books.change(cancelling(id, true));
    books.now = jan(32);
    assert_eq!(starts(&books), Some(jan(10)));
    books.now = jan(41);
    assert_eq!(starts(&books), Some(jan(41)));
}
