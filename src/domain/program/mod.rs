//! A tenant's program: its unit, plans, prices, packs, caps, gates and policies.
//!
//! Written as JSON or TOML, kept in versions, read strictly: an unknown field, a contradiction or an impossible value is
//! refused with the path of the field and what would be right (`parse`). What is legal but unwise, `lint` says.

mod cap;
mod check;
#[cfg(test)]
mod examples;
mod gate;
mod history;
mod lint;
mod operation;
mod pack;
mod parse;
mod per_interval;
mod plan;
mod preview;
mod shape;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use cap::{Cap, CapScope, OverWholeCap, Window, in_order};
pub use gate::{Gates, Requirement, SpendGates};
pub use history::{ProgramHistory, ProgramVersion};
pub use lint::{Warning, WarningCode, lint};
pub use operation::{AttributeValue, Operation, PriceError, PriceRule, QUANTITY, Rate, Rounding, Wanted};
pub use pack::{CustomAmount, Expiry, Pack};
pub use parse::{Format, Problem, parse};
pub use per_interval::PerInterval;
pub use plan::{Addon, AddonScope, Billing, Bonus, Plan, Refresh, Renewal, Rollover, UpgradeGrant};
pub use preview::{Event, EventKind, PREVIEW_MONTHS, Preview, PreviewError, preview};

use super::{calendar::Zone, grant::Class, refund::ExpiredSource, spending_order::ClassOrder, text::Name};

/// A tenant's catalog and rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What is counted, and how it is shown.
    pub unit: Unit,
    /// An IANA time zone, such as `Europe/Berlin`: days, weeks, months and cycles are those of its wall clock. Default: UTC.
    #[serde(default)]
    pub timezone: Zone,
    /// The classes in the order in which they are spent. Default: plan, addon, balance.
    #[serde(default)]
    pub spending_order: ClassOrder,
    /// What can be subscribed to, by name: 1 to 64 of `[a-z0-9_-]`. At most 500. Default: none.
    #[serde(default)]
    pub plans: BTreeMap<String, Plan>,
    /// What can be bought at a set price, by name: 1 to 64 of `[a-z0-9_-]`. At most 500. Default: none.
    #[serde(default)]
    pub packs: BTreeMap<String, Pack>,
    /// What can be bought for an amount of the buyer's choice, by currency: `USD`, ... Default: none.
    #[serde(default)]
    pub custom_amounts: BTreeMap<String, CustomAmount>,
    /// What credits are spent on, by name: 1 to 64 of `[a-z0-9_-]`. At most 500. Default: none.
    #[serde(default)]
    pub operations: BTreeMap<String, Operation>,
    /// What an account may spend at most. A plan's cap, or support's for one account, takes the place of a program's cap of
    /// the same window, scope and operations. At most 100. Default: none.
    #[serde(default)]
    pub caps: Vec<Cap>,
    /// What an account must have to buy, and to spend. Default: those of its fields.
    #[serde(default)]
    pub gates: Gates,
    /// How long holds last. Default: those of its fields.
    #[serde(default)]
    pub holds: Holds,
    /// How long quotes are honoured. Default: those of its fields.
    #[serde(default)]
    pub quotes: Quotes,
    /// What refunds of spends do. Default: those of its fields.
    #[serde(default)]
    pub refunds: Refunds,
    /// What support may add to a refund. Default: those of its fields.
    #[serde(default)]
    pub compensation: Compensation,
    /// What an account in debt may do. Default: those of its fields.
    #[serde(default)]
    pub debt: Debt,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// What people read: `credits`, `USD`, ...
    pub name: Name,
    /// Digits behind the point when shown, 0 to 9: with scale 4 an amount of 12,345 is shown as 1.2345. Default: 0.
    #[serde(default)]
    pub scale: u8,
}

/// Holds: credits set aside for work under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// How long a hold lasts that names no end of its own, in seconds, 1 to `expires_in_s_max`. Default: 900.
    pub expires_in_s: u32,
    /// The longest that a hold may last, in seconds, 1 to 31,536,000. Default: 604,800, a week.
    pub expires_in_s_max: u32,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            expires_in_s: 900,
            expires_in_s_max: 604_800,
        }
    }
}

/// Quotes: what an operation would cost, binding for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quotes {
    /// How long a quote is honoured, in seconds, 1 to 86,400. Default: 300.
    pub expires_in_s: u32,
}

impl Default for Quotes {
    fn default() -> Self {
        Self { expires_in_s: 300 }
    }
}

/// What refunds of spends do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refunds {
    /// For credits whose grant has expired meanwhile, by class. Default: those of its fields.
    pub expired_source: ExpiredSources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpiredSources {
    /// For grants of class plan. Default: reissue.
    pub plan: ExpiredSource,
    /// For grants of class addon. Default: reissue.
    pub addon: ExpiredSource,
    /// For grants of class balance. Default: reissue.
    pub balance: ExpiredSource,
}

/// What support may add to a refund for the trouble: a bonus of so many times the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Compensation {
    /// The most times the refunded amount that the bonus may be, 0 to 10. Default: 0, no bonus.
    pub multiplier_max: u32,
    /// The class of the bonus. Default: balance.
    pub class: Class,
    /// When the bonus expires. Default: never.
    pub expiry: Expiry,
}

impl Default for Compensation {
    fn default() -> Self {
        Self {
            multiplier_max: 0,
            class: Class::Balance,
            expiry: Expiry::Never,
        }
    }
}

/// What an account in debt may do: one that spent credits whose payment was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Debt {
    /// Whether it may spend what it has left. Default: false.
    pub may_spend: bool,
}

impl Default for Program {
    /// What a new tenant starts with: whole credits, and nothing to sell.
    fn default() -> Self {
        Self {
            unit: Unit {
                name: Name::credits(),
                scale: 0,
            },
            timezone: Zone::default(),
            spending_order: ClassOrder::default(),
            plans: BTreeMap::new(),
            packs: BTreeMap::new(),
            custom_amounts: BTreeMap::new(),
            operations: BTreeMap::new(),
            caps: Vec::new(),
            gates: Gates::default(),
            holds: Holds::default(),
            quotes: Quotes::default(),
            refunds: Refunds::default(),
            compensation: Compensation::default(),
            debt: Debt::default(),
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
            None => self.amount_in_words(pack.credits.get()),
        }
    }

    /// An amount as people read it: `12.0000 USD`, `500 credits`.
    pub fn amount_in_words(&self, amount: i64) -> String {
        format!("{} {}", decimal(amount, self.unit.scale), self.unit.name.as_str())
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
