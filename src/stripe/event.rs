//! A tolerant view of Stripe's webhook events, of every API era.
//!
//! The generated types of the Stripe crate refuse a whole event for one field that an older API version lacks.
//! This view takes the opposite stance: of each object it reads the few fields Scrip uses, and nothing else can
//! make it fail. It is pure; verify the signature (`signature.rs`) first.
//!
//! Two kinds of failure are kept apart, because they have two owners:
//! - [`EventError`]: the *envelope* cannot be read (not JSON, nested too deep, no id). Nothing can be stored.
//! - [`Effect::Unreadable`]: the envelope is fine but the object inside is not. The event can be kept under its
//!   id, and shown to a person; it must not post.
//!
//! Eras that differ in fields read here:
//! - an id may be a string, an expanded object or null (`payment_intent`, `customer`);
//! - `payment_status` and the amounts are absent from the oldest sessions: then nothing is claimed about them;
//! - before 2025-03-31 (Basil) a session priced in the customer's currency carried the price we asked for in
//!   `currency_conversion`; since then `currency` and the amounts are ours and `presentment_details` is theirs.
//!   The view always gives *ours*, since that is what is compared with our own row;
//! - thin events (`v2.core.event`) carry no object, an RFC 3339 time, and a `related_object` to fetch.
//!
//! Bounds: serde_json's recursion limit (128 levels) stays on and the whole body goes through it, so that deep
//! nesting anywhere, known field or not, is an error and never a stack overflow. Texts are limited in length and
//! hold no control characters (PostgreSQL refuses NUL, and a tenant can forge its own events).

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use fields::Fields;
pub use fields::{FieldError, FieldProblem};

mod fields;

/// One verified delivery, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    /// Stripe's `type`, such as `checkout.session.completed`.
    pub kind: String,
    pub created: DateTime<Utc>,
    pub livemode: bool,
    pub api_version: Option<String>,
    /// The connected account (`account`, or `context` of a thin event).
    pub account: Option<String>,
    pub effect: Effect,
}

/// What Scrip sees in an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Checkout {
        step: CheckoutStep,
        session: CheckoutSession,
    },
    PaymentIntent {
        step: PaymentIntentStep,
        intent: PaymentIntent,
    },
    /// Known, and deliberately without effect: it repeats what another event says.
    Ignored,
    /// Not (yet) read by Scrip: kept and answered 200.
    Unknown,
    /// A thin event: what it is about has to be fetched.
    Thin { related_object: Option<RelatedObject> },
    /// A type Scrip reads, with an object it cannot: kept, never posted, shown to a person.
    Unreadable(FieldError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckoutStep {
    Completed,
    AsyncPaymentSucceeded,
    AsyncPaymentFailed,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentIntentStep {
    Succeeded,
    PaymentFailed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutMode {
    Payment,
    Setup,
    Subscription,
    /// Absent, or a mode newer than this program.
    Other(Option<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentStatus {
    Paid,
    Unpaid,
    NoPaymentRequired,
    /// Absent (the oldest API versions), or newer than this program. Never to be read as paid.
    Other(Option<String>),
}

/// A Checkout session. Amounts are minor units of `currency`, which is lower case and the one *we* asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutSession {
    pub id: String,
    pub mode: CheckoutMode,
    pub payment_status: PaymentStatus,
    pub payment_intent: Option<String>,
    pub amount_total: Option<i64>,
    pub amount_subtotal: Option<i64>,
    pub currency: Option<String>,
    pub customer: Option<String>,
    pub client_reference_id: Option<String>,
    /// `metadata.scrip_top_up_id`. A hint to find our own row by; what is credited comes from the row alone.
    pub top_up_id: Option<Uuid>,
}

/// A payment intent. Amounts are minor units of `currency` (lower case).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentIntent {
    pub id: String,
    pub amount: Option<i64>,
    pub amount_received: Option<i64>,
    pub currency: Option<String>,
    pub customer: Option<String>,
    /// `metadata.scrip_top_up_id`, as for the session.
    pub top_up_id: Option<Uuid>,
}

/// What a thin event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedObject {
    pub id: String,
    pub kind: String,
    pub url: Option<String>,
}

/// Why the envelope cannot be read. Never holds any of the payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("the body is nested deeper than 128 levels")]
    TooDeep,
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("the body is not an event: {0}")]
    NotAnEvent(#[from] FieldError),
}

impl Event {
    /// Reads a verified body. Succeeds whenever the envelope is sound; see [`Effect::Unreadable`] for the rest.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let value: Value = serde_json::from_slice(body).map_err(|error| json_error(&error))?;
        let envelope = Fields::of(&value)?;
        let kind = envelope.identifier("type")?;
        let thin = envelope.optional_text("object")?.as_deref() == Some("v2.core.event");
        Ok(Self {
            id: envelope.identifier("id")?,
            created: envelope.time("created")?,
            livemode: envelope.boolean("livemode")?,
            api_version: envelope.optional_text("api_version")?,
            account: envelope.optional_text(if thin { "context" } else { "account" })?,
            effect: read_effect(&envelope, &kind, thin).unwrap_or_else(Effect::Unreadable),
            kind,
        })
    }
}

