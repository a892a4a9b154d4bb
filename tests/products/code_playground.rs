//! Reference product 2, the code playground: its page "AI Credits Balance", lived through for 17 months. A credit is a
//! hundredth of a cent: 10,000 are a dollar.
//!
//! What comes with later issues, and where the program file leaves room for it:
//!
//! - Saved cards ("If you have a saved payment method, top-ups are instant with no redirect", "Manage saved payment
//!   methods"): what an amount buys stands in `custom_amounts` and does not say how it is paid. Here all go to Checkout.
//! - Auto-recharge ("Set a threshold and your balance will automatically top up", "Enable/disable auto-recharge"): the
//!   threshold is each account's own. It buys by the same `custom_amounts`, behind the same `gates.purchase`, so that it
//!   will not fire while Pro has lapsed.
//! - Stripe's own subscriptions ("Credits are added automatically on payment"): Pro's `renewal` is `clock`, time alone. With
//!   `stripe` in its place `invoice.paid` renews it and brings the same bonus.
//! - Usage by operation and day ("View usage history (coming soon)"): here the account's transactions are the history.
//! - Compensation and audits: the page promises none, and the file names none.

use serde_json::{Value, json};

use super::story::{Story, drawn, program_file, shows};

const FREE: &str = "free-user";
const MONTHLY: &str = "monthly-subscriber";
const YEARLY: &str = "yearly-subscriber";

#[tokio::test]
async fn code_playground() {
    let story = Story::of("code-playground").await;
    who_can_use_ai_credits(&story).await;
    let monthly = bonus_credits(&story).await;
    manual_top_up(&story).await;
    different_models_have_different_costs(&story).await;
    you_see_costs_before_using(&story).await;
    you_only_pay_for_what_you_use(&story).await;
    view_usage_history(&story).await;
    credits_never_expire(&story).await;
    pro_lapses(&story, &monthly).await;
    pro_returns(&story).await;
    story.ends().await;
}

fn dollars(amount: i64) -> Value {
    cents(amount * 100)
}

fn cents(amount: i64) -> Value {
    json!({"money": {"amount": amount, "currency": "USD"}})
}

/// An answer of the deep model, for 2,000 units of text in and 500 out: $0.0135.
fn deep_answer() -> Value {
    json!({"operation": "deep_model", "attributes": {"input_units": 2_000, "output_units": 500}})
}

/// The gate asks for Pro, of buyers and of those who would spend.
async fn must_upgrade_to_pro(story: &Story, account: &str, frozen: i64) {
    let refused = story.orders(account, dollars(5)).await.refused(403, "gate_closed");
    assert_eq!(refused["requires"], "paid_subscription");
    let refused = story.asks(account, "spends", deep_answer()).await;
    let refused = refused.refused(403, "gate_closed");
    assert_eq!(refused["requires"], "paid_subscription");
    assert_eq!((&refused["available"], &refused["frozen"]), (&json!(0), &json!(frozen)));
}

async fn who_can_use_ai_credits(story: &Story) {
    for account in [FREE, MONTHLY, YEARLY] {
        story.tenant().account(account).await;
    }
    story.subscribes(FREE, json!({"plan": "free"})).await;

    // "AI Credits require an active Pro subscription." A dollar that a free user was given is there, and frozen.
    let gift = json!({"class": "balance", "origin": "promotion", "amount": 10_000});
    story.tenant().grant(FREE, gift).await;
    shows!(story, FREE, { "available": 0, "frozen": 10_000, "remaining": 10_000 });

    // "Free Users: Must upgrade to Pro first to access AI features"
    must_upgrade_to_pro(story, FREE, 10_000).await;

    // Who has no plan at all is no Pro subscriber either.
    let refused = story.orders(MONTHLY, dollars(5)).await;
    refused.refused(403, "gate_closed");
}

async fn bonus_credits(story: &Story) -> Value {
    // "Pro subscribers receive bonus AI credits with their subscription payments. The amount varies by plan."
    // "Credits are added automatically on payment."

    // "Monthly subscribers get credits each month": $5.
    let monthly = story.subscribes(MONTHLY, json!({"plan": "pro"})).await;
    let unit = json!({"name": "USD", "scale": 4});
    let next = json!({"at": story.day("Y1-02-15"), "amount": 50_000, "subscription_id": monthly["id"]});
    shows!(story, MONTHLY, { "available": 50_000, "unit": unit, "next_refresh": next });

    // "Yearly subscribers get credits upfront": $60.
    let yearly = story
        .subscribes(YEARLY, json!({"plan": "pro", "interval": "year"}))
        .await;
    let next = json!({"at": story.day("Y2-01-15"), "amount": 600_000, "subscription_id": yearly["id"]});
    shows!(story, YEARLY, { "available": 600_000, "next_refresh": next });

    story.comes_to("Y1-02-15").await;
    shows!(story, MONTHLY, { "available": 100_000 });
    shows!(story, YEARLY, { "available": 600_000 });
    monthly
}

