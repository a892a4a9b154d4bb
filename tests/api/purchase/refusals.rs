//! When Stripe refuses, does not answer, or does not know the key: what the caller is told, and how it goes on.

use serde_json::{Value, json};

use super::Shop;
use crate::support::{client::fresh_key, fake_stripe::ApiFault};

impl Shop {
    /// The idempotency keys that Stripe was asked with, each once.
    fn attempts(&self) -> usize {
        let requests = self.service.stripe.requests();
        let mut keys: Vec<_> = requests.iter().filter_map(|r| r.idempotency_key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys.len()
    }

    fn sessions(&self) -> usize {
        self.service.stripe.session_ids(&self.secret_key).len()
    }

    async fn pay_for(&self, top_up: &Value) {
        self.deliver(&self.pay(&self.session_of(top_up))).await;
        self.assert_credited_once(top_up).await;
    }
}

#[tokio::test]
async fn a_refusal_ends_the_attempt_and_the_same_key_makes_a_new_one() {
    let shop = Shop::open().await;
    let key = fresh_key();
    for attempt in 1..=2 {
        shop.service.stripe.fail_next(ApiFault::Declined);
        let refusal = shop.try_buy("small", &key).await.refused(502, "stripe_refused");
        assert_eq!(refusal["stripe_code"], "card_declined");
        let failed = shop.top_up(&json!({"id": refusal["top_up_id"]})).await;
        assert_eq!(
            (&failed["status"], &failed["checkout_url"]),
            (&json!("failed"), &Value::Null)
        );
        assert!(
            failed["failure"]
                .as_str()
                .is_some_and(|why| why.contains("card_declined")),
            "{failed}"
        );
        assert_eq!((shop.attempts(), shop.sessions()), (attempt, 0));
    }
    let top_up = shop.try_buy("small", &key).await.expect(201);
    assert_eq!((&top_up["status"], &top_up["failure"]), (&json!("open"), &Value::Null));
    assert_eq!((shop.attempts(), shop.sessions()), (3, 1));
    assert_eq!(shop.list("top_ups").await.len(), 1);
    shop.pay_for(&top_up).await;
    assert_eq!(shop.try_buy("small", &key).await.expect(201)["id"], top_up["id"]);
    assert_eq!(shop.sessions(), 1);
}

#[tokio::test]
async fn an_invalid_request_is_refused_with_stripes_words_and_can_be_mended() {
    let shop = Shop::open().await;
    let account = |customer: &str| {
        let body = json!({"stripe_customer": customer});
        shop.tenant().backend.put("/v1/accounts/acme", body)
    };
    account("cus_missing_1").await.expect(200);
    let key = fresh_key();
    let refusal = shop.try_buy("small", &key).await.refused(502, "stripe_refused");
    assert_eq!(refusal["stripe_code"], "resource_missing");
    assert!(
        refusal["detail"]
            .as_str()
            .is_some_and(|d| d.contains("No such customer")),
        "{refusal}"
    );
    account("cus_good").await.expect(200);
    let top_up = shop.try_buy("small", &key).await.expect(201);
    assert_eq!(top_up["id"], refusal["top_up_id"]);
    shop.pay_for(&top_up).await;
}

#[tokio::test]
async fn an_answer_lost_on_the_way_is_asked_for_again_at_once() {
    for fault in [
        ApiFault::AnswerLost,
        ApiFault::AnswerGarbled,
        ApiFault::ServerError,
        ApiFault::RequestLost,
    ] {
        let shop = Shop::open().await;
        shop.service.stripe.fail_next(fault);
        let top_up = shop.try_buy("small", &fresh_key()).await.expect(201);
        assert_eq!((shop.attempts(), shop.sessions()), (1, 1), "{fault:?}");
        shop.pay_for(&top_up).await;
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_said_and_the_same_key_finds_the_same_session() {
    for (faults, made) in [
        ([ApiFault::AnswerLost, ApiFault::AnswerLost], 1),
        ([ApiFault::AnswerGarbled, ApiFault::BadGateway], 1),
        ([ApiFault::RequestLost, ApiFault::ServerError], 0),
    ] {
        let shop = Shop::open().await;
        let key = fresh_key();
        faults
            .into_iter()
            .for_each(|fault| shop.service.stripe.fail_next(fault));
        let answer = shop.try_buy("small", &key).await;
        assert_eq!(answer.header("retry-after"), "5");
        let unknown = answer.refused(502, "stripe_unavailable");
        assert_eq!((shop.attempts(), shop.sessions()), (1, made), "{faults:?}");
        let waiting = shop.top_up(&json!({"id": unknown["top_up_id"]})).await;
        assert_eq!(
            (&waiting["status"], &waiting["failure"]),
            (&json!("created"), &Value::Null)
        );
        let top_up = shop.try_buy("small", &key).await.expect(201);
        assert_eq!(top_up["id"], unknown["top_up_id"]);
        assert_eq!((shop.attempts(), shop.sessions()), (1, 1), "{faults:?}");
        shop.pay_for(&top_up).await;
    }
}

#[tokio::test]
async fn a_payment_is_credited_before_the_row_knows_its_session() {
    let shop = Shop::open().await;
    let key = fresh_key();
    for _ in 0..2 {
        shop.service.stripe.fail_next(ApiFault::AnswerLost);
    }
    let unknown = shop.try_buy("small", &key).await.refused(502, "stripe_unavailable");
    let top_up = json!({"id": unknown["top_up_id"], "credits": 500});
    shop.pay_for(&top_up).await;
    assert_eq!(shop.available().await, 500);
    // The order, sent again, says that it is paid, and opens no second checkout.
    let answer = shop.try_buy("small", &key).await.expect(201);
    assert_eq!((&answer["id"], &answer["status"]), (&top_up["id"], &json!("credited")));
    assert_eq!(shop.sessions(), 1);
}

#[tokio::test]
async fn a_key_that_stripe_does_not_accept_is_said_and_can_be_mended() {
    let shop = Shop::open().await;
    let put = |secret_key: String| {
        let secrets = [shop.webhook_secret.clone()];
        let settings = json!({"secret_key": secret_key, "webhook_secrets": secrets, "livemode": false});
        async { shop.tenant().admin.put("/v1/stripe", settings).await.expect(200) }
    };
    put("sk_test_revoked_4711".to_owned()).await;
    let key = fresh_key();
    let answer = shop.try_buy("small", &key).await;
    assert!(!answer.text.contains("4711"), "{}", answer.text);
    let refusal = answer.refused(502, "stripe_authentication_failed");
    assert_eq!(
        shop.top_up(&json!({"id": refusal["top_up_id"]})).await["status"],
        "created"
    );
    put(shop.secret_key.clone()).await;
    let top_up = shop.try_buy("small", &key).await.expect(201);
    assert_eq!(top_up["id"], refusal["top_up_id"]);
    shop.pay_for(&top_up).await;
}

#[tokio::test]
async fn the_same_order_twice_at_once_is_one_session() {
    let shop = Shop::open().await;
    let key = fresh_key();
    let (one, two) = tokio::join!(shop.try_buy("small", &key), shop.try_buy("small", &key));
    let answers = [one.expect(201), two.expect(201)];
    assert_eq!(answers[0], answers[1]);
    assert_eq!((shop.attempts(), shop.sessions()), (1, 1));
    assert_eq!(shop.list("top_ups").await.len(), 1);
    shop.pay_for(&answers[0]).await;
}
