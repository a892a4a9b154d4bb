//! What Stripe tells of one payment: repeated, out of order, slow, failing, and beside other things.

use serde_json::json;

use super::{Shop, TOP_UPS, order};
use crate::support::fake_stripe::{Adjustment, DeliveryPlan, deliver_all};

#[tokio::test]
async fn the_same_event_fifty_times_at_once_is_one_credit() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let completed = &shop.pay(&session)[..1];
    let plan = DeliveryPlan::default().duplicated(49).at_once();
    assert_eq!(deliver_all(&shop.webhook_url, completed, &plan).await, [200; 50]);
    shop.assert_credited_once(&top_up).await;
    assert_eq!(shop.available().await, 500);
    let events = shop.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["state"], &events[0]["type"]),
        (&json!("done"), &json!("checkout.session.completed"))
    );
}

#[tokio::test]
async fn three_events_of_one_payment_in_every_order_are_one_credit() {
    let shop = Shop::open().await;
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (n, order) in orders.iter().enumerate() {
        let (top_up, session) = shop.buy("small").await;
        let deliveries = shop.pay(&session);
        let kinds: Vec<_> = deliveries.iter().map(|d| d.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "checkout.session.completed",
                "payment_intent.succeeded",
                "charge.succeeded"
            ]
        );
        for index in order {
            let event = shop.settle(&deliveries[*index]).await;
            let expected = if *index == 2 { "ignored" } else { "done" };
            assert_eq!(event["state"], expected, "{order:?}: {event}");
        }
        shop.assert_credited_once(&top_up).await;
        assert_eq!(shop.available().await, 500 * (n as i64 + 1), "{order:?}");
    }
}

#[tokio::test]
async fn three_events_many_times_all_at_once_are_one_credit() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let deliveries = shop.pay(&session);
    let plan = DeliveryPlan::default().duplicated(9).at_once();
    assert_eq!(deliver_all(&shop.webhook_url, &deliveries, &plan).await, [200; 30]);
    for delivery in &deliveries {
        shop.event(&delivery.event_id).await;
    }
    shop.assert_credited_once(&top_up).await;
    assert_eq!(shop.available().await, 500);
}

#[tokio::test]
async fn the_charges_event_alone_credits_nothing() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let event = shop.settle(&shop.pay(&session)[2]).await;
    assert_eq!(
        (&event["type"], &event["state"]),
        (&json!("charge.succeeded"), &json!("ignored"))
    );
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    shop.assert_nothing_credited().await;
}

#[tokio::test]
async fn a_slow_payment_is_credited_when_the_money_has_come() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let confirmed = shop.service.stripe.pay_async(&session, &shop.webhook_secret);
    assert_eq!(shop.settle(&confirmed[0]).await["state"], "done");
    assert_eq!(shop.top_up(&top_up).await["status"], "processing");
    shop.assert_nothing_credited().await;
    let settled = shop.service.stripe.settle_async(&session, &shop.webhook_secret);
    shop.deliver(&settled).await;
    shop.assert_credited_once(&top_up).await;
    // Told once more that it is unpaid, by a delivery that was under way for long: it stays credited.
    let late = shop.service.stripe.events(&shop.secret_key)[0].clone();
    let mut late = shop.sign(&late).event();
    late["id"] = json!("evt_late_unpaid");
    assert_eq!(shop.settle(&shop.sign(&late)).await["state"], "done");
    assert_eq!(shop.top_up(&top_up).await["status"], "credited");
    assert_eq!(shop.available().await, 500);
}

#[tokio::test]
async fn a_slow_payment_that_fails_is_credited_never() {
    let shop = Shop::open().await;
    for reversed in [false, true] {
        let (top_up, session) = shop.buy("small").await;
        let confirmed = shop.service.stripe.pay_async(&session, &shop.webhook_secret);
        let failed = shop.service.stripe.fail_async(&session, &shop.webhook_secret);
        let mut all = [confirmed, failed].concat();
        if reversed {
            all.reverse();
        }
        for delivery in &all {
            shop.settle(delivery).await;
        }
        let now = shop.top_up(&top_up).await;
        assert_eq!(
            (&now["status"], &now["failure"]),
            (&json!("failed"), &json!("the payment failed"))
        );
    }
    shop.assert_nothing_credited().await;
}

