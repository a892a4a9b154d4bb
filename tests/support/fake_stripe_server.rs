//! The fake's HTTP side: routing, Bearer keys, Idempotency-Key, and faults.
//!
//! Idempotency as Stripe documents it: a key belongs to an account; the first answer that came out of executing a
//! request is given again (`Idempotent-Replayed: true`), errors included; the same key with other parameters is a
//! 400 `idempotency_error`; a second request while the first is under way is a 409. Not remembered, because nothing
//! was executed: authentication failures, failed validation, 409 and 429.
//!
//! Each request runs in a task of its own: a client that hangs up or times out does not undo it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, Full, Limited};

use super::form::{self, Params};
use super::objects;
use super::routes::{self, dispatch};
use super::world::{Remembered, Reply, World};
use super::{ApiFault, RecordedRequest};

pub type Shared = Arc<Mutex<World>>;

pub fn router(shared: Shared) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

pub fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request with everything read.
pub struct Call {
    pub method: Method,
    pub path: String,
    pub params: Params,
    pub bearer: Option<String>,
    pub idempotency_key: Option<String>,
    pub request_id: String,
}

enum Answer {
    Json {
        reply: Reply,
        original_request: Option<String>,
    },
    Html(u16),
    /// A good status, and half of the body.
    Garbled,
    /// The connection ends without an answer.
    Cut,
}

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let encoded = match head.method {
        Method::GET => head.uri.query().unwrap_or_default().to_owned(),
        _ => String::from_utf8_lossy(&body).into_owned(),
    };
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let call = Call {
        path: head.uri.path().to_owned(),
        params: form::decode(&encoded),
        bearer: header("authorization").and_then(|text| text.strip_prefix("Bearer ").map(str::to_owned)),
        idempotency_key: header("idempotency-key").filter(|_| head.method == Method::POST),
        request_id: lock(&shared).new_id("req_"),
        method: head.method,
    };
    let (request_id, key) = (call.request_id.clone(), call.idempotency_key.clone());
    match tokio::spawn(answer(shared, call)).await {
        Ok(answer) => respond(answer, &request_id, key.as_deref()),
        Err(panic) => (StatusCode::NOT_IMPLEMENTED, format!("the fake Stripe failed: {panic}")).into_response(),
    }
}

async fn answer(shared: Shared, call: Call) -> Answer {
    let mut recorded = RecordedRequest {
        method: call.method.to_string(),
        path: call.path.clone(),
        idempotency_key: call.idempotency_key.clone(),
        params: call.params.clone(),
        status: None,
        replayed: false,
    };
    let answer = decide(&shared, &call).await;
    if let Answer::Json {
        reply: (status, _),
        original_request,
    } = &answer
    {
        (recorded.status, recorded.replayed) = (Some(*status), original_request.is_some());
    }
    if let Answer::Html(status) = answer {
        recorded.status = Some(status);
    }
    lock(&shared).requests.push(recorded);
    answer
}

async fn decide(shared: &Shared, call: &Call) -> Answer {
    let Some(account) = call
        .bearer
        .as_deref()
        .filter(|key| lock(shared).accounts.contains_key(*key))
    else {
        return json_answer(routes::unauthorized(call.bearer.as_deref()));
    };
    let fault = {
        let mut world = lock(shared);
        if call.method == Method::POST {
            world.post_faults.pop_front()
        } else {
            world.get_faults.pop_front()
        }
    };
    match fault {
        None => execute(shared, account, call, None, Duration::ZERO).await,
        Some(ApiFault::Slow(pause)) => execute(shared, account, call, None, pause).await,
        Some(ApiFault::AnswerLost) => {
            execute(shared, account, call, None, Duration::ZERO).await;
            Answer::Cut
        }
        Some(ApiFault::AnswerGarbled) => {
            execute(shared, account, call, None, Duration::ZERO).await;
            Answer::Garbled
        }
        Some(ApiFault::Declined) => execute(shared, account, call, Some(routes::declined()), Duration::ZERO).await,
        Some(ApiFault::ServerErrorSaved) => {
            execute(shared, account, call, Some(routes::server_error()), Duration::ZERO).await
        }
        Some(ApiFault::ServerError) => json_answer(routes::server_error()),
        Some(ApiFault::BadGateway) => Answer::Html(502),
        Some(ApiFault::RateLimited) => json_answer(routes::rate_limited()),
        Some(ApiFault::KeyInUse) => json_answer(routes::key_in_use("")),
        Some(ApiFault::RequestLost) => Answer::Cut,
    }
}

fn json_answer(reply: Reply) -> Answer {
    Answer::Json {
        reply,
        original_request: None,
    }
}

/// Runs the request under its idempotency key. `instead` is an answer that executing comes to in place of the
/// real one; `pause` passes while the key is in progress.
async fn execute(shared: &Shared, account: &str, call: &Call, instead: Option<Reply>, pause: Duration) -> Answer {
    let fingerprint = format!("{} {} {:?}", call.method, call.path, call.params);
    if let Some(key) = &call.idempotency_key {
        if key.len() > 255 {
            return json_answer((
                400,
                objects::invalid("Idempotency key: at most 255 characters", None, None),
            ));
        }
        let mut world = lock(shared);
        match world.account(account).remembered.get(key).cloned() {
            Some(Remembered::InProgress) => return json_answer(routes::key_in_use(key)),
            Some(Remembered::Done { fingerprint: first, .. }) if first != fingerprint => {
                return json_answer(routes::key_reused(key));
            }
            Some(Remembered::Done { reply, request_id, .. }) => {
                return Answer::Json {
                    reply,
                    original_request: Some(request_id),
                };
            }
            None => world
                .account(account)
                .remembered
                .insert(key.clone(), Remembered::InProgress),
        };
    }
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let mut world = lock(shared);
    let reply = instead.unwrap_or_else(|| dispatch(&mut world, account, call));
    if let Some(key) = call.idempotency_key.clone() {
        let executed = !matches!(reply.0, 400 | 401 | 404 | 409 | 429);
        let remembered = &mut world.account(account).remembered;
        if executed {
            let request_id = call.request_id.clone();
            remembered.insert(
                key,
                Remembered::Done {
                    fingerprint,
                    reply: reply.clone(),
                    request_id,
                },
            );
        } else {
            remembered.remove(&key);
        }
    }
    json_answer(reply)
}

fn respond(answer: Answer, request_id: &str, key: Option<&str>) -> Response {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set("request-id", request_id);
    set("stripe-version", objects::API_VERSION);
    set("content-type", "application/json");
    if let Some(key) = key {
        set("idempotency-key", key);
    }
    match answer {
        Answer::Json {
            reply: (status, body),
            original_request,
        } => {
            if let Some(original) = original_request {
                set("idempotent-replayed", "true");
                set("original-request", &original);
            }
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, headers, body.to_string()).into_response()
        }
        Answer::Html(status) => {
            set("content-type", "text/html");
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, headers, "<html><h1>Bad Gateway</h1></html>").into_response()
        }
        Answer::Garbled => (headers, "{\"id\": \"cs_test_").into_response(),
        Answer::Cut => {
            // A body that fails on its first byte: the server drops the connection with the answer unfinished.
            set("content-length", "4096");
            let broken = Limited::new(Full::new(Bytes::from_static(b"cut")), 0);
            (headers, Body::new(broken)).into_response()
        }
    }
}
