//! The HTTP API: handlers that read a request, ask the ledger or the storage, and write an answer. No rule of credits
//! lives here.

pub mod auth;
mod body;
mod boundary;
mod error;
mod fields;
mod idempotency;
mod openapi;
mod pagination;
mod probes;
mod state;
mod stripe_webhook;
mod v1;

use std::time::Duration;

use axum::{Router, http::StatusCode, middleware};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

pub use error::{Problem, ProblemBody};
pub use openapi::document;
pub use state::{AppState, Settings, Shared};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// All routes, with what surrounds every request.
pub fn router(state: AppState) -> Router {
    let (routes, document) = openapi::routes().split_for_parts();
    routes
        .merge(openapi::documentation(&document))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        // The outermost first. As one layer: each boxes every request anew.
        .layer((
            middleware::from_fn(boundary::observe),
            CatchPanicLayer::custom(error::panicked),
            TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT),
        ))
        .with_state(state)
}
