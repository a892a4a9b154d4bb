//! Refusals as RFC 9457 problems: a stable `code`, words for people, and the numbers that decided it.

use std::any::Any;

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{domain::rejection::Rejection, jobs::due_work::DueWorkError, ledger::LedgerError, storage::StorageError};

/// A refusal on its way out.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// The numbers and names that decided it.
    numbers: Map<String, Value>,
    retry_after_s: Option<u32>,
}

/// How a refusal is written: `application/problem+json`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// A URN that ends in the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: String,
    status: u16,
    /// Stable: what programs go by.
    code: &'static str,
    /// What happened, with the numbers, for people.
    detail: String,
    /// The numbers and names that decided it, such as `needed` and `available`.
    #[serde(flatten)]
    numbers: Map<String, Value>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            numbers: Map::new(),
            retry_after_s: None,
        }
    }

    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.numbers.insert(name.to_owned(), value.into());
        self
    }

    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Ours, not the caller's: said to the log in full, to the caller in general.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request.failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong in Scrip. Nothing was posted. The log has the cause under this request's id.",
        )
    }

    fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after_s(2)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        metrics::counter!("scrip_refusals_total", "code" => self.code).increment(1);
        let body = ProblemBody {
            kind: format!("urn:scrip:problem:{}", self.code),
            title: self.code.replace('_', " "),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            numbers: self.numbers,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"scrip\""),
            );
        }
        response
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match &rejection {
            Rejection::InsufficientCredits { .. } => StatusCode::PAYMENT_REQUIRED,
            Rejection::GateClosed { .. } | Rejection::CapExceeded { .. } | Rejection::ExceedsCapEver { .. } => {
                StatusCode::FORBIDDEN
            }
            Rejection::AccountNotFound { .. }
            | Rejection::SpendNotFound { .. }
            | Rejection::HoldNotFound { .. }
            | Rejection::QuoteNotFound { .. }
            | Rejection::SubscriptionNotFound { .. }
            | Rejection::GrantNotFound { .. }
            | Rejection::TopUpNotFound { .. } => StatusCode::NOT_FOUND,
            Rejection::SpendAlreadyRefunded { .. }
            | Rejection::GrantAlreadyClosed { .. }
            | Rejection::GrantHeld { .. }
            | Rejection::SourceGrantExpired { .. }
            | Rejection::QuoteExpired { .. }
            | Rejection::QuoteAlreadyUsed { .. }
            | Rejection::HoldAlreadyCaptured { .. }
            | Rejection::HoldAlreadyVoided { .. }
            | Rejection::HoldExpired { .. }
            | Rejection::SubscriptionAlreadyCancelled { .. }
            | Rejection::SubscriptionEnded { .. } => StatusCode::CONFLICT,
            Rejection::RefundExceedsSpend { .. }
            | Rejection::CaptureExceedsHold { .. }
            | Rejection::HoldTooLong { .. }
            | Rejection::QuoteDiffers { .. }
            | Rejection::CapOver { .. }
            | Rejection::UnknownOperation { .. }
            | Rejection::Unpriced { .. }
            | Rejection::UnknownPlan { .. }
            | Rejection::UnknownInterval { .. }
            | Rejection::InvalidAnchor { .. }
            | Rejection::PlanRenewedByStripe { .. }
            | Rejection::UnitsNotOffered { .. }
            | Rejection::TooManyUnits { .. }
            | Rejection::TooManySubscriptions { .. }
            | Rejection::PlanWithoutAllowance { .. }
            | Rejection::GrantWithoutLife { .. }
            | Rejection::AccountFull { .. }
            | Rejection::TooManyGrants { .. }
            | Rejection::IdempotencyKeyReused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut problem = Self::new(status, rejection.code(), rejection.to_string());
        if let Ok(Value::Object(numbers)) = serde_json::to_value(&rejection) {
            problem.numbers = numbers;
        }
        problem
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Rejected(rejection) => rejection.into(),
            LedgerError::Overloaded => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many commands are waiting. Nothing was done: send it again.",
            )
            .retry_after_s(1),
            LedgerError::Stopping => Self::unavailable("The service is stopping. Nothing was done: send it again."),
            LedgerError::Unavailable(error) => {
                tracing::error!(%error, "request.unavailable");
                Self::unavailable(
                    "The database did not answer in time. Send it again with the same Idempotency-Key: it is posted once.",
                )
            }
            LedgerError::Storage(error) => Self::internal(&error),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        if error.is_transient() {
            tracing::error!(%error, "request.unavailable");
            Self::unavailable("The database did not answer in time. Send it again.")
        } else {
            Self::internal(&error)
        }
    }
}

impl From<DueWorkError> for Problem {
    fn from(error: DueWorkError) -> Self {
        match error {
            DueWorkError::Storage(error) => error.into(),
            DueWorkError::Ledger(error) => error.into(),
        }
    }
}

impl From<crate::secrets::SecretsError> for Problem {
    fn from(error: crate::secrets::SecretsError) -> Self {
        Self::internal(&error)
    }
}

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(
        "path_not_found",
        format!("Nothing is at {}. /docs lists what there is.", uri.path()),
    )
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not answer {method}. /docs lists what does.", uri.path()),
    )
    .with("method", json!(method.as_str()))
}

pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    Problem::internal(&format!("a handler panicked: {}", what.unwrap_or_default())).into_response()
}
