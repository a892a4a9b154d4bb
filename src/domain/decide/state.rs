//! The state of an account that the rules decide on.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::{
    account::ExternalId,
    balance,
    credits::CREDITS_MAX,
    cycle::Usage,
    entry::Entry,
    grant::Grant,
    ids::{AccountId, GrantId, TransactionId},
    spending_order::Draw,
    transaction::{Kind, Transaction},
};

/// An account under its lock.
#[derive(Debug, Clone)]
pub struct AccountState {
    pub id: AccountId,
    pub external_id: ExternalId,
    pub version: i64,
    /// What remains in all grants, the expired ones that are not swept yet included.
    pub credits: i64,
    pub usage: Usage,
    /// The grants with something left, and those that a command of the batch refers to.
    pub grants: Vec<Grant>,
    /// The spends that a command of the batch refers to.
    pub spends: HashMap<TransactionId, SpendRecord>,
}

/// A spend, and what has been given back of it.
#[derive(Debug, Clone)]
pub struct SpendRecord {
    pub amount: i64,
    pub refunded: i64,
    pub created_at: DateTime<Utc>,
    pub operation: Option<String>,
    /// In the order in which it was drawn.
    pub drawdown: Vec<Draw>,
}

impl AccountState {
    pub fn grant(&self, id: GrantId) -> Option<&Grant> {
        self.grants.iter().find(|g| g.id == id)
    }

    /// What could be drawn once `entries` were posted.
    pub fn available_after(&self, entries: &[Entry], new_grants: &[Grant], now: DateTime<Utc>) -> i64 {
        let is_live = |id: GrantId| self.grants.iter().chain(new_grants).any(|g| g.id == id && g.live(now));
        let change: i64 = entries.iter().filter(|e| is_live(e.grant_id)).map(Entry::effect).sum();
        balance::available(&self.grants, now) + change
    }

    /// Carries out `transaction`, which was decided on this very state.
    pub fn apply(&mut self, transaction: &Transaction) {
        for grant in &transaction.new_grants {
            self.grants.push(Grant {
                remaining: 0,
                ..grant.clone()
            });
        }
        for entry in &transaction.entries {
            self.credits += entry.effect();
            if let Some(grant) = self.grants.iter_mut().find(|g| g.id == entry.grant_id) {
                grant.remaining += entry.effect();
            }
        }
        self.count_usage(transaction);
    }

    pub(super) fn bring_usage_up(&mut self, now: DateTime<Utc>) {
        self.usage = self.usage.brought_up(&self.grants, now);
    }

    fn count_usage(&mut self, transaction: &Transaction) {
        self.bring_usage_up(transaction.created_at);
        match transaction.kind {
            // Over a long life it can reach what a JSON client can't read any more, and then stays there.
            Kind::Spend => self.usage.used = (self.usage.used + transaction.amount).min(CREDITS_MAX),
            Kind::Refund => {
                let Some(spend) = transaction
                    .subject
                    .and_then(|id| self.spends.get_mut(&TransactionId(id)))
                else {
                    return;
                };
                spend.refunded += transaction.amount;
                // A refund of a spend of an earlier cycle gives nothing back to this one's usage.
                if self.usage.counts_since().is_none_or(|since| spend.created_at >= since) {
                    self.usage.used = (self.usage.used - transaction.amount).max(0);
                }
            }
            Kind::Grant | Kind::TopUp | Kind::Expiry | Kind::Revocation => {}
        }
    }
}
