//! A top-up: a purchase of credits. Our own row exists before Stripe is asked, and what is credited comes from it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    credits::Amount,
    grant::Class,
    ids::{AccountId, GrantId, TopUpId},
    money::Money,
    program::Expiry,
};

/// Where a top-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Written down; Stripe has not answered yet.
    Created,
    /// The checkout waits for the buyer.
    Open,
    /// Paid by a slow method: the money is under way.
    Processing,
    /// The credits are there.
    Credited,
    /// The payment failed, or Stripe refused the checkout.
    Failed,
    /// The checkout lapsed unpaid.
    Expired,
}

impl Status {
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Open,
        Self::Processing,
        Self::Credited,
        Self::Failed,
        Self::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Open => "open",
            Self::Processing => "processing",
            Self::Credited => "credited",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A purchase as it was agreed: the program may change afterwards, this does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    pub id: TopUpId,
    pub account_id: AccountId,
    pub status: Status,
    /// None: an amount of the buyer's choice.
    pub pack: Option<String>,
    /// What the buyer reads at the checkout.
    pub title: String,
    /// The account's customer at Stripe, and its address, when it was bought.
    pub stripe_customer: Option<String>,
    pub email: Option<String>,
    pub program_version: i32,
    pub price: Money,
    pub credits: Amount,
    pub class: Class,
    pub expiry: Expiry,
    /// With expiry `cycle_end`: the end of the cycle in which it was bought.
    pub expires_at: Option<DateTime<Utc>>,
    pub livemode: bool,
    /// Counts what Stripe was asked anew, from 1.
    pub attempt: i32,
    pub success_url: String,
    pub cancel_url: String,
    pub checkout_session_id: Option<String>,
    pub checkout_url: Option<String>,
    pub payment_intent_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub credited_at: Option<DateTime<Utc>>,
    pub grant_id: Option<GrantId>,
    pub failure: Option<String>,
}
