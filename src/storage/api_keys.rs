//! API keys. Only their hashes are stored.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Scope, StorageError, rows::corrupt};
use crate::domain::{
    ids::{ApiKeyId, TenantId},
    role::Role,
};

/// A key as it is listed: everything but the key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub role: Role,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

struct Row {
    id: Uuid,
    role: String,
    name: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for ApiKey {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: ApiKeyId(row.id),
            role: Role::parse(&row.role).ok_or_else(|| corrupt("a key's role", &row.role))?,
            name: row.name,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        })
    }
}

pub async fn insert(
    scope: &mut Scope,
    tenant: TenantId,
    key: &ApiKey,
    key_hash: &[u8; 32],
) -> Result<(), StorageError> {
    sqlx::query!(
        "INSERT INTO api_keys (tenant_id, id, key_hash, role, name, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        tenant.0,
        key.id.0,
        key_hash.as_slice(),
        key.role.as_str(),
        key.name,
        key.created_at,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// The key with this hash, unless it was revoked.
pub async fn by_hash(scope: &mut Scope, tenant: TenantId, key_hash: &[u8; 32]) -> Result<Option<ApiKey>, StorageError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, role, name, created_at, revoked_at FROM api_keys
         WHERE tenant_id = $1 AND key_hash = $2 AND revoked_at IS NULL",
        tenant.0,
        key_hash.as_slice(),
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(ApiKey::try_from).transpose()
}

pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    after: Option<ApiKeyId>,
    limit: i64,
) -> Result<Vec<ApiKey>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, role, name, created_at, revoked_at FROM api_keys
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        tenant.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// Revokes the key. False: the tenant has no such key. A key revoked before stays as it is.
pub async fn revoke(
    scope: &mut Scope,
    tenant: TenantId,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let done = sqlx::query!(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
        now,
    )
    .execute(scope.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
