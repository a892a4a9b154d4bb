//! The calendar, over HTTP: cycles that keep to their anchor through short months, leap years and changes of the clocks. One
//! grant's end is always the next one's beginning.

use serde_json::{Value, json};

use crate::calendar_story::{Story, day, instant};

const PLANS: &str = r#"
unit = { name = "credits" }
timezone = "TIMEZONE"

[plans.pro]
billing = ["month", "year"]
allowance = { month = 100, year = 1_200 }

[plans.steady]
billing = ["year", "month"]
refresh = "month"
allowance = 100

[plans.steady.bonus]
credits = { year = 50, month = 1 }

[[caps]]
window = "day"
limit = 10
"#;

async fn in_zone(timezone: &str, begins: &str) -> Story {
    Story::with(&PLANS.replace("TIMEZONE", timezone), begins).await
}

/// Subscribes ahead of time: the subscription begins at its anchor.
async fn from(story: &Story, plan: &str, interval: &str, anchor: &str) -> Value {
    let account = anchor.replace(':', "-");
    let new = json!({"plan": plan, "interval": interval, "anchor": instant(anchor)});
    story.subscribes(&account, new).await
}

/// Where the cycles of such a subscription begin and end.
async fn boundaries(story: &Story, subscription: &Value) -> Vec<String> {
    let account = subscription["account_id"].as_str().expect("an id");
    story.boundaries(account, subscription).await
}

#[tokio::test]
async fn month_ends_are_clamped_and_come_back() {
    let story = in_zone("UTC", "2040-01-01").await;
    let of_29th = from(&story, "pro", "month", "2040-01-29").await;
    let of_30th = from(&story, "pro", "month", "2040-01-30").await;
    let of_31st = from(&story, "pro", "month", "2040-01-31T09:30:00Z").await;
    story.comes("2040-05-01").await;
    assert_eq!(
        boundaries(&story, &of_29th).await,
        ["2040-01-29", "2040-02-29", "2040-03-29", "2040-04-29", "2040-05-29"]
    );
    assert_eq!(
        boundaries(&story, &of_30th).await,
        ["2040-01-30", "2040-02-29", "2040-03-30", "2040-04-30", "2040-05-30"]
    );
    assert_eq!(
        boundaries(&story, &of_31st).await,
        [
            "2040-01-31T09:30:00Z",
            "2040-02-29T09:30:00Z",
            "2040-03-31T09:30:00Z",
            "2040-04-30T09:30:00Z",
            "2040-05-31T09:30:00Z"
        ]
    );
    // A year later February has 28 days.
    story.comes("2041-03-01").await;
    for (subscription, days) in [
        (of_29th, ["2041-01-29", "2041-02-28", "2041-03-29"]),
        (of_30th, ["2041-01-30", "2041-02-28", "2041-03-30"]),
    ] {
        assert_eq!(boundaries(&story, &subscription).await[12..], days);
    }
    story.ends().await;
}

#[tokio::test]
async fn a_29th_of_february_comes_back_every_fourth_year() {
    let story = in_zone("UTC", "2040-02-29").await;
    let leap = from(&story, "pro", "year", "2040-02-29").await;
    story.comes("2044-02-29").await;
    assert_eq!(
        boundaries(&story, &leap).await,
        [
            "2040-02-29",
            "2041-02-28",
            "2042-02-28",
            "2043-02-28",
            "2044-02-29",
            "2045-02-28"
        ]
    );
    story.ends().await;
}

#[tokio::test]
async fn berlin_keeps_its_wall_clock() {
    // UTC+1, and UTC+2 from 2040-03-25 01:00 UTC to 2040-10-28 01:00 UTC.
    let story = in_zone("Europe/Berlin", "2040-02-01").await;
    let at_nine = from(&story, "pro", "month", "2040-02-25T08:00:00Z").await;
    let jumped_over = from(&story, "pro", "month", "2040-02-25T01:30:00Z").await;
    let at_midnight = from(&story, "pro", "month", "2040-02-24T23:00:00Z").await;
    let twice = from(&story, "pro", "month", "2040-09-28T00:30:00Z").await;
    let autumn = from(&story, "pro", "month", "2040-09-28T07:00:00Z").await;

    // A day of 23 hours: the daily limit resets at midnight in Berlin.
    story.comes("2040-03-25T12:00:00Z").await;
    let caps = story.balance("2040-02-25T08-00-00Z").await["caps"].clone();
    assert_eq!(day(&caps[0]["resets_at"]), "2040-03-25T22:00:00Z");

    story.comes("2040-11-01").await;
    assert_eq!(
        boundaries(&story, &at_nine).await[..3],
        ["2040-02-25T08:00:00Z", "2040-03-25T07:00:00Z", "2040-04-25T07:00:00Z"]
    );
    // 02:30 does not exist on March 25th: 03:30 stands for it.
    assert_eq!(
        boundaries(&story, &jumped_over).await[..3],
        ["2040-02-25T01:30:00Z", "2040-03-25T01:30:00Z", "2040-04-25T00:30:00Z"]
    );
    assert_eq!(
        boundaries(&story, &at_midnight).await[..3],
        ["2040-02-24T23:00:00Z", "2040-03-24T23:00:00Z", "2040-04-24T22:00:00Z"]
    );
    assert_eq!(
        boundaries(&story, &autumn).await,
        ["2040-09-28T07:00:00Z", "2040-10-28T08:00:00Z", "2040-11-28T08:00:00Z"]
    );
    // 02:30 comes twice on October 28th: the first time counts.
    assert_eq!(
        boundaries(&story, &twice).await,
        ["2040-09-28T00:30:00Z", "2040-10-28T00:30:00Z", "2040-11-28T01:30:00Z"]
    );
    story.ends().await;
}

