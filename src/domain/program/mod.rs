//! A tenant's program: its unit, plans, packs and policies.
//!
//! Written as JSON or TOML, kept in versions, read strictly: an unknown field, a contradiction or an impossible value is
//! refused with the path of the field and what would be right (`parse`).

mod parse;

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Months, Utc};
use serde::{Deserialize, Serialize};

pub use parse::{Format, Problem, parse};

use super::{
    credits::Amount, cycle::Interval, grant::Class, money::Money, refund::ExpiredSource, spending_order::ClassOrder,
    text::Name,
};

/// A tenant's catalog and rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub unit: Unit,
    /// The classes in the order in which they are spent. Default: plan, addon, balance.
    #[serde(default)]
    pub spending_order: ClassOrder,
    /// By name: 1 to 64 of `[a-z0-9_-]`.
    #[serde(default)]
    pub plans: BTreeMap<String, Plan>,
    /// What can be bought, by name: 1 to 64 of `[a-z0-9_-]`.
    #[serde(default)]
    pub packs: BTreeMap<String, Pack>,
    #[serde(default)]
    pub refunds: Refunds,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// `credits`, `USD`, ...
    pub name: Name,
    /// Digits behind the point when shown, 0 to 9: with scale 4 an amount of 12,345 is shown as 1.2345. Default: 0.
    #[serde(default)]
    pub scale: u8,
}

/// An allowance that comes with a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Credits granted for each cycle.
    pub allowance: Amount,
    /// The length of a cycle. Default: month.
    #[serde(default = "monthly")]
    pub interval: Interval,
}

fn monthly() -> Interval {
    Interval::Month
}

/// Credits for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// What the buyer reads at the checkout. Default: the number of credits and the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    pub price: Money,
    pub credits: Amount,
    /// The class of the grant it becomes. Default: balance.
    #[serde(default = "balance")]
    pub class: Class,
    #[serde(default)]
    pub expiry: Expiry,
}

fn balance() -> Class {
    Class::Balance
}

/// When bought credits expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    #[default]
    Never,
    /// When the cycle ends in which they were bought: at the end of the account's plan allocation.
    CycleEnd,
    /// So many days after they were credited, 1 to 36,500.
    Days(u32),
    /// So many months after they were credited, clamped to the month's end, 1 to 1,200.
    Months(u32),
}

impl Expiry {
    /// The end of credits that come in at `from`; `cycle_end` is the end of the account's cycle. None: never.
    pub fn end(self, from: DateTime<Utc>, cycle_end: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        match self {
            Self::Never => None,
            Self::CycleEnd => cycle_end,
            Self::Days(days) => from.checked_add_days(Days::new(days.into())),
            Self::Months(months) => from.checked_add_months(Months::new(months)),
        }
    }
}

/// What refunds of spends do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refunds {
    /// For credits whose grant has expired meanwhile, by class.
    #[serde(default)]
    pub expired_source: ExpiredSources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpiredSources {
    #[serde(default)]
    pub plan: ExpiredSource,
    #[serde(default)]
    pub addon: ExpiredSource,
    #[serde(default)]
    pub balance: ExpiredSource,
}

impl Default for Program {
    /// What a new tenant starts with: whole credits, and nothing to sell.
    fn default() -> Self {
        Self {
            unit: Unit {
                name: Name::credits(),
                scale: 0,
            },
            spending_order: ClassOrder::default(),
            plans: BTreeMap::new(),
            packs: BTreeMap::new(),
            refunds: Refunds::default(),
        }
    }
}

impl Program {
    pub fn expired_source(&self, class: Class) -> ExpiredSource {
        let policy = self.refunds.expired_source;
        match class {
            Class::Plan => policy.plan,
            Class::Addon => policy.addon,
            Class::Balance => policy.balance,
        }
    }

    /// What the buyer of a pack reads.
    pub fn pack_title(&self, pack: &Pack) -> String {
        match &pack.name {
            Some(name) => name.as_str().to_owned(),
            None => format!(
                "{} {}",
                decimal(pack.credits.get(), self.unit.scale),
                self.unit.name.as_str()
            ),
        }
    }
}

/// `amount` with `scale` digits behind the point.
fn decimal(amount: i64, scale: u8) -> String {
    let one = 10_i64.pow(u32::from(scale));
    match scale {
        0 => amount.to_string(),
        _ => format!("{}.{:0width$}", amount / one, amount % one, width = usize::from(scale)),
    }
}
