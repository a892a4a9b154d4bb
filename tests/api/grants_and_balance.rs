//! Credits that come in, the order in which they go, and what is left of them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use scrip::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{TestService, service::Tenant};

pub fn data(list: &Value) -> Vec<Value> {
    list["data"].as_array().expect("a list").clone()
}

/// What a spend took from each grant, in order.
fn amounts(spend: &Value) -> Vec<i64> {
    let drawdown = spend["drawdown"].as_array().expect("a drawdown");
    drawdown.iter().filter_map(|draw| draw["amount"].as_i64()).collect()
}

/// The amounts of a balance's grants, in order.
pub fn shown(balance: &Value) -> Vec<i64> {
    let grants = balance["grants"].as_array().expect("grants");
    grants.iter().filter_map(|grant| grant["amount"].as_i64()).collect()
}

pub async fn transactions(tenant: &Tenant, account: &str) -> Vec<Value> {
    let path = format!("/v1/accounts/{account}/transactions?limit=200");
    data(&tenant.backend.get(&path).await.expect(200))
}

/// Of a grant: class, origin, priority, end, what was paid, beginning.
type Place<'a> = (&'a str, &'a str, i32, Option<&'a str>, &'a Value, &'a str);

#[tokio::test]
async fn every_key_of_the_spending_order_decides_where_those_before_it_tie() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let (paid, free) = (json!({"amount": 100, "currency": "USD"}), Value::Null);
    // In the order in which they must be spent; each grant's amount is its place. A grant comes before the next one by
    // the key named, although it loses by every key after that.
    let order: [Place<'_>; 12] = [
        ("plan", "promotion", 1000, None, &paid, "2025-01-01T00:00:00Z"), // class
        ("addon", "promotion", -1000, None, &paid, "2025-01-01T00:00:00Z"), // priority
        (
            "addon",
            "promotion",
            0,
            Some("2090-01-01T00:00:00Z"),
            &paid,
            "2025-01-01T00:00:00Z",
        ), // the earlier end
        (
            "addon",
            "promotion",
            0,
            Some("2090-01-01T00:00:00.000001Z"),
            &paid,
            "2025-01-01T00:00:00Z",
        ), // any end before none
        ("addon", "promotion", 0, None, &free, "2025-01-01T00:00:00Z"),   // free
        ("addon", "promotion", 0, None, &paid, "2021-01-01T00:00:00Z"),   // the earlier beginning
        ("addon", "promotion", 0, None, &paid, "2021-01-01T00:00:00.000001Z"), // class again
        (
            "balance",
            "bonus",
            1,
            Some("2080-01-01T00:00:00Z"),
            &free,
            "2025-01-01T00:00:00Z",
        ), // free, by its origin
        (
            "balance",
            "top_up",
            1,
            Some("2080-01-01T00:00:00Z"),
            &free,
            "2020-01-01T00:00:00Z",
        ), // the earlier beginning
        (
            "balance",
            "addon_units",
            1,
            Some("2080-01-01T00:00:00Z"),
            &free,
            "2020-01-01T00:00:01Z",
        ), // priority
        ("balance", "bonus", 2, None, &free, "2020-01-01T00:00:00Z"),     // the id: it was made first
        ("balance", "bonus", 2, None, &free, "2020-01-01T00:00:00Z"),
    ];
    // The last first, but for the two that only their ids tell apart.
    for place in [11, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1] {
        let (class, origin, priority, expires_at, paid, effective_at) = order[place - 1];
        tenant
            .grant(
                "acme",
                json!({"class": class, "origin": origin, "priority": priority, "expires_at": expires_at,
                "paid": paid, "effective_at": effective_at, "amount": place}),
            )
            .await;
    }
    let expected: Vec<i64> = (1..=12).collect();
    let balance = tenant.balance("acme").await;
    assert_eq!(shown(&balance), expected);
    assert_eq!(
        (&balance["available"], &balance["by_class"]),
        (&json!(78), &json!({"plan": 1, "addon": 27, "balance": 50}))
    );

    let first = tenant.spend("acme", json!({"amount": 4})).await.expect(201);
    assert_eq!(amounts(&first), [1, 2, 1]);
    let rest = tenant.spend("acme", json!({"amount": 74})).await.expect(201);
    assert_eq!(amounts(&rest), [2, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(shown(&tenant.balance("acme").await), [0_i64; 0]);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn class_outranks_expiry_and_the_program_orders_the_classes() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let end = "2090-01-01T00:00:00Z";
    for account in ["acme", "bolt"] {
        tenant.account(account).await;
        for (class, amount, expires_at) in [
            ("balance", 3, "2089-01-01T00:00:00Z"),
            ("addon", 2, end),
            ("plan", 1, end),
        ] {
            let grant = json!({"class": class, "origin": "promotion", "amount": amount, "expires_at": expires_at});
            tenant.grant(account, grant).await;
        }
    }
    let spend = tenant.spend("acme", json!({"amount": 6})).await.expect(201);
    assert_eq!(amounts(&spend), [1, 2, 3]);

    let program = json!({"unit": {"name": "credits"}, "spending_order": ["balance", "plan", "addon"]});
    tenant.admin.put("/v1/program", program).await.expect(200);
    assert_eq!(shown(&tenant.balance("bolt").await), [3, 1, 2]);
    let spend = tenant.spend("bolt", json!({"amount": 6})).await.expect(201);
    assert_eq!(amounts(&spend), [3, 1, 2]);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn time_alone_decides_what_can_be_spent_and_the_entry_follows() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let turn = SystemClock.now() + TimeDelta::milliseconds(1500);
    let grant = |amount: i64| json!({"class": "plan", "origin": "promotion", "amount": amount});
    let with = |mut grant: Value, name: &str, value: &dyn ToString| {
        grant[name] = json!(value.to_string());
        grant
    };
    let turns = turn.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let ending = tenant.grant("acme", with(grant(50), "expires_at", &turns)).await;
    let coming = tenant.grant("acme", with(grant(30), "effective_at", &turns)).await;
    assert_eq!(
        (&ending["expires_at"], &coming["effective_at"]),
        (&json!(turns), &json!(turns))
    );

    // Before the turn: the one that comes is shown last and does not count.
    let refusal = tenant
        .spend("acme", json!({"amount": 51}))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!(refusal["available"], 50);
    let spend = tenant.spend("acme", json!({"amount": 10})).await.expect(201);
    assert_eq!((amounts(&spend), &spend["available_after"]), (vec![10], &json!(40)));
    let balance = tenant.balance("acme").await;
    assert!(SystemClock.now() < turn, "the machine is too slow for this test");
    assert_eq!((shown(&balance), &balance["available"]), (vec![50, 30], &json!(40)));

    // After it.
    tokio::time::sleep((turn - SystemClock.now()).to_std().unwrap_or_default() + Duration::from_millis(5)).await;
    let balance = tenant.balance("acme").await;
    assert_eq!((shown(&balance), &balance["available"]), (vec![30], &json!(30)));
    let refusal = tenant
        .spend("acme", json!({"amount": 31}))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!(refusal["available"], 30);
    let revoke = format!("/v1/grants/{}/revoke", ending["id"].as_str().expect("an id"));
    tenant
        .backend
        .post(&revoke, json!({}))
        .await
        .refused(409, "grant_already_closed");
    let kinds = |transactions: &[Value]| transactions.iter().map(|t| t["kind"].clone()).collect::<Vec<_>>();

    // Whoever looked has brought the entry, dated at the grant's end.
    let spend = tenant.spend("acme", json!({"amount": 5})).await.expect(201);
    assert_eq!((amounts(&spend), &spend["available_after"]), (vec![5], &json!(25)));
    let posted = transactions(tenant, "acme").await;
    assert_eq!(kinds(&posted), ["spend", "expiry", "spend", "grant", "grant"]);
    let expiry = &posted[1];
    let entry = json!({"debit": "plan", "credit": "expired", "amount": 40, "grant_id": ending["id"]});
    assert_eq!(expiry["entries"], json!([entry]));
    assert_eq!(
        (&expiry["effective_at"], &expiry["subject_id"]),
        (&json!(turns), &ending["id"])
    );
    assert_eq!(
        (&expiry["actor_id"], &expiry["idempotency_key"]),
        (&Value::Null, &Value::Null)
    );
    let booked: DateTime<Utc> = expiry["created_at"].as_str().expect("a time").parse().expect("a time");
    assert!(booked > turn, "{booked} {turn}");

    // The trial balance goes by the date, not by the booking.
    let expired = async |at: DateTime<Utc>| {
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let trial = tenant
            .read
            .get(&format!("/v1/ledger/trial_balance?at={at}"))
            .await
            .expect(200);
        assert_eq!(trial["sum"], 0);
        let line = trial["accounts"]
            .as_array()
            .expect("accounts")
            .iter()
            .find(|a| a["account"] == "expired")
            .cloned();
        line.map(|line| line["balance"].clone())
    };
    assert_eq!(expired(turn - TimeDelta::microseconds(1)).await, None);
    assert_eq!(expired(turn).await, Some(json!(40)));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_restricted_grant_pays_for_its_operations_only() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let grant = |amount: i64, applies_to: Value| json!({"class": "plan", "origin": "promotion", "amount": amount, "applies_to": applies_to});
    tenant.grant("acme", grant(50, json!(["render", "export"]))).await;
    tenant.grant("acme", grant(30, Value::Null)).await;
    tenant.grant("acme", grant(7, json!(["chat"]))).await;
    let spend = |amount: i64, operation: Option<&str>| json!({"amount": amount, "operation": operation});
    for (operation, available) in [
        (None, 30),
        (Some("upload"), 30),
        (Some("chat"), 37),
        (Some("export"), 80),
        (Some("Render"), 30),
    ] {
        let refusal = tenant
            .spend("acme", spend(available + 1, operation))
            .await
            .refused(402, "insufficient_credits");
        assert_eq!(refusal["available"], available, "{operation:?}");
    }
    // `available` is for an operation that every grant applies to.
    assert_eq!(tenant.balance("acme").await["available"], 87);
    let render = tenant.spend("acme", spend(60, Some("render"))).await.expect(201);
    assert_eq!(
        (amounts(&render), &render["available_after"]),
        (vec![50, 10], &json!(27))
    );
    let any = tenant.spend("acme", spend(20, None)).await.expect(201);
    assert_eq!((amounts(&any), &any["available_after"]), (vec![20], &json!(7)));
    tenant
        .spend("acme", spend(1, None))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!(
        amounts(&tenant.spend("acme", spend(7, Some("chat"))).await.expect(201)),
        [7]
    );
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_partial_spend_takes_what_there_is_but_never_nothing() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    tenant
        .spend("acme", json!({"amount": 1, "partial": true}))
        .await
        .refused(402, "insufficient_credits");
    for (class, amount) in [("plan", 10), ("balance", 20)] {
        tenant
            .grant("acme", json!({"class": class, "origin": "promotion", "amount": amount}))
            .await;
    }
    let whole = tenant
        .spend("acme", json!({"amount": 5, "partial": true}))
        .await
        .expect(201);
    assert_eq!((&whole["amount"], &whole["requested"]), (&json!(5), &json!(5)));
    tenant
        .spend("acme", json!({"amount": 26, "partial": false}))
        .await
        .refused(402, "insufficient_credits");
    let part = tenant
        .spend("acme", json!({"amount": 100, "partial": true}))
        .await
        .expect(201);
    assert_eq!(
        (&part["amount"], &part["requested"], amounts(&part)),
        (&json!(25), &json!(100), vec![5, 20])
    );
    let refusal = tenant
        .spend("acme", json!({"amount": 1, "partial": true}))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!((&refusal["needed"], &refusal["available"]), (&json!(1), &json!(0)));
    let posted = transactions(tenant, "acme").await;
    assert_eq!(
        (&posted[0]["amount"], &posted[0]["requested"]),
        (&json!(25), &json!(100))
    );
    service.assert_books_agree(tenant).await;
}
