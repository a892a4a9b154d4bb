//! Grants that have ended, and what the books say of them.

use std::time::Duration;

use scrip::clock::{Clock, SystemClock};
use serde_json::json;

use crate::support::TestService;

#[tokio::test]
async fn every_grant_that_ends_is_swept_once_whoever_comes_by() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let end = SystemClock.now() + chrono::TimeDelta::milliseconds(1_500);
    for _ in 0..20 {
        let grant = json!({"class": "plan", "origin": "promotion", "amount": 5, "expires_at": end});
        tenant.grant("acme", grant).await;
    }
    tenant
        .grant("acme", json!({"class": "balance", "origin": "promotion", "amount": 10}))
        .await;
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    let too_large = (0..50).map(|_| tenant.spend("acme", json!({"amount": 11})));
    for answer in futures_util::future::join_all(too_large).await {
        let refusal = answer.refused(402, "insufficient_credits");
        assert_eq!(refusal["available"], 10);
    }
    let kinds = async || {
        let page = tenant
            .backend
            .get("/v1/accounts/acme/transactions?limit=200")
            .await
            .expect(200);
        let all = page["data"].as_array().expect("a list").clone();
        let count = |kind: &str| all.iter().filter(|t| t["kind"] == kind).count();
        (count("grant"), count("expiry"), count("spend"))
    };
    // The refusals posted nothing; whoever looks, or the job, did.
    assert_eq!(kinds().await, (21, 20, 0));
    tenant.spend("acme", json!({"amount": 4})).await.expect(201);
    tenant.spend("acme", json!({"amount": 4})).await.expect(201);
    assert_eq!(kinds().await, (21, 20, 2));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_grant_of_the_past_counts_from_then() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let past = json!({"class": "balance", "origin": "legacy", "amount": 100,
        "effective_at": "2026-01-01T00:00:00Z", "expires_at": "2026-02-01T00:00:00Z"});
    tenant.grant("acme", past).await;
    tenant
        .grant("acme", json!({"class": "balance", "origin": "promotion", "amount": 1}))
        .await;
    for (at, owed, expired) in [("2026-01-15", 100, 0), ("2026-03-01", 0, 100)] {
        let path = format!("/v1/ledger/trial_balance?at={at}T00:00:00Z");
        let books = tenant.admin.get(&path).await.expect(200);
        let balance = |name: &str| {
            let accounts = books["accounts"].as_array().expect("a list");
            accounts
                .iter()
                .find(|a| a["account"] == name)
                .map_or(0, |a| a["balance"].as_i64().expect("a number"))
        };
        assert_eq!(
            (balance("balance"), balance("expired"), balance("issued")),
            (owed, expired, -100),
            "{at}"
        );
        assert_eq!(books["sum"], 0);
    }
}
