//! What a statement is made of: the transactions of a span of time, and what remained before them.

use chrono::{DateTime, Utc};

use super::{Scope, StorageError, past::first_id, transactions};
use crate::domain::{
    ids::{AccountId, TenantId},
    tenant::Mode,
    transaction::Transaction,
};

/// The frame of a statement of [from, before).
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// What remained just before `from`, held or not.
    pub opening_balance: i64,
    /// How many transactions moved credits.
    pub lines: i64,
}

/// Counted back from what remains now, so that it costs what was posted since, not the account's whole history. An entry
/// between two of the customer's ledger accounts (codes below 10) changes nothing that remains. Transactions are looked up
/// one by one (see `past::page`).
pub async fn frame(
    scope: &mut Scope,
    tenant: TenantId,
    mode: Mode,
    account: AccountId,
    from: DateTime<Utc>,
    before: DateTime<Utc>,
) -> Result<Frame, StorageError> {
    Ok(sqlx::query_as!(
        Frame,
        r#"
        SELECT (h.credits - coalesce(since.moved, 0))::bigint AS "opening_balance!", since.lines AS "lines!"
        FROM account_heads h
        CROSS JOIN LATERAL (
            SELECT sum(CASE WHEN e.credit < 10 THEN e.amount ELSE 0 END - CASE WHEN e.debit < 10 THEN e.amount ELSE 0 END) AS moved,
                count(*) FILTER (WHERE e.seq = 1 AND t.effective_at < $5) AS lines
            FROM entries e
            CROSS JOIN LATERAL (SELECT * FROM transactions WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) AS t
            WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.transaction_id >= $3 AND t.effective_at >= $4
        ) AS since
        WHERE h.tenant_id = $1 AND h.account_id = $2
        "#,
        tenant.0,
        account.0,
        first_id(mode, from),
        from,
        before,
    )
    .fetch_one(scope.connection())
    .await?)
}

/// The transactions with entries that count in [from, before), in no order: up to `limit`.
pub async fn transactions(
    scope: &mut Scope,
    tenant: TenantId,
    mode: Mode,
    account: AccountId,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Vec<Transaction>, StorageError> {
    let ids = sqlx::query_scalar!(
        "SELECT t.id FROM entries e
         CROSS JOIN LATERAL (SELECT * FROM transactions WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) AS t
         WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.transaction_id >= $3 AND e.seq = 1
           AND t.effective_at >= $4 AND t.effective_at < $5
         LIMIT $6",
        tenant.0,
        account.0,
        first_id(mode, from),
        from,
        before,
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    let posted = transactions::by_ids(scope, &[tenant], &ids).await?;
    Ok(posted.into_iter().map(|posted| posted.transaction).collect())
}
