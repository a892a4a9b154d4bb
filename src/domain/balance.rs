//! What an account has: the figures of a balance, from its open grants and its running usage.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    cycle::Usage,
    grant::{Class, Grant},
};

/// The figures of a balance at an instant, in the unit's smallest step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// What the spending order could draw for an operation that every grant applies to.
    pub available: i64,
    /// `available` by class.
    pub by_class: ByClass,
    /// What was spent, less what was refunded, in the current cycle.
    pub used: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ByClass {
    pub plan: i64,
    pub addon: i64,
    pub balance: i64,
}

/// The balance of an account at `now`.
pub fn balance(grants: &[Grant], usage: &Usage, now: DateTime<Utc>) -> Balance {
    let of = |class: Class| {
        let live = |g: &&Grant| g.class == class && g.live(now);
        grants.iter().filter(live).map(|g| g.remaining).sum()
    };
    Balance {
        available: available(grants, now),
        by_class: ByClass {
            plan: of(Class::Plan),
            addon: of(Class::Addon),
            balance: of(Class::Balance),
        },
        used: usage.at(grants, now).used,
    }
}

/// What could be drawn at `now` for an operation that every grant applies to.
pub fn available(grants: &[Grant], now: DateTime<Utc>) -> i64 {
    grants.iter().filter(|g| g.live(now)).map(|g| g.remaining).sum()
}
