//! Granting credits.

use super::{Context, Draft, GrantCredits};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    grant::Grant,
    ids::{GrantId, TransactionId},
    rejection::Rejection,
    transaction::Kind,
};

pub(super) fn decide(grant: &GrantCredits, context: &mut Context<'_>) -> Result<Draft, Rejection> {
    let effective_at = grant.effective_at.unwrap_or(context.now);
    if let Some(expires_at) = grant.expires_at
        && expires_at <= effective_at
    {
        return Err(Rejection::GrantWithoutLife {
            effective_at,
            expires_at,
        });
    }
    let transaction_id = TransactionId(context.ids.next());
    let new = Grant {
        id: GrantId(context.ids.next()),
        transaction_id,
        class: grant.class,
        origin: grant.origin,
        priority: grant.priority,
        amount: grant.amount.get(),
        remaining: grant.amount.get(),
        effective_at,
        expires_at: grant.expires_at,
        applies_to: grant.applies_to.clone(),
        paid: grant.paid.clone(),
        top_up_id: None,
        source_grant_id: None,
        program_version: context.program_version,
    };
    let mut draft = issue(transaction_id, Kind::Grant, new);
    draft.reason.clone_from(&grant.reason);
    Ok(draft)
}

/// Credits come in as a new grant.
pub(super) fn issue(transaction_id: TransactionId, kind: Kind, grant: Grant) -> Draft {
    let mut draft = Draft::new(transaction_id, kind, grant.amount);
    draft.entries.push(Entry {
        grant_id: grant.id,
        debit: LedgerAccount::Issued,
        credit: LedgerAccount::of(grant.class),
        amount: grant.amount,
    });
    draft.new_grants.push(grant);
    draft
}
