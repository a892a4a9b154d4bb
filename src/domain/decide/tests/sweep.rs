//! Expiry, dated when it happened.

use super::*;

#[test]
fn what_ended_is_posted_in_the_order_of_the_ends_and_dated_there() {
    let mut books = Books::new(jan(1));
    let third = books.grant(ending(Class::Plan, 30, jan(20)));
    let first = books.grant(ending(Class::Balance, 10, jan(10)));
    let second = books.grant(ending(Class::Addon, 20, jan(10)));
    let stays = books.grant(ending(Class::Plan, 40, jan(25)));
    books.spend(5);
    let before = books.posted.len();
    books.now = jan(25) - TICK;
    let spend = books.spend(1);
    let swept = &books.posted[before..books.posted.len() - 1];
    let seen: Vec<_> = swept
        .iter()
        .map(|t| (t.kind, t.subject, t.amount, t.effective_at, t.available_after))
        .collect();
    assert_eq!(
        seen,
        [
            (Kind::Expiry, Some(first.0), 10, jan(10), 65),
            (Kind::Expiry, Some(second.0), 20, jan(10), 65),
            (Kind::Expiry, Some(third.0), 25, jan(20), 40),
        ]
    );
    assert!(
        swept
            .iter()
            .all(|t| t.created_at == jan(25) - TICK && t.idempotency.is_none())
    );
    assert_eq!(moves(&swept[0]), [(LedgerAccount::Balance, LedgerAccount::Expired, 10)]);
    assert_eq!(pairs(spend.drawn()), [(stays, 1)]);
    assert!(
        swept.iter().all(|t| t.id < spend.id),
        "the books read in the order of their ids"
    );
}

#[test]
fn a_grant_ends_at_its_end_and_not_before_and_only_once() {
    let mut books = Books::new(jan(1));
    books.grant(ending(Class::Plan, 10, jan(10)));
    books.grant(credits(Class::Balance, 10));
    let expiries = |books: &Books| books.posted.iter().filter(|t| t.kind == Kind::Expiry).count();
    books.now = jan(10) - TICK;
    books.spend(1);
    assert_eq!(expiries(&books), 0);
    books.now = jan(10);
    books.spend(1);
    assert_eq!(expiries(&books), 1);
    books.now = jan(11);
    books.spend(1);
    assert_eq!(expiries(&books), 1);
}

#[test]
fn a_refused_command_leaves_no_expiry_behind() {
    let mut books = Books::new(jan(1));
    books.grant(ending(Class::Plan, 10, jan(10)));
    books.now = jan(10);
    let before = books.posted.len();
    let refused = books.try_spend(spending(1));
    assert_eq!(
        refused,
        Err(Rejection::InsufficientCredits {
            needed: 1,
            available: 0
        })
    );
    assert_eq!(books.posted.len(), before);
    assert_eq!(books.balance().available, 0, "time alone decides what can be drawn");
}

#[test]
fn a_grant_drained_before_its_end_does_not_expire() {
    let mut books = Books::new(jan(1));
    books.grant(ending(Class::Plan, 10, jan(10)));
    books.spend(10);
    books.now = jan(11);
    books.grant(credits(Class::Balance, 1));
    assert!(books.posted.iter().all(|t| t.kind != Kind::Expiry));
}
