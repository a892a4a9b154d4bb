//! From rows to the words of the domain.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use crate::domain::{
    credits::Amount,
    entry::LedgerAccount,
    grant::{Class, Grant, Origin},
    ids::{GrantId, SubscriptionId, TopUpId, TransactionId},
    money::{Currency, Money},
    transaction::Kind,
};

pub(super) fn corrupt(what: &'static str, detail: impl std::fmt::Display) -> StorageError {
    StorageError::Corrupt {
        what,
        detail: detail.to_string(),
    }
}

pub(super) fn class(code: i16) -> Result<Class, StorageError> {
    Class::from_code(code).ok_or_else(|| corrupt("a class", code))
}

pub(super) fn kind(code: i16) -> Result<Kind, StorageError> {
    Kind::from_code(code).ok_or_else(|| corrupt("a transaction's kind", code))
}

pub(super) fn ledger_account(code: i16) -> Result<LedgerAccount, StorageError> {
    LedgerAccount::from_code(code).ok_or_else(|| corrupt("a ledger account", code))
}

pub(super) fn money(amount: i64, currency: String) -> Result<Money, StorageError> {
    Ok(Money {
        amount: Amount::new(amount).ok_or_else(|| corrupt("a price", amount))?,
        currency: Currency::try_from(currency).map_err(|e| corrupt("a currency", e))?,
    })
}

pub(super) fn json<T: DeserializeOwned>(what: &'static str, value: Value) -> Result<T, StorageError> {
    serde_json::from_value(value).map_err(|e| corrupt(what, e))
}

pub(super) fn parsed<T: TryFrom<String, Error = String>>(what: &'static str, text: String) -> Result<T, StorageError> {
    T::try_from(text).map_err(|e| corrupt(what, e))
}

/// A row of `grants`.
pub(super) struct GrantRow {
    pub account_id: Uuid,
    pub id: Uuid,
    pub transaction_id: Uuid,
    pub class: i16,
    pub origin: i16,
    pub priority: i32,
    pub amount: i64,
    pub remaining: i64,
    pub held: i64,
    pub effective_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub applies_to: Option<Value>,
    pub paid_amount: Option<i64>,
    pub paid_currency: Option<String>,
    pub top_up_id: Option<Uuid>,
    pub source_grant_id: Option<Uuid>,
    pub subscription_id: Option<Uuid>,
    pub program_version: Option<i32>,
}

impl TryFrom<GrantRow> for Grant {
    type Error = StorageError;

    fn try_from(row: GrantRow) -> Result<Self, StorageError> {
        Ok(Self {
            id: GrantId(row.id),
            transaction_id: TransactionId(row.transaction_id),
            class: class(row.class)?,
            origin: Origin::from_code(row.origin).ok_or_else(|| corrupt("a grant's origin", row.origin))?,
            priority: row.priority,
            amount: row.amount,
            remaining: row.remaining,
            held: row.held,
            effective_at: row.effective_at,
            expires_at: row.expires_at,
            applies_to: row
                .applies_to
                .map(|list| json("a grant's applies_to", list))
                .transpose()?,
            paid: match (row.paid_amount, row.paid_currency) {
                (Some(amount), Some(currency)) => Some(money(amount, currency)?),
                _ => None,
            },
            top_up_id: row.top_up_id.map(TopUpId),
            source_grant_id: row.source_grant_id.map(GrantId),
            subscription_id: row.subscription_id.map(SubscriptionId),
            program_version: row.program_version,
        })
    }
}
