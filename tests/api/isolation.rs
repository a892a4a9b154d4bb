//! The wall between tenants, over HTTP: with one tenant's keys at another's things.

use serde_json::json;

use super::{
    neighbours::{neighbours, settled},
    tenant_rows,
};
use crate::support::{
    Client, Key,
    fake_stripe::{Delivery, deliver},
    service::Tenant,
};

#[tokio::test]
async fn another_tenants_ids_lead_nowhere() {
    let (service, intruder, ours, _) = neighbours().await;
    let mut owner = service.owner().await;
    let before = tenant_rows::of(&mut owner, &service.tenant.id).await;
    let intruders_before = tenant_rows::of(&mut owner, &intruder.id).await;
    let (backend, admin, support) = (&intruder.backend, &intruder.admin, &intruder.support);
    let reason = json!({"reason": "x"});
    let calls: [(&Client, &str, &str, &str, &str); 14] = [
        (backend, "GET", "/v1/holds/{id}", "hold", "hold_not_found"),
        (backend, "POST", "/v1/holds/{id}/capture", "hold", "hold_not_found"),
        (backend, "POST", "/v1/holds/{id}/void", "hold", "hold_not_found"),
        (
            backend,
            "GET",
            "/v1/subscriptions/{id}",
            "subscription",
            "subscription_not_found",
        ),
        (
            backend,
            "PATCH",
            "/v1/subscriptions/{id}",
            "subscription",
            "subscription_not_found",
        ),
        (
            backend,
            "DELETE",
            "/v1/subscriptions/{id}",
            "subscription",
            "subscription_not_found",
        ),
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
        let is_of_account = path.starts_with("/v1/accounts/{id}") || path.starts_with("/v1/admin/accounts/{id}");
        assert!(tried || is_of_account, "{path} is not tried");
    }
    for (client, method, operation, thing, code) in calls {
        let path = operation.replace("{id}", &ours.ids[thing]);
        let answer = match method {
            "POST" if operation.starts_with("/v1/holds") => client.post(&path, json!({})).await,
            "POST" => client.post(&path, reason.clone()).await,
            "PATCH" => {
                let key = [("idempotency-key", "patch")];
                client.send(method, &path, &key, r#"{"units": 0}"#).await
            }
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
        "/v1/accounts/acme/statement",
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
    assert_eq!(tenant.balance("acme").await["available"], 139);

    // What one does to the account of the same id, the other does not feel.
    intruder.spend("acme", json!({"amount": 139})).await.expect(201);
    intruder
        .backend
        .put("/v1/accounts/acme", json!({"name": "Mine"}))
        .await
        .expect(200);
    let revoke = format!("/v1/grants/{}/revoke", theirs.ids["grant"]);
    // Nothing is left in it but what the hold has.
    intruder
        .backend
        .post(&revoke, json!({}))
        .await
        .refused(409, "grant_held");
    assert_eq!(intruder.balance("acme").await["available"], 0);
    assert_eq!(tenant.balance("acme").await["available"], 139);
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
        assert_eq!(tenant.balance("acme").await["available"], 139);
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
    assert_eq!(service.tenant.balance("acme").await["available"], 239);
    assert_eq!(other.balance("acme").await["available"], 139);
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
