//! The test clocks of sandbox tenants.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Scope, StorageError};
use crate::domain::ids::TenantId;

/// What the clocks of these tenants show. A tenant whose clock was never set is not among them.
pub async fn of(scope: &mut Scope, tenants: &[TenantId]) -> Result<HashMap<TenantId, DateTime<Utc>>, StorageError> {
    if tenants.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = sqlx::query!("SELECT tenant_id, at FROM test_clocks WHERE tenant_id = ANY ($1)", &ids)
        .fetch_all(scope.connection())
        .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), row.at)).collect())
}

/// The tenant's time: what its clock shows, or the machine's time `now` if it was never set.
pub async fn now(scope: &mut Scope, tenant: TenantId, now: DateTime<Utc>) -> Result<DateTime<Utc>, StorageError> {
    Ok(of(scope, &[tenant]).await?.get(&tenant).copied().unwrap_or(now))
}

/// Moves a tenant's clock forward. False: it shows a later time already.
pub async fn advance(scope: &mut Scope, tenant: TenantId, to: DateTime<Utc>) -> Result<bool, StorageError> {
    let done = sqlx::query!(
        "INSERT INTO test_clocks (tenant_id, at) VALUES ($1, $2)
         ON CONFLICT ON CONSTRAINT test_clocks_pkey DO UPDATE SET at = excluded.at WHERE test_clocks.at <= excluded.at",
        tenant.0,
        to,
    )
    .execute(scope.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
