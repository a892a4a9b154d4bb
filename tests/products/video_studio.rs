//! The video studio (reference product 3): its help page on generative credits, from January 2040 to January 2041.
//!
//! Lines of the page that come with later issues:
//! - "The charge will be billed to your existing payment method", "the system will calculate the new monthly charge" (Stripe's
//!   own subscriptions): the plans of examples/programs/video-studio.toml are renewed by the clock; where Stripe collects,
//!   `renewal = "stripe"` takes its place, and nothing else changes. The price of a unit stands in the program already, and
//!   what was paid on every grant of units.
//! - "Click your profile icon", "open Billing", the plus and minus buttons: the product's own pages. What they show is here.

use serde_json::{Value, json};

use crate::calendar_story::{Story, day, in_words, list, paid_with, text};

#[tokio::test]
async fn a_year_at_the_video_studio() {
    let story = Story::of("video-studio", "2040-01-15").await;
    // Anna pays by the month, Yuri by the year.
    let anna = story.subscribes("anna", json!({"plan": "basic"})).await;
    let yuri = story
        .subscribes("yuri", json!({"plan": "basic", "interval": "year"}))
        .await;
    credits_are_applied_immediately(&story, &anna, &yuri).await;
    credits_reset_with_the_billing_cycle(&story).await;
    credits_are_consumed_by_number_and_type_of_assets(&story).await;
    units_of_the_basic_plan_are_one_users(&story, &anna).await;
    units_do_not_roll_over(&story, &anna).await;
    units_of_the_team_plan_are_shared(&story).await;
    let beas = units_pay_for_a_job_of_beas(&story).await;
    units_can_be_removed_at_any_time(&story, &anna).await;
    units_that_come_back_stay_one_users(&story, &beas).await;
    units_of_a_year_can_be_removed_too(&story, &yuri).await;
    units_end_with_the_main_subscription(&story, &anna).await;
    units_require_an_active_subscription(&story, &anna).await;
    a_year_resets_when_it_is_over(&story, &yuri).await;
    story.ends().await;
}

/// What came with a change of a subscription.
fn granted(change: &Value) -> Vec<String> {
    list(&change["granted"]).iter().map(in_words).collect()
}

fn usd(cents: i64) -> Value {
    json!({"amount": cents, "currency": "USD"})
}

async fn credits_are_applied_immediately(story: &Story, anna: &Value, yuri: &Value) {
    // "Credits are applied immediately ..."
    assert_eq!(granted(anna), ["120 of 120 plan/allocation, 2040-01-15 to 2040-02-15"]);
    assert_eq!(
        granted(yuri),
        ["1440 of 1440 plan/allocation, 2040-01-15 to 2041-01-15"]
    );
    assert_eq!(story.available("anna").await, 120);

    // "In the Billing section, you'll see your current plan, renewal date, and any existing add-ons."
    let billing = story.subscription(anna).await;
    assert_eq!((text(&billing["plan"]), &billing["units"]), ("basic", &json!(0)));
    assert_eq!(day(&billing["billing_cycle"]["ends_at"]), "2040-02-15");
}

async fn credits_reset_with_the_billing_cycle(story: &Story) {
    story.spends("anna", json!({"amount": 50})).await;
    story.spends("yuri", json!({"amount": 50})).await;
    story.comes("2040-02-14T23:59:59Z").await;
    assert_eq!(story.available("anna").await, 70);

    // "... and reset monthly ..."
    story.comes("2040-02-15").await;
    assert_eq!(
        story.grants("anna").await,
        ["120 of 120 plan/allocation, 2040-02-15 to 2040-03-15"]
    );
    let lapsed = &story.history("anna", "expiry").await[0];
    assert_eq!(
        (&lapsed["amount"], day(&lapsed["effective_at"])),
        (&json!(70), "2040-02-15")
    );

    // "... or annually depending on your billing cycle." Yuri's year goes on.
    assert_eq!(
        story.grants("yuri").await,
        ["1390 of 1440 plan/allocation, 2040-01-15 to 2041-01-15"]
    );
}

