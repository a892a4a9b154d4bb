//! The outgoing half of Stripe: asking for a Checkout session, with honest answers about what happened.
//!
//! The shape that matters is [`GatewayError`]: a refusal by Stripe, a key that is not accepted, and an **unknown
//! outcome** are three different things. After a time-out, a cut connection, a 5xx or an answer that cannot be
//! read, Stripe may have done what it was asked. The caller then keeps its attempt pending and asks again later
//! with the *same* idempotency key, which is made of our own row's id and so survives this process.
//!
//! One call is a bounded loop (in `retry.rs`): at most [`GatewaySettings::attempts_max`] requests, each with its own
//! time-out (the Stripe crate has none by default) and the same key, waiting only after a lock conflict, 429, 5xx
//! or a transport error. The crate's own `Retry` strategies are not used: they make up a random key.
//!
//! Nothing here logs. Errors carry Stripe's code and message, with anything that looks like a key blanked out;
//! the crate's own error text is never shown, because it prints whole objects, client secrets included.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use stripe::{IdempotencyKey, RequestStrategy, StripeRequest as _};
use stripe_checkout::CheckoutSessionMode;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, ProductData,
};
use uuid::Uuid;

pub use outcome::{GatewayError, Refusal};

mod clients;
mod outcome;
mod retry;

/// Where Stripe itself answers.
pub const STRIPE_API_BASE: &str = "https://api.stripe.com";

/// The name under which our row's id stands in the metadata of sessions and payment intents.
pub const TOP_UP_METADATA: &str = "scrip_top_up_id";

/// What a gateway's methods return: a boxed future, so that `dyn StripeGateway` works.
pub type GatewayFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, GatewayError>> + Send + 'a>>;

/// The calls Scrip makes to Stripe. One implementation talks to Stripe; tests may bring another.
pub trait StripeGateway: Send + Sync {
    /// Creates the Checkout session of a top-up, or finds it again: the same `top_up_id` is the same session.
    fn create_checkout_session<'a>(
        &'a self,
        key: &'a SecretString,
        request: &'a CheckoutRequest,
    ) -> GatewayFuture<'a, CheckoutSession>;
}

/// One top-up to be paid. Everything comes from our own row, so that a retry sends the same parameters:
/// Stripe refuses a known key with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutRequest {
    pub top_up_id: Uuid,
    /// Rises when Stripe refused, so that the next request is a new one; stays while an outcome is unknown.
    pub attempt: i32,
    pub product_name: String,
    /// Minor units of `currency`, above zero.
    pub amount: i64,
    /// Three letters, either case.
    pub currency: String,
    pub success_url: String,
    pub cancel_url: String,
    /// An existing Stripe customer. Stripe takes this or `customer_email`; where both are set, this one is sent.
    pub customer: Option<String>,
    pub customer_email: Option<String>,
}

impl CheckoutRequest {
    /// The key under which Stripe recognises this attempt. Derived from the row alone, never random.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("scrip-checkout-{}-{}", self.top_up_id, self.attempt)
    }
}

/// The session as Stripe made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutSession {
    pub id: String,
    /// Where the customer pays.
    pub url: String,
    /// Usually `None` here: Stripe makes the payment intent when the customer confirms.
    pub payment_intent: Option<String>,
    pub expires_at: DateTime<Utc>,
}

/// How long and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewaySettings {
    /// For one request, from connecting to the last byte of the answer.
    pub attempt_timeout: Duration,
    /// Requests per call, the first included. At least one is made.
    pub attempts_max: u32,
    /// Before the second request; it doubles from there.
    pub backoff: Duration,
}

impl Default for GatewaySettings {
    /// At worst 3 x 15 s and 1.5 s to 2.25 s of waiting, then the outcome is unknown and the sweep takes over.
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(15),
            attempts_max: 3,
            backoff: Duration::from_millis(500),
        }
    }
}

