//! The commands with concrete dates and amounts, on an account that is loaded and stored around each of them as the
//! ledger does it: open grants, the spend a refund names, and the grants that one drew from.

mod cycle;
mod figures;
mod grant;
mod refund;
mod refund_expired;
mod revoke;
mod spend;
mod spend_order;
mod sweep;
mod top_up;

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{
    AccountState, Action, Command, Context, GrantCredits, GrantPlan, RefundSpend, RevokeGrant, SpendCredits,
    SpendRecord, decide, sweep,
};
use crate::domain::{
    account::ExternalId,
    balance::{Balance, balance},
    credits::Amount,
    cycle::Usage,
    entry::{Entry, LedgerAccount},
    grant::{Class, Grant, Origin},
    ids::{AccountId, GrantId, IdSource, TransactionId},
    money::Money,
    program::{Format, Program, parse},
    rejection::Rejection,
    spending_order::Draw,
    transaction::Transaction,
};

/// Ids that count up.
#[derive(Default)]
struct Counted(u128);

impl IdSource for Counted {
    fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Midnight of a day of January 2027.
fn jan(day: i64) -> DateTime<Utc> {
    at("2027-01-01T00:00:00Z") + Duration::days(day - 1)
}

/// The smallest step of time that the database keeps.
const TICK: Duration = Duration::microseconds(1);

fn amount(credits: i64) -> Amount {
    Amount::new(credits).expect("an amount")
}

fn money(cents: i64) -> Money {
    Money {
        amount: amount(cents),
        currency: "USD".to_owned().try_into().expect("a currency"),
    }
}

/// A promotion from now on, for ever.
fn credits(class: Class, credits: i64) -> GrantCredits {
    GrantCredits {
        class,
        origin: Origin::Promotion,
        amount: amount(credits),
        effective_at: None,
        expires_at: None,
        priority: 0,
        applies_to: None,
        paid: None,
        reason: None,
    }
}

/// One cycle's allowance of a plan.
fn allocation(allowance: i64, from: DateTime<Utc>, until: DateTime<Utc>) -> GrantCredits {
    GrantCredits {
        origin: Origin::Allocation,
        effective_at: Some(from),
        expires_at: Some(until),
        ..credits(Class::Plan, allowance)
    }
}

fn spending(credits: i64) -> SpendCredits {
    SpendCredits {
        amount: amount(credits),
        operation: None,
        member: None,
        partial: false,
        metadata: None,
    }
}

fn pairs(draws: impl IntoIterator<Item = Draw>) -> Vec<(GrantId, i64)> {
    draws.into_iter().map(|draw| (draw.grant_id, draw.amount)).collect()
}

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xacc0));

/// An account and everything ever posted to it.
struct Books {
    now: DateTime<Utc>,
    program: Program,
    version: Option<i32>,
    ids: Counted,
    grants: Vec<Grant>,
    spends: HashMap<TransactionId, SpendRecord>,
    usage: Usage,
    posted: Vec<Transaction>,
}

