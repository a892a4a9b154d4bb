//! Events that contradict our own row: kept, shown to support with a note, never credited.

use serde_json::{Value, json};

use super::Shop;

/// A change to an event's object, or to the event itself (paths that begin with `/livemode` or `/data`).
type Change = (&'static str, Value);

fn changed(event: &Value, id: &str, changes: &[Change]) -> Value {
    let mut event = event.clone();
    event["id"] = json!(id);
    for (path, value) in changes {
        let path = if *path == "/livemode" {
            (*path).to_owned()
        } else {
            format!("/data/object{path}")
        };
        let (parent, field) = path.rsplit_once('/').expect("a path");
        let parent = if parent.is_empty() {
            Some(&mut event)
        } else {
            event.pointer_mut(parent)
        };
        parent.expect("the event has it")[field] = value.clone();
    }
    event
}

async fn quarantined(shop: &Shop, event: &Value, note: &str) {
    let kept = shop.settle(&shop.sign(event)).await;
    assert_eq!(kept["state"], "quarantined", "{note}: {kept}");
    assert!(
        kept["note"].as_str().is_some_and(|text| text.contains(note)),
        "{note}: {kept}"
    );
    assert!(kept["finished_at"].is_string(), "{kept}");
}

#[tokio::test]
async fn a_session_that_contradicts_the_row_credits_nothing() {
    let shop = Shop::open().await;
    let customer = json!({"stripe_customer": "cus_ours"});
    shop.tenant()
        .backend
        .put("/v1/accounts/acme", customer)
        .await
        .expect(200);
    let (top_up, session) = shop.buy("small").await;
    let (other, _) = shop.buy("days").await;
    let paid = shop.pay(&session);
    let good = paid[0].event();
    let cases: Vec<(Vec<Change>, &str)> = vec![
        (
            vec![
                ("/amount_subtotal", json!(1)),
                ("/amount_total", json!(1)),
                ("/metadata/credits", json!("1000")),
            ],
            "the amount is 1, the price 999",
        ),
        (vec![("/amount_subtotal", json!(998))], "the amount is 998"),
        (vec![("/amount_subtotal", json!(1000))], "the amount is 1000"),
        (
            vec![("/amount_subtotal", Value::Null), ("/amount_total", Value::Null)],
            "the amount is missing",
        ),
        (
            vec![("/currency", json!("jpy"))],
            "the currency is jpy, the price is in USD",
        ),
        (vec![("/currency", Value::Null)], "the currency is missing"),
        (
            vec![("/customer", json!("cus_theirs"))],
            "the customer is cus_theirs, the account's was cus_ours at the purchase",
        ),
        (vec![("/livemode", json!(true))], "livemode"),
        (vec![("/mode", json!("setup"))], "not of mode payment"),
        (vec![("/payment_status", json!("no_payment_required"))], "not paid"),
        (vec![("/payment_status", Value::Null)], "not paid"),
        (vec![("/id", json!("cs_test_other"))], "session is another one"),
        (
            vec![("/metadata/scrip_top_up_id", other["id"].clone())],
            "session is another one",
        ),
        (
            vec![(
                "/metadata/scrip_top_up_id",
                json!("01990000-0000-7000-8000-000000000000"),
            )],
            "this tenant does not have",
        ),
        (vec![("/amount_subtotal", json!("999"))], "amount_subtotal"),
    ];
    for (n, (changes, note)) in cases.iter().enumerate() {
        quarantined(&shop, &changed(&good, &format!("evt_case_{n:02}"), changes), note).await;
    }
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    shop.assert_nothing_credited().await;
    let listed = shop
        .tenant()
        .support
        .get("/v1/admin/stripe_events?state=quarantined")
        .await
        .expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(cases.len()));
    shop.tenant()
        .backend
        .get("/v1/admin/stripe_events")
        .await
        .refused(403, "forbidden");
    // What Stripe really said is credited all the same.
    shop.deliver(&paid).await;
    shop.assert_credited_once(&top_up).await;
    assert_eq!(shop.available().await, 500);
}

