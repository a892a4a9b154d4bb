//! A fake Stripe for tests and examples: an HTTP server in this process, and the webhooks Stripe would send.
//!
//! ```ignore
//! let fake = FakeStripe::start().await;
//! fake.add_account("sk_test_a");
//! let gateway = AsyncStripeGateway::new(fake.base_url());
//! // ... the service creates a session ...
//! for delivery in fake.pay(&session_id, "whsec_a") {
//!     deliver(&webhook_url, &delivery).await.expect("delivered");
//! }
//! ```
//!
//! What it speaks: `POST /v1/checkout/sessions` (form-encoded, mode payment, one line item; unknown parameters are
//! refused), `GET /v1/checkout/sessions[/{id}[/line_items]]`, `POST .../{id}/expire`, `GET /v1/payment_intents/{id}`,
//! `GET /v1/charges/{id}`, `GET /v1/events[/{id}]`; Bearer keys, one account per secret key, nothing shared between
//! accounts; Idempotency-Key as Stripe's (see the server file). Objects have every field of API version
//! 2026-09-30.endive. Customers are not kept: any `cus_...` exists, except `cus_missing...`.
//!
//! Knobs: [`ApiFault`] for the API side ([`FakeStripe::fail_next`]), [`DeliveryPlan`] for the webhook side
//! (duplicate, reorder, drop, delay, all at once). Its signing is its own, so that it and the service's check each
//! other. Asking for the impossible (paying an expired session) panics: that is a mistake in the test.

#![allow(dead_code, reason = "each test binary and example uses its own part of the fake")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

#[allow(unused_imports, reason = "as above")]
pub use delivery::{Delivery, DeliveryPlan, deliver, deliver_all, sign};
pub use world::Adjustment;
use world::Payment;

#[path = "fake_stripe_delivery.rs"]
mod delivery;
#[path = "fake_stripe_form.rs"]
mod form;
#[path = "fake_stripe_objects.rs"]
mod objects;
#[path = "fake_stripe_routes.rs"]
mod routes;
#[path = "fake_stripe_server.rs"]
mod server;
#[path = "fake_stripe_world.rs"]
mod world;

/// What goes wrong with one API request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiFault {
    /// Executed and remembered, then the connection is cut: the answer never arrives.
    AnswerLost,
    /// Cut before anything was executed.
    RequestLost,
    /// Executed and remembered; the answer is a 200 with half a body.
    AnswerGarbled,
    /// Executed after a pause. A client that gives up earlier does not stop it; until it is done, the same
    /// idempotency key gets a 409.
    Slow(Duration),
    /// 402 `card_declined`, remembered under the key.
    Declined,
    /// 500, nothing executed, nothing remembered: a retry works.
    ServerError,
    /// 500 out of execution, remembered: a retry with the same key gets the same 500, as at Stripe.
    ServerErrorSaved,
    /// A proxy's 502 with an HTML body; nothing executed.
    BadGateway,
    /// 429; nothing executed.
    RateLimited,
    /// 409 `idempotency_key_in_use`; nothing executed.
    KeyInUse,
}

/// One API request as it arrived, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    pub method: String,
    pub path: String,
    pub idempotency_key: Option<String>,
    /// By bracketed name, decoded.
    pub params: std::collections::BTreeMap<String, String>,
    /// `None`: the connection was cut or the answer garbled.
    pub status: Option<u16>,
    pub replayed: bool,
}

/// The server, stopped when this is dropped.
#[derive(Debug)]
pub struct FakeStripe {
    base_url: String,
    shared: server::Shared,
    serving: JoinHandle<()>,
}

