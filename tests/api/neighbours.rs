//! Two tenants with the same things, side by side.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    TestService,
    fake_stripe::{Delivery, deliver},
    service::Tenant,
};

/// A tenant's things, by the names of their kinds; all tenants give their accounts the same ids.
pub struct Furnished {
    pub ids: BTreeMap<&'static str, String>,
    pub webhook_url: String,
    pub webhook_secret: String,
    /// Stripe's event that says that the top-up was paid.
    pub paid: Value,
}

async fn furnish(service: &TestService, tenant: &Tenant) -> Furnished {
    let (stripe_key, webhook_secret) = (format!("sk_test_{}", tenant.slug), format!("whsec_{}", tenant.slug));
    let webhook_url = tenant
        .connect_stripe(&service.stripe, &stripe_key, &webhook_secret)
        .await;
    let program = json!({"unit": {"name": tenant.slug}, "plans": {"pro": {"allowance": 500}, "basic": {"allowance": 50}},
        "packs": {"small": {"price": {"amount": 1000, "currency": "USD"}, "credits": 100}}});
    tenant.admin.put("/v1/program", program).await.expect(200);
    for account in ["acme", "bolt"] {
        let profile = json!({"name": format!("Acme of {}", tenant.slug), "stripe_customer": "cus_same"});
        tenant
            .backend
            .put(&format!("/v1/accounts/{account}"), profile)
            .await
            .expect(201);
    }
    let grant = tenant
        .grant(
            "acme",
            json!({"class": "balance", "origin": "promotion", "amount": 100}),
        )
        .await;
    let spend = tenant.spend("acme", json!({"amount": 10})).await.expect(201);
    let hold = json!({"amount": 5, "expires_in_s": 3600});
    let hold = tenant.backend.post("/v1/accounts/acme/holds", hold).await.expect(201);
    let quote = tenant
        .backend
        .post("/v1/accounts/acme/quotes", json!({"amount": 5}))
        .await
        .expect(201);
    let basic = json!({"plan": "basic"});
    let subscription = tenant
        .backend
        .post("/v1/accounts/acme/subscriptions", basic)
        .await
        .expect(201);
    let soon = scrip::clock::Clock::now(&scrip::clock::SystemClock) + chrono::TimeDelta::seconds(1);
    tenant
        .admin
        .post("/v1/test_clock/advance", json!({"to": soon}))
        .await
        .expect(200);
    let refunds = format!("/v1/admin/spends/{}/refunds", text(&spend["id"]));
    let refund = tenant
        .support
        .post(&refunds, json!({"amount": 4, "reason": "x"}))
        .await
        .expect(201);
    let buy = json!({"pack": "small", "mode": "checkout", "success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"});
    let top_up = tenant.backend.post("/v1/accounts/acme/top_ups", buy).await.expect(201);
    let session = service.stripe.session_ids(&stripe_key).pop().expect("a session");
    let deliveries = service.stripe.pay(&session, &webhook_secret);
    let paid = deliveries
        .iter()
        .find(|d| d.kind == "checkout.session.completed")
        .expect("it is paid");
    // Known, but of no interest: the inbox has a row, and the top-up stays open.
    let noise = json!({"id": format!("evt_{}", tenant.slug), "object": "event", "type": "customer.created",
        "livemode": false, "created": service.stripe.now(), "data": {"object": {"id": "cus_1", "object": "customer"}}});
    let noise = Delivery::signed(&noise, &[&webhook_secret], service.stripe.now());
    assert_eq!(deliver(&webhook_url, &noise).await.expect("an answer").0, 200);
    settled(tenant, 1).await;
    let key = tenant
        .admin
        .post("/v1/api_keys", json!({"role": "read", "name": "spare"}))
        .await
        .expect(201);
    let named = [
        ("grant", &grant),
        ("spend", &spend),
        ("hold", &hold),
        ("quote", &quote),
        ("subscription", &subscription),
        ("refund", &refund),
        ("top_up", &top_up),
        ("api_key", &key),
    ];
    Furnished {
        ids: named
            .into_iter()
            .map(|(name, object)| (name, text(&object["id"])))
            .collect(),
        webhook_url,
        webhook_secret,
        paid: paid.event(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Waits until the inbox has worked off `count` events, and returns them.
pub async fn settled(tenant: &Tenant, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let events = tenant.support.get("/v1/admin/stripe_events").await.expect(200);
        let events = events["data"].as_array().expect("a list").clone();
        if events.len() >= count && events.iter().all(|event| event["state"] != "pending") {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("events are still pending");
}

/// Two tenants with the same things: the service's own, and the other.
pub async fn neighbours() -> (TestService, Tenant, Furnished, Furnished) {
    let service = TestService::start().await;
    let other = Tenant::make(&service.operator).await;
    let ours = furnish(&service, &service.tenant).await;
    let theirs = furnish(&service, &other).await;
    (service, other, ours, theirs)
}