#[tokio::test]
async fn an_intent_that_contradicts_the_row_credits_nothing() {
    let shop = Shop::open().await;
    let customer = json!({"stripe_customer": "cus_ours"});
    shop.tenant()
        .backend
        .put("/v1/accounts/acme", customer)
        .await
        .expect(200);
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    let good = paid[1].event();
    let cases: Vec<(Vec<Change>, &str)> = vec![
        (
            vec![
                ("/amount", json!(1)),
                ("/amount_received", json!(1)),
                ("/metadata/credits", json!("1000")),
            ],
            "the amount is 1, the price 999",
        ),
        (vec![("/amount_received", json!(0))], "the amount is 0"),
        (vec![("/currency", json!("eur"))], "the currency is eur"),
        (vec![("/customer", json!("cus_theirs"))], "the customer is cus_theirs"),
        (vec![("/livemode", json!(true))], "livemode"),
        (
            vec![(
                "/metadata/scrip_top_up_id",
                json!("01990000-0000-7000-8000-000000000000"),
            )],
            "this tenant does not have",
        ),
    ];
    for (n, (changes, note)) in cases.iter().enumerate() {
        quarantined(&shop, &changed(&good, &format!("evt_case_{n:02}"), changes), note).await;
    }
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    shop.assert_nothing_credited().await;
    shop.deliver(&paid[1..]).await;
    shop.assert_credited_once(&top_up).await;
    // Another payment that claims the same purchase.
    let second = changed(&good, "evt_second", &[("/id", json!("pi_second"))]);
    quarantined(&shop, &second, "payment intent is another one").await;
    assert_eq!(shop.available().await, 500);
}

#[tokio::test]
async fn metadata_change_nothing_about_what_is_credited() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    let generous = [
        ("/metadata/credits", json!("1000000")),
        ("/metadata/scrip_credits", json!("1000000")),
        ("/metadata/class", json!("plan")),
        ("/metadata/account_id", json!("somebody")),
    ];
    let event = changed(&paid[0].event(), "evt_generous", &generous);
    assert_eq!(shop.settle(&shop.sign(&event)).await["state"], "done");
    shop.assert_credited_once(&top_up).await;
    assert_eq!(shop.available().await, 500);
}

#[tokio::test]
async fn one_payment_pays_for_one_purchase() {
    let shop = Shop::open().await;
    let (first, session) = shop.buy("small").await;
    let (second, other_session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    shop.deliver(&paid).await;
    shop.assert_credited_once(&first).await;
    // The first payment's intent, passed off as the second session's.
    let intent = paid[1].event()["data"]["object"]["id"].clone();
    let other = [
        ("/id", json!(other_session)),
        ("/client_reference_id", second["id"].clone()),
        ("/metadata/scrip_top_up_id", second["id"].clone()),
        ("/payment_intent", intent),
    ];
    let event = changed(&paid[0].event(), "evt_passed_off", &other);
    quarantined(&shop, &event, "the payment belongs to another top-up").await;
    assert_eq!(shop.top_up(&second).await["status"], "open");
    assert_eq!(shop.available().await, 500);
}

#[tokio::test]
async fn a_purchase_in_one_mode_is_not_paid_in_the_other() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    let secrets = [shop.webhook_secret.clone()];
    let live = json!({"secret_key": shop.secret_key, "webhook_secrets": secrets, "livemode": true});
    shop.tenant().admin.put("/v1/stripe", live).await.expect(200);
    quarantined(&shop, &paid[0].event(), "livemode").await;
    for (n, delivery) in paid[..2].iter().enumerate() {
        let event = changed(
            &delivery.event(),
            &format!("evt_live_{n}"),
            &[("/livemode", json!(true))],
        );
        quarantined(&shop, &event, "livemode").await;
    }
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    shop.assert_nothing_credited().await;
}
