//! "Special Situations", and the page that the user sees.

use serde_json::json;

use super::{legacy_user, limits::daily_limit};
use crate::calendar_story::{Story, day, list, text};

pub async fn bonus_programs(story: &Story) {
    // "We regularly give bonus credits for: beta testing new features, bug reporting and feedback, platform downtime
    // compensation, account issues (like activation problems)."
    story.comes("2040-08-12").await;
    legacy_user(story, "rita", "appsumo_tier_1").await;
    let october = "2040-10-01T00:00:00Z";
    for (reason, bonus) in [
        ("bug reported", json!({"origin": "bonus", "amount": 20, "priority": 10})),
        ("downtime", json!({"origin": "compensation", "amount": 30})),
        ("activation failed", json!({"origin": "adjustment", "amount": 10})),
        (
            "beta testing",
            json!({"origin": "bonus", "amount": 40, "expires_at": october}),
        ),
        (
            "launch of premium video",
            json!({"origin": "promotion", "amount": 60, "priority": -1, "applies_to": ["premium_video"]}),
        ),
    ] {
        let mut grant = json!({"class": "balance", "reason": reason});
        let fields = bonus.as_object().expect("fields").clone();
        grant.as_object_mut().expect("fields").extend(fields);
        story.tenant().grant("rita", grant).await;
    }

    // The month's credits go first, then what has the lower priority, then what ends soon.
    assert_eq!(
        story.grants("rita").await,
        [
            "50 of 50 plan/allocation, 2040-08-12 to 2040-09-12",
            "60 of 60 balance/promotion, 2040-08-12 to never",
            "40 of 40 balance/bonus, 2040-08-12 to 2040-10-01",
            "30 of 30 balance/compensation, 2040-08-12 to never",
            "10 of 10 balance/adjustment, 2040-08-12 to never",
            "20 of 20 balance/bonus, 2040-08-12 to never"
        ]
    );
    story
        .spends("rita", json!({"operation": "premium_image", "quantity": 14}))
        .await;
    assert_eq!(
        story.grants("rita").await[..2],
        [
            "60 of 60 balance/promotion, 2040-08-12 to never",
            "20 of 40 balance/bonus, 2040-08-12 to 2040-10-01"
        ]
    );
    bonus_credits_under_the_daily_limit(story).await;
}

async fn bonus_credits_under_the_daily_limit(story: &Story) {
    // "75 credits per day maximum": bonus or not.
    let video = json!({"operation": "premium_video", "attributes": {"seconds": 14}});
    story.tries("rita", video.clone()).await.refused(403, "cap_exceeded");
    story.comes("2040-08-13").await;
    story.spends("rita", video).await;

    // The month's end leaves them alone.
    story.comes("2040-09-12").await;
    let balance = story.balance("rita").await;
    assert_eq!(
        balance["by_class"],
        json!({"plan": 50, "addon": 0, "balance": 10 + 30 + 10 + 20})
    );
}

pub async fn education_and_charity(story: &Story) {
    // "We offer special credit arrangements for: educational institutions, registered charities, students and teachers,
    // community organizations."
    let school = json!({"plan": "charity_education"});
    story.subscribes("school", school).await;
    assert_eq!(story.available("school").await, 250);
    assert_eq!(daily_limit(story, "school").await.0, 75);
    story.spends("school", json!({"amount": 75})).await;
    story.comes("2040-10-12").await;
    assert_eq!(story.available("school").await, 250);
}

pub async fn the_page_that_the_user_sees(story: &Story) {
    // "Click on Plan & Credits": "your current plan information" ...
    story.comes("2040-08-07").await;
    story
        .spends(
            "fran",
            json!({"operation": "premium_video", "attributes": {"seconds": 24}}),
        )
        .await;
    let read = &story.tenant().read;
    let page = read.get("/v1/accounts/fran/subscriptions").await.expect(200);
    assert_eq!(
        (text(&page["data"][0]["plan"]), text(&page["data"][0]["status"])),
        ("freelancer", "active")
    );

    // ... "monthly credit allocation, current balance and usage, billing/refresh date, daily limits and restrictions."
    let balance = story.balance("fran").await;
    let allocation = &list(&balance["grants"])[0];
    assert_eq!(
        (&allocation["amount"], text(&allocation["origin"])),
        (&json!(500), "allocation")
    );
    assert_eq!(
        (&balance["total"], &balance["used"], &balance["available"]),
        (&json!(500), &json!(120), &json!(380))
    );
    let refresh = &balance["next_refresh"];
    assert_eq!((day(&refresh["at"]), &refresh["amount"]), ("2040-09-07", &json!(500)));
    assert_eq!(daily_limit(story, "fran").await, (200, 120, "2040-08-08".to_owned()));
}
