//! `Idempotency-Key`: the same key and the same body get the same answer again; with another body the key is refused.
//!
//! A write that moves credits carries its key into the ledger, which keeps it with the transaction. The keys of other
//! writes, with their answers, are kept by [`once`].

use std::ops::AsyncFnOnce;

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{error::Problem, state::AppState};
use crate::{
    domain::{ids::TenantId, rejection::Rejection, transaction::Idempotency},
    storage::{
        Scope,
        idempotent_requests::{self, Claim},
    },
};

static IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key, in bytes.
const KEY_LEN_MAX: usize = 255;
/// Keys that begin so are Scrip's own, for what it posts by itself.
pub const OWN_PREFIX: &str = "scrip:";

/// The request line and the key that came with it, if any.
pub struct RequestKey {
    key: Option<String>,
    method: Method,
    uri: Uri,
}

impl<S: Send + Sync> FromRequestParts<S> for RequestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Else `?dry_run=true` would be overlooked, and carried out.
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            let detail = "A write takes no parameters in its address: say it in the body.";
            return Err(Problem::unprocessable("invalid_parameter", detail));
        }
        Ok(Self {
            key: key_of(&parts.headers)?,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
        })
    }
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let invalid = |detail: &str| Problem::unprocessable("invalid_idempotency_key", detail);
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("Send one Idempotency-Key, not several."));
    }
    match value.to_str().map(str::trim) {
        Ok(key) if key.starts_with(OWN_PREFIX) => Err(invalid("Keys that begin with scrip: are Scrip's own.")),
        Ok(key) if (1..=KEY_LEN_MAX).contains(&key.len()) && key.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(invalid("An Idempotency-Key is 1 to 255 printable ASCII characters.")),
    }
}

impl RequestKey {
    /// For a write that moves credits: it must have a key.
    pub fn required(self, body: &[u8]) -> Result<Idempotency, Problem> {
        self.optional(body).ok_or_else(|| {
            Problem::unprocessable(
                "idempotency_key_required",
                "A call that moves credits must have an Idempotency-Key header, so that sending it again is safe.",
            )
        })
    }

    pub fn optional(self, body: &[u8]) -> Option<Idempotency> {
        let request_hash = request_hash(&self.method, self.uri.path(), body);
        Some(Idempotency {
            key: self.key?,
            request_hash,
        })
    }
}

/// A digest of what is asked: the call, and its body with keys in order and without white space.
fn request_hash(method: &Method, path: &str, body: &[u8]) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update(method.as_str());
    digest.update([0]);
    digest.update(path);
    digest.update([0]);
    // An empty body is an empty object, here as where it is read.
    let body = if body.is_empty() { b"{}" } else { body };
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => digest.update(value.to_string()),
        // Not JSON: a TOML program, or nothing.
        Err(_) => digest.update(body),
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest.finalize()[..16]);
    hash
}

/// The same answer again.
fn replayed(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(&IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The answer to what was posted, now or before.
pub fn posted(status: StatusCode, view: impl Serialize, was_replayed: bool) -> Response {
    let response = (status, Json(view)).into_response();
    if was_replayed { replayed(response) } else { response }
}

pub fn reused(key: &str) -> Problem {
    Rejection::IdempotencyKeyReused {
        idempotency_key: key.to_owned(),
    }
    .into()
}

/// What a key is worth to a write that is about to begin.
pub enum Turn {
    /// Go on; the key is taken.
    First,
    /// It was done before: this was the answer.
    Done(Response),
    /// It was begun before with the same request, and has no answer yet.
    Begun,
}

/// Takes the key in `scope`'s transaction, or finds what came of it.
pub async fn claim(
    state: &AppState,
    scope: &mut Scope,
    tenant: TenantId,
    idempotency: &Idempotency,
) -> Result<Turn, Problem> {
    let Idempotency { key, request_hash } = idempotency;
    match idempotent_requests::claim(scope, tenant, key, request_hash, state.now()).await? {
        Claim::Fresh => Ok(Turn::First),
        Claim::Posted => Err(reused(key)),
        Claim::Seen { request_hash: seen, .. } if seen != request_hash => Err(reused(key)),
        Claim::Seen { answer: None, .. } => Ok(Turn::Begun),
        Claim::Seen {
            answer: Some((status, sealed)),
            ..
        } => {
            let body = state.encryption_key.open(&context(tenant), &sealed)?;
            let status = u16::try_from(status)
                .ok()
                .and_then(|s| StatusCode::from_u16(s).ok())
                .unwrap_or(StatusCode::OK);
            let headers = [("content-type", "application/json")];
            Ok(Turn::Done(replayed(
                (status, headers, body.expose_secret().to_owned()).into_response(),
            )))
        }
    }
}

/// Keeps the answer to a claimed key, sealed: it may hold a key that is shown once.
pub async fn keep_answer(
    state: &AppState,
    scope: &mut Scope,
    tenant: TenantId,
    key: &str,
    status: StatusCode,
    body: &Value,
) -> Result<(), Problem> {
    let sealed = state
        .encryption_key
        .seal(&context(tenant), body.to_string().as_bytes())?;
    Ok(idempotent_requests::answer(scope, tenant, key, status.as_u16().cast_signed(), &sealed).await?)
}

fn context(tenant: TenantId) -> String {
    format!("idempotent-answer/{tenant}")
}

/// A write that moves no credits, done once per key, in one transaction with the record of its answer. A refusal leaves
/// the key free.
pub async fn once<F>(
    state: &AppState,
    tenant: TenantId,
    mut scope: Scope,
    idempotency: Option<Idempotency>,
    write: F,
) -> Result<Response, Problem>
where
    F: AsyncFnOnce(&mut Scope) -> Result<(StatusCode, Value), Problem>,
{
    if let Some(idempotency) = &idempotency {
        match claim(state, &mut scope, tenant, idempotency).await? {
            Turn::First => {}
            Turn::Done(response) => return Ok(response),
            Turn::Begun => return Err(reused(&idempotency.key)),
        }
    }
    let (status, body) = write(&mut scope).await?;
    if let Some(idempotency) = &idempotency {
        keep_answer(state, &mut scope, tenant, &idempotency.key, status, &body).await?;
    }
    scope.commit().await?;
    Ok((status, Json(body)).into_response())
}
