//! Changes of plan and of interval: what is more at once, what is less with the next billing cycle.

use super::*;
use crate::domain::subscription::Terms;

const PLANS: &str = "plans.lite = { allowance = 500 }
    plans.pro = { allowance = 1500 }
    plans.same = { allowance = 500 }";

/// A subscription to `plan` since the 1st.
fn subscribed(program: &str, plan: &str) -> (Books, SubscriptionId) {
    let mut books = Books::with_program(jan(1), program);
    let id = books.subscribe(plan);
    (books, id)
}

fn pending(plan: &str, interval: Interval, units: u32) -> Option<Terms> {
    Some(Terms {
        plan: plan.to_owned(),
        interval,
        units,
    })
}

/// What the allowance granted anew is, and of which plan, at the start of a cycle.
fn renewed(books: &mut Books, id: SubscriptionId, now: DateTime<Utc>) -> (String, i64) {
    books.now = now;
    books.run_due();
    let last = books.allowances(id).last().map(|g| (g.effective_at, g.amount));
    let amount = last.filter(|(begun, _)| *begun == now).map_or(0, |(_, amount)| amount);
    (books.subscription(id).plan.clone(), amount)
}

#[test]
fn an_upgrade_takes_effect_now_and_grants_as_the_plan_says() {
    for (terms, expected) in [
        ("", 1000),
        ("upgrade = \"difference\"", 1000),
        // 10 of 31 days are left: 322.58.
        ("upgrade = \"prorated\"", 322),
        ("upgrade = \"full\"", 1500),
    ] {
        let program = format!("plans.lite = {{ allowance = 500 }}\nplans.pro = {{ allowance = 1500, {terms} }}");
        let (mut books, id) = subscribed(&program, "lite");
        books.now = jan(22);
        let upgrade = books.change(to_plan(id, "pro"));
        assert_eq!(granted(&upgrade), [(Origin::Allocation, expected)], "{terms}");
        assert_eq!(
            (upgrade.kind, upgrade.available_after),
            (Kind::Subscription, 500 + expected)
        );
        let grant = &upgrade.new_grants[0];
        assert_eq!((grant.effective_at, grant.expires_at), (jan(22), Some(jan(32))));
        assert_eq!(grant.subscription_id, Some(id));
        assert_eq!(books.subscription(id).pending, None);
        assert_eq!(renewed(&mut books, id, jan(32)), ("pro".to_owned(), 1500));
    }
}

#[test]
fn an_upgrade_on_the_last_instant_is_prorated_to_nothing() {
    let program = "plans.lite = { allowance = 500 }\nplans.pro = { allowance = 1500, upgrade = \"prorated\" }";
    for (now, expected) in [(jan(1), vec![(Origin::Allocation, 1000)]), (jan(32) - TICK, vec![])] {
        let (mut books, id) = subscribed(program, "lite");
        books.now = now;
        assert_eq!(granted(&books.change(to_plan(id, "pro"))), expected);
        assert_eq!(books.subscription(id).plan, "pro");
    }
}

#[test]
fn an_equal_allowance_grants_nothing_and_the_plan_changes_now() {
    for terms in ["", "upgrade = \"full\"", "rank = 3", "rank = 3, upgrade = \"full\""] {
        let program = format!("plans.lite = {{ allowance = 500 }}\nplans.same = {{ allowance = 500, {terms} }}");
        let (mut books, id) = subscribed(&program, "lite");
        books.now = jan(10);
        let changed = books.change(to_plan(id, "same"));
        assert_eq!((changed.amount, changed.new_grants.len()), (0, 0), "{terms}");
        assert_eq!(books.subscription(id).plan, "same");
        assert_eq!(renewed(&mut books, id, jan(32)), ("same".to_owned(), 500));
    }
}

#[test]
fn rank_decides_before_payment_and_payment_before_the_allowance() {
    for (from, to, is_now) in [
        ("rank = 1, allowance = 500", "rank = 2, allowance = 100", true),
        ("rank = 2, allowance = 100", "rank = 1, allowance = 500", false),
        ("paid = false, allowance = 500", "allowance = 100", true),
        ("allowance = 100", "paid = false, allowance = 500", false),
        ("allowance = 100", "allowance = 101", true),
        ("allowance = 101", "allowance = 100", false),
        // The measure is a year's.
        ("allowance = 100", "allowance = 1100, billing = \"year\"", false),
    ] {
        let (mut books, id) = subscribed(&format!("plans.a = {{ {from} }}\nplans.b = {{ {to} }}"), "a");
        books.change(to_plan(id, "b"));
        let subscription = books.subscription(id);
        assert_eq!(subscription.plan == "b", is_now, "{from} -> {to}");
        assert_eq!(subscription.pending.is_none(), is_now, "{from} -> {to}");
    }
}

