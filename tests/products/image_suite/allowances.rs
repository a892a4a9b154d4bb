//! "When Credits Don't Add Up": legacy products, subscriptions, and the day on which their credits refresh.

use serde_json::{Value, json};

use crate::calendar_story::{Story, day, instant, list, paid_with, text};

/// What Olga bought: the product, what it gives a month, and the day on which she signed up.
const BOUGHT: [(&str, i64, &str); 6] = [
    ("branding_app", 208, "2039-10-31"),
    ("appsumo_tier_3", 167, "2039-11-30"),
    ("appsumo_tier_2", 100, "2039-12-29"),
    ("appsumo_tier_1", 50, "2040-01-15"),
    ("zsuite", 42, "2039-03-07"),
    ("legacy_other", 21, "2036-02-29"),
];

pub async fn several_purchases_add_up(story: &Story) -> Vec<Value> {
    // "If you bought multiple legacy products, you should get credits for each: each purchase counts separately, credits should
    // add together."
    let mut purchases = Vec::new();
    for (product, _, signed_up) in BOUGHT {
        let bought = json!({"plan": product, "anchor": instant(signed_up)});
        purchases.push(story.subscribes("olga", bought).await);
    }
    assert_eq!(story.available("olga").await, 208 + 167 + 100 + 50 + 42 + 21);

    // Each is in the middle of its own month, and what ends first is spent first.
    assert_eq!(
        story.grants("olga").await,
        [
            "100 of 100 plan/allocation, 2040-01-15 to 2040-01-29",
            "21 of 21 plan/allocation, 2040-01-15 to 2040-01-29",
            "167 of 167 plan/allocation, 2040-01-15 to 2040-01-30",
            "208 of 208 plan/allocation, 2040-01-15 to 2040-01-31",
            "42 of 42 plan/allocation, 2040-01-15 to 2040-02-07",
            "50 of 50 plan/allocation, 2040-01-15 to 2040-02-15",
        ]
    );

    // A refresh touches only the credits of its own purchase.
    story.spends("olga", json!({"amount": 70})).await;
    story.comes("2040-01-16").await;
    let spend = story.spends("olga", json!({"amount": 60})).await;
    assert_eq!(paid_with(&spend), [("plan", 30), ("plan", 21), ("plan", 9)]);
    story.comes("2040-01-29").await;
    assert_eq!(story.available("olga").await, 588 - 9);
    story.comes("2040-01-30").await;
    assert_eq!(story.available("olga").await, 588);
    purchases
}

pub async fn the_table_of_legacy_products(story: &Story) {
    // "Expected Credits by Product": "If doesn't match: we'll correct it."
    for (product, credits, _) in BOUGHT {
        let account = format!("owner-of-{product}");
        story.subscribes(&account, json!({"plan": product})).await;
        assert_eq!(story.available(&account).await, credits, "{product}");
    }
}

/// On which day of the month Olga's credits of each product ended, from January 2040 to April 2041.
const LAST_DAYS: [&str; 6] = [
    "31 29 31 30 31 30 31 31 30 31 30 31 31 28 31 30",
    "30 29 30 30 30 30 30 30 30 30 30 30 30 28 30 30",
    "29 29 29 29 29 29 29 29 29 29 29 29 29 28 29 29",
    "15 15 15 15 15 15 15 15 15 15 15 15 15 15 15",
    "07 07 07 07 07 07 07 07 07 07 07 07 07 07 07",
    "29 29 29 29 29 29 29 29 29 29 29 29 29 28 29 29",
];

pub async fn every_purchase_kept_its_own_day(story: &Story, purchases: &[Value]) {
    // "Check: credits refresh on your billing date, not the calendar month." In a month without that day: on its last.
    for ((purchase, (product, credits, _)), expected) in purchases.iter().zip(BOUGHT).zip(LAST_DAYS) {
        let grants = story.granted_by("olga", purchase, "plan").await;
        assert!(grants.iter().all(|grant| grant["amount"] == credits), "{product}");
        let boundaries = story.boundaries("olga", purchase).await;
        let last_days: Vec<&str> = boundaries[1..].iter().map(|day| &day[8..]).collect();
        assert_eq!(last_days.join(" "), expected, "{product}");
        assert!(boundaries.last().is_some_and(|day| day.starts_with("2041-04-")));
    }
}

pub async fn not_the_calendar_month(story: &Story) -> (Value, Value) {
    // "Freelancer Plan: 500 credits on your billing date." "Example: Signed up March 7th -> Credits refresh April 7th, May 7th."
    story.comes("2040-03-07").await;
    let fran = story.subscribes("fran", json!({"plan": "freelancer"})).await;
    assert_eq!(story.available("fran").await, 500);
    for (refresh, next) in [("2040-04-07", "2040-05-07"), ("2040-05-07", "2040-06-07")] {
        story.spends("fran", json!({"amount": 150})).await;
        let announced = story.balance("fran").await["next_refresh"].clone();
        assert_eq!((day(&announced["at"]), &announced["amount"]), (refresh, &json!(500)));
        story.comes(refresh).await;
        let fresh = format!("500 of 500 plan/allocation, {refresh} to {next}");
        assert_eq!(story.grants("fran").await, [fresh]);
    }

    // "Agency Plan: 1,500 credits on your billing date." "If you signed up Jan 15th, credits refresh the 15th of each month."
    let signed_up = json!({"plan": "agency", "anchor": "2040-01-15T00:00:00Z"});
    let agnes = story.subscribes("agnes", signed_up).await;
    assert_eq!(
        story.grants("agnes").await,
        ["1500 of 1500 plan/allocation, 2040-05-07 to 2040-05-15"]
    );
    (fran, agnes)
}

pub async fn a_year_of_fifteenths(story: &Story, agnes: &Value) {
    let grants = story.granted_by("agnes", agnes, "plan").await;
    assert!(grants.iter().all(|grant| grant["amount"] == 1_500));
    let boundaries = story.boundaries("agnes", agnes).await;
    assert_eq!(boundaries.len(), 13);
    assert!(boundaries[1..].iter().all(|day| day.ends_with("-15")), "{boundaries:?}");
}

pub async fn upgrade_and_downgrade(story: &Story, fran: &Value) {
    // "I upgraded but credits didn't increase": they do at once, by the difference.
    story.comes("2040-05-20").await;
    story.spends("fran", json!({"amount": 100})).await;
    let upgraded = story.changes(fran, json!({"plan": "agency"})).await.expect(200);
    assert_eq!(
        (text(&upgraded["plan"]), &upgraded["pending"]),
        ("agency", &Value::Null)
    );
    assert_eq!(
        story.grants("fran").await,
        [
            "400 of 500 plan/allocation, 2040-05-07 to 2040-06-07",
            "1000 of 1000 plan/allocation, 2040-05-20 to 2040-06-07"
        ]
    );
    story.comes("2040-06-07").await;
    assert_eq!(story.available("fran").await, 1_500);

    // Down again: what is paid for stays, until the billing date.
    let downgraded = story.changes(fran, json!({"plan": "freelancer"})).await.expect(200);
    assert_eq!(
        (text(&downgraded["plan"]), text(&downgraded["pending"]["plan"])),
        ("agency", "freelancer")
    );
    assert_eq!(list(&downgraded["granted"]).len(), 0);
    story.comes("2040-07-06T23:59:59Z").await;
    assert_eq!(story.available("fran").await, 1_500);
    let announced = story.balance("fran").await["next_refresh"]["amount"].clone();
    assert_eq!(announced, 500);
    story.comes("2040-07-07").await;
    assert_eq!(story.available("fran").await, 500);
}
