//! Spending: drawing from the grants in the spending order.

use super::{AccountState, Context, Draft, SpendCredits};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    ids::TransactionId,
    rejection::Rejection,
    spending_order::draw,
    transaction::Kind,
};

pub(super) fn decide(
    state: &AccountState,
    spend: &SpendCredits,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let needed = spend.amount.get();
    let order = &context.program.spending_order;
    let drawn = draw(order, &state.grants, spend.operation.as_deref(), needed, context.now);
    let available: i64 = drawn.iter().map(|d| d.amount).sum();
    if available == 0 || (available < needed && !spend.partial) {
        return Err(Rejection::InsufficientCredits { needed, available });
    }
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Spend, available);
    draft.entries.extend(drawn.iter().map(|part| Entry {
        grant_id: part.grant_id,
        debit: LedgerAccount::of(part.class),
        credit: LedgerAccount::Consumed,
        amount: part.amount,
    }));
    draft.detail.operation.clone_from(&spend.operation);
    draft.detail.member.clone_from(&spend.member);
    draft.detail.requested = spend.partial.then_some(needed);
    draft.detail.metadata.clone_from(&spend.metadata);
    Ok(draft)
}
