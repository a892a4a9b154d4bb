//! Subscriptions over HTTP: begun, changed, cancelled, resumed; the gates they open; and what is refused, by name.

use serde_json::{Value, json};

use crate::support::{Answer, TestService, service::Tenant};

const PROGRAM: &str = r#"
    unit = { name = "credits" }
    gates = { purchase = "paid_subscription", spend = { balance = "paid_subscription" } }

    [plans.free]
    paid = false
    allowance = 10

    [plans.basic]
    allowance = 100
    addon = { credits = 60, price = { amount = 1000, currency = "USD" }, units_max = 5 }

    [plans.team]
    allowance = { month = 300, year = 360 }
    billing = ["month", "year"]
    refresh = "month"
    upgrade = "prorated"

    [plans.by_stripe]
    allowance = 100
    renewal = "stripe"

    [packs.small]
    price = { amount = 500, currency = "USD" }
    credits = 50
"#;

/// A tenant whose clock stands on 2030-01-15, with an account.
async fn start() -> TestService {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let headers = [("content-type", "application/toml")];
    tenant
        .admin
        .send("PUT", "/v1/program", &headers, PROGRAM)
        .await
        .expect(200);
    advance(tenant, "2030-01-15T00:00:00Z").await;
    tenant.account("acme").await;
    service
}

async fn advance(tenant: &Tenant, to: &str) {
    tenant
        .admin
        .post("/v1/test_clock/advance", json!({"to": to}))
        .await
        .expect(200);
}

async fn subscribe(tenant: &Tenant, body: Value) -> Answer {
    tenant.backend.post("/v1/accounts/acme/subscriptions", body).await
}

fn path(subscription: &Value) -> String {
    format!("/v1/subscriptions/{}", subscription["id"].as_str().expect("an id"))
}

async fn change(tenant: &Tenant, subscription: &Value, body: Value) -> Answer {
    let key = crate::support::client::fresh_key();
    let headers = [("idempotency-key", key.as_str())];
    tenant
        .backend
        .send("PATCH", &path(subscription), &headers, body.to_string())
        .await
}

/// (available, frozen, the grants' amounts in the order in which they are spent)
async fn figures(tenant: &Tenant) -> (i64, i64, Vec<i64>) {
    let balance = tenant.balance("acme").await;
    let number = |value: &Value| value.as_i64().expect("a number");
    let grants = balance["grants"].as_array().expect("a list");
    (
        number(&balance["available"]),
        number(&balance["frozen"]),
        grants.iter().map(|grant| number(&grant["remaining"])).collect(),
    )
}

