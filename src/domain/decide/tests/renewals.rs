//! Renewals: missed ones, what rolls over, and programs that change meanwhile.

use super::*;
use crate::domain::decide::next_refresh;

fn pro(terms: &str) -> String {
    format!("plans.pro = {{ allowance = 500, {terms} }}")
}

/// (origin, amount, end) of what is open.
fn open(books: &Books) -> Vec<(Origin, i64, Option<DateTime<Utc>>)> {
    let grants = books.open();
    grants.iter().map(|g| (g.origin, g.remaining, g.expires_at)).collect()
}

#[test]
fn missed_renewals_are_posted_when_noticed_dated_right_in_order_and_never_twice() {
    let mut books = Books::with_program(jan(15), &pro(""));
    let id = books.subscribe("pro");
    books.spend(100);
    let before = books.posted.len();
    books.now = on("2027-04-20");
    books.spend(1);
    let [feb, mar, apr] = ["2027-02-15", "2027-03-15", "2027-04-15"].map(on);
    assert_eq!(
        books.since(before),
        [
            (Kind::Expiry, 400, feb),
            (Kind::Renewal, 500, feb),
            (Kind::Expiry, 500, mar),
            (Kind::Renewal, 500, mar),
            (Kind::Expiry, 500, apr),
            (Kind::Renewal, 500, apr),
            (Kind::Spend, 1, on("2027-04-20")),
        ]
    );
    let caught_up = &books.posted[before..];
    assert!(caught_up.iter().all(|t| t.created_at == on("2027-04-20")));
    assert!(caught_up.is_sorted_by_key(|t| t.id));
    let after: Vec<i64> = caught_up.iter().map(|t| t.available_after).collect();
    assert_eq!(after, [0, 500, 0, 500, 0, 500, 499]);
    let keys: Vec<_> = caught_up.iter().filter_map(|t| t.idempotency.as_ref()).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0].key, format!("scrip:renewal:{id}:1:pro"));
    let posted = books.posted.len();
    books.run_due();
    assert_eq!(books.posted.len(), posted);
}

#[test]
fn a_refused_command_leaves_the_renewal_to_the_next() {
    let mut books = Books::with_program(jan(15), &pro(""));
    books.subscribe("pro");
    books.now = on("2027-02-15");
    let before = books.posted.len();
    assert_eq!(books.try_spend(spending(501)), Err(insufficient(501, 500)));
    assert_eq!(books.posted.len(), before);
    assert_eq!(books.spend(500).available_after, 0);
}

#[test]
fn what_remains_rolls_over_up_to_its_maximum_for_its_cycles() {
    let mut books = Books::with_program(jan(1), &pro("rollover = { max = 200, cycles = 2 }"));
    let id = books.subscribe("pro");
    let first = books.allowances(id)[0].id;
    books.spend(100);
    let before = books.posted.len();
    let [feb, mar, apr] = ["2027-02-01", "2027-03-01", "2027-04-01"].map(on);
    books.now = feb;
    books.run_due();
    assert_eq!(
        books.since(before),
        [
            (Kind::Expiry, 400, feb),
            (Kind::Rollover, 200, feb),
            (Kind::Renewal, 500, feb)
        ]
    );
    let rolled = &books.posted[before + 1];
    assert_eq!(moves(rolled), [(LedgerAccount::Expired, LedgerAccount::Plan, 200)]);
    assert_eq!(rolled.new_grants[0].source_grant_id, Some(first));
    assert_eq!(rolled.subject, Some(id.0));
    assert_eq!(
        open(&books),
        [(Origin::Rollover, 200, Some(apr)), (Origin::Allocation, 500, Some(mar))]
    );
    // The allowance ends first and is spent first, so what rolled over stays; it does not roll over again.
    books.spend(450);
    books.now = mar;
    books.run_due();
    assert_eq!(
        open(&books),
        [
            (Origin::Rollover, 200, Some(apr)),
            (Origin::Rollover, 50, Some(on("2027-05-01"))),
            (Origin::Allocation, 500, Some(apr))
        ]
    );
    books.now = apr;
    books.run_due();
    assert_eq!(books.balance().available, 50 + 200 + 500);
}

