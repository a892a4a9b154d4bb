//! Refunds of spends whose grants have expired meanwhile, under each policy.

use super::*;

#[test]
fn expired_credits_come_back_as_a_new_grant_for_30_days() {
    let mut books = Books::new(jan(1));
    let source = books.grant(GrantCredits {
        priority: 3,
        applies_to: Some(vec!["image".to_owned()]),
        paid: Some(money(900)),
        ..ending(Class::Addon, 50, jan(10))
    });
    let spend = books.try_spend(spending_on(Some("image"), 20)).expect("it is spent");
    books.now = jan(10);
    let refund = books.refund(&spend, 8);
    let [reissued] = &refund.new_grants[..] else {
        panic!("one new grant: {refund:?}")
    };
    assert_eq!(
        (reissued.class, reissued.origin, reissued.amount, reissued.remaining),
        (Class::Addon, Origin::Reissue, 8, 8)
    );
    assert_eq!((reissued.effective_at, reissued.expires_at), (jan(10), Some(jan(40))));
    assert_eq!((reissued.source_grant_id, reissued.priority), (Some(source), 3));
    assert_eq!(reissued.applies_to, Some(vec!["image".to_owned()]));
    assert!(reissued.was_paid(), "it stays behind the free ones");
    assert_eq!(pairs(refund.returned()), [(reissued.id, 8)]);
    assert_eq!(moves(&refund), [(LedgerAccount::Consumed, LedgerAccount::Addon, 8)]);
    assert_eq!(refund.available_after, 8);
    assert_eq!(books.remaining(source), 0);
    // The rest comes back as another.
    books.now = jan(12);
    let rest = books.try_refund(&spend, None).expect("12 are left");
    assert_eq!(rest.new_grants[0].expires_at, Some(jan(42)));
    assert_eq!((rest.amount, rest.available_after), (12, 20));
}

#[test]
fn with_a_cycle_they_last_until_it_ends() {
    let mut books = Books::new(jan(1));
    books.grant(ending(Class::Balance, 50, jan(10)));
    let spend = books.spend(20);
    books.now = jan(9);
    books.grant(allocation(100, jan(9), jan(39)));
    books.now = jan(20);
    let refund = books.refund(&spend, 20);
    assert_eq!(refund.new_grants[0].class, Class::Balance);
    assert_eq!(refund.new_grants[0].expires_at, Some(jan(39)));
}

#[test]
fn a_cycle_that_has_ended_ends_nothing() {
    let mut books = Books::new(jan(1));
    books.grant(allocation(100, jan(1), jan(10)));
    let spend = books.spend(20);
    for now in [jan(10), jan(15)] {
        books.now = now;
        let refund = books.refund(&spend, 5);
        assert_eq!(refund.new_grants[0].expires_at, Some(now + Duration::days(30)));
    }
}

#[test]
fn only_what_has_expired_is_reissued() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(ending(Class::Plan, 10, jan(10)));
    let addon = books.grant(ending(Class::Addon, 10, jan(20)));
    let spend = books.spend(15);
    books.now = jan(10) - TICK;
    assert_eq!(pairs(books.refund(&spend, 6).returned()), [(addon, 5), (plan, 1)]);
    books.now = jan(10);
    let refund = books.refund(&spend, 9);
    assert_eq!(refund.new_grants.len(), 1);
    assert_eq!(refund.new_grants[0].source_grant_id, Some(plan));
    assert_eq!(books.balance().by_class.addon, 10);
    assert_eq!(books.balance().by_class.plan, 9);
}

#[test]
fn two_expired_sources_are_reissued_apart() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(ending(Class::Plan, 10, jan(10)));
    let addon = books.grant(ending(Class::Addon, 10, jan(10)));
    let spend = books.spend(15);
    books.now = jan(11);
    let refund = books.refund(&spend, 15);
    let made: Vec<_> = refund
        .new_grants
        .iter()
        .map(|g| (g.source_grant_id, g.class, g.amount))
        .collect();
    assert_eq!(made, [(Some(addon), Class::Addon, 5), (Some(plan), Class::Plan, 10)]);
}

#[test]
fn a_reissue_that_expires_is_reissued_again() {
    let mut books = Books::new(jan(1));
    books.grant(ending(Class::Plan, 10, jan(10)));
    let first = books.spend(10);
    books.now = jan(10);
    let reissued = books.refund(&first, 10).new_grants[0].id;
    let second = books.spend(10);
    books.now = jan(41);
    let again = books.refund(&second, 10);
    assert_eq!(again.new_grants[0].source_grant_id, Some(reissued));
    assert_eq!(again.available_after, 10);
}

#[test]
fn restored_credits_go_back_and_are_gone_at_once() {
    let mut books = Books::with_program(jan(1), "refunds.expired_source.plan = \"restore\"");
    let plan = books.grant(ending(Class::Plan, 10, jan(10)));
    let balance = books.grant(ending(Class::Balance, 10, jan(10)));
    let spend = books.spend(15);
    books.now = jan(10);
    let refund = books.refund(&spend, 15);
    let [reissued] = &refund.new_grants[..] else {
        panic!("the balance is reissued: {refund:?}")
    };
    assert_eq!(reissued.source_grant_id, Some(balance));
    assert_eq!(
        moves(&refund),
        [
            (LedgerAccount::Consumed, LedgerAccount::Balance, 5),
            (LedgerAccount::Consumed, LedgerAccount::Plan, 10),
            (LedgerAccount::Plan, LedgerAccount::Expired, 10)
        ]
    );
    assert_eq!((refund.amount, refund.available_after), (15, 5));
    assert_eq!(books.remaining(plan), 0);
    assert!(matches!(
        books.try_refund(&spend, None),
        Err(Rejection::SpendAlreadyRefunded { .. })
    ));
}

#[test]
fn a_rejected_refund_names_the_grant_and_changes_nothing() {
    let mut books = Books::with_program(jan(1), "refunds.expired_source.plan = \"reject\"");
    let plan = books.grant(ending(Class::Plan, 10, jan(10)));
    let balance = books.grant(credits(Class::Balance, 10));
    let spend = books.spend(15);
    books.now = jan(10);
    let before = (books.posted.len(), books.balance());
    let rejected = |amount| Rejection::SourceGrantExpired {
        grant_id: plan,
        class: Class::Plan,
        amount,
        expired_at: jan(10),
    };
    assert_eq!(books.try_refund(&spend, None), Err(rejected(10)));
    assert_eq!(books.try_refund(&spend, Some(7)), Err(rejected(2)));
    assert_eq!((books.posted.len(), books.balance()), before);
    // The part that was drawn from a grant that stands goes back.
    assert_eq!(pairs(books.refund(&spend, 5).returned()), [(balance, 5)]);
    assert_eq!(books.try_refund(&spend, None), Err(rejected(10)));
}
