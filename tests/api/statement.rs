//! Statements: as JSON, and as CSV for spreadsheets.

use serde_json::{Value, json};

use super::balance_at::advance;
use crate::support::{Answer, TestService, service::Tenant};

async fn statement(tenant: &Tenant, query: &str) -> Value {
    let path = format!("/v1/accounts/acme/statement?{query}");
    tenant.read.get(&path).await.expect(200)
}

async fn accepting(tenant: &Tenant, accept: &str, query: &str) -> Answer {
    let path = format!("/v1/accounts/acme/statement?{query}");
    tenant.read.send("GET", &path, &[("accept", accept)], "").await
}

/// kind, effective_at, amount, balance, held.
fn lines(statement: &Value) -> Vec<Value> {
    let names = ["kind", "effective_at", "amount", "balance", "held"];
    let line = |line: &Value| names.iter().map(|name| line[name].clone()).collect();
    statement["lines"]
        .as_array()
        .expect("a list")
        .iter()
        .map(line)
        .collect()
}

fn ends(statement: &Value) -> [i64; 2] {
    ["opening_balance", "closing_balance"].map(|name| statement[name].as_i64().expect("a number"))
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

/// January: 100 of the plan until the 15th of February and 50 that stay. February: a spend, a hold and its capture, a refund.
/// In March a grant is booked for the 20th of February.
async fn furnished() -> TestService {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    advance(tenant, "2031-01-10T00:00:00Z").await;
    let plan = json!({"class": "plan", "origin": "promotion", "amount": 100, "expires_at": "2031-02-15T00:00:00Z"});
    tenant.grant("acme", plan).await;
    let stays = json!({"class": "balance", "origin": "promotion", "amount": 50, "reason": "=1+1 welcome, \"you\""});
    tenant.grant("acme", stays).await;
    advance(tenant, "2031-02-01T00:00:00Z").await;
    let spend = json!({"amount": 30, "operation": "image", "member": "@ann"});
    let spend = tenant.spend("acme", spend).await.expect(201);
    advance(tenant, "2031-02-02T00:00:00Z").await;
    let hold = json!({"amount": 90, "expires_in_s": 600_000, "operation": "video"});
    let hold = tenant.backend.post("/v1/accounts/acme/holds", hold).await.expect(201);
    advance(tenant, "2031-02-03T00:00:00Z").await;
    let capture = format!("/v1/holds/{}/capture", id(&hold));
    tenant.backend.post(&capture, json!({"amount": 80})).await.expect(201);
    advance(tenant, "2031-02-04T00:00:00Z").await;
    let hold = json!({"amount": 5});
    let hold = tenant.backend.post("/v1/accounts/acme/holds", hold).await.expect(201);
    let void = format!("/v1/holds/{}/void", id(&hold));
    tenant.backend.post(&void, json!({})).await.expect(201);
    let refund = format!("/v1/spends/{}/refunds", id(&spend));
    let some = json!({"amount": 8, "reason": "-it failed"});
    tenant.backend.post(&refund, some).await.expect(201);
    advance(tenant, "2031-03-01T00:00:00Z").await;
    let late = json!({"class": "addon", "origin": "legacy", "amount": 7, "effective_at": "2031-02-20T00:00:00Z"});
    tenant.grant("acme", late).await;
    service
}

#[tokio::test]
async fn every_line_follows_from_the_one_before() {
    let service = furnished().await;
    let tenant = &service.tenant;
    let february = statement(tenant, "from=2031-02-01T00:00:00Z&to=2031-03-01T00:00:00Z").await;
    assert_eq!(
        lines(&february),
        [
            json!(["spend", "2031-02-01T00:00:00Z", -30, 120, 0]),
            json!(["hold", "2031-02-02T00:00:00Z", 0, 120, 90]),
            json!(["spend", "2031-02-03T00:00:00Z", -80, 40, -90]),
            json!(["hold", "2031-02-04T00:00:00Z", 0, 40, 5]),
            json!(["void", "2031-02-04T00:00:00Z", 0, 40, -5]),
            json!(["refund", "2031-02-04T00:00:00Z", 8, 48, 0]),
            json!(["expiry", "2031-02-15T00:00:00Z", -8, 40, 0]),
            json!(["grant", "2031-02-20T00:00:00Z", 7, 47, 0]),
        ]
    );
    assert_eq!(ends(&february), [150, 47]);
    let capture = &february["lines"][2];
    assert_eq!(capture["by_class"], json!({"plan": -70, "addon": 0, "balance": -10}));
    assert_eq!(
        (&capture["operation"], &capture["member"]),
        (&json!("video"), &json!(null))
    );
    let late = &february["lines"][7];
    assert_eq!(late["booked_at"], "2031-03-01T00:00:00Z");
    let total = |kind: &str| {
        let totals = february["totals"].as_array().expect("a list");
        let found = totals.iter().find(|total| total["kind"] == kind).cloned();
        found.expect("a total")
    };
    assert_eq!(
        total("spend"),
        json!({"kind": "spend", "lines": 2, "amount": -110, "held": -90})
    );
    assert_eq!(
        total("hold"),
        json!({"kind": "hold", "lines": 2, "amount": 0, "held": 95})
    );
}

#[tokio::test]
async fn one_statement_ends_where_the_next_begins() {
    let service = furnished().await;
    let tenant = &service.tenant;
    let edges = [
        "2001-01-01",
        "2031-01-10",
        "2031-02-01",
        "2031-02-03",
        "2031-02-15",
        "2031-02-21",
    ];
    let mut balance = 0;
    for edge in edges.windows(2) {
        let query = format!("from={}T00:00:00Z&to={}T00:00:00Z", edge[0], edge[1]);
        let [opening, closing] = ends(&statement(tenant, &query).await);
        assert_eq!(opening, balance, "{query}");
        let path = format!("/v1/accounts/acme/balance?at={}T23:59:59.999999Z", edge[1]);
        assert!(tenant.read.get(&path).await.expect(200)["remaining"].is_i64());
        balance = closing;
    }
    let rest = statement(tenant, "from=2031-02-21T00:00:00Z").await;
    assert_eq!(ends(&rest), [balance, 47]);
    assert_eq!(tenant.balance("acme").await["remaining"], 47);
}

#[tokio::test]
async fn by_itself_it_is_of_the_month_of_the_programs_time_zone() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    let program = json!({"unit": {"name": "credits"}, "timezone": "Asia/Tokyo"});
    tenant.admin.put("/v1/program", program).await.expect(200);
    tenant.account("acme").await;
    advance(tenant, "2031-01-31T14:59:59Z").await;
    let credits = |amount: i64| json!({"class": "balance", "origin": "promotion", "amount": amount});
    tenant.grant("acme", credits(3)).await;
    // Nine hours before, February has begun in Tokyo.
    advance(tenant, "2031-01-31T15:00:00Z").await;
    tenant.grant("acme", credits(4)).await;
    advance(tenant, "2031-02-10T00:00:00Z").await;
    tenant.spend("acme", json!({"amount": 1})).await.expect(201);
    let month = statement(tenant, "").await;
    assert_eq!(
        (&month["from"], &month["to"], &month["timezone"]),
        (
            &json!("2031-01-31T15:00:00Z"),
            &json!("2031-02-10T00:00:00Z"),
            &json!("Asia/Tokyo")
        )
    );
    assert_eq!(
        (ends(&month), lines(&month).len()),
        ([3, 6], 2),
        "what was spent just now is in it"
    );
    let clamped = statement(tenant, "to=2099-01-01T00:00:00Z").await;
    assert_eq!(clamped, month);
    let january = statement(tenant, "to=2031-01-31T15:00:00Z").await;
    assert_eq!(january["from"], "2030-12-31T15:00:00Z");
    assert_eq!(ends(&january), [0, 3]);
}

