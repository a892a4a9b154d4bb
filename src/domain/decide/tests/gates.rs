//! Gates: what is frozen is shown, kept, and spendable when the gate opens.

use super::*;
use crate::domain::subscription::Standing;

/// A balance that only those who pay can spend.
const GATED: &str = "gates.spend.balance = \"paid_subscription\"
    plans.pro = { rank = 1 }
    plans.free = { paid = false }";

fn gated(now: DateTime<Utc>) -> Books {
    Books::with_program(now, GATED)
}

fn closed(needed: i64, available: i64, frozen: i64) -> Rejection {
    Rejection::GateClosed {
        needed,
        available,
        frozen,
        requires: "paid_subscription",
    }
}

/// What is available and what is frozen.
fn seen(books: &Books) -> (i64, i64) {
    let balance = books.balance();
    (balance.available, balance.frozen)
}

#[test]
fn what_is_frozen_is_not_expired() {
    let mut books = gated(jan(1));
    let balance = books.grant(credits(Class::Balance, 100));
    assert_eq!(seen(&books), (0, 100));
    assert_eq!(books.try_spend(spending(10)), Err(closed(10, 0, 100)));
    books.now = jan(3_000);
    books.run_due();
    assert_eq!((seen(&books), books.remaining(balance)), ((0, 100), 100));
    let (begun, _) = books.subscribe_as(subscribing("pro"));
    assert_eq!(begun.available_after, 100, "the gate is open");
    assert_eq!(pairs(books.spend(10).drawn()), [(balance, 10)]);
}

#[test]
fn a_closed_gate_and_too_few_credits_are_told_apart() {
    let mut books = gated(jan(1));
    books.grant(credits(Class::Plan, 30));
    books.grant(credits(Class::Balance, 100));
    for (needed, refused) in [
        (31, closed(31, 30, 100)),
        (130, closed(130, 30, 100)),
        (131, insufficient(131, 30)),
    ] {
        assert_eq!(books.try_spend(spending(needed)), Err(refused));
    }
    books.spend(30);
    assert_eq!(books.post(Action::PlaceHold(holding(100))), Err(closed(100, 0, 100)));
}

#[test]
fn a_gate_opens_when_the_subscription_starts_and_closes_when_it_ends() {
    let mut books = gated(jan(1));
    books.grant(credits(Class::Balance, 100));
    let (begun, pro) = books.subscribe_as(Subscribe {
        anchor: Some(jan(10)),
        ..subscribing("pro")
    });
    assert_eq!(begun.available_after, 0);
    for (now, expected) in [(jan(10) - TICK, (0, 100)), (jan(10), (100, 0)), (jan(41), (100, 0))] {
        books.now = now;
        assert_eq!(seen(&books), expected, "{now}");
    }
    let cancelled = books.change(cancelling(pro, true));
    assert_eq!(cancelled.available_after, 100, "it is paid for until then");
    let end = on("2027-03-10");
    for (now, expected) in [(end - TICK, (100, 0)), (end, (0, 100))] {
        books.now = now;
        assert_eq!(seen(&books), expected, "{now}");
    }
    assert_eq!(books.try_spend(spending(1)), Err(closed(1, 0, 100)));
    books.run_due();
    assert_eq!(books.posted.last().expect("its end").available_after, 0);
    books.subscribe("pro");
    assert_eq!(books.spend(100).available_after, 0);
}

#[test]
fn a_gate_asks_for_a_subscription_or_for_a_paid_one() {
    for (requires, plan, is_open) in [
        ("none", None, true),
        ("subscription", None, false),
        ("subscription", Some("free"), true),
        ("subscription", Some("pro"), true),
        ("paid_subscription", None, false),
        ("paid_subscription", Some("free"), false),
        ("paid_subscription", Some("pro"), true),
    ] {
        let program = GATED.replace("= \"paid_subscription\"", &format!("= {requires:?}"));
        let mut books = Books::with_program(jan(1), &program);
        books.grant(credits(Class::Balance, 10));
        if let Some(plan) = plan {
            books.subscribe(plan);
        }
        let expected = if is_open { (10, 0) } else { (0, 10) };
        assert_eq!(seen(&books), expected, "{requires} {plan:?}");
    }
}

