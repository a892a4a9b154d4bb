//! Transactions: the atomic unit that changes balances.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    cap::{CapOverride, Count},
    entry::{Entry, LedgerAccount},
    grant::{Class, Grant},
    hold::Hold,
    ids::{ApiKeyId, QuoteId, TransactionId},
    program::Wanted,
    spending_order::Draw,
    subscription::{Snapshot, Subscription},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Grant,
    Spend,
    Refund,
    TopUp,
    Expiry,
    Revocation,
    /// Credits set aside.
    Hold,
    /// A hold was given up.
    Void,
    /// A hold ended at its deadline.
    HoldExpiry,
    /// A subscription began, changed or ended, with what that grants.
    Subscription,
    /// The next cycle of a subscription.
    Renewal,
    /// What remained of an allowance goes into the next cycles.
    Rollover,
    /// Support set the account's caps.
    CapOverride,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Grant,
        Self::Spend,
        Self::Refund,
        Self::TopUp,
        Self::Expiry,
        Self::Revocation,
        Self::Hold,
        Self::Void,
        Self::HoldExpiry,
        Self::Subscription,
        Self::Renewal,
        Self::Rollover,
        Self::CapOverride,
    ];

    /// As stored: its place in the list above, counted from 1.
    pub fn code(self) -> i16 {
        self as i16 + 1
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The caller's key and a digest of the request it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    pub request_hash: [u8; 16],
}

/// What the caller said of a transaction, kept with it. Empty fields are not stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Detail {
    /// What the credits were spent on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Of a priced operation: how many of it, and its attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
    /// The quote it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<QuoteId>,
    /// Of a hold, and of what ended one: the hold as it stood afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Box<Hold>>,
    /// Of a subscription's beginning, change, renewal or end: the subscription as it stood afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Box<Snapshot>>,
    /// Of support's caps: all that hold from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<CapOverride>>,
    /// Who in the account acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Of a partial spend: what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i64>,
    /// Of a refund: what has been given back of the spend, this refund included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded_total: Option<i64>,
    /// Of a support person's write: the ticket it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Whatever the caller wants to find again: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Detail {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a transaction does beside moving credits. The rows that it changes keep it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// A hold that it makes or ends, as it stands afterwards.
    pub hold: Option<Hold>,
    /// A subscription that it makes or changes, as it stands afterwards.
    pub subscription: Option<Box<Subscription>>,
    /// What it adds to the counters of caps.
    pub counts: Vec<Count>,
    /// The account's own caps from now on.
    pub cap_overrides: Option<Vec<CapOverride>>,
    /// The quote that it uses.
    pub quote: Option<QuoteId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub kind: Kind,
    /// The sum that moved. 0 only of what concerns a subscription or support's caps.
    pub amount: i64,
    /// What the spending order could draw, for an operation that every grant applies to, once this was posted.
    pub available_after: i64,
    /// Booking time.
    pub created_at: DateTime<Utc>,
    /// The time from which it counts: of an expiry the grant's `expires_at`, else the booking time.
    pub effective_at: DateTime<Utc>,
    /// The key that asked for it; none for what Scrip does by itself.
    pub actor: Option<ApiKeyId>,
    /// Of a refund: the spend. Of an expiry or a revocation: the grant. Of a capture's spend, a void or a hold's expiry: the
    /// hold. Of what concerns a subscription: that.
    pub subject: Option<uuid::Uuid>,
    pub idempotency: Option<Idempotency>,
    pub reason: Option<String>,
    pub detail: Detail,
    pub entries: Vec<Entry>,
    /// The grants it makes.
    pub new_grants: Vec<Grant>,
    pub effects: Effects,
}

impl Transaction {
    /// What it took from grants, in the order in which it was drawn: the drawdown of a spend or a hold.
    pub fn drawn(&self) -> impl Iterator<Item = Draw> {
        let into = match self.kind {
            Kind::Spend => Some(LedgerAccount::Consumed),
            Kind::Hold => Some(LedgerAccount::Held),
            _ => None,
        };
        self.entries
            .iter()
            .filter(move |entry| into.is_none_or(|into| entry.credit == into))
            .filter_map(|entry| Some(part(entry, entry.debit.class()?)))
    }

    /// What it put into grants: of a refund, where the credits went.
    pub fn returned(&self) -> impl Iterator<Item = Draw> {
        self.entries
            .iter()
            .filter_map(|entry| Some(part(entry, entry.credit.class()?)))
    }
}

fn part(entry: &Entry, class: Class) -> Draw {
    Draw {
        grant_id: entry.grant_id,
        class,
        amount: entry.amount,
    }
}
