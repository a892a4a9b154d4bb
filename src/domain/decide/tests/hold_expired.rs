//! Holds on grants that end meanwhile.

use super::*;
use LedgerAccount::{Consumed, Expired, Held, Plan};

/// 50 of a plan that end on the 5th, of which 30 are held until the 8th.
fn held() -> (Books, GrantId, Transaction) {
    let mut books = Books::new(jan(1));
    books.now = jan(2);
    let plan = books.grant(ending(Class::Plan, 50, jan(5)));
    let hold = books.hold_until(30, jan(8));
    (books, plan, hold)
}

#[test]
fn a_hold_outlives_its_grant() {
    let (mut books, plan, hold) = held();
    books.now = jan(5) - TICK;
    assert_eq!((books.balance().available, books.balance().held), (20, 30));
    books.now = jan(5);
    let before = books.posted.len();
    books.run_due();
    assert_eq!(books.since(before), [(Kind::Expiry, 20, jan(5))]);
    assert_eq!((books.balance().available, books.balance().held), (0, 30));
    assert_eq!(books.remaining(plan), 30);
    assert!(books.held(&hold).is_open());
}

#[test]
fn what_is_held_is_captured_after_its_grant_ended() {
    let (mut books, plan, hold) = held();
    books.now = jan(7);
    let spend = books.capture(&hold, Some(25)).expect("it is captured");
    assert_eq!(
        moves(&spend),
        [(Held, Plan, 30), (Plan, Consumed, 25), (Plan, Expired, 5)]
    );
    assert_eq!((spend.amount, spend.available_after), (25, 0));
    assert_eq!(pairs(spend.drawn()), [(plan, 25)]);
    assert_eq!((books.remaining(plan), books.used()), (0, 25));
}

#[test]
fn what_a_void_returns_to_an_expired_grant_expires_at_once() {
    let (mut books, plan, hold) = held();
    books.now = jan(7);
    let before = books.posted.len();
    let void = books.void(&hold).expect("it is voided");
    assert_eq!(moves(&void), [(Held, Plan, 30), (Plan, Expired, 30)]);
    assert_eq!((void.available_after, books.remaining(plan)), (0, 0));
    assert_eq!(
        books.since(before),
        [(Kind::Expiry, 20, jan(5)), (Kind::Void, 30, jan(7))]
    );
}

#[test]
fn a_void_before_the_grant_ends_lets_it_be_spent_until_then() {
    let (mut books, plan, hold) = held();
    books.now = jan(5) - TICK;
    assert_eq!(books.void(&hold).expect("it is voided").available_after, 50);
    assert_eq!(pairs(books.spend(45).drawn()), [(plan, 45)]);
    books.now = jan(5);
    let before = books.posted.len();
    books.run_due();
    assert_eq!(books.since(before), [(Kind::Expiry, 5, jan(5))]);
}

#[test]
fn at_its_deadline_the_credits_of_an_expired_grant_expire() {
    let (mut books, plan, _) = held();
    let before = books.posted.len();
    books.now = jan(20);
    books.run_due();
    assert_eq!(
        books.since(before),
        [(Kind::Expiry, 20, jan(5)), (Kind::HoldExpiry, 30, jan(8))]
    );
    assert_eq!(
        moves(&books.posted[before + 1]),
        [(Held, Plan, 30), (Plan, Expired, 30)]
    );
    assert_eq!(books.remaining(plan), 0);
}

#[test]
fn what_is_captured_over_it_is_paid_by_grants_that_stand() {
    let (mut books, plan, hold) = held();
    let balance = books.grant(credits(Class::Balance, 10));
    books.now = jan(6);
    let spend = books.capture_over(&hold, 38).expect("it is captured");
    assert_eq!(pairs(spend.drawn()), [(plan, 30), (balance, 8)]);
    assert_eq!(spend.available_after, 2);
}

#[test]
fn a_refund_of_it_is_reissued() {
    let (mut books, plan, hold) = held();
    books.now = jan(7);
    let spend = books.capture(&hold, None).expect("it is captured");
    let refund = books.refund(&spend, 10);
    assert_eq!(granted(&refund), [(Origin::Reissue, 10)]);
    assert_eq!(refund.new_grants[0].source_grant_id, Some(plan));
    assert_eq!(refund.new_grants[0].expires_at, Some(jan(37)));
}

#[test]
fn a_grant_that_is_all_held_does_not_fall_due() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(ending(Class::Plan, 30, jan(5)));
    let hold = books.hold_until(30, jan(8));
    books.now = jan(6);
    let before = books.posted.len();
    books.run_due();
    assert_eq!(books.posted.len(), before);
    assert_eq!(books.due_at, Some(jan(8)));
    books.capture(&hold, Some(1)).expect("it is captured");
    assert_eq!(books.remaining(plan), 0);
    assert_eq!(next_due(&books.state()), None);
}

#[test]
fn a_deadline_at_the_grants_end_lets_it_all_expire_then() {
    let mut books = Books::new(jan(1));
    books.grant(ending(Class::Plan, 50, jan(5)));
    books.hold_until(30, jan(5));
    let before = books.posted.len();
    books.now = jan(5);
    books.run_due();
    let expired: i64 = books.posted[before..]
        .iter()
        .flat_map(|t| &t.entries)
        .filter(|e| e.credit == Expired)
        .map(|e| e.amount)
        .sum();
    assert_eq!(expired, 50);
    assert_eq!(books.balance(), Balance::default());
}