async fn manual_top_up(story: &Story) {
    // "Add credits anytime from your account settings."
    story.comes_to("Y1-02-20").await;

    // "Top-ups range from $5 to $995."
    for refused in [499, 99_501] {
        let refused = story
            .orders(MONTHLY, cents(refused))
            .await
            .refused(422, "invalid_money");
        assert_eq!(
            (&refused["minimum"], &refused["maximum"]),
            (&json!(500), &json!(99_500))
        );
    }
    for (money, available) in [(500, 150_000), (99_500, 10_100_000)] {
        let top_up = story.buys(MONTHLY, cents(money)).await;
        assert_eq!(top_up["credits"], money * 100);
        shows!(story, MONTHLY, { "available": available });
    }

    // "All payments are processed securely through Stripe."
    let top_up = story.orders(MONTHLY, cents(1_234)).await.expect(201);
    let session = story.service.stripe.session(&story.session_of(&top_up));
    assert_eq!(session["amount_total"], 1_234);
    assert_eq!(top_up["checkout_url"], session["url"]);
    story.pays(&top_up).await;
    shows!(story, MONTHLY, { "available": 10_223_400 });
}

async fn different_models_have_different_costs(story: &Story) {
    // "AI features use a pay-per-use model". "Different AI models have different costs": each its own price, down to a
    // hundredth of a cent.
    let text = |model: &str| {
        let attributes = json!({"input_units": 2_000, "output_units": 500});
        json!({"operation": model, "attributes": attributes})
    };
    let image = |size: &str| json!({"operation": "image_model", "quantity": 2, "attributes": {"size": size}});
    let uses = [
        (text("fast_model"), 15),
        (text("deep_model"), 135),
        (image("small"), 800),
        (image("large"), 1_600),
    ];
    let mut available = 600_000;
    for (work, cost) in uses {
        // "When you use AI features (...), the cost is deducted from your balance."
        let spent = story.works(YEARLY, work).await;
        available -= cost;
        assert_eq!(
            (&spent["amount"], &spent["available_after"]),
            (&json!(cost), &json!(available))
        );
        assert_eq!(drawn(&spent), [("balance", cost)]);
    }
    shows!(story, YEARLY, { "available": 597_450, "used": 2_550, "total": 600_000 });
}

async fn you_see_costs_before_using(story: &Story) {
    // "Transparent pricing (you'll see costs before using features)"
    let quote = story.asks(YEARLY, "quotes", deep_answer()).await.expect(201);
    assert_eq!((&quote["cost"], &quote["affordable"]), (&json!(135), &json!(true)));
    let unused = story.asks(YEARLY, "quotes", deep_answer()).await.expect(201);
    shows!(story, YEARLY, { "available": 597_450 });

    // The deep model becomes twice as dear. Who has seen the old cost pays the old cost, once.
    let file = program_file("code-playground");
    let dearer = file.replace("credits = 30_000,", "credits = 60_000,");
    let dearer = dearer.replace("credits = 150_000,", "credits = 300_000,");
    assert_eq!(story.puts(&dearer).await["version"], 2);
    let seen = json!({"quote_id": quote["id"]});
    let spent = story.works(YEARLY, seen.clone()).await;
    assert_eq!(
        (&spent["amount"], &spent["operation"]),
        (&json!(135), &json!("deep_model"))
    );
    let again = story.asks(YEARLY, "spends", seen).await;
    again.refused(409, "quote_already_used");

    // Who asks now sees the new one.
    let quote = story.asks(YEARLY, "quotes", deep_answer()).await.expect(201);
    assert_eq!(quote["cost"], 270);
    let spent = story.works(YEARLY, deep_answer()).await;
    assert_eq!(spent["amount"], 270);

    // What was shown is honoured for five minutes.
    story.comes_to("Y1-02-20T00:05:00").await;
    let late = story.asks(YEARLY, "spends", json!({"quote_id": unused["id"]})).await;
    late.refused(409, "quote_expired");
    story.puts(&file).await;
    shows!(story, YEARLY, { "available": 597_045 });
}

async fn you_only_pay_for_what_you_use(story: &Story) {
    // "You only pay for what you use": the most it may cost is held, ...
    let longest = json!({"input_units": 2_000, "output_units": 10_000});
    let most = json!({"operation": "deep_model", "attributes": longest});
    let hold = story.asks(YEARLY, "holds", most).await.expect(201);
    assert_eq!(hold["amount"], 1_560);
    shows!(story, YEARLY, { "available": 595_485, "held": 1_560, "remaining": 597_045 });

    // ... what it did cost is captured, and the rest goes back.
    story.comes_to("Y1-02-20T00:06:00").await;
    let captured = story.captures(&hold, 135).await;
    assert_eq!(
        (&captured["status"], &captured["spend"]["amount"]),
        (&json!("captured"), &json!(135))
    );
    shows!(story, YEARLY, { "available": 596_910, "held": 0, "used": 3_090 });

    // An answer that never came costs nothing: its hold frees itself.
    story.asks(YEARLY, "holds", deep_answer()).await.expect(201);
    shows!(story, YEARLY, { "available": 596_775, "held": 135 });
    story.comes_to("Y1-02-20T00:21:00").await;
    shows!(story, YEARLY, { "available": 596_910, "held": 0, "used": 3_090 });
}

