//! A tenant's program: put, looked at, previewed.

use serde_json::{Value, json};

use crate::support::{Answer, Client, TestService};

fn program(plans: Value) -> Value {
    json!({"unit": {"name": "credits"}, "plans": plans})
}

/// A paid plan without anything is legal, and unwise.
fn unwise() -> Value {
    program(json!({"pro": {}}))
}

async fn lint(client: &Client, content_type: &str, body: &str) -> Answer {
    let headers = [("content-type", content_type)];
    client.send("POST", "/v1/program/lint", &headers, body.to_owned()).await
}

#[tokio::test]
async fn putting_a_program_answers_with_its_warnings_and_makes_a_version_only_of_a_change() {
    let service = TestService::start().await;
    let admin = &service.tenant.admin;
    let put = admin.put("/v1/program", unwise()).await.expect(200);
    assert_eq!(put["version"], 1);
    assert_eq!(put["warnings"][0]["code"], "plan_without_credits");
    assert_eq!(put["warnings"][0]["path"], "plans.pro");
    let again = admin.put("/v1/program", unwise()).await.expect(200);
    assert_eq!(again, put);
    let sound = admin
        .put("/v1/program", program(json!({"pro": {"allowance": 5}})))
        .await
        .expect(200);
    assert_eq!((&sound["version"], &sound["warnings"]), (&json!(2), &json!([])));
}

#[tokio::test]
async fn the_linter_says_everything_and_puts_nothing() {
    let service = TestService::start().await;
    let admin = &service.tenant.admin;
    let said = lint(admin, "application/json", &unwise().to_string()).await.expect(200);
    assert_eq!((&said["valid"], &said["problems"]), (&json!(true), &json!([])));
    assert_eq!(said["warnings"][0]["code"], "plan_without_credits");

    let toml = "unit = { name = \"credits\", scale = 12 }\nquotes = { expires_in_s = 0 }";
    let said = lint(admin, "application/toml", toml).await.expect(200);
    assert_eq!((&said["valid"], &said["warnings"]), (&json!(false), &json!([])));
    let paths: Vec<_> = said["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|p| &p["path"])
        .collect();
    assert_eq!(paths, ["unit.scale", "quotes.expires_in_s"]);
    let said = lint(admin, "application/toml", "unit = {").await.expect(200);
    assert_eq!(
        (&said["valid"], &said["problems"][0]["path"]),
        (&json!(false), &json!("."))
    );

    lint(admin, "application/json", "{\"unit\":")
        .await
        .refused(400, "malformed_json");
    let current = admin.get("/v1/program").await.expect(200);
    assert_eq!(current["version"], Value::Null);
}

#[tokio::test]
async fn a_preview_shows_twelve_months_of_the_program_in_force() {
    let service = TestService::start().await;
    let admin = &service.tenant.admin;
    let preview = async |query: &str| admin.get(&format!("/v1/program/preview?{query}")).await;
    let unknown = preview("plan=pro").await.refused(422, "unknown_plan");
    assert_eq!((&unknown["plan"], &unknown["plans"]), (&json!("pro"), &json!([])));

    let mut berlin = program(json!({"pro": {"allowance": 500}}));
    berlin["timezone"] = json!("Europe/Berlin");
    admin.put("/v1/program", berlin).await.expect(200);
    let shown = preview("plan=pro&anchor=2027-01-31T08:00:00Z&interval=month")
        .await
        .expect(200);
    assert_eq!(
        (&shown["interval"], &shown["until"]),
        (&json!("month"), &json!("2028-01-31T08:00:00Z"))
    );
    let events = shown["events"].as_array().expect("a list");
    assert_eq!(events.len(), 36);
    let refreshes: Vec<_> = events.iter().filter(|event| event["kind"] == "allowance").collect();
    assert_eq!(
        refreshes[2],
        &json!({"at": "2027-03-31T07:00:00Z", "local": "2027-03-31T09:00:00+02:00", "kind": "allowance", "number": 2,
            "credits": 500, "expires_at": "2027-04-30T07:00:00Z", "expires_local": "2027-04-30T09:00:00+02:00"})
    );
    for pair in refreshes.windows(2) {
        assert_eq!(pair[0]["expires_at"], pair[1]["at"], "no gap, no overlap");
    }

    let now = preview("plan=pro").await.expect(200);
    assert!(
        now["anchor"].as_str().is_some_and(|anchor| anchor.ends_with('Z')),
        "{now}"
    );
    let refused = preview("plan=pro&interval=year").await.refused(422, "unknown_interval");
    assert_eq!(refused["intervals"], json!(["month"]));
    preview("plan=pro&anchor=9999-12-01T00:00:00Z")
        .await
        .refused(422, "invalid_anchor");
    for bad in [
        "",
        "plan=pro&interval=week",
        "plan=pro&anchor=soon",
        "plan=pro&months=3",
    ] {
        preview(bad).await.refused(422, "invalid_parameter");
    }
}
