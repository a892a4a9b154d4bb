//! What an account has: the figures of a balance, from its open grants, its standing and its running usage.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    grant::{Class, Grant},
    program::Gates,
    subscription::Standing,
};

/// The classes whose gates are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenClasses {
    pub plan: bool,
    pub addon: bool,
    pub balance: bool,
}

impl OpenClasses {
    pub const ALL: Self = Self {
        plan: true,
        addon: true,
        balance: true,
    };

    /// Those that the gates open to an account of this standing.
    pub fn to(gates: &Gates, standing: Standing) -> Self {
        let is_open = |class| gates.spend.of(class).is_met(standing);
        Self {
            plan: is_open(Class::Plan),
            addon: is_open(Class::Addon),
            balance: is_open(Class::Balance),
        }
    }

    pub fn has(self, class: Class) -> bool {
        match class {
            Class::Plan => self.plan,
            Class::Addon => self.addon,
            Class::Balance => self.balance,
        }
    }
}

/// The figures of a balance at an instant, in the unit's smallest step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// What the spending order could draw for an operation that every grant applies to.
    pub available: i64,
    /// `available` by class.
    pub by_class: ByClass,
    /// What holds have set aside, of grants that have expired since too.
    pub held: i64,
    /// What a closed gate keeps.
    pub frozen: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ByClass {
    pub plan: i64,
    pub addon: i64,
    pub balance: i64,
}

/// The balance of an account at `now`.
pub fn balance(grants: &[Grant], open: OpenClasses, now: DateTime<Utc>) -> Balance {
    let mut figures = Balance::default();
    for grant in grants {
        figures.held += grant.held;
        if !grant.live(now) {
            continue;
        }
        if !open.has(grant.class) {
            figures.frozen += grant.free();
            continue;
        }
        figures.available += grant.free();
        let of_class = match grant.class {
            Class::Plan => &mut figures.by_class.plan,
            Class::Addon => &mut figures.by_class.addon,
            Class::Balance => &mut figures.by_class.balance,
        };
        *of_class += grant.free();
    }
    figures
}

/// What could be drawn at `now` for an operation that every grant applies to.
pub fn available(grants: &[Grant], open: OpenClasses, now: DateTime<Utc>) -> i64 {
    let drawable = grants.iter().filter(|g| g.live(now) && open.has(g.class));
    drawable.map(Grant::free).sum()
}