async fn credits_are_consumed_by_number_and_type_of_assets(story: &Story) {
    // "They're required when using certain generative media features and are consumed based on the number and type of assets
    // generated."
    let settings = [
        (json!({"operation": "generate_image"}), 2),
        (json!({"operation": "generate_image", "quantity": 3}), 6),
        (
            json!({"operation": "generate_image", "quantity": 3, "attributes": {"quality": "high"}}),
            12,
        ),
        (
            json!({"operation": "generate_video", "attributes": {"seconds": 30}}),
            60,
        ),
        (
            json!({"operation": "generate_video", "attributes": {"seconds": 30, "quality": "high"}}),
            120,
        ),
        (json!({"operation": "generate_voice", "attributes": {"seconds": 31}}), 4),
    ];
    for (asked, cost) in settings {
        assert_eq!(story.cost("anna", asked.clone()).await, cost, "{asked}");
    }

    // "Each time you request generative content, credits are automatically applied depending on the settings you choose."
    let images = story
        .spends("anna", json!({"operation": "generate_image", "quantity": 3}))
        .await;
    assert_eq!(
        (&images["amount"], &images["available_after"]),
        (&json!(6), &json!(114))
    );
}

async fn units_of_the_basic_plan_are_one_users(story: &Story, anna: &Value) {
    // "Use the plus or minus buttons to adjust the number of units." "Basic Plan: 1 unit = 60 credits = $10 per user."
    // "The credits will be added to your account immediately."
    story.comes("2040-02-20").await;
    let first = story.changes(anna, json!({"units": 1})).await.expect(200);
    assert_eq!(
        granted(&first),
        ["60 of 60 addon/addon_units, 2040-02-20 to 2040-03-15"]
    );
    assert_eq!(first["granted"][0]["paid"], usd(1_000));
    let two_more = story.changes(anna, json!({"units": 3})).await.expect(200);
    assert_eq!(
        granted(&two_more),
        ["120 of 120 addon/addon_units, 2040-02-20 to 2040-03-15"]
    );
    assert_eq!(two_more["granted"][0]["paid"], usd(2_000));
    assert_eq!(story.available("anna").await, 114 + 180);

    // "Per user": Ben, to whom Anna lends her account, has what the plan gives, and not her units.
    let bens = json!({"amount": 115, "member": "ben"});
    let refusal = story.tries("anna", bens).await.refused(402, "insufficient_credits");
    assert_eq!((&refusal["needed"], &refusal["available"]), (&json!(115), &json!(114)));
    let annas = story.spends("anna", json!({"amount": 115, "member": "anna"})).await;
    assert_eq!(paid_with(&annas), [("plan", 114), ("addon", 1)]);
}

async fn units_do_not_roll_over(story: &Story, anna: &Value) {
    // "Add-ons (...) do not roll over to the next billing period." "Billed monthly": three units cost $30.
    assert_eq!(story.of_class("anna", "addon").await, 179);
    story.comes("2040-03-15").await;
    assert_eq!(
        story.grants("anna").await,
        [
            "120 of 120 plan/allocation, 2040-03-15 to 2040-04-15",
            "180 of 180 addon/addon_units, 2040-03-15 to 2040-04-15"
        ]
    );
    let units = story.granted_by("anna", anna, "addon").await;
    let paid: Vec<&Value> = units.iter().map(|grant| &grant["paid"]).collect();
    assert_eq!(paid, [&usd(1_000), &usd(2_000), &usd(3_000)]);

    // "Add-ons are non-refundable": they are no purchase in Scrip, which therefore has no money to give back.
    let purchases = story
        .tenant()
        .backend
        .get("/v1/accounts/anna/top_ups")
        .await
        .expect(200);
    assert_eq!(purchases["data"], json!([]));
}

