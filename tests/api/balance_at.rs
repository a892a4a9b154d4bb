//! The balance at an instant of the past, on a test clock.

use serde_json::{Value, json};

use crate::support::{TestService, service::Tenant};

pub async fn advance(tenant: &Tenant, to: &str) {
    tenant
        .admin
        .post("/v1/test_clock/advance", json!({"to": to}))
        .await
        .expect(200);
}

async fn balance_at(tenant: &Tenant, at: &str) -> Value {
    let path = format!("/v1/accounts/acme/balance?at={at}");
    tenant.read.get(&path).await.expect(200)
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

/// Available, held, frozen, used.
fn figures(balance: &Value) -> [i64; 4] {
    ["available", "held", "frozen", "used"].map(|name| balance[name].as_i64().expect("a number"))
}

fn program(allowance: i64, cap: i64) -> Value {
    json!({"unit": {"name": "credits"}, "timezone": "Europe/Berlin",
        "plans": {
            "pro": {"rank": 2, "allowance": allowance, "rollover": {"max": 25}, "addon": {"credits": 10}},
            "lite": {"rank": 1, "allowance": 40, "caps": [{"window": "day", "limit": 30}]}},
        "caps": [{"window": "day", "limit": cap}, {"window": "cycle", "limit": 500}],
        "gates": {"spend": {"balance": "subscription"}}})
}

#[tokio::test]
async fn every_balance_that_was_seen_is_seen_again() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.admin.put("/v1/program", program(100, 75)).await.expect(200);
    let mut seen: Vec<(&str, Value)> = Vec::new();

    advance(tenant, "2031-01-10T09:00:00Z").await;
    tenant.account("acme").await;
    let backend = &tenant.backend;
    let promotion = json!({"class": "balance", "origin": "promotion", "amount": 300});
    tenant.grant("acme", promotion).await;
    seen.push(("2031-01-10T09:00:00Z", tenant.balance("acme").await));

    // The end of January: a month later it is the 28th of February, then the 31st of March again.
    advance(tenant, "2031-01-31T08:00:00Z").await;
    let subscribed = backend
        .post("/v1/accounts/acme/subscriptions", json!({"plan": "pro", "units": 2}))
        .await
        .expect(201);
    let subscription = format!("/v1/subscriptions/{}", id(&subscribed));
    let spend = tenant.spend("acme", json!({"amount": 50})).await.expect(201);
    seen.push(("2031-01-31T08:00:00Z", tenant.balance("acme").await));

    advance(tenant, "2031-02-10T08:00:00Z").await;
    let hold = json!({"amount": 60, "expires_in_s": 600_000});
    let hold = backend.post("/v1/accounts/acme/holds", hold).await.expect(201);
    seen.push(("2031-02-10T08:00:00Z", tenant.balance("acme").await));
    advance(tenant, "2031-02-10T12:00:00Z").await;
    backend
        .post(&format!("/v1/holds/{}/capture", id(&hold)), json!({"amount": 45}))
        .await
        .expect(201);
    let downgrade = json!({"plan": "lite"});
    let key = [("idempotency-key", "downgrade-acme")];
    backend
        .send("PATCH", &subscription, &key, downgrade.to_string())
        .await
        .expect(200);
    seen.push(("2031-02-10T12:00:00Z", tenant.balance("acme").await));

    // The next cycle: what remained rolls over, the plan is the lesser one. A refund of January's spend lowers nothing here.
    advance(tenant, "2031-03-05T00:00:00Z").await;
    tenant.spend("acme", json!({"amount": 12})).await.expect(201);
    let refund = json!({"amount": 20, "reason": "it failed"});
    backend
        .post(&format!("/v1/spends/{}/refunds", id(&spend)), refund)
        .await
        .expect(201);
    seen.push(("2031-03-05T00:00:00Z", tenant.balance("acme").await));

    let override_caps = json!({"caps": [{"window": "day", "limit": 33}], "reason": "asked for"});
    let key = [("idempotency-key", "caps-of-acme")];
    advance(tenant, "2031-03-06T00:00:00Z").await;
    tenant
        .support
        .send("PUT", "/v1/admin/accounts/acme/caps", &key, override_caps.to_string())
        .await
        .expect(200);
    backend.delete(&subscription).await.expect(200);
    seen.push(("2031-03-06T00:00:00Z", tenant.balance("acme").await));

    // It ended: the balance class is frozen.
    advance(tenant, "2031-06-01T00:00:00Z").await;
    seen.push(("2031-06-01T00:00:00Z", tenant.balance("acme").await));
    advance(tenant, "2031-06-01T00:00:00.000001Z").await;
    for (at, then) in &seen {
        assert_eq!(then["at"], *at);
        assert_eq!(balance_at(tenant, at).await, *then, "at {at}");
    }
    // In between, and just before and at the turns.
    let at = async |at: &str| figures(&balance_at(tenant, at).await);
    assert_eq!(at("2031-01-31T07:59:59.999999Z").await, [0, 0, 300, 0]);
    assert_eq!(at("2031-02-10T07:59:59Z").await, [370, 0, 0, 50]);
    assert_eq!(at("2031-02-10T09:00:00Z").await, [310, 60, 0, 50]);
    // 120 less 50 less 45 remain, of which 10 are the add-on's; 15 of the allowance go over. 28 February, 08:00.
    assert_eq!(at("2031-02-28T07:59:59.999999Z").await, [325, 0, 0, 95]);
    assert_eq!(at("2031-02-28T08:00:00Z").await, [345, 0, 0, 0]);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_grant_of_the_past_is_in_the_balances_since() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    advance(tenant, "2031-03-10T00:00:00Z").await;
    let legacy = json!({"class": "balance", "origin": "legacy", "amount": 70,
        "effective_at": "2031-01-01T00:00:00Z", "expires_at": "2031-03-01T00:00:00Z"});
    tenant.grant("acme", legacy).await;
    for (at, available) in [
        ("2030-12-31T23:59:59.999999Z", 0),
        ("2031-01-01T00:00:00Z", 70),
        ("2031-02-28T23:59:59.999999Z", 70),
        ("2031-03-01T00:00:00Z", 0),
        ("2031-03-10T00:00:00Z", 0),
    ] {
        assert_eq!(balance_at(tenant, at).await["available"], available, "{at}");
    }
}

