//! Reference product 5, the cloud assistant: its page "Buy Add-On Credits", lived through for 14 months.
//!
//! What comes with later issues, and where the program file leaves room for it:
//!
//! - Saved cards ("Confirm the payment using your saved payment method", "Payment is processed using the payment method saved
//!   on your account"): packs and `custom_amounts` do not say how they are paid. Here all go to Checkout.
//! - Stripe's own subscriptions: the paid plans' `renewal` is `clock`, time alone. With `stripe` in its place `invoice.paid`
//!   renews them, on the same days. Free stays with the clock.
//! - The page knows no auto-recharge. It would buy the file's packs, behind the same `gates.purchase`.
//! - Compensation and audits: the page promises none, and the file names none.
//!
//! The page's clicks ("navigate to Settings -> Billing & Subscription -> Buy Credit", ...) are the product's own pages.

use serde_json::{Value, json};

use super::story::{Story, a_second_before, drawn, shows};

/// It begins on the Free plan.
const ACME: &str = "acme";
/// On Pro from the last day of a month on.
const GLOBEX: &str = "globex";

#[tokio::test]
async fn cloud_assistant() {
    let story = Story::of("cloud-assistant").await;
    exclusively_on_paid_plans(&story).await;
    quick_select(&story).await;
    custom_amount(&story).await;
    credit_usage_panel(&story).await;
    only_after_your_plan_credits(&story).await;
    until_the_cycle_ends(&story).await;
    a_question_under_way(&story).await;
    a_late_payment(&story).await;
    a_year_of_cycles(&story).await;
    back_on_the_free_plan(&story).await;
    story.ends().await;
}

/// A question that costs this much.
fn question(cost: i64) -> Value {
    json!({"operation": "ask_assistant", "attributes": {"input_units": cost, "output_units": 0}})
}

fn cents(amount: i64) -> Value {
    json!({"money": {"amount": amount, "currency": "USD"}})
}

fn pack(name: &str) -> Value {
    json!({"pack": name})
}

/// The Credit Usage panel: Total, Used, Remaining.
fn panel(total: i64, used: i64, remaining: i64) -> Value {
    json!({"total": total, "used": used, "remaining": remaining})
}

async fn may_not_buy(story: &Story, account: &str) {
    for what in [pack("usd_100"), cents(25_000)] {
        let refused = story.orders(account, what).await.refused(403, "gate_closed");
        assert_eq!(refused["requires"], "paid_subscription");
    }
}

async fn exclusively_on_paid_plans(story: &Story) {
    for account in [ACME, GLOBEX] {
        story.tenant().account(account).await;
    }
    // "Credits power every interaction with the Wanclouds AI Assistant", on the Free plan too.
    let free = story.subscribes(ACME, json!({"plan": "free"})).await;
    let answer = json!({"operation": "ask_assistant", "attributes": {"input_units": 10_000, "output_units": 10_000}});
    let spent = story.works(ACME, answer).await;
    assert_eq!(
        (&spent["amount"], drawn(&spent)),
        (&json!(50_000), vec![("plan", 50_000)])
    );

    // "The Buy Credits feature is exclusively available on paid plans. Users on the Free plan must upgrade to a paid
    // subscription in order to purchase add-on credits."
    may_not_buy(story, ACME).await;
    may_not_buy(story, GLOBEX).await;
    story.shows(ACME, panel(200_000, 50_000, 150_000)).await;

    story.comes_to("Y1-01-20").await;
    story.changes(&free, json!({"plan": "pro"})).await;
    story.shows(ACME, panel(4_000_000, 50_000, 3_950_000)).await;
    story.orders(ACME, pack("usd_100")).await.expect(201);
}

async fn quick_select(story: &Story) {
    story.comes_to("Y1-01-31").await;
    story.subscribes(GLOBEX, json!({"plan": "pro"})).await;
    story.shows(GLOBEX, panel(4_000_000, 0, 4_000_000)).await;

    // "Choose from four pre-configured bundles for a fast, one-click purchase":
    // $100 8M credits, $500 40M credits, $1,000 80M credits, $2,000 160M credits.
    let bundles = [
        ("usd_100", 100, 8_000_000),
        ("usd_500", 500, 40_000_000),
        ("usd_1000", 1_000, 80_000_000),
        ("usd_2000", 2_000, 160_000_000),
    ];
    let mut total = 4_000_000;
    for (name, dollars, credits) in bundles {
        // "Click Proceed to Payment to initiate the checkout flow."
        let top_up = story.orders(GLOBEX, pack(name)).await.expect(201);
        let session = story.service.stripe.session(&story.session_of(&top_up));
        assert_eq!(
            (&session["amount_total"], &session["currency"]),
            (&json!(dollars * 100), &json!("usd"))
        );
        story.shows(GLOBEX, panel(total, 0, total)).await;

        // "Once payment is successful, your updated credit balance is reflected immediately."
        // "They stack on top of your plan's monthly allocation"
        story.pays(&top_up).await;
        total += credits;
        story.shows(GLOBEX, panel(total, 0, total)).await;
    }
    let by_class = json!({"plan": 4_000_000, "addon": 288_000_000, "balance": 0});
    shows!(story, GLOBEX, { "by_class": by_class });
}

