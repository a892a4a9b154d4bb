//! Tenants.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Scope, StorageError,
    rows::{corrupt, parsed},
};
use crate::domain::{
    ids::TenantId,
    tenant::{Mode, Slug, Tenant},
};

struct Row {
    tenant_id: Uuid,
    slug: String,
    name: String,
    mode: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Tenant {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: TenantId(row.tenant_id),
            slug: parsed("a tenant's slug", row.slug)?,
            name: parsed("a tenant's name", row.name)?,
            mode: match row.mode.as_str() {
                "live" => Mode::Live,
                "sandbox" => Mode::Sandbox,
                other => return Err(corrupt("a tenant's mode", other)),
            },
            created_at: row.created_at,
        })
    }
}

/// The constraint that a slug in use violates.
pub const SLUG_KEY: &str = "tenants_slug_key";

pub async fn insert(scope: &mut Scope, tenant: &Tenant) -> Result<(), StorageError> {
    sqlx::query!(
        "INSERT INTO tenants (tenant_id, slug, name, mode, created_at) VALUES ($1, $2, $3, $4, $5)",
        tenant.id.0,
        tenant.slug.as_str(),
        tenant.name.as_str(),
        tenant.mode.as_str(),
        tenant.created_at,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// Tenants after `after` in the order of their ids, up to `limit`.
pub async fn list(scope: &mut Scope, after: Option<TenantId>, limit: i64) -> Result<Vec<Tenant>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT tenant_id, slug, name, mode, created_at FROM tenants
         WHERE $1::uuid IS NULL OR tenant_id > $1 ORDER BY tenant_id LIMIT $2",
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(Tenant::try_from).collect()
}

pub async fn by_slug(scope: &mut Scope, slug: &Slug) -> Result<Option<Tenant>, StorageError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT tenant_id, slug, name, mode, created_at FROM tenants WHERE slug = $1",
        slug.as_str(),
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(Tenant::try_from).transpose()
}

pub async fn by_id(scope: &mut Scope, tenant: TenantId) -> Result<Option<Tenant>, StorageError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT tenant_id, slug, name, mode, created_at FROM tenants WHERE tenant_id = $1",
        tenant.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(Tenant::try_from).transpose()
}
