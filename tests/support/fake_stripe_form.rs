//! The fake's reading of `application/x-www-form-urlencoded` requests: decoding, and Stripe's own checks of a
//! Checkout session's parameters. No state, no I/O.

use std::collections::BTreeMap;

use serde_json::Value;

use super::objects::{SessionParams, invalid};

/// Parameters by their bracketed names, such as `line_items[0][price_data][currency]`.
pub type Params = BTreeMap<String, String>;

pub fn decode(encoded: &str) -> Params {
    let pairs = encoded.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        })
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Top-level parameters of `POST /v1/checkout/sessions` that the fake understands.
const SESSION_PARAMS: &str = "mode line_items success_url cancel_url client_reference_id customer customer_email \
    customer_creation metadata payment_intent_data expires_at ui_mode payment_method_types expand";

/// Stripe's smallest charge, in minor units, where the fake knows it.
fn amount_least(currency: &str) -> i64 {
    match currency {
        "usd" | "eur" | "cad" | "aud" | "chf" | "jpy" => 50,
        "gbp" => 30,
        _ => 1,
    }
}

/// Checks as Stripe does, before anything is executed (and so before an idempotency key is remembered).
pub fn session_params(params: &Params, now: i64) -> Result<SessionParams, Value> {
    known_params(params)?;
    if required(params, "mode")? != "payment" {
        return Err(invalid(
            "The fake makes sessions of mode payment only.",
            Some("mode"),
            None,
        ));
    }
    let (customer, customer_email) = (text(params, "customer"), text(params, "customer_email"));
    if customer.is_some() && customer_email.is_some() {
        let message = "You may only specify one of these parameters: customer, customer_email.";
        return Err(invalid(message, Some("customer"), None));
    }
    if let Some(id) = customer
        .as_ref()
        .filter(|id| !id.starts_with("cus_") || id.starts_with("cus_missing"))
    {
        return Err(invalid(
            &format!("No such customer: '{id}'"),
            Some("customer"),
            Some("resource_missing"),
        ));
    }
    if customer_email.as_ref().is_some_and(|email| !email.contains('@')) {
        return Err(invalid(
            "Invalid email address",
            Some("customer_email"),
            Some("email_invalid"),
        ));
    }
    let currency = currency(params)?;
    let amount = whole_number(params, "line_items[0][price_data][unit_amount]")?;
    let quantity = whole_number(params, "line_items[0][quantity]")?;
    amount_bounds(amount.saturating_mul(quantity), &currency)?;
    Ok(SessionParams {
        amount,
        quantity,
        currency,
        product_name: required(params, "line_items[0][price_data][product_data][name]")?,
        success_url: url(params, "success_url")?.ok_or_else(|| missing("success_url"))?,
        cancel_url: url(params, "cancel_url")?,
        customer,
        customer_email,
        client_reference_id: reference(params)?,
        metadata: metadata(params, "metadata")?,
        intent_metadata: metadata(params, "payment_intent_data[metadata]")?,
        expires_at: expires_at(params, now)?,
    })
}

fn known_params(params: &Params) -> Result<(), Value> {
    for name in params.keys() {
        let top = name.split('[').next().unwrap_or_default();
        if !SESSION_PARAMS.split_whitespace().any(|known| known == top) {
            let message = format!("Received unknown parameter: {top}");
            return Err(invalid(&message, Some(top), Some("parameter_unknown")));
        }
        if name.starts_with("line_items[1]") {
            return Err(invalid("The fake takes one line item.", Some("line_items"), None));
        }
    }
    Ok(())
}

fn missing(name: &str) -> Value {
    let (message, code) = (format!("Missing required param: {name}."), "parameter_missing");
    invalid(&message, Some(name), Some(code))
}

fn text(params: &Params, name: &str) -> Option<String> {
    params.get(name).filter(|text| !text.is_empty()).cloned()
}

fn required(params: &Params, name: &str) -> Result<String, Value> {
    text(params, name).ok_or_else(|| missing(name))
}

fn whole_number(params: &Params, name: &str) -> Result<i64, Value> {
    let text = required(params, name)?;
    let number = text.parse().ok().filter(|number: &i64| *number >= 0);
    number.ok_or_else(|| {
        invalid(
            &format!("Invalid integer: {text}"),
            Some(name),
            Some("parameter_invalid_integer"),
        )
    })
}

fn currency(params: &Params) -> Result<String, Value> {
    const NAME: &str = "line_items[0][price_data][currency]";
    let currency = required(params, NAME)?.to_ascii_lowercase();
    if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(currency);
    }
    Err(invalid(&format!("Invalid currency: {currency}."), Some(NAME), None))
}

fn amount_bounds(total: i64, currency: &str) -> Result<(), Value> {
    if total > 99_999_999 {
        let message = "Amount must be no more than 999,999.99";
        return Err(invalid(message, Some("line_items"), Some("amount_too_large")));
    }
    let least = amount_least(currency);
    if total < least {
        let message = format!("The Checkout Session's total amount due must add up to at least {least} {currency}");
        return Err(invalid(&message, Some("line_items"), Some("amount_too_small")));
    }
    Ok(())
}

fn url(params: &Params, name: &str) -> Result<Option<String>, Value> {
    match text(params, name) {
        Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
            Err(invalid("Not a valid URL", Some(name), Some("url_invalid")))
        }
        url => Ok(url),
    }
}

fn reference(params: &Params) -> Result<Option<String>, Value> {
    match text(params, "client_reference_id") {
        Some(reference) if reference.chars().count() > 200 => Err(invalid(
            "Invalid string: must be at most 200 characters",
            Some("client_reference_id"),
            None,
        )),
        reference => Ok(reference),
    }
}

fn metadata(params: &Params, prefix: &str) -> Result<BTreeMap<String, String>, Value> {
    let metadata: BTreeMap<_, _> = params
        .iter()
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(prefix)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((key.to_owned(), value.clone()))
        })
        .collect();
    let too_long = |(key, value): (&String, &String)| key.chars().count() > 40 || value.chars().count() > 500;
    if metadata.len() > 50 || metadata.iter().any(too_long) {
        return Err(invalid(
            "Metadata: at most 50 keys of 40 characters, with 500 each",
            Some(prefix),
            None,
        ));
    }
    Ok(metadata)
}

fn expires_at(params: &Params, now: i64) -> Result<i64, Value> {
    if !params.contains_key("expires_at") {
        return Ok(now.saturating_add(24 * 3_600));
    }
    let expires_at = whole_number(params, "expires_at")?;
    if (now + 1_800..=now + 24 * 3_600).contains(&expires_at) {
        return Ok(expires_at);
    }
    let message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.";
    Err(invalid(message, Some("expires_at"), None))
}
