//! Caps: which hold, what they count, and what they refuse.

use super::*;
use crate::domain::{
    cap::CapOverride,
    program::{CapScope, OverWholeCap},
};

const DAILY: &str = "caps = [{ window = \"day\", limit = 75 }]";

/// 10,000 credits to spend.
fn rich(now: DateTime<Utc>, program: &str) -> Books {
    let mut books = Books::with_program(now, program);
    books.grant(credits(Class::Balance, 10_000));
    books
}

/// A refusal by a cap of the account that resets at the end of the 1st of January.
fn exceeded(needed: i64, limit: i64, used: i64) -> Rejection {
    Rejection::CapExceeded {
        needed,
        available: (limit - used).max(0),
        limit,
        used,
        window: Window::Day,
        member: None,
        resets_at: jan(2),
    }
}

fn over(needed: i64, limit: i64) -> Rejection {
    Rejection::ExceedsCapEver {
        needed,
        limit,
        window: Window::Day,
    }
}

fn daily(limit: Option<i64>, until: Option<DateTime<Utc>>) -> CapOverride {
    CapOverride {
        window: Window::Day,
        limit: limit.map(amount),
        per: CapScope::Account,
        operations: None,
        over_whole_cap: Some(OverWholeCap::Reject),
        until,
    }
}

/// The limit that holds by day; none: nothing is capped.
fn limit(books: &Books) -> Option<i64> {
    let state = books.caught_up();
    let standings = state.caps(books.programs.at(books.now).0, books.now).standings(None);
    standings.first().map(|standing| standing.limit)
}

#[test]
fn a_cap_is_spent_up_to_its_limit_and_refuses_with_its_numbers() {
    let mut books = rich(jan(1), DAILY);
    books.spend(70);
    assert_eq!(books.try_spend(spending(6)), Err(exceeded(6, 75, 70)));
    books.spend(5);
    assert_eq!(books.try_spend(spending(1)), Err(exceeded(1, 75, 75)));
    assert_eq!(books.balance().available, 9_925, "the credits are still there");
}

#[test]
fn what_is_held_counts_until_it_comes_back() {
    let mut books = rich(jan(1), DAILY);
    let hold = books.hold(70);
    assert_eq!(books.try_spend(spending(6)), Err(exceeded(6, 75, 70)));
    assert_eq!(books.post(Action::PlaceHold(holding(6))), Err(exceeded(6, 75, 70)));
    books.capture(&hold, Some(30)).expect("it is captured");
    assert_eq!(books.try_spend(spending(46)), Err(exceeded(46, 75, 30)));
    let second = books.hold(45);
    books.void(&second).expect("it is voided");
    assert_eq!(books.try_spend(spending(46)), Err(exceeded(46, 75, 30)));
    books.hold(45);
    books.now = jan(1) + Duration::minutes(15);
    books.spend(45);
    assert_eq!(books.try_spend(spending(1)), Err(exceeded(1, 75, 75)));
}

#[test]
fn a_capture_of_more_needs_room_for_what_is_more() {
    let mut books = rich(jan(1), DAILY);
    let hold = books.hold(70);
    assert_eq!(books.capture_over(&hold, 76), Err(exceeded(6, 75, 70)));
    books.capture_over(&hold, 75).expect("it is captured");
    assert_eq!(books.try_spend(spending(1)), Err(exceeded(1, 75, 75)));
}

#[test]
fn a_cap_per_member_counts_each_by_itself() {
    let mut books = rich(jan(1), "caps = [{ window = \"day\", limit = 10, per = \"member\" }]");
    for member in ["ann", "bob"] {
        books.try_spend(spending_by(member, 10)).expect("it fits");
        let refused = Rejection::CapExceeded {
            needed: 1,
            available: 0,
            limit: 10,
            used: 10,
            window: Window::Day,
            member: Some(member.to_owned()),
            resets_at: jan(2),
        };
        assert_eq!(books.try_spend(spending_by(member, 1)), Err(refused));
    }
    books.spend(100);
    let hold = books.post(Action::PlaceHold(PlaceHold {
        charge: spending_by("cleo", 10).charge,
        ..holding(10)
    }));
    assert!(books.try_spend(spending_by("cleo", 1)).is_err());
    books.void(&hold.expect("it is held")).expect("it is voided");
    books.try_spend(spending_by("cleo", 10)).expect("it fits");
}

