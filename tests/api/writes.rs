//! Every write of the API that takes an Idempotency-Key, ready to be sent.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestService, client::fresh_key};

/// A write, ready to be sent: the operation's method and path in the document, and where and what exactly.
pub struct Write {
    pub client: Client,
    pub method: &'static str,
    pub operation: &'static str,
    pub path: String,
    pub body: Value,
    /// The same call with another body.
    pub other: Value,
}

impl Write {
    pub async fn send(&self, key: &str, body: &str) -> Answer {
        self.client
            .send(self.method, &self.path, &[("idempotency-key", key)], body.to_owned())
            .await
    }
}

/// Who sends it, the method, the operation, the id in its path, the body, and the member that another body differs in.
type Row<'a> = (&'a Client, &'static str, &'static str, String, Value, (&'a str, Value));

/// Every write of a tenant that takes a key, and the operator's one.
pub async fn writes(service: &TestService) -> Vec<Write> {
    let tenant = &service.tenant;
    tenant
        .connect_stripe(&service.stripe, "sk_test_writes", "whsec_a")
        .await;
    let program = json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": 500}},
        "packs": {"small": {"price": {"amount": 1000, "currency": "USD"}, "credits": 100}}});
    tenant.admin.put("/v1/program", program.clone()).await.expect(200);
    tenant.account("acme").await;
    let plain = json!({"class": "balance", "origin": "promotion", "amount": 1000});
    tenant.grant("acme", plain.clone()).await;
    let revocable = tenant.grant("acme", plain).await;
    let (mut ours, mut theirs) = (Value::Null, Value::Null);
    for spend in [&mut ours, &mut theirs] {
        *spend = tenant.spend("acme", json!({"amount": 40})).await.expect(201);
    }
    let hold = json!({"amount": 5, "expires_in_s": 3600});
    let (mut captured, mut voided) = (Value::Null, Value::Null);
    for held in [&mut captured, &mut voided] {
        *held = tenant
            .backend
            .post("/v1/accounts/acme/holds", hold.clone())
            .await
            .expect(201);
    }
    let pro = json!({"plan": "pro", "interval": "month"});
    let subscription = tenant
        .backend
        .post("/v1/accounts/acme/subscriptions", pro.clone())
        .await
        .expect(201);
    let soon = scrip::clock::Clock::now(&scrip::clock::SystemClock) + chrono::TimeDelta::seconds(60);
    let id = |object: &Value| object["id"].as_str().expect("an id").to_owned();
    let top_up =
        |url: &str| json!({"pack": "small", "mode": "checkout", "success_url": url, "cancel_url": "https://x.test/no"});
    let changed = |name: &str, value: Value, body: &Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    let slug = format!("w-{}", fresh_key());
    let all: [Row<'_>; 19] = [
        (
            &service.operator,
            "POST",
            "/v1/tenants",
            String::new(),
            json!({"slug": slug, "name": "New", "mode": "live"}),
            ("name", json!("Other")),
        ),
        (
            &tenant.admin,
            "POST",
            "/v1/api_keys",
            String::new(),
            json!({"role": "read", "name": "a"}),
            ("name", json!("b")),
        ),
        (
            &tenant.admin,
            "PUT",
            "/v1/program",
            String::new(),
            program,
            ("unit", json!({"name": "points", "scale": 2})),
        ),
        (
            &tenant.admin,
            "PUT",
            "/v1/stripe",
            String::new(),
            json!({"secret_key": "sk_test_writes", "webhook_secrets": ["whsec_b"], "livemode": false}),
            ("livemode", json!(true)),
        ),
        (
            &tenant.backend,
            "PUT",
            "/v1/accounts/{id}",
            "acme".into(),
            json!({"name": "Acme", "email": "a@acme.test", "metadata": {"b": [1, {"d": 2, "c": 3}], "a": null}}),
            ("name", json!("A")),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/accounts/{id}/grants",
            "acme".into(),
            json!({"class": "plan", "origin": "bonus", "amount": 7, "applies_to": ["render", "export"], "priority": 3,
                "paid": {"amount": 5, "currency": "eur"}, "expires_at": "2099-01-01T00:00:00.123456789+02:00", "reason": "x"}),
            ("amount", json!(8)),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/grants/{id}/revoke",
            id(&revocable),
            json!({"reason": "x"}),
            ("reason", json!("y")),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/accounts/{id}/spends",
            "acme".into(),
            json!({"amount": 5, "operation": "render", "member": "ann", "partial": true,
                "metadata": {"z": 1, "a": {"é": "ü\n", "list": [1, 1.5, 0.1, true, null]}}}),
            ("amount", json!(6)),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/spends/{id}/refunds",
            id(&ours),
            json!({"amount": 10, "reason": "x"}),
            ("amount", json!(11)),
        ),
        (
            &tenant.admin,
            "POST",
            "/v1/test_clock/advance",
            String::new(),
            json!({"to": soon}),
            ("to", json!(soon + chrono::TimeDelta::seconds(60))),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/accounts/{id}/quotes",
            "acme".into(),
            json!({"amount": 5, "operation": "render"}),
            ("amount", json!(6)),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/accounts/{id}/holds",
            "acme".into(),
            hold,
            ("amount", json!(6)),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/holds/{id}/capture",
            id(&captured),
            json!({"amount": 3}),
            ("amount", json!(4)),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/holds/{id}/void",
            id(&voided),
            json!({"reason": "x"}),
            ("reason", json!("y")),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/accounts/{id}/subscriptions",
            "acme".into(),
            pro,
            ("interval", Value::Null),
        ),
        (
            &tenant.backend,
            "PATCH",
            "/v1/subscriptions/{id}",
            id(&subscription),
            json!({"cancel_at_period_end": true}),
            ("cancel_at_period_end", json!(false)),
        ),
        (
            &tenant.support,
            "PUT",
            "/v1/admin/accounts/{id}/caps",
            "acme".into(),
            json!({"caps": [{"window": "day", "limit": 5000}], "reason": "x"}),
            ("reason", json!("y")),
        ),
        (
            &tenant.backend,
            "POST",
            "/v1/accounts/{id}/top_ups",
            "acme".into(),
            top_up("https://x.test/ok"),
            ("success_url", json!("https://x.test/other")),
        ),
        (
            &tenant.support,
            "POST",
            "/v1/admin/spends/{id}/refunds",
            id(&theirs),
            json!({"amount": 10, "reason": "x", "ticket": "T-1"}),
            ("ticket", json!("T-2")),
        ),
    ];
    all.into_iter()
        .map(|(client, method, operation, id, body, (name, value))| Write {
            client: client.clone(),
            method,
            operation,
            path: operation.replace("{id}", &id),
            other: changed(name, value, &body),
            body,
        })
        .collect()
}

/// The same JSON with its members in the opposite order, and white space wherever it may stand.
pub fn rewritten(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .rev()
                .map(|(name, value)| format!("\n\t{} : {}", json!(name), rewritten(value)));
            format!(" {{ {} }} ", members.collect::<Vec<_>>().join(" ,"))
        }
        Value::Array(items) => format!("[ {} ]", items.iter().map(rewritten).collect::<Vec<_>>().join(" , ")),
        plain => plain.to_string(),
    }
}
