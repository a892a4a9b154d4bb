//! An account and everything ever posted to it. Only what the ledger would load is known to a command: what is open, and
//! what the command names.

use std::collections::HashMap;

use super::*;
use crate::domain::{
    account::ExternalId,
    cap::{CapOverride, Counter},
    cycle::Usage,
    hold::Hold,
    quote::Quote,
};

pub(super) const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xacc0));

pub(super) struct Books {
    pub now: DateTime<Utc>,
    pub programs: ProgramHistory,
    pub versions: Vec<ProgramVersion>,
    pub ids: Counted,
    pub grants: Vec<Grant>,
    pub subscriptions: Vec<Subscription>,
    pub holds: Vec<Hold>,
    pub counters: Vec<Counter>,
    pub cap_overrides: Vec<CapOverride>,
    pub quotes: HashMap<QuoteId, Quote>,
    pub spends: HashMap<TransactionId, SpendRecord>,
    pub usage: Usage,
    pub due_at: Option<DateTime<Utc>>,
    pub posted: Vec<Transaction>,
}

impl Books {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            programs: ProgramHistory::default(),
            versions: Vec::new(),
            ids: Counted::default(),
            grants: Vec::new(),
            subscriptions: Vec::new(),
            holds: Vec::new(),
            counters: Vec::new(),
            cap_overrides: Vec::new(),
            quotes: HashMap::new(),
            spends: HashMap::new(),
            usage: Usage::default(),
            due_at: None,
            posted: Vec::new(),
        }
    }

    pub fn with_program(now: DateTime<Utc>, toml: &str) -> Self {
        let mut books = Self::new(now);
        books.put_program(1, toml);
        books
    }

    /// A new version of the program, from now on.
    pub fn put_program(&mut self, version: i32, toml: &str) {
        let program = parse(&format!("unit = {{ name = \"credits\" }}\n{toml}"), Format::Toml).expect("a program");
        self.versions.push(ProgramVersion {
            version,
            since: self.now,
            program,
        });
        self.programs = ProgramHistory::new(self.versions.clone());
    }

    /// The account as it stands in the books, without what an action names beside.
    pub fn state(&self) -> AccountState {
        AccountState {
            id: ACCOUNT,
            external_id: ExternalId::try_from("acme".to_owned()).expect("an id"),
            version: 1,
            credits: self.grants.iter().map(|g| g.remaining).sum(),
            usage: self.usage,
            due_at: self.due_at,
            grants: self.open(),
            subscriptions: all(&self.subscriptions, |s| s.ended_at.is_none()),
            holds: all(&self.holds, Hold::is_open),
            counters: self.counters.clone(),
            cap_overrides: self.cap_overrides.clone(),
            spends: HashMap::new(),
            quotes: HashMap::new(),
        }
    }

    /// The account as it is loaded for a command.
    pub fn load(&self, action: &Action) -> AccountState {
        let mut state = self.state();
        let holds = |id| all(&self.holds, move |h: &Hold| h.id == id && !h.is_open());
        match action {
            Action::Refund(refund) => {
                if let Some(spend) = self.spends.get(&refund.spend_id) {
                    let drew = |g: &Grant| g.remaining == 0 && spend.drawdown.iter().any(|d| d.grant_id == g.id);
                    state.grants.extend(all(&self.grants, drew));
                    state.spends.insert(refund.spend_id, spend.clone());
                }
            }
            Action::CaptureHold(capture) => state.holds.extend(holds(capture.hold_id)),
            Action::VoidHold(void) => state.holds.extend(holds(void.hold_id)),
            Action::ChangeSubscription(change) => {
                let named = |s: &Subscription| s.id == change.subscription_id && s.ended_at.is_some();
                state.subscriptions.extend(all(&self.subscriptions, named));
            }
            _ => {}
        }
        let quote_id = command(action.clone()).quote_id();
        if let Some(quote) = quote_id.and_then(|id| self.quotes.get(&id)) {
            state.quotes.insert(quote.id, quote.clone());
        }
        state
    }

    pub fn open(&self) -> Vec<Grant> {
        all(&self.grants, |g| g.remaining > 0)
    }

    /// The account as it is read: brought up to now, and nothing posted.
    pub fn caught_up(&self) -> AccountState {
        let mut state = self.state();
        catch_up(&mut state, self.now, &self.programs, &mut self.ids.clone());
        state
    }

    /// Carries a command out as the ledger does: brought up, decided, applied; a refusal leaves no trace.
    pub fn post(&mut self, action: Action) -> Result<Transaction, Rejection> {
        let mut state = self.load(&action);
        let mut posted = catch_up(&mut state, self.now, &self.programs, &mut self.ids);
        let (program, program_version) = self.programs.at(self.now);
        let mut context = Context {
            now: self.now,
            booked_at: self.now,
            program,
            program_version,
            ids: &mut self.ids,
        };
        let transaction = decide(&state, &command(action), &mut context)?;
        state.apply(&transaction, self.now);
        let open = state.open_classes(program, self.now);
        assert_eq!(
            transaction.available_after,
            balance(&state.grants, open, self.now).available,
            "available_after is the balance once it is posted"
        );
        posted.push(transaction.clone());
        self.store(state, posted);
        Ok(transaction)
    }

    /// What the job does: posts what is due, and notes when the next thing is.
    pub fn run_due(&mut self) {
        let mut state = self.state();
        let posted = catch_up(&mut state, self.now, &self.programs, &mut self.ids);
        let is_noted = self.due_at.is_some_and(|due| due <= self.now);
        assert!(posted.is_empty() || is_noted, "the job would have found the account");
        self.store(state, posted);
    }

    fn store(&mut self, state: AccountState, posted: Vec<Transaction>) {
        let due = next_due(&state);
        let stands = match (self.due_at, due) {
            (Some(noted), Some(due)) => noted > self.now && noted <= due,
            (Some(noted), None) => noted > self.now,
            (None, due) => due.is_none(),
        };
        self.due_at = if stands { self.due_at } else { due };
        put(&mut self.grants, state.grants, |g| g.id);
        put(&mut self.subscriptions, state.subscriptions, |s| s.id);
        put(&mut self.holds, state.holds, |h| h.id);
        self.counters = state.counters.clone();
        self.cap_overrides = through_json(&state.cap_overrides);
        self.quotes.extend(state.quotes);
        self.usage = state.usage;
        self.spends.extend(state.spends);
        for transaction in posted.iter().filter(|t| t.kind == Kind::Spend) {
            self.spends.insert(transaction.id, record(transaction));
        }
        self.posted.extend(posted);
        self.check(state.credits);
    }

    /// What holds of the books at any time.
    fn check(&self, credits: i64) {
        let sum: i64 = self.grants.iter().map(|g| g.remaining).sum();
        assert_eq!(credits, sum, "the account has what its grants have");
        let parts = || self.holds.iter().filter(|h| h.is_open()).flat_map(|h| &h.drawdown);
        for grant in &self.grants {
            let entries = || self.posted.iter().flat_map(|t| &t.entries);
            let its = || entries().filter(|e| e.grant_id == grant.id);
            let remaining: i64 = its().map(Entry::effect).sum();
            assert_eq!(grant.remaining, remaining, "a grant has what its entries say");
            let held: i64 = its().map(Entry::held_effect).sum();
            assert_eq!(grant.held, held, "what is held of a grant is what its entries say");
            let of_holds: i64 = parts().filter(|p| p.grant_id == grant.id).map(|p| p.amount).sum();
            assert_eq!(grant.held, of_holds, "what is held of a grant is what open holds drew");
            assert!((0..=grant.amount).contains(&grant.remaining), "{grant:?}");
            assert!((0..=grant.remaining).contains(&grant.held), "{grant:?}");
            assert!(grant.expires_at.is_none_or(|end| end > grant.effective_at), "{grant:?}");
        }
        let mut keys: Vec<&str> = Vec::new();
        for transaction in &self.posted {
            assert!(transaction.entries.iter().all(|e| e.amount > 0), "{transaction:?}");
            assert!(transaction.effective_at <= transaction.created_at, "{transaction:?}");
            keys.extend(transaction.idempotency.iter().map(|i| i.key.as_str()));
        }
        keys.sort_unstable();
        assert!(keys.windows(2).all(|two| two[0] != two[1]), "nothing is posted twice");
    }
}

