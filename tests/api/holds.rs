//! Holds and quotes over HTTP: placed, captured, voided, lapsed; and what is refused, by name.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, TestService, client::fresh_key, service::Tenant};

const PROGRAM: &str = r#"
    unit = { name = "credits" }
    holds = { expires_in_s = 600, expires_in_s_max = 3600 }
    caps = [{ window = "day", limit = 150 }]
    [operations.render]
    prices = [{ when = { quality = "high" }, fixed = 40 }, { per = { quantity = { credits = 7 } } }]
"#;

async fn start() -> TestService {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    put(tenant, PROGRAM).await;
    tenant.account("acme").await;
    tenant
        .grant(
            "acme",
            json!({"class": "balance", "origin": "promotion", "amount": 100}),
        )
        .await;
    service
}

async fn put(tenant: &Tenant, program: &'static str) {
    let headers = [("content-type", "application/toml")];
    tenant
        .admin
        .send("PUT", "/v1/program", &headers, program)
        .await
        .expect(200);
}

async fn hold(tenant: &Tenant, body: Value) -> Answer {
    tenant.backend.post("/v1/accounts/acme/holds", body).await
}

async fn end(tenant: &Tenant, hold: &Value, how: &str, body: Value) -> Answer {
    let path = format!("/v1/holds/{}/{how}", hold["id"].as_str().expect("an id"));
    tenant.backend.post(&path, body).await
}

/// (available, held, used)
async fn figures(tenant: &Tenant) -> (i64, i64, i64) {
    let balance = tenant.balance("acme").await;
    let number = |name: &str| balance[name].as_i64().expect("a number");
    assert_eq!(number("remaining"), number("available") + number("held"));
    (number("available"), number("held"), number("used"))
}

