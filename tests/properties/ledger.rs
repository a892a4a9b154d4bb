//! The rules under test: an account that is loaded and stored around every command, as the ledger does it.
//!
//! What fell due is posted with the first command that posts anything; a refusal leaves no trace of either.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use scrip::domain::{
    account::ExternalId,
    balance::balance,
    cap::{CapOverride, Counter},
    cycle::Usage,
    decide::{AccountState, Action, Charge, Command, Context, SpendRecord, catch_up, decide, quote},
    entry::{Entry, LedgerAccount},
    grant::{Class, Grant},
    hold::Hold,
    ids::{AccountId, GrantId, IdSource, QuoteId, TransactionId},
    program::{Program, ProgramHistory, ProgramVersion},
    quote::Quote,
    rejection::Rejection,
    subscription::Subscription,
    transaction::{Kind, Transaction},
};
use uuid::Uuid;

#[derive(Clone, Default)]
pub struct Counted(u128);

impl Counted {
    /// Ids that nobody has.
    pub fn beyond_all() -> Self {
        Self(u128::from(u64::MAX))
    }
}

impl IdSource for Counted {
    fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

/// The name under which the tenant knows the account.
pub const ACCOUNT: &str = "acme";

pub struct Ledger {
    pub now: DateTime<Utc>,
    pub programs: ProgramHistory,
    versions: Vec<ProgramVersion>,
    ids: Counted,
    /// In the order in which they came: a grant's place is its number in the model. So it is with the rest.
    pub grants: Vec<Grant>,
    pub subscriptions: Vec<Subscription>,
    pub holds: Vec<Hold>,
    pub quotes: Vec<Quote>,
    pub posted: Vec<Transaction>,
    counters: Vec<Counter>,
    overrides: Vec<CapOverride>,
    pub usage: Usage,
    credits: i64,
    /// What the entries say remains and is held of each grant.
    sums: HashMap<GrantId, (i64, i64)>,
}

/// The account brought up to now, with what is closed too.
pub struct Seen {
    pub state: AccountState,
    pub grants: Vec<Grant>,
    pub subscriptions: Vec<Subscription>,
}

impl Ledger {
    pub fn new(now: DateTime<Utc>, program: Program) -> Self {
        let mut ledger = Self {
            now,
            programs: ProgramHistory::default(),
            versions: Vec::new(),
            ids: Counted::default(),
            grants: Vec::new(),
            subscriptions: Vec::new(),
            holds: Vec::new(),
            quotes: Vec::new(),
            posted: Vec::new(),
            counters: Vec::new(),
            overrides: Vec::new(),
            usage: Usage::default(),
            credits: 0,
            sums: HashMap::new(),
        };
        ledger.put_program(program);
        ledger
    }

    /// From now on this program holds.
    pub fn put_program(&mut self, program: Program) {
        self.versions.push(ProgramVersion {
            version: self.versions.len() as i32 + 1,
            since: self.now,
            program,
        });
        self.programs = ProgramHistory::new(self.versions.clone());
    }

    pub fn program(&self) -> &Program {
        self.programs.at(self.now).0
    }

    /// The account as it was stored last: what is open, and nothing that has fallen due since.
    pub fn stored(&self) -> AccountState {
        let external_id = ExternalId::try_from(ACCOUNT.to_owned()).expect("an id");
        AccountState {
            version: 1,
            credits: self.credits,
            usage: self.usage,
            grants: self.grants.iter().filter(|g| g.remaining > 0).cloned().collect(),
            subscriptions: self
                .subscriptions
                .iter()
                .filter(|s| s.ended_at.is_none())
                .cloned()
                .collect(),
            holds: self.holds.iter().filter(|h| h.is_open()).cloned().collect(),
            counters: self.counters.clone(),
            cap_overrides: self.overrides.clone(),
            ..AccountState::empty(AccountId(Uuid::from_u128(u128::MAX)), external_id)
        }
    }

