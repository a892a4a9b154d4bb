//! Idempotency keys: the same request gets the same answer, byte by byte and for good; another request with the key is
//! refused; a refusal leaves the key free.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::writes::{rewritten, writes};
use crate::support::{Answer, TestService, client::fresh_key};

fn was_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == "true"
}

#[tokio::test]
async fn every_write_answers_the_same_again_and_refuses_its_key_to_any_other() {
    let service = TestService::start().await;
    let writes = writes(&service).await;
    let document = serde_json::to_value(scrip::http::document()).expect("a document");
    let mut expected = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let written = item
            .as_object()
            .expect("operations")
            .keys()
            .filter(|method| ["post", "put", "patch"].contains(&method.as_str()));
        expected.extend(written.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    // What Stripe sends has no key, and the linter writes nothing.
    expected.remove("POST /v1/stripe/webhooks/{endpoint_id}");
    expected.remove("POST /v1/program/lint");
    let covered: BTreeSet<String> = writes.iter().map(|w| format!("{} {}", w.method, w.operation)).collect();
    assert_eq!(covered, expected, "covered, then those of the document");

    let mut keys = Vec::new();
    for write in &writes {
        let (key, what) = (fresh_key(), write.operation);
        let first = write.send(&key, &write.body.to_string()).await;
        assert!(
            [200, 201].contains(&first.status) && !was_replayed(&first),
            "{what}: {}",
            first.text
        );
        for body in [write.body.to_string(), rewritten(&write.body)] {
            let again = write.send(&key, &body).await;
            assert!(was_replayed(&again), "{what}: {}", again.text);
            assert_eq!((again.status, &again.text), (first.status, &first.text), "{what}");
            assert_eq!(again.header("content-type"), first.header("content-type"), "{what}");
        }
        write
            .send(&key, &write.other.to_string())
            .await
            .refused(422, "idempotency_key_reused");
        keys.push(key);
    }
    let mut owner = service.owner().await;
    let before = super::tenant_rows::of(&mut owner, &service.tenant.id).await;
    // The operator's keys are not the tenant's: its write comes first, and stays out of this.
    for (write, key) in writes.iter().zip(&keys).skip(1) {
        for other in writes.iter().skip(1).filter(|other| other.operation != write.operation) {
            let answer = other.send(key, &other.body.to_string()).await;
            let refusal = (answer.status, answer.code());
            assert_eq!(
                refusal,
                (422, "idempotency_key_reused"),
                "{} after {}",
                other.operation,
                write.operation
            );
            assert_eq!(answer.json["idempotency_key"], key.as_str());
        }
    }
    assert_eq!(super::tenant_rows::of(&mut owner, &service.tenant.id).await, before);
    service.assert_books_agree(&service.tenant).await;
}

#[tokio::test]
async fn a_key_belongs_to_one_account_and_one_path() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    for account in ["acme", "bolt"] {
        tenant.account(account).await;
        tenant
            .grant(account, json!({"class": "plan", "origin": "promotion", "amount": 100}))
            .await;
    }
    let body = json!({"amount": 5});
    tenant
        .backend
        .post_with("/v1/accounts/acme/spends", "k", body.clone())
        .await
        .expect(201);
    for path in ["/v1/accounts/bolt/spends", "/v1/accounts/acme/grants"] {
        let body = if path.ends_with("grants") {
            json!({"class": "plan", "origin": "bonus", "amount": 5})
        } else {
            body.clone()
        };
        tenant
            .backend
            .post_with(path, "k", body)
            .await
            .refused(422, "idempotency_key_reused");
    }
    // An empty body is an empty object.
    let grant = tenant
        .grant("acme", json!({"class": "plan", "origin": "bonus", "amount": 3}))
        .await;
    let revoke = format!("/v1/grants/{}/revoke", grant["id"].as_str().expect("an id"));
    for (body, replayed) in [("", ""), ("{}", "true"), (" { } ", "true")] {
        let answer = tenant
            .backend
            .send("POST", &revoke, &[("idempotency-key", "r")], body)
            .await;
        assert_eq!(
            (answer.status, answer.header("idempotent-replayed")),
            (201, replayed),
            "{body:?}"
        );
    }
    let put = async |account: &str| {
        let path = format!("/v1/accounts/{account}");
        tenant
            .backend
            .send("PUT", &path, &[("idempotency-key", "p")], "{}")
            .await
    };
    put("acme").await.expect(200);
    put("bolt").await.refused(422, "idempotency_key_reused");
    assert_eq!(tenant.balance("acme").await["available"], 95);
    assert_eq!(tenant.balance("bolt").await["available"], 100);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let spend = async || {
        tenant
            .backend
            .post_with("/v1/accounts/acme/spends", "k", json!({"amount": 50}))
            .await
    };
    spend().await.refused(404, "account_not_found");
    tenant.account("acme").await;
    spend().await.refused(402, "insufficient_credits");
    tenant
        .grant("acme", json!({"class": "plan", "origin": "promotion", "amount": 60}))
        .await;
    let done = spend().await;
    assert!(!was_replayed(&done));
    let again = spend().await;
    assert!(was_replayed(&again));
    assert_eq!(done.expect(201), again.expect(201));
    assert_eq!(tenant.balance("acme").await["available"], 10);

    let plan = async || {
        tenant
            .backend
            .post_with("/v1/accounts/acme/grants", "g", json!({"plan": "pro"}))
            .await
    };
    plan().await.refused(422, "unknown_plan");
    let program = json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": 500}}});
    tenant.admin.put("/v1/program", program).await.expect(200);
    plan().await.expect(201);

    let named = |name: &str| json!({"slug": tenant.slug, "name": name, "mode": "live"});
    let tenants = "/v1/tenants";
    let key = fresh_key();
    service
        .operator
        .post_with(tenants, &key, named("a"))
        .await
        .refused(409, "slug_taken");
    let other = json!({"slug": format!("r-{key}"), "name": "b", "mode": "live"});
    service.operator.post_with(tenants, &key, other).await.expect(201);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_replay_shows_what_was_answered_then_whatever_came_since() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let program = |plans: Value| json!({"unit": {"name": "credits"}, "plans": plans});
    tenant
        .admin
        .put("/v1/program", program(json!({"pro": {"allowance": 500}})))
        .await
        .expect(200);
    let post = async |path: &str, key: &str, body: &Value| tenant.backend.post_with(path, key, body.clone()).await;
    let (grants, spends) = ("/v1/accounts/acme/grants", "/v1/accounts/acme/spends");
    // A leap second, and finer than the database keeps.
    let granted =
        json!({"class": "plan", "origin": "bonus", "amount": 100, "effective_at": "2016-12-31T23:59:60.123456789Z"});
    let (plan, spent) = (
        json!({"plan": "pro"}),
        json!({"amount": 30, "metadata": {"numbers": [1.0, 1e300, -1e300, 0.1, 1e-7, 1e-300, u64::MAX, i64::MIN]}}),
    );
    let refunded = json!({"amount": 10, "reason": "x"});

    let mut asked = vec![(grants.to_owned(), "g", &granted, post(grants, "g", &granted).await)];
    asked.push((spends.to_owned(), "s", &spent, post(spends, "s", &spent).await));
    let spend = asked[1].3.json.clone();
    let refunds = format!("/v1/spends/{}/refunds", spend["id"].as_str().expect("an id"));
    asked.push((refunds.clone(), "r", &refunded, post(&refunds, "r", &refunded).await));
    asked.push((grants.to_owned(), "p", &plan, post(grants, "p", &plan).await));

    post(&refunds, "r2", &json!({"reason": "the rest"})).await.expect(201);
    tenant.spend("acme", json!({"amount": 600})).await.expect(201);
    tenant.admin.put("/v1/program", program(json!({}))).await.expect(200);
    post(grants, "other", &plan).await.refused(422, "unknown_plan");
    let before = tenant.balance("acme").await;
    assert_eq!(before["available"], 0);
    for (path, key, body, first) in asked {
        let again = post(&path, key, body).await;
        assert_eq!(
            (again.status, again.text.as_str()),
            (201, first.text.as_str()),
            "{path}"
        );
        assert!(was_replayed(&again), "{path}");
    }
    assert_eq!(tenant.balance("acme").await["available"], 0);

    let put = async |key: &str, name: &str| {
        let body = json!({"name": name}).to_string();
        tenant
            .backend
            .send("PUT", "/v1/accounts/acme", &[("idempotency-key", key)], body)
            .await
    };
    let first = put("a", "First").await;
    put("b", "Second").await.expect(200);
    assert_eq!(put("a", "First").await.text, first.text);
    assert_eq!(
        tenant.backend.get("/v1/accounts/acme").await.expect(200)["name"],
        "Second"
    );
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn of_32_at_once_one_is_carried_out_and_all_get_its_answer() {
    let service = TestService::start().await;
    let mut owner = service.owner().await;
    for write in writes(&service).await {
        let (key, body) = (fresh_key(), write.body.to_string());
        let answers = join_all((0..32).map(|_| write.send(&key, &body))).await;
        let first = &answers[0];
        assert!(
            [200, 201].contains(&first.status),
            "{}: {}",
            write.operation,
            first.text
        );
        for answer in &answers {
            assert_eq!(
                (answer.status, &answer.text),
                (first.status, &first.text),
                "{}",
                write.operation
            );
        }
        // Those who come while Stripe is being asked ask with it, for the very same session; those who come while the clock
        // moves move it to the same time.
        let carried_out = answers.iter().filter(|answer| !was_replayed(answer)).count();
        let together = write.operation.ends_with("/top_ups") || write.operation.ends_with("/advance");
        let once = carried_out == 1 || (together && carried_out > 0);
        assert!(once, "{}: {carried_out} say that they did it", write.operation);
    }
    let rows = super::tenant_rows::of(&mut owner, &service.tenant.id).await;
    // Made by `writes`: 2 grants, 2 spends, 2 holds and a subscription; by the calls: a grant, a revocation, a spend, two
    // refunds, a hold, a capture, a void, a subscription, its change and support's caps.
    assert_eq!(
        (rows["transactions"].0, rows["top_ups"].0, rows["audit_log"].0),
        (18, 1, 2)
    );
    assert_eq!(service.stripe.session_ids("sk_test_writes").len(), 1);
    service.assert_books_agree(&service.tenant).await;
}

#[tokio::test]
async fn a_key_that_two_accounts_want_at_once_goes_to_one_of_them() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let accounts: Vec<String> = (0..8).map(|n| format!("account-{n}")).collect();
    for account in &accounts {
        tenant.account(account).await;
        tenant
            .grant(account, json!({"class": "plan", "origin": "promotion", "amount": 1000}))
            .await;
    }
    for _ in 0..10 {
        let key = fresh_key();
        let spends = accounts.iter().cycle().take(32).map(|account| {
            let (key, path) = (key.clone(), format!("/v1/accounts/{account}/spends"));
            async move { tenant.backend.post_with(&path, &key, json!({"amount": 1})).await }
        });
        let answers = join_all(spends).await;
        let done: BTreeSet<&str> = answers
            .iter()
            .filter(|a| a.status == 201)
            .map(|a| a.text.as_str())
            .collect();
        assert_eq!(done.len(), 1, "{done:?}");
        let refused = answers
            .iter()
            .filter(|a| (a.status, a.code()) == (422, "idempotency_key_reused"))
            .count();
        assert_eq!(refused, 28);
    }
    let mut left = 0;
    for account in &accounts {
        left += tenant.balance(account).await["available"].as_i64().expect("a number");
    }
    assert_eq!(left, 8 * 1000 - 10);
    service.assert_books_agree(tenant).await;
}
