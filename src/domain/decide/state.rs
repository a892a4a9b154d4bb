//! The state of an account that the rules decide on.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::Context;
use crate::domain::{
    account::ExternalId,
    balance::{self, OpenClasses},
    cap::{self, CapOverride, Caps, Count, Counter, given_back},
    credits::CREDITS_MAX,
    cycle::{Cycle, Usage, allocation_cycle},
    grant::Grant,
    hold::Hold,
    ids::{AccountId, GrantId, QuoteId, SubscriptionId, TransactionId},
    program::Program,
    quote::Quote,
    spending_order::Draw,
    subscription::{Standing, Subscription, primary},
    transaction::{Kind, Transaction},
};

/// An account, as of its last posting.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountState {
    pub id: AccountId,
    pub external_id: ExternalId,
    pub version: i64,
    /// What remains in all grants, those included whose end has passed and is not posted yet.
    pub credits: i64,
    pub usage: Usage,
    /// What the jobs wait for, as it is stored: nothing falls due before.
    pub due_at: Option<DateTime<Utc>>,
    /// The grants with something left, and those that a command of the batch refers to.
    pub grants: Vec<Grant>,
    /// Those that have not ended, and those that a command of the batch refers to.
    pub subscriptions: Vec<Subscription>,
    /// The open ones, and those that a command of the batch refers to.
    pub holds: Vec<Hold>,
    pub counters: Vec<Counter>,
    pub cap_overrides: Vec<CapOverride>,
    /// The spends that a command of the batch refers to.
    pub spends: HashMap<TransactionId, SpendRecord>,
    /// The quotes that a command of the batch refers to.
    pub quotes: HashMap<QuoteId, Quote>,
}

/// A spend, and what has been given back of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpendRecord {
    pub amount: i64,
    pub refunded: i64,
    pub created_at: DateTime<Utc>,
    /// When its caps counted it: of a capture when the hold was placed.
    pub counted_at: DateTime<Utc>,
    /// Of a capture: what it took above the hold, which its caps counted when it was captured.
    pub over: i64,
    pub operation: Option<String>,
    pub member: Option<String>,
    /// In the order in which it was drawn.
    pub drawdown: Vec<Draw>,
}

impl SpendRecord {
    /// What a refund of `amount` gives back to the caps: to the window that counted it. What a capture took beyond its hold
    /// was drawn last, goes back first, and was counted when it was captured.
    pub fn headroom(&self, counters: &[Counter], amount: i64) -> Vec<Count> {
        let (operation, member) = (self.operation.as_deref(), self.member.as_deref());
        let of_over = amount.min((self.over - self.refunded).max(0));
        let parts = [(of_over, self.created_at), (amount - of_over, self.counted_at)];
        parts
            .into_iter()
            .filter(|(part, _)| *part > 0)
            .flat_map(|(part, counted_at)| given_back(counters, part, operation, member, counted_at))
            .collect()
    }
}

impl AccountState {
    /// An account that nothing was ever posted to.
    pub fn empty(id: AccountId, external_id: ExternalId) -> Self {
        Self {
            id,
            external_id,
            version: 0,
            credits: 0,
            usage: Usage::default(),
            due_at: None,
            grants: Vec::new(),
            subscriptions: Vec::new(),
            holds: Vec::new(),
            counters: Vec::new(),
            cap_overrides: Vec::new(),
            spends: HashMap::new(),
            quotes: HashMap::new(),
        }
    }

    /// As it will be read once it is written, and no larger: without what only a command of the batch referred to, and what
    /// is closed.
    pub fn keep_open(&mut self) {
        self.grants.retain(|g| g.remaining > 0);
        self.subscriptions.retain(|s| s.ended_at.is_none());
        self.holds.retain(Hold::is_open);
        self.spends = HashMap::new();
        self.quotes = HashMap::new();
        self.grants.shrink_to_fit();
        self.subscriptions.shrink_to_fit();
        self.holds.shrink_to_fit();
        self.counters.shrink_to_fit();
    }

    pub fn grant(&self, id: GrantId) -> Option<&Grant> {
        self.grants.iter().find(|g| g.id == id)
    }

