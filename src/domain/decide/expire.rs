//! Expiry: what remains of a grant at its end is gone.
//!
//! The spending order goes by time alone, so nothing waits for this: it brings the books up to what time has decided,
//! with a transaction dated at the grant's end. It runs before the first posting to an account that finds an expired
//! grant, which also keeps the open grants few.

use super::{AccountState, Context, Draft};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    grant::Grant,
    ids::TransactionId,
    rejection::Rejection,
    transaction::{Kind, Transaction},
};

/// Posts to `state` the expiry of every grant that has ended, in the order of their ends, and returns what was posted.
pub fn sweep(state: &mut AccountState, context: &mut Context<'_>) -> Result<Vec<Transaction>, Rejection> {
    let mut ended: Vec<Grant> = state
        .grants
        .iter()
        .filter(|g| g.remaining > 0 && g.expired(context.now))
        .cloned()
        .collect();
    ended.sort_by_key(|g| (g.expires_at, g.id));
    let mut posted = Vec::with_capacity(ended.len());
    for grant in ended {
        let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Expiry, grant.remaining);
        draft.subject = Some(grant.id.0);
        draft.effective_at = grant.expires_at;
        draft.entries.push(expiry(&grant, grant.remaining));
        let transaction = draft.into_transaction(state, context)?;
        state.apply(&transaction);
        posted.push(transaction);
    }
    Ok(posted)
}

pub(super) fn expiry(grant: &Grant, amount: i64) -> Entry {
    Entry {
        grant_id: grant.id,
        debit: LedgerAccount::of(grant.class),
        credit: LedgerAccount::Expired,
        amount,
    }
}