#[test]
fn an_upgrades_difference_rolls_over_with_its_allowance() {
    let program = "plans.pro = { allowance = 500, rollover = { max = 1000 } }
        plans.max = { allowance = 800, rollover = { max = 1000 } }";
    let mut books = Books::with_program(jan(1), program);
    let id = books.subscribe("pro");
    books.change(to_plan(id, "max"));
    books.spend(100);
    books.now = jan(32);
    assert_eq!(books.balance().available, 700 + 800);
}

#[test]
fn nothing_rolls_over_that_is_spent_or_of_another_subscription_or_when_it_ends() {
    let program = format!("{}\nplans.lite = {{ allowance = 60 }}", pro("rollover = { max = 200 }"));
    let rolled = |books: &Books| books.posted.iter().filter(|t| t.kind == Kind::Rollover).count();
    let mut books = Books::with_program(jan(1), &program);
    books.subscribe("pro");
    books.spend(500);
    books.subscribe("lite");
    books.now = jan(32);
    books.run_due();
    assert_eq!((rolled(&books), books.balance().available), (0, 560));

    let mut books = Books::with_program(jan(1), &program);
    let id = books.subscribe("pro");
    books.change(cancelling(id, true));
    books.now = jan(32);
    books.run_due();
    assert_eq!((rolled(&books), books.balance().available), (0, 0));
}

#[test]
fn what_a_hold_frees_at_the_cycles_very_end_rolls_over_too() {
    let mut books = Books::with_program(jan(30), &pro("rollover = { max = 200 }"));
    books.subscribe("pro");
    books.spend(400);
    let end = on("2027-02-28");
    books.now = end - Duration::days(1);
    books.hold_until(30, end);
    books.now = end;
    assert_eq!(books.balance().available, 100 + 500);
}

#[test]
fn what_fell_due_before_the_program_changed_is_by_the_old_one() {
    let mut books = Books::with_program(jan(15), &pro(""));
    let id = books.subscribe("pro");
    books.now = on("2027-03-15");
    books.put_program(2, "plans.pro = { allowance = 800 }");
    books.now = on("2027-04-20");
    books.run_due();
    let grants: Vec<_> = books
        .allowances(id)
        .iter()
        .map(|g| (g.amount, g.program_version))
        .collect();
    // At the very instant the new one holds.
    assert_eq!(grants, [(500, Some(1)), (500, Some(1)), (800, Some(2)), (800, Some(2))]);
    assert_eq!(books.subscription(id).program_version, Some(2));
}

#[test]
fn a_plan_that_the_program_dropped_goes_on_as_it_was() {
    let mut books = Books::with_program(jan(1), &pro("bonus = { credits = 5 }, rollover = { max = 10 }"));
    let id = books.subscribe("pro");
    books.put_program(2, "");
    for month in ["2027-02-01", "2027-03-01"] {
        books.now = on(month);
        books.run_due();
        let last = books.posted.last().expect("a renewal");
        assert_eq!(granted(last), [(Origin::Allocation, 500), (Origin::Bonus, 5)]);
    }
    assert_eq!(books.subscription(id).program_version, Some(1));
    assert_eq!(
        books.post(Action::Subscribe(subscribing("pro"))),
        Err(Rejection::UnknownPlan { plan: "pro".to_owned() })
    );
}

#[test]
fn a_plan_that_is_not_offered_at_its_interval_any_more_goes_on_as_it_was() {
    let both = "plans.pro = { allowance = { month = 500, year = 6000 }, billing = [\"month\", \"year\"] }";
    let mut books = Books::with_program(jan(1), both);
    books.subscribe_as(Subscribe {
        interval: Some(Interval::Year),
        ..subscribing("pro")
    });
    books.put_program(2, "plans.pro = { allowance = { month = 500 } }");
    books.now = on("2028-01-01");
    assert_eq!(books.balance().available, 6_000);
}

#[test]
fn a_scheduled_one_begins_with_the_terms_of_its_first_day() {
    let mut books = Books::with_program(jan(1), &pro(""));
    books.subscribe_as(Subscribe {
        anchor: Some(jan(20)),
        ..subscribing("pro")
    });
    books.now = jan(10);
    books.put_program(2, "plans.pro = { allowance = 800 }");
    books.now = jan(20);
    assert_eq!(books.balance().available, 800);
}