impl FakeStripe {
    pub async fn start() -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = tokio::net::TcpListener::bind(any_port).await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let shared: server::Shared = Arc::default();
        server::lock(&shared).tag = format!("Fake{port:05}");
        let router = server::router(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the fake serves");
        });
        Self {
            base_url: format!("http://127.0.0.1:{port}"),
            shared,
            serving,
        }
    }

    /// For `STRIPE_API_BASE`, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Makes an account that this key opens; `sk_live_...` and `rk_live_...` are live mode.
    pub fn add_account(&self, secret_key: &str) {
        let livemode = secret_key.contains("_live_");
        let account = world::Account {
            livemode,
            ..Default::default()
        };
        server::lock(&self.shared)
            .accounts
            .insert(secret_key.to_owned(), account);
    }

    /// From now on this key is answered with 401.
    pub fn remove_account(&self, secret_key: &str) {
        server::lock(&self.shared).accounts.remove(secret_key);
    }

    /// The fake's time in Unix seconds, for objects and signatures; `None` is the wall clock (the default).
    pub fn set_now(&self, now: Option<i64>) {
        server::lock(&self.shared).now = now;
    }

    pub fn now(&self) -> i64 {
        server::lock(&self.shared).now.unwrap_or_else(wall_clock)
    }

    /// The next authenticated POST suffers this; several queue up.
    pub fn fail_next(&self, fault: ApiFault) {
        server::lock(&self.shared).post_faults.push_back(fault);
    }

    /// The same for GET.
    pub fn fail_next_get(&self, fault: ApiFault) {
        server::lock(&self.shared).get_faults.push_back(fault);
    }

    /// Takes back faults that no request has met.
    pub fn heal(&self) {
        let mut world = server::lock(&self.shared);
        world.post_faults.clear();
        world.get_faults.clear();
    }

    /// Every API request so far, oldest first (in the order they were finished).
    pub fn requests(&self) -> Vec<RecordedRequest> {
        server::lock(&self.shared).requests.clone()
    }

    /// The ids of an account's sessions, oldest first.
    pub fn session_ids(&self, secret_key: &str) -> Vec<String> {
        server::lock(&self.shared)
            .account(secret_key)
            .sessions
            .keys()
            .cloned()
            .collect()
    }

    /// The session as it is now.
    pub fn session(&self, session_id: &str) -> Value {
        server::lock(&self.shared)
            .session(session_id)
            .map(|session| session.json.clone())
            .unwrap_or_default()
    }

    /// Every event of an account, oldest first, delivered or not.
    pub fn events(&self, secret_key: &str) -> Vec<Value> {
        server::lock(&self.shared).account(secret_key).events.clone()
    }

    /// The customer pays by card: session.completed (paid), payment_intent.succeeded, charge.succeeded.
    pub fn pay(&self, session_id: &str, webhook_secret: &str) -> Vec<Delivery> {
        self.pay_adjusted(session_id, Adjustment::default(), webhook_secret)
    }

    /// The same with a promotion code or tax: the subtotal stays, the total and the money differ.
    pub fn pay_adjusted(&self, session_id: &str, adjustment: Adjustment, webhook_secret: &str) -> Vec<Delivery> {
        self.confirm(session_id, Payment::Paid, adjustment, webhook_secret)
    }

    /// The customer confirms a payment that takes days: session.completed (unpaid), payment_intent.processing.
    /// Then [`Self::settle_async`] or [`Self::fail_async`].
    pub fn pay_async(&self, session_id: &str, webhook_secret: &str) -> Vec<Delivery> {
        self.confirm(session_id, Payment::Processing, Adjustment::default(), webhook_secret)
    }

    /// session.async_payment_succeeded, payment_intent.succeeded, charge.succeeded.
    pub fn settle_async(&self, session_id: &str, webhook_secret: &str) -> Vec<Delivery> {
        let now = self.now();
        let events = server::lock(&self.shared).settle(session_id, true, now);
        self.sign_all(&events, webhook_secret)
    }

    /// session.async_payment_failed, payment_intent.payment_failed.
    pub fn fail_async(&self, session_id: &str, webhook_secret: &str) -> Vec<Delivery> {
        let now = self.now();
        let events = server::lock(&self.shared).settle(session_id, false, now);
        self.sign_all(&events, webhook_secret)
    }

    /// The card is declined: payment_intent.payment_failed, charge.failed. The session stays open for another.
    pub fn decline(&self, session_id: &str, webhook_secret: &str) -> Vec<Delivery> {
        self.confirm(session_id, Payment::Declined, Adjustment::default(), webhook_secret)
    }

    /// The session's time is over: session.expired.
    pub fn expire(&self, session_id: &str, webhook_secret: &str) -> Vec<Delivery> {
        let now = self.now();
        let events = server::lock(&self.shared)
            .expire_session(session_id, now)
            .expect("only an open session expires");
        self.sign_all(&events, webhook_secret)
    }

    fn confirm(&self, id: &str, payment: Payment, adjustment: Adjustment, webhook_secret: &str) -> Vec<Delivery> {
        let now = self.now();
        let events = server::lock(&self.shared).confirm(id, payment, adjustment, now);
        self.sign_all(&events, webhook_secret)
    }

    /// Signs events (such as those of [`Self::events`]) as of the fake's now.
    pub fn sign_all(&self, events: &[Value], webhook_secret: &str) -> Vec<Delivery> {
        let now = self.now();
        events
            .iter()
            .map(|event| Delivery::signed(event, &[webhook_secret], now))
            .collect()
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The one place that looks at the real clock: signatures are judged by the service's own.
#[allow(clippy::disallowed_methods, reason = "a test double outside the service")]
fn wall_clock() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}
