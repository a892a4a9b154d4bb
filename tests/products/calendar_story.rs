//! A story by the calendar: a tenant with a program, whose clock the story moves from day to day.
//!
//! The stories play in 2040, a leap year, because a test clock moves only forward from the machine's time. A day stands for
//! its midnight in UTC: `2040-02-15`.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestService, client::fresh_key, service::Tenant};

pub struct Story {
    service: TestService,
}

impl Story {
    /// Begins on a day with one of the programs under examples/programs.
    pub async fn of(program: &str, day: &str) -> Self {
        let path = format!("{}/examples/programs/{program}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::with(&text, day).await
    }

    /// Begins on a day with a program, in TOML.
    pub async fn with(program: &str, day: &str) -> Self {
        let service = TestService::start().await;
        let toml = [("content-type", "application/toml")];
        let admin = &service.tenant.admin;
        let put = admin.send("PUT", "/v1/program", &toml, program.to_owned()).await;
        assert_eq!(put.expect(200)["warnings"], json!([]));
        let story = Self { service };
        story.comes(day).await;
        story
    }

    /// It ends well: nothing in the books disagrees.
    pub async fn ends(self) {
        self.service.assert_books_agree(self.tenant()).await;
    }

    pub fn tenant(&self) -> &Tenant {
        &self.service.tenant
    }

    fn backend(&self) -> &Client {
        &self.tenant().backend
    }

    /// The clock moves to this time, and what falls due on the way is done.
    pub async fn comes(&self, time: &str) {
        let to = json!({"to": instant(time)});
        self.tenant().admin.post("/v1/test_clock/advance", to).await.expect(200);
    }

    /// An account subscribes; it is made if this is the first that is heard of it. The subscription.
    pub async fn subscribes(&self, account: &str, subscription: Value) -> Value {
        self.backend().put(&format!("/v1/accounts/{account}"), json!({})).await;
        let path = format!("/v1/accounts/{account}/subscriptions");
        self.backend().post(&path, subscription).await.expect(201)
    }

    /// Asks for a change of a subscription.
    pub async fn changes(&self, subscription: &Value, change: Value) -> Answer {
        let (path, key) = (subscription_path(subscription), fresh_key());
        let headers = [("idempotency-key", key.as_str())];
        self.backend().send("PATCH", &path, &headers, change.to_string()).await
    }

    pub async fn cancels(&self, subscription: &Value) -> Value {
        let cancelled = self.backend().delete(&subscription_path(subscription)).await;
        cancelled.expect(200)
    }

    /// The subscription as it is now.
    pub async fn subscription(&self, subscription: &Value) -> Value {
        self.backend().get(&subscription_path(subscription)).await.expect(200)
    }

    /// What it would cost.
    pub async fn cost(&self, account: &str, asked: Value) -> i64 {
        let quote = self
            .backend()
            .post(&format!("/v1/accounts/{account}/quotes"), asked)
            .await;
        quote.expect(201)["cost"].as_i64().expect("a cost")
    }

    pub async fn spends(&self, account: &str, spend: Value) -> Value {
        self.tries(account, spend).await.expect(201)
    }

    /// A spend that may be refused.
    pub async fn tries(&self, account: &str, spend: Value) -> Answer {
        self.tenant().spend(account, spend).await
    }

    /// The product's backend gives a spend back.
    pub async fn refunds(&self, spend: &Value, reason: &str) -> Value {
        let path = format!("/v1/spends/{}/refunds", text(&spend["id"]));
        self.backend().post(&path, json!({"reason": reason})).await.expect(201)
    }

    pub async fn balance(&self, account: &str) -> Value {
        self.tenant().balance(account).await
    }

    pub async fn available(&self, account: &str) -> i64 {
        self.balance(account).await["available"].as_i64().expect("a number")
    }

    /// What can be drawn of a class.
    pub async fn of_class(&self, account: &str, class: &str) -> i64 {
        self.balance(account).await["by_class"][class]
            .as_i64()
            .expect("a number")
    }

    /// What an account has, in the order in which it is spent.
    pub async fn grants(&self, account: &str) -> Vec<String> {
        list(&self.balance(account).await["grants"])
            .iter()
            .map(in_words)
            .collect()
    }

    /// All that a subscription ever granted of a class, from the first on.
    pub async fn granted_by(&self, account: &str, subscription: &Value, class: &str) -> Vec<Value> {
        let grants = self.listed(account, "grants").await;
        let its = |grant: &&Value| grant["subscription_id"] == subscription["id"] && grant["class"] == class;
        grants.iter().filter(its).cloned().collect()
    }

    /// When the cycles of a subscription began, and when the running one ends. Each ends at the very instant at which the next
    /// one begins: no gap, no overlap.
    pub async fn boundaries(&self, account: &str, subscription: &Value) -> Vec<String> {
        let grants = self.granted_by(account, subscription, "plan").await;
        for pair in grants.windows(2) {
            assert_eq!(pair[0]["expires_at"], pair[1]["effective_at"]);
        }
        let begins = grants.iter().map(|grant| day(&grant["effective_at"]).to_owned());
        let end = grants.last().map(|grant| day(&grant["expires_at"]).to_owned());
        begins.chain(end).collect()
    }

    /// The account's transactions of a kind, from the first on.
    pub async fn history(&self, account: &str, kind: &str) -> Vec<Value> {
        let mut transactions = self.listed(account, "transactions").await;
        transactions.retain(|transaction| transaction["kind"] == kind);
        transactions
    }

    /// All pages of a list, the oldest first.
    async fn listed(&self, account: &str, what: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut path = format!("/v1/accounts/{account}/{what}?limit=100");
        loop {
            let page = self.backend().get(&path).await.expect(200);
            all.extend(list(&page["data"]).iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/accounts/{account}/{what}?limit=100&cursor={cursor}");
        }
        all.reverse();
        all
    }
}

fn subscription_path(subscription: &Value) -> String {
    format!("/v1/subscriptions/{}", text(&subscription["id"]))
}

/// A day is its midnight.
pub fn instant(time: &str) -> String {
    match time.len() {
        10 => format!("{time}T00:00:00Z"),
        _ => time.to_owned(),
    }
}

/// A midnight is its day.
pub fn day(time: &Value) -> &str {
    time.as_str()
        .map_or("never", |time| time.trim_end_matches("T00:00:00Z"))
}

/// From which day to which.
pub fn life(grant: &Value) -> String {
    format!("{} to {}", day(&grant["effective_at"]), day(&grant["expires_at"]))
}

/// `70 of 120 plan/allocation, 2040-01-15 to 2040-02-15`.
pub fn in_words(grant: &Value) -> String {
    let (remaining, amount) = (&grant["remaining"], &grant["amount"]);
    let (class, origin) = (text(&grant["class"]), text(&grant["origin"]));
    format!("{remaining} of {amount} {class}/{origin}, {}", life(grant))
}

/// The classes that paid, and how much each.
pub fn paid_with(spend: &Value) -> Vec<(&str, i64)> {
    let parts = list(&spend["drawdown"]).iter();
    parts
        .map(|part| (text(&part["class"]), part["amount"].as_i64().expect("a number")))
        .collect()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
