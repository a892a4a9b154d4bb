//! The rules that change balances: a command and the state of its account in, a transaction or a named refusal out.
//!
//! Two steps. [`decide`] looks and computes, and changes nothing, so that a refused command leaves no trace.
//! [`AccountState::apply`] carries a transaction out on the state, entry by entry, so that the next command of the batch
//! sees it; what remains of a grant is thereby the sum of its entries by construction.

mod caps;
mod charge;
mod command;
mod due;
mod expire;
mod grant;
mod hold;
mod quote;
mod refund;
mod renew;
mod revoke;
mod spend;
mod state;
mod subscribe;
mod top_up;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use command::{
    Action, CaptureHold, ChangeSubscription, Charge, Command, CreditTopUp, GrantCredits, GrantPlan, PlaceHold,
    RefundSpend, RevokeGrant, SetCaps, SpendCredits, Subscribe, VoidHold,
};
pub use due::{catch_up, next_due};
pub use quote::quote;
pub use renew::next_refresh;
pub use state::{AccountState, SpendRecord};

use super::{
    credits::CREDITS_MAX,
    entry::{Entry, LedgerAccount},
    grant::Grant,
    ids::{IdSource, TransactionId},
    program::Program,
    rejection::Rejection,
    subscription::Subscription,
    transaction::{Detail, Effects, Idempotency, Kind, Transaction},
};

/// What a rule may know beside the account: the time, the tenant's program, and where ids come from.
pub struct Context<'a> {
    /// The instant that is decided on: of what fell due, when it did.
    pub now: DateTime<Utc>,
    /// The instant at which it is posted, at or after `now`.
    pub booked_at: DateTime<Utc>,
    pub program: &'a Program,
    /// None: the tenant has not put a program yet.
    pub program_version: Option<i32>,
    pub ids: &'a mut dyn IdSource,
}

/// What `command` does to the account, or why it may not. `state` is as of `context.now`: caught up.
pub fn decide(state: &AccountState, command: &Command, context: &mut Context<'_>) -> Result<Transaction, Rejection> {
    let draft = match &command.action {
        Action::Grant(grant) => grant::decide(grant, context)?,
        Action::GrantPlan(plan) => grant::decide_plan(plan, context)?,
        Action::Spend(spend) => spend::decide(state, spend, context)?,
        Action::PlaceHold(hold) => hold::place(state, hold, context)?,
        Action::CaptureHold(capture) => hold::capture(state, capture, context)?,
        Action::VoidHold(void) => hold::void(state, void, context)?,
        Action::Refund(refund) => refund::decide(state, refund, context)?,
        Action::Revoke(revoke) => revoke::decide(state, revoke, context)?,
        Action::CreditTopUp(credit) => top_up::decide(state, credit, context)?,
        Action::Subscribe(new) => subscribe::begin(state, new, context)?,
        Action::ChangeSubscription(change) => subscribe::change(state, change, context)?,
        Action::SetCaps(set) => caps::set(set, context)?,
    };
    let mut transaction = draft.into_transaction(state, context)?;
    transaction.actor = command.actor;
    transaction.idempotency = command.idempotency.clone();
    Ok(transaction)
}

/// Grants with something left that one account may have. What a spend costs grows with them.
pub const GRANTS_OPEN_MAX: usize = 10_000;

/// Entries of one transaction, which are numbered in 16 bits. Refunds can reopen grants beyond the most that can be made.
const ENTRIES_MAX: usize = i16::MAX as usize;

/// A transaction in the making: what differs from kind to kind.
struct Draft {
    /// The id, where the grants it makes had to name it already.
    id: TransactionId,
    kind: Kind,
    amount: i64,
    subject: Option<uuid::Uuid>,
    /// The key of what Scrip posts by itself.
    idempotency: Option<Idempotency>,
    reason: Option<String>,
    detail: Detail,
    entries: Vec<Entry>,
    new_grants: Vec<Grant>,
    effects: Effects,
    /// None: now.
    effective_at: Option<DateTime<Utc>>,
}

impl Draft {
    fn new(id: TransactionId, kind: Kind, amount: i64) -> Self {
        Self {
            id,
            kind,
            amount,
            subject: None,
            idempotency: None,
            reason: None,
            detail: Detail::default(),
            entries: Vec::with_capacity(1),
            new_grants: Vec::new(),
            effects: Effects::default(),
            effective_at: None,
        }
    }

    /// Credits come in as a new grant.
    fn issue(&mut self, grant: Grant) {
        self.amount += grant.amount;
        self.entries.push(Entry {
            grant_id: grant.id,
            debit: LedgerAccount::Issued,
            credit: LedgerAccount::of(grant.class),
            amount: grant.amount,
        });
        self.new_grants.push(grant);
    }

    /// A subscription becomes this.
    fn keep_subscription(&mut self, subscription: Subscription, now: DateTime<Utc>) {
        self.subject = Some(subscription.id.0);
        self.detail.subscription = Some(Box::new(subscription.snapshot(now)));
        self.effects.subscription = Some(Box::new(subscription));
    }

    fn into_transaction(self, state: &AccountState, context: &Context<'_>) -> Result<Transaction, Rejection> {
        let open = state.grants.iter().filter(|g| g.remaining > 0).count();
        if !self.new_grants.is_empty() && open >= GRANTS_OPEN_MAX {
            return Err(Rejection::TooManyGrants {
                open,
                limit: GRANTS_OPEN_MAX,
            });
        }
        let grown: i64 = self.entries.iter().map(Entry::effect).sum();
        if grown > 0 && state.credits + grown > CREDITS_MAX {
            return Err(Rejection::AccountFull {
                would_hold: state.credits + grown,
                limit: CREDITS_MAX,
            });
        }
        if self.entries.len() > ENTRIES_MAX {
            return Err(Rejection::TooManyGrants {
                open,
                limit: ENTRIES_MAX,
            });
        }
        let mut transaction = self.posted(context);
        transaction.available_after = state.available_after(&transaction, context);
        Ok(transaction)
    }

    /// The transaction, but for what is available after it.
    fn posted(self, context: &Context<'_>) -> Transaction {
        Transaction {
            id: self.id,
            kind: self.kind,
            amount: self.amount,
            available_after: 0,
            created_at: context.booked_at,
            effective_at: self.effective_at.unwrap_or(context.now),
            actor: None,
            subject: self.subject,
            idempotency: self.idempotency,
            reason: self.reason,
            detail: self.detail,
            entries: self.entries,
            new_grants: self.new_grants,
            effects: self.effects,
        }
    }
}
