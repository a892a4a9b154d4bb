//! The OpenAPI document, and what is open to everybody.

use crate::support::{Client, Key, TestService};

const COMMITTED: &str = include_str!("openapi.json");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/openapi.json");

/// Whether a committed file is to be written anew.
#[allow(clippy::disallowed_methods, reason = "asked for by whoever runs the tests")]
pub fn update(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "1")
}

/// The contract: a change of it shows in the diff of `openapi.json` (UPDATE_OPENAPI=1 writes it anew).
#[test]
fn the_document_is_the_committed_one() {
    let document = serde_json::to_value(scrip::http::document()).expect("a document");
    let mut pretty = serde_json::to_string_pretty(&document).expect("JSON");
    pretty.push('\n');
    if update("UPDATE_OPENAPI") {
        std::fs::write(PATH, &pretty).expect("the document is written");
        return;
    }
    let differing = pretty
        .lines()
        .zip(COMMITTED.lines())
        .find(|(made, committed)| made != committed);
    assert!(
        pretty == COMMITTED,
        "the document changed: if that is meant, run this with UPDATE_OPENAPI=1. First difference: {differing:?}"
    );
}

#[tokio::test]
async fn the_service_serves_its_document_and_its_pages_to_everybody() {
    let service = TestService::start().await;
    let anyone = Client::new(&service.url, Key::default());
    let document = anyone.get("/openapi.json").await;
    assert_eq!(document.header("content-type"), "application/json");
    let expected = serde_json::to_value(scrip::http::document()).expect("a document");
    assert_eq!(document.expect(200), expected);

    let docs = anyone.get("/docs").await;
    assert_eq!(docs.status, 200);
    assert!(
        docs.header("content-type").starts_with("text/html"),
        "{:?}",
        docs.headers
    );
    assert!(
        docs.text.contains("/v1/accounts/{id}/spends"),
        "the page has the document in it"
    );
}

#[tokio::test]
async fn probes_and_metrics_answer() {
    let service = TestService::start().await;
    let anyone = Client::new(&service.url, Key::default());
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = anyone.get(path).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, text), "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    let metrics = anyone.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.header("content-type").starts_with("text/plain; version=0.0.4"),
        "{:?}",
        metrics.headers
    );
}

#[tokio::test]
async fn a_sound_request_id_comes_back_and_another_is_replaced() {
    let service = TestService::start().await;
    let anyone = Client::new(&service.url, Key::default());
    let asked = async |id: &str| {
        let answer = anyone.send("GET", "/healthz", &[("x-request-id", id)], "").await;
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(asked("req-42").await, "req-42");
    for bad in ["two words", &"x".repeat(129)] {
        let id = asked(bad).await;
        assert!(id != bad && (16..=64).contains(&id.len()), "{id}");
    }
}