#[tokio::test]
async fn units_come_at_once_and_go_with_the_next_cycle() {
    let service = start().await;
    let tenant = &service.tenant;
    let basic = subscribe(tenant, json!({"plan": "basic", "units": 2}))
        .await
        .expect(201);
    assert_eq!((&basic["status"], &basic["units"]), (&json!("active"), &json!(2)));
    let granted: Vec<(&Value, &Value)> = basic["granted"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|grant| (&grant["origin"], &grant["amount"]))
        .collect();
    assert_eq!(
        granted,
        [
            (&json!("allocation"), &json!(100)),
            (&json!("addon_units"), &json!(120))
        ]
    );
    assert_eq!(basic["granted"][1]["paid"], json!({"amount": 2000, "currency": "USD"}));
    advance(tenant, "2030-01-20T00:00:00Z").await;
    let more = change(tenant, &basic, json!({"units": 3})).await.expect(200);
    assert_eq!((&more["units"], &more["granted"][0]["amount"]), (&json!(3), &json!(60)));
    let fewer = change(tenant, &basic, json!({"units": 1})).await.expect(200);
    assert_eq!((&fewer["units"], &fewer["pending"]["units"]), (&json!(3), &json!(1)));
    assert_eq!(fewer["granted"], json!([]));
    assert_eq!(figures(tenant).await, (280, 0, vec![100, 120, 60]));
    let refusal = change(tenant, &basic, json!({"units": 6}))
        .await
        .refused(422, "too_many_units");
    assert_eq!((&refusal["requested"], &refusal["limit"]), (&json!(6), &json!(5)));
    let next = &tenant.balance("acme").await["next_refresh"];
    assert_eq!(
        *next,
        json!({"at": "2030-02-15T00:00:00Z", "amount": 160, "subscription_id": basic["id"]})
    );
    advance(tenant, "2030-02-15T00:00:00Z").await;
    assert_eq!(figures(tenant).await, (160, 0, vec![100, 60]));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn an_upgrade_grants_now_a_downgrade_waits_and_undoing_it_grants_nothing() {
    let service = start().await;
    let tenant = &service.tenant;
    let subscription = subscribe(tenant, json!({"plan": "basic"})).await.expect(201);
    // Half of the 31 days are over; the difference is 200, prorated 200 x 15.5 / 31.
    advance(tenant, "2030-01-30T12:00:00Z").await;
    let up = change(tenant, &subscription, json!({"plan": "team"})).await.expect(200);
    assert_eq!(
        (&up["plan"], &up["granted"][0]["amount"]),
        (&json!("team"), &json!(100))
    );
    assert_eq!(up["granted"][0]["expires_at"], "2030-02-15T00:00:00Z");
    let down = change(tenant, &subscription, json!({"plan": "basic"}))
        .await
        .expect(200);
    assert_eq!(
        (&down["plan"], &down["pending"]["plan"]),
        (&json!("team"), &json!("basic"))
    );
    let undone = change(tenant, &subscription, json!({"plan": "team"})).await.expect(200);
    assert_eq!((&undone["pending"], &undone["granted"]), (&Value::Null, &json!([])));
    change(tenant, &subscription, json!({"plan": "basic", "interval": "month"}))
        .await
        .expect(200);
    advance(tenant, "2030-02-15T00:00:00Z").await;
    assert_eq!(figures(tenant).await, (100, 0, vec![100]));
    // Paid by the year from the next billing cycle on, refreshed by the month.
    change(tenant, &subscription, json!({"plan": "team"})).await.expect(200);
    let yearly = change(tenant, &subscription, json!({"interval": "year"}))
        .await
        .expect(200);
    assert_eq!(
        (&yearly["interval"], &yearly["pending"]["interval"]),
        (&json!("month"), &json!("year"))
    );
    advance(tenant, "2030-03-15T00:00:00Z").await;
    let seen = tenant.read.get(&path(&subscription)).await.expect(200);
    assert_eq!(
        (&seen["billing_cycle"]["ends_at"], &seen["refresh_cycle"]["ends_at"]),
        (&json!("2031-03-15T00:00:00Z"), &json!("2030-04-15T00:00:00Z"))
    );
    assert_eq!(figures(tenant).await.0, 360);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_lapse_freezes_what_was_bought_and_a_return_frees_it() {
    let service = start().await;
    let tenant = &service.tenant;
    tenant
        .connect_stripe(&service.stripe, "sk_test_gates", "whsec_gates")
        .await;
    let free = subscribe(tenant, json!({"plan": "free"})).await.expect(201);
    tenant
        .grant(
            "acme",
            json!({"class": "balance", "origin": "promotion", "amount": 500}),
        )
        .await;
    assert_eq!(figures(tenant).await, (10, 500, vec![10, 500]));
    let frozen = &tenant.balance("acme").await["grants"][1]["frozen"];
    assert_eq!(*frozen, true);
    let refusal = tenant
        .spend("acme", json!({"amount": 11}))
        .await
        .refused(403, "gate_closed");
    let numbers = json!({"needed": 11, "available": 10, "frozen": 500, "requires": "paid_subscription"});
    for (name, number) in numbers.as_object().expect("numbers") {
        assert_eq!(&refusal[name], number, "{name}");
    }
    tenant
        .spend("acme", json!({"amount": 511}))
        .await
        .refused(402, "insufficient_credits");
    let order = json!({"pack": "small", "mode": "checkout", "success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"});
    let buy = async || tenant.backend.post("/v1/accounts/acme/top_ups", order.clone()).await;
    assert_eq!(buy().await.refused(403, "gate_closed")["requires"], "paid_subscription");

    let basic = subscribe(tenant, json!({"plan": "basic"})).await.expect(201);
    assert_eq!(figures(tenant).await, (610, 0, vec![10, 100, 500]));
    buy().await.expect(201);
    tenant.backend.delete(&path(&basic)).await.expect(200);
    assert_eq!(figures(tenant).await.1, 0, "it runs to the end of what is paid for");
    advance(tenant, "2030-02-15T00:00:00Z").await;
    assert_eq!(figures(tenant).await, (10, 500, vec![10, 500]), "frozen, not lost");
    subscribe(tenant, json!({"plan": "basic"})).await.expect(201);
    assert_eq!(figures(tenant).await, (610, 0, vec![10, 100, 500]));
    assert_eq!(tenant.read.get(&path(&free)).await.expect(200)["status"], "active");
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_cancelled_one_runs_to_its_end_can_be_resumed_until_then_and_not_after() {
    let service = start().await;
    let tenant = &service.tenant;
    let basic = subscribe(tenant, json!({"plan": "basic", "units": 1}))
        .await
        .expect(201);
    let cancelled = tenant.backend.delete(&path(&basic)).await.expect(200);
    assert_eq!(
        (&cancelled["status"], &cancelled["ends_at"]),
        (&json!("cancelled"), &json!("2030-02-15T00:00:00Z"))
    );
    let refusal = tenant
        .backend
        .delete(&path(&basic))
        .await
        .refused(409, "subscription_already_cancelled");
    assert_eq!(refusal["ends_at"], "2030-02-15T00:00:00Z");
    change(tenant, &basic, json!({"units": 2}))
        .await
        .refused(409, "subscription_already_cancelled");
    let resumed = change(tenant, &basic, json!({"cancel_at_period_end": false}))
        .await
        .expect(200);
    assert_eq!(
        (&resumed["status"], &resumed["ends_at"]),
        (&json!("active"), &Value::Null)
    );
    change(tenant, &basic, json!({"cancel_at_period_end": true}))
        .await
        .expect(200);
    assert_eq!(tenant.balance("acme").await["next_refresh"], Value::Null);
    advance(tenant, "2030-02-15T00:00:00Z").await;
    assert_eq!(figures(tenant).await, (0, 0, vec![]), "the units ended with it");
    tenant
        .backend
        .delete(&path(&basic))
        .await
        .refused(409, "subscription_already_cancelled");
    for body in [json!({"units": 1}), json!({"cancel_at_period_end": false})] {
        let refusal = change(tenant, &basic, body).await.refused(409, "subscription_ended");
        assert_eq!(refusal["ended_at"], "2030-02-15T00:00:00Z");
    }
    let listed = tenant.read.get("/v1/accounts/acme/subscriptions").await.expect(200);
    assert_eq!(listed["data"][0]["status"], "ended");
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn one_in_the_future_begins_there_and_what_is_wrong_is_refused_by_name() {
    let service = start().await;
    let tenant = &service.tenant;
    let later = json!({"plan": "basic", "anchor": "2030-01-31T09:00:00Z"});
    let scheduled = subscribe(tenant, later).await.expect(201);
    assert_eq!(
        (&scheduled["status"], &scheduled["granted"]),
        (&json!("scheduled"), &json!([]))
    );
    assert_eq!(figures(tenant).await, (0, 0, vec![]));
    advance(tenant, "2030-03-01T00:00:00Z").await;
    let grants = tenant.read.get("/v1/accounts/acme/grants").await.expect(200);
    let lives: Vec<(&Value, &Value)> = grants["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|grant| (&grant["effective_at"], &grant["expires_at"]))
        .collect();
    let days = [
        json!("2030-01-31T09:00:00Z"),
        json!("2030-02-28T09:00:00Z"),
        json!("2030-03-31T09:00:00Z"),
    ];
    assert_eq!(lives, [(&days[1], &days[2]), (&days[0], &days[1])]);

    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({"plan": "gold"}), "unknown_plan"),
        (json!({"plan": "basic", "interval": "year"}), "unknown_interval"),
        (json!({"plan": "basic", "interval": "week"}), "invalid_interval"),
        (json!({"plan": "basic", "units": 6}), "too_many_units"),
        (json!({"plan": "basic", "units": -1}), "invalid_units"),
        (json!({"plan": "team", "units": 1}), "units_not_offered"),
        (json!({"plan": "by_stripe"}), "plan_renewed_by_stripe"),
        (
            json!({"plan": "basic", "anchor": "9999-12-31T00:00:00Z"}),
            "invalid_anchor",
        ),
        (json!({"plan": "basic", "anchor": "tomorrow"}), "invalid_anchor"),
        (json!({"plan": "basic", "trial": true}), "unknown_field"),
    ] {
        subscribe(tenant, body).await.refused(422, code);
    }
    change(tenant, &scheduled, json!({}))
        .await
        .refused(422, "nothing_to_change");
    let both = json!({"plan": "team", "cancel_at_period_end": true});
    change(tenant, &scheduled, both)
        .await
        .refused(422, "invalid_cancel_at_period_end");
    let unknown = json!({"id": "0197ffff-ffff-7fff-bfff-ffffffffffff"});
    change(tenant, &unknown, json!({"units": 1}))
        .await
        .refused(404, "subscription_not_found");
    let path = "/v1/accounts/nobody/subscriptions";
    tenant
        .backend
        .post(path, json!({"plan": "basic"}))
        .await
        .refused(404, "account_not_found");
    service.assert_books_agree(tenant).await;
}