/// The gateway that talks to Stripe through the `async-stripe` crate.
#[derive(Debug)]
pub struct AsyncStripeGateway {
    clients: clients::Clients,
    settings: GatewaySettings,
}

impl AsyncStripeGateway {
    /// `api_base` is [`STRIPE_API_BASE`], or a test's own server (`http://127.0.0.1:1234`).
    #[must_use]
    pub fn new(api_base: &str) -> Self {
        Self::with_settings(api_base, GatewaySettings::default())
    }

    #[must_use]
    pub fn with_settings(api_base: &str, settings: GatewaySettings) -> Self {
        Self {
            clients: clients::Clients::new(api_base, settings.attempt_timeout),
            settings,
        }
    }

    async fn create(&self, key: &SecretString, request: &CheckoutRequest) -> Result<CheckoutSession, GatewayError> {
        let call = checkout_call(request)?;
        let idempotency_key =
            IdempotencyKey::new(request.idempotency_key()).map_err(|error| GatewayError::NotSent(error.to_string()))?;
        let client = self.clients.get(key)?;
        let send = || {
            let strategy = RequestStrategy::Idempotent(idempotency_key.clone());
            call.customize().request_strategy(strategy).send(&client)
        };
        let session = retry::run(self.settings, request.top_up_id, send).await?;
        let url = session.url.ok_or_else(|| unreadable("the session has no url"))?;
        let expires_at = DateTime::from_timestamp(session.expires_at, 0)
            .ok_or_else(|| unreadable("the session's expires_at is not a time"))?;
        Ok(CheckoutSession {
            id: session.id.to_string(),
            url,
            payment_intent: session.payment_intent.map(|intent| intent.id().to_string()),
            expires_at,
        })
    }
}

impl StripeGateway for AsyncStripeGateway {
    fn create_checkout_session<'a>(
        &'a self,
        key: &'a SecretString,
        request: &'a CheckoutRequest,
    ) -> GatewayFuture<'a, CheckoutSession> {
        Box::pin(self.create(key, request))
    }
}

fn unreadable(what: &str) -> GatewayError {
    GatewayError::OutcomeUnknown(format!("Stripe's answer could not be read: {what}"))
}

/// The request in the crate's terms. Fails only for what could never be sent.
fn checkout_call(request: &CheckoutRequest) -> Result<CreateCheckoutSession, GatewayError> {
    let metadata = HashMap::from([(TOP_UP_METADATA.to_owned(), request.top_up_id.to_string())]);
    let mut intent = CreateCheckoutSessionPaymentIntentData::new();
    intent.metadata = Some(metadata.clone());
    let call = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .line_items(vec![line_item(request)?])
        .success_url(&request.success_url)
        .cancel_url(&request.cancel_url)
        .client_reference_id(request.top_up_id.to_string())
        .metadata(metadata)
        .payment_intent_data(intent);
    Ok(match (&request.customer, &request.customer_email) {
        (Some(customer), _) => call.customer(customer),
        (None, Some(email)) => call.customer_email(email),
        (None, None) => call,
    })
}

fn line_item(request: &CheckoutRequest) -> Result<CreateCheckoutSessionLineItems, GatewayError> {
    if request.amount <= 0 {
        return Err(GatewayError::NotSent(format!(
            "an amount of {} cannot be paid",
            request.amount
        )));
    }
    let currency = request.currency.to_ascii_lowercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(GatewayError::NotSent(
            "the currency is not a three-letter code".to_owned(),
        ));
    }
    // Unknown codes are sent as they are: Stripe knows best.
    let Ok(currency) = currency.parse();
    let mut item = CreateCheckoutSessionLineItems::new();
    item.quantity = Some(1);
    item.price_data = Some(CreateCheckoutSessionLineItemsPriceData {
        currency,
        product: None,
        product_data: Some(ProductData::new(&request.product_name)),
        recurring: None,
        tax_behavior: None,
        unit_amount: Some(request.amount),
        unit_amount_decimal: None,
    });
    Ok(item)
}

#[cfg(test)]
mod tests;
