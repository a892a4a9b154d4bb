//! A purchase whose first answer was lost, asked for again after the world has moved on.

use serde_json::json;

use super::Shop;
use crate::support::{client::fresh_key, fake_stripe::ApiFault};

/// A shop, and the key of an order that Stripe took and whose answer was lost.
async fn with_lost_answer() -> (Shop, String) {
    let (shop, key) = (Shop::open().await, fresh_key());
    for _ in 0..2 {
        shop.service.stripe.fail_next(ApiFault::AnswerLost);
    }
    shop.try_buy("small", &key).await.refused(502, "stripe_unavailable");
    (shop, key)
}

#[tokio::test]
async fn a_purchase_begun_in_test_mode_is_not_sold_in_live_mode() {
    let (shop, key) = with_lost_answer().await;
    let live = json!({"secret_key": shop.secret_key, "webhook_secrets": [shop.webhook_secret], "livemode": true});
    shop.tenant().admin.put("/v1/stripe", live).await.expect(200);
    let sessions = shop.service.stripe.session_ids(&shop.secret_key).len();
    shop.try_buy("small", &key).await.refused(409, "stripe_mode_changed");
    assert_eq!(shop.service.stripe.session_ids(&shop.secret_key).len(), sessions);
    shop.assert_nothing_credited().await;
}

#[tokio::test]
async fn a_checkout_that_lapsed_meanwhile_is_told_as_it_is() {
    let (shop, key) = with_lost_answer().await;
    let session = shop.service.stripe.session_ids(&shop.secret_key).remove(0);
    for lapsed in shop.service.stripe.expire(&session, &shop.webhook_secret) {
        shop.settle(&lapsed).await;
    }
    let told = shop.try_buy("small", &key).await.expect(201);
    assert_eq!(told["status"], "expired");
    assert_eq!(shop.service.stripe.session_ids(&shop.secret_key), [session]);
    let again = shop.try_buy("small", &key).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201), told);
}
