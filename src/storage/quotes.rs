//! Quotes.

use super::{
    Scope, StorageError,
    rows::{corrupt, json},
};
use crate::domain::{
    ids::{AccountId, QuoteId, TenantId, TransactionId},
    quote::Quote,
};

pub async fn insert(scope: &mut Scope, tenant: TenantId, quote: &Quote) -> Result<(), StorageError> {
    let value = |value: Result<serde_json::Value, serde_json::Error>| value.map_err(|e| corrupt("a quote", e));
    let wanted = quote
        .wanted
        .as_ref()
        .map(|w| value(serde_json::to_value(w)))
        .transpose()?;
    sqlx::query!(
        "INSERT INTO quotes (tenant_id, id, account_id, amount, operation, wanted, member, program_version, drawdown, caps,
            affordable, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tenant.0,
        quote.id.0,
        quote.account_id.0,
        quote.amount,
        quote.operation,
        wanted,
        quote.member,
        quote.program_version,
        value(serde_json::to_value(&quote.drawdown))?,
        value(serde_json::to_value(&quote.caps))?,
        quote.affordable,
        quote.created_at,
        quote.expires_at,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

pub async fn by_id(scope: &mut Scope, tenant: TenantId, id: QuoteId) -> Result<Option<Quote>, StorageError> {
    let row = sqlx::query!(
        "SELECT account_id, amount, operation, wanted, member, program_version, drawdown, caps, affordable, created_at,
            expires_at, used_by
         FROM quotes WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(|row| {
        Ok(Quote {
            id,
            account_id: AccountId(row.account_id),
            amount: row.amount,
            operation: row.operation,
            wanted: row.wanted.map(|wanted| json("what was quoted", wanted)).transpose()?,
            member: row.member,
            program_version: row.program_version,
            drawdown: json("a quote's drawdown", row.drawdown)?,
            caps: json("a quote's caps", row.caps)?,
            affordable: row.affordable,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_by: row.used_by.map(TransactionId),
        })
    })
    .transpose()
}

/// The quote is used: once.
pub(super) async fn mark_used(
    scope: &mut Scope,
    tenant: TenantId,
    id: QuoteId,
    by: TransactionId,
) -> Result<(), StorageError> {
    let done = sqlx::query!(
        "UPDATE quotes SET used_by = $3 WHERE tenant_id = $1 AND id = $2 AND used_by IS NULL",
        tenant.0,
        id.0,
        by.0,
    )
    .execute(scope.connection())
    .await?;
    super::expect_rows("quotes used", done.rows_affected(), 1)
}
