//! Undoing what is pending: it grants nothing, and leaves everything as it was.

use super::*;

const PLANS: &str = "plans.lite = { allowance = 500 }
    plans.pro = { allowance = 1500 }
    plans.max = { allowance = 4000, upgrade = \"full\" }";

fn subscribed(program: &str, plan: &str) -> (Books, SubscriptionId) {
    let mut books = Books::with_program(jan(1), program);
    let id = books.subscribe(plan);
    books.now = jan(10);
    (books, id)
}

/// What it is for now, and what comes at the end of the billing cycle.
fn terms(books: &Books, id: SubscriptionId) -> (String, Interval, u32) {
    let subscription = books.subscription(id);
    let comes = subscription.pending.clone().unwrap_or_else(|| subscription.terms_now());
    (comes.plan, comes.interval, comes.units)
}

#[test]
fn undoing_a_pending_downgrade_grants_nothing() {
    for plan in ["pro", "max"] {
        let (mut books, id) = subscribed(PLANS, plan);
        let before = books.balance();
        for _ in 0..3 {
            books.change(to_plan(id, "lite"));
            let undone = books.change(to_plan(id, plan));
            assert_eq!((undone.amount, undone.new_grants.len()), (0, 0));
            assert_eq!(books.subscription(id).pending, None);
        }
        assert_eq!(books.balance(), before);
        books.now = jan(32);
        books.run_due();
        assert_eq!(books.subscription(id).plan, plan);
    }
}

#[test]
fn a_downgrade_that_is_replaced_by_an_upgrade_is_one_from_the_plan_it_has() {
    let (mut books, id) = subscribed(PLANS, "lite");
    assert_eq!(books.change(to_plan(id, "pro")).amount, 1000);
    books.change(to_plan(id, "lite"));
    assert_eq!(books.change(to_plan(id, "max")).amount, 4000);
    assert_eq!(books.subscription(id).pending, None);
}

#[test]
fn up_and_down_and_up_again_grants_the_difference_once_a_cycle() {
    let (mut books, id) = subscribed(PLANS, "lite");
    books.change(to_plan(id, "pro"));
    for _ in 0..3 {
        books.change(to_plan(id, "lite"));
        books.change(to_plan(id, "pro"));
    }
    assert_eq!(books.balance().available, 1500);
}

#[test]
fn undoing_a_pending_interval_leaves_what_it_was() {
    let program = "plans.pro = { allowance = 500, billing = [\"month\", \"year\"] }";
    let (mut books, id) = subscribed(program, "pro");
    books.change(to_interval(id, Interval::Year));
    let undone = books.change(to_interval(id, Interval::Month));
    assert_eq!((undone.amount, books.subscription(id).pending.clone()), (0, None));
}

#[test]
fn undoing_a_downgrade_keeps_the_units_it_would_have_ended() {
    let program = "plans.team = { allowance = 500, addon = { credits = 200 } }\nplans.lite = { allowance = 100 }";
    let (mut books, id) = subscribed(program, "team");
    books.change(to_units(id, 3));
    books.change(to_plan(id, "lite"));
    assert_eq!(terms(&books, id), ("lite".to_owned(), Interval::Month, 0));
    let undone = books.change(to_plan(id, "team"));
    assert_eq!(undone.amount, 0);
    assert_eq!(terms(&books, id), ("team".to_owned(), Interval::Month, 3));
    assert_eq!(books.subscription(id).pending, None);
    books.now = jan(32);
    assert_eq!(books.balance().by_class.addon, 600);
}

#[test]
fn undoing_a_downgrade_keeps_the_interval_it_would_have_changed() {
    let program = "plans.pro = { allowance = 500, billing = [\"year\", \"month\"], refresh = \"month\" }
        plans.lite = { allowance = 100 }";
    let (mut books, id) = subscribed(program, "pro");
    books.change(to_plan(id, "lite"));
    assert_eq!(terms(&books, id), ("lite".to_owned(), Interval::Month, 0));
    books.change(to_plan(id, "pro"));
    assert_eq!(terms(&books, id), ("pro".to_owned(), Interval::Year, 0));
}

#[test]
fn an_upgrade_in_place_of_a_pending_downgrade_carries_the_units_it_has() {
    let addon = "addon = { credits = 200 }";
    let program = format!(
        "plans.team = {{ allowance = 500, {addon} }}\nplans.big = {{ allowance = 900, {addon} }}
        plans.lite = {{ allowance = 100 }}"
    );
    let (mut books, id) = subscribed(&program, "team");
    books.change(to_units(id, 3));
    books.change(to_plan(id, "lite"));
    books.change(to_plan(id, "big"));
    assert_eq!(terms(&books, id), ("big".to_owned(), Interval::Month, 3));
}

#[test]
fn what_is_pending_of_the_same_plan_stays_with_another_change() {
    let program = "plans.lite = { allowance = 50, addon = { credits = 20 }, billing = [\"month\", \"year\"] }
        plans.team = { allowance = 500, addon = { credits = 200 }, billing = [\"month\", \"year\"] }";
    let (mut books, id) = subscribed(program, "lite");
    books.change(to_units(id, 3));
    books.change(to_units(id, 1));
    books.change(to_interval(id, Interval::Year));
    assert_eq!(terms(&books, id), ("lite".to_owned(), Interval::Year, 1));
    books.change(to_plan(id, "team"));
    assert_eq!(terms(&books, id), ("team".to_owned(), Interval::Year, 1));
    assert_eq!(
        books.subscription(id).units,
        3,
        "they are paid for until the cycle ends"
    );
}
