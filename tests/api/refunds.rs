//! Refunds of spends over HTTP: by the backend and by support, whole and in part, and to grants that have expired.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Duration, Utc};
use scrip::clock::Clock;
use serde_json::{Value, json};

use crate::support::{
    Answer, TestService,
    client::fresh_key,
    database::{fresh, unique_name},
    service::Tenant,
};

/// Grants 40 plan, 20 addon and 15 balance and spends 65 of them; returns the grants' ids and the spend.
async fn spent(tenant: &Tenant) -> ([Value; 3], Value) {
    tenant.account("acme").await;
    let mut grants = [Value::Null, Value::Null, Value::Null];
    for (n, (class, amount)) in [("plan", 40), ("addon", 20), ("balance", 15)].into_iter().enumerate() {
        let grant = json!({"class": class, "origin": "promotion", "amount": amount});
        grants[n] = tenant.grant("acme", grant).await["id"].clone();
    }
    (grants, tenant.spend("acme", json!({"amount": 65})).await.expect(201))
}

fn refunds_of(spend: &Value) -> String {
    format!("/v1/spends/{}/refunds", spend["id"].as_str().expect("an id"))
}

async fn refund(tenant: &Tenant, spend: &Value, amount: i64) -> Answer {
    let body = json!({"amount": amount, "reason": "it failed"});
    tenant.backend.post(&refunds_of(spend), body).await
}

async fn refunded(tenant: &Tenant, spend: &Value) -> Value {
    let path = format!("/v1/spends/{}", spend["id"].as_str().expect("an id"));
    tenant.backend.get(&path).await.expect(200)["refunded"].clone()
}

async fn list(tenant: &Tenant, what: &str) -> Vec<Value> {
    let answer = tenant.backend.get(&format!("/v1/accounts/acme/{what}?limit=100")).await;
    answer.expect(200)["data"].as_array().expect("a list").clone()
}

fn parts(refund: &Value) -> Value {
    let credited = refund["credited"].as_array().expect("a list");
    credited.iter().map(|p| json!([p["grant_id"], p["amount"]])).collect()
}

#[tokio::test]
async fn a_whole_refund_goes_back_where_it_came_from() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let ([plan, addon, balance], spend) = spent(tenant).await;
    assert_eq!(spend.get("refunded"), None);
    assert_eq!(refunded(tenant, &spend).await, 0);
    let body = json!({"reason": "  it failed "});
    let refund = tenant.backend.post(&refunds_of(&spend), body).await.expect(201);
    assert_eq!(parts(&refund), json!([[balance, 5], [addon, 20], [plan, 40]]));
    assert_eq!(refund["amount"], 65);
    assert_eq!(refund["refunded_total"], 65);
    assert_eq!(refund["available_after"], 75);
    assert_eq!(refund["reason"], "it failed");
    assert_eq!(refund["spend_id"], spend["id"]);
    assert_eq!(refund["account_id"], "acme");
    assert_eq!(refunded(tenant, &spend).await, 65);
    let figures = tenant.balance("acme").await;
    assert_eq!(figures["by_class"], json!({"plan": 40, "addon": 20, "balance": 15}));
    assert_eq!((&figures["used"], &figures["total"]), (&json!(0), &json!(75)));
    let last = &list(tenant, "transactions").await[0];
    assert_eq!((&last["id"], &last["kind"]), (&refund["id"], &json!("refund")));
    assert_eq!(last["subject_id"], spend["id"]);
    let again = tenant.backend.post(&refunds_of(&spend), json!({"reason": "x"})).await;
    let refusal = again.refused(409, "spend_already_refunded");
    assert_eq!((&refusal["spent"], &refusal["refunded"]), (&json!(65), &json!(65)));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn parts_add_up_and_no_more_goes_back_than_was_spent() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let ([plan, addon, balance], spend) = spent(tenant).await;
    for (amount, total, expected) in [
        (3, 3, json!([[balance, 3]])),
        (20, 23, json!([[balance, 2], [addon, 18]])),
        (5, 28, json!([[addon, 2], [plan, 3]])),
    ] {
        let refund = refund(tenant, &spend, amount).await.expect(201);
        assert_eq!(parts(&refund), expected);
        assert_eq!(refund["refunded_total"], total);
        assert_eq!(refunded(tenant, &spend).await, total);
    }
    let refusal = refund(tenant, &spend, 38).await.refused(422, "refund_exceeds_spend");
    let numbers = ["spent", "refunded", "refundable", "requested"].map(|name| refusal[name].clone());
    assert_eq!(json!(numbers), json!([65, 28, 37, 38]));
    assert_eq!(refund(tenant, &spend, 37).await.expect(201)["available_after"], 75);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_refund_sent_again_is_answered_again() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let (_, spend) = spent(tenant).await;
    let (key, body) = (fresh_key(), json!({"amount": 10, "reason": "it failed"}));
    let first = tenant.backend.post_with(&refunds_of(&spend), &key, body.clone()).await;
    let second = tenant.backend.post_with(&refunds_of(&spend), &key, body).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.text, second.text);
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(refunded(tenant, &spend).await, 10);
    let other = json!({"amount": 11, "reason": "it failed"});
    let reused = tenant.backend.post_with(&refunds_of(&spend), &key, other).await;
    reused.refused(422, "idempotency_key_reused");
    assert_eq!(refunded(tenant, &spend).await, 10);
}