#[test]
fn an_upgrade_opens_it_now_and_a_downgrade_closes_it_with_the_billing_cycle() {
    let mut books = gated(jan(1));
    books.grant(credits(Class::Balance, 100));
    let subscription = books.subscribe("free");
    books.now = jan(5);
    assert_eq!(books.change(to_plan(subscription, "pro")).available_after, 100);
    books.now = jan(6);
    assert_eq!(books.change(to_plan(subscription, "free")).available_after, 100);
    for (now, expected) in [(jan(32) - TICK, (100, 0)), (jan(32), (0, 100))] {
        books.now = now;
        assert_eq!(seen(&books), expected, "{now}");
    }
    // What it was stays known.
    books.run_due();
    for (then, paid) in [
        (jan(4), false),
        (jan(5), true),
        (jan(32) - TICK, true),
        (jan(32), false),
    ] {
        let standing = Standing::at(&books.subscriptions, then);
        assert_eq!((standing.subscribed, standing.paid), (true, paid), "{then}");
    }
}

#[test]
fn a_hold_goes_through_a_gate_that_closes_and_what_comes_back_is_frozen() {
    for captures in [true, false] {
        let mut books = gated(jan(1));
        books.grant(credits(Class::Balance, 100));
        let pro = books.subscribe("pro");
        books.change(cancelling(pro, true));
        books.now = jan(31);
        let hold = books.hold_until(40, jan(34));
        books.now = jan(33);
        if captures {
            assert_eq!(books.capture_over(&hold, 41), Err(closed(1, 0, 60)));
            let spend = books.capture(&hold, Some(30)).expect("it is captured");
            assert_eq!((spend.amount, spend.available_after), (30, 0));
            assert_eq!(seen(&books), (0, 70));
        } else {
            assert_eq!(books.void(&hold).expect("it is voided").available_after, 0);
            assert_eq!(seen(&books), (0, 100));
        }
    }
}

#[test]
fn what_is_frozen_ends_at_its_own_end() {
    let mut books = gated(jan(1));
    books.grant(ending(Class::Balance, 100, jan(10)));
    let before = books.posted.len();
    books.now = jan(10);
    books.run_due();
    assert_eq!(books.since(before), [(Kind::Expiry, 100, jan(10))]);
    assert_eq!(seen(&books), (0, 0));
}

#[test]
fn only_what_would_pay_is_frozen() {
    let program = format!("{GATED}\noperations.chat = {{ prices = [{{ fixed = 5 }}], paid_by = [\"plan\"] }}");
    let mut books = Books::with_program(jan(1), &program);
    books.grant(GrantCredits {
        applies_to: Some(vec!["image".to_owned()]),
        ..credits(Class::Balance, 100)
    });
    assert_eq!(books.try_spend(spending(10)), Err(insufficient(10, 0)));
    assert_eq!(books.try_spend(spending_on(Some("image"), 10)), Err(closed(10, 0, 100)));
    books.grant(credits(Class::Balance, 100));
    assert_eq!(
        books.try_spend(spending_on(Some("chat"), 10)),
        Err(insufficient(10, 0)),
        "a plan pays for it or nothing"
    );
}

#[test]
fn a_refund_goes_back_behind_the_gate() {
    let mut books = gated(jan(1));
    let balance = books.grant(credits(Class::Balance, 100));
    let pro = books.subscribe("pro");
    let spend = books.spend(60);
    books.change(cancelling(pro, true));
    books.now = jan(40);
    let refund = books.refund(&spend, 60);
    assert_eq!(
        (pairs(refund.returned()), refund.available_after),
        (vec![(balance, 60)], 0)
    );
    assert_eq!(seen(&books), (0, 100));
}

#[test]
fn a_partial_spend_takes_what_is_open_and_says_when_all_is_frozen() {
    let mut books = gated(jan(1));
    books.grant(credits(Class::Plan, 30));
    books.grant(credits(Class::Balance, 100));
    assert_eq!(books.try_spend(partial(50)).expect("30 are open").amount, 30);
    assert_eq!(books.try_spend(partial(50)), Err(closed(50, 0, 100)));
    // It would take the 100 if the gate were open.
    assert_eq!(books.try_spend(partial(150)), Err(closed(150, 0, 100)));
}
