//! Holds. They are written by the batch (`batch::store`).

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Scope, StorageError,
    rows::{corrupt, json, parsed},
};
use crate::domain::{
    account::ExternalId,
    hold::{Hold, Status},
    ids::{AccountId, TenantId, TransactionId},
};

struct Row {
    account_id: Uuid,
    id: Uuid,
    status: i16,
    amount: i64,
    captured: i64,
    drawdown: Value,
    operation: Option<String>,
    member: Option<String>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for (AccountId, Hold) {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let hold = Hold {
            id: TransactionId(row.id),
            status: Status::from_code(row.status).ok_or_else(|| corrupt("a hold's status", row.status))?,
            amount: row.amount,
            captured: row.captured,
            drawdown: json("a hold's drawdown", row.drawdown)?,
            operation: row.operation,
            member: row.member,
            created_at: row.created_at,
            expires_at: row.expires_at,
            closed_at: row.closed_at,
        };
        Ok((AccountId(row.account_id), hold))
    }
}

/// Holds by id, and whose they are.
pub async fn by_ids(scope: &mut Scope, tenants: &[Uuid], ids: &[Uuid]) -> Result<Vec<(AccountId, Hold)>, StorageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as!(
        Row,
        "SELECT h.account_id, h.id, h.status, h.amount, h.captured, h.drawdown, h.operation, h.member, h.created_at,
                h.expires_at, h.closed_at
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
         JOIN holds h ON h.tenant_id = wanted.tenant_id AND h.id = wanted.id",
        tenants,
        ids,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(TryFrom::try_from).collect()
}

/// A hold, and whose it is.
pub async fn by_id(
    scope: &mut Scope,
    tenant: TenantId,
    id: TransactionId,
) -> Result<Option<(AccountId, Hold)>, StorageError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT account_id, id, status, amount, captured, drawdown, operation, member, created_at, expires_at, closed_at
         FROM holds WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(TryFrom::try_from).transpose()
}

/// Whose hold it is.
pub async fn account_of(
    scope: &mut Scope,
    tenant: TenantId,
    id: TransactionId,
) -> Result<Option<ExternalId>, StorageError> {
    let text = sqlx::query_scalar!(
        "SELECT a.external_id FROM holds h JOIN accounts a ON a.tenant_id = h.tenant_id AND a.id = h.account_id
         WHERE h.tenant_id = $1 AND h.id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    text.map(|text| parsed("an account's id", text)).transpose()
}

/// All that an account ever had, newest first.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    before: Option<TransactionId>,
    limit: i64,
) -> Result<Vec<Hold>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT account_id, id, status, amount, captured, drawdown, operation, member, created_at, expires_at, closed_at
         FROM holds WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        tenant.0,
        account.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .map(|row| <(AccountId, Hold)>::try_from(row).map(|(_, hold)| hold))
        .collect()
}

/// Makes or closes holds, as they stand at a batch's end.
pub(super) async fn put(scope: &mut Scope, holds: &[(TenantId, AccountId, Hold)]) -> Result<(), StorageError> {
    if holds.is_empty() {
        return Ok(());
    }
    let all = || holds.iter().map(|(.., h)| h);
    let tenants: Vec<Uuid> = holds.iter().map(|(tenant, ..)| tenant.0).collect();
    let accounts: Vec<Uuid> = holds.iter().map(|(_, account, _)| account.0).collect();
    let ids: Vec<Uuid> = all().map(|h| h.id.0).collect();
    let statuses: Vec<i16> = all().map(|h| h.status.code()).collect();
    let amounts: Vec<i64> = all().map(|h| h.amount).collect();
    let captured: Vec<i64> = all().map(|h| h.captured).collect();
    let drawdowns: Vec<String> = all()
        .map(|h| serde_json::to_string(&h.drawdown).map_err(|e| corrupt("a hold's drawdown", e)))
        .collect::<Result<_, _>>()?;
    let operations: Vec<Option<&str>> = all().map(|h| h.operation.as_deref()).collect();
    let members: Vec<Option<&str>> = all().map(|h| h.member.as_deref()).collect();
    let created_at: Vec<DateTime<Utc>> = all().map(|h| h.created_at).collect();
    let expires_at: Vec<DateTime<Utc>> = all().map(|h| h.expires_at).collect();
    let closed_at: Vec<Option<DateTime<Utc>>> = all().map(|h| h.closed_at).collect();
    let done = sqlx::query!(
        "INSERT INTO holds (tenant_id, account_id, id, status, amount, captured, drawdown, operation, member, created_at,
            expires_at, closed_at)
         SELECT tenant_id, account_id, id, status, amount, captured, drawdown::jsonb, operation, member, created_at,
            expires_at, closed_at
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bigint[], $7::text[],
            $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
            AS h (tenant_id, account_id, id, status, amount, captured, drawdown, operation, member, created_at,
                  expires_at, closed_at)
         ON CONFLICT ON CONSTRAINT holds_pkey DO UPDATE
         SET status = excluded.status, captured = excluded.captured, closed_at = excluded.closed_at",
        &tenants,
        &accounts,
        &ids,
        &statuses,
        &amounts,
        &captured,
        &drawdowns,
        operations.as_slice() as &[Option<&str>],
        members.as_slice() as &[Option<&str>],
        &created_at,
        &expires_at,
        closed_at.as_slice() as &[Option<DateTime<Utc>>],
    )
    .execute(scope.connection())
    .await?;
    super::expect_rows("holds", done.rows_affected(), holds.len())
}
