//! The image suite (reference product 4): its help page "Credit Balance Wrong", from January 2040, a leap year, to March 2041.
//!
//! Lines of the page that come with later issues, and the room that examples/programs/image-suite.toml has for them:
//! - "Refund the wasted credits, add 2-3x bonus credits for the trouble" (compensation): `[compensation]` allows up to 3x, of
//!   class balance, for good. Until then support refunds, and the backend grants the bonus by hand.
//! - "I bought credits but they're not showing" (finding missing purchases): the packs are there, and buying them is proved in
//!   tests/api/purchase.rs. Nothing in the program changes.
//! - "We'll audit your entire purchase history and correct everything" (audits): each legacy product is a plan with the
//!   allowance of the page's table, so what was granted can be held against what was bought.
//! - "Contact support to combine or optimize" (combine): every purchase is a subscription of its own, which can be ended for
//!   another one of a plan that the program would name.
//! - "Apply for special pricing" (charity applications): the plan `charity_education` holds the terms; who gets it is said
//!   outside.
//! - Freelancer and Agency paid through Stripe's own subscriptions: `renewal = "stripe"` in the place of `"clock"`.

mod allowances;
mod deductions;
mod extras;
mod limits;

use serde_json::json;

use crate::calendar_story::Story;

#[tokio::test]
async fn fourteen_months_at_the_image_suite() {
    let story = Story::of("image-suite", "2040-01-15").await;
    let owner = allowances::several_purchases_add_up(&story).await;
    allowances::the_table_of_legacy_products(&story).await;
    deductions::the_costs_of_the_page(&story).await;
    limits::legacy_users_have_75_a_day(&story).await;
    limits::training_costs_more_than_a_day(&story).await;
    deductions::failed_jobs_are_refunded(&story).await;
    deductions::headroom_goes_back_to_its_day(&story).await;
    limits::the_agency_plan_raises_the_limit(&story).await;
    limits::support_raises_the_limit(&story).await;
    let (fran, agnes) = allowances::not_the_calendar_month(&story).await;
    allowances::upgrade_and_downgrade(&story, &fran).await;
    deductions::a_failure_noticed_after_the_refresh(&story).await;
    extras::the_page_that_the_user_sees(&story).await;
    extras::bonus_programs(&story).await;
    extras::education_and_charity(&story).await;
    story.comes("2041-03-31").await;
    allowances::every_purchase_kept_its_own_day(&story, &owner).await;
    allowances::a_year_of_fifteenths(&story, &agnes).await;
    story.ends().await;
}

/// A new account with one legacy product, bought now.
async fn legacy_user(story: &Story, name: &str, product: &str) {
    story.subscribes(name, json!({"plan": product})).await;
}