async fn custom_amount(story: &Story) {
    // "If the pre-set bundles do not meet your needs, you can enter any dollar amount manually"
    // "Once payment is successful, credits are added to your balance proportionally based on the standard rate."
    for (amount, credits) in [
        (100, 80_000),
        (1_234, 987_200),
        (25_000, 20_000_000),
        (1_000_000, 800_000_000),
    ] {
        let top_up = story.buys(GLOBEX, cents(amount)).await;
        assert_eq!(top_up["credits"], credits);
    }
    story.shows(GLOBEX, panel(1_113_067_200, 0, 1_113_067_200)).await;
    for amount in [99, 100_000_000] {
        let refused = story.orders(GLOBEX, cents(amount)).await.refused(422, "invalid_money");
        assert_eq!(
            (&refused["minimum"], &refused["maximum"]),
            (&json!(100), &json!(99_999_999))
        );
    }
}

async fn credit_usage_panel(story: &Story) {
    // "When your plan's monthly allocation is running low (...) the Buy Credit tab lets you top up your credit balance
    // instantly without waiting for your billing cycle to renew."
    story.comes_to("Y1-02-01").await;
    story.works(ACME, question(3_850_000)).await;
    story.shows(ACME, panel(4_000_000, 3_900_000, 100_000)).await;
    story.buys(ACME, pack("usd_100")).await;

    // "Total – combined credits from your plan allocation and any purchased top-ups."
    // "Used – credits consumed in the current billing cycle."
    // "Remaining – credits still available for use"
    // "Pull the latest balance in real time after a purchase."
    story.shows(ACME, panel(12_000_000, 3_900_000, 8_100_000)).await;
    let by_class = json!({"plan": 100_000, "addon": 8_000_000, "balance": 0});
    shows!(story, ACME, { "by_class": by_class });
}

async fn only_after_your_plan_credits(story: &Story) {
    // "Credits you top up are also tied to your current billing cycle." Both end at the same instant.
    let grants = story.balance(ACME).await["grants"].clone();
    for grant in grants.as_array().expect("grants") {
        assert_eq!(grant["expires_at"], story.day("Y1-02-15"));
    }

    // "[They] are consumed only after your plan credits are exhausted."
    let spent = story.works(ACME, question(40_000)).await;
    assert_eq!(drawn(&spent), [("plan", 40_000)]);
    let spent = story.works(ACME, question(1_060_000)).await;
    assert_eq!(drawn(&spent), [("plan", 60_000), ("addon", 1_000_000)]);
    let spent = story.works(ACME, question(1_000_000)).await;
    assert_eq!(drawn(&spent), [("addon", 1_000_000)]);
    story.shows(ACME, panel(12_000_000, 6_000_000, 6_000_000)).await;
    let refused = story.asks(ACME, "spends", question(6_000_001)).await;
    refused.refused(402, "insufficient_credits");
}

async fn until_the_cycle_ends(story: &Story) {
    // "If they are not used before the cycle ends, they will expire". Up to its last second they are there ...
    story.comes_to("Y1-02-14T23:59:59").await;
    let spent = story.works(ACME, question(1_000_000)).await;
    assert_eq!(drawn(&spent), [("addon", 1_000_000)]);
    story.shows(ACME, panel(12_000_000, 7_000_000, 5_000_000)).await;

    // ... "and do not carry forward": at the very instant at which the next cycle starts, only its allocation is.
    story.comes_to("Y1-02-15").await;
    story.shows(ACME, panel(4_000_000, 0, 4_000_000)).await;
    let spent = story.works(ACME, question(100)).await;
    assert_eq!(drawn(&spent), [("plan", 100)]);

    // The books say what became of them, and when.
    let transactions = story.all(ACME, "transactions").await;
    let expiries: Vec<_> = transactions.iter().filter(|t| t["kind"] == "expiry").collect();
    assert_eq!(expiries.len(), 1);
    let [when, amount] = [&expiries[0]["effective_at"], &expiries[0]["amount"]];
    assert_eq!((when, amount), (&json!(story.day("Y1-02-15")), &json!(5_000_000)));
}

