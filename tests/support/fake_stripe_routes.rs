//! What the fake answers to which request, once it is executed; and the answers it refuses with.

use axum::http::Method;
use serde_json::{Value, json};

use super::form::Params;
use super::objects::{self, Cause};
use super::server::Call;
use super::world::{Account, Reply, World};

pub fn dispatch(world: &mut World, account: &str, call: &Call) -> Reply {
    let now = world.now.unwrap_or_else(super::wall_clock);
    let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    if call.method == Method::POST {
        return match path[..] {
            ["v1", "checkout", "sessions"] => {
                let cause = Cause {
                    request_id: Some(call.request_id.clone()),
                    idempotency_key: call.idempotency_key.clone(),
                };
                reply(world.create_session(account, &call.params, now, cause))
            }
            ["v1", "checkout", "sessions", id, "expire"] => {
                if !world.account(account).sessions.contains_key(id) {
                    return no_such("checkout.session", id);
                }
                let expired = world.expire_session(id, now);
                reply(expired.map(|_| world.account(account).sessions[id].json.clone()))
            }
            _ => unrecognized(call),
        };
    }
    read(world.account(account), &path, call)
}

fn read(account: &Account, path: &[&str], call: &Call) -> Reply {
    let expand: Vec<_> = call
        .params
        .iter()
        .filter(|(name, _)| name.starts_with("expand"))
        .map(|(_, it)| it)
        .collect();
    let found = |object: &str, id: &str, found: Option<Value>| match found {
        Some(value) => (200, value),
        None => no_such(object, id),
    };
    match path {
        ["v1", "checkout", "sessions"] => {
            let mut sessions: Vec<_> = account.sessions.values().map(|session| session.json.clone()).collect();
            sessions.reverse();
            if let Some(intent) = call.params.get("payment_intent") {
                sessions.retain(|session| session["payment_intent"] == json!(intent));
            }
            reply(objects::page("/v1/checkout/sessions", &sessions, &call.params))
        }
        ["v1", "checkout", "sessions", id] => {
            let session = account.sessions.get(*id);
            found(
                "checkout.session",
                id,
                session.map(|session| session.expanded(&account.intents, &expand)),
            )
        }
        ["v1", "checkout", "sessions", id, "line_items"] => {
            let session = account.sessions.get(*id);
            found(
                "checkout.session",
                id,
                session.map(|session| session.line_items().clone()),
            )
        }
        ["v1", "payment_intents", id] => found("payment_intent", id, account.intents.get(*id).cloned()),
        ["v1", "charges", id] => found("charge", id, account.charges.get(*id).cloned()),
        ["v1", "events"] => reply(objects::page(
            "/v1/events",
            &events(account, &call.params),
            &call.params,
        )),
        ["v1", "events", id] => found(
            "event",
            id,
            account.events.iter().find(|event| event["id"] == json!(id)).cloned(),
        ),
        _ => unrecognized(call),
    }
}

/// Newest first, filtered by `type`, `types[]` and `created[gt|gte|lt|lte]`.
fn events(account: &Account, params: &Params) -> Vec<Value> {
    let kinds: Vec<_> = params
        .iter()
        .filter(|(name, _)| *name == "type" || name.starts_with("types["))
        .map(|(_, kind)| kind.as_str())
        .collect();
    let bound = |name: &str| {
        params
            .get(&format!("created[{name}]"))
            .and_then(|text| text.parse::<i64>().ok())
    };
    let wanted = |event: &&Value| {
        let created = event["created"].as_i64().unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or_default();
        bound("gt").is_none_or(|least| created > least)
            && bound("gte").is_none_or(|least| created >= least)
            && bound("lt").is_none_or(|most| created < most)
            && bound("lte").is_none_or(|most| created <= most)
            && (kinds.is_empty() || kinds.contains(&kind))
    };
    account.events.iter().rev().filter(wanted).cloned().collect()
}

fn reply(result: Result<Value, Value>) -> Reply {
    match result {
        Ok(body) => (200, body),
        Err(error) => (400, error),
    }
}

fn no_such(object: &str, id: &str) -> Reply {
    (
        404,
        objects::invalid(
            &format!("No such {object}: '{id}'"),
            Some("id"),
            Some("resource_missing"),
        ),
    )
}

fn unrecognized(call: &Call) -> Reply {
    let message = format!("Unrecognized request URL ({}: {}).", call.method, call.path);
    (404, objects::invalid(&message, None, None))
}

pub fn unauthorized(bearer: Option<&str>) -> Reply {
    let message = match bearer {
        Some(key) if key.len() > 4 => format!("Invalid API Key provided: sk_test_****{}", &key[key.len() - 4..]),
        _ => "You did not provide an API key.".to_owned(),
    };
    (401, objects::invalid(&message, None, None))
}

pub fn declined() -> Reply {
    let mut body = objects::error("card_error", "Your card was declined.", None, Some("card_declined"));
    body["error"]["decline_code"] = json!("generic_decline");
    (402, body)
}

pub fn server_error() -> Reply {
    (
        500,
        objects::error("api_error", "An unknown error occurred", None, None),
    )
}

pub fn rate_limited() -> Reply {
    (
        429,
        objects::invalid("Request rate limit exceeded.", None, Some("rate_limit")),
    )
}

pub fn key_in_use(key: &str) -> Reply {
    let message = format!("There is currently another in-progress request using this Idempotent Key: {key}");
    (
        409,
        objects::error("idempotency_error", &message, None, Some("idempotency_key_in_use")),
    )
}

pub fn key_reused(key: &str) -> Reply {
    let message = format!(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. \
         Try using a key other than '{key}' if you meant to execute a different request."
    );
    (400, objects::error("idempotency_error", &message, None, None))
}
