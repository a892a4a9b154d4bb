//! Quoting: what a spend would cost now, and who would pay.

use chrono::TimeDelta;

use super::{AccountState, Charge, Context, charge::price};
use crate::domain::{ids::QuoteId, quote::Quote, rejection::Rejection};

/// What `charge` costs now, which grants would pay, and where its caps stand. It is no promise of credits: what is honoured
/// is the price, the room in the caps, and the choice of grants as long as they have what was quoted.
pub fn quote(state: &AccountState, charge: &Charge, context: &mut Context<'_>) -> Result<Quote, Rejection> {
    let charged = price(state, charge, context)?;
    let (operation, member) = (charged.operation.as_deref(), charged.member.as_deref());
    let caps = state
        .caps(context.program, context.now)
        .of(operation, member)
        .standings();
    let (drawdown, affordable) = match charged.fund(state, false, context) {
        Ok(funding) => (funding.drawdown, true),
        Err(_) => (charged.within_reach(state, context), false),
    };
    let lasts = TimeDelta::seconds(context.program.quotes.expires_in_s.into());
    Ok(Quote {
        id: QuoteId(context.ids.next()),
        account_id: state.id,
        amount: charged.amount,
        operation: charged.operation,
        wanted: charged.wanted,
        member: charged.member,
        program_version: context.program_version,
        drawdown,
        caps,
        affordable,
        created_at: context.now,
        expires_at: context.now + lasts,
        used_by: None,
    })
}