#[tokio::test]
async fn before_the_account_there_was_nothing_and_the_future_is_refused() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    advance(tenant, "2031-01-01T00:00:00Z").await;
    tenant.account("acme").await;
    tenant
        .grant("acme", json!({"class": "balance", "origin": "promotion", "amount": 5}))
        .await;
    let before = balance_at(tenant, "2001-01-01T00:00:00%2B01:00").await;
    assert_eq!((figures(&before), &before["grants"]), ([0, 0, 0, 0], &json!([])));
    assert_eq!(before["at"], "2000-12-31T23:00:00Z");
    let now = balance_at(tenant, "2031-01-01T00:00:00Z").await;
    assert_eq!(now, tenant.balance("acme").await);

    let refused = async |query: &str, code: &str| {
        let path = format!("/v1/accounts/acme/balance?{query}");
        tenant.read.get(&path).await.refused(422, code)
    };
    let future = refused("at=2031-01-01T00:00:00.000001Z", "invalid_at").await;
    assert_eq!(
        (&future["field"], &future["now"]),
        (&json!("at"), &json!("2031-01-01T00:00:00Z"))
    );
    for bad in ["at=yesterday", "at=", "at=2031-01-01", "at=0000-01-01T00:00:00Z"] {
        assert_eq!(refused(bad, "invalid_at").await["field"], "at", "{bad}");
    }
    assert_eq!(refused("when=now", "invalid_parameter").await["field"], "when");
    let twice = "at=2030-01-01T00:00:00Z&at=2030-01-02T00:00:00Z";
    assert_eq!(refused(twice, "invalid_parameter").await["field"], "at");
    let nobody = tenant.read.get("/v1/accounts/nobody/balance?at=2030-01-01T00:00:00Z");
    nobody.await.refused(404, "account_not_found");
}

#[tokio::test]
async fn a_long_history_is_read_to_its_end() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    // As many transactions before all others as it takes, of grants that are another's.
    let mut owner = service.owner().await;
    let tenant_id: sqlx::types::Uuid = tenant.id.parse().expect("a UUID");
    let added = sqlx::query(
        "WITH added AS (
             INSERT INTO transactions (tenant_id, id, account_id, amount, available_after, created_at, effective_at, kind)
             SELECT tenant_id, lpad(to_hex(n), 32, '0')::uuid, id, 1, 0, '2031-01-01', '2031-01-01', 6
             FROM accounts, generate_series(1, 12000) n WHERE tenant_id = $1
             RETURNING tenant_id, account_id, id
         )
         INSERT INTO entries (tenant_id, account_id, transaction_id, grant_id, amount, seq, debit, credit)
         SELECT tenant_id, account_id, id, id, 1, 1, 1, 13 FROM added",
    );
    added.bind(tenant_id).execute(&mut owner).await.expect("they are added");
    advance(tenant, "2031-01-02T00:00:00Z").await;
    tenant
        .grant("acme", json!({"class": "balance", "origin": "promotion", "amount": 9}))
        .await;
    tenant.spend("acme", json!({"amount": 2})).await.expect(201);
    let seen = tenant.balance("acme").await;
    advance(tenant, "2031-01-03T00:00:00Z").await;
    assert_eq!(balance_at(tenant, "2031-01-02T00:00:00Z").await, seen);
    assert_eq!(figures(&seen), [7, 0, 0, 2]);
}