fn command(action: Action) -> Command {
    Command {
        actor: None,
        idempotency: None,
        dry_run: false,
        action,
    }
}

/// A spend as a refund of it finds it.
fn record(transaction: &Transaction) -> SpendRecord {
    let hold = transaction.detail.hold.as_ref();
    SpendRecord {
        amount: transaction.amount,
        refunded: 0,
        created_at: transaction.created_at,
        counted_at: hold.map_or(transaction.created_at, |hold| hold.created_at),
        over: hold.map_or(0, |hold| (hold.captured - hold.amount).max(0)),
        operation: transaction.detail.operation.clone(),
        member: transaction.detail.member.clone(),
        drawdown: transaction.drawn().collect(),
    }
}

fn all<T: Clone>(items: &[T], which: impl Fn(&T) -> bool) -> Vec<T> {
    items.iter().filter(|item| which(item)).cloned().collect()
}

/// Adds what is new to `known` and replaces what changed.
fn put<T, Id: PartialEq>(known: &mut Vec<T>, items: Vec<T>, id: impl Fn(&T) -> Id) {
    for item in items {
        match known.iter_mut().find(|old| id(old) == id(&item)) {
            Some(old) => *old = item,
            None => known.push(item),
        }
    }
}

/// As it comes back from the database.
fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(items: &[T]) -> Vec<T> {
    let text = serde_json::to_string(items).expect("JSON");
    serde_json::from_str(&text).expect("the same again")
}
