//! Expiry: what remains of a grant at its end is gone, but for what is held.
//!
//! The spending order goes by time alone, so nothing waits for this: it brings the books up to what time has decided,
//! with a transaction dated at the grant's end.

use super::{Context, Draft};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    grant::Grant,
    ids::TransactionId,
    transaction::Kind,
};

/// The end of a grant.
pub(super) fn decide(grant: &Grant, context: &mut Context<'_>) -> Draft {
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Expiry, grant.free());
    draft.subject = Some(grant.id.0);
    draft.entries.push(expiry(grant, grant.free()));
    draft
}

pub(super) fn expiry(grant: &Grant, amount: i64) -> Entry {
    Entry {
        grant_id: grant.id,
        debit: LedgerAccount::of(grant.class),
        credit: LedgerAccount::Expired,
        amount,
    }
}
