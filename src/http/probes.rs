//! For those who run it: is it alive, is it ready, how is it doing.

use axum::{extract::State, http::StatusCode, response::IntoResponse};

use super::{error::Problem, state::AppState};

/// Alive
///
/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "running", responses((status = 200, description = "Alive", body = str)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready
///
/// The database answers, so requests can be served.
#[utoipa::path(get, path = "/readyz", tag = "running", responses(
    (status = 200, description = "Ready", body = str), (status = 503, description = "The database does not answer")))]
pub async fn readyz(State(state): State<AppState>) -> Result<&'static str, Problem> {
    let ping = tokio::time::timeout(std::time::Duration::from_secs(2), state.db.ping()).await;
    match ping {
        Ok(Ok(())) => Ok("ready\n"),
        _ => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The database does not answer.",
        )
        .retry_after_s(1)),
    }
}

/// Metrics
///
/// In Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "running", responses((status = 200, description = "Metrics", body = str)))]
pub async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    state.metrics.run_upkeep();
    (
        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
        state.metrics.render(),
    )
}
