//! The wall between tenants, over HTTP: with one tenant's keys at another's things.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::tenant_rows;
use crate::support::{
    Client, Key, TestService,
    fake_stripe::{Delivery, deliver},
    service::Tenant,
};

/// A tenant's things, by the names of their kinds; all tenants give their accounts the same ids.
pub struct Furnished {
    ids: BTreeMap<&'static str, String>,
    webhook_url: String,
    webhook_secret: String,
    /// Stripe's event that says that the top-up was paid.
    paid: Value,
}

async fn furnish(service: &TestService, tenant: &Tenant) -> Furnished {
    let (stripe_key, webhook_secret) = (format!("sk_test_{}", tenant.slug), format!("whsec_{}", tenant.slug));
    let webhook_url = tenant
        .connect_stripe(&service.stripe, &stripe_key, &webhook_secret)
        .await;
    let program = json!({"unit": {"name": tenant.slug}, "plans": {"pro": {"allowance": 500}},
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
async fn settled(tenant: &Tenant, count: usize) -> Vec<Value> {
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

#[tokio::test]
async fn another_tenants_ids_lead_nowhere() {
    let (service, intruder, ours, _) = neighbours().await;
    let mut owner = service.owner().await;
    let before = tenant_rows::of(&mut owner, &service.tenant.id).await;
    let intruders_before = tenant_rows::of(&mut owner, &intruder.id).await;
    let (backend, admin, support) = (&intruder.backend, &intruder.admin, &intruder.support);
    let reason = json!({"reason": "x"});
    let calls: [(&Client, &str, &str, &str, &str); 8] = [
        (backend, "GET", "/v1/spends/{id}", "spend", "spend_not_found"),
        (backend, "GET", "/v1/spends/{id}", "refund", "spend_not_found"),
        (backend, "POST", "/v1/spends/{id}/refunds", "spend", "spend_not_found"),
        (
            support,
            "POST",
            "/v1/admin/spends/{id}/refunds",
            "spend",
            "spend_not_found",
        ),
        (backend, "POST", "/v1/grants/{id}/revoke", "grant", "grant_not_found"),
        (backend, "GET", "/v1/top_ups/{id}", "top_up", "top_up_not_found"),
        (admin, "DELETE", "/v1/api_keys/{id}", "api_key", "api_key_not_found"),
        (&intruder.read, "GET", "/v1/spends/{id}", "spend", "spend_not_found"),
    ];
    let document = serde_json::to_value(scrip::http::document()).expect("a document");
    for path in document["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .filter(|path| path.contains("s/{id}"))
    {
        let tried = calls.iter().any(|(_, _, operation, ..)| operation == path);
        assert!(tried || path.starts_with("/v1/accounts/{id}"), "{path} is not tried");
    }
    for (client, method, operation, thing, code) in calls {
        let path = operation.replace("{id}", &ours.ids[thing]);
        let answer = match method {
            "POST" => client.post(&path, reason.clone()).await,
            _ => client.send(method, &path, &[], "").await,
        };
        assert_eq!((answer.status, answer.code()), (404, code), "{method} {path}");
        assert!(!answer.text.contains(&service.tenant.slug), "{}", answer.text);
    }
    assert_eq!(tenant_rows::of(&mut owner, &service.tenant.id).await, before);
    assert_eq!(tenant_rows::of(&mut owner, &intruder.id).await, intruders_before);
    // And they do lead somewhere for whose they are.
    for (path, thing) in [("/v1/spends/", "spend"), ("/v1/top_ups/", "top_up")] {
        service
            .tenant
            .backend
            .get(&format!("{path}{}", ours.ids[thing]))
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn nothing_that_a_tenant_reads_is_anothers() {
    let (service, intruder, ours, theirs) = neighbours().await;
    let tenant = &service.tenant;
    let mut secrets: Vec<&str> = ours.ids.values().map(String::as_str).collect();
    secrets.extend([tenant.slug.as_str(), tenant.id.as_str()]);
    let lists = [
        "/v1/accounts",
        "/v1/accounts/acme",
        "/v1/accounts/acme/balance",
        "/v1/accounts/acme/grants",
        "/v1/accounts/acme/top_ups",
        "/v1/accounts/acme/transactions",
        "/v1/accounts/acme/entries",
    ];
    let (backend, support, admin) = (&intruder.backend, &intruder.support, &intruder.admin);
    let mut reads: Vec<(&Client, &Client, String)> = lists
        .iter()
        .map(|path| (backend, &tenant.backend, path.to_string()))
        .collect();
    for path in [
        "/v1/admin/accounts?query=acme",
        "/v1/admin/accounts?query=cus_same",
        "/v1/admin/audit_log",
        "/v1/admin/stripe_events",
    ] {
        reads.push((support, &tenant.support, path.to_owned()));
    }
    for path in ["/v1/api_keys", "/v1/program", "/v1/ledger/trial_balance"] {
        reads.push((admin, &tenant.admin, path.to_owned()));
    }
    for (client, own, path) in &reads {
        let seen = client.get(path).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.text);
        for secret in &secrets {
            assert!(!seen.text.contains(secret), "{path} shows {secret}: {}", seen.text);
        }
        // The very same call finds things where they are.
        let found = own.get(path).await.text;
        assert!(
            path.ends_with("trial_balance") || secrets.iter().any(|secret| found.contains(secret)),
            "{path}: {found}"
        );

        let listed = seen.json["data"].as_array().cloned().unwrap_or_default();
        let separator = if path.contains('?') { '&' } else { '?' };
        let first_page = own.get(&format!("{path}{separator}limit=1")).await;
        let Some(cursor) = first_page.json["next_cursor"].as_str() else {
            continue;
        };
        let page = client
            .get(&format!("{path}{separator}cursor={cursor}"))
            .await
            .expect(200);
        for item in page["data"].as_array().expect("a list") {
            assert!(listed.contains(item), "{path}: {item}");
        }
    }
    let name = format!("/v1/admin/accounts?query={}", tenant.slug);
    assert_eq!(support.get(&name).await.expect(200)["data"], json!([]));
    assert_eq!(tenant.balance("acme").await["available"], 94);

    // What one does to the account of the same id, the other does not feel.
    intruder.spend("acme", json!({"amount": 94})).await.expect(201);
    intruder
        .backend
        .put("/v1/accounts/acme", json!({"name": "Mine"}))
        .await
        .expect(200);
    let revoke = format!("/v1/grants/{}/revoke", theirs.ids["grant"]);
    intruder
        .backend
        .post(&revoke, json!({}))
        .await
        .refused(409, "grant_already_closed");
    assert_eq!(intruder.balance("acme").await["available"], 0);
    assert_eq!(tenant.balance("acme").await["available"], 94);
    let name = tenant.backend.get("/v1/accounts/acme").await.expect(200)["name"].clone();
    assert_eq!(name, format!("Acme of {}", tenant.slug));
    for tenant in [tenant, &intruder] {
        service.assert_books_agree(tenant).await;
    }
}

#[tokio::test]
async fn idempotency_keys_of_two_tenants_have_nothing_to_do_with_each_other() {
    let (service, other, ..) = neighbours().await;
    let grant = json!({"class": "plan", "origin": "bonus", "amount": 5});
    let key = json!({"role": "read", "name": "k"});
    let calls = [
        ("/v1/accounts/acme/spends", json!({"amount": 5})),
        ("/v1/accounts/acme/grants", grant),
        ("/v1/api_keys", key),
    ];
    for (path, body) in calls {
        let mut ids = Vec::new();
        for tenant in [&service.tenant, &other] {
            let client = if path == "/v1/api_keys" {
                &tenant.admin
            } else {
                &tenant.backend
            };
            let answer = client
                .post_with(path, &format!("the same key for {path}"), body.clone())
                .await;
            assert_eq!(answer.header("idempotent-replayed"), "", "{path}");
            ids.push(answer.expect(201)["id"].clone());
        }
        assert_ne!(ids[0], ids[1], "{path}");
    }
    // Taken for another call in one, free in the other.
    let path = "/v1/accounts/bolt/grants";
    let body = json!({"class": "plan", "origin": "bonus", "amount": 9});
    service
        .tenant
        .backend
        .post_with("/v1/accounts/acme/spends", "k", json!({"amount": 1}))
        .await
        .expect(201);
    service
        .tenant
        .backend
        .post_with(path, "k", body.clone())
        .await
        .refused(422, "idempotency_key_reused");
    other.backend.post_with(path, "k", body).await.expect(201);
}

#[tokio::test]
async fn a_webhook_of_one_tenant_does_nothing_for_another() {
    let (service, other, ours, theirs) = neighbours().await;
    let mut owner = service.owner().await;
    let before = tenant_rows::of(&mut owner, &service.tenant.id).await;
    let (now, refused) = (service.stripe.now(), "invalid_signature");
    let forged = Delivery::signed(&ours.paid, &[&theirs.webhook_secret], now);
    let (status, body) = deliver(&ours.webhook_url, &forged).await.expect("an answer");
    assert!(status == 400 && body.contains(refused), "{status} {body}");
    let misdirected = Delivery::signed(&ours.paid, &[&ours.webhook_secret], now);
    let (status, body) = deliver(&theirs.webhook_url, &misdirected).await.expect("an answer");
    assert!(status == 400 && body.contains(refused), "{status} {body}");

    // The other tenant can say whatever it likes at its own address: nothing is credited, here or there.
    let (status, _) = deliver(&theirs.webhook_url, &forged).await.expect("an answer");
    assert_eq!(status, 200);
    let events = settled(&other, 2).await;
    assert!(events.iter().all(|event| event["state"] != "done"), "{events:?}");
    for (tenant, theirs) in [(&service.tenant, &ours), (&other, &theirs)] {
        assert_eq!(tenant.balance("acme").await["available"], 94);
        let top_up = tenant
            .backend
            .get(&format!("/v1/top_ups/{}", theirs.ids["top_up"]))
            .await
            .expect(200);
        assert_eq!(top_up["status"], "open");
    }
    assert_eq!(tenant_rows::of(&mut owner, &service.tenant.id).await, before);

    // The same event, where it belongs and signed by whose it is, is good.
    let (status, _) = deliver(&ours.webhook_url, &misdirected).await.expect("an answer");
    assert_eq!(status, 200);
    settled(&service.tenant, 2).await;
    assert_eq!(service.tenant.balance("acme").await["available"], 194);
    assert_eq!(other.balance("acme").await["available"], 94);
}

#[tokio::test]
async fn a_key_with_another_tenants_id_in_it_opens_nothing() {
    let (service, other, ..) = neighbours().await;
    let simple = |tenant: &Tenant| tenant.id.replace('-', "");
    let moved = service
        .tenant
        .backend
        .key
        .0
        .replace(&simple(&service.tenant), &simple(&other));
    assert_ne!(moved, service.tenant.backend.key.0);
    let client = Client::new(&service.url, Key(moved));
    client.get("/v1/accounts").await.refused(401, "unauthorized");
}