impl Books {
    fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            program: Program::default(),
            version: None,
            ids: Counted::default(),
            grants: Vec::new(),
            spends: HashMap::new(),
            usage: Usage::default(),
            posted: Vec::new(),
        }
    }

    fn with_program(now: DateTime<Utc>, toml: &str) -> Self {
        let program = parse(&format!("unit = {{ name = \"credits\" }}\n{toml}"), Format::Toml).expect("a program");
        Self {
            program,
            version: Some(1),
            ..Self::new(now)
        }
    }

    /// The account as it is loaded for a command.
    fn load(&self, action: &Action) -> AccountState {
        let mut state = AccountState {
            id: ACCOUNT,
            external_id: ExternalId::try_from("acme".to_owned()).expect("an id"),
            version: 1,
            credits: self.grants.iter().map(|g| g.remaining).sum(),
            usage: self.usage,
            grants: self.open(),
            spends: HashMap::new(),
        };
        if let Action::Refund(refund) = action
            && let Some(spend) = self.spends.get(&refund.spend_id)
        {
            let drew = |g: &&Grant| g.remaining == 0 && spend.drawdown.iter().any(|d| d.grant_id == g.id);
            state.grants.extend(self.grants.iter().filter(drew).cloned());
            state.spends.insert(refund.spend_id, spend.clone());
        }
        state
    }

    fn open(&self) -> Vec<Grant> {
        self.grants.iter().filter(|g| g.remaining > 0).cloned().collect()
    }

    /// Carries a command out as the ledger does: swept, decided, applied; a refusal leaves no trace.
    fn post(&mut self, action: Action) -> Result<Transaction, Rejection> {
        let mut state = self.load(&action);
        let mut context = Context {
            now: self.now,
            program: &self.program,
            program_version: self.version,
            ids: &mut self.ids,
        };
        let mut posted = sweep(&mut state, &mut context);
        let command = Command {
            actor: None,
            idempotency: None,
            dry_run: false,
            action,
        };
        let transaction = decide(&state, &command, &mut context)?;
        state.apply(&transaction);
        assert_eq!(
            transaction.available_after,
            balance(&state.grants, &state.usage, self.now).available,
            "available_after is the balance once it is posted"
        );
        posted.push(transaction.clone());
        self.store(state, posted);
        Ok(transaction)
    }

    fn store(&mut self, state: AccountState, posted: Vec<Transaction>) {
        for grant in state.grants {
            match self.grants.iter_mut().find(|g| g.id == grant.id) {
                Some(known) => *known = grant,
                None => self.grants.push(grant),
            }
        }
        self.usage = state.usage;
        self.spends.extend(state.spends);
        for transaction in &posted {
            if transaction.kind == crate::domain::transaction::Kind::Spend {
                let record = SpendRecord {
                    amount: transaction.amount,
                    refunded: 0,
                    created_at: transaction.created_at,
                    operation: transaction.detail.operation.clone(),
                    drawdown: transaction.drawn().collect(),
                };
                self.spends.insert(transaction.id, record);
            }
        }
        self.posted.extend(posted);
        let sum: i64 = self.grants.iter().map(|g| g.remaining).sum();
        assert_eq!(state.credits, sum, "the account holds what its grants hold");
        for grant in &self.grants {
            let entries = self.posted.iter().flat_map(|t| &t.entries);
            let sum: i64 = entries.filter(|e| e.grant_id == grant.id).map(Entry::effect).sum();
            assert_eq!(grant.remaining, sum, "a grant holds what its entries say");
            assert!((0..=grant.amount).contains(&grant.remaining), "{grant:?}");
        }
    }

    fn grant(&mut self, grant: GrantCredits) -> GrantId {
        let transaction = self.post(Action::Grant(grant)).expect("it is granted");
        transaction.new_grants[0].id
    }

    fn spend(&mut self, credits: i64) -> Transaction {
        self.try_spend(spending(credits)).expect("it is spent")
    }

    fn try_spend(&mut self, spend: SpendCredits) -> Result<Transaction, Rejection> {
        self.post(Action::Spend(spend))
    }

    fn refund(&mut self, spend: &Transaction, credits: i64) -> Transaction {
        self.try_refund(spend, Some(credits)).expect("it is refunded")
    }

    /// None: all that was not refunded yet.
    fn try_refund(&mut self, spend: &Transaction, credits: Option<i64>) -> Result<Transaction, Rejection> {
        self.post(Action::Refund(RefundSpend {
            spend_id: spend.id,
            amount: credits.map(amount),
            reason: "it failed".to_owned(),
            ticket: None,
        }))
    }

    fn revoke(&mut self, grant_id: GrantId) -> Result<Transaction, Rejection> {
        self.post(Action::Revoke(RevokeGrant {
            grant_id,
            reason: Some("a mistake".to_owned()),
        }))
    }

    fn remaining(&self, id: GrantId) -> i64 {
        self.grants.iter().find(|g| g.id == id).expect("a grant").remaining
    }

    fn balance(&self) -> Balance {
        balance(&self.open(), &self.usage, self.now)
    }

    /// (debit, credit, amount) of a transaction's entries.
    fn moves(transaction: &Transaction) -> Vec<(LedgerAccount, LedgerAccount, i64)> {
        let entries = transaction.entries.iter();
        entries.map(|e| (e.debit, e.credit, e.amount)).collect()
    }
}