/// serde_json tells its recursion limit apart only by its message; the position is part of every syntax error.
fn json_error(error: &serde_json::Error) -> EventError {
    if error.to_string().starts_with("recursion limit exceeded") {
        return EventError::TooDeep;
    }
    EventError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

fn read_effect(envelope: &Fields<'_>, kind: &str, thin: bool) -> Result<Effect, FieldError> {
    if thin {
        return Ok(Effect::Thin {
            related_object: related_object(envelope)?,
        });
    }
    let checkout = |step| {
        let session = read_session(&envelope.child("data")?.child("object")?)?;
        Ok(Effect::Checkout { step, session })
    };
    let intent = |step| {
        let intent = read_intent(&envelope.child("data")?.child("object")?)?;
        Ok(Effect::PaymentIntent { step, intent })
    };
    match kind {
        "checkout.session.completed" => checkout(CheckoutStep::Completed),
        "checkout.session.async_payment_succeeded" => checkout(CheckoutStep::AsyncPaymentSucceeded),
        "checkout.session.async_payment_failed" => checkout(CheckoutStep::AsyncPaymentFailed),
        "checkout.session.expired" => checkout(CheckoutStep::Expired),
        "payment_intent.succeeded" => intent(PaymentIntentStep::Succeeded),
        "payment_intent.payment_failed" => intent(PaymentIntentStep::PaymentFailed),
        "charge.succeeded" | "invoice.payment_succeeded" => Ok(Effect::Ignored),
        _ => Ok(Effect::Unknown),
    }
}

fn read_session(session: &Fields<'_>) -> Result<CheckoutSession, FieldError> {
    let id = session.identifier("id")?;
    // Basil moved the customer's currency out of `currency`; before it, ours stood in `currency_conversion`.
    let conversion = session.optional_child("currency_conversion")?;
    let amounts = conversion.as_ref().unwrap_or(session);
    let currency_name = if conversion.is_some() {
        "source_currency"
    } else {
        "currency"
    };
    Ok(CheckoutSession {
        id,
        mode: match session.optional_text("mode")?.as_deref() {
            Some("payment") => CheckoutMode::Payment,
            Some("setup") => CheckoutMode::Setup,
            Some("subscription") => CheckoutMode::Subscription,
            other => CheckoutMode::Other(other.map(str::to_owned)),
        },
        payment_status: match session.optional_text("payment_status")?.as_deref() {
            Some("paid") => PaymentStatus::Paid,
            Some("unpaid") => PaymentStatus::Unpaid,
            Some("no_payment_required") => PaymentStatus::NoPaymentRequired,
            other => PaymentStatus::Other(other.map(str::to_owned)),
        },
        payment_intent: session.reference("payment_intent")?,
        amount_total: amounts.optional_amount("amount_total")?,
        amount_subtotal: amounts.optional_amount("amount_subtotal")?,
        currency: amounts.optional_currency(currency_name)?,
        customer: session.reference("customer")?,
        client_reference_id: session.optional_text("client_reference_id")?,
        top_up_id: top_up_id(session),
    })
}

fn read_intent(intent: &Fields<'_>) -> Result<PaymentIntent, FieldError> {
    Ok(PaymentIntent {
        id: intent.identifier("id")?,
        amount: intent.optional_amount("amount")?,
        amount_received: intent.optional_amount("amount_received")?,
        currency: intent.optional_currency("currency")?,
        customer: intent.reference("customer")?,
        top_up_id: top_up_id(intent),
    })
}

/// Metadata belong to the tenant: whatever else stands there, also under our name, is simply not our id.
fn top_up_id(object: &Fields<'_>) -> Option<Uuid> {
    let metadata = object.optional_child("metadata").ok().flatten()?;
    let text = metadata.optional_text("scrip_top_up_id").ok().flatten()?;
    Uuid::try_parse(&text).ok()
}

fn related_object(envelope: &Fields<'_>) -> Result<Option<RelatedObject>, FieldError> {
    let Some(related) = envelope.optional_child("related_object")? else {
        return Ok(None);
    };
    Ok(Some(RelatedObject {
        id: related.identifier("id")?,
        kind: related.identifier("type")?,
        url: related.optional_text("url")?,
    }))
}

#[cfg(test)]
mod tests;