#[tokio::test]
async fn what_is_captured_is_spent_and_the_rest_returns() {
    let service = start().await;
    let tenant = &service.tenant;
    let held = hold(tenant, json!({"amount": 60, "operation": "render", "member": "ann"}))
        .await
        .expect(201);
    assert_eq!(
        (&held["status"], &held["amount"], &held["available_after"]),
        (&json!("held"), &json!(60), &json!(40))
    );
    assert_eq!(figures(tenant).await, (40, 60, 0));
    // What is held can't be spent.
    let refusal = tenant
        .spend("acme", json!({"amount": 41}))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!(refusal["available"], 40);
    let captured = end(tenant, &held, "capture", json!({"amount": 25})).await.expect(201);
    assert_eq!(
        (&captured["status"], &captured["captured"]),
        (&json!("captured"), &json!(25))
    );
    assert_eq!(
        (&captured["spend"]["amount"], &captured["spend"]["hold_id"]),
        (&json!(25), &held["id"])
    );
    assert_eq!(figures(tenant).await, (75, 0, 25));
    // The capture is a spend: it can be looked up and refunded.
    let spend = captured["spend"]["id"].as_str().expect("an id");
    let seen = tenant.read.get(&format!("/v1/spends/{spend}")).await.expect(200);
    assert_eq!(
        (&seen["amount"], &seen["operation"], &seen["member"]),
        (&json!(25), &json!("render"), &json!("ann"))
    );
    let refunds = format!("/v1/spends/{spend}/refunds");
    tenant
        .backend
        .post(&refunds, json!({"amount": 5, "reason": "half failed"}))
        .await
        .expect(201);
    assert_eq!(figures(tenant).await, (80, 0, 20));
    let refusal = end(tenant, &held, "capture", json!({}))
        .await
        .refused(409, "hold_already_captured");
    assert_eq!(refusal["captured"], 25);
    end(tenant, &held, "void", json!({}))
        .await
        .refused(409, "hold_already_captured");
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn more_than_is_held_is_captured_only_if_it_is_allowed_and_there() {
    let service = start().await;
    let tenant = &service.tenant;
    let held = hold(tenant, json!({"amount": 60})).await.expect(201);
    let refusal = end(tenant, &held, "capture", json!({"amount": 61}))
        .await
        .refused(422, "capture_exceeds_hold");
    assert_eq!((&refusal["held"], &refusal["requested"]), (&json!(60), &json!(61)));
    let over = json!({"amount": 101, "allow_over": true});
    let refusal = end(tenant, &held, "capture", over)
        .await
        .refused(402, "insufficient_credits");
    assert_eq!((&refusal["needed"], &refusal["available"]), (&json!(41), &json!(40)));
    assert_eq!(figures(tenant).await, (40, 60, 0), "a refusal frees nothing");
    let over = json!({"amount": 90, "allow_over": true});
    end(tenant, &held, "capture", over).await.expect(201);
    assert_eq!(figures(tenant).await, (10, 0, 90));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_void_returns_all_once_and_a_repeat_frees_nothing_more() {
    let service = start().await;
    let tenant = &service.tenant;
    let key = fresh_key();
    let body = json!({"amount": 30});
    let held = tenant
        .backend
        .post_with("/v1/accounts/acme/holds", &key, body.clone())
        .await
        .expect(201);
    end(tenant, &held, "void", json!({"reason": "not needed"}))
        .await
        .expect(201);
    assert_eq!(figures(tenant).await, (100, 0, 0));
    // The first answer again; nothing is held anew, and nothing freed.
    let again = tenant.backend.post_with("/v1/accounts/acme/holds", &key, body).await;
    assert_eq!((again.header("idempotent-replayed"), &again.json), ("true", &held));
    assert_eq!(figures(tenant).await, (100, 0, 0));
    end(tenant, &held, "void", json!({}))
        .await
        .refused(409, "hold_already_voided");
    end(tenant, &held, "capture", json!({}))
        .await
        .refused(409, "hold_already_voided");
    let path = format!("/v1/holds/{}", held["id"].as_str().expect("an id"));
    assert_eq!(tenant.support.get(&path).await.expect(200)["status"], "voided");
    let listed = tenant.read.get("/v1/accounts/acme/holds").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_hold_frees_itself_at_its_deadline_and_outlives_its_grant() {
    let service = start().await;
    let tenant = &service.tenant;
    let to = |time: &str| json!({"to": time});
    let advance = "/v1/test_clock/advance";
    tenant.admin.post(advance, to("2030-01-15T00:00:00Z")).await.expect(200);
    let ending = json!({"class": "plan", "origin": "promotion", "amount": 50, "expires_at": "2030-01-15T00:05:00Z"});
    tenant.grant("acme", ending).await;
    let held = hold(tenant, json!({"amount": 50})).await.expect(201);
    assert_eq!(held["expires_at"], "2030-01-15T00:10:00Z", "as the program says");
    let refusal = hold(tenant, json!({"amount": 1, "expires_in_s": 3601}))
        .await
        .refused(422, "invalid_expires_in_s");
    assert_eq!((&refusal["requested"], &refusal["limit"]), (&json!(3601), &json!(3600)));
    hold(tenant, json!({"amount": 1, "expires_in_s": 0}))
        .await
        .refused(422, "invalid_expires_in_s");
    tenant.admin.post(advance, to("2030-01-15T00:06:00Z")).await.expect(200);
    assert_eq!(
        figures(tenant).await,
        (100, 50, 0),
        "the grant has ended, what is held of it stands"
    );
    tenant.admin.post(advance, to("2030-01-15T00:10:00Z")).await.expect(200);
    assert_eq!(
        figures(tenant).await,
        (100, 0, 0),
        "what returned to the ended grant is gone with it"
    );
    let refusal = end(tenant, &held, "capture", json!({}))
        .await
        .refused(409, "hold_expired");
    assert_eq!(refusal["expired_at"], "2030-01-15T00:10:00Z");
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn parallel_holds_and_captures_never_take_a_credit_twice() {
    let service = start().await;
    let tenant = &service.tenant;
    let holds = join_all((0..40).map(|_| hold(tenant, json!({"amount": 7})))).await;
    let held: Vec<Value> = holds
        .iter()
        .filter(|h| h.status == 201)
        .map(|h| h.json.clone())
        .collect();
    assert_eq!(held.len(), 14, "14 x 7 = 98 of 100");
    assert!(
        holds
            .iter()
            .all(|h| h.status == 201 || h.code() == "insufficient_credits")
    );
    // Each is captured and voided by several at once: one of them wins.
    let ends = held.iter().flat_map(|held| {
        [
            ("capture", json!({"amount": 3})),
            ("void", json!({})),
            ("capture", json!({"amount": 5})),
        ]
        .map(|(how, body)| end(tenant, held, how, body))
    });
    let answers = join_all(ends).await;
    for three in answers.chunks(3) {
        assert_eq!(three.iter().filter(|a| a.status == 201).count(), 1);
        assert!(three.iter().all(|a| a.status == 201 || a.status == 409), "{three:?}");
    }
    let captured: i64 = answers.iter().filter_map(|a| a.json["spend"]["amount"].as_i64()).sum();
    assert_eq!(figures(tenant).await, (100 - captured, 0, captured));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_quote_is_honoured_until_it_lapses_once() {
    let service = start().await;
    let tenant = &service.tenant;
    let quotes = "/v1/accounts/acme/quotes";
    let wanted = json!({"operation": "render", "quantity": 4});
    let quote = tenant.backend.post(quotes, wanted).await.expect(201);
    assert_eq!((&quote["cost"], &quote["affordable"]), (&json!(28), &json!(true)));
    assert_eq!(quote["drawdown"][0]["amount"], 28);
    assert_eq!(
        (&quote["caps"][0]["limit"], &quote["caps"][0]["used"]),
        (&json!(150), &json!(0))
    );
    let high = json!({"operation": "render", "attributes": {"quality": "high"}});
    let lapsing = tenant.backend.post(quotes, high).await.expect(201);
    assert_eq!(lapsing["cost"], 40);
    // The price rises and the cap falls: what was quoted stands.
    put(
        tenant,
        r#"
        unit = { name = "credits" }
        caps = [{ window = "day", limit = 20 }]
        operations.render = { prices = [{ fixed = 90 }] }
        "#,
    )
    .await;
    let spend = json!({"operation": "render"});
    tenant.spend("acme", spend).await.refused(403, "exceeds_cap_ever");
    let other = json!({"quote_id": quote["id"], "amount": 29});
    let refusal = tenant.spend("acme", other).await.refused(422, "quote_differs");
    assert_eq!(refusal["quoted_amount"], 28);
    let spend = tenant.spend("acme", json!({"quote_id": quote["id"]})).await.expect(201);
    assert_eq!(
        (&spend["amount"], &spend["quote_id"], &spend["quantity"]),
        (&json!(28), &quote["id"], &json!(4))
    );
    let refusal = tenant
        .spend("acme", json!({"quote_id": quote["id"]}))
        .await
        .refused(409, "quote_already_used");
    assert_eq!(refusal["used_by"], spend["id"]);
    let lapsed = json!({"to": lapsing["expires_at"]});
    tenant.admin.post("/v1/test_clock/advance", lapsed).await.expect(200);
    tenant
        .spend("acme", json!({"quote_id": lapsing["id"]}))
        .await
        .refused(409, "quote_expired");
    let unknown = json!({"quote_id": "0197ffff-ffff-7fff-bfff-ffffffffffff"});
    tenant.spend("acme", unknown).await.refused(404, "quote_not_found");
    tenant.account("bolt").await;
    tenant
        .spend("bolt", json!({"quote_id": lapsing["id"]}))
        .await
        .refused(404, "quote_not_found");
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_quote_of_what_can_not_be_paid_says_so() {
    let service = start().await;
    let tenant = &service.tenant;
    let quotes = "/v1/accounts/acme/quotes";
    let quote = tenant
        .backend
        .post(quotes, json!({"operation": "render", "quantity": 20}))
        .await
        .expect(201);
    assert_eq!((&quote["cost"], &quote["affordable"]), (&json!(140), &json!(false)));
    assert_eq!(quote["drawdown"][0]["amount"], 100, "what there is towards it");
    tenant
        .spend("acme", json!({"quote_id": quote["id"]}))
        .await
        .refused(402, "insufficient_credits");
    for (body, code) in [
        (json!({}), "invalid_amount"),
        (json!({"operation": "nonsense"}), "unknown_operation"),
        (json!({"operation": "render", "quantity": 0}), "invalid_quantity"),
        (
            json!({"operation": "render", "amount": 5, "quantity": 2}),
            "invalid_amount",
        ),
        (
            json!({"operation": "render", "attributes": {"quality": 1.5}}),
            "invalid_attributes",
        ),
        (json!({"amount": 5, "quote_id": quote["id"]}), "unknown_field"),
    ] {
        tenant.backend.post(quotes, body).await.refused(422, code);
    }
}