#[tokio::test]
async fn as_csv_it_is_safe_to_open_in_a_spreadsheet() {
    let service = furnished().await;
    let tenant = &service.tenant;
    let query = "from=2031-01-01T00:00:00Z&to=2031-02-05T00:00:00Z";
    let answer = accepting(tenant, "text/csv", query).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let headers: Vec<String> = reader.headers().expect("headers").iter().map(str::to_owned).collect();
    assert_eq!(
        headers.join(","),
        "transaction_id,kind,effective_at,booked_at,amount,balance_after,plan,addon,balance,held,operation,member,reason"
    );
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.expect("a row").iter().map(str::to_owned).collect())
        .collect();
    let shown: Vec<String> = rows
        .iter()
        .map(|row| [&row[1..3], &row[4..]].concat().join("|"))
        .collect();
    assert_eq!(
        shown,
        [
            "opening_balance|2031-01-01T00:00:00Z||0|||||||",
            "grant|2031-01-10T00:00:00Z|100|100|100|0|0|0|||",
            "grant|2031-01-10T00:00:00Z|50|150|0|0|50|0|||'=1+1 welcome, \"you\"",
            "spend|2031-02-01T00:00:00Z|-30|120|-30|0|0|0|image|'@ann|",
            "hold|2031-02-02T00:00:00Z|0|120|0|0|0|90|video||",
            "spend|2031-02-03T00:00:00Z|-80|40|-70|0|-10|-90|video||",
            "hold|2031-02-04T00:00:00Z|0|40|0|0|0|5|||",
            "void|2031-02-04T00:00:00Z|0|40|0|0|0|-5|||",
            "refund|2031-02-04T00:00:00Z|8|48|8|0|0|0|image|'@ann|'-it failed",
            "closing_balance|2031-02-05T00:00:00Z||48|||||||",
        ]
    );
    let json = statement(tenant, query).await;
    for (row, line) in rows[1..].iter().zip(json["lines"].as_array().expect("a list")) {
        assert_eq!(
            (&json!(row[0]), &json!(row[3])),
            (&line["transaction_id"], &line["booked_at"])
        );
    }
}

