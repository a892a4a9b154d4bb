//! Refunding a spend: to the grants it came from, last drawn first.

use super::{AccountState, Context, Draft, RefundSpend, expire::expiry};
use crate::domain::{
    entry::{Entry, LedgerAccount},
    grant::{Grant, Origin},
    ids::{GrantId, TransactionId},
    refund::{ExpiredSource, REISSUE_GRACE, allocate},
    rejection::Rejection,
    spending_order::Draw,
    subscription::Subscription,
    transaction::Kind,
};

pub(super) fn decide(
    state: &AccountState,
    refund: &RefundSpend,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let not_found = Rejection::SpendNotFound {
        spend_id: refund.spend_id,
    };
    let spend = state.spends.get(&refund.spend_id).ok_or(not_found)?;
    let refundable = spend.amount - spend.refunded;
    if refundable == 0 {
        return Err(Rejection::SpendAlreadyRefunded {
            spent: spend.amount,
            refunded: spend.refunded,
        });
    }
    let amount = refund.amount.map_or(refundable, |amount| amount.get());
    if amount > refundable {
        return Err(Rejection::RefundExceedsSpend {
            spent: spend.amount,
            refunded: spend.refunded,
            refundable,
            requested: amount,
        });
    }
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Refund, amount);
    draft.subject = Some(refund.spend_id.0);
    draft.reason = Some(refund.reason.clone());
    draft.detail.operation.clone_from(&spend.operation);
    draft.detail.member.clone_from(&spend.member);
    draft.detail.ticket.clone_from(&refund.ticket);
    draft.detail.refunded_total = Some(spend.refunded + amount);
    draft.effects.counts = spend.headroom(&state.counters, amount);
    for part in allocate(&spend.drawdown, spend.refunded, amount) {
        give_back(state, &part, &mut draft, context)?;
    }
    Ok(draft)
}

/// One part of a refund: to its grant, or where the program sends it if that has expired.
fn give_back(state: &AccountState, part: &Draw, draft: &mut Draft, context: &mut Context<'_>) -> Result<(), Rejection> {
    let source = state.grant(part.grant_id).ok_or(Rejection::GrantNotFound {
        grant_id: part.grant_id,
    })?;
    let policy = context.program.expired_source(source.class);
    match source.expires_at.filter(|end| *end <= context.now) {
        None => draft.entries.push(returned(source, part.amount)),
        Some(expired_at) => match policy {
            ExpiredSource::Reissue => {
                let reissued = reissue(state, source, part.amount, draft.id, context);
                draft.entries.push(returned(&reissued, part.amount));
                draft.new_grants.push(reissued);
            }
            ExpiredSource::Restore => {
                draft.entries.push(returned(source, part.amount));
                draft.entries.push(expiry(source, part.amount));
            }
            ExpiredSource::Reject => {
                return Err(Rejection::SourceGrantExpired {
                    grant_id: source.id,
                    class: source.class,
                    amount: part.amount,
                    expired_at,
                });
            }
        },
    }
    Ok(())
}

fn returned(grant: &Grant, amount: i64) -> Entry {
    Entry {
        grant_id: grant.id,
        debit: LedgerAccount::Consumed,
        credit: LedgerAccount::of(grant.class),
        amount,
    }
}

/// A new grant in the place of one that expired: alike in all but its amount and its life.
fn reissue(
    state: &AccountState,
    source: &Grant,
    amount: i64,
    transaction_id: TransactionId,
    context: &mut Context<'_>,
) -> Grant {
    // What a subscription granted lasts to the end of that subscription's cycle: an account may have several.
    let of_source = source
        .subscription_id
        .and_then(|id| state.subscription(id))
        .filter(|subscription| subscription.live(context.now))
        .and_then(Subscription::refresh_cycle)
        .filter(|cycle| cycle.ends_at > context.now);
    let end = of_source
        .or_else(|| state.cycle(context.now))
        .map_or(context.now + REISSUE_GRACE, |cycle| cycle.ends_at);
    Grant {
        id: GrantId(context.ids.next()),
        transaction_id,
        origin: Origin::Reissue,
        amount,
        remaining: amount,
        held: 0,
        effective_at: context.now,
        expires_at: Some(end),
        source_grant_id: Some(source.id),
        top_up_id: None,
        ..source.clone()
    }
}
