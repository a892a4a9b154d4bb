//! Bad requests: each is refused by name, with the very body that stands beside it in `bad_requests.json`, and leaves no
//! trace in the database.
//!
//! A row of the table: `name`; `as`, whose key is sent (a role, `none`, `unknown` or `revoked`); `send`, method and path;
//! `headers`, without which a POST gets a fresh Idempotency-Key; the body as `body` (a string is sent as it is), `hex`, or
//! `repeat` (what comes first, what is repeated, how often, and what closes it as often); `answer`, the whole body of the
//! answer. `{spend}` and the like stand for ids of the tenant of the test. UPDATE_BAD_REQUESTS=1 writes the answers anew.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tenant_rows;
use crate::support::{Answer, Client, Key, TestService, client::fresh_key};

const TABLE: &str = include_str!("bad_requests.json");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/bad_requests.json");
const USED_KEY: &str = "a-key-that-was-used-for-a-spend";

/// What the placeholders of the table stand for.
struct Names(Vec<(&'static str, String)>);

impl Names {
    fn put_into(&self, text: &str) -> String {
        let replaced = |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
        self.0.iter().fold(text.to_owned(), replaced)
    }

    fn take_from(&self, text: &str) -> String {
        let replaced = |text: String, (name, value): &(&str, String)| text.replace(value, &format!("{{{name}}}"));
        self.0.iter().fold(text.to_owned(), replaced)
    }
}

/// A tenant with something to be wrong about: 60 credits left, a spend of 40, one given back, a revoked grant.
async fn furnish(service: &TestService) -> (Names, Client) {
    let tenant = &service.tenant;
    let program = json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": 500}}, "packs": {
        "small": {"price": {"amount": 1000, "currency": "USD"}, "credits": 100}}});
    tenant.admin.put("/v1/program", program).await.expect(200);
    tenant.account("acme").await;
    tenant.account("empty").await;
    let plain = |amount: i64| json!({"class": "balance", "origin": "promotion", "amount": amount});
    let grant = tenant.grant("acme", plain(100)).await;
    let revoked = tenant.grant("empty", plain(5)).await;
    let revoke = format!("/v1/grants/{}/revoke", text(&revoked["id"]));
    tenant.backend.post(&revoke, json!({})).await.expect(201);
    let spends = "/v1/accounts/acme/spends";
    let spend = tenant
        .backend
        .post_with(spends, USED_KEY, json!({"amount": 40}))
        .await
        .expect(201);
    let refunded = tenant.spend("acme", json!({"amount": 10})).await.expect(201);
    let refunds = format!("/v1/spends/{}/refunds", text(&refunded["id"]));
    let refund = tenant.backend.post(&refunds, json!({"reason": "x"})).await.expect(201);

    let keys = tenant.admin.get("/v1/api_keys").await.expect(200);
    let first = keys["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|key| key["role"] == "admin");
    let made = tenant
        .admin
        .post("/v1/api_keys", json!({"role": "backend", "name": "revoked"}))
        .await
        .expect(201);
    let lost = tenant.admin.with_key(&Key(text(&made["key"])));
    tenant
        .admin
        .delete(&format!("/v1/api_keys/{}", text(&made["id"])))
        .await
        .expect(204);
    let backend_key = tenant.backend.key.0.clone();
    let foreign_key = backend_key.replace(&tenant.id.replace('-', ""), &"0".repeat(32));
    assert_ne!(foreign_key, backend_key);
    let names = Names(vec![
        ("spend", text(&spend["id"])),
        ("refunded", text(&refunded["id"])),
        ("refund", text(&refund["id"])),
        ("grant", text(&grant["id"])),
        ("revoked", text(&revoked["id"])),
        ("admin_key_id", text(&first.expect("the first key")["id"])),
        ("backend_key", backend_key),
        ("foreign_key", foreign_key),
        ("slug", tenant.slug.clone()),
        ("used", USED_KEY.to_owned()),
    ]);
    (names, lost)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn body_of(row: &Value) -> Vec<u8> {
    if let Some(hex) = row["hex"].as_str() {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    if let Some(parts) = row["repeat"].as_array() {
        let times = usize::try_from(parts[2].as_u64().expect("a number")).expect("small");
        let repeated = |part: Option<&Value>| part.and_then(Value::as_str).unwrap_or_default().repeat(times);
        return format!(
            "{}{}{}",
            text(&parts[0]),
            repeated(parts.get(1)),
            repeated(parts.get(3))
        )
        .into_bytes();
    }
    match &row["body"] {
        Value::Null => Vec::new(),
        Value::String(raw) => raw.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    }
}

async fn send(service: &TestService, revoked: &Client, row: &Value) -> Answer {
    let tenant = &service.tenant;
    let client = match row["as"].as_str().expect("who sends it") {
        "operator" => &service.operator,
        "admin" => &tenant.admin,
        "backend" => &tenant.backend,
        "support" => &tenant.support,
        "read" => &tenant.read,
        "revoked" => revoked,
        "none" => &Client::new(&service.url, Key::default()),
        "unknown" => {
            let mut key = tenant.backend.key.0.clone();
            let last = key.pop().expect("a key");
            key.push(if last == 'A' { 'B' } else { 'A' });
            &tenant.backend.with_key(&Key(key))
        }
        other => panic!("no such caller: {other}"),
    };
    let (method, path) = row["send"]
        .as_str()
        .and_then(|s| s.split_once(' '))
        .expect("a request line");
    let fresh = fresh_key();
    let headers: Vec<(&str, &str)> = match &row["headers"] {
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value")))
            .collect(),
        _ if method == "POST" => vec![("idempotency-key", &fresh)],
        _ => Vec::new(),
    };
    client.send(method, path, &headers, body_of(row)).await
}

/// What is wrong with an answer, in words; nothing if it is as it stands in the table.
fn differences(row: &Value, answer: &Answer, seen: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if *seen != row["answer"] {
        wrong.push(format!("expected {}\n     got {seen}", row["answer"]));
    }
    if !(400..500).contains(&answer.status) || seen["status"] != answer.status {
        wrong.push(format!("answered {}", answer.status));
    }
    if answer.header("content-type") != "application/problem+json" {
        wrong.push(format!("as {}", answer.header("content-type")));
    }
    if answer.header("x-request-id").is_empty() {
        wrong.push("without a request id".to_owned());
    }
    let code = seen["code"].as_str().unwrap_or_default();
    let says = |name: &str| seen[name].as_str().is_some_and(|text| !text.is_empty());
    if code.is_empty() || seen["type"] != format!("urn:scrip:problem:{code}") || !says("title") || !says("detail") {
        wrong.push("it has no code, type, title and detail".to_owned());
    }
    if (answer.status == 401) == answer.header("www-authenticate").is_empty() {
        wrong.push("a 401, and no other, says how to authenticate".to_owned());
    }
    if (answer.status == 405) == answer.header("allow").is_empty() {
        wrong.push("a 405, and no other, says which methods there are".to_owned());
    }
    wrong
}

#[tokio::test]
async fn every_bad_request_is_refused_by_name_and_leaves_no_trace() {
    let service = TestService::start().await;
    let (names, revoked) = furnish(&service).await;
    let rows: Vec<Value> = serde_json::from_str(TABLE).expect("the table is JSON");
    assert!(rows.len() >= 200, "{} rows", rows.len());
    let titles: BTreeSet<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(titles.len(), rows.len(), "every row has a name of its own");

    let mut owner = service.owner().await;
    let before = tenant_rows::of(&mut owner, &service.tenant.id).await;
    let (mut findings, mut written) = (Vec::new(), Vec::new());
    for row in &rows {
        let concrete: Value = serde_json::from_str(&names.put_into(&row.to_string())).expect("still JSON");
        let answer = send(&service, &revoked, &concrete).await;
        for wrong in differences(&concrete, &answer, &answer.json) {
            findings.push(format!("{}: {wrong}", text(&row["name"])));
        }
        let answer = names.take_from(&answer.json.to_string());
        written.push(two_lines(row, &answer));
    }
    let after = tenant_rows::of(&mut owner, &service.tenant.id).await;
    if crate::openapi::update("UPDATE_BAD_REQUESTS") {
        std::fs::write(PATH, format!("[\n{}\n]\n", written.join(",\n"))).expect("the table is written");
    }
    assert!(
        findings.is_empty(),
        "{} of {}:\n{}",
        findings.len(),
        rows.len(),
        findings.join("\n")
    );
    assert_eq!(before, after, "a refused request left a trace");
    service.assert_books_agree(&service.tenant).await;
}

/// The request on one line, what is answered on the next.
fn two_lines(row: &Value, answer: &str) -> String {
    let mut members = Vec::new();
    for name in ["name", "as", "send", "headers", "body", "hex", "repeat"] {
        if let Some(value) = row.get(name) {
            members.push(format!("\"{name}\": {value}"));
        }
    }
    format!("{{{},\n  \"answer\": {answer}}}", members.join(", "))
}
