//! What was spent over time, by the wall clock of the program's time zone.

use serde_json::{Value, json};

use super::balance_at::advance;
use crate::support::{TestService, service::Tenant};

async fn usage(tenant: &Tenant, query: &str) -> Value {
    let path = format!("/v1/accounts/acme/usage?{query}");
    tenant.read.get(&path).await.expect(200)
}

/// starts_at, ends_at, spends, spent, refunded, used.
fn rows(usage: &Value) -> Vec<Value> {
    let names = ["starts_at", "ends_at", "spends", "spent", "refunded", "used"];
    let row = |row: &Value| names.iter().map(|name| row[name].clone()).collect();
    usage["data"].as_array().expect("a list").iter().map(row).collect()
}

/// starts_at, operation, member, spent, refunded; `-` where the row does not say it.
fn groups(usage: &Value) -> Value {
    let of = |row: &Value, name: &str| row.get(name).cloned().unwrap_or_else(|| json!("-"));
    let names = ["starts_at", "operation", "member", "spent", "refunded"];
    let row = |row: &Value| names.iter().map(|name| of(row, name)).collect::<Value>();
    usage["data"].as_array().expect("a list").iter().map(row).collect()
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

async fn furnished() -> TestService {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let program = json!({"unit": {"name": "credits"}, "timezone": "Europe/Berlin"});
    tenant.admin.put("/v1/program", program).await.expect(200);
    tenant.account("acme").await;
    tenant
        .grant(
            "acme",
            json!({"class": "balance", "origin": "promotion", "amount": 10_000}),
        )
        .await;
    // The clocks of Berlin go forward on 2031-03-30: the day begins at 23:00 UTC and ends at 22:00.
    let spend = async |at: &str, spend: Value| {
        advance(tenant, at).await;
        tenant.spend("acme", spend).await.expect(201)
    };
    spend("2031-03-29T22:59:59Z", json!({"amount": 1})).await;
    let image = spend(
        "2031-03-29T23:00:00Z",
        json!({"amount": 20, "operation": "image", "member": "ann"}),
    )
    .await;
    spend(
        "2031-03-30T21:59:59Z",
        json!({"amount": 300, "operation": "image", "member": "bob"}),
    )
    .await;
    advance(tenant, "2031-03-30T22:00:00Z").await;
    let hold = json!({"amount": 50, "operation": "video", "member": "ann"});
    let hold = tenant.backend.post("/v1/accounts/acme/holds", hold).await.expect(201);
    let capture = format!("/v1/holds/{}/capture", id(&hold));
    tenant.backend.post(&capture, json!({"amount": 40})).await.expect(201);
    advance(tenant, "2031-04-02T10:00:00Z").await;
    let refund = format!("/v1/spends/{}/refunds", id(&image));
    tenant
        .backend
        .post(&refund, json!({"amount": 15, "reason": "it failed"}))
        .await
        .expect(201);
    service
}

#[tokio::test]
async fn days_weeks_and_months_are_the_programs() {
    let service = furnished().await;
    let tenant = &service.tenant;
    let days = usage(tenant, "from=2031-03-28T23:00:00Z").await;
    assert_eq!(
        (&days["timezone"], &days["interval"], &days["to"]),
        (&json!("Europe/Berlin"), &json!("day"), &json!("2031-04-02T10:00:00Z"))
    );
    assert_eq!(
        rows(&days),
        [
            json!(["2031-03-28T23:00:00Z", "2031-03-29T23:00:00Z", 1, 1, 0, 1]),
            json!(["2031-03-29T23:00:00Z", "2031-03-30T22:00:00Z", 2, 320, 0, 320]),
            json!(["2031-03-30T22:00:00Z", "2031-03-31T22:00:00Z", 1, 40, 0, 40]),
            json!(["2031-03-31T22:00:00Z", "2031-04-01T22:00:00Z", 0, 0, 0, 0]),
            // What comes back at this very instant counts.
            json!(["2031-04-01T22:00:00Z", "2031-04-02T10:00:00Z", 0, 0, 15, -15]),
        ]
    );
    // 2031-03-31 is a Monday.
    let weeks = usage(tenant, "from=2031-03-27T00:00:00Z&interval=week").await;
    assert_eq!(
        rows(&weeks),
        [
            json!(["2031-03-27T00:00:00Z", "2031-03-30T22:00:00Z", 3, 321, 0, 321]),
            json!(["2031-03-30T22:00:00Z", "2031-04-02T10:00:00Z", 1, 40, 15, 25]),
        ]
    );
    let months = usage(
        tenant,
        "from=2031-03-01T00:00:00Z&to=2031-04-02T10:00:00Z&interval=month",
    )
    .await;
    assert_eq!(
        rows(&months),
        [
            json!(["2031-03-01T00:00:00Z", "2031-03-31T22:00:00Z", 4, 361, 0, 361]),
            json!(["2031-03-31T22:00:00Z", "2031-04-02T10:00:00Z", 0, 0, 15, -15]),
        ]
    );
    let total = usage(tenant, "from=2001-01-01T00:00:00Z&interval=total").await;
    assert_eq!(
        rows(&total),
        [json!(["2001-01-01T00:00:00Z", "2031-04-02T10:00:00Z", 4, 361, 15, 346])]
    );
    // Thirty days by itself, since there is no cycle; an end that lies behind leaves out what came after.
    assert_eq!(usage(tenant, "").await["from"], "2031-03-03T10:00:00Z");
    let ended = usage(tenant, "from=2031-03-29T22:59:59Z&to=2031-03-29T23:00:00Z").await;
    assert_eq!(
        rows(&ended),
        [json!(["2031-03-29T22:59:59Z", "2031-03-29T23:00:00Z", 1, 1, 0, 1])]
    );
}

#[tokio::test]
async fn groups_are_those_of_the_spends() {
    let service = furnished().await;
    let tenant = &service.tenant;
    let from = "from=2031-03-28T23:00:00Z";
    let by_operation = usage(tenant, &format!("{from}&group_by=operation")).await;
    assert_eq!(
        groups(&by_operation),
        json!([
            ["2031-03-28T23:00:00Z", null, "-", 1, 0],
            ["2031-03-29T23:00:00Z", "image", "-", 320, 0],
            ["2031-03-30T22:00:00Z", "video", "-", 40, 0],
            ["2031-04-01T22:00:00Z", "image", "-", 0, 15],
        ])
    );
    let by_both = usage(tenant, &format!("{from}&interval=total&group_by=member,operation")).await;
    assert_eq!(
        groups(&by_both),
        json!([
            ["2031-03-28T23:00:00Z", "image", "ann", 20, 15],
            ["2031-03-28T23:00:00Z", "image", "bob", 300, 0],
            ["2031-03-28T23:00:00Z", "video", "ann", 40, 0],
            ["2031-03-28T23:00:00Z", null, null, 1, 0],
        ])
    );
}

#[tokio::test]
async fn by_itself_it_begins_with_the_cycle() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let program = json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": 100}}});
    tenant.admin.put("/v1/program", program).await.expect(200);
    tenant.account("acme").await;
    advance(tenant, "2031-01-31T08:00:00Z").await;
    let plan = json!({"plan": "pro"});
    let subscribed = tenant.backend.post("/v1/accounts/acme/subscriptions", plan).await;
    subscribed.expect(201);
    advance(tenant, "2031-03-01T00:00:00Z").await;
    tenant.spend("acme", json!({"amount": 9})).await.expect(201);
    let usage_of_cycle = usage(tenant, "interval=total").await;
    assert_eq!(
        rows(&usage_of_cycle),
        [json!(["2031-02-28T08:00:00Z", "2031-03-01T00:00:00Z", 1, 9, 0, 9])]
    );
    assert_eq!(tenant.balance("acme").await["used"], 9);
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused_by_its_field() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    advance(tenant, "2031-01-01T00:00:00Z").await;
    for (query, code, field) in [
        ("interval=hour", "invalid_interval", "interval"),
        ("interval=", "invalid_interval", "interval"),
        ("group_by=plan", "invalid_group_by", "group_by"),
        ("group_by=", "invalid_group_by", "group_by"),
        ("group_by=member,member", "invalid_group_by", "group_by"),
        ("from=monday", "invalid_from", "from"),
        ("to=2031", "invalid_to", "to"),
        ("from=2031-01-01T00:00:00Z", "invalid_from", "from"),
        (
            "from=2030-05-01T00:00:00Z&to=2030-05-01T00:00:00Z",
            "invalid_from",
            "from",
        ),
        ("limit=5", "invalid_parameter", "limit"),
    ] {
        let path = format!("/v1/accounts/acme/usage?{query}");
        let refusal = tenant.read.get(&path).await.refused(422, code);
        assert_eq!(refusal["field"], field, "{query}");
    }
    let days = |days: &str| format!("/v1/accounts/acme/usage?from={days}T00:00:00Z");
    // 400 days before 2031-01-01.
    tenant.read.get(&days("2029-11-27")).await.expect(200);
    let refusal = tenant
        .read
        .get(&days("2029-11-26"))
        .await
        .refused(422, "usage_too_long");
    assert_eq!(refusal["limit"], 400);
    let weeks = format!("{}&interval=week", days("2029-11-26"));
    tenant.read.get(&weeks).await.expect(200);
    let nobody = tenant.read.get("/v1/accounts/nobody/usage");
    nobody.await.refused(404, "account_not_found");
}
