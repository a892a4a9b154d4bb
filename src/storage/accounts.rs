//! Accounts: their profile, and the head that every posting rewrites.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Scope, StorageError,
    rows::{json, parsed},
};
use crate::domain::{
    account::ExternalId,
    ids::{AccountId, TenantId},
};

/// A JSON object that callers attach and Scrip does not read.
pub type Metadata = serde_json::Map<String, Value>;

#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub external_id: ExternalId,
    pub profile: Profile,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What the tenant says of an account.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub name: Option<String>,
    pub email: Option<String>,
    pub stripe_customer: Option<String>,
    pub metadata: Metadata,
}

struct Row {
    id: Uuid,
    external_id: String,
    name: Option<String>,
    email: Option<String>,
    stripe_customer: Option<String>,
    metadata: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Account {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: AccountId(row.id),
            external_id: parsed("an account's id", row.external_id)?,
            profile: Profile {
                name: row.name,
                email: row.email,
                stripe_customer: row.stripe_customer,
                metadata: json("an account's metadata", row.metadata)?,
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Creates the account, or gives an existing one the new profile. True: it was created.
pub async fn put(
    scope: &mut Scope,
    tenant: TenantId,
    id: AccountId,
    external_id: &ExternalId,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<(Account, bool), StorageError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        INSERT INTO accounts (tenant_id, id, external_id, name, email, stripe_customer, metadata, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        ON CONFLICT ON CONSTRAINT accounts_external_id_key DO UPDATE
        SET name = excluded.name, email = excluded.email, stripe_customer = excluded.stripe_customer,
            metadata = excluded.metadata, updated_at = excluded.updated_at
        RETURNING id, external_id, name, email, stripe_customer, metadata, created_at, updated_at
        "#,
        tenant.0,
        id.0,
        external_id.as_str(),
        profile.name,
        profile.email,
        profile.stripe_customer,
        Value::Object(profile.metadata.clone()),
        now,
    )
    .fetch_one(scope.connection())
    .await?;
    let account = Account::try_from(row)?;
    let created = account.id == id;
    if created {
        sqlx::query!(
            "INSERT INTO account_heads (tenant_id, account_id, external_id, version, credits, used)
             VALUES ($1, $2, $3, 0, 0, 0)",
            tenant.0,
            id.0,
            external_id.as_str(),
        )
        .execute(scope.connection())
        .await?;
    }
    Ok((account, created))
}

pub async fn by_external_id(
    scope: &mut Scope,
    tenant: TenantId,
    external_id: &ExternalId,
) -> Result<Option<Account>, StorageError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, external_id, name, email, stripe_customer, metadata, created_at, updated_at
         FROM accounts WHERE tenant_id = $1 AND external_id = $2",
        tenant.0,
        external_id.as_str(),
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(Account::try_from).transpose()
}

/// The tenant's own id of an account.
pub async fn external_id(
    scope: &mut Scope,
    tenant: TenantId,
    id: AccountId,
) -> Result<Option<ExternalId>, StorageError> {
    let text = sqlx::query_scalar!(
        "SELECT external_id FROM accounts WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(scope.connection())
    .await?;
    text.map(|text| parsed("an account's id", text)).transpose()
}

/// Accounts after `after` in the order in which they were made, up to `limit`.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<Account>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, external_id, name, email, stripe_customer, metadata, created_at, updated_at
         FROM accounts WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        tenant.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// What support types: a part of the account's id, name or email, in any case, or a Stripe customer.
pub async fn search(
    scope: &mut Scope,
    tenant: TenantId,
    query: &str,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<Account>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, external_id, name, email, stripe_customer, metadata, created_at, updated_at
         FROM accounts
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)
           AND (strpos(lower(external_id), lower($3)) > 0 OR strpos(lower(name), lower($3)) > 0
                OR strpos(lower(email), lower($3)) > 0 OR stripe_customer = $3)
         ORDER BY id LIMIT $4",
        tenant.0,
        after.map(|id| id.0),
        query,
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}
