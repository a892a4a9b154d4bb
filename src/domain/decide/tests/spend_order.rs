//! The spending order, key by key.

use super::*;
use crate::domain::spending_order::sorted;

/// What a spend of everything draws, in order.
fn order(books: &mut Books) -> Vec<GrantId> {
    let all = books.balance().available;
    books.spend(all).drawn().map(|draw| draw.grant_id).collect()
}

#[test]
fn each_key_outranks_all_that_follow() {
    // In each pair the first is to be drawn first, though every key that comes after the one tried speaks for the second,
    // which also came in earlier.
    let late = |grant| GrantCredits {
        effective_at: Some(jan(5)),
        ..grant
    };
    let paid = |grant| GrantCredits {
        paid: Some(money(100)),
        ..grant
    };
    let forever_paid_late = |class, priority| {
        let grant = late(paid(credits(class, 10)));
        GrantCredits { priority, ..grant }
    };
    let ends = |day: i64, grant: GrantCredits| GrantCredits {
        expires_at: Some(jan(day)),
        ..grant
    };
    let first_and_second = [
        (
            "class",
            forever_paid_late(Class::Plan, 1000),
            GrantCredits {
                priority: -1000,
                ..ends(11, credits(Class::Addon, 10))
            },
        ),
        (
            "class",
            forever_paid_late(Class::Addon, 1000),
            GrantCredits {
                priority: -1000,
                ..ends(11, credits(Class::Balance, 10))
            },
        ),
        (
            "priority",
            forever_paid_late(Class::Balance, -1),
            ends(11, credits(Class::Balance, 10)),
        ),
        (
            "expires_at",
            ends(20, forever_paid_late(Class::Balance, 0)),
            ends(21, credits(Class::Balance, 10)),
        ),
        (
            "never expires last",
            ends(36_000, forever_paid_late(Class::Balance, 0)),
            credits(Class::Balance, 10),
        ),
        (
            "free before paid",
            late(credits(Class::Balance, 10)),
            paid(credits(Class::Balance, 10)),
        ),
        (
            "effective_at",
            credits(Class::Balance, 10),
            late(credits(Class::Balance, 10)),
        ),
    ];
    for (key, first, second) in first_and_second {
        let mut books = Books::new(jan(4));
        let second = books.grant(second);
        let first = books.grant(first);
        books.now = jan(10);
        assert_eq!(order(&mut books), [first, second], "{key}");
    }
}

#[test]
fn a_bought_origin_is_paid_even_without_a_price() {
    let mut books = Books::new(jan(1));
    let units = books.grant(GrantCredits {
        origin: Origin::AddonUnits,
        ..credits(Class::Addon, 10)
    });
    let free = books.grant(credits(Class::Addon, 10));
    assert_eq!(order(&mut books), [free, units]);
}

#[test]
fn alike_in_everything_the_one_that_came_in_first_pays() {
    let mut books = Books::new(jan(1));
    let grants: Vec<GrantId> = (0..4).map(|_| books.grant(credits(Class::Balance, 10))).collect();
    assert!(grants.is_sorted());
    books.grants.reverse();
    assert_eq!(order(&mut books), grants);
}

#[test]
fn of_two_that_end_together_the_plan_goes_before_the_top_up() {
    let mut books = Books::new(jan(1));
    let mut make = |class| {
        books.grant(GrantCredits {
            expires_at: Some(jan(31)),
            ..credits(class, 10)
        })
    };
    let (balance, plan) = (make(Class::Balance), make(Class::Plan));
    assert_eq!(order(&mut books), [plan, balance]);
}

#[test]
fn the_program_orders_the_classes() {
    for (named, expected) in [
        (
            ["plan", "addon", "balance"],
            [Class::Plan, Class::Addon, Class::Balance],
        ),
        (
            ["balance", "addon", "plan"],
            [Class::Balance, Class::Addon, Class::Plan],
        ),
        (
            ["addon", "balance", "plan"],
            [Class::Addon, Class::Balance, Class::Plan],
        ),
    ] {
        let mut books = Books::with_program(jan(1), &format!("spending_order = {named:?}"));
        for class in Class::ALL {
            books.grant(credits(class, 10));
        }
        let drawn: Vec<Class> = books.spend(30).drawn().map(|draw| draw.class).collect();
        assert_eq!(drawn, expected);
    }
}

#[test]
fn grants_are_shown_as_they_are_spent_and_later_ones_last() {
    let mut books = Books::new(jan(1));
    let later_plan = books.grant(GrantCredits {
        effective_at: Some(jan(2)),
        ..credits(Class::Plan, 1)
    });
    let balance = books.grant(credits(Class::Balance, 1));
    let addon = books.grant(credits(Class::Addon, 1));
    let shown = |now| -> Vec<GrantId> {
        let sorted = sorted(&books.programs.current().0.spending_order, books.open(), now);
        sorted.iter().map(|g| g.id).collect()
    };
    assert_eq!(shown(jan(1)), [addon, balance, later_plan]);
    assert_eq!(shown(jan(2)), [later_plan, addon, balance]);
}
