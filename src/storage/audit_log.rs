//! The audit log: what support did, who it was, and why. Append-only by privilege, like the books.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Scope, StorageError};
use crate::domain::ids::{AccountId, ApiKeyId, TenantId, TransactionId};

#[derive(Debug, Clone)]
pub struct Record {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub actor_id: ApiKeyId,
    /// The person the key belongs to.
    pub actor_name: String,
    pub action: String,
    pub account_id: Option<AccountId>,
    pub transaction_id: Option<TransactionId>,
    pub reason: String,
    pub ticket: Option<String>,
    pub detail: Option<Value>,
}

pub async fn insert(scope: &mut Scope, tenant: TenantId, record: &Record) -> Result<(), StorageError> {
    sqlx::query!(
        "INSERT INTO audit_log (tenant_id, id, at, actor_id, actor_name, action, account_id, transaction_id, reason,
             ticket, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant.0,
        record.id,
        record.at,
        record.actor_id.0,
        record.actor_name,
        record.action,
        record.account_id.map(|id| id.0),
        record.transaction_id.map(|id| id.0),
        record.reason,
        record.ticket,
        record.detail,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// The log, newest first.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Record, Option<String>)>, StorageError> {
    let rows = sqlx::query!(
        r#"SELECT l.id, l.at, l.actor_id, l.actor_name, l.action, l.account_id, l.transaction_id, l.reason, l.ticket,
             l.detail, a.external_id AS "external_id?"
         FROM audit_log l LEFT JOIN accounts a ON a.tenant_id = l.tenant_id AND a.id = l.account_id
         WHERE l.tenant_id = $1 AND ($2::uuid IS NULL OR l.id < $2) ORDER BY l.id DESC LIMIT $3"#,
        tenant.0,
        before,
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let record = Record {
                id: row.id,
                at: row.at,
                actor_id: ApiKeyId(row.actor_id),
                actor_name: row.actor_name,
                action: row.action,
                account_id: row.account_id.map(AccountId),
                transaction_id: row.transaction_id.map(TransactionId),
                reason: row.reason,
                ticket: row.ticket,
                detail: row.detail,
            };
            (record, row.external_id)
        })
        .collect())
}
