//! A tenant's Stripe settings.

use axum::{extract::State, http::StatusCode, response::Response};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    http::{
        auth::Admin,
        body::Body,
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, once},
        state::AppState,
    },
    storage::{
        Scope,
        stripe_settings::{self, StripeSettings},
    },
    stripe::settings::{EndpointId, seal},
};

/// Stripe's own secrets have about 110 characters.
const SECRET_LEN_MAX: usize = 500;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSettings {
    /// `sk_test_...`, `sk_live_...`, or a restricted key `rk_...` that may write Checkout sessions.
    #[schema(value_type = String)]
    secret_key: SecretString,
    /// The signing secret of the webhook endpoint, `whsec_...`; two while one replaces the other. None at first: Stripe
    /// shows the secret once it has been given the URL that this answers. Until then every event is refused.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 2)]
    webhook_secrets: Vec<SecretString>,
    /// Whether real money moves. Events of the other mode are kept, but not posted.
    livemode: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SettingsView {
    /// Where Stripe must send the tenant's events.
    webhook_url: String,
    endpoint_id: String,
}

/// Connect Stripe
///
/// The secrets are encrypted and never shown again. The webhook's URL stays the same when they are put anew.
#[utoipa::path(put, path = "/v1/stripe", tag = "stripe", security(("admin" = [])), request_body = NewSettings, responses(
    (status = 200, description = "Connected", body = SettingsView),
    (status = 422, description = "`invalid_secret_key`, `invalid_webhook_secrets`", body = ProblemBody)))]
pub async fn put(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    key: RequestKey,
    body: Body<NewSettings>,
) -> Result<Response, Problem> {
    let new = &body.value;
    check(new)?;
    let tenant = principal.tenant;
    let sealed = seal(&state.encryption_key, tenant, &new.secret_key, &new.webhook_secrets)?;
    let settings = StripeSettings {
        endpoint_id: EndpointId::new(tenant).to_string(),
        secret_key_sealed: sealed.secret_key,
        webhook_secrets_sealed: sealed.webhook_secrets,
        livemode: new.livemode,
    };
    let scope = state.db.tenant(tenant).await?;
    once(
        &state,
        tenant,
        scope,
        key.optional(&body.bytes),
        async |scope: &mut Scope| {
            let endpoint_id = stripe_settings::put(scope, tenant, &settings, state.now()).await?;
            let webhook_url = format!("{}/v1/stripe/webhooks/{endpoint_id}", state.settings.public_url);
            Ok((
                StatusCode::OK,
                json!(SettingsView {
                    webhook_url,
                    endpoint_id
                }),
            ))
        },
    )
    .await
}

/// What is wrong is said without the secret: the answer may be logged.
fn check(new: &NewSettings) -> Result<(), Problem> {
    let sound = |secret: &SecretString, prefixes: &[&str]| {
        let secret = secret.expose_secret();
        prefixes
            .iter()
            .any(|p| secret.strip_prefix(p).is_some_and(|rest| !rest.is_empty()))
            && secret.len() <= SECRET_LEN_MAX
            && secret.bytes().all(|b| b.is_ascii_graphic())
    };
    if !sound(&new.secret_key, &["sk_", "rk_"]) {
        return Err(Problem::unprocessable(
            "invalid_secret_key",
            "secret_key: give Stripe's secret key (sk_...) or a restricted one (rk_...).",
        )
        .with("field", "secret_key"));
    }
    if new.webhook_secrets.len() > 2 || !new.webhook_secrets.iter().all(|s| sound(s, &["whsec_"])) {
        return Err(Problem::unprocessable(
            "invalid_webhook_secrets",
            "webhook_secrets: give up to two signing secrets (whsec_...).",
        )
        .with("field", "webhook_secrets"));
    }
    Ok(())
}