async fn units_of_the_team_plan_are_shared(story: &Story) {
    // "Team Plan: 1 unit = 200 credits = $30 (shared across your workspace)."
    story.comes("2040-03-20").await;
    let team = story.subscribes("studio", json!({"plan": "team", "units": 2})).await;
    assert_eq!(
        granted(&team),
        [
            "600 of 600 plan/allocation, 2040-03-20 to 2040-04-20",
            "400 of 400 addon/addon_units, 2040-03-20 to 2040-04-20"
        ]
    );
    assert_eq!(team["granted"][1]["paid"], usd(6_000));
    let carol = story.spends("studio", json!({"amount": 650, "member": "carol"})).await;
    assert_eq!(paid_with(&carol), [("plan", 600), ("addon", 50)]);
    let dan = story.spends("studio", json!({"amount": 350, "member": "dan"})).await;
    assert_eq!(paid_with(&dan), [("addon", 350)]);

    // Who in the workspace spent what stays known.
    let spends = story.history("studio", "spend").await;
    let by: Vec<_> = spends.iter().map(|s| (text(&s["member"]), &s["amount"])).collect();
    assert_eq!(by, [("carol", &json!(650)), ("dan", &json!(350))]);

    // The studio will have Basic next month. A unit that it adds meanwhile is one of Team, and there immediately.
    story.changes(&team, json!({"plan": "basic"})).await.expect(200);
    let added = story.changes(&team, json!({"units": 3})).await.expect(200);
    assert_eq!(
        granted(&added),
        ["200 of 200 addon/addon_units, 2040-03-20 to 2040-04-20"]
    );
    assert_eq!(
        added["pending"],
        json!({"plan": "basic", "interval": "month", "units": 3})
    );
    let stays = story.changes(&team, json!({"plan": "team"})).await.expect(200);
    assert_eq!((&stays["pending"], &stays["granted"]), (&Value::Null, &json!([])));
}

async fn units_pay_for_a_job_of_beas(story: &Story) -> Value {
    story.subscribes("bea", json!({"plan": "basic", "units": 1})).await;
    story.comes("2040-03-21").await;
    story.spends("bea", json!({"amount": 180})).await
}

async fn units_that_come_back_stay_one_users(story: &Story, beas: &Value) {
    // "Per user": Bea's job of last month has failed. What her unit paid comes back to her, and not to Ben.
    story.comes("2040-04-20").await;
    story.refunds(beas, "rendering failed").await;
    assert_eq!(
        story.grants("bea").await[2..],
        [
            "60 of 60 addon/addon_units, 2040-04-20 to 2040-05-20",
            "60 of 60 addon/reissue, 2040-04-20 to 2040-05-20"
        ]
    );
    let bens = json!({"amount": 241, "member": "ben"});
    let refusal = story.tries("bea", bens).await.refused(402, "insufficient_credits");
    assert_eq!(refusal["available"], 120 + 120);
}

