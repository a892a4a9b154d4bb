//! What the stories share: a product with its program file, its customers, its shop, and the clock that a story moves.

use std::{
    panic::Location,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike, Months, SecondsFormat, TimeDelta, Utc};
use scrip::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{
    Answer, TestService,
    client::fresh_key,
    fake_stripe::{DeliveryPlan, deliver_all},
    service::Tenant,
};

/// Another test's service may take an event and end before it is through; then its lease of 60 s has to pass.
const PATIENCE: Duration = Duration::from_secs(90);

/// A product of one tenant, and its shop at the fake Stripe.
pub struct Story {
    pub service: TestService,
    /// Y1 of its days.
    first_year: i32,
    secret_key: String,
    webhook_secret: String,
    webhook_url: String,
}

/// The balance of an account shows these figures, among others: `shows!(story, "acme", { "available": 200 });`.
macro_rules! shows {
    ($story:expr, $account:expr, $figures:tt) => {
        $story.shows($account, serde_json::json!($figures)).await
    };
}
pub(crate) use shows;

/// The text of a file in `examples/programs`.
pub fn program_file(product: &str) -> String {
    let path = format!("{}/examples/programs/{product}.toml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Story {
    /// Begins at midnight of a January 15 that lies ahead, with the product's program file in force.
    pub async fn of(product: &str) -> Self {
        let service = TestService::start().await;
        let unique = fresh_key();
        let (secret_key, webhook_secret) = (format!("sk_test_{unique}"), format!("whsec_{unique}"));
        let webhook_url = service
            .tenant
            .connect_stripe(&service.stripe, &secret_key, &webhook_secret)
            .await;
        let story = Self {
            first_year: SystemClock.now().year() + 1,
            service,
            secret_key,
            webhook_secret,
            webhook_url,
        };
        story.comes_to("Y1-01-15").await;
        story.puts(&program_file(product)).await;
        story
    }

    pub fn tenant(&self) -> &Tenant {
        &self.service.tenant
    }

    /// Puts a program in force. Nothing in it is unwise.
    pub async fn puts(&self, program: &str) -> Value {
        let headers = [("content-type", "application/toml")];
        let put = self
            .tenant()
            .admin
            .send("PUT", "/v1/program", &headers, program.to_owned());
        let put = put.await.expect(200);
        assert_eq!(put["warnings"], json!([]));
        put
    }

    /// An instant such as `Y1-02-15`, which is its midnight, or `Y2-02-14T23:59:59`.
    pub fn at(&self, day: &str) -> DateTime<Utc> {
        let (year, rest) = (&day[1..2], &day[2..]);
        let year = self.first_year + year.parse::<i32>().expect("Y1 to Y9") - 1;
        let time = if rest.contains('T') { "" } else { "T00:00:00" };
        let text = format!("{year}{rest}{time}Z");
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The same as the API writes it.
    pub fn day(&self, day: &str) -> String {
        written(self.at(day))
    }

    /// So many months after a day, on the last of the month where it has no such day.
    pub fn months_after(&self, day: &str, months: u32) -> DateTime<Utc> {
        self.at(day) + Months::new(months)
    }

    /// Time passes until then.
    #[track_caller]
    pub fn comes_to<'a>(&'a self, day: &str) -> impl Future<Output = ()> + 'a {
        self.comes_to_instant(self.at(day))
    }

    pub async fn comes_to_instant(&self, to: DateTime<Utc>) {
        let advance = json!({"to": written(to)});
        let clock = self.tenant().admin.post("/v1/test_clock/advance", advance).await;
        assert_eq!(clock.expect(200)["now"], written(to));
    }

    pub async fn subscribes(&self, account: &str, subscription: Value) -> Value {
        let path = format!("/v1/accounts/{account}/subscriptions");
        self.tenant().backend.post(&path, subscription).await.expect(201)
    }

    /// Changes a subscription.
    pub async fn changes(&self, subscription: &Value, change: Value) -> Value {
        let path = format!("/v1/subscriptions/{}", id(subscription));
        let headers = [("idempotency-key", &*fresh_key())];
        let backend = &self.tenant().backend;
        backend
            .send("PATCH", &path, &headers, change.to_string())
            .await
            .expect(200)
    }

    /// Asks for paid work, and for what else has a path below the account.
    pub async fn asks(&self, account: &str, what: &str, body: Value) -> Answer {
        let path = format!("/v1/accounts/{account}/{what}");
        self.tenant().backend.post(&path, body).await
    }

    /// Work is done and paid for.
    pub async fn works(&self, account: &str, spend: Value) -> Value {
        self.asks(account, "spends", spend).await.expect(201)
    }

    /// The job failed: its spend is refunded.
    pub async fn refunds(&self, spend: &Value) -> Value {
        let path = format!("/v1/spends/{}/refunds", id(spend));
        let refund = json!({"reason": "the job failed"});
        self.tenant().backend.post(&path, refund).await.expect(201)
    }

    pub async fn captures(&self, hold: &Value, amount: i64) -> Value {
        let path = format!("/v1/holds/{}/capture", id(hold));
        let capture = json!({"amount": amount});
        self.tenant().backend.post(&path, capture).await.expect(201)
    }

    /// Orders `{"pack": ...}` or `{"money": ...}` for Checkout.
    pub async fn orders(&self, account: &str, what: Value) -> Answer {
        let mut order = what;
        order["mode"] = json!("checkout");
        order["success_url"] = json!("https://product.example/paid");
        order["cancel_url"] = json!("https://product.example/not-paid");
        self.asks(account, "top_ups", order).await
    }

    /// The buyer pays at Stripe's page, and Stripe's events arrive.
    pub async fn pays(&self, top_up: &Value) -> Value {
        let stripe = &self.service.stripe;
        let deliveries = stripe.pay(&self.session_of(top_up), &self.webhook_secret);
        let statuses = deliver_all(&self.webhook_url, &deliveries, &DeliveryPlan::default()).await;
        assert_eq!(statuses, [200; 3]);
        let path = format!("/v1/top_ups/{}", id(top_up));
        let from = Instant::now();
        loop {
            let now = self.tenant().backend.get(&path).await.expect(200);
            if now["status"] == "credited" {
                return now;
            }
            assert!(from.elapsed() < PATIENCE, "still {now}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Orders and pays.
    pub async fn buys(&self, account: &str, what: Value) -> Value {
        let top_up = self.orders(account, what).await.expect(201);
        self.pays(&top_up).await
    }

    /// Stripe's id of the checkout.
    pub fn session_of(&self, top_up: &Value) -> String {
        let stripe = &self.service.stripe;
        let of_it = |session: &String| stripe.session(session)["client_reference_id"] == top_up["id"];
        let sessions = stripe.session_ids(&self.secret_key);
        sessions.into_iter().find(of_it).expect("Stripe has its session")
    }

    pub async fn balance(&self, account: &str) -> Value {
        self.tenant().balance(account).await
    }

    /// As `shows!`.
    #[track_caller]
    pub fn shows<'a>(&'a self, account: &'a str, figures: Value) -> impl Future<Output = ()> + 'a {
        let caller = Location::caller();
        async move {
            let balance = self.balance(account).await;
            for (name, figure) in figures.as_object().expect("figures") {
                assert_eq!(&balance[name], figure, "{caller}: {name} of {account} in {balance:#}");
            }
        }
    }

    /// All of an account's transactions, grants, ..., oldest first.
    pub async fn all(&self, account: &str, what: &str) -> Vec<Value> {
        let path = format!("/v1/accounts/{account}/{what}?limit=200");
        let page = self.tenant().backend.get(&path).await.expect(200);
        assert_eq!(page["next_cursor"], Value::Null, "more than a page of {what}");
        let mut all = page["data"].as_array().expect("a list").clone();
        all.reverse();
        all
    }

    pub async fn grants_of(&self, account: &str, origin: &str) -> Vec<Value> {
        let mut grants = self.all(account, "grants").await;
        grants.retain(|grant| grant["origin"] == origin);
        grants
    }

    /// The allowances follow one another without gap or overlap: one on each of these days.
    pub async fn allowances_are_of(&self, account: &str, amount: i64, days: &[DateTime<Utc>]) {
        let allowances = self.grants_of(account, "allocation").await;
        let begun: Vec<_> = allowances.iter().map(|grant| grant["effective_at"].clone()).collect();
        let days: Vec<_> = days.iter().map(|day| json!(written(*day))).collect();
        assert_eq!(begun, days, "{account}");
        for (one, next) in allowances.iter().zip(&allowances[1..]) {
            assert_eq!(one["expires_at"], next["effective_at"], "{account}");
        }
        assert!(allowances.iter().all(|grant| grant["amount"] == amount), "{account}");
    }

    /// Nothing in the books disagrees.
    pub async fn ends(&self) {
        self.service.assert_books_agree(self.tenant()).await;
    }
}

pub fn a_second_before(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant - TimeDelta::seconds(1)
}

pub fn written(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn id(of: &Value) -> &str {
    of["id"].as_str().expect("an id")
}

/// What a spend took, by class, in the order in which it was taken.
pub fn drawn(spend: &Value) -> Vec<(&str, i64)> {
    let parts = spend["drawdown"].as_array().expect("a drawdown");
    let part = |part: &'_ Value| part["amount"].as_i64().expect("an amount");
    parts
        .iter()
        .map(|p| (p["class"].as_str().expect("a class"), part(p)))
        .collect()
}
