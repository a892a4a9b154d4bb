//! Add-on units: more of them now, fewer with the next billing cycle, and none without their base.

use super::*;

const TEAM: &str =
    "plans.team = { allowance = 500, addon = { credits = 200, price = { amount = 3000, currency = \"USD\" } } }";

/// 500 of the team's plan and so many units of 200, since the 1st.
fn team(units: u32) -> (Books, SubscriptionId, Transaction) {
    let mut books = Books::with_program(jan(1), TEAM);
    let (begun, id) = books.subscribe_as(Subscribe {
        units,
        ..subscribing("team")
    });
    books.now = jan(10);
    (books, id, begun)
}

fn addon(books: &Books) -> i64 {
    books.balance().by_class.addon
}

#[test]
fn units_are_granted_beside_the_allowance_with_what_they_cost() {
    let (mut books, id, begun) = team(3);
    assert_eq!(granted(&begun), [(Origin::Allocation, 500), (Origin::AddonUnits, 600)]);
    let units = &begun.new_grants[1];
    assert_eq!((units.class, units.expires_at), (Class::Addon, Some(jan(32))));
    assert_eq!(
        (units.paid.clone(), units.subscription_id),
        (Some(money(9000)), Some(id))
    );
    assert_eq!(pairs(books.spend(510).drawn())[1], (units.id, 10), "after the plan");
    books.now = jan(32);
    assert_eq!(addon(&books), 600, "nothing of them rolls over");
}

#[test]
fn more_units_are_granted_now_until_the_cycle_ends() {
    let (mut books, id, _) = team(1);
    let more = books.change(to_units(id, 4));
    assert_eq!(granted(&more), [(Origin::AddonUnits, 600)]);
    assert_eq!(
        (more.new_grants[0].effective_at, more.new_grants[0].expires_at),
        (jan(10), Some(jan(32)))
    );
    assert_eq!(books.subscription(id).pending, None);
    books.now = jan(32);
    assert_eq!(addon(&books), 800);
}

#[test]
fn fewer_units_take_effect_with_the_next_cycle() {
    let (mut books, id, _) = team(4);
    let fewer = books.change(to_units(id, 1));
    assert_eq!((fewer.amount, addon(&books)), (0, 800));
    books.now = jan(32) - TICK;
    assert_eq!(addon(&books), 800);
    books.now = jan(32);
    assert_eq!(addon(&books), 200);
}

#[test]
fn undoing_fewer_units_grants_nothing() {
    let (mut books, id, _) = team(4);
    for (units, pending, granted) in [
        (1, Some(1), 0),
        (2, Some(2), 0),
        (4, None, 0),
        (1, Some(1), 0),
        (5, None, 200),
    ] {
        let change = books.change(to_units(id, units));
        assert_eq!(change.amount, granted, "{units}");
        let subscription = books.subscription(id);
        assert_eq!(subscription.pending.as_ref().map(|p| p.units), pending, "{units}");
    }
    assert_eq!(addon(&books), 1000);
}

#[test]
fn fewer_units_wait_for_the_end_of_what_is_paid() {
    let program = "plans.team = { billing = \"year\", refresh = \"month\", addon = { credits = 200 } }";
    let mut books = Books::with_program(jan(1), program);
    let (_, id) = books.subscribe_as(Subscribe {
        units: 3,
        ..subscribing("team")
    });
    books.change(to_units(id, 1));
    for (now, credits) in [("2027-02-01", 600), ("2027-12-01", 600), ("2028-01-01", 200)] {
        books.now = on(now);
        assert_eq!(addon(&books), credits, "{now}");
    }
}

#[test]
fn an_upgrade_carries_the_units_and_grants_what_theirs_are_more() {
    let program = format!("{TEAM}\nplans.lite = {{ allowance = 100, addon = {{ credits = 60 }} }}");
    let mut books = Books::with_program(jan(1), &program);
    let (_, id) = books.subscribe_as(Subscribe {
        units: 2,
        ..subscribing("lite")
    });
    books.now = jan(10);
    let upgrade = books.change(to_plan(id, "team"));
    assert_eq!(
        granted(&upgrade),
        [(Origin::Allocation, 400), (Origin::AddonUnits, 280)]
    );
    assert_eq!((books.subscription(id).units, addon(&books)), (2, 400));
    books.now = jan(32);
    assert_eq!(addon(&books), 400);
}