#[tokio::test]
async fn csv_is_for_those_who_ask_for_it() {
    let service = furnished().await;
    let tenant = &service.tenant;
    for (accept, is_csv) in [
        ("text/csv", true),
        ("TEXT/CSV; charset=utf-8, */*;q=0.1", true),
        ("application/json;q=0.5, text/csv;q=0.9", true),
        ("application/json, text/csv;q=0.9", false),
        ("text/csv;q=0", false),
        ("*/*", false),
        ("text/html", false),
    ] {
        let answer = accepting(tenant, accept, "").await;
        let expected = if is_csv { "text/csv" } else { "application/json" };
        assert!(
            answer.header("content-type").starts_with(expected),
            "{accept}: {}",
            answer.text
        );
    }
    accepting(tenant, "text/csv", "from=never")
        .await
        .refused(422, "invalid_from");
}

#[tokio::test]
async fn a_statement_that_is_too_long_says_how_long() {
    let service = furnished().await;
    let tenant = &service.tenant;
    // As many holds as it takes, of one credit each, for time to pass by.
    let mut owner = service.owner().await;
    let tenant_id: sqlx::types::Uuid = tenant.id.parse().expect("a UUID");
    let added = sqlx::query(
        "WITH added AS (
             INSERT INTO transactions (tenant_id, id, account_id, amount, available_after, created_at, effective_at, kind)
             SELECT tenant_id, gen_random_uuid(), id, 1, 0, '2031-02-10', '2031-02-10', 7
             FROM accounts, generate_series(1, $2) WHERE tenant_id = $1
             RETURNING tenant_id, account_id, id
         )
         INSERT INTO entries (tenant_id, account_id, transaction_id, grant_id, amount, seq, debit, credit)
         SELECT tenant_id, account_id, id, id, 1, 1, 1, 4 FROM added",
    );
    added
        .bind(tenant_id)
        .bind(9_993)
        .execute(&mut owner)
        .await
        .expect("they are added");
    let path = "/v1/accounts/acme/statement?from=2031-02-01T00:00:00Z&to=2031-03-01T00:00:00Z";
    let refusal = tenant.read.get(path).await.refused(422, "statement_too_long");
    assert_eq!((&refusal["lines"], &refusal["limit"]), (&json!(10_001), &json!(10_000)));
    let fits = statement(tenant, "from=2031-02-01T00:00:00.000001Z&to=2031-03-01T00:00:00Z").await;
    assert_eq!((lines(&fits).len(), ends(&fits)), (10_000, [120, 47]));
}
