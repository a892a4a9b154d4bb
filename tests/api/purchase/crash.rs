//! A process that dies between keeping an event and posting it: another works it off.

use std::time::Instant;

use serde_json::json;

use super::{PATIENCE, Shop};
use crate::support::{TestService, fake_stripe::Delivery};

/// As an event stands when it was kept, or claimed by a worker whose lease has passed, and nobody is awake to it.
async fn leave_behind(shop: &Shop, delivery: &Delivery, attempts: i32) {
    let tenant: uuid::Uuid = shop.tenant().id.parse().expect("a UUID");
    let mut owner = shop.service.owner().await;
    let left = sqlx::query(
        "INSERT INTO stripe_events (tenant_id, event_id, kind, livemode, payload, state, attempts, next_attempt_at, received_at)
         VALUES ($1, $2, $3, false, $4, 'pending', $5, now() - interval '1 second', now() - interval '2 minutes')",
    )
    .bind(tenant)
    .bind(&delivery.event_id)
    .bind(&delivery.kind)
    .bind(&delivery.body)
    .bind(attempts)
    .execute(&mut owner)
    .await
    .expect("the row is written");
    assert_eq!(left.rows_affected(), 1);
}

#[tokio::test]
async fn an_event_left_behind_is_worked_off_with_the_next() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    leave_behind(&shop, &paid[0], 0).await;
    shop.deliver(&paid[2..]).await;
    shop.assert_credited_once(&top_up).await;
    let event = shop.event(&paid[0].event_id).await;
    assert_eq!((&event["state"], &event["attempts"]), (&json!("done"), &json!(1)));
}

#[tokio::test]
async fn an_event_left_behind_is_worked_off_by_a_process_that_starts() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    leave_behind(&shop, &paid[0], 1).await;
    let from = Instant::now();
    let _second = TestService::start_with(
        shop.service.database.clone(),
        std::sync::Arc::new(scrip::clock::SystemClock),
    )
    .await;
    shop.assert_credited_once(&top_up).await;
    assert_eq!(shop.event(&paid[0].event_id).await["attempts"], 2);
    assert!(from.elapsed() < PATIENCE);
}

#[tokio::test]
async fn an_event_delivered_again_while_it_lies_there_is_worked_off() {
    let shop = Shop::open().await;
    let (top_up, session) = shop.buy("small").await;
    let paid = shop.pay(&session);
    leave_behind(&shop, &paid[1], 0).await;
    shop.deliver(&paid[1..2]).await;
    shop.assert_credited_once(&top_up).await;
    assert_eq!(shop.events().await.len(), 1);
}

#[tokio::test]
async fn an_event_worked_off_by_two_processes_at_once_is_one_credit() {
    let shop = Shop::open().await;
    let mut bought = Vec::new();
    for _ in 0..5 {
        let (top_up, session) = shop.buy("small").await;
        for delivery in &shop.pay(&session)[..2] {
            leave_behind(&shop, delivery, 1).await;
        }
        bought.push(top_up);
    }
    let start = || {
        TestService::start_with(
            shop.service.database.clone(),
            std::sync::Arc::new(scrip::clock::SystemClock),
        )
    };
    let _others = tokio::join!(start(), start(), start());
    for top_up in &bought {
        shop.assert_credited_once(top_up).await;
    }
    assert_eq!(shop.available().await, 2500);
}