#[tokio::test]
async fn what_cannot_be_refunded_is_refused_by_name() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let (_, spend) = spent(tenant).await;
    let path = refunds_of(&spend);
    let body = json!({"reason": "x"}).to_string();
    let without_key = tenant.backend.send("POST", &path, &[], body).await;
    without_key.refused(422, "idempotency_key_required");
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({"reason": " "}), "invalid_reason"),
        (json!({"reason": "x", "amount": 0}), "invalid_amount"),
        (json!({"reason": "x", "amount": -1}), "invalid_amount"),
        (json!({"reason": "x", "multiplier": 2}), "unknown_field"),
    ] {
        tenant.backend.post(&path, body).await.refused(422, code);
    }
    let unknown = "/v1/spends/01990000-0000-7000-8000-000000000000/refunds";
    let body = json!({"reason": "x"});
    tenant
        .backend
        .post(unknown, body.clone())
        .await
        .refused(404, "spend_not_found");
    let no_id = "/v1/spends/nonsense/refunds";
    tenant
        .backend
        .post(no_id, body.clone())
        .await
        .refused(422, "invalid_id");
    // A refund is no spend, nor is a grant's transaction.
    let back = refund(tenant, &spend, 5).await.expect(201);
    for transaction in list(tenant, "transactions").await {
        if transaction["kind"] != "spend" {
            tenant
                .backend
                .post(&refunds_of(&transaction), body.clone())
                .await
                .refused(404, "spend_not_found");
        }
    }
    tenant
        .backend
        .post(&refunds_of(&back), body.clone())
        .await
        .refused(404, "spend_not_found");
    for client in [&tenant.read, &tenant.support, &tenant.admin] {
        client.post(&path, body.clone()).await.refused(403, "forbidden");
    }
    assert_eq!(refunded(tenant, &spend).await, 5);
}

#[tokio::test]
async fn a_spend_of_another_tenant_is_not_found() {
    let service = TestService::start().await;
    let (_, spend) = spent(&service.tenant).await;
    let other = Tenant::make(&service.operator).await;
    other.account("acme").await;
    refund(&other, &spend, 5).await.refused(404, "spend_not_found");
    let body = json!({"reason": "x"});
    let path = refunds_of(&spend).replace("/v1/", "/v1/admin/");
    other.support.post(&path, body).await.refused(404, "spend_not_found");
    assert_eq!(refunded(&service.tenant, &spend).await, 0);
    assert_eq!(other.balance("acme").await["available"], 0);
}

