//! Transactions: the atomic unit that changes balances.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    entry::Entry,
    grant::{Class, Grant},
    ids::{ApiKeyId, TransactionId},
    spending_order::Draw,
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
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Grant,
        Self::Spend,
        Self::Refund,
        Self::TopUp,
        Self::Expiry,
        Self::Revocation,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub kind: Kind,
    /// The sum that moved.
    pub amount: i64,
    /// What the spending order could draw, for an operation that every grant applies to, once this was posted.
    pub available_after: i64,
    /// Booking time.
    pub created_at: DateTime<Utc>,
    /// The time from which it counts: of an expiry the grant's `expires_at`, else the booking time.
    pub effective_at: DateTime<Utc>,
    /// The key that asked for it; none for what Scrip does by itself.
    pub actor: Option<ApiKeyId>,
    /// Of a refund: the spend. Of an expiry or a revocation: the grant.
    pub subject: Option<uuid::Uuid>,
    pub idempotency: Option<Idempotency>,
    pub reason: Option<String>,
    pub detail: Detail,
    pub entries: Vec<Entry>,
    /// The grants it makes.
    pub new_grants: Vec<Grant>,
}

impl Transaction {
    /// What it took from grants, in the order in which it was drawn: of a spend, the drawdown.
    pub fn drawn(&self) -> impl Iterator<Item = Draw> {
        self.entries
            .iter()
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
