//! Buying credits: from the order through Stripe's checkout and its events to a balance, and everything that can go wrong
//! on the way. Stripe is the fake of tests/support, which signs and delivers as Stripe does.

mod contradictions;
mod crash;
mod orders;
mod payments;
mod refusals;
mod retries;
mod secrets;
mod signatures;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Answer, TestService,
    client::fresh_key,
    fake_stripe::{Delivery, DeliveryPlan, deliver_all},
    service::Tenant,
};

/// Another test's service may take an event and end before it is through; then its lease of 60 s has to pass.
const PATIENCE: Duration = Duration::from_secs(90);

/// A tenant that sells, with an account `acme` that buys.
struct Shop {
    service: TestService,
    secret_key: String,
    webhook_secret: String,
    webhook_url: String,
}

fn program() -> Value {
    let usd = |amount: i64| json!({"amount": amount, "currency": "USD"});
    json!({
        "unit": {"name": "credits"},
        "plans": {"pro": {"allowance": 100}},
        "packs": {
            "small": {"price": usd(999), "credits": 500},
            "cycle": {"price": usd(300), "credits": 30, "class": "addon", "expiry": "cycle_end"},
            "days": {"price": usd(100), "credits": 10, "expiry": {"days": 30}},
            "months": {"price": {"amount": 500, "currency": "JPY"}, "credits": 60, "class": "plan", "expiry": {"months": 1}},
        },
    })
}

fn order(pack: &str) -> Value {
    let (success, cancel) = ("https://shop.example/ok", "https://shop.example/no");
    json!({"pack": pack, "mode": "checkout", "success_url": success, "cancel_url": cancel})
}

const TOP_UPS: &str = "/v1/accounts/acme/top_ups";

impl Shop {
    async fn open() -> Self {
        let service = TestService::start().await;
        let unique = fresh_key();
        let (secret_key, webhook_secret) = (format!("sk_test_{unique}"), format!("whsec_{unique}"));
        let tenant = &service.tenant;
        tenant.admin.put("/v1/program", program()).await.expect(200);
        tenant.account("acme").await;
        let webhook_url = tenant
            .connect_stripe(&service.stripe, &secret_key, &webhook_secret)
            .await;
        Self {
            service,
            secret_key,
            webhook_secret,
            webhook_url,
        }
    }

    fn tenant(&self) -> &Tenant {
        &self.service.tenant
    }

    async fn try_buy(&self, pack: &str, key: &str) -> Answer {
        self.tenant().backend.post_with(TOP_UPS, key, order(pack)).await
    }

    /// Orders a pack: the top-up, and the session that waits for the buyer.
    async fn buy(&self, pack: &str) -> (Value, String) {
        let top_up = self.try_buy(pack, &fresh_key()).await.expect(201);
        let session = self.session_of(&top_up);
        (top_up, session)
    }

    fn session_of(&self, top_up: &Value) -> String {
        let sessions = self.service.stripe.session_ids(&self.secret_key);
        let of_it = |id: &String| self.service.stripe.session(id)["client_reference_id"] == top_up["id"];
        sessions.into_iter().find(of_it).expect("Stripe has its session")
    }

    fn pay(&self, session: &str) -> Vec<Delivery> {
        self.service.stripe.pay(session, &self.webhook_secret)
    }

    /// An event of the tests' own making, signed now.
    fn sign(&self, event: &Value) -> Delivery {
        Delivery::signed(event, &[&self.webhook_secret], self.service.stripe.now())
    }

    /// Delivers one after the other; all are taken.
    async fn deliver(&self, deliveries: &[Delivery]) {
        let statuses = deliver_all(&self.webhook_url, deliveries, &DeliveryPlan::default()).await;
        assert_eq!(statuses, vec![200; deliveries.len()]);
    }

    /// Delivers an event and waits until it is worked off.
    async fn settle(&self, delivery: &Delivery) -> Value {
        self.deliver(std::slice::from_ref(delivery)).await;
        self.event(&delivery.event_id).await
    }

    async fn events(&self) -> Vec<Value> {
        let answer = self.tenant().support.get("/v1/admin/stripe_events?limit=100").await;
        answer.expect(200)["data"].as_array().expect("a list").clone()
    }

