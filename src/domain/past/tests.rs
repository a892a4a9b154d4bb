//! The past against what was seen then: random histories, in which the state of every step is kept and then looked up.

mod dice;

use chrono::Duration;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{
    account::ExternalId,
    balance::OpenClasses,
    cap::CapStanding,
    credits::Amount,
    decide::{Action, Command, Context, GrantCredits, SpendCredits, catch_up, decide, next_refresh},
    grant::{Class, Origin},
    ids::{AccountId, Counted, SubscriptionId},
    program::{Format, Program, ProgramVersion, parse},
};
use dice::{Dice, action, charge};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

const START: &str = "2027-01-31T10:30:00Z";

fn programs() -> ProgramHistory {
    let program = |allowance: i64, cap: i64| {
        let text = format!(
            r#"{{"unit": {{"name": "credits"}}, "timezone": "Europe/Berlin",
            "plans": {{
                "free": {{"paid": false, "allowance": 20}},
                "basic": {{"rank": 1, "allowance": {allowance}, "rollover": {{"max": 30}}, "addon": {{"credits": 15}}}},
                "pro": {{"rank": 2, "allowance": {{"month": 200, "year": 240}}, "billing": ["month", "year"], "refresh": "month",
                    "bonus": {{"credits": 25}}, "caps": [{{"window": "day", "limit": 90}}]}}
            }},
            "caps": [{{"window": "day", "limit": {cap}}}, {{"window": "cycle", "limit": 150}},
                {{"window": "week", "limit": 60, "operations": ["image"]}}],
            "operations": {{"image": {{"prices": [{{"fixed": 3}}]}}}},
            "gates": {{"spend": {{"balance": "paid_subscription"}}}}}}"#
        );
        parse(&text, Format::Json).expect("a sound program")
    };
    let version = |version, since, program: Program| ProgramVersion {
        version,
        since: at(since),
        program,
    };
    ProgramHistory::new(vec![
        version(1, "2026-01-01T00:00:00Z", program(100, 40)),
        version(2, "2027-04-10T12:00:00Z", program(120, 55)),
    ])
}

/// What a balance tells.
#[derive(Debug, PartialEq)]
struct Seen {
    used: i64,
    credits: i64,
    grants: Vec<(GrantId, i64, i64)>,
    caps: Vec<CapStanding>,
    open: OpenClasses,
    next_refresh: Option<(DateTime<Utc>, i64, SubscriptionId)>,
}

fn seen(state: &AccountState, used: i64, program: &Program, now: DateTime<Utc>) -> Seen {
    let left = state.grants.iter().filter(|g| g.remaining != 0 || g.held != 0);
    let mut grants: Vec<_> = left.map(|g| (g.id, g.remaining, g.held)).collect();
    grants.sort_unstable();
    Seen {
        used,
        credits: state.credits,
        grants,
        caps: state.caps(program, now).standings(None),
        open: state.open_classes(program, now),
        next_refresh: next_refresh(&state.subscriptions, program),
    }
}

/// An account that is loaded and stored around every command as the ledger does it, and all that was posted to it.
struct Books {
    programs: ProgramHistory,
    now: DateTime<Utc>,
    state: AccountState,
    ids: Counted,
    grants: HashMap<GrantId, Grant>,
    spends: Vec<(TransactionId, SpendRecord)>,
    subscriptions: Vec<SubscriptionId>,
    posted: Vec<(Transaction, Option<SpendRecord>)>,
}

impl Books {
    fn new() -> Self {
        let id = ExternalId::try_from("acme".to_owned()).expect("an id");
        Self {
            programs: programs(),
            now: at(START),
            state: AccountState::empty(AccountId(Uuid::nil()), id),
            ids: Counted::default(),
            grants: HashMap::new(),
            spends: Vec::new(),
            subscriptions: Vec::new(),
            posted: Vec::new(),
        }
    }

    /// A refusal changes nothing, and is as good a step as any.
    fn run(&mut self, action: Action) {
        self.bring_up();
        if let Action::Refund(refund) = &action {
            let spend = self.spends.iter().find(|(id, _)| *id == refund.spend_id);
            let (id, spend) = spend.expect("a spend").clone();
            let closed = spend.drawdown.iter().map(|part| part.grant_id);
            let closed: Vec<GrantId> = closed.filter(|id| self.state.grant(*id).is_none()).collect();
            self.state
                .grants
                .extend(closed.iter().map(|id| self.grants[id].clone()));
            self.state.spends.insert(id, spend);
        }
        let (program, program_version) = self.programs.at(self.now);
        let mut context = Context {
            now: self.now,
            booked_at: self.now,
            program,
            program_version,
            ids: &mut self.ids,
        };
        let command = Command {
            actor: None,
            idempotency: None,
            dry_run: false,
            action,
        };
        if let Ok(transaction) = decide(&self.state, &command, &mut context) {
            self.state.apply(&transaction, self.now);
            self.record(transaction);
        }
        self.store();
    }

