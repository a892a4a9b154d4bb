//! Revoking a grant: what remains of it and is not held is taken back.

use super::{AccountState, Context, Draft, RevokeGrant};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    ids::TransactionId,
    rejection::Rejection,
    transaction::Kind,
};

pub(super) fn decide(
    state: &AccountState,
    revoke: &RevokeGrant,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let closed = Rejection::GrantAlreadyClosed {
        grant_id: revoke.grant_id,
    };
    let grant = state.grant(revoke.grant_id).filter(|g| g.remaining > 0).ok_or(closed)?;
    if grant.free() == 0 {
        return Err(Rejection::GrantHeld {
            grant_id: grant.id,
            held: grant.held,
        });
    }
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Revocation, grant.free());
    draft.subject = Some(grant.id.0);
    draft.reason.clone_from(&revoke.reason);
    draft.entries.push(Entry {
        grant_id: grant.id,
        debit: LedgerAccount::of(grant.class),
        credit: LedgerAccount::Revoked,
        amount: grant.free(),
    });
    Ok(draft)
}
