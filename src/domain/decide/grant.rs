//! Granting credits.

use super::{Context, Draft, GrantCredits, GrantPlan};
use crate::domain::{
    calendar::cycle_start,
    credits::Amount,
    grant::{Class, Grant, Origin},
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
        held: 0,
        effective_at,
        expires_at: grant.expires_at,
        applies_to: grant.applies_to.clone(),
        paid: grant.paid.clone(),
        top_up_id: None,
        source_grant_id: None,
        subscription_id: None,
        program_version: context.program_version,
    };
    let mut draft = issue(transaction_id, Kind::Grant, new);
    // A grant that began earlier counts from then; one that begins later is owed from now on.
    draft.effective_at = Some(effective_at.min(context.now));
    draft.reason.clone_from(&grant.reason);
    Ok(draft)
}

/// The plan is looked up here, not where the request is read: a request that is repeated after the plan is gone gets the
/// first answer, and the version noted on the grant is the one its terms are of.
pub(super) fn decide_plan(grant: &GrantPlan, context: &mut Context<'_>) -> Result<Draft, Rejection> {
    let unknown = || Rejection::UnknownPlan {
        plan: grant.plan.clone(),
    };
    let terms = context.program.plans.get(&grant.plan).ok_or_else(unknown)?;
    let billing = terms.billing.default_interval();
    let without_allowance = || Rejection::PlanWithoutAllowance {
        plan: grant.plan.clone(),
    };
    let amount = Amount::new(terms.allowance_at(billing)).ok_or_else(without_allowance)?;
    let effective_at = grant.effective_at.unwrap_or(context.now);
    let credits = GrantCredits {
        class: Class::Plan,
        origin: Origin::Allocation,
        amount,
        effective_at: Some(effective_at),
        expires_at: cycle_start(
            effective_at,
            context.program.timezone,
            terms.refresh_interval(billing),
            1,
        ),
        priority: grant.priority,
        applies_to: grant.applies_to.clone(),
        paid: grant.paid.clone(),
        reason: grant.reason.clone(),
    };
    decide(&credits, context)
}

/// Credits come in as a new grant.
pub(super) fn issue(transaction_id: TransactionId, kind: Kind, grant: Grant) -> Draft {
    let mut draft = Draft::new(transaction_id, kind, 0);
    draft.issue(grant);
    draft
}