async fn a_question_under_way(story: &Story) {
    // A question is asked in the last second of a cycle, and answered in the next one: what was held for it pays, and what
    // the answer did not take has expired with its cycle.
    story.comes_to("Y1-02-20").await;
    story.works(ACME, question(3_999_900)).await;
    story.buys(ACME, pack("usd_100")).await;
    story.comes_to("Y1-03-14T23:59:59").await;
    let hold = story.asks(ACME, "holds", question(500_000)).await.expect(201);
    shows!(story, ACME, { "available": 7_500_000, "held": 500_000 });

    story.comes_to("Y1-03-15").await;
    shows!(story, ACME, { "available": 4_000_000, "held": 500_000 });
    let answered = story.captures(&hold, 300_000).await;
    assert_eq!(drawn(&answered["spend"]), [("addon", 300_000)]);
    shows!(story, ACME, { "available": 4_000_000, "held": 0 });
}

async fn a_late_payment(story: &Story) {
    // "Purchased credits are added to your account balance immediately upon successful payment." One that succeeds when the
    // cycle it was meant for has ended is not lost: its credits last 30 days.
    story.comes_to("Y1-04-14T23:50:00").await;
    let late = story.orders(ACME, pack("usd_500")).await.expect(201);
    story.comes_to("Y1-04-15T00:10:00").await;
    story.shows(ACME, panel(4_000_000, 0, 4_000_000)).await;
    story.pays(&late).await;
    story.shows(ACME, panel(44_000_000, 0, 44_000_000)).await;
    let bought = story.grants_of(ACME, "top_up").await.pop().expect("a grant");
    assert_eq!(bought["expires_at"], story.day("Y1-05-15T00:10:00"));

    // They too come only after the plan's, and end when they were said to.
    let spent = story.works(ACME, question(5_000_000)).await;
    assert_eq!(drawn(&spent), [("plan", 4_000_000), ("addon", 1_000_000)]);
    story.comes_to("Y1-05-15T00:09:59").await;
    shows!(story, ACME, { "available": 43_000_000 });
    story.comes_to("Y1-05-15T00:10:00").await;
    shows!(story, ACME, { "available": 4_000_000 });
}

async fn a_year_of_cycles(story: &Story) {
    // "Credits you top up are also tied to your current billing cycle": in every cycle a bundle is bought, and none is left
    // in the next one.
    for month in 4..=12 {
        let renewal = story.months_after("Y1-01-15", month + 1);
        story.buys(ACME, pack("usd_100")).await;
        story.works(ACME, question(5_000_000)).await;
        story.comes_to_instant(a_second_before(renewal)).await;
        story.shows(ACME, panel(12_000_000, 5_000_000, 7_000_000)).await;
        story.comes_to_instant(renewal).await;
        story.shows(ACME, panel(4_000_000, 0, 4_000_000)).await;
    }

    // Each allocation ended when the next one began, and what Globex once bought went with the first.
    let days = Vec::from_iter((0..=12).map(|month| story.months_after("Y1-01-31", month)));
    story.allowances_are_of(GLOBEX, 4_000_000, &days).await;
    for bought in story.grants_of(GLOBEX, "top_up").await {
        assert_eq!(
            (&bought["expires_at"], &bought["remaining"]),
            (&json!(days[1]), &json!(0))
        );
    }
    story.shows(GLOBEX, panel(4_000_000, 0, 4_000_000)).await;
}

async fn back_on_the_free_plan(story: &Story) {
    // "Exclusively available on paid plans": what is paid for stays paid to the end of its cycle.
    let pro = story.all(ACME, "subscriptions").await.remove(0);
    story.changes(&pro, json!({"plan": "free"})).await;
    let next = json!({"at": story.day("Y2-03-15"), "amount": 200_000, "subscription_id": pro["id"]});
    shows!(story, ACME, { "next_refresh": next });
    story.buys(ACME, pack("usd_100")).await;
    story.shows(ACME, panel(12_000_000, 0, 12_000_000)).await;

    story.comes_to("Y2-03-15").await;
    story.shows(ACME, panel(200_000, 0, 200_000)).await;
    may_not_buy(story, ACME).await;
}
