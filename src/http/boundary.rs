//! What surrounds every request: its id, its metrics, and one line in the log.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::Problem;
use crate::random;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A caller's own request id is taken over up to this length, in bytes.
const REQUEST_ID_LEN_MAX: usize = 128;

/// Gives the request an id (the caller's, if it sent a sound one), measures it, and logs it once: a failure of ours as an
/// error, all else for those who look closer. No header and no body is ever logged.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    request.headers_mut().insert(&REQUEST_ID, id.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);

    let mut response = next.run(request).await;
    response = restate(response);

    let status = response.status();
    let elapsed = started.elapsed();
    metrics::histogram!("scrip_http_request_seconds", "route" => route.to_owned(), "method" => method_label(&method))
        .record(elapsed);
    metrics::counter!("scrip_http_requests_total", "status" => status_label(status)).increment(1);
    let (id_text, latency_us) = (id.to_str().unwrap_or_default(), elapsed.as_micros() as u64);
    if status.is_server_error() {
        tracing::error!(http.request_id = id_text, http.method = %method, http.route = route, http.status = status.as_u16(), latency_us, "http.request");
    } else {
        tracing::debug!(http.request_id = id_text, http.method = %method, http.route = route, http.status = status.as_u16(), latency_us, "http.request");
    }
    response.headers_mut().insert(&REQUEST_ID, id);
    response
}

fn request_id(request: &Request) -> HeaderValue {
    let sound = |id: &&HeaderValue| {
        (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    match request.headers().get(&REQUEST_ID).filter(sound) {
        Some(id) => id.clone(),
        None => HeaderValue::from_str(&next_request_id()).unwrap_or_else(|_| HeaderValue::from_static("none")),
    }
}

/// This process' own random half, and a count: unique without asking for randomness at every request.
fn next_request_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_le_bytes(random::bytes()));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}-{}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What layers below refuse in their own words (a body that is too large, a time-out) in ours.
fn restate(response: Response) -> Response {
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t == "application/problem+json");
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE if !is_problem && response.headers().get(header::CONTENT_TYPE).is_none() => {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "timed_out",
                "The request took too long. A write may have been done: send it again with the same Idempotency-Key.",
            )
            .retry_after_s(1)
            .into_response()
        }
        _ => response,
    }
}

fn method_label(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