#[test]
fn the_time_zone_of_its_beginning_stays() {
    let mut books = Books::with_program(on("2027-02-28"), &format!("timezone = \"Europe/Berlin\"\n{}", pro("")));
    let id = books.subscribe("pro");
    books.put_program(2, &format!("timezone = \"Asia/Tokyo\"\n{}", pro("")));
    books.now = on("2027-05-01");
    books.run_due();
    let starts: Vec<_> = books.allowances(id).iter().map(|g| g.effective_at).collect();
    // 01:00 in Berlin.
    assert_eq!(starts[1..], [at("2027-03-28T00:00:00Z"), at("2027-04-27T23:00:00Z")]);
}

#[test]
fn the_usage_of_the_cycle_starts_anew_with_each_refresh() {
    let mut books = Books::with_program(jan(1), &pro(""));
    books.subscribe("pro");
    let spend = books.spend(120);
    assert_eq!(books.used(), 120);
    books.now = jan(32) - TICK;
    assert_eq!(books.used(), 120);
    books.now = jan(32);
    assert_eq!(
        (books.used(), books.usage_now().cycle.map(|c| c.starts_at)),
        (0, Some(jan(32)))
    );
    books.spend(3);
    books.refund(&spend, 120);
    assert_eq!(books.used(), 3, "a refund of last cycle's spend is not this one's");
}

#[test]
fn the_next_refresh_is_said_before_it_comes() {
    let program = format!(
        "{}\nplans.lite = {{ allowance = 60, billing = \"year\", refresh = \"month\", bonus = {{ credits = 9 }} }}",
        pro("bonus = { credits = 5 }")
    );
    let mut books = Books::with_program(jan(1), &program);
    let said = |books: &Books| {
        let state = books.caught_up();
        next_refresh(&state.subscriptions, books.programs.at(books.now).0).map(|(at, amount, _)| (at, amount))
    };
    assert_eq!(said(&books), None);
    let id = books.subscribe("pro");
    assert_eq!(said(&books), Some((jan(32), 505)));
    books.now = jan(5);
    let lite = books.subscribe("lite");
    books.change(cancelling(id, true));
    assert_eq!(said(&books), Some((on("2027-02-05"), 60)));
    books.now = on("2027-12-06");
    assert_eq!(said(&books), Some((on("2028-01-05"), 69)));
    books.change(cancelling(lite, true));
    assert_eq!(said(&books), None);
}

#[test]
fn while_stripe_has_not_renewed_yet_a_reissue_lasts_as_without_a_cycle() {
    // The plan came to be renewed by Stripe: after the cycle that it granted last, the account waits for the payment.
    let mut books = Books::with_program(jan(1), &pro(""));
    books.subscribe("pro");
    let spend = books.spend(20);
    books.put_program(2, &pro("renewal = \"stripe\""));
    books.now = on("2027-03-05");
    let refund = books.refund(&spend, 20);
    assert_eq!(refund.new_grants[0].expires_at, Some(books.now + Duration::days(30)));
    assert_eq!(refund.available_after, 20);
}

#[test]
fn while_stripe_has_not_renewed_yet_usage_counts_from_the_cycles_end() {
    let mut books = Books::with_program(jan(1), &pro(""));
    books.grant(credits(Class::Balance, 100));
    books.subscribe("pro");
    books.put_program(2, &pro("renewal = \"stripe\""));
    books.now = on("2027-03-05");
    books.spend(20);
    books.now = on("2027-03-06");
    books.spend(7);
    assert_eq!(books.used(), 27);
}

#[test]
fn while_stripe_has_not_renewed_yet_an_upgrade_grants_nothing_that_is_over_already() {
    let mut books = Books::with_program(jan(1), &pro(""));
    let id = books.subscribe("pro");
    books.put_program(
        2,
        &format!("{}\nplans.max = {{ allowance = 800 }}", pro("renewal = \"stripe\"")),
    );
    books.now = on("2027-03-05");
    let upgrade = books.change(to_plan(id, "max"));
    assert_eq!(granted(&upgrade), []);
    // The new plan is renewed by the clock: the cycle that was missed is posted.
    assert_eq!(books.balance().available, 800);
}
