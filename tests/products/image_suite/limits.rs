//! "Daily Limits vs Monthly Credits".

use serde_json::{Value, json};

use super::legacy_user;
use crate::calendar_story::{Story, day, text};

/// What the page shows of the daily limit: the limit, what is used of it, and when it resets.
pub async fn daily_limit(story: &Story, account: &str) -> (i64, i64, String) {
    let caps = story.balance(account).await["caps"].clone();
    assert_eq!(text(&caps[0]["window"]), "day");
    let number = |field: &str| caps[0][field].as_i64().expect("a number");
    (number("limit"), number("used"), day(&caps[0]["resets_at"]).to_owned())
}

fn image() -> Value {
    json!({"operation": "basic_image"})
}

pub async fn legacy_users_have_75_a_day(story: &Story) {
    story.comes("2040-02-01T09:00:00Z").await;
    legacy_user(story, "dora", "appsumo_tier_3").await;
    story
        .spends("dora", json!({"operation": "standard_video", "quantity": 3}))
        .await;

    // "I have monthly credits but can't use them": "check if you've hit your daily limit. Legacy users: 75 credits per day
    // maximum."
    assert_eq!(story.available("dora").await, 167 - 75);
    let refusal = story.tries("dora", image()).await.refused(403, "cap_exceeded");
    assert_eq!(
        (&refusal["limit"], &refusal["used"], text(&refusal["window"])),
        (&json!(75), &json!(75), "day")
    );

    // "Limit resets at midnight UTC."
    assert_eq!(day(&refusal["resets_at"]), "2040-02-02");
    story.comes("2040-02-01T23:59:59Z").await;
    story.tries("dora", image()).await.refused(403, "cap_exceeded");
    story.comes("2040-02-02").await;
    story.spends("dora", image()).await;
    assert_eq!(daily_limit(story, "dora").await, (75, 1, "2040-02-03".to_owned()));
}

pub async fn training_costs_more_than_a_day(story: &Story) {
    // "Model training: 100+ credits per model", and "75 credits per day maximum": a model may be trained on a day on which
    // nothing else is made.
    let train = || json!({"operation": "model_training"});
    legacy_user(story, "tom", "branding_app").await;
    story.spends("tom", image()).await;
    let refusal = story.tries("tom", train()).await.refused(403, "cap_exceeded");
    assert_eq!((&refusal["needed"], &refusal["used"]), (&json!(100), &json!(1)));

    story.comes("2040-02-03").await;
    story.spends("tom", train()).await;
    assert_eq!(daily_limit(story, "tom").await, (75, 100, "2040-02-04".to_owned()));
    story.tries("tom", image()).await.refused(403, "cap_exceeded");
    story.tries("tom", train()).await.refused(403, "cap_exceeded");

    // A hundred images are no single job that could never fit: they are a hundred, and the limit is for such.
    story.comes("2040-02-04").await;
    let images = json!({"operation": "basic_image", "quantity": 100});
    story.tries("tom", images).await.refused(403, "exceeds_cap_ever");
    let second = story.spends("tom", train()).await;
    assert_eq!(second["available_after"], 208 - 1 - 100 - 100);

    // "Subscription users: usually higher limits": theirs give way to one larger job in the same manner.
    story.subscribes("fred", json!({"plan": "freelancer"})).await;
    let long = json!({"operation": "premium_video", "attributes": {"seconds": 45}});
    let video = story.spends("fred", long).await;
    assert_eq!(video["amount"], 225);
    assert_eq!(daily_limit(story, "fred").await, (200, 225, "2040-02-05".to_owned()));
}

pub async fn the_agency_plan_raises_the_limit(story: &Story) {
    // "Need higher daily limits? Upgrade to Agency plan ..."
    story.comes("2040-02-10T08:00:00Z").await;
    legacy_user(story, "lena", "appsumo_tier_2").await;
    story.spends("lena", json!({"amount": 75})).await;
    story.tries("lena", image()).await.refused(403, "cap_exceeded");
    story.subscribes("lena", json!({"plan": "agency"})).await;
    assert_eq!(daily_limit(story, "lena").await, (500, 75, "2040-02-11".to_owned()));
    assert_eq!(story.available("lena").await, 25 + 1_500);
    story.spends("lena", json!({"amount": 425})).await;
    let refusal = story.tries("lena", image()).await.refused(403, "cap_exceeded");
    assert_eq!(refusal["limit"], 500);

    let lou = story.subscribes("lou", json!({"plan": "freelancer"})).await;
    assert_eq!(daily_limit(story, "lou").await.0, 200);
    story.changes(&lou, json!({"plan": "agency"})).await.expect(200);
    assert_eq!(daily_limit(story, "lou").await.0, 500);
    story.changes(&lou, json!({"plan": "freelancer"})).await.expect(200);
    assert_eq!(daily_limit(story, "lou").await.0, 500);
}

pub async fn support_raises_the_limit(story: &Story) {
    // "... or contact support for special cases."
    legacy_user(story, "mia", "branding_app").await;
    story.spends("mia", json!({"amount": 75})).await;
    let path = "/v1/admin/accounts/mia/caps";
    let raised = |dry_run: bool| {
        let cap = json!({"window": "day", "limit": 150, "until": "2040-02-12T00:00:00Z"});
        json!({"caps": [cap], "reason": "Her exhibition opens on Sunday", "ticket": "T-75", "dry_run": dry_run})
    };
    let support = &story.tenant().support;
    support.put(path, raised(true)).await.expect(200);
    assert_eq!(daily_limit(story, "mia").await.0, 75);
    let set = support.put(path, raised(false)).await.expect(200);
    assert_eq!(set["actor"], "Sam");
    assert_eq!(daily_limit(story, "mia").await, (150, 75, "2040-02-11".to_owned()));
    story.spends("mia", json!({"amount": 75})).await;
    let refusal = story.tries("mia", image()).await.refused(403, "cap_exceeded");
    assert_eq!((&refusal["limit"], &refusal["used"]), (&json!(150), &json!(150)));

    // A limit that is raised by little still lets a model be trained.
    legacy_user(story, "max", "branding_app").await;
    let little = json!({"caps": [{"window": "day", "limit": 90}], "reason": "A good customer"});
    let raised = support.put("/v1/admin/accounts/max/caps", little).await.expect(200);
    assert_eq!(raised["caps"][0]["limit"], 90);
    story.spends("max", json!({"operation": "model_training"})).await;
    assert_eq!(daily_limit(story, "max").await, (90, 100, "2040-02-11".to_owned()));

    // It is known who did it and why, and it ends by itself.
    let log = support.get("/v1/admin/audit_log").await.expect(200);
    let done = &log["data"][1];
    assert_eq!(
        (text(&done["actor"]), text(&done["action"]), text(&done["reason"])),
        ("Sam", "account.set_caps", "Her exhibition opens on Sunday")
    );
    story.comes("2040-02-11T23:59:59Z").await;
    assert_eq!(daily_limit(story, "mia").await, (150, 0, "2040-02-12".to_owned()));
    story.comes("2040-02-12").await;
    assert_eq!(daily_limit(story, "mia").await, (75, 0, "2040-02-13".to_owned()));
}