    pub fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.iter().find(|s| s.id == id)
    }

    pub fn hold(&self, id: TransactionId) -> Option<&Hold> {
        self.holds.iter().find(|h| h.id == id)
    }

    /// The classes whose gates are open to the account.
    pub fn open_classes(&self, program: &Program, now: DateTime<Utc>) -> OpenClasses {
        if program.gates.are_open_to_all() {
            return OpenClasses::ALL;
        }
        OpenClasses::to(&program.gates, Standing::at(&self.subscriptions, now))
    }

    pub fn caps<'a>(&'a self, program: &'a Program, now: DateTime<Utc>) -> Caps<'a> {
        Caps {
            program,
            subscriptions: &self.subscriptions,
            overrides: &self.cap_overrides,
            counters: &self.counters,
            now,
        }
    }

    /// The cycle that runs: the subscription's, as far as it is granted; without one that of the latest plan allocation.
    fn running(&self, now: DateTime<Utc>) -> Option<Cycle> {
        primary(&self.subscriptions, now)
            .and_then(Subscription::refresh_cycle)
            // What Stripe renews may not be renewed yet.
            .filter(|cycle| cycle.ends_at > now)
            .or_else(|| allocation_cycle(&self.grants, now))
    }

    /// The account's cycle. An allocation that is spent to the last credit still has its cycle.
    pub fn cycle(&self, now: DateTime<Utc>) -> Option<Cycle> {
        self.usage_at(now).cycle
    }

    /// The end of what the account has paid for: its subscription's billing cycle, else as [`AccountState::cycle`].
    pub fn billing_cycle_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let of_subscription = primary(&self.subscriptions, now).and_then(Subscription::billing_cycle);
        let running = of_subscription.filter(|cycle| cycle.ends_at > now);
        running.or_else(|| self.cycle(now)).map(|cycle| cycle.ends_at)
    }

    /// What was used in the cycle that runs at `now`, and that cycle.
    pub fn usage_at(&self, now: DateTime<Utc>) -> Usage {
        self.usage.at(self.running(now), now)
    }

    /// What could be drawn once `transaction` is posted.
    pub fn available_after(&self, transaction: &Transaction, context: &Context<'_>) -> i64 {
        let now = context.now;
        if transaction.effects.subscription.is_some() {
            // It may open or close a gate.
            let mut after = self.clone();
            after.apply(transaction, now);
            return balance::available(&after.grants, after.open_classes(context.program, now), now);
        }
        let open = self.open_classes(context.program, now);
        let counts = |id: GrantId| {
            let mut grants = self.grants.iter().chain(&transaction.new_grants);
            grants.any(|g| g.id == id && g.live(now) && open.has(g.class))
        };
        let entries = transaction.entries.iter().filter(|e| counts(e.grant_id));
        let change: i64 = entries.map(|e| e.effect() - e.held_effect()).sum();
        balance::available(&self.grants, open, now) + change
    }

    /// Carries out `transaction`, which was decided on this very state for the instant `at`.
    pub fn apply(&mut self, transaction: &Transaction, at: DateTime<Utc>) {
        for grant in &transaction.new_grants {
            self.grants.push(Grant {
                remaining: 0,
                held: 0,
                ..grant.clone()
            });
        }
        for entry in &transaction.entries {
            self.credits += entry.effect();
            if let Some(grant) = self.grants.iter_mut().find(|g| g.id == entry.grant_id) {
                grant.remaining += entry.effect();
                grant.held += entry.held_effect();
            }
        }
        let effects = &transaction.effects;
        if let Some(hold) = &effects.hold {
            match self.holds.iter_mut().find(|h| h.id == hold.id) {
                Some(known) => known.clone_from(hold),
                None => self.holds.push(hold.clone()),
            }
        }
        if let Some(subscription) = effects.subscription.as_deref() {
            match self.subscriptions.iter_mut().find(|s| s.id == subscription.id) {
                Some(known) => known.clone_from(subscription),
                None => self.subscriptions.push(subscription.clone()),
            }
        }
        cap::count(&mut self.counters, &effects.counts, at);
        if let Some(overrides) = &effects.cap_overrides {
            self.cap_overrides.clone_from(overrides);
        }
        if let Some(quote) = effects.quote.and_then(|id| self.quotes.get_mut(&id)) {
            quote.used_by = Some(transaction.id);
        }
        self.count_usage(transaction, at);
    }

    pub(super) fn bring_usage_up(&mut self, now: DateTime<Utc>) {
        self.usage = self.usage.brought_up(self.running(now), now);
    }

    fn count_usage(&mut self, transaction: &Transaction, at: DateTime<Utc>) {
        self.bring_usage_up(at);
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
            _ => {}
        }
    }
}
