//! What is agreed when credits are ordered, and what cannot be ordered.

use chrono::{DateTime, Days, Months, Utc};
use serde_json::{Value, json};

use super::{Shop, TOP_UPS, order, program};
use crate::support::client::fresh_key;

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).expect("a time")
}

#[tokio::test]
async fn what_was_agreed_is_credited_though_the_program_changed_meanwhile() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let mut changed = program();
    changed["packs"] = json!({"small": {"price": {"amount": 60, "currency": "EUR"}, "credits": 1, "class": "plan",
        "expiry": {"days": 1}}});
    let put = shop.tenant().admin.put("/v1/program", changed).await.expect(200);
    assert_eq!(put["version"], 2);
    shop.deliver(&shop.pay(&session)).await;
    shop.assert_credited_once(&top_up).await;
    let grant = &shop.list("grants").await[0];
    assert_eq!((&grant["amount"], &grant["class"]), (&json!(500), &json!("balance")));
    assert_eq!(
        (&grant["expires_at"], &grant["program_version"]),
        (&Value::Null, &json!(1))
    );
    assert_eq!(grant["paid"], json!({"amount": 999, "currency": "USD"}));
    // The next purchase goes by the new one.
    let (top_up, session) = shop.buy("small").await;
    shop.deliver(&shop.pay(&session)).await;
    shop.credited(&top_up).await;
    let grant = &shop.list("grants").await[0];
    assert_eq!((&grant["amount"], &grant["program_version"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn even_a_program_without_the_pack_takes_nothing_from_the_buyer() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let bare = json!({"unit": {"name": "credits"}});
    shop.tenant().admin.put("/v1/program", bare).await.expect(200);
    shop.deliver(&shop.pay(&session)).await;
    shop.assert_credited_once(&top_up).await;
}

#[tokio::test]
async fn bought_credits_expire_as_the_pack_says() {
    let shop = Shop::open().await;
    let tenant = shop.tenant();
    let cycle = tenant.grant("acme", json!({"plan": "pro"})).await;
    for (pack, class, price) in [
        ("cycle", "addon", json!({"amount": 300, "currency": "USD"})),
        ("days", "balance", json!({"amount": 100, "currency": "USD"})),
        ("months", "plan", json!({"amount": 500, "currency": "JPY"})),
    ] {
        let (top_up, session) = shop.buy(pack).await;
        assert_eq!((&top_up["class"], &top_up["price"]), (&json!(class), &price));
        shop.deliver(&shop.pay(&session)).await;
        shop.assert_credited_once(&top_up).await;
        let grant = &shop.list("grants").await[0];
        assert_eq!((&grant["class"], &grant["paid"]), (&json!(class), &price));
        let (from, end) = (time(&grant["effective_at"]), time(&grant["expires_at"]));
        let expected = match pack {
            "cycle" => time(&cycle["expires_at"]),
            "days" => from.checked_add_days(Days::new(30)).expect("in range"),
            _ => from.checked_add_months(Months::new(1)).expect("in range"),
        };
        assert_eq!(end, expected, "{pack}");
    }
    // A bought plan grant is no cycle of its own.
    assert_eq!(tenant.balance("acme").await["available"], 200);
    shop.service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn what_ends_with_a_cycle_needs_one() {
    let shop = Shop::open().await;
    let tenant = shop.tenant();
    shop.try_buy("cycle", "a-key").await.refused(409, "no_current_cycle");
    let other = json!({"class": "plan", "origin": "bonus", "amount": 5, "expires_at": "2099-01-01T00:00:00Z"});
    tenant.grant("acme", other).await;
    shop.try_buy("cycle", "a-key").await.refused(409, "no_current_cycle");
    let future = json!({"plan": "pro", "effective_at": "2098-01-01T00:00:00Z"});
    tenant.grant("acme", future).await;
    shop.try_buy("cycle", "a-key").await.refused(409, "no_current_cycle");
    assert_eq!(shop.list("top_ups").await, [] as [Value; 0]);
    assert_eq!(shop.service.stripe.requests(), []);
    tenant.grant("acme", json!({"plan": "pro"})).await;
    shop.try_buy("cycle", "a-key").await.expect(201);
}

#[tokio::test]
async fn what_cannot_be_ordered_is_refused_by_name() {
    let shop = Shop::open().await;
    let tenant = shop.tenant();
    let refusal = shop.try_buy("huge", &fresh_key()).await.refused(422, "unknown_pack");
    assert_eq!(
        (&refusal["pack"], &refusal["packs"]),
        (&json!("huge"), &json!(["cycle", "days", "months", "small"]))
    );
    let with = |field: &str, value: Value| {
        let mut body = order("small");
        body[field] = value;
        body
    };
    for (body, code) in [
        (with("success_url", json!("javascript:alert(1)")), "invalid_success_url"),
        (with("success_url", json!("https://")), "invalid_success_url"),
        (with("cancel_url", json!("/back")), "invalid_cancel_url"),
        (
            with("cancel_url", json!("https://shop.example/a b")),
            "invalid_cancel_url",
        ),
        (with("mode", json!("saved_card")), "invalid_mode"),
        (with("credits", json!(1000)), "unknown_field"),
        (with("price", json!({"amount": 1, "currency": "USD"})), "unknown_field"),
        (json!({"pack": "small", "mode": "checkout"}), "missing_field"),
    ] {
        tenant.backend.post(TOP_UPS, body.clone()).await.refused(422, code);
    }
    let nobody = "/v1/accounts/nobody/top_ups";
    tenant
        .backend
        .post(nobody, order("small"))
        .await
        .refused(404, "account_not_found");
    for client in [&tenant.read, &tenant.support, &tenant.admin] {
        client.post(TOP_UPS, order("small")).await.refused(403, "forbidden");
    }
    tenant
        .backend
        .get("/v1/top_ups/01990000-0000-7000-8000-000000000000")
        .await
        .refused(404, "top_up_not_found");
    assert_eq!(shop.list("top_ups").await, [] as [Value; 0]);
    assert_eq!(shop.service.stripe.requests(), []);
}

#[tokio::test]
async fn without_stripe_or_a_program_nothing_is_for_sale() {
    let service = crate::support::TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    tenant
        .backend
        .post(TOP_UPS, order("small"))
        .await
        .refused(422, "unknown_pack");
    tenant.admin.put("/v1/program", program()).await.expect(200);
    let key = fresh_key();
    let refused = tenant.backend.post_with(TOP_UPS, &key, order("small")).await;
    refused.refused(409, "stripe_not_configured");
    // The refusal did not use up the key.
    tenant
        .connect_stripe(&service.stripe, &format!("sk_test_{key}"), "whsec_x")
        .await;
    tenant
        .backend
        .post_with(TOP_UPS, &key, order("small"))
        .await
        .expect(201);
}

#[tokio::test]
async fn an_order_sent_again_is_answered_with_the_same_bytes() {
    let shop = Shop::open().await;
    let key = fresh_key();
    let first = shop.try_buy("small", &key).await;
    let top_up = first.clone().expect(201);
    let second = shop.try_buy("small", &key).await;
    assert_eq!((second.status, &second.text), (201, &first.text));
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            second.header("idempotent-replayed")
        ),
        ("", "true")
    );
    shop.deliver(&shop.pay(&shop.session_of(&top_up))).await;
    shop.credited(&top_up).await;
    assert_eq!(shop.try_buy("small", &key).await.text, first.text);
    shop.try_buy("days", &key).await.refused(422, "idempotency_key_reused");
    // A key that moved credits is taken as well.
    let spend_key = fresh_key();
    let spend = json!({"amount": 1});
    let spent = shop
        .tenant()
        .backend
        .post_with("/v1/accounts/acme/spends", &spend_key, spend)
        .await;
    spent.expect(201);
    shop.try_buy("small", &spend_key)
        .await
        .refused(422, "idempotency_key_reused");
    assert_eq!(shop.service.stripe.requests().len(), 1);
    assert_eq!(shop.list("top_ups").await.len(), 1);
}
