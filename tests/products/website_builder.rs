//! Reference product 1, the website builder: its page "What to do if your credits run out after subscription?", lived
//! through for 16 months.
//!
//! What comes with later issues, and where the program file leaves room for it:
//!
//! - Stripe's own subscriptions: both plans' `renewal` is `clock`, time alone. With `stripe` in its place `invoice.paid`
//!   renews them, on the same days.
//! - Compensation and audits ("Contact us in the support chat"): the file names none, as the page promises none. Support's
//!   tools take their limits from the file's `compensation`, which is not there and so is 0.
//! - The page knows no saved cards and no auto-recharge. Both buy packs, and the file's packs do not say how they are paid.
//!
//! The page's clicks ("From the home page, click your profile avatar", ...) are the product's own pages. What they show
//! comes from the balance, what they sell from the packs.

use serde_json::{Value, json};

use super::story::{Story, a_second_before, drawn, shows};

/// One customer's projects: a project is an account.
const SHOP: &str = "ada:shop";
const BLOG: &str = "ada:blog";
const DRAFT: &str = "ada:draft";

#[tokio::test]
async fn website_builder() {
    let story = Story::of("website-builder").await;
    let shop = subscription_tiers(&story).await;
    when_credits_are_used(&story).await;
    from_basic_to_premium(&story, &shop).await;
    credits_run_out(&story).await;
    top_up_at_any_time(&story).await;
    a_set_monthly_allowance(&story).await;
    use_it_up_and_add_more(&story).await;
    a_job_that_failed(&story).await;
    story.ends().await;
}

fn generate_website() -> Value {
    json!({"operation": "generate_website"})
}

fn edit_project() -> Value {
    json!({"operation": "edit_project"})
}

/// Work until 8 credits of a whole allowance are left.
async fn uses_192(story: &Story) {
    for _ in 0..9 {
        story.works(SHOP, generate_website()).await;
    }
    for _ in 0..6 {
        story.works(SHOP, edit_project()).await;
    }
}

async fn subscription_tiers(story: &Story) -> Value {
    // "Subscriptions are applied on a per-project basis, meaning you choose which projects receive these benefits."
    for project in [SHOP, BLOG, DRAFT] {
        let customer = json!({"email": "ada@example.com", "stripe_customer": "cus_ada"});
        let path = format!("/v1/accounts/{project}");
        story.tenant().backend.put(&path, customer).await.expect(201);
    }

    // "Basic – Basic subscription offers 200 AI credits per month"
    let basic = story.subscribes(SHOP, json!({"plan": "basic"})).await;
    let next = json!({"at": story.day("Y1-02-15"), "amount": 200, "subscription_id": basic["id"]});
    shows!(story, SHOP, { "available": 200, "next_refresh": next });

    // "Premium – Premium subscription offers 200 AI credits per month"
    story.comes_to("Y1-01-31").await;
    story.subscribes(BLOG, json!({"plan": "premium"})).await;

    // Two projects of one customer have 200 each, and the third one, which was not chosen, has nothing.
    shows!(story, SHOP, { "available": 200 });
    shows!(story, BLOG, { "available": 200 });
    shows!(story, DRAFT, { "available": 0, "next_refresh": null });
    let refused = story.asks(DRAFT, "spends", generate_website()).await;
    refused.refused(402, "insufficient_credits");
    basic
}

async fn when_credits_are_used(story: &Story) {
    let works = async |spend: Value, left: i64| {
        let spent = story.works(SHOP, spend).await;
        assert_eq!(spent["available_after"], left, "{spent}");
    };

    // "Generating a website from a prompt"
    works(generate_website(), 180).await;

    // "Refining or editing your project using the prompt box"
    works(edit_project(), 178).await;

    // "Adding features from the App Store, such as AI chatbots, voice generators, scrapers, and media embeds"
    let features = [
        ("chatbot", 163),
        ("voice_generator", 148),
        ("scraper", 138),
        ("media_embed", 128),
    ];
    for (feature, left) in features {
        let add = json!({"operation": "add_feature", "attributes": {"feature": feature}});
        works(add, left).await;
    }

    // "Generating assets in the Library using the AI Generator (images, graphics, GIFs, etc.)"
    for (kind, quantity, left) in [("image", 4, 120), ("graphic", 1, 118), ("gif", 3, 106)] {
        let asset = json!({"operation": "generate_asset", "quantity": quantity, "attributes": {"kind": kind}});
        works(asset, left).await;
    }

    // The work of one project leaves the other's credits alone.
    shows!(story, SHOP, { "total": 200, "used": 94, "remaining": 106 });
    shows!(story, BLOG, { "total": 200, "used": 0, "remaining": 200 });
}

async fn from_basic_to_premium(story: &Story, basic: &Value) {
    // Both offer 200 a month: going from Basic to Premium grants nothing extra.
    story.comes_to("Y1-02-01").await;
    let premium = story.changes(basic, json!({"plan": "premium"})).await;
    assert_eq!((&premium["plan"], &premium["granted"]), (&json!("premium"), &json!([])));
    shows!(story, SHOP, { "available": 106, "total": 200 });

    // It is renewed on the day on which it began. What was not used does not accumulate.
    story.comes_to("Y1-02-15").await;
    shows!(story, SHOP, { "available": 200, "total": 200, "used": 0 });
}