#[tokio::test]
async fn support_tries_first_and_then_refunds_under_its_name() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let (_, spend) = spent(tenant).await;
    let path = refunds_of(&spend).replace("/v1/", "/v1/admin/");
    let body = |dry_run| json!({"amount": 8, "reason": "blurred", "ticket": "T-1", "dry_run": dry_run});
    let log = || async { tenant.support.get("/v1/admin/audit_log").await.expect(200)["data"].clone() };
    let before = (
        list(tenant, "transactions").await,
        tenant.balance("acme").await["grants"].clone(),
    );

    let trial = tenant
        .support
        .send("POST", &path, &[], body(true).to_string())
        .await
        .expect(200);
    assert_eq!((&trial["dry_run"], &trial["actor"]), (&json!(true), &json!("Sam")));
    let after = (
        list(tenant, "transactions").await,
        tenant.balance("acme").await["grants"].clone(),
    );
    assert_eq!(before, after);
    assert_eq!((refunded(tenant, &spend).await, log().await), (json!(0), json!([])));

    let without_key = tenant.support.send("POST", &path, &[], body(false).to_string()).await;
    without_key.refused(422, "idempotency_key_required");
    let key = fresh_key();
    let done = tenant.support.post_with(&path, &key, body(false)).await.expect(201);
    assert_eq!(done["dry_run"], false);
    for field in [
        "amount",
        "refunded_total",
        "credited",
        "available_after",
        "reason",
        "ticket",
        "actor",
        "spend_id",
    ] {
        assert_eq!(done[field], trial[field], "{field}");
    }
    assert_eq!((&done["amount"], &done["available_after"]), (&json!(8), &json!(18)));
    let replay = tenant.support.post_with(&path, &key, body(false)).await;
    assert_eq!(replay.header("idempotent-replayed"), "true");
    assert_eq!(replay.expect(201)["id"], done["id"]);
    // A trial with a key is not answered from it and does not use it up.
    let trial = tenant.support.post_with(&path, &key, body(true)).await.expect(200);
    assert_eq!(trial["refunded_total"], 16);
    assert_eq!(refunded(tenant, &spend).await, 8);

    let log = log().await;
    assert_eq!(log.as_array().map(Vec::len), Some(1), "{log}");
    let record = &log[0];
    assert_eq!(
        (&record["actor"], &record["action"]),
        (&json!("Sam"), &json!("spend.refund"))
    );
    assert_eq!(
        (&record["reason"], &record["ticket"]),
        (&json!("blurred"), &json!("T-1"))
    );
    assert_eq!(
        (&record["account_id"], &record["transaction_id"]),
        (&json!("acme"), &done["id"])
    );
    let posted = &list(tenant, "transactions").await[0];
    assert_eq!(
        (&posted["ticket"], &posted["actor_id"]),
        (&json!("T-1"), &record["actor_id"])
    );

    for client in [&tenant.backend, &tenant.admin, &tenant.read] {
        client.post(&path, body(false)).await.refused(403, "forbidden");
        client.get("/v1/admin/audit_log").await.refused(403, "forbidden");
    }
    let reasonless = tenant.support.post(&path, json!({"amount": 1, "dry_run": true})).await;
    reasonless.refused(422, "missing_field");
    for dry_run in [true, false] {
        let body = json!({"amount": 58, "reason": "x", "dry_run": dry_run});
        let refusal = tenant
            .support
            .post(&path, body)
            .await
            .refused(422, "refund_exceeds_spend");
        assert_eq!(refusal["refundable"], 57);
    }
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn a_refund_goes_back_to_a_grant_revoked_meanwhile() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let ([.., balance], spend) = spent(tenant).await;
    let revoke = format!("/v1/grants/{}/revoke", balance.as_str().expect("an id"));
    assert_eq!(tenant.backend.post(&revoke, json!({})).await.expect(201)["amount"], 10);
    let refund = refund(tenant, &spend, 5).await.expect(201);
    assert_eq!(parts(&refund), json!([[balance, 5]]));
    assert_eq!(tenant.balance("acme").await["by_class"]["balance"], 5);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn of_two_whole_refunds_at_once_one_wins() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let (_, spend) = spent(tenant).await;
    let whole = || refund(tenant, &spend, 65);
    let (one, two) = tokio::join!(whole(), whole());
    let (won, lost) = if one.status == 201 { (one, two) } else { (two, one) };
    won.expect(201);
    lost.refused(409, "spend_already_refunded");
    assert_eq!(tenant.balance("acme").await["available"], 75);

    // And of twelve parts of ten, six fit into 65.
    let spend = tenant.spend("acme", json!({"amount": 65})).await.expect(201);
    let path = refunds_of(&spend);
    let mut parts = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (backend, path) = (tenant.backend.clone(), path.clone());
        parts.spawn(async move { backend.post(&path, json!({"amount": 10, "reason": "x"})).await.status });
    }
    let mut statuses = parts.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[201; 6], [422; 6]].concat());
    assert_eq!(refunded(tenant, &spend).await, 60);
    service.assert_books_agree(tenant).await;
}