#[tokio::test]
async fn auckland_keeps_its_wall_clock() {
    // UTC+13, and UTC+12 from April 1st to September 30th, each at nine in the morning.
    let story = in_zone("Pacific/Auckland", "2040-02-01").await;
    let into_winter = from(&story, "pro", "month", "2040-02-29T20:00:00Z").await;
    let into_summer = from(&story, "pro", "month", "2040-08-29T21:00:00Z").await;
    // The 31st of March in Auckland, while it is still the 30th in UTC.
    let of_31st = from(&story, "pro", "month", "2040-03-30T20:00:00Z").await;
    story.comes("2040-10-15").await;
    assert_eq!(
        boundaries(&story, &into_winter).await[..3],
        ["2040-02-29T20:00:00Z", "2040-03-31T21:00:00Z", "2040-04-30T21:00:00Z"]
    );
    assert_eq!(
        boundaries(&story, &into_summer).await,
        ["2040-08-29T21:00:00Z", "2040-09-29T20:00:00Z", "2040-10-29T20:00:00Z"]
    );
    assert_eq!(
        boundaries(&story, &of_31st).await[..4],
        [
            "2040-03-30T20:00:00Z",
            "2040-04-29T21:00:00Z",
            "2040-05-30T21:00:00Z",
            "2040-06-29T21:00:00Z"
        ]
    );
    story.ends().await;
}

#[tokio::test]
async fn a_year_that_is_paid_at_once_is_refreshed_by_the_month() {
    let story = in_zone("UTC", "2040-01-01").await;
    let year = from(&story, "steady", "year", "2040-01-31").await;
    story.comes("2040-03-31").await;
    let now = story.subscription(&year).await;
    let cycle = |which: &str| [&now[which]["starts_at"], &now[which]["ends_at"]].map(|at| day(at).to_owned());
    assert_eq!(cycle("refresh_cycle"), ["2040-03-31", "2040-04-30"]);
    assert_eq!(cycle("billing_cycle"), ["2040-01-31", "2041-01-31"]);

    // From the next year on it pays by the month, and the day stays the 31st.
    story.changes(&year, json!({"interval": "month"})).await.expect(200);
    story.comes("2041-03-31").await;
    assert_eq!(
        boundaries(&story, &year).await,
        [
            "2040-01-31",
            "2040-02-29",
            "2040-03-31",
            "2040-04-30",
            "2040-05-31",
            "2040-06-30",
            "2040-07-31",
            "2040-08-31",
            "2040-09-30",
            "2040-10-31",
            "2040-11-30",
            "2040-12-31",
            "2041-01-31",
            "2041-02-28",
            "2041-03-31",
            "2041-04-30"
        ]
    );
    // The bonus came with each payment: one for the year, then one a month.
    let bonuses = story.granted_by("2040-01-31", &year, "balance").await;
    let paid: Vec<_> = bonuses
        .iter()
        .map(|bonus| (day(&bonus["effective_at"]), &bonus["amount"]))
        .collect();
    let (fifty, one) = (json!(50), json!(1));
    assert_eq!(
        paid,
        [
            ("2040-01-31", &fifty),
            ("2041-01-31", &one),
            ("2041-02-28", &one),
            ("2041-03-31", &one)
        ]
    );

    // Cancelled, it runs to the end of what is paid for.
    let cancelled = story.cancels(&year).await;
    assert_eq!(day(&cancelled["ends_at"]), "2041-04-30");
    story.ends().await;
}