    /// The stored account, and what the command names that may be closed.
    fn load(&self, command: &Command) -> AccountState {
        let mut state = self.stored();
        match &command.action {
            Action::Refund(refund) => self.load_spend(&mut state, refund.spend_id),
            Action::CaptureHold(capture) => self.load_hold(&mut state, capture.hold_id),
            Action::VoidHold(void) => self.load_hold(&mut state, void.hold_id),
            Action::ChangeSubscription(change) => {
                let named = self.subscriptions.iter().find(|s| s.id == change.subscription_id);
                let closed = named.filter(|s| s.ended_at.is_some());
                state.subscriptions.extend(closed.cloned());
            }
            _ => {}
        }
        if let Some(quote_id) = command.quote_id() {
            let named = self.quotes.iter().find(|q| q.id == quote_id);
            state.quotes.extend(named.map(|quote| (quote_id, quote.clone())));
        }
        state
    }

    fn load_hold(&self, state: &mut AccountState, id: TransactionId) {
        let closed = self.holds.iter().find(|h| h.id == id && !h.is_open());
        state.holds.extend(closed.cloned());
    }

    fn load_spend(&self, state: &mut AccountState, id: TransactionId) {
        let Some(spend) = self.posted.iter().find(|t| t.id == id && t.kind == Kind::Spend) else {
            return;
        };
        let refunds = self
            .posted
            .iter()
            .filter(|t| t.kind == Kind::Refund && t.subject == Some(id.0));
        let record = SpendRecord {
            amount: spend.amount,
            refunded: refunds.map(|t| t.amount).sum(),
            created_at: spend.created_at,
            counted_at: spend
                .detail
                .hold
                .as_ref()
                .map_or(spend.created_at, |hold| hold.created_at),
            over: spend
                .detail
                .hold
                .as_ref()
                .map_or(0, |hold| (spend.amount - hold.amount).max(0)),
            operation: spend.detail.operation.clone(),
            member: spend.detail.member.clone(),
            drawdown: spend.drawn().collect(),
        };
        let closed = |g: &&Grant| g.remaining == 0 && record.drawdown.iter().any(|d| d.grant_id == g.id);
        state.grants.extend(self.grants.iter().filter(closed).cloned());
        state.spends.insert(id, record);
    }

    pub fn post(&mut self, action: Action) -> Result<Transaction, Rejection> {
        let command = Command {
            actor: None,
            idempotency: None,
            dry_run: false,
            action,
        };
        let mut state = self.load(&command);
        let mut posted = catch_up(&mut state, self.now, &self.programs, &mut self.ids);
        let (program, program_version) = self.programs.at(self.now);
        let mut context = Context {
            now: self.now,
            booked_at: self.now,
            program,
            program_version,
            ids: &mut self.ids,
        };
        let transaction = decide(&state, &command, &mut context)?;
        state.apply(&transaction, self.now);
        let open = state.open_classes(program, self.now);
        let available = balance(&state.grants, open, self.now).available;
        assert_eq!(transaction.available_after, available, "{transaction:?}");
        posted.push(transaction.clone());
        self.store(state, posted);
        Ok(transaction)
    }

    /// Posts what has fallen due, and nothing else.
    pub fn run_due(&mut self) -> usize {
        let mut state = self.stored();
        let posted = catch_up(&mut state, self.now, &self.programs, &mut self.ids);
        let count = posted.len();
        self.store(state, posted);
        count
    }

    /// A quote is given to an account that is brought up first, and is kept.
    pub fn quote(&mut self, charge: &Charge) -> Result<Quote, Rejection> {
        self.run_due();
        let state = self.stored();
        let (program, program_version) = self.programs.at(self.now);
        let mut context = Context {
            now: self.now,
            booked_at: self.now,
            program,
            program_version,
            ids: &mut self.ids,
        };
        let quote = quote(&state, charge, &mut context)?;
        self.quotes.push(quote.clone());
        Ok(quote)
    }

    pub fn quote_id(&self, number: usize) -> QuoteId {
        self.quotes[number].id
    }

    /// Whoever looks sees what has fallen due, whether it is posted or not.
    pub fn see(&self) -> Seen {
        let mut state = self.stored();
        catch_up(&mut state, self.now, &self.programs, &mut self.ids.clone());
        let grants = merged(&self.grants, &state.grants, |g| g.id.0);
        let subscriptions = merged(&self.subscriptions, &state.subscriptions, |s| s.id.0);
        Seen {
            state,
            grants,
            subscriptions,
        }
    }

