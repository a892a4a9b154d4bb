//! A balance's figures, and what a transaction leaves available.

use super::*;
use crate::domain::balance::ByClass;

#[test]
fn available_is_split_by_class_and_counts_what_is_live() {
    let mut books = Books::new(jan(1));
    books.grant(GrantCredits {
        applies_to: Some(vec!["image".to_owned()]),
        ..credits(Class::Plan, 1)
    });
    books.grant(GrantCredits {
        expires_at: Some(jan(5)),
        ..credits(Class::Plan, 10)
    });
    books.grant(credits(Class::Addon, 100));
    books.grant(GrantCredits {
        effective_at: Some(jan(5)),
        ..credits(Class::Balance, 1000)
    });
    books.spend(3);
    let figures = |plan, addon, balance| Balance {
        available: plan + addon + balance,
        by_class: ByClass { plan, addon, balance },
        ..Balance::default()
    };
    assert_eq!(books.balance(), figures(8, 100, 0));
    books.now = jan(5) - TICK;
    assert_eq!(books.balance(), figures(8, 100, 0));
    books.now = jan(5);
    assert_eq!(books.balance(), figures(1, 100, 1000));
    assert_eq!(books.used(), 3);
}

#[test]
fn available_after_follows_every_kind_of_transaction() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(GrantCredits {
        expires_at: Some(jan(10)),
        ..credits(Class::Plan, 50)
    });
    books.grant(credits(Class::Balance, 10));
    let spend = books.spend(15);
    assert_eq!(spend.available_after, 45);
    assert_eq!(books.refund(&spend, 5).available_after, 50);
    let revoked = books.revoke(plan).expect("40 remain");
    assert_eq!((revoked.amount, revoked.available_after), (40, 10));
    // The source has expired: 10 come back as a new grant.
    books.now = jan(10);
    assert_eq!(books.refund(&spend, 10).available_after, 20);
    assert_eq!(books.balance().available, 20);
}

#[test]
fn an_empty_account_has_nothing() {
    assert_eq!(Books::new(jan(1)).balance(), Balance::default());
}
