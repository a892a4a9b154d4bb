//! Grants, for reading. They are written by the batch (`batch::store`).

use uuid::Uuid;

use super::{Scope, StorageError, rows::GrantRow};
use crate::domain::{
    account::ExternalId,
    grant::Grant,
    ids::{AccountId, GrantId, TenantId},
};

/// The grants of accounts with something left, whether their time has come or gone; and whose they are.
pub(super) async fn open(
    scope: &mut Scope,
    tenants: &[Uuid],
    accounts: &[Uuid],
) -> Result<Vec<(AccountId, Grant)>, StorageError> {
    let rows = sqlx::query_as!(
        GrantRow,
        "SELECT g.account_id, g.id, g.transaction_id, g.class, g.origin, g.priority, g.amount, g.remaining, g.held,
                g.effective_at, g.expires_at, g.applies_to, g.paid_amount, g.paid_currency, g.top_up_id, g.source_grant_id,
                g.subscription_id, g.program_version
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, account_id)
         JOIN grants g ON g.tenant_id = wanted.tenant_id AND g.account_id = wanted.account_id AND g.closed_at IS NULL",
        tenants,
        accounts,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .map(|row| Ok((AccountId(row.account_id), Grant::try_from(row)?)))
        .collect()
}

pub async fn by_ids(scope: &mut Scope, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Grant>, StorageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as!(
        GrantRow,
        "SELECT account_id, id, transaction_id, class, origin, priority, amount, remaining, held, effective_at, expires_at, applies_to,
                paid_amount, paid_currency, top_up_id, source_grant_id, subscription_id, program_version
         FROM grants WHERE tenant_id = $1 AND id = ANY ($2)",
        tenant.0,
        ids,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// All grants an account ever had, newest first.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    before: Option<GrantId>,
    limit: i64,
) -> Result<Vec<Grant>, StorageError> {
    let rows = sqlx::query_as!(
        GrantRow,
        "SELECT account_id, id, transaction_id, class, origin, priority, amount, remaining, held, effective_at, expires_at, applies_to,
                paid_amount, paid_currency, top_up_id, source_grant_id, subscription_id, program_version
         FROM grants WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        tenant.0,
        account.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(Grant::try_from).collect()
}

/// Whose grant it is.
pub async fn account_of(scope: &mut Scope, tenant: TenantId, id: GrantId) -> Result<Option<ExternalId>, StorageError> {
    let text = sqlx::query_scalar!(
        "SELECT a.external_id FROM grants g JOIN accounts a ON a.tenant_id = g.tenant_id AND a.id = g.account_id
         WHERE g.tenant_id = $1 AND g.id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    text.map(|text| super::rows::parsed("an account's id", text))
        .transpose()
}
