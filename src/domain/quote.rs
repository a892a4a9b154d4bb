//! Quotes: what a spend would cost and which grants would pay, honoured for a while.

use chrono::{DateTime, Utc};

use super::{
    cap::CapStanding,
    ids::{AccountId, QuoteId, TransactionId},
    program::Wanted,
    spending_order::Draw,
};

/// A quote as it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    pub id: QuoteId,
    pub account_id: AccountId,
    pub operation: Option<String>,
    /// Of a priced operation.
    pub wanted: Option<Wanted>,
    pub member: Option<String>,
    /// What it costs.
    pub amount: i64,
    pub program_version: Option<i32>,
    /// Which grants would pay; less than `amount` if there was too little.
    pub drawdown: Vec<Draw>,
    /// The caps that count it, as they stood.
    pub caps: Vec<CapStanding>,
    /// Whether it could be spent when it was given. Only then is more than its price honoured.
    pub affordable: bool,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// The spend or hold it was used for.
    pub used_by: Option<TransactionId>,
}
