//! Events of several API eras, and bodies that must not get through.

use serde_json::json;

use super::*;

const TOP_UP: &str = "0199b2f0-1111-7000-8000-000000000001";

/// An event as the 2026 API sends it, around `object`.
fn event(kind: &str, object: &Value) -> Value {
    json!({
        "id": "evt_1", "object": "event", "api_version": "2026-09-30.endive", "created": 1_795_000_000,
        "type": kind, "livemode": false, "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": null}, "data": {"object": object},
    })
}

fn parse(value: &Value) -> Result<Event, EventError> {
    Event::parse(value.to_string().as_bytes())
}

fn effect(kind: &str, object: &Value) -> Effect {
    parse(&event(kind, object)).unwrap().effect
}

fn session(changes: &Value) -> Value {
    let mut session = json!({
        "id": "cs_test_1", "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "payment_intent": "pi_1", "amount_total": 1_190, "amount_subtotal": 1_000, "currency": "usd",
        "customer": "cus_1", "client_reference_id": TOP_UP, "metadata": {"scrip_top_up_id": TOP_UP},
    });
    for (name, value) in changes.as_object().unwrap() {
        session[name] = value.clone();
    }
    session
}

fn read(changes: &Value) -> CheckoutSession {
    match effect("checkout.session.completed", &session(changes)) {
        Effect::Checkout {
            step: CheckoutStep::Completed,
            session,
        } => session,
        other => panic!("{other:?}"),
    }
}

