//! Where Stripe sends a tenant's events: verified, kept, answered. They are worked off afterwards.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Serialize;

use super::{
    body::{Path, Raw},
    error::{Problem, ProblemBody},
    state::AppState,
};
use crate::{
    storage::{stripe_events::NewEvent, stripe_settings},
    stripe::{
        event::Event,
        settings::{EndpointId, open_webhook_secrets},
        signature,
    },
};

/// The largest event, in bytes.
const EVENT_LEN_MAX: usize = 512 * 1024;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Received {
    received: bool,
}

/// Receive an event of Stripe's
///
/// An unknown endpoint and a bad signature get the same answer.
#[utoipa::path(post, path = "/v1/stripe/webhooks/{endpoint_id}", tag = "stripe",
    params(("endpoint_id" = String, Path), ("Stripe-Signature" = String, Header)), request_body = String, responses(
    (status = 200, description = "Kept", body = Received),
    (status = 400, description = "`invalid_signature`, `malformed_event`", body = ProblemBody),
    (status = 413, description = "`body_too_large`", body = ProblemBody)))]
pub async fn receive(
    State(state): State<AppState>,
    Path(endpoint_id): Path<String>,
    headers: HeaderMap,
    Raw(payload): Raw<EVENT_LEN_MAX>,
) -> Result<Json<Received>, Problem> {
    let endpoint = EndpointId::parse(&endpoint_id).ok_or_else(invalid_signature)?;
    let mut scope = state.db.tenant(endpoint.tenant).await?;
    let settings = stripe_settings::get(&mut scope, endpoint.tenant).await?;
    scope.commit().await?;
    let settings = settings
        .filter(|s| s.endpoint_id == endpoint.as_str())
        .ok_or_else(invalid_signature)?;
    let secrets = open_webhook_secrets(&state.encryption_key, endpoint.tenant, &settings)?;
    let header = headers
        .get("stripe-signature")
        .and_then(|h| h.to_str().ok())
        .ok_or_else(invalid_signature)?;
    signature::verify(&payload, header, &secrets, state.now().timestamp()).map_err(|error| {
        tracing::warn!(tenant.id = %endpoint.tenant, %error, "stripe.webhook.refused");
        invalid_signature()
    })?;
    let event = Event::parse(&payload).map_err(|error| {
        tracing::warn!(tenant.id = %endpoint.tenant, %error, "stripe.webhook.malformed");
        Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_event",
            format!("The event can't be read: {error}."),
        )
    })?;
    let new = NewEvent {
        event_id: &event.id,
        kind: &event.kind,
        livemode: event.livemode,
        payload: &payload,
    };
    state.inbox.keep(endpoint.tenant, &new).await?;
    Ok(Json(Received { received: true }))
}

fn invalid_signature() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid_signature",
        "The signature does not match this endpoint.",
    )
}