    fn store(&mut self, state: AccountState, posted: Vec<Transaction>) {
        self.grants = merged(&self.grants, &state.grants, |g| g.id.0);
        self.holds = merged(&self.holds, &state.holds, |h| h.id.0);
        self.subscriptions = merged(&self.subscriptions, &state.subscriptions, |s| s.id.0);
        for subscription in &mut self.subscriptions {
            subscription.terms = through_json(&subscription.terms);
            subscription.phases = through_json(&subscription.phases);
        }
        for quote in &mut self.quotes {
            if let Some(used) = state.quotes.get(&quote.id) {
                quote.clone_from(used);
            }
        }
        self.counters = state.counters.clone();
        self.overrides = through_json(&state.cap_overrides);
        (self.usage, self.credits) = (state.usage, state.credits);
        for entry in posted.iter().flat_map(|t| &t.entries) {
            assert!(entry.amount > 0 && entry.debit != entry.credit, "{entry:?}");
            let (remaining, held) = self.sums.entry(entry.grant_id).or_default();
            *remaining += Entry::effect(entry);
            *held += entry.held_effect();
        }
        self.posted.extend(posted);
        self.check();
    }

    /// The books agree with themselves.
    fn check(&self) {
        for grant in &self.grants {
            let sums = self.sums.get(&grant.id).copied();
            assert_eq!(
                sums,
                Some((grant.remaining, grant.held)),
                "a grant is the sum of its entries"
            );
            assert!((0..=grant.amount).contains(&grant.remaining), "{grant:?}");
            assert!((0..=grant.remaining).contains(&grant.held), "{grant:?}");
            let is_over = grant.expires_at.is_some_and(|end| end <= self.now);
            // One that is granted for a time that has passed goes with the next look.
            let is_new = self.posted.last().is_some_and(|last| last.id == grant.transaction_id);
            assert!(
                !is_over || is_new || grant.free() == 0,
                "what has ended is gone at once: {grant:?}"
            );
        }
        let remaining: i64 = self.grants.iter().map(|g| g.remaining).sum();
        assert_eq!(self.credits, remaining, "an account is the sum of its grants");
        let open: i64 = self.holds.iter().filter(|h| h.is_open()).map(|h| h.amount).sum();
        let held: i64 = self.grants.iter().map(|g| g.held).sum();
        assert_eq!(open, held, "what is held is what the open holds hold");
        let ids: Vec<TransactionId> = self.posted.iter().map(|t| t.id).collect();
        assert!(ids.is_sorted(), "the books read in the order of their ids");
        assert!(self.usage.used >= 0, "{:?}", self.usage);
        let mut accounts: BTreeMap<i16, i64> = BTreeMap::new();
        for entry in self.posted.iter().flat_map(|t| &t.entries) {
            *accounts.entry(entry.debit.code()).or_default() -= entry.amount;
            *accounts.entry(entry.credit.code()).or_default() += entry.amount;
        }
        let sum_of = |account: LedgerAccount| accounts.get(&account.code()).copied().unwrap_or(0);
        for class in Class::ALL {
            let free: i64 = self.grants.iter().filter(|g| g.class == class).map(Grant::free).sum();
            assert_eq!(
                sum_of(LedgerAccount::of(class)),
                free,
                "a class is the sum of its grants"
            );
        }
        assert_eq!(sum_of(LedgerAccount::Held), held);
    }
}

/// What the database would give back of it.
fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("it can be written");
    serde_json::from_str(&text).expect("it can be read")
}

/// The rows as they were, in their order, with what changed of them and what is new.
fn merged<T: Clone>(before: &[T], after: &[T], id: impl Fn(&T) -> Uuid) -> Vec<T> {
    let mut all = before.to_vec();
    for row in after {
        match all.iter_mut().find(|known| id(known) == id(row)) {
            Some(known) => known.clone_from(row),
            None => all.push(row.clone()),
        }
    }
    all
}
