//! The windows of caps: where they begin and end, and to which one credits go back.

use super::*;
use crate::domain::{
    cap::CapOverride,
    program::{CapScope, OverWholeCap},
};

const DAILY: &str = "caps = [{ window = \"day\", limit = 75 }]";

fn rich(now: DateTime<Utc>, program: &str) -> Books {
    let mut books = Books::with_program(now, program);
    books.grant(credits(Class::Balance, 10_000));
    books
}

fn daily(limit: Option<i64>) -> CapOverride {
    CapOverride {
        window: Window::Day,
        limit: limit.map(amount),
        per: CapScope::Account,
        operations: None,
        over_whole_cap: Some(OverWholeCap::Reject),
        until: None,
    }
}

/// What can be spent today.
fn headroom(books: &Books) -> i64 {
    let state = books.caught_up();
    let standings = state.caps(books.programs.at(books.now).0, books.now).standings(None);
    standings[0].headroom()
}

#[test]
fn a_window_ends_by_the_wall_clock_of_the_programs_time_zone() {
    for (window, zone, now, end) in [
        ("day", "UTC", "2027-01-15T10:00:00Z", "2027-01-16T00:00:00Z"),
        ("day", "Asia/Tokyo", "2027-01-15T14:59:59Z", "2027-01-15T15:00:00Z"),
        // Berlin's days of 23 and of 25 hours.
        ("day", "Europe/Berlin", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
        ("day", "Europe/Berlin", "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"),
        // 2027-01-15 is a Friday, 2027-03-22 a Monday in the week that loses an hour.
        ("week", "UTC", "2027-01-15T10:00:00Z", "2027-01-18T00:00:00Z"),
        ("week", "Europe/Berlin", "2027-03-21T23:00:00Z", "2027-03-28T22:00:00Z"),
        ("month", "UTC", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ("month", "Asia/Tokyo", "2027-01-31T15:00:00Z", "2027-02-28T15:00:00Z"),
        // Without a subscription a billing cycle is the calendar month.
        ("cycle", "Europe/Berlin", "2027-03-10T00:00:00Z", "2027-03-31T22:00:00Z"),
    ] {
        let program = format!("timezone = {zone:?}\ncaps = [{{ window = {window:?}, limit = 75 }}]");
        let (start, end) = (at(now), at(end));
        let mut books = rich(start, &program);
        books.spend(75);
        books.now = end - TICK;
        let refused = books.try_spend(spending(1));
        assert!(
            matches!(refused, Err(Rejection::CapExceeded { used: 75, resets_at, .. }) if resets_at == end),
            "{window} {zone} {refused:?}"
        );
        books.now = end;
        assert_eq!(books.spend(75).amount, 75, "{window} {zone}");
    }
}

#[test]
fn a_billing_cycle_is_the_subscriptions_own() {
    let plan = |terms: &str| format!("caps = [{{ window = \"cycle\", limit = 75 }}]\nplans.pro = {{ {terms} }}");
    for (terms, ends) in [
        ("allowance = 10", ["2027-02-28T09:30:00Z", "2027-03-31T09:30:00Z"]),
        // It is what is paid for, not what is granted.
        (
            "allowance = 10, billing = \"year\", refresh = \"month\"",
            ["2028-01-31T09:30:00Z", "2029-01-31T09:30:00Z"],
        ),
    ] {
        let mut books = rich(at("2027-01-31T09:30:00Z"), &plan(terms));
        books.subscribe("pro");
        for end in ends {
            books.spend(75);
            books.now = at(end) - TICK;
            let refused = books.try_spend(spending(1));
            assert!(
                matches!(refused, Err(Rejection::CapExceeded { resets_at, .. }) if resets_at == at(end)),
                "{refused:?}"
            );
            books.now = at(end);
        }
        books.spend(75);
    }
}

#[test]
fn a_refund_gives_headroom_back_to_the_window_it_came_from_and_not_to_todays() {
    let mut books = rich(jan(1), DAILY);
    let yesterdays = books.spend(75);
    books.now = jan(2);
    let todays = books.spend(75);
    books.refund(&yesterdays, 75);
    assert_eq!(headroom(&books), 0);
    books.refund(&todays, 20);
    assert_eq!(headroom(&books), 20);
    books.refund(&todays, 55);
    assert_eq!(headroom(&books), 75);
}

#[test]
fn of_two_caps_each_gets_back_what_is_in_its_window() {
    let both = "caps = [{ window = \"day\", limit = 75 }, { window = \"month\", limit = 100 }]";
    let mut books = rich(jan(1), both);
    let yesterdays = books.spend(75);
    books.now = jan(2);
    books.spend(25);
    books.refund(&yesterdays, 40);
    assert_eq!(headroom(&books), 50);
    assert!(books.try_spend(spending(41)).is_err(), "40 fit into the month");
    assert_eq!(books.spend(40).amount, 40);
}

#[test]
fn a_refund_gives_headroom_back_to_its_member_and_its_operation() {
    let per = "operations.image = { prices = [{ fixed = 1 }] }
        caps = [{ window = \"day\", limit = 10, per = \"member\" },
        { window = \"month\", limit = 12, operations = [\"image\"] }]";
    let mut books = rich(jan(1), per);
    let images = |member: &str, credits| {
        charging(Charge {
            operation: Some("image".to_owned()),
            ..spending_by(member, credits).charge
        })
    };
    let anns = books.try_spend(images("ann", 10)).expect("it fits");
    books.try_spend(images("bob", 2)).expect("it fits");
    assert!(books.try_spend(images("bob", 1)).is_err());
    books.refund(&anns, 4);
    books.try_spend(images("bob", 4)).expect("4 images fit again");
    books.try_spend(spending_by("ann", 4)).expect("4 of hers fit again");
    assert!(books.try_spend(spending_by("ann", 1)).is_err());
}

#[test]
fn a_capture_counts_in_the_window_of_its_hold() {
    let hold = |books: &mut Books| {
        books.now = jan(2) - Duration::minutes(1);
        let hold = books.hold(50);
        books.now = jan(2);
        hold
    };
    let mut books = rich(jan(1), DAILY);
    let captured = hold(&mut books);
    let spend = books.capture(&captured, Some(30)).expect("it is captured");
    assert_eq!(headroom(&books), 75, "all of it was yesterday's");
    books.spend(60);
    books.refund(&spend, 30);
    assert_eq!(headroom(&books), 15);
    let mut books = rich(jan(1), DAILY);
    let voided = hold(&mut books);
    books.spend(60);
    books.void(&voided).expect("it is voided");
    assert_eq!(headroom(&books), 15);
}

#[test]
fn what_was_captured_over_a_hold_of_yesterday_goes_back_to_today() {
    // 10 are yesterday's; the 20 above them were counted today, for they came from nowhere else.
    let mut books = rich(jan(1), DAILY);
    books.now = jan(2) - Duration::minutes(1);
    let hold = books.hold(10);
    books.now = jan(2);
    let spend = books.capture_over(&hold, 30).expect("it is captured");
    assert_eq!(headroom(&books), 55);
    books.refund(&spend, 15);
    assert_eq!(headroom(&books), 70, "what was drawn last goes back first");
    books.refund(&spend, 15);
    assert_eq!(headroom(&books), 75);
}

#[test]
fn a_refund_of_what_no_cap_counted_takes_nothing_from_what_one_counts() {
    let mut books = rich(jan(1), "");
    let uncounted = books.spend(50);
    books.now += Duration::hours(1);
    books.put_program(2, DAILY);
    books.spend(30);
    books.refund(&uncounted, 50);
    assert_eq!(headroom(&books), 45, "30 of 75 are spent");
}

#[test]
fn what_is_spent_while_support_lifted_the_cap_gives_nothing_back_that_it_did_not_take() {
    let mut books = rich(jan(1), DAILY);
    books.spend(30);
    books.set_caps(vec![daily(None)]);
    let lifted = books.spend(500);
    books.set_caps(Vec::new());
    let before = headroom(&books);
    books.refund(&lifted, 500);
    assert!(headroom(&books) <= 45, "30 of 75 are spent; it was {before}");
}

#[test]
fn headroom_never_grows_beyond_the_limit() {
    let mut books = rich(jan(1), DAILY);
    let spends: Vec<Transaction> = (0..5).map(|_| books.spend(15)).collect();
    for spend in &spends {
        books.try_refund(spend, None).expect("it is refunded");
    }
    assert_eq!(headroom(&books), 75);
    assert!(matches!(
        books.try_spend(spending(76)),
        Err(Rejection::ExceedsCapEver { .. })
    ));
}

#[test]
fn windows_that_have_passed_are_forgotten() {
    let mut books = rich(jan(1), DAILY);
    for day in 1..10 {
        books.now = jan(day);
        books.spend(1);
        assert_eq!(books.counters.len(), 1);
    }
}

#[test]
fn a_cycle_cap_counts_on_while_stripe_has_not_renewed_yet() {
    // The plan came to be renewed by Stripe: after the cycle that it granted last, the account waits for the payment.
    let pro = |renewal: &str| {
        format!("caps = [{{ window = \"cycle\", limit = 75 }}]\nplans.pro = {{ renewal = {renewal:?} }}")
    };
    let mut books = rich(jan(1), &pro("clock"));
    books.subscribe("pro");
    books.put_program(2, &pro("stripe"));
    books.now = on("2027-03-02");
    books.spend(75);
    let again = books.try_spend(spending(1));
    assert!(matches!(again, Err(Rejection::CapExceeded { .. })), "{again:?}");
}