async fn view_usage_history(story: &Story) {
    // "View your current balance"
    let by_class = json!({"plan": 0, "addon": 0, "balance": 596_910});
    shows!(story, YEARLY, { "by_class": by_class, "total": 600_000, "remaining": 596_910 });

    // "View usage history"
    let mut history = story.all(YEARLY, "transactions").await;
    history.retain(|transaction| transaction["kind"] == "spend");
    let used: Vec<_> = history
        .iter()
        .map(|spend| json!([spend["operation"], spend["amount"]]))
        .collect();
    let expected = json!([
        ["fast_model", 15],
        ["deep_model", 135],
        ["image_model", 800],
        ["image_model", 1_600],
        ["deep_model", 135],
        ["deep_model", 270],
        ["deep_model", 135],
    ]);
    assert_eq!(json!(used), expected);
}

async fn credits_never_expire(story: &Story) {
    // "Your balance stays in your account forever. Unlike some services, we don't have monthly credit limits or
    // expiration dates." Twelve months on, each with its bonus.
    for month in 2..=13 {
        story.comes_to_instant(story.months_after("Y1-01-15", month)).await;
        let available = 10_223_400 + 50_000 * i64::from(month - 1);
        shows!(story, MONTHLY, { "available": available, "used": 0 });
    }
    let bonuses = story.grants_of(MONTHLY, "bonus").await;
    assert_eq!(bonuses.len(), 14);
    for grant in story.all(MONTHLY, "grants").await {
        assert_eq!(
            (&grant["expires_at"], &grant["remaining"]),
            (&Value::Null, &grant["amount"])
        );
    }

    // The yearly subscriber's came upfront, and came again after exactly a year.
    let bonuses = story.grants_of(YEARLY, "bonus").await;
    let days: Vec<_> = bonuses.iter().map(|bonus| bonus["effective_at"].clone()).collect();
    assert_eq!(days, [story.day("Y1-01-15"), story.day("Y2-01-15")]);
    shows!(story, YEARLY, { "available": 1_196_910 });
}

async fn pro_lapses(story: &Story, monthly: &Value) {
    // The subscriber does not go on with Pro. What is paid for is still Pro's: adding and spending go on to its end.
    story.comes_to("Y2-02-20").await;
    let cancelled = story.changes(monthly, json!({"cancel_at_period_end": true})).await;
    assert_eq!(cancelled["ends_at"], story.day("Y2-03-15"));
    story.comes_to("Y2-03-14T23:59:59").await;
    story.works(MONTHLY, deep_answer()).await;
    story.buys(MONTHLY, dollars(5)).await;
    let hold = story.asks(MONTHLY, "holds", deep_answer()).await.expect(201);
    let late = story.orders(MONTHLY, dollars(5)).await.expect(201);
    shows!(story, MONTHLY, { "available": 10_873_130, "held": 135, "frozen": 0 });

    // "AI Credits require an active Pro subscription." From the instant at which Pro ends the balance is frozen, not lost.
    story.comes_to("Y2-03-15").await;
    let frozen = json!({"available": 0, "held": 135, "frozen": 10_873_130, "remaining": 10_873_265});
    story.shows(MONTHLY, frozen).await;
    let grants = story.balance(MONTHLY).await["grants"].clone();
    assert!(
        grants
            .as_array()
            .expect("grants")
            .iter()
            .all(|grant| grant["frozen"] == true)
    );
    must_upgrade_to_pro(story, MONTHLY, 10_873_130).await;

    // An answer that was under way is paid with what was held for it.
    story.captures(&hold, 100).await;
    // A payment that was under way is not lost either.
    story.pays(&late).await;
    shows!(story, MONTHLY, { "available": 0, "held": 0, "frozen": 10_923_165, "next_refresh": null });
}

async fn pro_returns(story: &Story) {
    // "Your balance never expires": three months later it is all there, and as frozen as before.
    story.comes_to("Y2-06-20").await;
    must_upgrade_to_pro(story, MONTHLY, 10_923_165).await;

    // "Pro Subscribers: Can add balance and use AI features": Pro is back, with the bonus of its payment.
    story.subscribes(MONTHLY, json!({"plan": "pro"})).await;
    shows!(story, MONTHLY, { "available": 10_973_165, "frozen": 0 });
    story.works(MONTHLY, deep_answer()).await;
    story.buys(MONTHLY, dollars(5)).await;
    shows!(story, MONTHLY, { "available": 11_023_030 });

    // "Free Users: Must upgrade to Pro first": the free user of the beginning does, and the gift can be spent.
    let free = story.all(FREE, "subscriptions").await.remove(0);
    story.changes(&free, json!({"plan": "pro"})).await;
    shows!(story, FREE, { "frozen": 0 });
    let spent = story.works(FREE, json!({"amount": 10_000})).await;
    assert_eq!(drawn(&spent), [("balance", 10_000)]);
    story.buys(FREE, dollars(5)).await;
}
