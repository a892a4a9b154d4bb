//! Spending: drawing from the grants in the spending order.

use super::{AccountState, Context, Draft, SpendCredits, charge::price};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    ids::TransactionId,
    rejection::Rejection,
    spending_order::Draw,
    transaction::Kind,
};

pub(super) fn decide(
    state: &AccountState,
    spend: &SpendCredits,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let charged = price(state, &spend.charge, context)?;
    let funding = charged.fund(state, spend.partial, context)?;
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Spend, funding.amount());
    draft.entries.extend(funding.drawdown.iter().map(consumed));
    draft.detail = charged.detail();
    draft.detail.requested = spend.partial.then_some(charged.amount);
    draft.detail.metadata.clone_from(&spend.metadata);
    draft.effects.counts = funding.counts;
    draft.effects.quote = charged.quote.map(|quote| quote.id);
    Ok(draft)
}

pub(super) fn consumed(part: &Draw) -> Entry {
    Entry {
        grant_id: part.grant_id,
        debit: LedgerAccount::of(part.class),
        credit: LedgerAccount::Consumed,
        amount: part.amount,
    }
}
