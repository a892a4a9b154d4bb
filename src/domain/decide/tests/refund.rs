//! Refunds of spends whose grants still stand.

use super::*;

/// A spend of 65: 40 of a plan, 20 of an addon, 5 of a balance; 10 stay in the balance.
fn spent() -> (Books, [GrantId; 3], Transaction) {
    let mut books = Books::new(jan(1));
    let grants = [
        books.grant(credits(Class::Plan, 40)),
        books.grant(credits(Class::Addon, 20)),
        books.grant(credits(Class::Balance, 15)),
    ];
    let spend = books.spend(65);
    (books, grants, spend)
}

#[test]
fn a_whole_refund_gives_every_grant_back_what_it_paid() {
    let (mut books, [plan, addon, balance], spend) = spent();
    let refund = books.try_refund(&spend, None).expect("it is refunded");
    assert_eq!(pairs(refund.returned()), [(balance, 5), (addon, 20), (plan, 40)]);
    assert_eq!(
        (refund.kind, refund.amount, refund.available_after),
        (Kind::Refund, 65, 75)
    );
    assert_eq!(refund.detail.refunded_total, Some(65));
    assert_eq!(refund.subject, Some(spend.id.0));
    assert_eq!(refund.reason.as_deref(), Some("it failed"));
    assert_eq!(moves(&refund)[0], (LedgerAccount::Consumed, LedgerAccount::Balance, 5));
    assert!(refund.new_grants.is_empty());
    assert_eq!(books.used(), 0);
}

#[test]
fn what_was_drawn_last_goes_back_first_over_all_refunds_together() {
    let (mut books, [plan, addon, balance], spend) = spent();
    for (part, expected, total) in [
        (3, vec![(balance, 3)], 3),
        (12, vec![(balance, 2), (addon, 10)], 15),
        (11, vec![(addon, 10), (plan, 1)], 26),
        (39, vec![(plan, 39)], 65),
    ] {
        let refund = books.refund(&spend, part);
        assert_eq!(pairs(refund.returned()), expected, "{part}");
        assert_eq!(refund.detail.refunded_total, Some(total));
        assert_eq!(books.used(), 65 - total);
    }
    assert_eq!(books.balance().available, 75);
}

#[test]
fn what_is_left_to_refund_is_the_default_amount() {
    let (mut books, [plan, ..], spend) = spent();
    books.refund(&spend, 30);
    let rest = books.try_refund(&spend, None).expect("it is refunded");
    assert_eq!((rest.amount, pairs(rest.returned())), (35, vec![(plan, 35)]));
}

#[test]
fn no_more_goes_back_than_was_spent() {
    let (mut books, _, spend) = spent();
    let exceeds = |refunded, requested| Rejection::RefundExceedsSpend {
        spent: 65,
        refunded,
        refundable: 65 - refunded,
        requested,
    };
    assert_eq!(books.try_refund(&spend, Some(66)), Err(exceeds(0, 66)));
    books.refund(&spend, 64);
    assert_eq!(books.try_refund(&spend, Some(2)), Err(exceeds(64, 2)));
    books.refund(&spend, 1);
    let already = Rejection::SpendAlreadyRefunded {
        spent: 65,
        refunded: 65,
    };
    assert_eq!(books.try_refund(&spend, Some(1)), Err(already.clone()));
    assert_eq!(books.try_refund(&spend, None), Err(already));
    assert_eq!(books.balance().available, 75);
}

#[test]
fn only_a_spend_can_be_refunded() {
    let (mut books, _, spend) = spent();
    let refund = books.refund(&spend, 5);
    for other in [refund, books.posted[0].clone()] {
        let not_found = Rejection::SpendNotFound { spend_id: other.id };
        assert_eq!(books.try_refund(&other, None), Err(not_found));
    }
}

#[test]
fn refunded_credits_are_spent_again_from_the_grant_they_came_from() {
    let (mut books, [plan, _, balance], spend) = spent();
    books.refund(&spend, 65);
    let again = books.spend(45);
    assert_eq!(pairs(again.drawn())[0], (plan, 40));
    // A refund of the second spend does not count against the first.
    assert_eq!(books.refund(&again, 45).detail.refunded_total, Some(45));
    assert_eq!(books.remaining(balance), 15);
}

#[test]
fn a_partial_spend_is_refunded_up_to_what_it_took() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 7));
    let spend = books.try_spend(partial(10)).expect("it takes 7");
    assert!(matches!(
        books.try_refund(&spend, Some(8)),
        Err(Rejection::RefundExceedsSpend {
            spent: 7,
            refundable: 7,
            ..
        })
    ));
    assert_eq!(books.try_refund(&spend, None).expect("7").amount, 7);
}

#[test]
fn a_refund_goes_back_to_a_revoked_grant_which_is_spendable_again() {
    // The spend stood when the grant was revoked, so its credits were the account's own: they come back.
    let (mut books, [plan, ..], spend) = spent();
    books.refund(&spend, 45);
    books.revoke(plan).expect("20 remained");
    let refund = books.try_refund(&spend, None).expect("it is refunded");
    assert_eq!(pairs(refund.returned()), [(plan, 20)]);
    assert_eq!(books.remaining(plan), 20);
    assert_eq!(pairs(books.spend(20).drawn()), [(plan, 20)]);
}

#[test]
fn a_refund_keeps_the_operation_and_the_ticket() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 7));
    let spend = books.try_spend(spending_on(Some("image"), 7));
    let refund = books
        .post(Action::Refund(RefundSpend {
            spend_id: spend.expect("it is spent").id,
            amount: None,
            reason: "blurred".to_owned(),
            ticket: Some("T-1".to_owned()),
        }))
        .expect("it is refunded");
    assert_eq!(refund.detail.operation.as_deref(), Some("image"));
    assert_eq!(refund.detail.ticket.as_deref(), Some("T-1"));
    assert_eq!(refund.reason.as_deref(), Some("blurred"));
}
