//! Spending over HTTP: which grants pay, what is refused, and what comes back.

use serde_json::json;

use crate::support::TestService;

#[tokio::test]
async fn a_spend_crosses_plan_addon_and_balance_in_this_order() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    for (class, amount) in [("balance", 300), ("addon", 200), ("plan", 100)] {
        tenant
            .grant("acme", json!({"class": class, "origin": "promotion", "amount": amount}))
            .await;
    }
    let spend = tenant.spend("acme", json!({"amount": 350})).await.expect(201);
    let drawn: Vec<_> = spend["drawdown"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| (d["class"].clone(), d["amount"].clone()))
        .collect();
    assert_eq!(json!(drawn), json!([["plan", 100], ["addon", 200], ["balance", 50]]));
    assert_eq!(spend["available_after"], 250);

    let refusal = tenant
        .spend("acme", json!({"amount": 251}))
        .await
        .refused(402, "insufficient_credits");
    assert_eq!((&refusal["needed"], &refusal["available"]), (&json!(251), &json!(250)));
    assert_eq!(tenant.balance("acme").await["available"], 250);
    service.assert_books_agree(tenant).await;
}