#[test]
fn a_cap_of_operations_counts_them_together_and_nothing_else() {
    let mut books = rich(
        jan(1),
        "operations.image = { prices = [{ fixed = 1 }] }
        operations.video = { prices = [{ fixed = 9 }] }
        caps = [{ window = \"day\", limit = 10, operations = [\"image\", \"video\"] }]",
    );
    books.try_spend(spending_on(Some("image"), 6)).expect("it fits");
    books.try_spend(spending_on(Some("video"), 4)).expect("it fits");
    for operation in ["image", "video"] {
        assert_eq!(
            books.try_spend(spending_on(Some(operation), 1)),
            Err(exceeded(1, 10, 10))
        );
    }
    for operation in [None, Some("chat"), Some("imag")] {
        books.try_spend(spending_on(operation, 100)).expect("it is not counted");
    }
}

#[test]
fn every_cap_must_have_room() {
    let two = "caps = [{ window = \"day\", limit = 75 }, { window = \"month\", limit = 100 }]";
    let mut books = rich(jan(1), two);
    books.spend(75);
    books.now = jan(2);
    let refused = Rejection::CapExceeded {
        needed: 26,
        available: 25,
        limit: 100,
        used: 75,
        window: Window::Month,
        member: None,
        resets_at: jan(32),
    };
    assert_eq!(books.try_spend(spending(26)), Err(refused));
    assert_eq!(books.try_spend(partial(50)).expect("25 fit").amount, 25);
}

#[test]
fn a_plans_cap_takes_the_place_of_the_programs_while_it_lasts() {
    let mut books = rich(
        jan(1),
        &format!("{DAILY}\nplans.pro.caps = [{{ window = \"day\", limit = 200 }}]"),
    );
    assert_eq!(limit(&books), Some(75));
    books.spend(75);
    let pro = books.subscribe("pro");
    assert_eq!(limit(&books), Some(200));
    assert_eq!(books.try_spend(spending(126)), Err(exceeded(126, 200, 75)));
    books.spend(125);
    books.change(cancelling(pro, true));
    books.now = jan(32) - TICK;
    assert_eq!(limit(&books), Some(200));
    books.now = jan(32);
    assert_eq!(limit(&books), Some(75));
}

#[test]
fn of_several_plans_the_most_generous_cap_holds() {
    let plans = "plans.pro.caps = [{ window = \"day\", limit = 200 }]
        plans.max.caps = [{ window = \"day\", limit = 300 }]
        plans.low.caps = [{ window = \"day\", limit = 50 }]
        plans.plain = {}";
    for (subscribed, with_cap_of_program, without) in [
        (&["low"][..], Some(50), Some(50)),
        (&["low", "pro"], Some(200), Some(200)),
        (&["max", "pro"], Some(300), Some(300)),
        // A plan without a cap of its own has the program's, or none.
        (&["low", "plain"], Some(75), None),
        (&["plain", "pro"], Some(200), None),
        (&["plain"], Some(75), None),
    ] {
        for (program, expected) in [(DAILY, with_cap_of_program), ("", without)] {
            let mut books = rich(jan(1), &format!("{program}\n{plans}"));
            for plan in subscribed {
                books.subscribe(plan);
            }
            assert_eq!(limit(&books), expected, "{subscribed:?} {program}");
        }
    }
}

#[test]
fn supports_cap_goes_before_the_plans_and_the_programs_until_its_end() {
    let mut books = rich(
        jan(1),
        &format!("{DAILY}\nplans.pro.caps = [{{ window = \"day\", limit = 200 }}]"),
    );
    books.subscribe("pro");
    let set = books.set_caps(vec![daily(Some(300), Some(jan(10)))]);
    assert_eq!((set.kind, set.amount), (Kind::CapOverride, 0));
    assert_eq!(set.detail.ticket.as_deref(), Some("T-9"));
    books.spend(250);
    assert_eq!(books.try_spend(spending(51)), Err(exceeded(51, 300, 250)));
    for (now, expected) in [(jan(10) - TICK, 300), (jan(10), 200)] {
        books.now = now;
        assert_eq!(limit(&books), Some(expected), "{now}");
    }
    // It may be stricter too, or lift the cap; an empty list gives the word back.
    books.set_caps(vec![daily(Some(20), None)]);
    assert_eq!(limit(&books), Some(20));
    books.set_caps(vec![daily(None, None)]);
    assert_eq!(limit(&books), None);
    books.spend(1_000);
    books.set_caps(Vec::new());
    assert_eq!(limit(&books), Some(200));
}

#[test]
fn supports_cap_of_another_kind_stands_beside() {
    let mut books = rich(jan(1), DAILY);
    books.set_caps(vec![CapOverride {
        window: Window::Month,
        ..daily(Some(100), None)
    }]);
    books.spend(75);
    assert_eq!(books.try_spend(spending(1)), Err(exceeded(1, 75, 75)));
    books.now = jan(2);
    assert!(books.try_spend(spending(26)).is_err());
    books.spend(25);
}

#[test]
fn one_operation_above_the_whole_cap_never_fits() {
    let mut books = rich(jan(1), DAILY);
    assert_eq!(books.try_spend(spending(76)), Err(over(76, 75)));
    assert_eq!(books.post(Action::PlaceHold(holding(76))), Err(over(76, 75)));
    books.spend(10);
    assert_eq!(books.try_spend(spending(76)), Err(over(76, 75)));
    books.spend(65);
}

#[test]
fn or_it_goes_through_in_an_empty_window_alone() {
    let allow = "caps = [{ window = \"day\", limit = 75, over_whole_cap = \"allow_in_empty_window\" }]";
    let mut books = rich(jan(1), allow);
    books.spend(100);
    assert_eq!(books.try_spend(spending(1)), Err(exceeded(1, 75, 100)));
    let mut books = rich(jan(1), allow);
    let first = books.spend(1);
    assert_eq!(books.try_spend(spending(100)), Err(exceeded(100, 75, 1)));
    books.refund(&first, 1);
    assert_eq!(books.hold(100).amount, 100);
}

#[test]
fn a_partial_spend_takes_what_fits() {
    let mut books = rich(jan(1), DAILY);
    books.spend(70);
    let some = books.try_spend(partial(20)).expect("5 fit");
    assert_eq!((some.amount, some.detail.requested), (5, Some(20)));
    assert_eq!(books.try_spend(partial(20)), Err(exceeded(20, 75, 75)));
    // One above the whole cap takes the whole cap.
    books.now = jan(2);
    assert_eq!(books.try_spend(partial(500)).expect("75 fit").amount, 75);
}

#[test]
fn what_there_is_too_little_of_counts_as_far_as_it_is_taken() {
    let mut books = Books::with_program(jan(1), DAILY);
    books.grant(credits(Class::Balance, 30));
    assert_eq!(books.try_spend(partial(60)).expect("30 are there").amount, 30);
    books.grant(credits(Class::Balance, 100));
    assert_eq!(books.try_spend(spending(46)), Err(exceeded(46, 75, 30)));
    assert!(books.try_spend(spending(45)).is_ok());
}
