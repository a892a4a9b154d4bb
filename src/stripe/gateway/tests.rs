//! The gateway against the fake Stripe: what each kind of mishap is answered with, and what was sent.

use std::sync::Arc;

use super::*;
use fake_stripe::{ApiFault, FakeStripe, RecordedRequest};

#[path = "../../../tests/support/fake_stripe.rs"]
mod fake_stripe;

const KEY: &str = "sk_test_gateway";

const QUICK: GatewaySettings = GatewaySettings {
    attempt_timeout: Duration::from_millis(2_000),
    attempts_max: 3,
    backoff: Duration::from_millis(1),
};

async fn setup() -> (FakeStripe, Arc<dyn StripeGateway>) {
    let fake = FakeStripe::start().await;
    fake.add_account(KEY);
    let gateway = AsyncStripeGateway::with_settings(fake.base_url(), QUICK);
    (fake, Arc::new(gateway))
}

fn request(number: u128) -> CheckoutRequest {
    CheckoutRequest {
        top_up_id: Uuid::from_u128(number),
        attempt: 1,
        product_name: "1,000 credits & more".to_owned(),
        amount: 1_990,
        currency: "EUR".to_owned(),
        success_url: "https://shop.example/done?session={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://shop.example/back".to_owned(),
        customer: None,
        customer_email: Some("a+b@example.com".to_owned()),
    }
}

async fn create(gateway: &Arc<dyn StripeGateway>, request: &CheckoutRequest) -> Result<CheckoutSession, GatewayError> {
    gateway.create_checkout_session(&SecretString::from(KEY), request).await
}

/// Meets the faults in turn, and gives the result with the requests that arrived.
async fn after(faults: &[ApiFault]) -> (Result<CheckoutSession, GatewayError>, Vec<RecordedRequest>) {
    let (fake, gateway) = setup().await;
    faults.iter().for_each(|fault| fake.fail_next(*fault));
    let result = create(&gateway, &request(1)).await;
    (result, fake.requests())
}

fn one_key(requests: &[RecordedRequest]) -> bool {
    let key = request(1).idempotency_key();
    requests
        .iter()
        .all(|request| request.idempotency_key.as_deref() == Some(key.as_str()))
}