#[test]
fn an_upgrade_with_more_units_grants_both() {
    let program = format!("{TEAM}\nplans.lite = {{ allowance = 100 }}");
    let mut books = Books::with_program(jan(1), &program);
    let id = books.subscribe("lite");
    let upgrade = books.change(ChangeSubscription {
        units: Some(3),
        ..to_plan(id, "team")
    });
    assert_eq!(
        granted(&upgrade),
        [(Origin::Allocation, 400), (Origin::AddonUnits, 600)]
    );
}

#[test]
fn a_plan_without_units_ends_them_with_the_change() {
    let program = format!("{TEAM}\nplans.big = {{ allowance = 900 }}\nplans.lite = {{ allowance = 100 }}");
    let mut books = Books::with_program(jan(1), &program);
    let (_, id) = books.subscribe_as(Subscribe {
        units: 2,
        ..subscribing("team")
    });
    books.change(to_plan(id, "lite"));
    assert_eq!(books.subscription(id).units, 2, "until the cycle ends");
    books.change(to_plan(id, "big"));
    assert_eq!(
        (books.subscription(id).units, addon(&books)),
        (0, 400),
        "what was granted stays"
    );
    books.now = jan(32);
    assert_eq!(addon(&books), 0);
}

#[test]
fn more_units_come_now_even_while_a_downgrade_is_pending() {
    let lite = "plans.lite = { allowance = 100, addon = { credits = 60 } }";
    let mut books = Books::with_program(jan(1), &format!("{TEAM}\n{lite}"));
    let (_, id) = books.subscribe_as(Subscribe {
        units: 1,
        ..subscribing("team")
    });
    books.change(to_plan(id, "lite"));
    let more = books.change(to_units(id, 3));
    assert_eq!(granted(&more), [(Origin::AddonUnits, 400)], "of the plan it still has");
    books.now = jan(32);
    let subscription = books.caught_up().subscriptions[0].clone();
    assert_eq!((subscription.plan.as_str(), subscription.units), ("lite", 3));
    assert_eq!(addon(&books), 180);
}

#[test]
fn units_end_with_their_base() {
    let (mut books, id, _) = team(3);
    books.change(cancelling(id, true));
    books.now = jan(32) - TICK;
    assert_eq!(addon(&books), 600);
    books.now = jan(32);
    assert_eq!(addon(&books), 0);
    books.run_due();
    let expired: Vec<_> = books.posted.iter().filter(|t| t.kind == Kind::Expiry).collect();
    assert_eq!(expired.iter().map(|t| t.amount).collect::<Vec<_>>(), [500, 600]);
}

#[test]
fn more_units_than_the_plan_takes_are_refused() {
    let (mut books, id, _) = team(1);
    let refused = Rejection::TooManyUnits {
        plan: "team".to_owned(),
        requested: 1001,
        limit: 1000,
    };
    assert_eq!(books.try_change(to_units(id, 1001)), Err(refused));
    assert_eq!(books.change(to_units(id, 1000)).amount, 999 * 200);
}

#[test]
fn a_users_own_units_pay_for_no_other_member() {
    let program = "plans.basic = { addon = { credits = 60, scope = \"per_user\" } }";
    let mut books = Books::with_program(jan(1), program);
    books.subscribe_as(Subscribe {
        units: 1,
        ..subscribing("basic")
    });
    books.grant(credits(Class::Balance, 5));
    assert_eq!(books.try_spend(spending_by("bob", 6)), Err(insufficient(6, 5)));
    assert_eq!(
        books.try_spend(spending_by("bob", 5)).expect("the balance pays").amount,
        5
    );
    // The account itself is the user.
    assert_eq!(books.try_spend(spending_by("acme", 20)).expect("its own").amount, 20);
    assert_eq!(books.spend(40).amount, 40);
}

#[test]
fn a_teams_units_pay_for_every_member() {
    let (mut books, _, _) = team(1);
    for member in ["ann", "bob"] {
        books.try_spend(spending_by(member, 350)).expect("it is shared");
    }
}
