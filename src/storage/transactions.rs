//! Transactions and their entries, for reading. They are written by the batch (`batch::store`).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Scope, StorageError,
    rows::{GrantRow, corrupt, json, kind, ledger_account, parsed},
};
use crate::domain::{
    account::ExternalId,
    entry::{Entry, LedgerAccount},
    grant::Grant,
    ids::{AccountId, ApiKeyId, GrantId, TenantId, TransactionId},
    transaction::{Detail, Effects, Idempotency, Kind, Transaction},
};

/// A transaction as it stands in the books.
#[derive(Debug, Clone)]
pub struct Posted {
    pub tenant: TenantId,
    pub account_id: AccountId,
    pub transaction: Transaction,
}

/// A spend, and what has been given back of it.
#[derive(Debug, Clone)]
pub struct Spend {
    pub account_id: AccountId,
    pub transaction: Transaction,
    pub refunded: i64,
}

/// Transactions by id, whole: with their entries, and the grants they made as they were then.
pub async fn by_ids(scope: &mut Scope, tenants: &[TenantId], ids: &[Uuid]) -> Result<Vec<Posted>, StorageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let tenants: Vec<Uuid> = tenants.iter().map(|t| t.0).collect();
    let rows = sqlx::query!(
        "SELECT tenant_id, id, account_id, kind, amount, available_after, created_at, effective_at, actor_id, subject_id,
                idempotency_key, request_hash, reason, detail
         FROM transactions WHERE tenant_id = ANY ($1) AND id = ANY ($2)",
        &tenants,
        ids,
    )
    .fetch_all(scope.connection())
    .await?;
    let accounts: Vec<Uuid> = rows.iter().map(|row| row.account_id).collect();
    let mut entries = entries_of(scope, &tenants, &accounts, ids).await?;
    let mut new_grants = grants_made_by(scope, &tenants, &accounts, ids).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Posted {
                tenant: TenantId(row.tenant_id),
                account_id: AccountId(row.account_id),
                transaction: Transaction {
                    id: TransactionId(row.id),
                    kind: kind(row.kind)?,
                    amount: row.amount,
                    available_after: row.available_after,
                    created_at: row.created_at,
                    effective_at: row.effective_at,
                    actor: row.actor_id.map(ApiKeyId),
                    subject: row.subject_id,
                    idempotency: idempotency(row.idempotency_key, row.request_hash)?,
                    reason: row.reason,
                    detail: match row.detail {
                        Some(detail) => json("a transaction's detail", detail)?,
                        None => Detail::default(),
                    },
                    entries: entries.remove(&row.id).unwrap_or_default(),
                    new_grants: new_grants.remove(&row.id).unwrap_or_default(),
                    effects: Effects::default(),
                },
            })
        })
        .collect()
}

fn idempotency(key: Option<String>, hash: Option<Vec<u8>>) -> Result<Option<Idempotency>, StorageError> {
    let (Some(key), Some(hash)) = (key, hash) else {
        return Ok(None);
    };
    let request_hash = hash
        .try_into()
        .map_err(|_| corrupt("a request's hash", "it has not 16 bytes"))?;
    Ok(Some(Idempotency { key, request_hash }))
}

async fn entries_of(
    scope: &mut Scope,
    tenants: &[Uuid],
    accounts: &[Uuid],
    transactions: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Entry>>, StorageError> {
    let rows = sqlx::query!(
        "SELECT transaction_id, grant_id, amount, debit, credit FROM entries
         WHERE tenant_id = ANY ($1) AND account_id = ANY ($2) AND transaction_id = ANY ($3)
         ORDER BY transaction_id, seq",
        tenants,
        accounts,
        transactions,
    )
    .fetch_all(scope.connection())
    .await?;
    let mut entries: HashMap<Uuid, Vec<Entry>> = HashMap::new();
    for row in rows {
        entries.entry(row.transaction_id).or_default().push(Entry {
            grant_id: GrantId(row.grant_id),
            debit: ledger_account(row.debit)?,
            credit: ledger_account(row.credit)?,
            amount: row.amount,
        });
    }
    Ok(entries)
}

async fn grants_made_by(
    scope: &mut Scope,
    tenants: &[Uuid],
    accounts: &[Uuid],
    transactions: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Grant>>, StorageError> {
    let rows = sqlx::query_as!(
        GrantRow,
        r#"SELECT g.account_id, g.id, g.transaction_id, g.class, g.origin, g.priority, g.amount, g.amount AS "remaining!",
                0::bigint AS "held!", g.effective_at,
                g.expires_at, g.applies_to, g.paid_amount, g.paid_currency, g.top_up_id, g.source_grant_id,
                g.subscription_id, g.program_version
         FROM entries e JOIN grants g ON g.tenant_id = e.tenant_id AND g.id = e.grant_id
         WHERE e.tenant_id = ANY ($1) AND e.account_id = ANY ($2) AND e.transaction_id = ANY ($3)
           AND g.transaction_id = e.transaction_id
         ORDER BY e.transaction_id, e.seq"#,
        tenants,
        accounts,
        transactions,
    )
    .fetch_all(scope.connection())
    .await?;
    let mut grants: HashMap<Uuid, Vec<Grant>> = HashMap::new();
    for row in rows {
        grants
            .entry(row.transaction_id)
            .or_default()
            .push(Grant::try_from(row)?);
    }
    Ok(grants)
}

/// The spend with this id; none if the tenant has no such transaction or it is no spend.
pub async fn spend(scope: &mut Scope, tenant: TenantId, id: TransactionId) -> Result<Option<Spend>, StorageError> {
    let Some(posted) = by_ids(scope, &[tenant], &[id.0]).await?.pop() else {
        return Ok(None);
    };
    if posted.transaction.kind != Kind::Spend {
        return Ok(None);
    }
    // The literal kind lets the statement use the index of refunds.
    let refunded = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(amount), 0)::bigint AS "refunded!" FROM transactions
           WHERE tenant_id = $1 AND subject_id = $2 AND kind = 3"#,
        tenant.0,
        id.0,
    )
    .fetch_one(scope.connection())
    .await?;
    Ok(Some(Spend {
        account_id: posted.account_id,
        transaction: posted.transaction,
        refunded,
    }))
}