/// A clock that stands where it was put.
struct Steered(Mutex<DateTime<Utc>>);

impl Clock for Steered {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("not poisoned")
    }
}

#[tokio::test]
async fn an_expired_source_is_treated_as_the_program_says() {
    let start: DateTime<Utc> = "2027-01-01T00:00:00Z".parse().expect("a time");
    let clock = Arc::new(Steered(Mutex::new(start)));
    let day = |day: i64| start + Duration::days(day);
    // A database of its own: the others' workers live in another time.
    let database = fresh(&unique_name("refunds")).await;
    let service = TestService::start_with(database, Arc::<Steered>::clone(&clock)).await;
    let tenant = &service.tenant;
    let policies = json!({"plan": "reissue", "addon": "restore", "balance": "reject"});
    let plans = json!({"pro": {"allowance": 100}});
    let program = json!({"unit": {"name": "credits"}, "plans": plans, "refunds": {"expired_source": policies}});
    tenant.admin.put("/v1/program", program).await.expect(200);
    tenant.account("acme").await;
    let mut spends = Vec::new();
    let mut grants = Vec::new();
    for class in ["plan", "addon", "balance"] {
        let grant = json!({"class": class, "origin": "promotion", "amount": 30, "expires_at": day(10)});
        grants.push(tenant.grant("acme", grant).await["id"].clone());
        spends.push(tenant.spend("acme", json!({"amount": 30})).await.expect(201));
    }
    *clock.0.lock().expect("not poisoned") = day(10);

    let reissued = refund(tenant, &spends[0], 12).await.expect(201);
    assert_eq!(reissued["available_after"], 12);
    let grant = &tenant.balance("acme").await["grants"][0];
    assert_eq!((&grant["origin"], &grant["class"]), (&json!("reissue"), &json!("plan")));
    assert_eq!((&grant["source_grant_id"], &grant["amount"]), (&grants[0], &json!(12)));
    assert_eq!(
        (&grant["effective_at"], &grant["expires_at"]),
        (&json!(day(10)), &json!(day(40)))
    );
    assert_eq!(parts(&reissued), json!([[grant["id"], 12]]));
    // In a cycle the rest lasts as long as that.
    let cycle = tenant.grant("acme", json!({"plan": "pro"})).await;
    refund(tenant, &spends[0], 18).await.expect(201);
    let shown = tenant.balance("acme").await["grants"].clone();
    let of_the_rest = |g: &&Value| g["origin"] == "reissue" && g["amount"] == 18;
    let rest = shown
        .as_array()
        .and_then(|g| g.iter().find(of_the_rest))
        .expect("the rest");
    assert_eq!(rest["expires_at"], cycle["expires_at"]);

    let restored = refund(tenant, &spends[1], 30).await.expect(201);
    assert_eq!(parts(&restored), json!([[grants[1], 30]]));
    assert_eq!(restored["available_after"], 130);
    assert_eq!(refunded(tenant, &spends[1]).await, 30);
    let books = tenant.read.get("/v1/ledger/trial_balance").await.expect(200);
    let accounts = books["accounts"].as_array().expect("a list");
    let expired = accounts
        .iter()
        .find(|a| a["account"] == "expired")
        .expect("it is there");
    assert_eq!((&expired["balance"], &books["sum"]), (&json!(30), &json!(0)));

    let rejected = refund(tenant, &spends[2], 4).await.refused(409, "source_grant_expired");
    assert_eq!(
        (&rejected["grant_id"], &rejected["class"]),
        (&grants[2], &json!("balance"))
    );
    assert_eq!(
        (&rejected["amount"], &rejected["expired_at"]),
        (&json!(4), &json!(day(10)))
    );
    assert_eq!(refunded(tenant, &spends[2]).await, 0);
    let path = refunds_of(&spends[2]).replace("/v1/", "/v1/admin/");
    let trial = tenant
        .support
        .post(&path, json!({"reason": "x", "dry_run": true}))
        .await;
    trial.refused(409, "source_grant_expired");
    service.assert_books_agree(tenant).await;
}
