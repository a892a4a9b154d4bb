//! Expiry: what remains of a grant at its end is gone.
//!
//! The spending order goes by time alone, so nothing waits for this: it brings the books up to what time has decided,
//! with a transaction dated at the grant's end. It runs before the first posting to an account that finds an expired
//! grant, which also keeps the open grants few.

use super::{AccountState, Context, Draft};
use crate::domain::{
    balance,
    entry::{Entry, LedgerAccount},
    grant::Grant,
    ids::TransactionId,
    transaction::{Kind, Transaction},
};

/// Takes out of `state` every grant that has ended, and returns the transactions that say so, in the order of the ends.
/// Expired credits are not available, so what is available stays the same throughout.
pub fn sweep(state: &mut AccountState, context: &mut Context<'_>) -> Vec<Transaction> {
    let now = context.now;
    let mut ended: Vec<&mut Grant> = state
        .grants
        .iter_mut()
        .filter(|g| g.remaining > 0 && g.expired(now))
        .collect();
    if ended.is_empty() {
        return Vec::new();
    }
    ended.sort_by_key(|g| (g.expires_at, g.id));
    let mut posted = Vec::with_capacity(ended.len());
    for grant in ended {
        let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Expiry, grant.remaining);
        draft.subject = Some(grant.id.0);
        draft.effective_at = grant.expires_at;
        draft.entries.push(expiry(grant, grant.remaining));
        posted.push(draft.posted(0, now));
        state.credits -= grant.remaining;
        grant.remaining = 0;
    }
    let available = balance::available(&state.grants, now);
    posted
        .iter_mut()
        .for_each(|transaction| transaction.available_after = available);
    state.bring_usage_up(now);
    posted
}

pub(super) fn expiry(grant: &Grant, amount: i64) -> Entry {
    Entry {
        grant_id: grant.id,
        debit: LedgerAccount::of(grant.class),
        credit: LedgerAccount::Expired,
        amount,
    }
}