/// Whose spend it is.
pub async fn account_of_spend(
    scope: &mut Scope,
    tenant: TenantId,
    id: TransactionId,
) -> Result<Option<ExternalId>, StorageError> {
    let text = sqlx::query_scalar!(
        "SELECT a.external_id FROM transactions t JOIN accounts a ON a.tenant_id = t.tenant_id AND a.id = t.account_id
         WHERE t.tenant_id = $1 AND t.id = $2 AND t.kind = $3",
        tenant.0,
        id.0,
        Kind::Spend.code(),
    )
    .fetch_optional(scope.connection())
    .await?;
    text.map(|text| parsed("an account's id", text)).transpose()
}

/// An account's transactions, newest first.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    before: Option<TransactionId>,
    limit: i64,
) -> Result<Vec<Transaction>, StorageError> {
    // The entries' primary key leads by account, so it serves as the index of an account's transactions. What concerns a
    // subscription or support's caps may have no entries, and an index of its own.
    let ids = sqlx::query_scalar!(
        r#"SELECT listed.id AS "id!" FROM (
               (SELECT DISTINCT transaction_id AS id FROM entries
                WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR transaction_id < $3)
                ORDER BY transaction_id DESC LIMIT $4)
               UNION
               (SELECT id FROM transactions
                WHERE tenant_id = $1 AND account_id = $2 AND kind IN (10, 11, 13) AND ($3::uuid IS NULL OR id < $3)
                ORDER BY id DESC LIMIT $4)
           ) AS listed ORDER BY listed.id DESC LIMIT $4"#,
        tenant.0,
        account.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    let mut transactions: Vec<Transaction> = by_ids(scope, &[tenant], &ids)
        .await?
        .into_iter()
        .map(|posted| posted.transaction)
        .collect();
    transactions.sort_by_key(|t| std::cmp::Reverse(t.id));
    Ok(transactions)
}

/// An entry with what its transaction says of it.
#[derive(Debug, Clone)]
pub struct Line {
    pub transaction_id: TransactionId,
    pub seq: i16,
    pub kind: Kind,
    pub grant_id: GrantId,
    pub debit: LedgerAccount,
    pub credit: LedgerAccount,
    pub amount: i64,
    pub created_at: DateTime<Utc>,
    pub effective_at: DateTime<Utc>,
}

/// An account's entries, newest first.
pub async fn list_entries(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    before: Option<(TransactionId, i16)>,
    limit: i64,
) -> Result<Vec<Line>, StorageError> {
    let rows = sqlx::query!(
        "SELECT e.transaction_id, e.seq, t.kind, e.grant_id, e.debit, e.credit, e.amount, t.created_at, t.effective_at
         FROM entries e JOIN transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id
         WHERE e.tenant_id = $1 AND e.account_id = $2
           AND ($3::uuid IS NULL OR (e.transaction_id, e.seq) < ($3, $4))
         ORDER BY e.transaction_id DESC, e.seq DESC LIMIT $5",
        tenant.0,
        account.0,
        before.map(|(id, _)| id.0),
        before.map_or(0, |(_, seq)| seq),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Line {
                transaction_id: TransactionId(row.transaction_id),
                seq: row.seq,
                kind: kind(row.kind)?,
                grant_id: GrantId(row.grant_id),
                debit: ledger_account(row.debit)?,
                credit: ledger_account(row.credit)?,
                amount: row.amount,
                created_at: row.created_at,
                effective_at: row.effective_at,
            })
        })
        .collect()
}
