//! Who may tell the service what was paid: signatures, secrets and their rotation, and bodies that are too much.

use serde_json::{Value, json};

use super::Shop;
use crate::support::{
    fake_stripe::{Delivery, deliver, sign},
    service::Tenant,
};

/// The answer to whatever is not signed as it must be.
async fn refused(url: &str, delivery: &Delivery) -> String {
    let (status, body) = deliver(url, delivery).await.expect("the service answers");
    assert_eq!(status, 400, "{body}");
    let problem: Value = serde_json::from_str(&body).expect("a problem");
    assert_eq!(problem["code"], "invalid_signature", "{body}");
    body
}

#[tokio::test]
async fn a_delivery_that_is_not_signed_by_the_tenants_stripe_is_refused() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let good = shop.pay(&session).remove(0);
    let now = shop.service.stripe.now();
    let ours = shop.webhook_secret.as_str();
    let signed_by = |secrets: &[&str], t: i64| good.resigned(secrets, t);
    let mut changed = good.clone();
    let place = good.body.windows(3).position(|w| w == b"999").expect("the amount");
    changed.body[place] = b'1';
    let mut longer = good.clone();
    longer.body.push(b' ');
    let header = |signature: &str| Delivery {
        signature: signature.to_owned(),
        ..good.clone()
    };
    let mut answers = Vec::new();
    for (what, delivery) in [
        ("another secret", signed_by(&["whsec_other"], now)),
        ("a blank secret", signed_by(&[""], now)),
        ("301 s old", signed_by(&[ours], now - 301)),
        ("from the future", signed_by(&[ours], now + 400)),
        ("a byte changed", changed),
        ("a byte added", longer),
        ("no header", header("")),
        ("no signature", header(&format!("t={now}"))),
        ("v0 alone", header(&good.signature.replace("v1=", "v0="))),
        ("two times", header(&format!("t={now},{}", good.signature))),
    ] {
        println!("{what}");
        answers.push(refused(&shop.webhook_url, &delivery).await);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "all get the same answer"
    );
    assert_eq!(shop.events().await, [] as [Value; 0], "nothing is kept");
    shop.assert_nothing_credited().await;
    // Up to the limit it is taken.
    shop.deliver(&[signed_by(&[ours], now - 290)]).await;
    shop.assert_credited_once(&top_up).await;
}

#[tokio::test]
async fn one_good_signature_of_two_is_enough() {
    let shop = Shop::open().await;
    for good_first in [true, false] {
        let (top_up, session) = shop.buy("small").await;
        let mut secrets = [shop.webhook_secret.as_str(), "whsec_other"];
        if !good_first {
            secrets.reverse();
        }
        let delivery = shop.pay(&session)[0].resigned(&secrets, shop.service.stripe.now());
        shop.deliver(&[delivery]).await;
        shop.assert_credited_once(&top_up).await;
    }
}

