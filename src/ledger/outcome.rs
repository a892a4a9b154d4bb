//! What a batch changes: gathered while it is decided, written once as it stands at the end.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        decide::{AccountState, next_due},
        ids::{AccountId, GrantId, SubscriptionId, TenantId, TransactionId},
        transaction::Transaction,
    },
    storage::batch::{AccountKey, Batch, ChangedGrant, GrantFigures},
};

/// The batch in the making.
#[derive(Default)]
pub(super) struct Outcome {
    pub batch: Batch,
    /// The accounts that are written, and what of theirs changes.
    touched: HashMap<AccountKey, Touched>,
}

#[derive(Default)]
struct Touched {
    /// By how much the entries of the batch change what remains and what is held of them.
    grants: HashMap<GrantId, GrantFigures>,
    subscriptions: HashSet<SubscriptionId>,
    holds: HashSet<TransactionId>,
    cap_overrides: bool,
}

impl Outcome {
    /// The account is written even if nothing was posted to it.
    pub fn touch(&mut self, account: &AccountKey) {
        self.touched.entry(account.clone()).or_default();
    }

    /// Whether the account is written.
    pub fn touches(&self, account: &AccountKey) -> bool {
        self.touched.contains_key(account)
    }

    pub fn record(&mut self, account: &AccountKey, account_id: AccountId, transaction: Arc<Transaction>) {
        let tenant = account.tenant;
        let touched = self.touched.entry(account.clone()).or_default();
        for entry in &transaction.entries {
            let change = touched.grants.entry(entry.grant_id).or_default();
            change.remaining += entry.effect();
            change.held += entry.held_effect();
        }
        touched
            .holds
            .extend(transaction.effects.hold.iter().map(|hold| hold.id));
        touched
            .subscriptions
            .extend(transaction.effects.subscription.iter().map(|s| s.id));
        touched.cap_overrides |= transaction.effects.cap_overrides.is_some();
        if let Some(quote) = transaction.effects.quote {
            self.batch.quotes_used.push((tenant, quote, transaction.id));
        }
        for grant in &transaction.new_grants {
            self.batch.new_grants.push((tenant, account_id, grant.clone()));
        }
        self.batch.transactions.push((tenant, account_id, transaction));
    }

    /// The rows to be written: every account, grant, subscription and hold once, as the batch leaves it. Takes the accounts
    /// that are written.
    pub fn into_batch(
        mut self,
        accounts: &mut HashMap<AccountKey, AccountState>,
        now: impl Fn(TenantId) -> DateTime<Utc>,
    ) -> Batch {
        let made: HashSet<GrantId> = self.batch.new_grants.iter().map(|(.., grant)| grant.id).collect();
        let mut made_now = HashMap::with_capacity(made.len());
        for (key, touched) in self.touched {
            let Some(mut state) = accounts.remove(&key) else {
                continue;
            };
            let tenant = key.tenant;
            for grant in &state.grants {
                let Some(change) = touched.grants.get(&grant.id) else {
                    continue;
                };
                let left = GrantFigures {
                    remaining: grant.remaining,
                    held: grant.held,
                };
                if made.contains(&grant.id) {
                    made_now.insert(grant.id, left);
                } else {
                    self.batch.changed_grants.push(ChangedGrant {
                        tenant,
                        id: grant.id,
                        found: left.less(*change),
                        left,
                    });
                }
            }
            let subscriptions = state
                .subscriptions
                .iter()
                .filter(|s| touched.subscriptions.contains(&s.id));
            self.batch
                .subscriptions
                .extend(subscriptions.map(|s| (tenant, state.id, s.clone())));
            let holds = state.holds.iter().filter(|h| touched.holds.contains(&h.id));
            self.batch.holds.extend(holds.map(|h| (tenant, state.id, h.clone())));
            let due = new_due(&state, now(tenant));
            if let Some(due_at) = due {
                state.due_at = due_at;
                self.batch.due.push((tenant, state.id, due_at));
            }
            let lists_others = !touched.subscriptions.is_empty() || !touched.holds.is_empty();
            if lists_others || due.is_some() || touched.cap_overrides {
                self.batch.standing_changed.insert(state.id);
            }
            self.batch.heads.push((tenant, state));
        }
        // In one order in all processes, so that no two of them wait for each other in a circle.
        self.batch
            .heads
            .sort_unstable_by_key(|(tenant, state)| (*tenant, state.id));
        for (.., grant) in &mut self.batch.new_grants {
            if let Some(left) = made_now.get(&grant.id) {
                (grant.remaining, grant.held) = (left.remaining, left.held);
            }
        }
        self.batch
    }
}

/// When something falls due, if that is to be said anew. What is stored may be too early, which costs a look in vain, and
/// never too late; so a spend that drains a grant leaves it.
fn new_due(state: &AccountState, now: DateTime<Utc>) -> Option<Option<DateTime<Utc>>> {
    let due = next_due(state);
    let stands = match (state.due_at, due) {
        (Some(stored), Some(due)) => stored > now && stored <= due,
        (Some(stored), None) => stored > now,
        (None, due) => due.is_none(),
    };
    (!stands).then_some(due)
}
