//! The fake's objects: full-shaped JSON, as API version 2026-09-30.endive writes it. No state, no I/O.
//!
//! Every field of a Checkout session, a payment intent and a charge stands here, null where a fresh object has
//! null, because readers with generated types refuse an object that lacks a required field.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub const API_VERSION: &str = "2026-09-30.endive";

/// What a session was asked for, after validation.
#[derive(Debug, Clone)]
pub struct SessionParams {
    pub amount: i64,
    pub quantity: i64,
    pub currency: String,
    pub product_name: String,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub customer: Option<String>,
    pub customer_email: Option<String>,
    pub client_reference_id: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub intent_metadata: BTreeMap<String, String>,
    pub expires_at: i64,
}

impl SessionParams {
    pub fn total(&self) -> i64 {
        self.amount.saturating_mul(self.quantity)
    }
}

/// Lays `more` over `base`; both are objects.
fn merged(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn nulls(names: &str) -> Value {
    let fields: Map<_, _> = names
        .split_whitespace()
        .map(|name| (name.to_owned(), Value::Null))
        .collect();
    Value::Object(fields)
}

pub fn checkout_session(id: &str, url: &str, livemode: bool, created: i64, params: &SessionParams) -> Value {
    let absent = nulls(
        "after_expiration allow_promotion_codes billing_address_collection \
         branding_settings client_secret collected_information consent consent_collection \
         currency_conversion customer_account customer_details \
         excluded_payment_method_types integration_identifier invoice line_items locale \
         optional_items origin_context payment_intent payment_link \
         payment_method_configuration_details recovered_from return_url \
         saved_payment_method_options setup_intent shipping_address_collection \
         shipping_cost submit_type subscription wallet_options",
    );
    let given = json!({
        "id": id, "object": "checkout.session", "created": created, "expires_at": params.expires_at,
        "livemode": livemode, "mode": "payment", "status": "open", "payment_status": "unpaid", "url": url,
        "ui_mode": "hosted_page", "amount_subtotal": params.total(), "amount_total": params.total(),
        "currency": params.currency, "customer": params.customer, "customer_email": params.customer_email,
        "client_reference_id": params.client_reference_id, "metadata": params.metadata,
        "success_url": params.success_url, "cancel_url": params.cancel_url,
        "customer_creation": if params.customer.is_some() { Value::Null } else { json!("if_required") },
    });
    let fixed = json!({
        "adaptive_pricing": {"enabled": true},
        "automatic_tax": {"enabled": false, "liability": null, "provider": null, "status": null},
        "custom_fields": [],
        "custom_text": {"after_submit": null, "shipping_address": null, "submit": null,
            "terms_of_service_acceptance": null},
        "discounts": [],
        "invoice_creation": {"enabled": false, "invoice_data": {"account_tax_ids": null, "custom_fields": null,
            "description": null, "footer": null, "issuer": null, "metadata": {}, "rendering_options": null}},
        "payment_method_collection": "if_required",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "permissions": null,
        "phone_number_collection": {"enabled": false},
        "shipping_options": [],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    });
    merged(merged(absent, given), fixed)
}

/// The session after the customer has confirmed: `paid`, or `unpaid` while an asynchronous payment is under way.
pub fn complete_session(session: &mut Value, intent_id: &str, payment_status: &str) {
    session["status"] = json!("complete");
    session["payment_status"] = json!(payment_status);
    session["payment_intent"] = json!(intent_id);
    session["url"] = Value::Null;
    let email = session["customer_email"].as_str().unwrap_or("buyer@example.com");
    session["customer_details"] = json!({"address": address(), "business_name": null, "email": email,
        "individual_name": null, "name": "Jenny Rosen", "phone": null, "tax_exempt": "none", "tax_ids": []});
}

fn address() -> Value {
    json!({"city": null, "country": "US", "line1": null, "line2": null, "postal_code": "94107", "state": null})
}

pub fn line_items(session_id: &str, item_id: &str, params: &SessionParams) -> Value {
    let price = json!({"id": item_id.replacen("li_", "price_", 1), "object": "price", "active": false,
        "billing_scheme": "per_unit", "created": 0, "currency": params.currency, "custom_unit_amount": null,
        "livemode": false, "lookup_key": null, "metadata": {}, "nickname": null,
        "product": item_id.replacen("li_", "prod_", 1), "recurring": null, "tax_behavior": "unspecified",
        "tiers_mode": null, "transform_quantity": null, "type": "one_time", "unit_amount": params.amount,
        "unit_amount_decimal": params.amount.to_string()});
    let item = json!({"id": item_id, "object": "item", "amount_discount": 0, "amount_subtotal": params.total(),
        "amount_tax": 0, "amount_total": params.total(), "currency": params.currency,
        "description": params.product_name, "metadata": {}, "price": price, "quantity": params.quantity});
    let url = format!("/v1/checkout/sessions/{session_id}/line_items");
    json!({"object": "list", "data": [item], "has_more": false, "url": url})
}

/// An intent on its way: it succeeds or fails from here.
pub fn payment_intent(id: &str, livemode: bool, created: i64, params: &SessionParams) -> Value {
    let absent = nulls(
        "application application_fee_amount automatic_payment_methods canceled_at \
         cancellation_reason customer_account description excluded_payment_method_types \
         last_payment_error latest_charge next_action on_behalf_of \
         payment_method_configuration_details processing receipt_email review \
         setup_future_usage shipping source statement_descriptor \
         statement_descriptor_suffix transfer_data transfer_group",
    );
    let given = json!({
        "id": id, "object": "payment_intent", "amount": params.total(), "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": 0, "capture_method": "automatic_async",
        "client_secret": format!("{id}_secret_fake"), "confirmation_method": "automatic", "created": created,
        "currency": params.currency, "customer": params.customer, "livemode": livemode,
        "metadata": params.intent_metadata, "payment_method": id.replacen("pi_", "pm_", 1),
        "payment_method_options": {"card": {"installments": null, "mandate_options": null, "network": null,
            "request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"], "status": "processing",
    });
    merged(absent, given)
}

/// The failed state of an intent: what `payment_intent.payment_failed` carries.
pub fn fail_intent(intent: &mut Value, code: &str, decline_code: Option<&str>, message: &str) {
    intent["status"] = json!("requires_payment_method");
    intent["payment_method"] = Value::Null;
    intent["last_payment_error"] = json!({"type": "card_error", "code": code, "decline_code": decline_code,
        "doc_url": format!("https://docs.stripe.com/error-codes/{}", code.replace('_', "-")), "message": message});
}

/// `failure` is the code of a failed charge.
pub fn charge(id: &str, intent: &Value, created: i64, failure: Option<&str>) -> Value {
    let paid = failure.is_none();
    let amount = intent["amount"].clone();
    let absent = nulls(
        "application application_fee application_fee_amount description \
         failure_balance_transaction on_behalf_of receipt_email receipt_number review \
         shipping source source_transfer statement_descriptor statement_descriptor_suffix \
         transfer_data transfer_group",
    );
    let given = json!({
        "id": id, "object": "charge", "amount": amount, "amount_captured": if paid { amount } else { json!(0) },
        "amount_refunded": 0, "balance_transaction": if paid { json!(id.replacen("ch_", "txn_", 1)) } else { Value::Null },
        "billing_details": {"address": address(), "email": "buyer@example.com", "name": "Jenny Rosen",
            "phone": null, "tax_id": null},
        "calculated_statement_descriptor": "FAKE STRIPE", "captured": paid, "created": created,
        "currency": intent["currency"], "customer": intent["customer"], "disputed": false,
        "failure_code": failure, "failure_message": failure.map(|_| "Your card was declined."),
        "fraud_details": {}, "livemode": intent["livemode"], "metadata": intent["metadata"],
        "outcome": outcome(failure), "paid": paid, "payment_intent": intent["id"],
        "payment_method": id.replacen("ch_", "pm_", 1), "payment_method_details": {"type": "card", "card": card(&intent["amount"])},
        "radar_options": {}, "receipt_url": null, "refunded": false,
        "status": if paid { "succeeded" } else { "failed" },
    });
    merged(absent, given)
}

fn outcome(failure: Option<&str>) -> Value {
    let declined = failure.is_some();
    json!({
        "advice_code": null, "network_advice_code": null, "network_decline_code": null,
        "network_status": if declined { "declined_by_network" } else { "approved_by_network" },
        "reason": failure, "risk_level": "normal", "risk_score": 12,
        "seller_message": if declined { "The bank did not return any further details." } else { "Payment complete." },
        "type": if declined { "issuer_declined" } else { "authorized" },
    })
}

fn card(amount: &Value) -> Value {
    json!({"amount_authorized": null, "authorization_code": null, "brand": "visa",
        "checks": {"address_line1_check": null, "address_postal_code_check": "pass", "cvc_check": "pass"},
        "country": "US", "exp_month": 12, "exp_year": 2034, "extended_authorization": {"status": "disabled"},
        "fingerprint": "fakefingerprint1", "funding": "credit", "incremental_authorization": {"status": "unavailable"},
        "installments": null, "last4": "4242", "mandate": null, "multicapture": {"status": "unavailable"},
        "network": "visa", "network_token": {"used": false}, "network_transaction_id": "100000000000001",
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"}, "regulated_status": "unregulated", "three_d_secure": null,
        "wallet": null})
}

/// Who caused an event: `request` of the event object.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
}

pub fn event(id: &str, kind: &str, livemode: bool, created: i64, object: &Value, cause: &Cause) -> Value {
    json!({
        "id": id, "object": "event", "api_version": API_VERSION, "created": created, "data": {"object": object},
        "livemode": livemode, "pending_webhooks": 1,
        "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key}, "type": kind,
    })
}

/// One page of a list, newest first, the way Stripe pages: `starting_after` and `ending_before` name an id.
pub fn page(url: &str, newest_first: &[Value], query: &BTreeMap<String, String>) -> Result<Value, Value> {
    let limit: usize = match query.get("limit").map(|text| text.parse()) {
        None => 10,
        Some(Ok(limit @ 1..=100)) => limit,
        Some(_) => {
            return Err(invalid(
                "Invalid integer: limit must be between 1 and 100.",
                Some("limit"),
                None,
            ));
        }
    };
    let position = |id: &String| newest_first.iter().position(|item| item["id"] == json!(id));
    let (from, until) = match (query.get("starting_after"), query.get("ending_before")) {
        (Some(id), _) => (
            position(id).map_or(newest_first.len(), |index| index + 1),
            newest_first.len(),
        ),
        (None, Some(id)) => {
            let until = position(id).unwrap_or(0);
            (until.saturating_sub(limit), until)
        }
        (None, None) => (0, newest_first.len()),
    };
    let data: Vec<_> = newest_first[from..until].iter().take(limit).cloned().collect();
    let has_more = if query.contains_key("ending_before") {
        from > 0
    } else {
        from + data.len() < until
    };
    Ok(json!({"object": "list", "url": url, "has_more": has_more, "data": data}))
}

/// An error body of type `invalid_request_error`.
pub fn invalid(message: &str, param: Option<&str>, code: Option<&str>) -> Value {
    error("invalid_request_error", message, param, code)
}

pub fn error(kind: &str, message: &str, param: Option<&str>, code: Option<&str>) -> Value {
    let mut error = json!({"type": kind, "message": message});
    if let Some(param) = param {
        error["param"] = json!(param);
    }
    if let Some(code) = code {
        error["code"] = json!(code);
        error["doc_url"] = json!(format!(
            "https://docs.stripe.com/error-codes/{}",
            code.replace('_', "-")
        ));
    }
    json!({"error": error})
}
