//! Gates: what an account must have to buy, and to spend a class.

use serde::{Deserialize, Serialize};

use crate::domain::{grant::Class, subscription::Standing};

/// What opens a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// It is always open.
    #[default]
    None,
    /// A live subscription of any plan.
    Subscription,
    /// A live subscription of a plan that is paid.
    PaidSubscription,
}

impl Requirement {
    /// Whether an account of this standing has what it takes.
    pub fn is_met(self, standing: Standing) -> bool {
        match self {
            Self::None => true,
            Self::Subscription => standing.subscribed,
            Self::PaidSubscription => standing.paid,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Subscription => "subscription",
            Self::PaidSubscription => "paid_subscription",
        }
    }
}

/// A closed gate freezes credits and never destroys them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// For buying credits. Default: none.
    pub purchase: Requirement,
    /// For spending the grants of a class. Default: those of its fields.
    pub spend: SpendGates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpendGates {
    /// For grants of class plan. Default: none.
    pub plan: Requirement,
    /// For grants of class addon. Default: none.
    pub addon: Requirement,
    /// For grants of class balance. Default: none.
    pub balance: Requirement,
}

impl Gates {
    /// Whether nothing is gated for spending: then an account's standing need not be known.
    pub fn are_open_to_all(&self) -> bool {
        self.spend == SpendGates::default()
    }
}

impl SpendGates {
    pub fn of(&self, class: Class) -> Requirement {
        match class {
            Class::Plan => self.plan,
            Class::Addon => self.addon,
            Class::Balance => self.balance,
        }
    }
}
