//! Asking Stripe for the checkout of a top-up. What is asked comes from our own row alone, so that asking again says the
//! same.

use axum::http::StatusCode;

use super::not_found;
use crate::{
    domain::{ids::TenantId, top_up::TopUp},
    http::{error::Problem, state::AppState},
    storage::{stripe_settings, top_ups},
    stripe::{
        gateway::{CheckoutRequest, CheckoutSession, GatewayError},
        settings::open_secret_key,
    },
};

pub(super) async fn ask_stripe(state: &AppState, tenant: TenantId, top_up: &TopUp) -> Result<CheckoutSession, Problem> {
    let mut scope = state.db.tenant(tenant).await?;
    let settings = stripe_settings::get(&mut scope, tenant)
        .await?
        .ok_or_else(|| not_found(top_up.id))?;
    scope.commit().await?;
    if settings.livemode != top_up.livemode {
        // What is bought in one mode is never credited by a payment in the other.
        let detail = "The tenant's Stripe settings changed to another mode since this purchase began: begin another.";
        return Err(Problem::conflict("stripe_mode_changed", detail).with("top_up_id", top_up.id.to_string()));
    }
    let secret_key = open_secret_key(&state.encryption_key, tenant, &settings)?;
    let request = CheckoutRequest {
        top_up_id: top_up.id.0,
        attempt: top_up.attempt,
        product_name: top_up.title.clone(),
        amount: top_up.price.amount.get(),
        currency: top_up.price.currency.as_str().to_lowercase(),
        success_url: top_up.success_url.clone(),
        cancel_url: top_up.cancel_url.clone(),
        customer: top_up.stripe_customer.clone(),
        customer_email: top_up.email.clone(),
    };
    match state.gateway.create_checkout_session(&secret_key, &request).await {
        Ok(session) => Ok(session),
        Err(error) => Err(refused(state, tenant, top_up, error).await?),
    }
}

/// A refusal of Stripe's is written down and the next request is a new attempt; an unknown outcome leaves the row as it
/// is, so that the next request asks for the very same session.
async fn refused(state: &AppState, tenant: TenantId, top_up: &TopUp, error: GatewayError) -> Result<Problem, Problem> {
    let bad_gateway = |code, detail: String| {
        Problem::new(StatusCode::BAD_GATEWAY, code, detail).with("top_up_id", top_up.id.to_string())
    };
    match error {
        GatewayError::Refused(refusal) => {
            let detail = refusal.to_string();
            let mut scope = state.db.tenant(tenant).await?;
            top_ups::mark_refused(&mut scope, tenant, top_up.id, top_up.attempt, &detail, state.now()).await?;
            scope.commit().await?;
            Ok(bad_gateway("stripe_refused", format!("{detail}. Nothing was charged."))
                .with("stripe_code", refusal.code.clone()))
        }
        GatewayError::AuthenticationFailed { .. } => {
            tracing::warn!(tenant.id = %tenant, %error, "stripe.checkout.unauthorised");
            Ok(bad_gateway(
                "stripe_authentication_failed",
                "Stripe does not accept the tenant's secret key: PUT /v1/stripe anew.".to_owned(),
            ))
        }
        GatewayError::NotSent(_) | GatewayError::OutcomeUnknown(_) => {
            tracing::warn!(tenant.id = %tenant, %error, "stripe.checkout.unknown");
            Ok(bad_gateway(
                "stripe_unavailable",
                "Stripe did not answer. Send it again with the same Idempotency-Key.".to_owned(),
            )
            .retry_after_s(5))
        }
    }
}