    /// An event of the inbox, once it is no longer pending.
    async fn event(&self, id: &str) -> Value {
        let from = Instant::now();
        loop {
            let events = self.events().await;
            match events.into_iter().find(|event| event["id"] == id) {
                Some(event) if event["state"] != "pending" => return event,
                found => assert!(from.elapsed() < PATIENCE, "{id} is still {found:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn top_up(&self, top_up: &Value) -> Value {
        let path = format!("/v1/top_ups/{}", top_up["id"].as_str().expect("an id"));
        self.tenant().read.get(&path).await.expect(200)
    }

    /// The top-up, once it is credited.
    async fn credited(&self, top_up: &Value) -> Value {
        let from = Instant::now();
        loop {
            let now = self.top_up(top_up).await;
            if now["status"] == "credited" {
                return now;
            }
            assert!(from.elapsed() < PATIENCE, "still {now}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn available(&self) -> i64 {
        self.tenant().balance("acme").await["available"]
            .as_i64()
            .expect("a number")
    }

    async fn list(&self, what: &str) -> Vec<Value> {
        let path = format!("/v1/accounts/acme/{what}?limit=100");
        let answer = self.tenant().backend.get(&path).await.expect(200);
        answer["data"].as_array().expect("a list").clone()
    }

    /// Nothing came in: no transaction, no grant, no entry.
    async fn assert_nothing_credited(&self) {
        for what in ["transactions", "grants", "entries"] {
            assert_eq!(self.list(what).await, [] as [Value; 0], "{what}");
        }
        self.service.assert_books_agree(self.tenant()).await;
    }

    /// The purchase came in exactly once.
    async fn assert_credited_once(&self, top_up: &Value) {
        let credited = self.credited(top_up).await;
        let transactions = self.list("transactions").await;
        let of_it: Vec<_> = transactions
            .iter()
            .filter(|t| t["subject_id"] == top_up["id"])
            .collect();
        assert_eq!(of_it.len(), 1, "{transactions:?}");
        let grants = self.list("grants").await;
        let of_it: Vec<_> = grants.iter().filter(|g| g["top_up_id"] == top_up["id"]).collect();
        assert_eq!(of_it.len(), 1, "{grants:?}");
        assert_eq!(
            (&of_it[0]["id"], &of_it[0]["amount"]),
            (&credited["grant_id"], &top_up["credits"])
        );
        self.service.assert_books_agree(self.tenant()).await;
    }
}

#[tokio::test]
async fn a_purchase_from_the_order_to_the_balance() {
    let shop = Shop::open().await;
    let tenant = shop.tenant();
    let (top_up, session) = shop.buy("small").await;
    assert_eq!(
        (&top_up["status"], &top_up["mode"]),
        (&json!("open"), &json!("checkout"))
    );
    assert_eq!((&top_up["credits"], &top_up["class"]), (&json!(500), &json!("balance")));
    assert_eq!(top_up["price"], json!({"amount": 999, "currency": "USD"}));
    assert_eq!(
        (&top_up["grant_id"], &top_up["credited_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(top_up["checkout_url"], shop.service.stripe.session(&session)["url"]);
    assert_eq!(shop.top_up(&top_up).await, top_up);
    shop.assert_nothing_credited().await;

    let asked = &shop.service.stripe.requests()[0].params;
    let param = |name: &str| asked.get(name).map_or("", String::as_str);
    assert_eq!(param("line_items[0][price_data][unit_amount]"), "999");
    assert_eq!(param("line_items[0][price_data][currency]"), "usd");
    assert_eq!(param("line_items[0][price_data][product_data][name]"), "500 credits");
    assert_eq!(param("success_url"), "https://shop.example/ok");
    assert_eq!(param("payment_intent_data[metadata][scrip_top_up_id]"), top_up["id"]);

    shop.deliver(&shop.pay(&session)).await;
    let credited = shop.credited(&top_up).await;
    let grant = &shop.list("grants").await[0];
    assert_eq!(credited["grant_id"], grant["id"]);
    assert_eq!(credited["credited_at"], grant["effective_at"]);
    assert_eq!(
        (&grant["class"], &grant["origin"]),
        (&json!("balance"), &json!("top_up"))
    );
    assert_eq!((&grant["amount"], &grant["remaining"]), (&json!(500), &json!(500)));
    assert_eq!(
        (&grant["expires_at"], &grant["program_version"]),
        (&Value::Null, &json!(1))
    );
    assert_eq!(grant["paid"], json!({"amount": 999, "currency": "USD"}));
    assert_eq!(grant["top_up_id"], top_up["id"]);

    let balance = tenant.balance("acme").await;
    assert_eq!((&balance["available"], &balance["used"]), (&json!(500), &json!(0)));
    assert_eq!(balance["by_class"], json!({"plan": 0, "addon": 0, "balance": 500}));
    let transactions = shop.list("transactions").await;
    assert_eq!(transactions.len(), 1);
    assert_eq!(
        (&transactions[0]["kind"], &transactions[0]["amount"]),
        (&json!("top_up"), &json!(500))
    );
    assert_eq!(
        (&transactions[0]["actor_id"], &transactions[0]["subject_id"]),
        (&Value::Null, &top_up["id"])
    );
    let entry = json!({"debit": "issued", "credit": "balance", "amount": 500, "grant_id": grant["id"]});
    assert_eq!(transactions[0]["entries"], json!([entry]));
    let books = tenant.read.get("/v1/ledger/trial_balance").await.expect(200);
    assert_eq!(books["sum"], 0);
    for (account, balance) in [("balance", 500), ("issued", -500)] {
        let accounts = books["accounts"].as_array().expect("a list");
        let line = accounts.iter().find(|a| a["account"] == account).expect("it is there");
        assert_eq!(line["balance"], balance, "{account}");
    }
    let spend = tenant
        .spend("acme", json!({"amount": 501}))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!(spend["available"], 500);
    tenant.spend("acme", json!({"amount": 500})).await.expect(201);
    assert_eq!(shop.list("top_ups").await, [credited]);
    shop.service.assert_books_agree(tenant).await;
}