#[tokio::test]
async fn a_declined_card_leaves_the_checkout_open_for_another() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    for delivery in shop.service.stripe.decline(&session, &shop.webhook_secret) {
        shop.settle(&delivery).await;
    }
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    shop.assert_nothing_credited().await;
    shop.deliver(&shop.pay(&session)).await;
    shop.assert_credited_once(&top_up).await;
}

#[tokio::test]
async fn a_checkout_that_lapses_is_expired() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let expired = shop.service.stripe.expire(&session, &shop.webhook_secret);
    assert_eq!(shop.settle(&expired[0]).await["state"], "done");
    assert_eq!(shop.top_up(&top_up).await["status"], "expired");
    shop.assert_nothing_credited().await;
}

#[tokio::test]
async fn a_discount_and_a_tax_change_the_money_and_not_the_credits() {
    let shop = Shop::open().await;
    for adjustment in [
        Adjustment { discount: 200, tax: 0 },
        Adjustment { discount: 0, tax: 190 },
    ] {
        let (top_up, session) = shop.buy("small").await;
        let paid = shop
            .service
            .stripe
            .pay_adjusted(&session, adjustment, &shop.webhook_secret);
        for delivery in &paid[..2] {
            let event = shop.settle(delivery).await;
            assert_eq!(event["state"], "done", "{adjustment:?}: {event}");
        }
        shop.assert_credited_once(&top_up).await;
    }
}

#[tokio::test]
async fn what_is_not_about_a_top_up_is_kept_and_ignored() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let mut deliveries = shop.pay(&session);
    deliveries.truncate(2);
    let mut foreign = Vec::new();
    for delivery in &deliveries {
        let mut event = delivery.event();
        event["id"] = json!(format!("evt_foreign_{}", foreign.len()));
        let object = &mut event["data"]["object"];
        object["id"] = json!(if foreign.is_empty() {
            "cs_test_theirs"
        } else {
            "pi_theirs"
        });
        object["metadata"] = json!({"order": "17"});
        object["client_reference_id"] = json!("01990000-0000-7000-8000-000000000017");
        object["payment_intent"] = json!("pi_theirs");
        foreign.push(event);
    }
    let stranger = json!({"id": "evt_unknown", "object": "event", "created": shop.service.stripe.now(), "livemode": false,
        "type": "customer.tax_id.updated", "data": {"object": {"id": 7, "deep": [[[]]]}}});
    let thin = json!({"id": "evt_thin", "object": "v2.core.event", "created": "2026-11-20T09:00:00.000Z",
        "livemode": false, "type": "v1.billing.meter.error_report_triggered", "context": "acct_1",
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}});
    for (event, note) in foreign
        .iter()
        .map(|e| (e, "nothing that Scrip sells"))
        .chain([(&stranger, "does nothing on this type"), (&thin, "thin event")])
    {
        let kept = shop.settle(&shop.sign(event)).await;
        assert_eq!(kept["state"], "ignored", "{kept}");
        assert!(kept["note"].as_str().is_some_and(|text| text.contains(note)), "{kept}");
    }
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    shop.assert_nothing_credited().await;
}

#[tokio::test]
async fn two_purchases_at_once_are_two_credits() {
    let shop = Shop::open().await;
    let without_key = || {
        shop.tenant()
            .backend
            .send("POST", TOP_UPS, &[], order("small").to_string())
    };
    let (one, two) = tokio::join!(without_key(), without_key());
    let (one, two) = (one.expect(201), two.expect(201));
    assert_ne!(one["id"], two["id"]);
    for top_up in [&one, &two] {
        shop.deliver(&shop.pay(&shop.session_of(top_up))).await;
    }
    shop.assert_credited_once(&one).await;
    shop.assert_credited_once(&two).await;
    assert_eq!(shop.available().await, 1000);
}
