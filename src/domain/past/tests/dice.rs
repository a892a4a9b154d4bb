//! Random steps of an account's life.

use chrono::Duration;

use super::Books;
use crate::domain::{
    cap::CapOverride,
    credits::Amount,
    cycle::Interval,
    decide::{
        Action, CaptureHold, ChangeSubscription, Charge, GrantCredits, PlaceHold, RefundSpend, RevokeGrant, SetCaps,
        SpendCredits, Subscribe, VoidHold,
    },
    grant::{Class, Origin},
    ids::SubscriptionId,
    program::{CapScope, OverWholeCap, Window},
};

/// What a random step is made of.
pub type Dice = (u8, u8, u8, u16);

pub fn charge(kind: u8, amount: u8) -> Charge {
    Charge {
        amount: Amount::new(i64::from(amount) + 1),
        operation: (kind % 3 == 1).then(|| "image".to_owned()),
        member: (kind % 4 == 2).then(|| "ann".to_owned()),
        ..Charge::default()
    }
}

fn granted(books: &Books, kind: u8, amount: u8) -> Action {
    let class = Class::ALL[usize::from(kind) % 3];
    let days = |days: i64| Some(books.now + Duration::days(days));
    let is_allocation = class == Class::Plan && kind >= 128;
    Action::Grant(GrantCredits {
        class,
        origin: if is_allocation {
            Origin::Allocation
        } else {
            Origin::Promotion
        },
        amount: Amount::new(i64::from(amount) + 1).expect("an amount"),
        effective_at: kind.is_multiple_of(5).then_some(days(i64::from(amount % 9))).flatten(),
        expires_at: (is_allocation || kind.is_multiple_of(2)).then_some(days(30)).flatten(),
        priority: 0,
        applies_to: kind.is_multiple_of(7).then(|| vec!["image".to_owned()]),
        paid: None,
        reason: None,
    })
}

fn subscribed(books: &Books, kind: u8, amount: u8) -> Action {
    let anchor = match kind % 3 {
        0 => None,
        1 => Some(books.now - Duration::days(i64::from(amount) % 50)),
        _ => Some(books.now + Duration::days(i64::from(amount) % 40)),
    };
    Action::Subscribe(Subscribe {
        plan: ["free", "basic", "pro"][usize::from(amount) % 3].to_owned(),
        anchor,
        interval: (kind.is_multiple_of(2) && amount % 3 == 2).then_some(Interval::Year),
        units: if amount % 3 == 1 { u32::from(kind) % 3 } else { 0 },
    })
}

fn changed(subscription_id: SubscriptionId, kind: u8, amount: u8) -> Action {
    let cancel = match amount % 6 {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    };
    let plan = ["free", "basic", "pro"][usize::from(kind) % 3];
    Action::ChangeSubscription(ChangeSubscription {
        subscription_id,
        plan: (cancel.is_none() && amount.is_multiple_of(2)).then(|| plan.to_owned()),
        interval: None,
        units: (cancel.is_none() && amount % 2 == 1).then_some(u32::from(kind) % 4),
        cancel,
    })
}

fn overridden(books: &Books, kind: u8, amount: u8) -> Action {
    let cap = CapOverride {
        window: [Window::Day, Window::Cycle][usize::from(kind) % 2],
        limit: Amount::new(i64::from(amount)),
        per: CapScope::Account,
        operations: None,
        over_whole_cap: Some(OverWholeCap::Reject),
        until: kind.is_multiple_of(3).then(|| books.now + Duration::days(20)),
    };
    Action::SetCaps(SetCaps {
        caps: if kind.is_multiple_of(5) { Vec::new() } else { vec![cap] },
        reason: "asked for".to_owned(),
        ticket: None,
    })
}

pub fn action(books: &Books, (what, kind, amount, pick): Dice) -> Option<Action> {
    fn one<T>(of: &[T], pick: u16) -> Option<&T> {
        of.get(usize::from(pick) % of.len().max(1))
    }
    let hold = || one(&books.state.holds, pick).map(|hold| hold.id);
    Some(match what % 16 {
        0..=4 => Action::Spend(SpendCredits {
            charge: charge(kind, amount % 50),
            partial: kind % 2 == 0,
            metadata: None,
        }),
        5 | 6 => Action::PlaceHold(PlaceHold {
            charge: charge(kind, amount % 40),
            partial: true,
            expires_in_s: Some(i64::from(amount) * 2000),
            metadata: None,
        }),
        7 => Action::CaptureHold(CaptureHold {
            hold_id: hold()?,
            amount: (kind % 2 == 0)
                .then(|| Amount::new(i64::from(amount % 30) + 1))
                .flatten(),
            allow_over: true,
        }),
        8 => Action::VoidHold(VoidHold {
            hold_id: hold()?,
            reason: None,
        }),
        9 | 10 => Action::Refund(RefundSpend {
            spend_id: one(&books.spends, pick)?.0,
            amount: (kind % 2 == 0)
                .then(|| Amount::new(i64::from(amount % 20) + 1))
                .flatten(),
            reason: "it failed".to_owned(),
            ticket: None,
        }),
        11 => granted(books, kind, amount),
        12 => subscribed(books, kind, amount),
        13 => changed(*one(&books.subscriptions, pick)?, kind, amount),
        14 => overridden(books, kind, amount),
        _ => Action::Revoke(RevokeGrant {
            grant_id: one(&books.state.grants, pick)?.id,
            reason: None,
        }),
    })
}