fn refusal(error: GatewayError) -> Refusal {
    match error {
        GatewayError::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_is_created_with_everything_that_finds_it_again() {
    let (fake, gateway) = setup().await;
    fake.set_now(Some(1_795_000_000));
    let session = create(&gateway, &request(1)).await.unwrap();
    assert_eq!(session.payment_intent, None);
    assert_eq!(session.expires_at.timestamp(), 1_795_000_000 + 86_400);
    assert!(session.url.starts_with("https://checkout.stripe.com/"));

    let id = Uuid::from_u128(1).to_string();
    let requests = fake.requests();
    let sent: Vec<_> = requests[0]
        .params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("cancel_url", "https://shop.example/back"),
        ("client_reference_id", &id),
        ("customer_email", "a+b@example.com"),
        ("line_items[0][price_data][currency]", "eur"),
        ("line_items[0][price_data][product_data][name]", "1,000 credits & more"),
        ("line_items[0][price_data][unit_amount]", "1990"),
        ("line_items[0][quantity]", "1"),
        ("metadata[scrip_top_up_id]", &id),
        ("mode", "payment"),
        ("payment_intent_data[metadata][scrip_top_up_id]", &id),
        ("success_url", "https://shop.example/done?session={CHECKOUT_SESSION_ID}"),
    ];
    assert_eq!(sent, expected);
    assert_eq!(requests[0].idempotency_key, Some(format!("scrip-checkout-{id}-1")));
    assert_eq!(fake.session_ids(KEY), [session.id]);
}

#[tokio::test]
async fn the_same_top_up_is_the_same_session_and_another_is_another() {
    let (fake, gateway) = setup().await;
    let first = create(&gateway, &request(1)).await.unwrap();
    assert_eq!(create(&gateway, &request(1)).await.unwrap(), first);
    assert_ne!(create(&gateway, &request(2)).await.unwrap().id, first.id);
    assert_eq!(fake.session_ids(KEY).len(), 2);
    assert!(fake.requests()[1].replayed);
}

#[tokio::test]
async fn a_known_customer_is_preferred_to_an_address() {
    let (fake, gateway) = setup().await;
    let known = CheckoutRequest {
        customer: Some("cus_1".to_owned()),
        ..request(1)
    };
    create(&gateway, &known).await.unwrap();
    let params = &fake.requests()[0].params;
    assert_eq!(params.get("customer").map(String::as_str), Some("cus_1"));
    assert!(!params.contains_key("customer_email"));
}

#[tokio::test]
async fn passing_mishaps_are_tried_again_with_the_same_key() {
    for fault in [
        ApiFault::AnswerLost,
        ApiFault::RequestLost,
        ApiFault::AnswerGarbled,
        ApiFault::ServerError,
        ApiFault::BadGateway,
        ApiFault::RateLimited,
        ApiFault::KeyInUse,
    ] {
        let (result, requests) = after(&[fault, fault]).await;
        assert!(result.is_ok(), "{fault:?}: {result:?}");
        assert_eq!(requests.len(), 3, "{fault:?}");
        assert!(one_key(&requests));
    }
}

#[tokio::test]
async fn an_answer_lost_after_commit_makes_no_second_session() {
    let (fake, gateway) = setup().await;
    fake.fail_next(ApiFault::AnswerLost);
    let session = create(&gateway, &request(1)).await.unwrap();
    assert_eq!(fake.session_ids(KEY), [session.id]);
}

#[tokio::test]
async fn when_tries_run_out_the_outcome_is_unknown() {
    for fault in [
        ApiFault::AnswerLost,
        ApiFault::RequestLost,
        ApiFault::AnswerGarbled,
        ApiFault::ServerError,
        ApiFault::BadGateway,
        ApiFault::RateLimited,
        ApiFault::KeyInUse,
    ] {
        let (result, requests) = after(&[fault; 3]).await;
        assert!(
            matches!(result, Err(GatewayError::OutcomeUnknown(_))),
            "{fault:?}: {result:?}"
        );
        assert_eq!(requests.len(), 3, "bounded");
    }
    let (result, _) = after(&[ApiFault::ServerErrorSaved]).await;
    assert!(
        matches!(result, Err(GatewayError::OutcomeUnknown(_))),
        "Stripe replays a 500: {result:?}"
    );
}

#[tokio::test]
async fn a_slow_stripe_times_out_and_the_same_key_finds_the_session_later() {
    let (fake, _) = setup().await;
    let impatient = GatewaySettings {
        attempt_timeout: Duration::from_millis(50),
        attempts_max: 1,
        ..QUICK
    };
    let gateway: Arc<dyn StripeGateway> = Arc::new(AsyncStripeGateway::with_settings(fake.base_url(), impatient));
    fake.fail_next(ApiFault::Slow(Duration::from_millis(300)));
    let result = create(&gateway, &request(1)).await;
    assert_eq!(
        result,
        Err(GatewayError::OutcomeUnknown("no answer in time".to_owned()))
    );
    // Meets a 409 as long as the first request is under way.
    let patient = GatewaySettings {
        backoff: Duration::from_millis(100),
        attempts_max: 6,
        ..QUICK
    };
    let gateway: Arc<dyn StripeGateway> = Arc::new(AsyncStripeGateway::with_settings(fake.base_url(), patient));
    let session = create(&gateway, &request(1)).await.unwrap();
    assert_eq!(fake.session_ids(KEY), [session.id], "Stripe went on without us");
}

#[tokio::test]
async fn refusals_are_final_and_in_stripes_words() {
    let (result, requests) = after(&[ApiFault::Declined]).await;
    let declined = refusal(result.unwrap_err());
    assert_eq!((declined.status, declined.kind.as_str()), (402, "card_error"));
    assert_eq!(declined.code.as_deref(), Some("card_declined"));
    assert_eq!(declined.decline_code.as_deref(), Some("generic_decline"));
    assert_eq!(declined.message, "Your card was declined.");
    assert_eq!(requests.len(), 1, "not tried again");

    let (_fake, gateway) = setup().await;
    let too_small = CheckoutRequest {
        amount: 1,
        ..request(1)
    };
    let refused = refusal(create(&gateway, &too_small).await.unwrap_err());
    assert_eq!(
        (refused.status, refused.code.as_deref()),
        (400, Some("amount_too_small"))
    );
    let unknown = CheckoutRequest {
        customer: Some("cus_missing".to_owned()),
        ..request(2)
    };
    let refused = refusal(create(&gateway, &unknown).await.unwrap_err());
    assert_eq!(
        (refused.code.as_deref(), refused.param.as_deref()),
        (Some("resource_missing"), Some("customer"))
    );
}

#[tokio::test]
async fn other_parameters_under_a_known_key_leave_the_outcome_open() {
    let (_fake, gateway) = setup().await;
    create(&gateway, &request(1)).await.unwrap();
    let changed = CheckoutRequest {
        amount: 1,
        ..request(1)
    };
    let result = create(&gateway, &changed).await;
    assert!(matches!(result, Err(GatewayError::OutcomeUnknown(text)) if text.contains("same parameters")));
}

#[tokio::test]
async fn a_key_that_stripe_does_not_accept_is_its_own_error_and_is_not_shown() {
    let (_fake, gateway) = setup().await;
    let wrong = SecretString::from("sk_test_0123456789");
    let error = gateway.create_checkout_session(&wrong, &request(1)).await.unwrap_err();
    let message = "Invalid API Key provided: [redacted]".to_owned();
    assert_eq!(error, GatewayError::AuthenticationFailed { status: 401, message });
    assert!(!error.to_string().contains("6789"));
}

#[tokio::test]
async fn a_rejected_key_does_not_settle_what_an_earlier_request_may_have_done() {
    let (fake, _) = setup().await;
    let settings = GatewaySettings {
        backoff: Duration::from_millis(300),
        ..QUICK
    };
    let gateway: Arc<dyn StripeGateway> = Arc::new(AsyncStripeGateway::with_settings(fake.base_url(), settings));
    fake.fail_next(ApiFault::AnswerLost);
    let top_up = request(1);
    let revoke = async {
        while fake.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.remove_account(KEY);
    };
    let (result, ()) = tokio::join!(create(&gateway, &top_up), revoke);
    assert!(matches!(result, Err(GatewayError::OutcomeUnknown(_))), "{result:?}");
}

#[tokio::test]
async fn nobody_listening_is_an_unknown_outcome_and_nonsense_is_never_sent() {
    let gateway: Arc<dyn StripeGateway> = Arc::new(AsyncStripeGateway::with_settings("http://127.0.0.1:9/", QUICK));
    let result = create(&gateway, &request(1)).await;
    assert!(matches!(result, Err(GatewayError::OutcomeUnknown(_))), "{result:?}");
    for nonsense in [
        CheckoutRequest {
            amount: 0,
            ..request(1)
        },
        CheckoutRequest {
            amount: -5,
            ..request(1)
        },
        CheckoutRequest {
            currency: "dollar".to_owned(),
            ..request(1)
        },
    ] {
        assert!(matches!(
            create(&gateway, &nonsense).await,
            Err(GatewayError::NotSent(_))
        ));
    }
}
