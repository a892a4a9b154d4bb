//! The routes, and the OpenAPI document made from the very same list.

use axum::{Json, Router, routing::get};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_scalar::{Scalar, Servable};

use super::{probes, state::AppState, stripe_webhook, v1};
use crate::domain::role::Role;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Scrip",
        description = "A multi-tenant credit ledger. Amounts are integers in the unit's smallest step, times RFC 3339 in UTC. \
                       A refusal is application/problem+json with a stable `code`. Every write takes an `Idempotency-Key`; \
                       those that move credits must have one.",
        license(name = "MIT OR Apache-2.0"),
    ),
    modifiers(&Keys),
    tags(
        (name = "tenants", description = "For whoever runs Scrip."),
        (name = "keys", description = "A tenant's API keys."),
        (name = "program", description = "What a tenant sells, and its rules."),
        (name = "accounts", description = "Whose credits, and how many."),
        (name = "grants", description = "Credits that come in."),
        (name = "spends", description = "Credits that go, and come back."),
        (name = "holds", description = "Credits set aside for work under way."),
        (name = "subscriptions", description = "What is granted again and again."),
        (name = "top-ups", description = "Credits that are bought."),
        (name = "books", description = "Transactions, entries, the trial balance."),
        (name = "support", description = "For named support people."),
        (name = "stripe", description = "The connection to Stripe."),
        (name = "running", description = "Probes and metrics."),
    )
)]
struct Description;

/// A security scheme per role: every operation names the roles that may call it.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_with(Default::default);
        for role in [Role::Operator, Role::Admin, Role::Backend, Role::Support, Role::Read] {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(format!("A key with the role {}.", role.as_str()));
            components.add_security_scheme(role.as_str(), SecurityScheme::Http(scheme));
        }
    }
}

/// Every route of the API.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(v1::tenants::create, v1::tenants::list))
        .routes(routes!(v1::api_keys::create, v1::api_keys::list))
        .routes(routes!(v1::api_keys::revoke))
        .routes(routes!(v1::programs::get, v1::programs::put))
        .routes(routes!(v1::test_clock::advance))
        .routes(routes!(v1::test_clock::get))
        .routes(routes!(v1::programs::lint))
        .routes(routes!(v1::programs::preview))
        .routes(routes!(v1::stripe_settings::put))
        .routes(routes!(v1::accounts::list))
        .routes(routes!(v1::accounts::get, v1::accounts::put))
        .routes(routes!(v1::balance::get))
        .routes(routes!(v1::grants::create, v1::grants::list))
        .routes(routes!(v1::grants::revoke))
        .routes(routes!(v1::spends::create))
        .routes(routes!(v1::spends::get))
        .routes(routes!(v1::refunds::create))
        .routes(routes!(v1::quotes::create))
        .routes(routes!(v1::holds::create, v1::holds::list))
        .routes(routes!(v1::holds::get))
        .routes(routes!(v1::holds::capture))
        .routes(routes!(v1::holds::void))
        .routes(routes!(v1::subscriptions::create, v1::subscriptions::list))
        .routes(routes!(
            v1::subscriptions::get,
            v1::subscriptions::change,
            v1::subscriptions::cancel
        ))
        .routes(routes!(v1::top_ups::create, v1::top_ups::list))
        .routes(routes!(v1::top_ups::get))
        .routes(routes!(v1::transactions::list))
        .routes(routes!(v1::transactions::list_entries))
        .routes(routes!(v1::usage::get))
        .routes(routes!(v1::statement::get))
        .routes(routes!(v1::trial_balance::get))
        .routes(routes!(v1::admin::accounts::search))
        .routes(routes!(v1::admin::refunds::create))
        .routes(routes!(v1::admin::caps::put))
        .routes(routes!(v1::admin::audit_log::list))
        .routes(routes!(v1::admin::stripe_events::list))
        .routes(routes!(stripe_webhook::receive))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
}

/// The OpenAPI document.
pub fn document() -> Document {
    routes().split_for_parts().1
}

/// The document as JSON, and as a page to read and try.
pub(super) fn documentation(document: &Document) -> Router<AppState> {
    let json = document.clone();
    Router::new()
        .route("/openapi.json", get(move || std::future::ready(Json(json.clone()))))
        .merge(Scalar::with_url("/docs", document.clone()))
}
