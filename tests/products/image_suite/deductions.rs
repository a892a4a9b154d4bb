//! "How Credits Are Deducted", and what comes back of failed jobs.

use serde_json::{Value, json};

use super::{legacy_user, limits::daily_limit};
use crate::calendar_story::{Story, text};

pub async fn the_costs_of_the_page(story: &Story) {
    legacy_user(story, "nina", "branding_app").await;
    let high = || json!({"detail": "high"});
    let seconds = |seconds: i64| json!({"seconds": seconds});
    let costs = [
        // "Basic images: 1-5 credits each", "text to image: generally 1-5 credits"
        ("basic_image", json!({}), 1),
        ("basic_image", json!({"detail": "medium"}), 3),
        ("basic_image", high(), 5),
        // "Premium images: 5-25 credits each"
        ("premium_image", json!({}), 5),
        ("premium_image", json!({"detail": "medium"}), 15),
        ("premium_image", high(), 25),
        // "Standard videos: 25 credits each"
        ("standard_video", json!({}), 25),
        // "Premium videos: 50+ credits each"
        ("premium_video", seconds(5), 50),
        ("premium_video", seconds(20), 100),
        // "Image to video: 25-50 credits"
        ("image_to_video", seconds(2), 25),
        ("image_to_video", seconds(8), 40),
        ("image_to_video", seconds(30), 50),
        // "Model training: 100+ credits per model"
        ("model_training", json!({}), 100),
        ("model_training", json!({"size": "large"}), 200),
    ];
    for (operation, attributes, cost) in costs {
        let asked = json!({"operation": operation, "attributes": attributes});
        assert_eq!(story.cost("nina", asked).await, cost, "{operation} {attributes}");
    }
    credits_went_down_more_than_expected(story, high()).await;
}

async fn credits_went_down_more_than_expected(story: &Story, high: Value) {
    // "Check your recent activity for: premium quality generations, multiple variations of the same request, ..." "Review your
    // generation history to understand usage patterns."
    for (operation, quantity, attributes) in [
        ("basic_image", 4, json!({})),
        ("premium_image", 1, high),
        ("image_to_video", 1, json!({"seconds": 6})),
    ] {
        let asked = json!({"operation": operation, "quantity": quantity, "attributes": attributes});
        story.spends("nina", asked).await;
    }
    let history = story.history("nina", "spend").await;
    let activity: Vec<_> = history.iter().map(|s| (text(&s["operation"]), &s["amount"])).collect();
    let expected = [
        ("basic_image", &json!(4)),
        ("premium_image", &json!(25)),
        ("image_to_video", &json!(30)),
    ];
    assert_eq!(activity, expected);
}

pub async fn failed_jobs_are_refunded(story: &Story) {
    // "Failed generations (should be refunded automatically)": a job that fails before it was paid for gives up its hold ...
    legacy_user(story, "paul", "appsumo_tier_1").await;
    let backend = &story.tenant().backend;
    let video = || json!({"operation": "standard_video"});
    let hold = backend.post("/v1/accounts/paul/holds", video()).await.expect(201);
    assert_eq!(story.available("paul").await, 25);
    assert_eq!(daily_limit(story, "paul").await.1, 25);
    let void = format!("/v1/holds/{}/void", text(&hold["id"]));
    backend
        .post(&void, json!({"reason": "rendering failed"}))
        .await
        .expect(201);
    assert_eq!(story.available("paul").await, 50);
    assert_eq!(daily_limit(story, "paul").await.1, 0);

    // ... and one that fails afterwards is refunded, the daily limit too.
    let failed = story.spends("paul", video()).await;
    story.refunds(&failed, "rendering failed").await;
    assert_eq!(story.available("paul").await, 50);
    assert_eq!(daily_limit(story, "paul").await.1, 0);

    // "Poor quality results that don't meet expectations": support gives back a part of a request, and never more than it cost.
    let images = story
        .spends("paul", json!({"operation": "basic_image", "quantity": 4}))
        .await;
    let path = format!("/v1/admin/spends/{}/refunds", text(&images["id"]));
    let blurred = |amount: i64| json!({"amount": amount, "reason": "two of four are blurred"});
    let support = &story.tenant().support;
    support.post(&path, blurred(2)).await.expect(201);
    support
        .post(&path, blurred(3))
        .await
        .refused(422, "refund_exceeds_spend");
    assert_eq!(story.available("paul").await, 48);
    assert_eq!(daily_limit(story, "paul").await.1, 2);
}

pub async fn headroom_goes_back_to_its_day(story: &Story) {
    // "75 credits per day maximum": what fails today and was made yesterday makes no room today.
    story.comes("2040-02-04T23:50:00Z").await;
    let late = json!({"operation": "standard_video"});
    let yesterdays = story.spends("dora", late.clone()).await;
    let backend = &story.tenant().backend;
    let long = json!({"operation": "standard_video", "expires_in_s": 3_600});
    let hold = backend.post("/v1/accounts/dora/holds", long).await.expect(201);
    assert_eq!(daily_limit(story, "dora").await.1, 50);

    story.comes("2040-02-05T00:10:00Z").await;
    let capture = format!("/v1/holds/{}/capture", text(&hold["id"]));
    let captured = backend.post(&capture, json!({})).await.expect(201);
    assert_eq!(daily_limit(story, "dora").await.1, 0, "it was begun yesterday");
    let todays = story.spends("dora", late.clone()).await;
    assert_eq!(daily_limit(story, "dora").await.1, 25);

    let before = story.available("dora").await;
    story.refunds(&yesterdays, "rendering failed").await;
    story.refunds(&captured["spend"], "rendering failed").await;
    assert_eq!(story.available("dora").await, before + 50);
    assert_eq!(daily_limit(story, "dora").await.1, 25, "today's videos alone");
    story.refunds(&todays, "rendering failed").await;
    assert_eq!(daily_limit(story, "dora").await.1, 0);
}

pub async fn a_failure_noticed_after_the_refresh(story: &Story) {
    // "We'd rather give you too many than too few": the month that paid is over, and the credits come back all the same, for
    // the next month of the same purchase.
    legacy_user(story, "quinn", "branding_app").await;
    let bought = json!({"plan": "appsumo_tier_1", "anchor": "2040-06-20T00:00:00Z"});
    story.subscribes("quinn", bought).await;
    story.comes("2040-07-19T23:59:00Z").await;
    let failed = story.spends("quinn", json!({"operation": "standard_video"})).await;
    story.comes("2040-07-20").await;
    story.refunds(&failed, "rendering failed").await;
    assert_eq!(
        story.grants("quinn").await,
        [
            "208 of 208 plan/allocation, 2040-07-07 to 2040-08-07",
            "50 of 50 plan/allocation, 2040-07-20 to 2040-08-20",
            "25 of 25 plan/reissue, 2040-07-20 to 2040-08-20"
        ]
    );
}