#[test]
fn a_downgrade_waits_for_the_end_of_the_cycle() {
    let (mut books, id) = subscribed(PLANS, "pro");
    books.now = jan(10);
    let change = books.change(to_plan(id, "lite"));
    assert_eq!((change.amount, change.available_after), (0, 1500));
    let seen = change.detail.subscription.as_deref().expect("the subscription");
    assert_eq!(
        (seen.plan.as_str(), &seen.pending),
        ("pro", &pending("lite", Interval::Month, 0))
    );
    books.now = jan(32) - TICK;
    assert_eq!(books.balance().available, 1500);
    assert_eq!(renewed(&mut books, id, jan(32)), ("lite".to_owned(), 500));
    assert_eq!(books.subscription(id).pending, None);
    assert_eq!(books.balance().available, 500);
}

#[test]
fn a_downgrade_waits_for_the_end_of_what_is_paid_though_credits_come_by_the_month() {
    let yearly = "billing = \"year\", refresh = \"month\"";
    let program = format!("plans.lite = {{ allowance = 500, {yearly} }}\nplans.pro = {{ allowance = 1500, {yearly} }}");
    let (mut books, id) = subscribed(&program, "pro");
    books.now = jan(10);
    books.change(to_plan(id, "lite"));
    for month in 2..=12 {
        let start = on(&format!("2027-{month:02}-01"));
        assert_eq!(renewed(&mut books, id, start), ("pro".to_owned(), 1500), "{month}");
    }
    assert_eq!(renewed(&mut books, id, on("2028-01-01")), ("lite".to_owned(), 500));
}

#[test]
fn a_change_of_interval_waits_for_what_is_paid() {
    let program = "plans.pro = { allowance = { month = 500, year = 6000 }, billing = [\"month\", \"year\"] }";
    let (mut books, id) = subscribed(program, "pro");
    books.now = jan(10);
    let change = books.change(to_interval(id, Interval::Year));
    assert_eq!((change.amount, books.subscription(id).billing), (0, Interval::Month));
    assert_eq!(books.subscription(id).pending, pending("pro", Interval::Year, 0));
    assert_eq!(renewed(&mut books, id, jan(32)), ("pro".to_owned(), 6000));
    let grant = books.allowances(id)[1];
    assert_eq!(
        grant.expires_at,
        Some(on("2028-02-01")),
        "the day is the anchor's still"
    );
    // And back.
    books.change(to_interval(id, Interval::Month));
    assert_eq!(renewed(&mut books, id, on("2027-03-01")), ("pro".to_owned(), 0));
    assert_eq!(renewed(&mut books, id, on("2028-02-01")), ("pro".to_owned(), 500));
    assert_eq!(renewed(&mut books, id, on("2028-03-01")), ("pro".to_owned(), 500));
}

#[test]
fn an_upgrade_to_another_interval_is_of_the_plan_now_and_of_the_interval_later() {
    let both = "billing = [\"month\", \"year\"], refresh = \"month\"";
    let program = format!("plans.lite = {{ allowance = 500, {both} }}\nplans.pro = {{ allowance = 1500, {both} }}");
    let (mut books, id) = subscribed(&program, "lite");
    let upgrade = books.change(ChangeSubscription {
        interval: Some(Interval::Year),
        ..to_plan(id, "pro")
    });
    assert_eq!(upgrade.amount, 1000);
    let subscription = books.subscription(id);
    assert_eq!(
        (subscription.plan.as_str(), subscription.billing),
        ("pro", Interval::Month)
    );
    assert_eq!(subscription.pending, pending("pro", Interval::Year, 0));
    renewed(&mut books, id, jan(32));
    assert_eq!(books.subscription(id).billing, Interval::Year);
    let paid = books.subscription(id).billing_cycle().expect("a cycle");
    assert_eq!((paid.starts_at, paid.ends_at), (jan(32), on("2028-02-01")));
}