#[tokio::test]
async fn secrets_are_rotated_without_a_gap() {
    let shop = Shop::open().await;
    let old = shop.webhook_secret.as_str();
    let new = format!("{old}_new");
    let put = async |secrets: &[&str]| {
        let settings = json!({"secret_key": shop.secret_key, "webhook_secrets": secrets, "livemode": false});
        let answer = shop.tenant().admin.put("/v1/stripe", settings).await.expect(200);
        assert_eq!(answer["webhook_url"], shop.webhook_url, "the URL stays");
    };
    let event = |secret: &str| {
        let kind = "customer.updated";
        let event = json!({"id": format!("evt_{}", crate::support::client::fresh_key()), "object": "event",
            "created": shop.service.stripe.now(), "livemode": false, "type": kind, "data": {"object": {}}});
        Delivery::signed(&event, &[secret], shop.service.stripe.now())
    };
    refused(&shop.webhook_url, &event(&new)).await;
    put(&[old, &new]).await;
    shop.deliver(&[event(old), event(&new)]).await;
    put(&[&new]).await;
    shop.deliver(&[event(&new)]).await;
    refused(&shop.webhook_url, &event(old)).await;
    assert_eq!(shop.events().await.len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_does_not_exist_answers_like_a_bad_signature() {
    let shop = Shop::open().await;
    let (_, session) = shop.buy("small").await;
    let good = shop.pay(&session).remove(0);
    let (base, endpoint) = shop.webhook_url.rsplit_once('/').expect("a URL");
    let bad_signature = refused(
        &shop.webhook_url,
        &good.resigned(&["whsec_other"], shop.service.stripe.now()),
    )
    .await;
    let (tenant, random) = endpoint.split_at(35);
    for endpoint in [
        "we_unknown".to_owned(),
        format!("we_{}{random}", "0".repeat(32)),
        format!("{tenant}{}", "0".repeat(16)),
        format!("{endpoint}0"),
        "%00".to_owned(),
    ] {
        let url = format!("{base}/{endpoint}");
        assert_eq!(refused(&url, &good).await, bad_signature, "{endpoint}");
    }
}

#[tokio::test]
async fn one_tenants_secret_opens_nothing_of_anothers() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    let other = Tenant::make(&shop.service.operator).await;
    let other_url = other
        .connect_stripe(&shop.service.stripe, &format!("{}_b", shop.secret_key), "whsec_of_b")
        .await;
    // A's event, signed by A's Stripe, to B's URL; and B's own signature at A's.
    refused(&other_url, &paid[0]).await;
    refused(
        &shop.webhook_url,
        &paid[0].resigned(&["whsec_of_b"], shop.service.stripe.now()),
    )
    .await;
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    // B can forge events for itself alone: with A's top-up, A's payment, even A's event id.
    let forged: Vec<_> = paid[..2]
        .iter()
        .map(|d| d.resigned(&["whsec_of_b"], shop.service.stripe.now()))
        .collect();
    for delivery in &forged {
        assert_eq!(deliver(&other_url, delivery).await.map(|answer| answer.0), Ok(200));
    }
    let from = std::time::Instant::now();
    let events = loop {
        let events = other.support.get("/v1/admin/stripe_events").await.expect(200)["data"].clone();
        let pending = |e: &Value| e["state"] == "pending";
        if !events.as_array().expect("a list").iter().any(pending) {
            break events;
        }
        assert!(from.elapsed() < super::PATIENCE, "{events}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for event in events.as_array().expect("a list") {
        assert_eq!(event["state"], "quarantined", "{event}");
        assert!(
            event["note"]
                .as_str()
                .is_some_and(|note| note.contains("this tenant does not have")),
            "{event}"
        );
    }
    assert_eq!(shop.events().await, [] as [Value; 0]);
    assert_eq!(shop.top_up(&top_up).await["status"], "open");
    let theirs = format!("/v1/top_ups/{}", top_up["id"].as_str().expect("an id"));
    other.backend.get(&theirs).await.refused(404, "top_up_not_found");
    shop.assert_nothing_credited().await;
    // And B's use of the same event ids is not in A's way.
    shop.deliver(&paid).await;
    shop.assert_credited_once(&top_up).await;
    shop.service.assert_books_agree(&other).await;
}

fn raw(shop: &Shop, body: String) -> Delivery {
    let body = body.into_bytes();
    Delivery {
        event_id: String::new(),
        kind: String::new(),
        signature: sign(&body, &[&shop.webhook_secret], shop.service.stripe.now()),
        body,
    }
}

#[tokio::test]
async fn bodies_that_are_too_much_are_refused_and_the_service_goes_on() {
    let shop = Shop::open().await;
    let event = |more: &str| {
        format!(r#"{{"id":"evt_big","object":"event","created":1,"livemode":false,"type":"x.y","data":{more}}}"#)
    };
    let padded = |len: usize| {
        let bare = event(r#""""#).len();
        event(&format!("{:?}", "x".repeat(len - bare)))
    };
    for (len, expected) in [(512 * 1024 + 1, 413), (513 * 1024, 413), (2 * 1024 * 1024, 413)] {
        let body = padded(len);
        assert_eq!(body.len(), len);
        let (status, text) = deliver(&shop.webhook_url, &raw(&shop, body)).await.expect("an answer");
        assert_eq!(status, expected, "{len}: {text}");
        assert!(text.contains("body_too_large"), "{text}");
    }
    for (what, body) in [
        (
            "deep objects",
            event(&format!(
                "{}1{}",
                r#"{"a":"#.repeat(100_000 / 6),
                "}".repeat(100_000 / 6)
            )),
        ),
        (
            "deep lists",
            event(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ),
        ("deep from the start", "[".repeat(100_000)),
        ("no JSON", "\u{0}".to_owned()),
        ("nothing", String::new()),
        ("no event", r#"{"id": 7}"#.to_owned()),
        ("a NUL in its id", event("{}").replace("evt_big", "evt\\u0000big")),
    ] {
        let (status, text) = deliver(&shop.webhook_url, &raw(&shop, body)).await.expect("an answer");
        let problem: Value = serde_json::from_str(&text).expect("a problem");
        assert_eq!(
            (status, &problem["code"]),
            (400, &json!("malformed_event")),
            "{what}: {text}"
        );
    }
    assert_eq!(shop.events().await, [] as [Value; 0]);
    let largest = raw(&shop, padded(512 * 1024));
    assert_eq!(
        deliver(&shop.webhook_url, &largest).await.map(|answer| answer.0),
        Ok(200)
    );
    assert_eq!(shop.event("evt_big").await["state"], "ignored");
}