fn unreadable(kind: &str, object: &Value) -> (&'static str, FieldProblem) {
    match effect(kind, object) {
        Effect::Unreadable(error) => (error.field, error.problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_of_today_is_read_whole() {
    let parsed = parse(&event("checkout.session.completed", &session(&json!({})))).unwrap();
    assert_eq!(parsed.id, "evt_1");
    assert_eq!(parsed.kind, "checkout.session.completed");
    assert_eq!(parsed.created.timestamp(), 1_795_000_000);
    assert_eq!((parsed.livemode, parsed.account), (false, None));
    assert_eq!(parsed.api_version.as_deref(), Some("2026-09-30.endive"));
    let expected = CheckoutSession {
        id: "cs_test_1".to_owned(),
        mode: CheckoutMode::Payment,
        payment_status: PaymentStatus::Paid,
        payment_intent: Some("pi_1".to_owned()),
        amount_total: Some(1_190),
        amount_subtotal: Some(1_000),
        currency: Some("usd".to_owned()),
        customer: Some("cus_1".to_owned()),
        client_reference_id: Some(TOP_UP.to_owned()),
        top_up_id: Uuid::try_parse(TOP_UP).ok(),
    };
    assert_eq!(
        parsed.effect,
        Effect::Checkout {
            step: CheckoutStep::Completed,
            session: expected
        }
    );
}

#[test]
fn every_type_has_its_effect() {
    let steps = [
        ("checkout.session.completed", CheckoutStep::Completed),
        (
            "checkout.session.async_payment_succeeded",
            CheckoutStep::AsyncPaymentSucceeded,
        ),
        (
            "checkout.session.async_payment_failed",
            CheckoutStep::AsyncPaymentFailed,
        ),
        ("checkout.session.expired", CheckoutStep::Expired),
    ];
    for (kind, expected) in steps {
        assert!(matches!(effect(kind, &session(&json!({}))), Effect::Checkout { step, .. } if step == expected));
    }
    for kind in ["charge.succeeded", "invoice.payment_succeeded"] {
        assert_eq!(effect(kind, &json!(null)), Effect::Ignored);
    }
    for kind in ["invoice.paid", "checkout.session.reimagined", "payment_intent.created"] {
        assert_eq!(
            effect(kind, &json!([1, 2])),
            Effect::Unknown,
            "any object, also a strange one"
        );
    }
}

#[test]
fn payment_intents_of_any_era() {
    let intent = |extra: Value| {
        let mut object = json!({"id": "pi_1", "object": "payment_intent", "amount": 500, "amount_received": 500,
            "currency": "eur", "customer": null, "metadata": {"scrip_top_up_id": TOP_UP}});
        object
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        object
    };
    let old = intent(json!({"invoice": "in_1", "charges": {"object": "list", "data": []}, "source": null}));
    for object in [intent(json!({"latest_charge": "ch_1"})), old] {
        let expected = PaymentIntent {
            id: "pi_1".to_owned(),
            amount: Some(500),
            amount_received: Some(500),
            currency: Some("eur".to_owned()),
            customer: None,
            top_up_id: Uuid::try_parse(TOP_UP).ok(),
        };
        let read = effect("payment_intent.succeeded", &object);
        assert_eq!(
            read,
            Effect::PaymentIntent {
                step: PaymentIntentStep::Succeeded,
                intent: expected
            }
        );
        let failed = effect("payment_intent.payment_failed", &object);
        assert!(matches!(
            failed,
            Effect::PaymentIntent {
                step: PaymentIntentStep::PaymentFailed,
                ..
            }
        ));
    }
}

#[test]
fn the_oldest_sessions_claim_nothing_about_payment() {
    let object = json!({"id": "cs_1", "payment_intent": "pi_1", "display_items": [], "livemode": false});
    let Effect::Checkout { session, .. } = effect("checkout.session.completed", &object) else {
        panic!()
    };
    assert_eq!(session.payment_status, PaymentStatus::Other(None));
    assert_eq!(session.mode, CheckoutMode::Other(None));
    assert_eq!(
        (session.amount_total, session.currency, session.top_up_id),
        (None, None, None)
    );
}

#[test]
fn ids_come_bare_expanded_or_not_at_all() {
    for (given, expected) in [
        (json!("pi_1"), Some("pi_1")),
        (json!({"id": "pi_1", "amount": 1}), Some("pi_1")),
        (json!(null), None),
    ] {
        let read = read(&json!({"payment_intent": given, "customer": given}));
        assert_eq!(read.payment_intent.as_deref(), expected);
        assert_eq!(read.customer.as_deref(), expected);
    }
    assert_eq!(
        read(&json!({"customer": {"id": "cus_1", "deleted": true}}))
            .customer
            .as_deref(),
        Some("cus_1")
    );
}

#[test]
fn the_currency_we_asked_for_is_read_in_both_eras_of_adaptive_pricing() {
    let before_basil = read(
        &json!({"currency": "eur", "amount_total": 930, "amount_subtotal": 930, "currency_conversion":
        {"amount_subtotal": 1_000, "amount_total": 1_000, "fx_rate": "0.93", "source_currency": "usd"}}),
    );
    let since = read(&json!({"amount_total": 1_000, "currency_conversion": null,
        "presentment_details": {"presentment_amount": 930, "presentment_currency": "eur"}}));
    for session in [before_basil, since] {
        assert_eq!(session.currency.as_deref(), Some("usd"));
        assert_eq!(
            (session.amount_total, session.amount_subtotal),
            (Some(1_000), Some(1_000))
        );
    }
}

#[test]
fn statuses_and_modes_newer_than_this_program_are_kept_and_never_paid() {
    let read = read(&json!({"payment_status": "partially_paid", "mode": "barter", "currency": "USD"}));
    assert_eq!(
        read.payment_status,
        PaymentStatus::Other(Some("partially_paid".to_owned()))
    );
    assert_eq!(read.mode, CheckoutMode::Other(Some("barter".to_owned())));
    assert_eq!(read.currency.as_deref(), Some("usd"));
}

#[test]
fn metadata_that_are_not_ours_are_not_an_error() {
    for metadata in [
        json!(null),
        json!({}),
        json!("x"),
        json!({"scrip_top_up_id": 1000}),
        json!({"scrip_top_up_id": "a\u{0}"}),
    ] {
        assert_eq!(read(&json!({"metadata": metadata})).top_up_id, None);
    }
}

#[test]
fn a_strange_object_is_named_and_does_not_cost_us_the_envelope() {
    let completed = "checkout.session.completed";
    assert_eq!(unreadable(completed, &json!(null)), ("object", FieldProblem::Missing));
    assert_eq!(
        unreadable(completed, &json!("cs_1")),
        ("object", FieldProblem::NotAnObject)
    );
    assert_eq!(unreadable(completed, &json!({})), ("id", FieldProblem::Missing));
    for (field, value, problem) in [
        ("amount_total", json!(10.5), FieldProblem::NotAnInteger),
        ("amount_subtotal", json!("1000"), FieldProblem::NotAnInteger),
        (
            "amount_total",
            json!(9_223_372_036_854_775_808_u64),
            FieldProblem::NotAnInteger,
        ),
        ("currency", json!("dollars"), FieldProblem::NotACurrency),
        ("payment_intent", json!(7), FieldProblem::NotText),
        ("payment_intent", json!({}), FieldProblem::Missing),
        ("customer", json!("cus_\u{0}"), FieldProblem::NotAnIdentifier),
        ("client_reference_id", json!("a\u{0}b"), FieldProblem::ControlCharacter),
        ("client_reference_id", json!("x".repeat(5_001)), FieldProblem::TooLong),
        ("id", json!("x".repeat(256)), FieldProblem::TooLong),
    ] {
        assert_eq!(
            unreadable(completed, &session(&json!({field: value}))),
            (field, problem)
        );
    }
}

#[test]
fn thin_events_are_recognised() {
    let thin = json!({"id": "evt_test_65R9", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found",
        "created": "2026-09-17T06:20:52.246Z", "livemode": true, "context": "acct_1", "reason": null,
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}});
    let parsed = parse(&thin).unwrap();
    let related = RelatedObject {
        id: "mtr_1".to_owned(),
        kind: "billing.meter".to_owned(),
        url: Some("/v1/billing/meters/mtr_1".to_owned()),
    };
    assert_eq!(
        parsed.effect,
        Effect::Thin {
            related_object: Some(related)
        }
    );
    assert_eq!(
        (parsed.created.timestamp_millis(), parsed.livemode),
        (1_789_626_052_246, true)
    );
    assert_eq!(parsed.account.as_deref(), Some("acct_1"));

    let mut unrelated = thin;
    unrelated["related_object"] = json!(null);
    unrelated["type"] = json!("checkout.session.completed");
    assert_eq!(parse(&unrelated).unwrap().effect, Effect::Thin { related_object: None });
}

#[test]
fn a_connected_accounts_event_says_so() {
    let mut connected = event("charge.succeeded", &json!({}));
    connected["account"] = json!("acct_9");
    assert_eq!(parse(&connected).unwrap().account.as_deref(), Some("acct_9"));
}

#[test]
fn an_unsound_envelope_is_an_error_that_names_the_field() {
    for (field, value, problem) in [
        ("id", json!(null), FieldProblem::Missing),
        ("id", json!(""), FieldProblem::NotAnIdentifier),
        ("id", json!("evt_\u{0}"), FieldProblem::NotAnIdentifier),
        ("type", json!(5), FieldProblem::NotText),
        ("livemode", json!("false"), FieldProblem::NotABoolean),
        ("created", json!(null), FieldProblem::Missing),
        ("created", json!("yesterday"), FieldProblem::NotATime),
        ("created", json!(i64::MAX), FieldProblem::NotATime),
        ("created", json!(-1), FieldProblem::NotATime),
    ] {
        let mut broken = event("charge.succeeded", &json!({}));
        broken[field] = value;
        assert_eq!(
            parse(&broken),
            Err(EventError::NotAnEvent(FieldError { field, problem }))
        );
    }
    for (body, expected) in [
        (
            &b"[]"[..],
            EventError::NotAnEvent(FieldError {
                field: "the whole body",
                problem: FieldProblem::NotAnObject,
            }),
        ),
        (b"", EventError::NotJson { line: 1, column: 0 }),
        (b"{\"id\": \"evt_1\"", EventError::NotJson { line: 1, column: 14 }),
        (b"{\"id\": \"\xff\"}", EventError::NotJson { line: 1, column: 9 }),
    ] {
        assert_eq!(Event::parse(body), Err(expected));
    }
}

#[test]
fn nesting_100_000_deep_is_a_clean_error_wherever_it_stands() {
    const DEPTH: usize = 100_000;
    let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    let unfinished = "[".repeat(DEPTH);
    for deep in [arrays, objects, unfinished] {
        let envelope = event("checkout.session.completed", &json!({"id": "cs_1"})).to_string();
        let in_unknown_field = envelope.replacen('{', &format!("{{\"nobody_reads_this\":{deep},"), 1);
        let in_object = envelope.replace("\"cs_1\"", &format!("\"cs_1\",\"metadata\":{deep}"));
        for body in [deep, in_unknown_field, in_object] {
            assert_eq!(Event::parse(body.as_bytes()), Err(EventError::TooDeep));
        }
    }
}
