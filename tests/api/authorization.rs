//! Who may call what: every operation of the OpenAPI document, with every kind of key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Key, TestService, client::fresh_key};

const ROLES: [&str; 5] = ["operator", "admin", "backend", "support", "read"];
const OPERATOR: &[&str] = &["operator"];
const ADMIN: &[&str] = &["admin"];
const BACKEND: &[&str] = &["backend"];
const SUPPORT: &[&str] = &["support"];
const READERS: &[&str] = &["backend", "support", "read"];
const AUDITORS: &[&str] = &["admin", "read"];
/// No key is asked for.
const OPEN: &[&str] = &[];

/// Every operation, and the roles that may call it.
const CASES: &[(&str, &str, &[&str])] = &[
    ("POST", "/v1/tenants", OPERATOR),
    ("GET", "/v1/tenants", OPERATOR),
    ("POST", "/v1/api_keys", ADMIN),
    ("GET", "/v1/api_keys", ADMIN),
    ("DELETE", "/v1/api_keys/{id}", ADMIN),
    ("GET", "/v1/program", ADMIN),
    ("PUT", "/v1/program", ADMIN),
    ("GET", "/v1/test_clock", ADMIN),
    ("POST", "/v1/test_clock/advance", ADMIN),
    ("POST", "/v1/program/lint", ADMIN),
    ("GET", "/v1/program/preview", ADMIN),
    ("PUT", "/v1/stripe", ADMIN),
    ("GET", "/v1/accounts", READERS),
    ("GET", "/v1/accounts/{id}", READERS),
    ("PUT", "/v1/accounts/{id}", BACKEND),
    ("GET", "/v1/accounts/{id}/balance", READERS),
    ("POST", "/v1/accounts/{id}/grants", BACKEND),
    ("GET", "/v1/accounts/{id}/grants", READERS),
    ("POST", "/v1/grants/{id}/revoke", BACKEND),
    ("POST", "/v1/accounts/{id}/spends", BACKEND),
    ("GET", "/v1/spends/{id}", READERS),
    ("POST", "/v1/spends/{id}/refunds", BACKEND),
    ("POST", "/v1/accounts/{id}/quotes", BACKEND),
    ("POST", "/v1/accounts/{id}/holds", BACKEND),
    ("GET", "/v1/accounts/{id}/holds", READERS),
    ("GET", "/v1/holds/{id}", READERS),
    ("POST", "/v1/holds/{id}/capture", BACKEND),
    ("POST", "/v1/holds/{id}/void", BACKEND),
    ("POST", "/v1/accounts/{id}/subscriptions", BACKEND),
    ("GET", "/v1/accounts/{id}/subscriptions", READERS),
    ("GET", "/v1/subscriptions/{id}", READERS),
    ("PATCH", "/v1/subscriptions/{id}", BACKEND),
    ("DELETE", "/v1/subscriptions/{id}", BACKEND),
    ("POST", "/v1/accounts/{id}/top_ups", BACKEND),
    ("GET", "/v1/accounts/{id}/top_ups", READERS),
    ("GET", "/v1/top_ups/{id}", READERS),
    ("GET", "/v1/accounts/{id}/transactions", READERS),
    ("GET", "/v1/accounts/{id}/entries", READERS),
    ("GET", "/v1/accounts/{id}/usage", READERS),
    ("GET", "/v1/accounts/{id}/statement", READERS),
    ("GET", "/v1/ledger/trial_balance", AUDITORS),
    ("GET", "/v1/admin/accounts", SUPPORT),
    ("POST", "/v1/admin/spends/{id}/refunds", SUPPORT),
    ("PUT", "/v1/admin/accounts/{id}/caps", SUPPORT),
    ("GET", "/v1/admin/audit_log", SUPPORT),
    ("GET", "/v1/admin/stripe_events", SUPPORT),
    ("POST", "/v1/stripe/webhooks/{endpoint_id}", OPEN),
    ("GET", "/healthz", OPEN),
    ("GET", "/readyz", OPEN),
    ("GET", "/metrics", OPEN),
];

/// The document's operations, each with the security schemes it names.
fn operations() -> BTreeMap<(String, String), BTreeSet<String>> {
    let document = serde_json::to_value(scrip::http::document()).expect("a document");
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let security = operation["security"].as_array().cloned().unwrap_or_default();
            let schemes = security
                .iter()
                .flat_map(|one| one.as_object().expect("a scheme").keys().cloned());
            operations.insert((method.to_uppercase(), path.clone()), schemes.collect());
        }
    }
    operations
}

#[test]
fn every_operation_has_a_case_and_names_its_roles() {
    let cases: BTreeMap<(String, String), BTreeSet<String>> = CASES
        .iter()
        .map(|(method, path, roles)| {
            let roles = roles.iter().map(ToString::to_string).collect();
            ((method.to_string(), path.to_string()), roles)
        })
        .collect();
    assert_eq!(cases.len(), CASES.len(), "a case twice");
    assert_eq!(cases, operations(), "cases, then the document");
}

#[test]
fn the_document_describes_every_role_as_a_bearer_key() {
    let document = serde_json::to_value(scrip::http::document()).expect("a document");
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    let names: BTreeSet<&str> = schemes.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(ROLES));
    for (name, scheme) in schemes {
        assert_eq!(
            (&scheme["type"], &scheme["scheme"]),
            (&json!("http"), &json!("bearer")),
            "{name}"
        );
    }
}