    fn record(&mut self, transaction: Transaction) {
        let mut spend = None;
        match transaction.kind {
            Kind::Spend => {
                let hold = transaction.detail.hold.as_deref();
                let record = SpendRecord {
                    amount: transaction.amount,
                    refunded: 0,
                    created_at: transaction.created_at,
                    counted_at: hold.map_or(transaction.created_at, |hold| hold.created_at),
                    over: hold.map_or(0, |hold| (hold.captured - hold.amount).max(0)),
                    operation: transaction.detail.operation.clone(),
                    member: transaction.detail.member.clone(),
                    drawdown: transaction.drawn().collect(),
                };
                self.spends.push((transaction.id, record));
            }
            Kind::Refund => {
                let id = transaction.subject.map(TransactionId);
                let its = self.spends.iter_mut().find(|(known, _)| Some(*known) == id);
                let (_, record) = its.expect("a spend");
                spend = Some(record.clone());
                record.refunded += transaction.amount;
            }
            Kind::Subscription => {
                let id = SubscriptionId(transaction.subject.expect("a subscription"));
                if !self.subscriptions.contains(&id) {
                    self.subscriptions.push(id);
                }
            }
            _ => {}
        }
        self.posted.push((as_stored(transaction), spend));
    }

    fn store(&mut self) {
        for grant in &self.state.grants {
            self.grants.insert(grant.id, grant.clone());
        }
        self.state.grants.retain(|g| g.remaining > 0);
        self.state.holds.retain(|h| h.is_open());
        self.state.subscriptions.retain(|s| s.ended_at.is_none());
        self.state.spends.clear();
    }

    /// Posts what is due, as whoever looks does.
    fn bring_up(&mut self) {
        for transaction in catch_up(&mut self.state, self.now, &self.programs, &mut self.ids) {
            self.record(transaction);
        }
        self.store();
    }

    fn seen(&mut self) -> Seen {
        self.bring_up();
        let used = self.state.usage_at(self.now).used;
        seen(&self.state, used, self.programs.at(self.now).0, self.now)
    }

    fn seen_back(&self, at: DateTime<Utc>) -> Seen {
        let empty = AccountState::empty(self.state.id, self.state.external_id.clone());
        let mut terms = TermsByVersion::new();
        for (version, since) in [(1, START), (2, "2027-06-01T00:00:00Z")] {
            terms.insert(version, self.programs.at(self::at(since)).0.plans.clone());
        }
        let mut past = Past::new(empty, self.grants.values().cloned().collect(), &self.programs, at);
        for (transaction, spend) in self.posted.clone() {
            past.post(transaction, spend, &terms).expect("known terms");
        }
        let (state, used) = past.finish();
        seen(&state, used, self.programs.at(at).0, at)
    }
}

/// What the database keeps of a transaction.
fn as_stored(transaction: Transaction) -> Transaction {
    let detail = serde_json::to_value(&transaction.detail).expect("JSON");
    Transaction {
        detail: serde_json::from_value(detail).expect("a detail"),
        new_grants: Vec::new(),
        effects: Effects::default(),
        ..transaction
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_seen_is_what_is_seen_back(steps in prop::collection::vec((any::<Dice>(), 0_u16..900), 1..70)) {
        let mut books = Books::new();
        let mut seen = Vec::new();
        for (dice, quarters) in steps {
            if let Some(action) = action(&books, dice) {
                books.run(action);
            }
            if quarters > 300 {
                seen.push((books.now, books.seen()));
                books.now += Duration::minutes(i64::from(quarters) * 15);
            }
        }
        seen.push((books.now, books.seen()));
        for (at, then) in seen {
            prop_assert_eq!(books.seen_back(at), then, "at {}", at);
        }
    }
}

#[test]
fn a_grant_that_was_booked_later_has_its_credits_and_changes_nothing_that_was_counted() {
    let mut books = Books::new();
    let day = |day: i64| at(START) + Duration::days(day);
    let credits = |amount, origin, effective_at, expires_at| {
        Action::Grant(GrantCredits {
            class: Class::Plan,
            origin,
            amount: Amount::new(amount).expect("an amount"),
            effective_at,
            expires_at,
            priority: 0,
            applies_to: None,
            paid: None,
            reason: None,
        })
    };
    books.run(credits(50, Origin::Promotion, None, None));
    books.now = day(2);
    books.run(Action::Spend(SpendCredits {
        charge: charge(0, 29),
        partial: false,
        metadata: None,
    }));
    books.now = day(5);
    books.run(credits(7, Origin::Allocation, Some(day(1)), Some(day(31))));
    books.now = day(40);
    books.seen();
    let figures = |at| {
        let seen = books.seen_back(at);
        (seen.credits, seen.used)
    };
    assert_eq!(figures(day(0) - Duration::microseconds(1)), (0, 0));
    assert_eq!(figures(day(0)), (50, 0));
    assert_eq!(figures(day(1)), (57, 0), "it counts from its beginning");
    assert_eq!(figures(day(3)), (27, 30), "what was used then was used in no cycle");
    assert_eq!(figures(day(5)), (27, 0), "its cycle runs since it was booked");
    assert_eq!(figures(day(31)), (20, 0), "it ended, and the cycle with it");
}