async fn credits_run_out(story: &Story) {
    // "Even if you have an active subscription, your free monthly credits are limited."
    story.comes_to("Y1-02-20").await;
    uses_192(story).await;
    let refused = story.asks(SHOP, "spends", generate_website()).await;
    let refused = refused.refused(402, "insufficient_credits");
    assert_eq!((&refused["needed"], &refused["available"]), (&json!(20), &json!(8)));

    // "In the pop-up window, check your current credit balance"
    shows!(story, SHOP, { "total": 200, "used": 192, "remaining": 8 });

    // "If they run out, you can purchase additional credits at any time using a pay-as-you-go top-up."
    // "Choose the number of credits you want and select Buy Credits"
    let top_up = story.orders(SHOP, json!({"pack": "credits_100"})).await.expect(201);
    assert_eq!(top_up["price"], json!({"amount": 500, "currency": "USD"}));

    // "Complete the transaction through the Stripe checkout page"
    let session = story.service.stripe.session(&story.session_of(&top_up));
    assert_eq!(top_up["checkout_url"], session["url"]);
    shows!(story, SHOP, { "available": 8 });
    story.pays(&top_up).await;

    // "Your new credits will be available immediately after payment."
    let by_class = json!({"plan": 8, "addon": 0, "balance": 100});
    shows!(story, SHOP, { "available": 108, "by_class": by_class });

    // "Your workflow will continue without interruption once the credits are added." The allowance goes first.
    let spent = story.works(SHOP, generate_website()).await;
    assert_eq!(drawn(&spent), [("plan", 8), ("balance", 12)]);

    // "You can instantly add more without changing your plan."
    let subscriptions = story.all(SHOP, "subscriptions").await;
    let plans: Vec<&Value> = subscriptions.iter().map(|s| &s["plan"]).collect();
    assert_eq!(plans, ["premium"]);
    shows!(story, SHOP, { "available": 88 });
}

async fn top_up_at_any_time(story: &Story) {
    // "You can purchase additional credits at any time": also for a project that has no subscription.
    story.buys(DRAFT, json!({"pack": "credits_100"})).await;
    let spent = story.works(DRAFT, generate_website()).await;
    assert_eq!(drawn(&spent), [("balance", 20)]);
    shows!(story, DRAFT, { "available": 80 });
}

/// Twelve renewals, each on its day.
async fn a_set_monthly_allowance(story: &Story) {
    // "Think of it like a mobile data plan; you have a set monthly allowance"
    let mut left = 88;
    for month in 2..=13 {
        let day = story.months_after("Y1-01-15", month);

        // The last second of the month still belongs to it.
        story.comes_to_instant(a_second_before(day)).await;
        shows!(story, SHOP, { "available": left });

        // The new allowance never adds to the old one, and the top-up is still there.
        story.comes_to_instant(day).await;
        let by_class = json!({"plan": 200, "addon": 0, "balance": 88});
        shows!(story, SHOP, { "available": 288, "by_class": by_class, "used": 0 });
        left = 288;
    }

    // Each allowance ended when the next one began: the shop's on the 15th, the blog's on the last of the month.
    let days = |first: &str, last| Vec::from_iter((0..=last).map(|month| story.months_after(first, month)));
    story.allowances_are_of(SHOP, 200, &days("Y1-01-15", 13)).await;
    story.allowances_are_of(BLOG, 200, &days("Y1-01-31", 12)).await;
    shows!(story, BLOG, { "available": 200, "total": 200 });
    shows!(story, DRAFT, { "available": 80 });
}

async fn use_it_up_and_add_more(story: &Story) {
    // "If you use it up, you can instantly add more": what was added a year ago pays when this month's allowance is gone.
    story.comes_to("Y2-02-20").await;
    uses_192(story).await;
    let spent = story.works(SHOP, generate_website()).await;
    assert_eq!(drawn(&spent), [("plan", 8), ("balance", 12)]);
    shows!(story, SHOP, { "available": 76 });

    // "Choose the number of credits you want"
    for (pack, available) in [("credits_500", 576), ("credits_1000", 1_576)] {
        story.buys(SHOP, json!({"pack": pack})).await;
        shows!(story, SHOP, { "available": available });
    }
}

async fn a_job_that_failed(story: &Story) {
    story.comes_to("Y2-03-15").await;
    uses_192(story).await;

    // Credits pay for "work for your project". A website that did not come about is given back to where it came from.
    let failed = story.works(SHOP, generate_website()).await;
    assert_eq!(drawn(&failed), [("plan", 8), ("balance", 12)]);
    let refund = story.refunds(&failed).await;
    assert_eq!(
        (&refund["amount"], &refund["available_after"]),
        (&json!(20), &json!(1_584))
    );
    let by_class = json!({"plan": 8, "addon": 0, "balance": 1_576});
    shows!(story, SHOP, { "by_class": by_class, "used": 192 });

    // One that was paid with the old allowance and failed in the new month: its credits last until that month ends.
    let failed = story.works(SHOP, edit_project()).await;
    story.comes_to("Y2-04-15").await;
    story.refunds(&failed).await;
    let by_class = json!({"plan": 202, "addon": 0, "balance": 1_576});
    shows!(story, SHOP, { "by_class": by_class, "used": 0 });
    let reissued = &story.grants_of(SHOP, "reissue").await[0];
    assert_eq!(reissued["expires_at"], story.day("Y2-05-15"));
    story.comes_to("Y2-05-15").await;
    let by_class = json!({"plan": 200, "addon": 0, "balance": 1_576});
    shows!(story, SHOP, { "by_class": by_class });
}
