//! The rules that change balances: a command and the state of its account in, a transaction or a named refusal out.
//!
//! Two steps. [`decide`] looks and computes, and changes nothing, so that a refused command leaves no trace.
//! [`AccountState::apply`] carries a transaction out on the state, entry by entry, so that the next command of the batch
//! sees it; what remains of a grant is thereby the sum of its entries by construction.

mod command;
mod expire;
mod grant;
mod refund;
mod revoke;
mod spend;
mod state;
mod top_up;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use command::{Action, Command, CreditTopUp, GrantCredits, GrantPlan, RefundSpend, RevokeGrant, SpendCredits};
pub use expire::sweep;
pub use state::{AccountState, SpendRecord};

use super::{
    credits::CREDITS_MAX,
    entry::Entry,
    grant::Grant,
    ids::{IdSource, TransactionId},
    program::Program,
    rejection::Rejection,
    transaction::{Detail, Kind, Transaction},
};

/// What a rule may know beside the account: the time, the tenant's program, and where ids come from.
pub struct Context<'a> {
    pub now: DateTime<Utc>,
    pub program: &'a Program,
    /// None: the tenant has not put a program yet.
    pub program_version: Option<i32>,
    pub ids: &'a mut dyn IdSource,
}

/// What `command` does to the account, or why it may not. `state` is as of `context.now`, expired grants swept.
pub fn decide(state: &AccountState, command: &Command, context: &mut Context<'_>) -> Result<Transaction, Rejection> {
    let draft = match &command.action {
        Action::Grant(grant) => grant::decide(grant, context)?,
        Action::GrantPlan(plan) => grant::decide_plan(plan, context)?,
        Action::Spend(spend) => spend::decide(state, spend, context)?,
        Action::Refund(refund) => refund::decide(state, refund, context)?,
        Action::Revoke(revoke) => revoke::decide(state, revoke, context)?,
        Action::CreditTopUp(credit) => top_up::decide(state, credit, context)?,
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
    reason: Option<String>,
    detail: Detail,
    entries: Vec<Entry>,
    new_grants: Vec<Grant>,
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
            reason: None,
            detail: Detail::default(),
            entries: Vec::with_capacity(1),
            new_grants: Vec::new(),
            effective_at: None,
        }
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
        let available_after = state.available_after(&self.entries, &self.new_grants, context.now);
        Ok(self.posted(available_after, context.now))
    }

    fn posted(self, available_after: i64, now: DateTime<Utc>) -> Transaction {
        Transaction {
            id: self.id,
            kind: self.kind,
            amount: self.amount,
            available_after,
            created_at: now,
            effective_at: self.effective_at.unwrap_or(now),
            actor: None,
            subject: self.subject,
            idempotency: None,
            reason: self.reason,
            detail: self.detail,
            entries: self.entries,
            new_grants: self.new_grants,
        }
    }
}
