//! Revocations.

use super::*;

#[test]
fn what_remains_is_taken_back_and_what_was_spent_stays_spent() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(credits(Class::Plan, 40));
    books.grant(credits(Class::Balance, 5));
    books.spend(15);
    let revoked = books.revoke(plan).expect("it is revoked");
    assert_eq!(
        (revoked.kind, revoked.amount, revoked.available_after),
        (Kind::Revocation, 25, 5)
    );
    assert_eq!(revoked.subject, Some(plan.0));
    assert_eq!(revoked.reason.as_deref(), Some("a mistake"));
    assert_eq!(moves(&revoked), [(LedgerAccount::Plan, LedgerAccount::Revoked, 25)]);
    assert_eq!(books.used(), 15);
}

#[test]
fn a_grant_with_nothing_left_cannot_be_revoked() {
    let mut books = Books::new(jan(1));
    let ends = |credits: GrantCredits| GrantCredits {
        expires_at: Some(jan(2)),
        ..credits
    };
    let spent = books.grant(credits(Class::Plan, 10));
    books.spend(10);
    let revoked = books.grant(credits(Class::Plan, 10));
    books.revoke(revoked).expect("it is revoked");
    let expired = books.grant(ends(credits(Class::Plan, 10)));
    books.now = jan(2);
    let unknown = GrantId(Uuid::from_u128(404));
    for grant_id in [spent, revoked, expired, unknown] {
        assert_eq!(books.revoke(grant_id), Err(Rejection::GrantAlreadyClosed { grant_id }));
    }
}

#[test]
fn a_grant_that_begins_later_can_be_revoked_before() {
    let mut books = Books::new(jan(1));
    let later = books.grant(GrantCredits {
        effective_at: Some(jan(5)),
        ..credits(Class::Plan, 10)
    });
    let now = books.grant(credits(Class::Plan, 3));
    let revoked = books.revoke(later).expect("it is revoked");
    assert_eq!((revoked.amount, revoked.available_after), (10, 3));
    books.now = jan(6);
    assert_eq!(pairs(books.spend(3).drawn()), [(now, 3)]);
}
