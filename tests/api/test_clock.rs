//! The test clock of a sandbox tenant: what falls due on the way runs, in order, as the days would have.

use serde_json::{Value, json};

use crate::support::{TestService, service::Tenant};

const PROGRAM: &str = r#"
    unit = { name = "credits" }
    plans.pro = { allowance = 100 }
    plans.lite = { allowance = 10, billing = "year", refresh = "month" }
"#;

async fn start() -> TestService {
    let service = TestService::start().await;
    let headers = [("content-type", "application/toml")];
    let put = service.tenant.admin.send("PUT", "/v1/program", &headers, PROGRAM);
    put.await.expect(200);
    service
}

async fn advance(tenant: &Tenant, to: &str) -> Value {
    tenant
        .admin
        .post("/v1/test_clock/advance", json!({"to": to}))
        .await
        .expect(200)
}

async fn subscribe(tenant: &Tenant, account: &str, body: Value) -> Value {
    let path = format!("/v1/accounts/{account}/subscriptions");
    tenant.backend.post(&path, body).await.expect(201)
}

/// (kind, effective_at, created_at) of an account's transactions, the oldest first.
async fn history(tenant: &Tenant, account: &str) -> Vec<(String, String, String)> {
    let path = format!("/v1/accounts/{account}/transactions?limit=200");
    let page = tenant.backend.get(&path).await.expect(200);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = page["data"].as_array().expect("a list").iter().rev();
    all.map(|t| (text(&t["kind"]), text(&t["effective_at"]), text(&t["created_at"])))
        .collect()
}

#[tokio::test]
async fn it_is_the_machines_until_it_is_moved_and_then_stands_still() {
    let service = start().await;
    let tenant = &service.tenant;
    let first = tenant.admin.get("/v1/test_clock").await.expect(200);
    assert_eq!(first["frozen"], false);
    assert_eq!(
        advance(tenant, "2030-01-15T00:00:00Z").await,
        json!({"now": "2030-01-15T00:00:00Z", "frozen": true})
    );
    tenant.account("acme").await;
    assert_eq!(tenant.balance("acme").await["at"], "2030-01-15T00:00:00Z");
    let advance = "/v1/test_clock/advance";
    let back = json!({"to": "2030-01-14T23:59:59Z"});
    let refusal = tenant.admin.post(advance, back).await.refused(422, "invalid_to");
    assert_eq!(refusal["now"], "2030-01-15T00:00:00+00:00");
    let far = json!({"to": "2051-01-15T00:00:00Z"});
    tenant.admin.post(advance, far).await.refused(422, "invalid_to");
    tenant.admin.post(advance, json!({})).await.refused(422, "invalid_to");
    tenant
        .admin
        .post(advance, json!({"to": "soon"}))
        .await
        .refused(422, "invalid_to");
    // To where it stands is no move.
    tenant
        .admin
        .post(advance, json!({"to": "2030-01-15T00:00:00Z"}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_live_tenant_has_none() {
    let service = TestService::start().await;
    let body = json!({"slug": format!("live-{}", service.tenant.slug), "name": "Live", "mode": "live"});
    let made = service.operator.post("/v1/tenants", body).await.expect(201);
    let key = crate::support::Key(made["admin_key"].as_str().expect("a key").to_owned());
    let admin = service.operator.with_key(&key);
    admin.get("/v1/test_clock").await.refused(409, "not_a_sandbox");
    let to = json!({"to": "2030-01-15T00:00:00Z"});
    admin
        .post("/v1/test_clock/advance", to)
        .await
        .refused(409, "not_a_sandbox");
}

#[tokio::test]
async fn one_leap_posts_what_many_steps_post_each_at_its_instant() {
    let service = start().await;
    let other = Tenant::make(&service.operator).await;
    let headers = [("content-type", "application/toml")];
    other
        .admin
        .send("PUT", "/v1/program", &headers, PROGRAM)
        .await
        .expect(200);
    let mut histories = Vec::new();
    for (tenant, stops) in [
        (&service.tenant, vec!["2030-06-01T00:00:00Z"]),
        (
            &other,
            vec![
                "2030-01-31T11:59:59Z",
                "2030-01-31T12:00:00Z",
                "2030-03-01T00:00:00Z",
                "2030-06-01T00:00:00Z",
            ],
        ),
    ] {
        advance(tenant, "2029-12-31T12:00:00Z").await;
        tenant.account("acme").await;
        subscribe(tenant, "acme", json!({"plan": "pro"})).await;
        subscribe(tenant, "acme", json!({"plan": "lite"})).await;
        tenant.spend("acme", json!({"amount": 5})).await.expect(201);
        let hold = json!({"amount": 30, "expires_in_s": 604_800});
        tenant.backend.post("/v1/accounts/acme/holds", hold).await.expect(201);
        for stop in stops {
            advance(tenant, stop).await;
        }
        histories.push(history(tenant, "acme").await);
        service.assert_books_agree(tenant).await;
    }
    assert_eq!(histories[0], histories[1]);
    let renewals: Vec<&str> = histories[0]
        .iter()
        .filter(|(kind, ..)| kind == "renewal")
        .map(|(_, at, _)| at.as_str())
        .collect();
    let days = ["2030-01-31", "2030-02-28", "2030-03-31", "2030-04-30", "2030-05-31"];
    let twice: Vec<String> = days
        .iter()
        .flat_map(|day| [format!("{day}T12:00:00Z"), format!("{day}T12:00:00Z")])
        .collect();
    assert_eq!(renewals, twice);
    assert!(
        histories[0].iter().all(|(_, effective, booked)| effective == booked),
        "the clock stopped at every instant at which something fell due: {:?}",
        histories[0]
    );
}

#[tokio::test]
async fn whoever_looks_sees_what_is_due_whether_it_was_run_or_not() {
    let service = start().await;
    let tenant = &service.tenant;
    advance(tenant, "2030-01-15T00:00:00Z").await;
    tenant.account("acme").await;
    let subscription = subscribe(tenant, "acme", json!({"plan": "pro"})).await;
    // Past the service: the clock jumps, and nothing runs.
    let mut owner = service.owner().await;
    sqlx::query("UPDATE test_clocks SET at = '2030-03-20T00:00:00Z' WHERE tenant_id = $1::uuid")
        .bind(&tenant.id)
        .execute(&mut owner)
        .await
        .expect("it is moved");
    let id = subscription["id"].as_str().expect("an id");
    let seen = tenant.backend.get(&format!("/v1/subscriptions/{id}")).await.expect(200);
    assert_eq!(seen["refresh_cycle"]["starts_at"], "2030-03-15T00:00:00Z");
    assert_eq!(tenant.balance("acme").await["available"], 100);
    let kinds: Vec<(String, String)> = history(tenant, "acme")
        .await
        .into_iter()
        .map(|(k, at, _)| (k, at))
        .collect();
    let of = |kind: &str, at: &str| (kind.to_owned(), at.to_owned());
    assert_eq!(
        kinds,
        [
            of("subscription", "2030-01-15T00:00:00Z"),
            of("expiry", "2030-02-15T00:00:00Z"),
            of("renewal", "2030-02-15T00:00:00Z"),
            of("expiry", "2030-03-15T00:00:00Z"),
            of("renewal", "2030-03-15T00:00:00Z"),
        ]
    );
    service.assert_books_agree(tenant).await;
}
