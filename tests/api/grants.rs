//! Grants of a plan, and grants that are taken back.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::grants_and_balance::{data, shown, transactions};
use crate::support::TestService;

#[tokio::test]
async fn a_plan_grants_one_cycle_of_its_allowance() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let program = |allowance: i64| json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": allowance}, "life": {"allowance": 12, "interval": "year"}}});
    tenant.admin.put("/v1/program", program(500)).await.expect(200);
    let now = tenant
        .grant("acme", json!({"plan": "pro", "reason": "signed up"}))
        .await;
    assert_eq!(
        (
            &now["class"],
            &now["origin"],
            &now["amount"],
            &now["remaining"],
            &now["program_version"]
        ),
        (
            &json!("plan"),
            &json!("allocation"),
            &json!(500),
            &json!(500),
            &json!(1)
        )
    );
    let time = |value: &Value| -> DateTime<Utc> { value.as_str().expect("a time").parse().expect("a time") };
    let next = time(&now["effective_at"]).checked_add_months(chrono::Months::new(1));
    assert_eq!(Some(time(&now["expires_at"])), next);

    tenant.admin.put("/v1/program", program(600)).await.expect(200);
    for (plan, from, to, amount) in [
        ("pro", "2087-01-31T09:30:00Z", "2087-02-28T09:30:00Z", 600),
        ("pro", "2088-01-31T09:30:00Z", "2088-02-29T09:30:00Z", 600),
        ("life", "2088-02-29T00:00:00Z", "2089-02-28T00:00:00Z", 12),
    ] {
        let grant = tenant.grant("acme", json!({"plan": plan, "effective_at": from})).await;
        let of = |name: &str| grant[name].clone();
        assert_eq!((of("effective_at"), of("expires_at")), (json!(from), json!(to)));
        assert_eq!((of("amount"), of("program_version")), (json!(amount), json!(2)));
    }
    // Later cycles do not count yet, and the first is still what it was made as.
    let balance = tenant.balance("acme").await;
    assert_eq!((&balance["available"], &balance["used"]), (&json!(500), &json!(0)));
    assert_eq!(shown(&balance), [500, 600, 600, 12]);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_revocation_takes_back_what_remains_and_nothing_more() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let grant = |class: &str, amount: i64| json!({"class": class, "origin": "promotion", "amount": amount});
    let revoked = tenant.grant("acme", grant("addon", 50)).await;
    tenant.grant("acme", grant("balance", 10)).await;
    tenant.spend("acme", json!({"amount": 15})).await.expect(201);
    let path = format!("/v1/grants/{}/revoke", revoked["id"].as_str().expect("an id"));
    let answer = tenant
        .backend
        .post(&path, json!({"reason": "a mistake"}))
        .await
        .expect(201);
    assert_eq!(
        (
            &answer["grant_id"],
            &answer["account_id"],
            &answer["amount"],
            &answer["available_after"],
            &answer["reason"]
        ),
        (
            &revoked["id"],
            &json!("acme"),
            &json!(35),
            &json!(10),
            &json!("a mistake")
        )
    );
    tenant
        .backend
        .post(&path, json!({"reason": "again"}))
        .await
        .refused(409, "grant_already_closed");
    let balance = tenant.balance("acme").await;
    assert_eq!(
        (&balance["available"], &balance["used"], &balance["total"]),
        (&json!(10), &json!(15), &json!(25))
    );
    let entry = json!({"debit": "addon", "credit": "revoked", "amount": 35, "grant_id": revoked["id"]});
    let posted = transactions(tenant, "acme").await;
    assert_eq!(
        (&posted[0]["kind"], &posted[0]["entries"]),
        (&json!("revocation"), &json!([entry]))
    );
    let listed = data(&tenant.read.get("/v1/accounts/acme/grants").await.expect(200));
    let remaining: Vec<_> = listed
        .iter()
        .map(|g| (g["amount"].clone(), g["remaining"].clone()))
        .collect();
    assert_eq!(json!(remaining), json!([[10, 10], [50, 0]]));
    tenant
        .spend("acme", json!({"amount": 11}))
        .await
        .refused(402, "insufficient_credits");
    service.assert_books_agree(tenant).await;
}
