//! A grant: credits that came in together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    ids::{GrantId, SubscriptionId, TopUpId, TransactionId},
    money::Money,
};

/// The spending order's first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Plan,
    Addon,
    Balance,
}

impl Class {
    pub const ALL: [Self; 3] = [Self::Plan, Self::Addon, Self::Balance];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Addon => "addon",
            Self::Balance => "balance",
        }
    }

    /// As stored.
    pub fn code(self) -> i16 {
        match self {
            Self::Plan => 1,
            Self::Addon => 2,
            Self::Balance => 3,
        }
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

/// How a grant came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Allocation,
    AddonUnits,
    TopUp,
    Bonus,
    Promotion,
    Compensation,
    Adjustment,
    Legacy,
    Import,
    Reissue,
    /// What remained of an allowance, in the cycles after.
    Rollover,
}

impl Origin {
    const ALL: [Self; 11] = [
        Self::Allocation,
        Self::AddonUnits,
        Self::TopUp,
        Self::Bonus,
        Self::Promotion,
        Self::Compensation,
        Self::Adjustment,
        Self::Legacy,
        Self::Import,
        Self::Reissue,
        Self::Rollover,
    ];

    /// As stored: its place in the list above, counted from 1.
    pub fn code(self) -> i16 {
        self as i16 + 1
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.code() == code)
    }
}

/// The lowest and highest priority of a grant; lower is spent first.
pub const PRIORITY_RANGE: std::ops::RangeInclusive<i32> = -1000..=1000;

/// A grant as it stands in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    /// The transaction that made it.
    pub transaction_id: TransactionId,
    pub class: Class,
    pub origin: Origin,
    pub priority: i32,
    /// What came in.
    pub amount: i64,
    /// What is left of it, held or free. Spendable only within its time.
    pub remaining: i64,
    /// What holds have set aside of it.
    pub held: i64,
    pub effective_at: DateTime<Utc>,
    /// The first instant at which it is gone; none: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// The operations it may pay for; none: all.
    pub applies_to: Option<Vec<String>>,
    /// What was paid for it, where that is known.
    pub paid: Option<Money>,
    pub top_up_id: Option<TopUpId>,
    /// Of a reissue or a rollover: the expired grant in whose place it stands.
    pub source_grant_id: Option<GrantId>,
    /// The subscription that granted it.
    pub subscription_id: Option<SubscriptionId>,
    /// The version of the tenant's program it was made under.
    pub program_version: Option<i32>,
}

impl Grant {
    /// What is left of it and not held.
    pub fn free(&self) -> i64 {
        self.remaining - self.held
    }

    pub fn expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether money was paid for it: free credits are spent first.
    pub fn was_paid(&self) -> bool {
        self.paid.is_some() || self.origin == Origin::TopUp || self.is_of_units()
    }

    /// Whether it is of add-on units, or stands in the place of such a grant.
    pub fn is_of_units(&self) -> bool {
        let of_subscription = self.class == Class::Addon && self.subscription_id.is_some();
        self.origin == Origin::AddonUnits || self.origin == Origin::Reissue && of_subscription
    }

    /// Within [effective_at, expires_at).
    pub fn live(&self, now: DateTime<Utc>) -> bool {
        self.effective_at <= now && !self.expired(now)
    }

    /// Whether it may pay for `operation`. A spend that names none is paid by grants for all operations only.
    pub fn applies_to(&self, operation: Option<&str>) -> bool {
        match &self.applies_to {
            None => true,
            Some(operations) => operation.is_some_and(|wanted| operations.iter().any(|o| o == wanted)),
        }
    }
}

/// What a grant lost at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantEnd {
    pub grant_id: GrantId,
    pub class: Class,
    pub origin: Origin,
    pub subscription_id: Option<SubscriptionId>,
    pub amount: i64,
}

impl GrantEnd {
    /// Of a grant that is about to expire.
    pub fn of(grant: &Grant) -> Self {
        Self {
            grant_id: grant.id,
            class: grant.class,
            origin: grant.origin,
            subscription_id: grant.subscription_id,
            amount: grant.free(),
        }
    }
}
