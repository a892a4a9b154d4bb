//! A tenant's Stripe settings. The secrets are sealed before they come here.

use chrono::{DateTime, Utc};

use super::{Scope, StorageError};
use crate::domain::ids::TenantId;

#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// The last part of the URL that Stripe sends the tenant's events to.
    pub endpoint_id: String,
    pub secret_key_sealed: Vec<u8>,
    pub webhook_secrets_sealed: Vec<u8>,
    pub livemode: bool,
}

pub async fn get(scope: &mut Scope, tenant: TenantId) -> Result<Option<StripeSettings>, StorageError> {
    Ok(sqlx::query_as!(
        StripeSettings,
        "SELECT endpoint_id, secret_key_sealed, webhook_secrets_sealed, livemode FROM stripe_settings WHERE tenant_id = $1",
        tenant.0,
    )
    .fetch_optional(scope.connection())
    .await?)
}

/// Writes the settings and returns the endpoint's id, which stays what it was at the first writing.
pub async fn put(
    scope: &mut Scope,
    tenant: TenantId,
    settings: &StripeSettings,
    now: DateTime<Utc>,
) -> Result<String, StorageError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO stripe_settings (tenant_id, endpoint_id, secret_key_sealed, webhook_secrets_sealed, livemode, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT stripe_settings_pkey DO UPDATE
         SET secret_key_sealed = excluded.secret_key_sealed, webhook_secrets_sealed = excluded.webhook_secrets_sealed,
             livemode = excluded.livemode, updated_at = excluded.updated_at
         RETURNING endpoint_id",
        tenant.0,
        settings.endpoint_id,
        settings.secret_key_sealed,
        settings.webhook_secrets_sealed,
        settings.livemode,
        now,
    )
    .fetch_one(scope.connection())
    .await?)
}
