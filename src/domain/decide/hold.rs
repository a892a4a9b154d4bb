//! Holds: placed, captured, voided, expired.
//!
//! A hold reserves exact amounts on exact grants, and what it holds outlives its grant: what comes back to a grant that
//! has expired meanwhile expires at once.

use chrono::TimeDelta;

use super::{
    AccountState, CaptureHold, Charge, Context, Draft, PlaceHold, VoidHold,
    charge::{Charged, price},
    expire::expiry,
    spend::consumed,
};
use crate::domain::{
    cap::given_back,
    credits::Amount,
    entry::{Entry, LedgerAccount},
    hold::{Hold, Status},
    ids::TransactionId,
    rejection::Rejection,
    spending_order::Draw,
    transaction::{Detail, Kind},
};

pub(super) fn place(state: &AccountState, place: &PlaceHold, context: &mut Context<'_>) -> Result<Draft, Rejection> {
    let terms = context.program.holds;
    let lasts = place.expires_in_s.unwrap_or(terms.expires_in_s.into());
    if lasts > terms.expires_in_s_max.into() {
        return Err(Rejection::HoldTooLong {
            requested: lasts,
            limit: terms.expires_in_s_max,
        });
    }
    let charged = price(state, &place.charge, context)?;
    let funding = charged.fund(state, place.partial, context)?;
    let hold = Hold {
        id: TransactionId(context.ids.next()),
        status: Status::Held,
        amount: funding.amount(),
        captured: 0,
        drawdown: funding.drawdown,
        operation: charged.operation.clone(),
        member: charged.member.clone(),
        created_at: context.now,
        expires_at: context.now + TimeDelta::seconds(lasts),
        closed_at: None,
    };
    let mut draft = Draft::new(hold.id, Kind::Hold, hold.amount);
    draft.entries.extend(hold.drawdown.iter().map(|part| Entry {
        grant_id: part.grant_id,
        debit: LedgerAccount::of(part.class),
        credit: LedgerAccount::Held,
        amount: part.amount,
    }));
    draft.detail = charged.detail();
    draft.detail.requested = place.partial.then_some(charged.amount);
    draft.detail.metadata.clone_from(&place.metadata);
    draft.effects.counts = funding.counts;
    draft.effects.quote = charged.quote.map(|quote| quote.id);
    keep(&mut draft, hold);
    Ok(draft)
}

/// A capture is a spend: all that was held goes back, and what was captured is spent, in one transaction.
pub(super) fn capture(
    state: &AccountState,
    capture: &CaptureHold,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let hold = open(state, capture.hold_id)?;
    let requested = capture.amount.map_or(hold.amount, Amount::get);
    let over = requested - hold.amount;
    if over > 0 && !capture.allow_over {
        return Err(Rejection::CaptureExceedsHold {
            held: hold.amount,
            requested,
        });
    }
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Spend, requested);
    draft.entries.extend(hold.drawdown.iter().map(freed));
    let mut left = requested.min(hold.amount);
    for part in &hold.drawdown {
        let captured = part.amount.min(left);
        left -= captured;
        if captured > 0 {
            draft.entries.push(consumed(&Draw {
                amount: captured,
                ..*part
            }));
        }
        expire_returned(state, part, part.amount - captured, &mut draft, context);
    }
    if over > 0 {
        let more = Charge {
            amount: Amount::new(over),
            operation: hold.operation.clone(),
            member: hold.member.clone(),
            ..Charge::default()
        };
        let charged: Charged<'_> = price(state, &more, context)?;
        let funding = charged.fund(state, false, context)?;
        draft.entries.extend(funding.drawdown.iter().map(consumed));
        draft.effects.counts = funding.counts;
    } else {
        draft.effects.counts = returned_headroom(state, hold, -over);
    }
    close(&mut draft, hold, Status::Captured, requested, context);
    Ok(draft)
}

pub(super) fn void(state: &AccountState, void: &VoidHold, context: &mut Context<'_>) -> Result<Draft, Rejection> {
    let hold = open(state, void.hold_id)?;
    let mut draft = release(state, hold, Kind::Void, Status::Voided, context);
    draft.reason.clone_from(&void.reason);
    Ok(draft)
}

/// A hold whose deadline has come frees itself.
pub(super) fn expire(state: &AccountState, hold: &Hold, context: &mut Context<'_>) -> Draft {
    release(state, hold, Kind::HoldExpiry, Status::Expired, context)
}

fn release(state: &AccountState, hold: &Hold, kind: Kind, status: Status, context: &mut Context<'_>) -> Draft {
    let mut draft = Draft::new(TransactionId(context.ids.next()), kind, hold.amount);
    draft.entries.extend(hold.drawdown.iter().map(freed));
    for part in &hold.drawdown {
        expire_returned(state, part, part.amount, &mut draft, context);
    }
    draft.effects.counts = returned_headroom(state, hold, hold.amount);
    close(&mut draft, hold, status, 0, context);
    draft
}

/// The hold, if it can still be captured or voided.
fn open(state: &AccountState, hold_id: TransactionId) -> Result<&Hold, Rejection> {
    let hold = state.hold(hold_id).ok_or(Rejection::HoldNotFound { hold_id })?;
    match hold.status {
        Status::Held => Ok(hold),
        Status::Captured => Err(Rejection::HoldAlreadyCaptured {
            hold_id,
            captured: hold.captured,
        }),
        Status::Voided => Err(Rejection::HoldAlreadyVoided { hold_id }),
        Status::Expired => Err(Rejection::HoldExpired {
            hold_id,
            expired_at: hold.expires_at,
        }),
    }
}

fn freed(part: &Draw) -> Entry {
    Entry {
        grant_id: part.grant_id,
        debit: LedgerAccount::Held,
        credit: LedgerAccount::of(part.class),
        amount: part.amount,
    }
}

/// What comes back to a grant that has ended is gone with it.
fn expire_returned(state: &AccountState, part: &Draw, amount: i64, draft: &mut Draft, context: &Context<'_>) {
    if let Some(grant) = state.grant(part.grant_id)
        && grant.expired(context.now)
        && amount > 0
    {
        draft.entries.push(expiry(grant, amount));
    }
}

fn returned_headroom(state: &AccountState, hold: &Hold, amount: i64) -> Vec<crate::domain::cap::Count> {
    if amount == 0 {
        return Vec::new();
    }
    let (operation, member) = (hold.operation.as_deref(), hold.member.as_deref());
    given_back(&state.counters, amount, operation, member, hold.created_at)
}

fn close(draft: &mut Draft, hold: &Hold, status: Status, captured: i64, context: &Context<'_>) {
    draft.subject = Some(hold.id.0);
    draft.detail = Detail {
        operation: hold.operation.clone(),
        member: hold.member.clone(),
        ..Detail::default()
    };
    let closed = Hold {
        status,
        captured,
        closed_at: Some(context.now),
        ..hold.clone()
    };
    keep(draft, closed);
}

fn keep(draft: &mut Draft, hold: Hold) {
    draft.detail.hold = Some(Box::new(hold.clone()));
    draft.effects.hold = Some(hold);
}
