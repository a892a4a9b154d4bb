//! What the load finds: a tenant with a program, and accounts with a subscription each.

use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::load::{self, Load};
use crate::request::{Pick, Request};
use crate::service::Service;

/// Everything is on: a price, a plan, caps of two windows, a gate. Nothing of it ever refuses.
const PROGRAM: &str = r#"{"unit": {"name": "credits"}, "timezone": "Europe/Berlin",
    "plans": {"pro": {"allowance": 1000000000}, "small": {"allowance": 100}},
    "operations": {"render": {"prices": [{"when": {"quality": "high"}, "fixed": 5}, {"per": {"quantity": {"credits": 1}}}]}},
    "caps": [{"window": "day", "limit": 1000000000000}, {"window": "cycle", "limit": 1000000000000}],
    "gates": {"spend": {"plan": "subscription"}}}"#;
/// A spend of one credit, at the program's price.
pub const SPEND: &str = r#"{"operation":"render"}"#;

/// A tenant whose accounts spend; its backend's key.
pub fn spenders(service: &Service, accounts: u32) -> Result<String> {
    let api_key = tenant(service, "benchmark", "sandbox", "Europe/Berlin")?;
    let subscribe = r#"{"plan":"pro"}"#;
    service.call("PUT", "/v1/accounts/hot", Some(&api_key), "{}")?;
    service.call("POST", "/v1/accounts/hot/subscriptions", Some(&api_key), subscribe)?;
    let grant = r#"{"class":"plan","origin":"promotion","amount":1000000000000}"#;
    service.call("POST", "/v1/accounts/hot/grants", Some(&api_key), grant)?;
    eprintln!("{accounts} accounts, a subscription each ...");
    subscribed(service, &api_key, accounts, subscribe)?;
    Ok(api_key)
}

/// A tenant with the program, of a time zone; its backend's key.
pub fn tenant(service: &Service, slug: &str, mode: &str, zone: &str) -> Result<String> {
    let body = format!(r#"{{"slug":"{slug}","name":"{slug}","mode":"{mode}"}}"#);
    let admin_key = text(&service.call("POST", "/v1/tenants", None, &body)?, "admin_key")?;
    let program = PROGRAM.replace("Europe/Berlin", zone);
    service.call("PUT", "/v1/program", Some(&admin_key), &program)?;
    let body = r#"{"role":"backend","name":"benchmark"}"#;
    text(&service.call("POST", "/v1/api_keys", Some(&admin_key), body)?, "key")
}

fn text(answer: &Value, field: &str) -> Result<String> {
    let text = answer[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("the answer has no {field}: {answer}").into())
}

/// Makes the accounts and subscribes each.
pub fn subscribed(service: &Service, api_key: &str, accounts: u32, subscribe: &str) -> Result<()> {
    for (method, path, body) in [
        ("PUT", "/v1/accounts/{}", "{}"),
        ("POST", "/v1/accounts/{}/subscriptions", subscribe),
    ] {
        let request = Request {
            method,
            path,
            body,
            api_key,
            pick: Pick::Each(accounts),
        };
        let outcome = load::run(&Load {
            address: service.address,
            connections: 64,
            request,
            expected: &[200, 201],
            warm_up: Duration::ZERO,
            window: Duration::from_secs(600),
        })?;
        if let Some(trouble) = outcome.trouble() {
            return Err(format!("{method} {path}: {trouble}").into());
        }
        if outcome.total != u64::from(accounts) {
            return Err(format!("{method} {path}: {} of {accounts} in 10 minutes", outcome.total).into());
        }
    }
    Ok(())
}
