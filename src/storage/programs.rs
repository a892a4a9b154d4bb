//! Programs, in versions.

use chrono::{DateTime, Utc};

use super::{
    Scope, StorageError,
    rows::{corrupt, json},
};
use crate::domain::{
    ids::{ApiKeyId, TenantId},
    program::{Program, ProgramVersion},
};

/// A version of a tenant's program.
#[derive(Debug, Clone)]
pub struct Versioned {
    pub version: i32,
    pub program: Program,
    pub created_at: DateTime<Utc>,
}

/// The constraint that two writers of the same version violate.
pub const VERSION_KEY: &str = "programs_pkey";

/// The newest version; none if the tenant never put a program.
pub async fn current(scope: &mut Scope, tenant: TenantId) -> Result<Option<Versioned>, StorageError> {
    let row = sqlx::query!(
        "SELECT version, document, created_at FROM programs WHERE tenant_id = $1 ORDER BY version DESC LIMIT 1",
        tenant.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(|row| {
        Ok(Versioned {
            version: row.version,
            program: json("a program", row.document)?,
            created_at: row.created_at,
        })
    })
    .transpose()
}

/// Versions that are looked back upon: what fell due under an older one is decided by the oldest of these.
const VERSIONS_MAX: i64 = 50;

/// The newest versions, the oldest of them first.
pub async fn newest(scope: &mut Scope, tenant: TenantId) -> Result<Vec<ProgramVersion>, StorageError> {
    let rows = sqlx::query!(
        "SELECT version, document, created_at FROM programs WHERE tenant_id = $1 ORDER BY version DESC LIMIT $2",
        tenant.0,
        VERSIONS_MAX,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .rev()
        .map(|row| {
            Ok(ProgramVersion {
                version: row.version,
                since: row.created_at,
                program: json("a program", row.document)?,
            })
        })
        .collect()
}

/// Puts `program` in force as the next version, and answers with it. One like the version in force makes no new one: then
/// that is the answer.
///
/// Two that are put in the same moment violate [`VERSION_KEY`].
pub async fn put(
    scope: &mut Scope,
    tenant: TenantId,
    program: &Program,
    now: DateTime<Utc>,
    by: Option<ApiKeyId>,
) -> Result<Versioned, StorageError> {
    let current = current(scope, tenant).await?;
    let version = match current {
        Some(current) if current.program == *program => return Ok(current),
        Some(current) => current.version + 1,
        None => 1,
    };
    let new = Versioned {
        version,
        program: program.clone(),
        created_at: now,
    };
    insert(scope, tenant, &new, by).await?;
    Ok(new)
}

async fn insert(
    scope: &mut Scope,
    tenant: TenantId,
    new: &Versioned,
    by: Option<ApiKeyId>,
) -> Result<(), StorageError> {
    let document = serde_json::to_value(&new.program).map_err(|e| corrupt("a program", e))?;
    sqlx::query!(
        "INSERT INTO programs (tenant_id, version, document, created_at, created_by) VALUES ($1, $2, $3, $4, $5)",
        tenant.0,
        new.version,
        document,
        new.created_at,
        by.map(|id| id.0),
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}
