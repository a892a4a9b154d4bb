//! What they found about cycles and what is used in them.

use super::*;

#[test]
fn a_cycle_goes_on_when_its_allocation_is_used_up() {
    let mut ledger = ledger("2027-01-01T00:00:00Z", "plans.pro = { allowance = 10 }");
    ledger.give(5, Some(at("2027-01-02T00:00:00Z")));
    let spend = ledger.pay(charge(5, None)).expect("it is spent");
    ledger.must(Action::GrantPlan(GrantPlan {
        plan: "pro".to_owned(),
        effective_at: Some(at("2027-01-01T00:00:00Z")),
        priority: 0,
        applies_to: None,
        paid: None,
        reason: None,
    }));
    ledger.now = at("2027-01-03T00:00:00Z");
    ledger.pay(charge(10, None)).expect("it is spent");
    let reissued = &ledger.pay_back(&spend).new_grants[0];
    assert_eq!(
        reissued.expires_at,
        Some(at("2027-02-01T00:00:00Z")),
        "the end of the account's cycle"
    );
}

#[test]
fn nothing_is_granted_beyond_what_is_paid_for() {
    let mut ledger = refreshed_by_the_year("plans.pro = { allowance = 1200 }");
    ledger.take_up("pro", 0, None);
    let subscription = |ledger: &Ledger| ledger.see().subscriptions[0].clone();
    assert_eq!(ledger.grants[0].amount, 100);
    let (refresh, billing) = (
        subscription(&ledger).refresh_cycle(),
        subscription(&ledger).billing_cycle(),
    );
    assert_eq!(refresh, billing);
    ledger.now = at("2027-03-15T00:00:00Z");
    let billing = subscription(&ledger).billing_cycle().expect("it runs");
    assert!(
        billing.starts_at <= ledger.now && ledger.now < billing.ends_at,
        "{billing:?}"
    );
}

#[test]
fn what_rolls_over_lasts_as_long_as_the_cycles_are() {
    let program = "plans.pro = { allowance = 1200, rollover = { max = 50, cycles = 1 } }";
    let mut ledger = refreshed_by_the_year(program);
    ledger.take_up("pro", 0, None);
    ledger.now = at("2027-02-02T00:00:00Z");
    let rolled = ledger
        .see()
        .grants
        .into_iter()
        .find(|g| g.origin == Origin::Rollover)
        .expect("it rolls over");
    assert_eq!(rolled.expires_at, Some(at("2027-03-01T00:00:01Z")));
}

#[test]
fn a_refund_of_what_was_not_counted_lowers_nothing() {
    let mut ledger = ledger("2027-01-10T00:00:00Z", "plans.pro = { allowance = 10 }");
    ledger.give(1_000, None);
    let before = ledger.pay(charge(50, None)).expect("it is spent");
    ledger.now += Duration::days(1);
    ledger.take_up_from("pro", "2027-01-01T00:00:00Z");
    ledger.pay(charge(30, None)).expect("it is spent");
    ledger.pay_back(&before);
    assert_eq!(ledger.see().state.usage_at(ledger.now).used, 30);
}

#[test]
fn a_refund_of_what_a_cycle_begun_in_the_past_did_not_count_lowers_nothing() {
    let mut ledger = ledger("2027-01-01T00:00:00Z", "plans.pro = { allowance = 10 }");
    ledger.give(1_000, None);
    let id = ledger.take_up("pro", 0, None);
    ledger.must(Action::ChangeSubscription(ChangeSubscription {
        subscription_id: id,
        plan: None,
        interval: None,
        units: None,
        cancel: Some(true),
    }));
    ledger.now = at("2027-02-03T00:00:00Z");
    let before = ledger.pay(charge(50, None)).expect("it is spent");
    ledger.now = at("2027-02-04T00:00:00Z");
    ledger.take_up_from("pro", "2027-02-02T00:00:00Z");
    ledger.pay(charge(30, None)).expect("it is spent");
    ledger.pay_back(&before);
    assert_eq!(ledger.see().state.usage_at(ledger.now).used, 30);
}

#[test]
fn a_cycle_that_ends_does_not_give_way_to_another_subscriptions() {
    let program = |paid| {
        format!("plans.long = {{ paid = false, billing = \"year\" }}\nplans.basic = {{ paid = {paid}, allowance = 7 }}")
    };
    let mut ledger = ledger("2027-01-10T00:00:00Z", &program(true));
    ledger.give(1_000, None);
    ledger.take_up("long", 0, None);
    ledger.take_up("basic", 0, None);
    ledger.take_up_from("basic", "2027-01-05T00:00:00Z");
    ledger.now = at("2027-01-12T00:00:00Z");
    ledger.put_program(read(&program(false)));
    ledger.now = at("2027-02-12T00:00:00Z");
    ledger.pay(charge(1, None)).expect("it is spent");
    ledger.now = at("2027-03-06T00:00:00Z");
    let usage = ledger.see().state.usage_at(ledger.now);
    assert_eq!(usage.used, 1, "the oldest leads, for its year: {usage:?}");
}
