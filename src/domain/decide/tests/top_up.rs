//! Crediting purchases: as they were agreed, with each rule of expiry.

use super::*;
use crate::domain::{
    decide::CreditTopUp,
    ids::TopUpId,
    program::Expiry,
    top_up::{Status, TopUp},
};

fn top_up(expiry: Expiry, expires_at: Option<DateTime<Utc>>) -> TopUp {
    TopUp {
        id: TopUpId(Uuid::from_u128(77)),
        account_id: books::ACCOUNT,
        status: Status::Open,
        pack: Some("small".to_owned()),
        title: "A pack".to_owned(),
        stripe_customer: None,
        email: None,
        program_version: 4,
        price: money(999),
        credits: amount(500),
        class: Class::Addon,
        expiry,
        expires_at,
        livemode: false,
        attempt: 1,
        success_url: "https://example.com/ok".to_owned(),
        cancel_url: "https://example.com/no".to_owned(),
        checkout_session_id: None,
        checkout_url: None,
        payment_intent_id: None,
        created_at: jan(1),
        credited_at: None,
        grant_id: None,
        failure: None,
    }
}

fn credit(books: &mut Books, top_up: TopUp) -> Result<Transaction, Rejection> {
    books.post(Action::CreditTopUp(Box::new(CreditTopUp { top_up })))
}

#[test]
fn a_purchase_becomes_a_grant_as_it_was_agreed() {
    let mut books = Books::new(jan(3));
    books.put_program(9, "");
    let credited = credit(&mut books, top_up(Expiry::Never, None)).expect("it is credited");
    assert_eq!(
        (credited.kind, credited.amount, credited.available_after),
        (Kind::TopUp, 500, 500)
    );
    assert_eq!(credited.subject, Some(Uuid::from_u128(77)));
    let grant = &credited.new_grants[0];
    assert_eq!(
        (grant.class, grant.origin, grant.amount),
        (Class::Addon, Origin::TopUp, 500)
    );
    assert_eq!((grant.paid.clone(), grant.program_version), (Some(money(999)), Some(4)));
    assert_eq!(grant.top_up_id, Some(TopUpId(Uuid::from_u128(77))));
    assert_eq!((grant.effective_at, grant.expires_at), (jan(3), None));
    assert_eq!(moves(&credited), [(LedgerAccount::Issued, LedgerAccount::Addon, 500)]);
}

#[test]
fn its_expiry_counts_from_the_crediting() {
    let now = at("2027-01-31T10:00:00Z");
    let later = Some(jan(45));
    for (expiry, expires_at, expected) in [
        (Expiry::Never, None, None),
        (Expiry::Days(1), None, Some(at("2027-02-01T10:00:00Z"))),
        (Expiry::Days(36_500), None, Some(now + Duration::days(36_500))),
        (Expiry::Months(1), None, Some(at("2027-02-28T10:00:00Z"))),
        (Expiry::Months(12), None, Some(at("2028-01-31T10:00:00Z"))),
        (Expiry::CycleEnd, later, later),
        // The cycle it was bought for was over when the money came: as long as a reissue.
        (Expiry::CycleEnd, Some(jan(20)), Some(now + Duration::days(30))),
        (Expiry::CycleEnd, Some(now), Some(now + Duration::days(30))),
        (Expiry::CycleEnd, Some(now + TICK), Some(now + TICK)),
    ] {
        let mut books = Books::new(now);
        let credited = credit(&mut books, top_up(expiry, expires_at)).expect("it is credited");
        assert_eq!(credited.new_grants[0].expires_at, expected, "{expiry:?} {expires_at:?}");
        assert_eq!(credited.available_after, 500);
    }
}

#[test]
fn a_purchase_of_another_account_is_not_credited() {
    let mut books = Books::new(jan(1));
    let foreign = TopUp {
        account_id: AccountId(Uuid::from_u128(1)),
        ..top_up(Expiry::Never, None)
    };
    let not_found = Rejection::TopUpNotFound { top_up_id: foreign.id };
    assert_eq!(credit(&mut books, foreign), Err(not_found));
    assert!(books.posted.is_empty());
}

#[test]
fn a_purchase_for_which_there_is_no_room_waits() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, crate::domain::credits::CREDITS_MAX - 499));
    assert!(matches!(
        credit(&mut books, top_up(Expiry::Never, None)),
        Err(Rejection::AccountFull { .. })
    ));
    books.spend(1);
    assert!(credit(&mut books, top_up(Expiry::Never, None)).is_ok());
}
