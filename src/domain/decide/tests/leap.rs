//! One leap in time is the same as many steps.

use super::*;

const V1: &str = "timezone = \"Europe/Berlin\"
    caps = [{ window = \"week\", limit = 5000 }, { window = \"cycle\", limit = 9000 }]
    gates.spend.balance = \"paid_subscription\"
    plans.legacy = { allowance = 208, paid = false, rollover = { max = 100, cycles = 3 } }
    plans.pro = { allowance = 1500, billing = [\"month\", \"year\"], refresh = \"month\", rank = 2,
        bonus = { credits = { month = 100, year = 1000 }, expiry = { days = 45 } }, addon = { credits = 60 } }
    plans.lite = { allowance = 500, rank = 1, rollover = { max = 250 } }
    plans.gone = { allowance = 70 }";
const V2: &str = "timezone = \"Europe/Berlin\"
    caps = [{ window = \"day\", limit = 700 }]
    gates.spend.balance = \"paid_subscription\"
    plans.legacy = { allowance = 250, paid = false }
    plans.pro = { allowance = 1600, billing = [\"month\", \"year\"], refresh = \"month\", rank = 2 }
    plans.lite = { allowance = 400, rank = 1 }";

/// An account on which much falls due in the years after the 31st of January 2027.
fn eventful() -> Books {
    let mut books = Books::with_program(on("2027-01-31"), V1);
    books.subscribe("legacy");
    books.subscribe("gone");
    books.subscribe_as(Subscribe {
        anchor: Some(on("2027-02-14")),
        ..subscribing("lite")
    });
    let (_, pro) = books.subscribe_as(Subscribe {
        interval: Some(Interval::Year),
        units: 3,
        anchor: Some(on("2026-10-31")),
        ..subscribing("pro")
    });
    books.change(to_plan(pro, "lite"));
    let monthly = books.subscribe("pro");
    books.change(cancelling(monthly, true));
    books.grant(ending(Class::Balance, 300, on("2027-02-03")));
    books.grant(GrantCredits {
        effective_at: Some(on("2027-03-01")),
        ..ending(Class::Balance, 40, on("2027-09-01"))
    });
    books.spend(77);
    books.hold_until(900, on("2027-02-01"));
    books.hold_until(2_200, on("2027-02-05"));
    books.now = on("2027-02-02");
    books.hold_until(1_000, on("2027-02-09"));
    books.put_program(2, V2);
    // It holds from the summer on.
    books.versions[1].since = on("2027-06-15");
    books.programs = ProgramHistory::new(books.versions.clone());
    books
}

/// What was posted, as if it had been noticed when it fell due.
fn as_due(books: &Books) -> Vec<Transaction> {
    let posted = books.posted.iter().cloned();
    posted
        .map(|transaction| Transaction {
            created_at: transaction.effective_at,
            ..transaction
        })
        .collect()
}

#[test]
fn one_leap_equals_many_steps() {
    let end = on("2029-03-01") + Duration::hours(7);
    let mut leap = eventful();
    leap.now = end;
    leap.run_due();
    assert!(leap.posted.len() > 150, "{} transactions", leap.posted.len());
    for step in [
        Duration::hours(11),
        Duration::days(1),
        Duration::days(17),
        Duration::days(400),
    ] {
        let mut steps = eventful();
        while steps.now < end {
            steps.now = (steps.now + step).min(end);
            steps.run_due();
        }
        same(&leap, &steps, &step.to_string());
    }
}

#[test]
fn one_leap_equals_a_step_at_each_instant_that_something_is_due() {
    let end = on("2029-03-01");
    let mut leap = eventful();
    leap.now = end;
    leap.run_due();
    let mut steps = eventful();
    while let Some(due) = steps.due_at.filter(|due| *due <= end) {
        steps.now = steps.now.max(due - TICK);
        let before = steps.posted.len();
        steps.run_due();
        assert_eq!(steps.posted.len(), before, "nothing is posted before it is due");
        steps.now = steps.now.max(due);
        steps.run_due();
        assert!(
            steps.due_at.is_none_or(|next| next > steps.now),
            "what is done is not due"
        );
    }
    steps.now = end;
    same(&leap, &steps, "each instant");
}

#[test]
fn a_command_after_a_leap_is_the_same_as_after_steps() {
    let end = on("2028-05-01");
    let mut leap = eventful();
    leap.now = end;
    leap.spend(100);
    let mut steps = eventful();
    while steps.now < end {
        steps.now += Duration::days(1);
        steps.run_due();
    }
    steps.spend(100);
    same(&leap, &steps, "and a spend");
}

#[test]
fn what_is_read_in_between_changes_nothing() {
    let mut read = eventful();
    let before = (read.posted.len(), read.state().grants);
    read.now = on("2027-08-08");
    let seen = read.balance();
    assert_eq!((read.posted.len(), read.state().grants), before);
    read.run_due();
    assert_eq!(read.balance(), seen);
}

fn same(leap: &Books, steps: &Books, what: &str) {
    for (one, other) in as_due(leap).iter().zip(&as_due(steps)) {
        assert_eq!(one, other, "{what}");
    }
    assert_eq!(leap.posted.len(), steps.posted.len(), "{what}");
    assert_eq!(leap.grants, steps.grants, "{what}");
    assert_eq!(leap.subscriptions, steps.subscriptions, "{what}");
    assert_eq!(leap.holds, steps.holds, "{what}");
    assert_eq!(leap.counters, steps.counters, "{what}");
    assert_eq!(leap.usage_now(), steps.usage_now(), "{what}");
    assert_eq!(leap.balance(), steps.balance(), "{what}");
    assert_eq!(next_due(&leap.state()), next_due(&steps.state()), "{what}");
}
