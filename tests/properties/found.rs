//! What random lives found, each told in a few steps.

mod cycles;

use chrono::{DateTime, Duration, Utc};
use scrip::domain::{
    cap::CapOverride,
    credits::Amount,
    cycle::Interval,
    decide::{
        Action, CaptureHold, ChangeSubscription, Charge, GrantCredits, PlaceHold, RefundSpend, SpendCredits, Subscribe,
    },
    decide::{GrantPlan, SetCaps},
    grant::{Class, Origin},
    ids::SubscriptionId,
    program::{Format, Refresh, parse},
    rejection::Rejection,
    transaction::Transaction,
};

use crate::ledger::Ledger;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn ledger(start: &str, program: &str) -> Ledger {
    Ledger::new(at(start), read(program))
}

/// A plan `pro` that is paid by the month and refreshed by the year. No program may say so any more, but a plan that is
/// changed to can come to it, and so can one that was written when it was allowed.
fn refreshed_by_the_year(program: &str) -> Ledger {
    let mut program = read(program);
    program.plans.get_mut("pro").expect("a plan").refresh = Refresh::Year;
    Ledger::new(at("2027-01-01T00:00:00Z"), program)
}

fn read(program: &str) -> scrip::domain::program::Program {
    parse(&format!("unit = {{ name = \"credits\" }}\n{program}"), Format::Toml).expect("a program")
}

fn charge(credits: i64, member: Option<&str>) -> Charge {
    Charge {
        amount: Amount::new(credits),
        member: member.map(str::to_owned),
        ..Charge::default()
    }
}

impl Ledger {
    fn must(&mut self, action: Action) -> Transaction {
        self.now += Duration::seconds(1);
        self.post(action).expect("it is posted")
    }

    fn give(&mut self, credits: i64, expires_at: Option<DateTime<Utc>>) {
        self.must(Action::Grant(GrantCredits {
            class: Class::Balance,
            origin: Origin::Promotion,
            amount: Amount::new(credits).expect("an amount"),
            effective_at: None,
            expires_at,
            priority: 0,
            applies_to: None,
            paid: None,
            reason: None,
        }));
    }

    fn take_up(&mut self, plan: &str, units: u32, interval: Option<Interval>) -> SubscriptionId {
        let action = Action::Subscribe(Subscribe {
            plan: plan.to_owned(),
            anchor: None,
            interval,
            units,
        });
        self.must(action).effects.subscription.expect("a subscription").id
    }

    fn take_up_from(&mut self, plan: &str, anchor: &str) {
        self.must(Action::Subscribe(Subscribe {
            plan: plan.to_owned(),
            anchor: Some(at(anchor)),
            interval: None,
            units: 0,
        }));
    }

    fn change(&mut self, subscription_id: SubscriptionId, plan: Option<&str>, units: Option<u32>) -> Transaction {
        self.must(Action::ChangeSubscription(ChangeSubscription {
            subscription_id,
            plan: plan.map(str::to_owned),
            interval: None,
            units,
            cancel: None,
        }))
    }

    fn pay(&mut self, charge: Charge) -> Result<Transaction, Rejection> {
        self.now += Duration::seconds(1);
        self.post(Action::Spend(SpendCredits {
            charge,
            partial: false,
            metadata: None,
        }))
    }

    fn pay_back(&mut self, spend: &Transaction) -> Transaction {
        self.must(Action::Refund(RefundSpend {
            spend_id: spend.id,
            amount: None,
            reason: "it failed".to_owned(),
            ticket: None,
        }))
    }

    fn day_cap(&mut self, limit: i64) {
        let cap = serde_json::json!({"window": "day", "limit": limit});
        let cap: CapOverride = serde_json::from_value(cap).expect("a cap");
        self.must(Action::SetCaps(SetCaps {
            caps: vec![cap],
            reason: "they asked".to_owned(),
            ticket: None,
        }));
    }

    /// What is used of the first cap.
    fn cap_used(&self) -> i64 {
        self.see().state.caps(self.program(), self.now).standings(None)[0].used
    }
}

