//! Reading bodies, paths and queries: what can't be read is refused with the name of the field.

use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::Problem;

/// The largest body of a request, in bytes.
pub const BODY_LEN_MAX: usize = 64 * 1024;

/// A JSON body, whatever its content type says, and a digest of what it means (not of how it is spaced or ordered).
pub struct Body<T> {
    pub value: T,
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Raw(bytes) = Raw::<BODY_LEN_MAX>::from_request(request, state).await?;
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// The bytes of a body, whatever they mean: up to `LIMIT`.
pub struct Raw<const LIMIT: usize>(pub Bytes);

impl<S: Send + Sync, const LIMIT: usize> FromRequest<S> for Raw<LIMIT> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::max(LIMIT).apply(&mut request);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body_too_large",
                    format!("The body has more than {LIMIT} bytes."),
                )
                .with("limit", LIMIT)
            } else {
                Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "The body broke off.")
            }
        })?;
        Ok(Self(bytes))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // An empty body is an empty object: calls without a required field can be made without one.
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // The path of a bad field costs time to keep, so it is sought only once there is one.
    match serde_json::from_slice(bytes) {
        // serde reads a list as a struct, field by field; here it would be a call without names.
        Ok(value) if is_object(bytes) => Ok(value),
        _ => Err(problem_of::<T>(bytes)),
    }
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

fn problem_of<T: DeserializeOwned>(bytes: &[u8]) -> Problem {
    let malformed = |error: &dyn std::fmt::Display| {
        let detail = format!("The body is not JSON: {error}.");
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
    };
    // Broken JSON is that before all else, wherever it breaks.
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        return malformed(&error);
    }
    if !is_object(bytes) {
        return Problem::unprocessable("invalid_body", "The body must be a JSON object.");
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => malformed(&"more follows"),
        Err(error) => {
            let path = error.path().to_string();
            let error = error.into_inner();
            if error.classify() == serde_json::error::Category::Data {
                field_problem(&path, &error.to_string())
            } else {
                malformed(&error)
            }
        }
    }
}

/// `invalid_amount` for `amount`, and so on; unknown, missing and doubled fields have codes of their own.
fn field_problem(path: &str, message: &str) -> Problem {
    let field = path.split(['.', '[']).next().unwrap_or_default();
    let code = match message {
        _ if message.starts_with("unknown field") => "unknown_field",
        _ if message.starts_with("missing field `amount`") => "invalid_amount",
        _ if message.starts_with("missing field") => "missing_field",
        _ if message.starts_with("duplicate field") => "duplicate_field",
        _ => invalid(field),
    };
    // serde ends with the line and column of the body; the path says it better.
    let message = without_text(message.split(" at line ").next().unwrap_or(message));
    let problem = Problem::unprocessable(code, format!("{}: {message}.", if path == "." { "body" } else { path }));
    if path == "." {
        problem
    } else {
        problem.with("field", path)
    }
}

/// serde repeats a text that it found in the wrong place. That may be a secret, and answers are logged: only its kind is
/// said.
fn without_text(message: &str) -> String {
    match (message.split_once("string \""), message.rsplit_once("\", expected ")) {
        (Some((before, _)), Some((_, expected))) => format!("{before}a string, expected {expected}"),
        _ => message.to_owned(),
    }
}

/// The code of a field that holds what it can't. Codes are constants, so that no caller can make up new ones.
fn invalid(field: &str) -> &'static str {
    const CODES: [&str; 40] = [
        "invalid_allow_over",
        "invalid_amount",
        "invalid_anchor",
        "invalid_applies_to",
        "invalid_attributes",
        "invalid_cancel_at_period_end",
        "invalid_cancel_url",
        "invalid_caps",
        "invalid_class",
        "invalid_dry_run",
        "invalid_effective_at",
        "invalid_email",
        "invalid_expires_at",
        "invalid_expires_in_s",
        "invalid_interval",
        "invalid_livemode",
        "invalid_member",
        "invalid_metadata",
        "invalid_mode",
        "invalid_money",
        "invalid_name",
        "invalid_operation",
        "invalid_origin",
        "invalid_pack",
        "invalid_paid",
        "invalid_partial",
        "invalid_plan",
        "invalid_priority",
        "invalid_quantity",
        "invalid_quote_id",
        "invalid_reason",
        "invalid_role",
        "invalid_secret_key",
        "invalid_slug",
        "invalid_stripe_customer",
        "invalid_success_url",
        "invalid_ticket",
        "invalid_to",
        "invalid_units",
        "invalid_webhook_secrets",
    ];
    CODES
        .into_iter()
        .find(|code| code.strip_prefix("invalid_") == Some(field))
        .unwrap_or("invalid_body")
}

/// A part of the path.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AxumPath(value) = AxumPath::from_request_parts(parts, state).await.map_err(|e| {
            Problem::unprocessable(
                "invalid_id",
                format!("The id in the path can't be read: {}.", e.body_text()),
            )
        })?;
        Ok(Self(value))
    }
}

/// The query. Unknown parameters are refused by the types that use `deny_unknown_fields`.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AxumQuery(value) = AxumQuery::from_request_parts(parts, state).await.map_err(|e| {
            Problem::unprocessable(
                "invalid_parameter",
                format!("The query can't be read: {}.", e.body_text()),
            )
        })?;
        Ok(Self(value))
    }
}