/// A call that gets past the check of the key and no further: nobody has these ids, and the body says nothing.
async fn call(client: &Client, method: &str, path: &str) -> Answer {
    let path = path
        .replace("/accounts/{id}", "/accounts/nobody")
        .replace("{id}", "0197ffff-ffff-7fff-bfff-ffffffffffff")
        .replace("{endpoint_id}", "we_none");
    let key = fresh_key();
    let headers: &[(&str, &str)] = if ["POST", "PATCH"].contains(&method) {
        &[("idempotency-key", &key)]
    } else {
        &[]
    };
    let body = if method == "GET" { "" } else { r#"{"nonsense": true}"# };
    client.send(method, &path, headers, body).await
}

#[tokio::test]
async fn a_key_may_do_what_its_role_may_and_nothing_else() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let clients = [
        &service.operator,
        &tenant.admin,
        &tenant.backend,
        &tenant.support,
        &tenant.read,
    ];
    let mut wrong = Vec::new();
    for (method, path, allowed) in CASES {
        for (role, client) in ROLES.iter().zip(clients) {
            let answer = call(client, method, path).await;
            let refused = (answer.status, answer.code()) == (403, "forbidden");
            let may = allowed.is_empty() || allowed.contains(role);
            let said = refused && answer.json["role"] == *role && answer.text.contains(role);
            let sound = if may {
                ![401, 403].contains(&answer.status) && answer.status < 500
            } else {
                said
            };
            if !sound {
                wrong.push(format!("{role}: {method} {path}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn without_a_good_key_only_the_open_operations_answer() {
    let service = TestService::start().await;
    let stranger = format!("scrip_{}_{}", service.tenant.id.replace('-', ""), "A".repeat(43));
    let mut wrong = Vec::new();
    for key in ["", "nonsense", &stranger] {
        let client = Client::new(&service.url, Key(key.to_owned()));
        for (method, path, allowed) in CASES {
            let answer = call(&client, method, path).await;
            let unauthorized = (answer.status, answer.code()) == (401, "unauthorized");
            let sound = if allowed.is_empty() {
                answer.status != 401 && answer.status != 403
            } else {
                unauthorized
            };
            if !sound {
                wrong.push(format!("{key:?}: {method} {path}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_its_neighbours_go_on() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let made = async |name: &str| {
        let made = tenant
            .admin
            .post("/v1/api_keys", json!({"role": "backend", "name": name}))
            .await
            .expect(201);
        let key = Key(made["key"].as_str().expect("a key").to_owned());
        (
            made["id"].as_str().expect("an id").to_owned(),
            tenant.backend.with_key(&key),
        )
    };
    let ((id, leaked), (_, kept)) = (made("leaked").await, made("kept").await);
    for client in [&leaked, &kept] {
        client.get("/v1/accounts/acme").await.expect(200);
    }
    let path = format!("/v1/api_keys/{id}");
    tenant.admin.delete(&path).await.expect(204);
    leaked.get("/v1/accounts/acme").await.refused(401, "unauthorized");
    leaked
        .post("/v1/accounts/acme/spends", json!({"amount": 1}))
        .await
        .refused(401, "unauthorized");
    kept.get("/v1/accounts/acme").await.expect(200);

    let revoked_at = async || {
        let keys = tenant.admin.get("/v1/api_keys").await.expect(200);
        let listed = keys["data"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|key| key["id"] == id.as_str())
            .cloned();
        listed.expect("it is still listed")["revoked_at"].clone()
    };
    let first = revoked_at().await;
    assert!(first.is_string());
    tenant.admin.delete(&path).await.expect(204);
    assert_eq!(revoked_at().await, first, "revoking it again changes nothing");
    leaked.get("/v1/accounts/acme").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn the_database_holds_hashes_and_seals_but_no_secret() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    // Made with an idempotency key, so that the answer with the API key in it is kept too.
    let body = json!({"role": "backend", "name": "shown once"});
    let made = tenant
        .admin
        .post_with("/v1/api_keys", "make-it-once", body)
        .await
        .expect(201);
    tenant
        .connect_stripe(&service.stripe, "sk_test_SecretOfStripe", "whsec_SecretOfTheWebhook")
        .await;
    let keys = [&tenant.admin, &tenant.backend, &tenant.support, &tenant.read].map(|client| client.key.0.clone());
    let mut secrets: Vec<String> = keys.to_vec();
    secrets.push(made["key"].as_str().expect("a key").to_owned());
    secrets.extend(["SecretOfStripe".to_owned(), "SecretOfTheWebhook".to_owned()]);
    let secret_parts: Vec<&str> = secrets
        .iter()
        // Of `scrip_<tenant>_<secret>` the secret, which can hold an underscore itself.
        .map(|key| key.splitn(3, '_').last().unwrap_or(key))
        .collect();

    let mut owner = service.owner().await;
    for table in super::tenant_rows::tables(&mut owner).await {
        let rows = super::tenant_rows::texts(&mut owner, &table, &tenant.id).await;
        for (row, secret) in rows
            .iter()
            .flat_map(|row| secret_parts.iter().map(move |secret| (row, secret)))
        {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                !row.contains(*secret) && !row.contains(&hex),
                "{table} holds {secret} in {row}"
            );
        }
    }
    let listed = tenant.admin.get("/v1/api_keys").await;
    assert!(
        secret_parts.iter().all(|secret| !listed.text.contains(secret)),
        "{}",
        listed.text
    );
    let hashes: Vec<Value> = listed.json["data"].as_array().expect("a list").clone();
    assert_eq!(hashes.len(), 5);
}
