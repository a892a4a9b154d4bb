//! The accounts for which something falls due by time, for the jobs to find.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Scope, StorageError, rows::parsed};
use crate::domain::{
    account::ExternalId,
    ids::{AccountId, TenantId},
};

/// Takes up to `limit` accounts of a tenant for which something is due at `now`, those that wait longest first: no other
/// process gets them before `until`. `claimed_at` is the machine's time, `now` the tenant's.
pub async fn claim(
    scope: &mut Scope,
    tenant: TenantId,
    now: DateTime<Utc>,
    claimed_at: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ExternalId>, StorageError> {
    let ids = sqlx::query_scalar!(
        "WITH due AS (
             SELECT account_id FROM account_due
             WHERE tenant_id = $1 AND due_at <= $2 AND (claimed_until IS NULL OR claimed_until <= $3)
             ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
         ), claimed AS (
             UPDATE account_due d SET claimed_until = $4
             FROM due WHERE d.tenant_id = $1 AND d.account_id = due.account_id
             RETURNING d.account_id
         )
         SELECT h.external_id FROM claimed JOIN account_heads h ON h.tenant_id = $1 AND h.account_id = claimed.account_id",
        tenant.0,
        now,
        claimed_at,
        until,
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    ids.into_iter().map(|id| parsed("an account's id", id)).collect()
}

/// Those of the tenants that have due work at `now`.
pub async fn tenants_with_due(
    scope: &mut Scope,
    tenants: &[TenantId],
    now: DateTime<Utc>,
) -> Result<Vec<TenantId>, StorageError> {
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let due = sqlx::query_scalar!(
        r#"SELECT t.tenant_id AS "tenant_id!" FROM unnest($1::uuid[]) AS t (tenant_id)
           LEFT JOIN test_clocks c ON c.tenant_id = t.tenant_id
           -- The first by the index: EXISTS was planned as a scan of all accounts.
           WHERE (SELECT min(d.due_at) FROM account_due d WHERE d.tenant_id = t.tenant_id) <= coalesce(c.at, $2)"#,
        &ids,
        now,
    )
    .fetch_all(scope.connection())
    .await?;
    Ok(due.into_iter().map(TenantId).collect())
}

/// When something falls due for an account; none: nothing does by itself.
pub async fn of_account(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    let due = sqlx::query_scalar!(
        "SELECT due_at FROM account_due WHERE tenant_id = $1 AND account_id = $2",
        tenant.0,
        account.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    Ok(due.flatten())
}

/// When the next thing falls due for a tenant, or the first did that is not run yet; none: nothing does by itself.
pub async fn next(scope: &mut Scope, tenant: TenantId) -> Result<Option<DateTime<Utc>>, StorageError> {
    Ok(
        sqlx::query_scalar!("SELECT min(due_at) FROM account_due WHERE tenant_id = $1", tenant.0)
            .fetch_one(scope.connection())
            .await?,
    )
}

/// Whether something is due for a tenant, in whoever's hands it is.
pub async fn any(scope: &mut Scope, tenant: TenantId, now: DateTime<Utc>) -> Result<bool, StorageError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM account_due WHERE tenant_id = $1 AND due_at <= $2) AS "any!""#,
        tenant.0,
        now,
    )
    .fetch_one(scope.connection())
    .await?)
}

/// Says anew when something falls due for accounts. None: nothing does.
pub(super) async fn put(
    scope: &mut Scope,
    due: &[(TenantId, AccountId, Option<DateTime<Utc>>)],
) -> Result<(), StorageError> {
    if due.is_empty() {
        return Ok(());
    }
    let tenants: Vec<Uuid> = due.iter().map(|(tenant, ..)| tenant.0).collect();
    let accounts: Vec<Uuid> = due.iter().map(|(_, account, _)| account.0).collect();
    let at: Vec<Option<DateTime<Utc>>> = due.iter().map(|(.., at)| *at).collect();
    let done = sqlx::query!(
        "INSERT INTO account_due (tenant_id, account_id, due_at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
         ON CONFLICT ON CONSTRAINT account_due_pkey DO UPDATE SET due_at = excluded.due_at, claimed_until = NULL",
        &tenants,
        &accounts,
        at.as_slice() as &[Option<DateTime<Utc>>],
    )
    .execute(scope.connection())
    .await?;
    super::expect_rows("due times", done.rows_affected(), due.len())
}