async fn units_can_be_removed_at_any_time(story: &Story, anna: &Value) {
    // "You can remove units at any time. This does not affect your current billing cycle. Your remaining credits will stay
    // active until the end of the period ..."
    let removed = story.changes(anna, json!({"units": 1})).await.expect(200);
    assert_eq!(
        (&removed["units"], &removed["pending"]["units"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(granted(&removed), Vec::<String>::new());
    assert_eq!(story.of_class("anna", "addon").await, 180);

    // Anna thinks better of it twice. What she has already is not granted anew.
    let kept = story.changes(anna, json!({"units": 3})).await.expect(200);
    assert_eq!((&kept["pending"], &kept["granted"]), (&Value::Null, &json!([])));
    story.changes(anna, json!({"units": 1})).await.expect(200);
    story.comes("2040-04-14T23:59:59Z").await;
    assert_eq!(story.of_class("anna", "addon").await, 180);

    // "... and the change will take effect in the next cycle."
    story.comes("2040-04-15").await;
    assert_eq!(
        story.grants("anna").await[1],
        "60 of 60 addon/addon_units, 2040-04-15 to 2040-05-15"
    );
    assert_eq!(story.balance("anna").await["grants"][1]["paid"], usd(1_000));
    assert_eq!(story.subscription(anna).await["units"], 1);
}

async fn units_of_a_year_can_be_removed_too(story: &Story, yuri: &Value) {
    let added = story.changes(yuri, json!({"units": 2})).await.expect(200);
    assert_eq!(
        granted(&added),
        ["120 of 120 addon/addon_units, 2040-04-20 to 2041-01-15"]
    );
    story.changes(yuri, json!({"units": 0})).await.expect(200);
    assert_eq!(story.of_class("yuri", "addon").await, 120);
}

async fn units_end_with_the_main_subscription(story: &Story, anna: &Value) {
    // "If your main subscription is canceled, any add-ons will also be automatically canceled at the end of the current
    // period."
    let cancelled = story.cancels(anna).await;
    assert_eq!(
        (text(&cancelled["status"]), day(&cancelled["ends_at"])),
        ("cancelled", "2040-05-15")
    );
    let more = story.changes(anna, json!({"units": 5})).await;
    more.refused(409, "subscription_already_cancelled");
    let balance = story.balance("anna").await;
    assert_eq!(
        (&balance["available"], &balance["next_refresh"]),
        (&json!(180), &Value::Null)
    );
    story.comes("2040-05-14T23:59:59Z").await;
    story.spends("anna", json!({"amount": 170})).await;

    story.comes("2040-05-15").await;
    assert_eq!(story.subscription(anna).await["status"], "ended");
    assert_eq!(story.grants("anna").await, Vec::<String>::new());
    let refusal = story.tries("anna", json!({"amount": 1})).await;
    refusal.refused(402, "insufficient_credits");
}

async fn units_require_an_active_subscription(story: &Story, anna: &Value) {
    // "Add-ons require an active AI Studios subscription to remain in effect."
    let units = story.changes(anna, json!({"units": 1})).await;
    units.refused(409, "subscription_ended");

    // Add-on credits that are given to Anna all the same lie frozen until she subscribes again.
    let given = json!({"class": "addon", "origin": "promotion", "amount": 60, "expires_at": "2040-07-01T00:00:00Z"});
    story.tenant().grant("anna", given).await;
    let balance = story.balance("anna").await;
    assert_eq!((&balance["available"], &balance["frozen"]), (&json!(0), &json!(60)));
    let refusal = story
        .tries("anna", json!({"amount": 60}))
        .await
        .refused(403, "gate_closed");
    assert_eq!(
        (&refusal["requires"], &refusal["frozen"]),
        (&json!("subscription"), &json!(60))
    );
    story.comes("2040-06-10").await;
    story.subscribes("anna", json!({"plan": "basic"})).await;
    assert_eq!(
        story.grants("anna").await,
        [
            "120 of 120 plan/allocation, 2040-06-10 to 2040-07-10",
            "60 of 60 addon/promotion, 2040-05-15 to 2040-07-01"
        ]
    );
    assert_eq!(story.available("anna").await, 180);
}

async fn a_year_resets_when_it_is_over(story: &Story, yuri: &Value) {
    // "Your remaining credits will stay active until the end of the period": for a year's units, of the year.
    story.comes("2041-01-14T23:59:59Z").await;
    assert_eq!(story.available("yuri").await, 1_390 + 120);

    // "Credits (...) reset (...) annually": what is left of the year is gone, and so are the units.
    story.comes("2041-01-15").await;
    assert_eq!(
        story.grants("yuri").await,
        ["1440 of 1440 plan/allocation, 2041-01-15 to 2042-01-15"]
    );
    let years = story.granted_by("yuri", yuri, "plan").await;
    assert_eq!((years.len(), &years[0]["expires_at"]), (2, &years[1]["effective_at"]));

    // Anna's new subscription was renewed on the 10th of every month meanwhile.
    assert_eq!(
        story.grants("anna").await,
        ["120 of 120 plan/allocation, 2041-01-10 to 2041-02-10"]
    );
}