#[test]
fn a_plan_that_was_given_up_is_not_changed_to() {
    let before = "plans.pro = { allowance = 100, rank = 1 }\nplans.basic = { allowance = 10 }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", before);
    let id = ledger.take_up("pro", 0, None);
    ledger.change(id, Some("basic"), None);
    ledger.now += Duration::days(1);
    ledger.put_program(read("plans.pro = { allowance = 100, rank = 1 }"));
    ledger.now = at("2027-02-02T00:00:00Z");
    let renewed = ledger.see();
    let granted = renewed.grants.last().expect("it renewed").amount;
    assert_eq!((renewed.subscriptions[0].plan.as_str(), granted), ("pro", 100));
}

#[test]
fn units_that_are_added_do_not_wait_for_a_pending_downgrade() {
    let program = "
        plans.pro = { allowance = 100, rank = 1, addon = { credits = 7 } }
        plans.basic = { allowance = 10, addon = { credits = 7 } }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", program);
    let id = ledger.take_up("pro", 1, None);
    ledger.change(id, Some("basic"), None);
    assert_eq!(ledger.change(id, None, Some(3)).amount, 14);
    let subscription = ledger.subscriptions[0].clone();
    let pending = subscription.pending.expect("the downgrade is pending");
    assert_eq!(
        (subscription.units, pending.plan.as_str(), pending.units),
        (3, "basic", 3)
    );
}

#[test]
fn a_refund_gives_no_headroom_that_it_did_not_take() {
    let mut ledger = ledger("2027-01-01T09:00:00Z", "");
    ledger.give(1_000, None);
    let uncapped = ledger.pay(charge(500, None)).expect("nothing caps it");
    ledger.day_cap(50);
    ledger.pay(charge(40, None)).expect("it fits");
    ledger.pay_back(&uncapped);
    assert_eq!(ledger.cap_used(), 40);
    assert!(ledger.pay(charge(40, None)).is_err(), "only 10 are left today");
}