#[test]
fn an_upgrade_in_a_year_of_monthly_refreshes_grants_for_the_running_month() {
    let yearly = "billing = \"year\"";
    let program = format!(
        "plans.lite = {{ allowance = 500, {yearly}, refresh = \"month\" }}
        plans.pro = {{ allowance = 18000, {yearly}, rank = 1 }}"
    );
    let (mut books, id) = subscribed(&program, "lite");
    books.now = on("2027-05-10");
    let upgrade = books.change(to_plan(id, "pro"));
    // A twelfth of the year's 18,000, less the month's 500.
    assert_eq!(granted(&upgrade), [(Origin::Allocation, 1000)]);
    assert_eq!(upgrade.new_grants[0].expires_at, Some(on("2027-06-01")));
    // The rest of the paid year comes as one: 7 months.
    assert_eq!(renewed(&mut books, id, on("2027-06-01")), ("pro".to_owned(), 10_500));
    assert_eq!(renewed(&mut books, id, on("2028-01-01")), ("pro".to_owned(), 18_000));
}

#[test]
fn a_plan_that_is_not_offered_at_the_paid_interval_grants_as_at_its_own() {
    let program = "plans.lite = { allowance = 500, billing = \"year\", refresh = \"month\" }
        plans.pro = { allowance = { month = 1500 }, billing = \"month\", rank = 1 }";
    let (mut books, id) = subscribed(program, "lite");
    assert_eq!(books.change(to_plan(id, "pro")).amount, 1000);
    assert_eq!(books.subscription(id).pending, pending("pro", Interval::Month, 0));
    // The year is paid for: until it ends the plan goes on by the month.
    assert_eq!(renewed(&mut books, id, on("2027-02-01")), ("pro".to_owned(), 1500));
    assert_eq!(renewed(&mut books, id, on("2028-01-01")), ("pro".to_owned(), 1500));
    assert_eq!(books.subscription(id).billing, Interval::Month);
}

#[test]
fn a_change_of_one_that_has_not_begun_is_made_at_once() {
    for to in ["lite", "pro"] {
        let mut books = Books::with_program(jan(1), &format!("{PLANS}\nplans.mid = {{ allowance = 700 }}"));
        let (_, id) = books.subscribe_as(Subscribe {
            anchor: Some(jan(20)),
            ..subscribing("mid")
        });
        books.now = jan(5);
        let change = books.change(to_plan(id, to));
        assert_eq!((change.amount, books.subscription(id).pending.clone()), (0, None));
        let (plan, amount) = renewed(&mut books, id, jan(20));
        assert_eq!((plan.as_str(), amount), (to, if to == "pro" { 1500 } else { 500 }));
    }
}

#[test]
fn what_cannot_be_changed_to_is_refused_by_name() {
    let program = format!("{PLANS}\nplans.card = {{ allowance = 9000, renewal = \"stripe\" }}");
    let (mut books, id) = subscribed(&program, "lite");
    let unknown = SubscriptionId(Uuid::from_u128(404));
    for (change, refused) in [
        (
            to_plan(unknown, "pro"),
            Rejection::SubscriptionNotFound {
                subscription_id: unknown,
            },
        ),
        (
            to_plan(id, "gold"),
            Rejection::UnknownPlan {
                plan: "gold".to_owned(),
            },
        ),
        (
            to_plan(id, "card"),
            Rejection::PlanRenewedByStripe {
                plan: "card".to_owned(),
            },
        ),
        (
            to_interval(id, Interval::Year),
            Rejection::UnknownInterval {
                plan: "lite".to_owned(),
                interval: Interval::Year,
            },
        ),
        (
            to_units(id, 1),
            Rejection::UnitsNotOffered {
                plan: "lite".to_owned(),
            },
        ),
    ] {
        assert_eq!(books.try_change(change), Err(refused));
    }
}

#[test]
fn a_plan_that_is_dropped_before_a_downgrade_to_it_comes_keeps_its_name_and_its_allowance_together() {
    let (mut books, id) = subscribed(PLANS, "pro");
    books.change(to_plan(id, "lite"));
    books.put_program(2, "plans.pro = { allowance = 1500 }");
    let (plan, amount) = renewed(&mut books, id, jan(32));
    let expected = if plan == "lite" { 500 } else { 1500 };
    assert_eq!(amount, expected, "{plan}");
}
