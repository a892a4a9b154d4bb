//! Crediting a purchase.

use super::{AccountState, Context, CreditTopUp, Draft, grant::issue};
use crate::domain::{
    grant::{Grant, Origin},
    ids::{GrantId, TransactionId},
    rejection::Rejection,
    transaction::Kind,
};

pub(super) fn decide(
    state: &AccountState,
    credit: &CreditTopUp,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let top_up = &credit.top_up;
    if top_up.account_id != state.id {
        return Err(Rejection::TopUpNotFound { top_up_id: top_up.id });
    }
    // What was bought for a cycle that ended before the money came lasts as long as a reissue would: the buyer paid.
    let cycle_end = match top_up.expires_at {
        Some(end) if end > context.now => Some(end),
        _ => Some(context.now + crate::domain::refund::REISSUE_GRACE),
    };
    let transaction_id = TransactionId(context.ids.next());
    let grant = Grant {
        id: GrantId(context.ids.next()),
        transaction_id,
        class: top_up.class,
        origin: Origin::TopUp,
        priority: 0,
        amount: top_up.credits.get(),
        remaining: top_up.credits.get(),
        held: 0,
        effective_at: context.now,
        expires_at: top_up.expiry.end(context.now, context.program.timezone, cycle_end),
        applies_to: None,
        paid: Some(top_up.price.clone()),
        top_up_id: Some(top_up.id),
        source_grant_id: None,
        subscription_id: None,
        program_version: Some(top_up.program_version),
    };
    let mut draft = issue(transaction_id, Kind::TopUp, grant);
    draft.subject = Some(top_up.id.0);
    Ok(draft)
}