#[test]
fn a_window_is_told_from_another_that_starts_alike() {
    let program = "
        plans.pro = { allowance = 10, billing = \"year\" }
        caps = [{ window = \"cycle\", limit = 100 }]";
    let mut ledger = ledger("2027-02-01T00:00:00Z", program);
    ledger.give(1_000, None);
    ledger.pay(charge(10, None)).expect("it fits");
    ledger.take_up_from("pro", "2027-02-01T00:00:00Z");
    ledger.pay(charge(90, None)).expect("it fits");
    ledger.now = at("2027-03-02T00:00:00Z");
    ledger.pay(charge(1, None)).expect("it fits");
    assert_eq!(ledger.cap_used(), 91, "the billing cycle runs to 2028");
}

#[test]
fn headroom_of_an_over_capture_goes_back_to_the_day_of_the_capture() {
    let mut ledger = ledger("2027-01-01T12:00:00Z", "caps = [{ window = \"day\", limit = 100 }]");
    ledger.give(1_000, None);
    let hold = ledger.must(Action::PlaceHold(PlaceHold {
        charge: charge(10, None),
        partial: false,
        expires_in_s: Some(172_800),
        metadata: None,
    }));
    ledger.now = at("2027-01-02T12:00:00Z");
    let captured = ledger.must(Action::CaptureHold(CaptureHold {
        hold_id: hold.id,
        amount: Amount::new(35),
        allow_over: true,
    }));
    assert_eq!(ledger.cap_used(), 25);
    ledger.pay_back(&captured);
    assert_eq!(ledger.cap_used(), 0);
}

#[test]
fn a_quote_for_nobody_does_not_pass_a_members_cap() {
    let program = "caps = [{ window = \"day\", limit = 10, per = \"member\" }]";
    let mut ledger = ledger("2027-01-01T12:00:00Z", program);
    ledger.give(1_000, None);
    let quote = ledger.quote(&charge(50, None)).expect("a quote");
    let refused = ledger.pay(Charge {
        quote_id: Some(quote.id),
        ..charge(50, Some("ann"))
    });
    assert!(matches!(refused, Err(Rejection::ExceedsCapEver { .. })), "{refused:?}");
}

#[test]
fn a_part_of_a_quote_for_nobody_stays_within_a_members_cap() {
    let program = "caps = [{ window = \"day\", limit = 10, per = \"member\" }]";
    let mut ledger = ledger("2027-01-01T12:00:00Z", program);
    ledger.give(1_000, None);
    let quote = ledger.quote(&charge(50, None)).expect("a quote");
    let spend = ledger.must(Action::Spend(SpendCredits {
        charge: Charge {
            quote_id: Some(quote.id),
            ..charge(50, Some("ann"))
        },
        partial: true,
        metadata: None,
    }));
    assert_eq!(spend.amount, 10, "what the cap leaves");
}

#[test]
fn what_units_cost_more_is_not_said_where_it_is_not_known() {
    let program = "
        plans.a = { rank = 1, addon = { credits = 1 } }
        plans.b = { rank = 2, addon = { credits = 2, price = { amount = 900, currency = \"EUR\" } } }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", program);
    let id = ledger.take_up("a", 1, None);
    let upgrade = ledger.change(id, Some("b"), None);
    assert_eq!((upgrade.amount, &upgrade.new_grants[0].paid), (1, &None));
}

#[test]
fn reissued_units_are_still_one_users_own_and_paid() {
    let program = "
        plans.pro = { allowance = 0, addon = { credits = 10, scope = \"per_user\" } }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", program);
    ledger.take_up("pro", 1, None);
    let spend = ledger.pay(charge(10, Some("acme"))).expect("it is its own");
    ledger.now = at("2027-02-02T00:00:00Z");
    let reissued = ledger.pay_back(&spend).new_grants[0].clone();
    assert!(reissued.was_paid());
    assert!(ledger.pay(charge(15, Some("ann"))).is_err());
    assert!(
        ledger.pay(charge(1, Some("ann"))).is_err(),
        "neither the new units nor the reissued ones are hers"
    );
}

#[test]
fn a_plan_grants_by_an_interval_at_which_it_is_offered() {
    let program = "
        plans.basic = { allowance = 10, billing = \"year\", refresh = \"month\" }
        plans.pro = { allowance = { month = 500 }, rank = 1 }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", program);
    let id = ledger.take_up("basic", 0, None);
    assert_eq!(ledger.change(id, Some("pro"), None).amount, 490);
    ledger.now = at("2027-03-02T00:00:00Z");
    let grants = ledger.see().grants;
    let amounts: Vec<i64> = grants.iter().map(|g| g.amount).collect();
    assert_eq!(
        amounts,
        [10, 490, 500, 500],
        "the year that is paid for runs on, month by month"
    );
}

#[test]
fn units_are_not_granted_twice_by_changing_to_and_fro() {
    let program = "
        plans.a = { allowance = 10, addon = { credits = 7 } }
        plans.b = { allowance = 10 }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", program);
    let id = ledger.take_up("a", 3, None);
    for _ in 0..3 {
        ledger.change(id, Some("b"), None);
        ledger.change(id, Some("a"), Some(3));
    }
    let addon: i64 = ledger
        .grants
        .iter()
        .filter(|g| g.class == Class::Addon)
        .map(|g| g.remaining)
        .sum();
    assert_eq!(addon, 21);
}

#[test]
fn an_allowance_is_not_granted_twice_by_changing_to_and_fro() {
    let program = "
        plans.x = { allowance = { month = 100, year = 1500 }, billing = [\"month\", \"year\"] }
        plans.y = { allowance = { month = 110, year = 1250 }, billing = [\"month\", \"year\"] }";
    let mut ledger = ledger("2027-01-01T00:00:00Z", program);
    let id = ledger.take_up("x", 0, Some(Interval::Month));
    for _ in 0..3 {
        for (plan, interval) in [("y", Interval::Month), ("x", Interval::Year)] {
            ledger.must(Action::ChangeSubscription(ChangeSubscription {
                subscription_id: id,
                plan: Some(plan.to_owned()),
                interval: Some(interval),
                units: None,
                cancel: None,
            }));
        }
    }
    let plan: i64 = ledger
        .grants
        .iter()
        .filter(|g| g.class == Class::Plan)
        .map(|g| g.remaining)
        .sum();
    assert_eq!(plan, 110);
}
