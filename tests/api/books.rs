//! Balances across cycles, the lists of what was posted, and the trial balance.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use scrip::clock::Clock;
use serde_json::{Value, json};

use crate::support::{Client, TestService, database};

/// A clock that stands until it is moved.
struct MovedClock(Mutex<DateTime<Utc>>);

impl MovedClock {
    fn set(&self, time: DateTime<Utc>) {
        *self.0.lock().expect("no test panics with it") = time;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("no test panics with it")
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

#[tokio::test]
async fn a_balance_counts_the_use_of_its_cycle() {
    let clock = Arc::new(MovedClock(Mutex::new(at("2027-01-31T09:30:00Z"))));
    // A database of its own: the clock is far from the other tests'.
    let database = database::fresh(&database::unique_name("cycles")).await;
    let service = TestService::start_with(database, clock.clone()).await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let program = json!({"unit": {"name": "USD", "scale": 4}, "plans": {"pro": {"allowance": 500}}});
    tenant.admin.put("/v1/program", program).await.expect(200);
    let figures = async || {
        let balance = tenant.balance("acme").await;
        let of = |name: &str| balance[name].as_i64().expect("a number");
        assert_eq!((of("held"), of("frozen"), of("debt")), (0, 0, 0));
        assert_eq!(of("total"), of("used") + of("remaining"));
        assert_eq!(of("remaining"), of("available"));
        assert_eq!(balance["unit"], json!({"name": "USD", "scale": 4}));
        let by_class = &balance["by_class"];
        (
            of("total"),
            of("used"),
            of("remaining"),
            json!([by_class["plan"], by_class["addon"], by_class["balance"]]),
        )
    };
    assert_eq!(figures().await, (0, 0, 0, json!([0, 0, 0])));
    tenant
        .grant(
            "acme",
            json!({"class": "balance", "origin": "promotion", "amount": 300}),
        )
        .await;
    tenant.spend("acme", json!({"amount": 20})).await.expect(201);
    assert_eq!(
        figures().await,
        (300, 20, 280, json!([0, 0, 280])),
        "without a cycle: since ever"
    );

    tenant.grant("acme", json!({"plan": "pro"})).await;
    assert_eq!(
        figures().await,
        (780, 0, 780, json!([500, 0, 280])),
        "a cycle starts from nothing"
    );
    let spend = tenant.spend("acme", json!({"amount": 100})).await.expect(201);
    assert_eq!(figures().await, (780, 100, 680, json!([400, 0, 280])));
    let refunds = format!("/v1/spends/{}/refunds", spend["id"].as_str().expect("an id"));
    tenant
        .backend
        .post(&refunds, json!({"amount": 40, "reason": "x"}))
        .await
        .expect(201);
    assert_eq!(figures().await, (780, 60, 720, json!([440, 0, 280])));

    let end = at("2027-02-28T09:30:00Z");
    clock.set(end - TimeDelta::microseconds(1));
    assert_eq!(
        figures().await,
        (780, 60, 720, json!([440, 0, 280])),
        "to the last microsecond"
    );
    clock.set(end);
    assert_eq!(figures().await, (280, 0, 280, json!([0, 0, 280])), "and not one more");
    let next = tenant.grant("acme", json!({"plan": "pro"})).await;
    assert_eq!(next["expires_at"], "2027-03-28T09:30:00Z");
    assert_eq!(figures().await, (780, 0, 780, json!([500, 0, 280])));
    tenant.spend("acme", json!({"amount": 510})).await.expect(201);
    assert_eq!(figures().await, (780, 510, 270, json!([0, 0, 270])));

    // A refund of the last cycle's spend comes back into this one, and is no use undone.
    tenant
        .backend
        .post(&refunds, json!({"reason": "the rest"}))
        .await
        .expect(201);
    assert_eq!(figures().await, (840, 510, 330, json!([60, 0, 270])));
    clock.set(at("2027-03-28T09:30:00Z"));
    assert_eq!(figures().await, (270, 0, 270, json!([0, 0, 270])));
    tenant.spend("acme", json!({"amount": 70})).await.expect(201);
    assert_eq!(
        figures().await,
        (270, 70, 200, json!([0, 0, 200])),
        "since the last cycle ended"
    );
    service.assert_books_agree(tenant).await;
}

/// All pages of a list, walked with a limit, while `meanwhile` goes on between them.
async fn walk(client: &Client, path: &str, limit: usize, meanwhile: impl AsyncFn()) -> Vec<Value> {
    let mut items = Vec::new();
    let mut page = client.get(&format!("{path}?limit={limit}")).await.expect(200);
    loop {
        let data = page["data"].as_array().expect("a list").clone();
        assert!(
            !data.is_empty() && data.len() <= limit,
            "{path}: {} of {limit}",
            data.len()
        );
        items.extend(data);
        let Some(cursor) = page["next_cursor"].as_str() else {
            return items;
        };
        meanwhile().await;
        page = client
            .get(&format!("{path}?limit={limit}&cursor={cursor}"))
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn pages_leave_nothing_out_and_repeat_nothing() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    for n in 1..=12 {
        let class = ["plan", "addon", "balance"][n % 3];
        tenant
            .grant("acme", json!({"class": class, "origin": "promotion", "amount": 10}))
            .await;
    }
    for _ in 0..5 {
        // Each crosses two or three grants, so that pages of entries break within a transaction.
        tenant.spend("acme", json!({"amount": 23})).await.expect(201);
    }
    for (path, count) in [("transactions", 17), ("entries", 12 + 16), ("grants", 12)] {
        let path = format!("/v1/accounts/acme/{path}");
        let whole = tenant.read.get(&format!("{path}?limit=200")).await.expect(200);
        let whole = whole["data"].as_array().expect("a list");
        assert_eq!(whole.len(), count, "{path}");
        for limit in [1, 2, 3, 7, count - 1, count, count + 1] {
            assert_eq!(
                &walk(&tenant.read, &path, limit, async || {}).await,
                whole,
                "{path} by {limit}"
            );
        }
    }
    // Newest first, and the entries of the transactions are the entries.
    let transactions = tenant
        .read
        .get("/v1/accounts/acme/transactions?limit=200")
        .await
        .expect(200);
    let transactions = transactions["data"].as_array().expect("a list").clone();
    let ids: Vec<&str> = transactions.iter().filter_map(|t| t["id"].as_str()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let entries = tenant.read.get("/v1/accounts/acme/entries?limit=200").await.expect(200);
    let of_entries = entries["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| (line["transaction_id"].clone(), line["amount"].clone()));
    let of_transactions = transactions.iter().flat_map(|t| {
        t["entries"]
            .as_array()
            .expect("entries")
            .iter()
            .rev()
            .map(|entry| (t["id"].clone(), entry["amount"].clone()))
    });
    assert_eq!(of_entries.collect::<Vec<_>>(), of_transactions.collect::<Vec<_>>());

    // What is posted meanwhile is newer than where the walk began: it neither shows nor shifts anything.
    let post = async || {
        tenant.spend("acme", json!({"amount": 1})).await.expect(201);
    };
    assert_eq!(
        walk(&tenant.read, "/v1/accounts/acme/transactions", 10, post).await,
        transactions
    );

    for n in 0..7 {
        tenant.account(&format!("account-{n}")).await;
    }
    let accounts = walk(&tenant.read, "/v1/accounts", 3, async || {}).await;
    let accounts: Vec<&str> = accounts.iter().filter_map(|account| account["id"].as_str()).collect();
    assert_eq!(
        accounts,
        [
            "acme",
            "account-0",
            "account-1",
            "account-2",
            "account-3",
            "account-4",
            "account-5",
            "account-6"
        ]
    );
    let keys = walk(&tenant.admin, "/v1/api_keys", 1, async || {}).await;
    let roles: Vec<&str> = keys.iter().filter_map(|key| key["role"].as_str()).collect();
    assert_eq!(roles, ["admin", "backend", "support", "read"]);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn the_trial_balance_is_what_one_computes_by_hand() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let trial = async || tenant.read.get("/v1/ledger/trial_balance").await.expect(200);
    let empty = trial().await;
    assert_eq!((&empty["accounts"], &empty["sum"]), (&json!([]), &json!(0)));

    tenant.account("acme").await;
    tenant.account("bolt").await;
    let grant = |class: &str, amount: i64| json!({"class": class, "origin": "promotion", "amount": amount});
    let mut late = grant("plan", 20);
    late["effective_at"] = json!("2020-01-01T00:00:00Z");
    late["expires_at"] = json!("2021-01-01T00:00:00Z");
    tenant.grant("acme", late).await;
    tenant.grant("acme", grant("plan", 100)).await;
    tenant.grant("acme", grant("addon", 200)).await;
    let revoked = tenant.grant("acme", grant("balance", 300)).await;
    tenant.grant("bolt", grant("plan", 7)).await;
    let spend = tenant.spend("acme", json!({"amount": 350})).await.expect(201);
    let refunds = format!("/v1/spends/{}/refunds", spend["id"].as_str().expect("an id"));
    tenant
        .backend
        .post(&refunds, json!({"amount": 60, "reason": "x"}))
        .await
        .expect(201);
    let revoke = format!("/v1/grants/{}/revoke", revoked["id"].as_str().expect("an id"));
    tenant.backend.post(&revoke, json!({})).await.expect(201);
    tenant
        .spend("acme", json!({"amount": 11}))
        .await
        .refused(402, "insufficient_credits");

    let books = trial().await;
    let lines: Vec<_> = books["accounts"]
        .as_array()
        .expect("accounts")
        .iter()
        .map(|a| json!([a["account"], a["side"], a["debits"], a["credits"], a["balance"]]))
        .collect();
    // plan: 100 + 20 + 7 came, 100 were spent and 20 expired. addon: 200 came and went, 10 came back.
    // balance: 300 came, 50 went and came back, 300 were revoked.
    let expected = json!([
        ["plan", "customer", 120, 127, 7],
        ["addon", "customer", 200, 210, 10],
        ["balance", "customer", 350, 350, 0],
        ["issued", "tenant", 627, 0, -627],
        ["consumed", "tenant", 60, 350, 290],
        ["expired", "tenant", 0, 20, 20],
        ["revoked", "tenant", 0, 300, 300],
    ]);
    assert_eq!(json!(lines), expected);
    assert_eq!(books["sum"], 0);
    // What is owed to customers is what they can see.
    for (account, available) in [("acme", 10), ("bolt", 7)] {
        assert_eq!(tenant.balance(account).await["available"], available);
    }
    let before = tenant
        .admin
        .get("/v1/ledger/trial_balance?at=2019-01-01T00:00:00Z")
        .await
        .expect(200);
    assert_eq!(
        (&before["accounts"], &before["at"]),
        (&json!([]), &json!("2019-01-01T00:00:00Z"))
    );
    service.assert_books_agree(tenant).await;
}
