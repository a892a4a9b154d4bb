//! The next cycle of a subscription: what rolls over, what is granted, what changes; or its end.

use chrono::{DateTime, Utc};

use super::{Context, Draft};
use crate::domain::{
    credits::{Amount, CREDITS_MAX},
    entry::{Entry, LedgerAccount},
    grant::{Class, Grant, GrantEnd, Origin},
    ids::{GrantId, SubscriptionId, TransactionId},
    money::Money,
    program::{Bonus, Program},
    subscription::{Phase, Span, Subscription},
    transaction::{Idempotency, Kind},
};

/// What is posted at a subscription's boundary, which is `context.now`. `ended` is what expired at that instant.
pub(super) fn decide(subscription: &Subscription, ended: &[GrantEnd], context: &mut Context<'_>) -> Vec<Draft> {
    let next = match subscription.ends_at {
        Some(end) if end <= context.now => None,
        _ => advanced(subscription, context.program, context.program_version, context.now),
    };
    let Some(next) = next else {
        return vec![end(subscription, context)];
    };
    let rollover = rollover(subscription, &next, ended, context);
    rollover.into_iter().chain([renewal(next, context)]).collect()
}

/// The subscription in its next cycle; none: that would end after the year 9999.
fn advanced(
    subscription: &Subscription,
    program: &Program,
    program_version: Option<i32>,
    now: DateTime<Utc>,
) -> Option<Subscription> {
    let mut next = subscription.clone();
    let bills = subscription.bills_next();
    if bills && let Some(pending) = next.pending.take() {
        let plan = program.plans.get(&pending.plan);
        // What the program has given up meanwhile can't begin any more: the plan that it has goes on.
        if plan.is_some() || pending.plan == next.plan {
            let terms = plan.unwrap_or(&next.terms);
            next.billing = match terms.billing.offers(pending.interval) {
                true => pending.interval,
                false => terms.billing.default_interval(),
            };
            next.plan = pending.plan;
            next.units = pending.units;
        }
    }
    // A plan that the program has given up, or does not offer at this interval any more, goes on as it was.
    let offered = program.plans.get(&next.plan);
    if let Some(plan) = offered.filter(|plan| plan.billing.offers(next.billing)) {
        next.terms = plan.clone();
        next.program_version = program_version;
    }
    next.units = next.terms.addon.as_ref().map_or(0, |_| next.units);
    if bills {
        let from = subscription.billed.to;
        let to = from.checked_add(next.billing.months())?;
        next.billed = Span { from, to };
    }
    let from = subscription.refreshed.to;
    let to = from.checked_add(next.next_refresh_months())?;
    next.refreshed = Span { from, to };
    next.billing_cycle()?;
    next.refresh_cycle()?;
    note_phase(&mut next, now);
    Some(next)
}

/// What is granted next, when, and by which subscription: what time will bring if nothing changes.
pub fn next_refresh(subscriptions: &[Subscription], program: &Program) -> Option<(DateTime<Utc>, i64, SubscriptionId)> {
    let next = |subscription: &Subscription| {
        let at = subscription.next_boundary()?;
        if subscription.ends_at.is_some_and(|end| end <= at) {
            return None;
        }
        let advanced = advanced(subscription, program, None, at)?;
        let (allowance, addon) = advanced.credits();
        let begins_billing = advanced.billed.from == advanced.refreshed.from;
        let bonus = advanced.terms.bonus.filter(|_| begins_billing);
        let bonus = bonus.map_or(0, |bonus| bonus.credits.of(advanced.granting()));
        let amount = allowance.saturating_add(addon).saturating_add(bonus);
        (amount > 0).then_some((at, amount, subscription.id))
    };
    subscriptions
        .iter()
        .filter_map(next)
        .min_by_key(|(at, _, id)| (*at, *id))
}

/// What add-on units bring, and what was paid for it where that is known.
pub(super) struct Units {
    pub credits: i64,
    pub paid: Option<Money>,
}

/// Remembers what the subscription is from now on, if that is something else.
pub(super) fn note_phase(subscription: &mut Subscription, now: DateTime<Utc>) {
    let (allowance, addon) = subscription.credits();
    let phase = Phase {
        from: now,
        paid: subscription.terms.paid,
        allowance,
        addon,
        terms: subscription.terms_now(),
    };
    let is_same = |last: &Phase| {
        Phase {
            from: now,
            ..last.clone()
        } == phase
    };
    if !subscription.phases.last().is_some_and(is_same) {
        subscription.phases.push(phase);
    }
}

fn end(subscription: &Subscription, context: &mut Context<'_>) -> Draft {
    let mut ended = subscription.clone();
    let at = subscription.ends_at.unwrap_or(context.now);
    (ended.ends_at, ended.ended_at) = (Some(at), Some(at));
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Subscription, 0);
    draft.keep_subscription(ended, context.now);
    draft
}

/// What remained of the allowances that ended with the old cycle, up to the plan's limit, as a grant of its own.
fn rollover(old: &Subscription, next: &Subscription, ended: &[GrantEnd], context: &mut Context<'_>) -> Option<Draft> {
    let terms = old.terms.rollover?;
    let its = |end: &&GrantEnd| end.subscription_id == Some(old.id) && end.origin == Origin::Allocation;
    let source = ended.iter().find(its)?;
    let remained: i64 = ended.iter().filter(its).map(|end| end.amount).sum();
    let amount = remained.min(terms.max.get());
    // Its cycles are never longer than what is paid for.
    let refresh = next.terms.refresh_interval(next.granting());
    let months = refresh.months().min(next.billing.months());
    let until = old.refreshed.to.checked_add(months.checked_mul(terms.cycles)?)?;
    let transaction_id = TransactionId(context.ids.next());
    let grant = Grant {
        origin: Origin::Rollover,
        source_grant_id: Some(source.grant_id),
        ..grant(next, transaction_id, Class::Plan, amount, next.month(until), context)
    };
    let mut draft = Draft::new(transaction_id, Kind::Rollover, amount);
    draft.subject = Some(old.id.0);
    draft.entries.push(Entry {
        grant_id: grant.id,
        debit: LedgerAccount::Expired,
        credit: LedgerAccount::of(grant.class),
        amount,
    });
    draft.new_grants.push(grant);
    Some(draft)
}

fn renewal(next: Subscription, context: &mut Context<'_>) -> Draft {
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Renewal, 0);
    // Never twice per subscription, cycle and plan, whatever else fails: the key is unique in the database.
    draft.idempotency = Some(Idempotency {
        key: format!("scrip:renewal:{}:{}:{}", next.id, next.refreshed.from, next.plan),
        request_hash: [0; 16],
    });
    let begins_billing = next.billed.from == next.refreshed.from;
    grant_whole_cycle(&mut draft, &next, begins_billing, context);
    draft.keep_subscription(next, context.now);
    draft
}

/// Adds to `draft` all that a subscription grants for its running cycle; with what comes with a payment, if it is paid for.
pub(super) fn grant_whole_cycle(
    draft: &mut Draft,
    subscription: &Subscription,
    is_paid_for: bool,
    context: &mut Context<'_>,
) {
    let (allowance, addon) = subscription.credits();
    // A payment for a year is not one for each of its refreshes.
    let units = Units {
        credits: addon,
        paid: units_price(subscription).filter(|_| is_paid_for),
    };
    grant_cycle(draft, subscription, allowance, units, is_paid_for, context);
}

/// Adds to `draft` what a subscription grants from now to the end of its running cycle.
pub(super) fn grant_cycle(
    draft: &mut Draft,
    subscription: &Subscription,
    allowance: i64,
    units: Units,
    with_bonus: bool,
    context: &mut Context<'_>,
) {
    let end = subscription.refresh_cycle().map(|cycle| cycle.ends_at);
    if allowance > 0 {
        let grant = grant(subscription, draft.id, Class::Plan, allowance, end, context);
        draft.issue(grant);
    }
    if units.credits > 0 {
        let grant = Grant {
            origin: Origin::AddonUnits,
            paid: units.paid,
            ..grant(subscription, draft.id, Class::Addon, units.credits, end, context)
        };
        draft.issue(grant);
    }
    if with_bonus && let Some(bonus) = subscription.terms.bonus {
        let credits = bonus.credits.of(subscription.granting());
        if credits > 0 {
            let grant = bonus_grant(subscription, draft.id, bonus, credits, context);
            draft.issue(grant);
        }
    }
}

fn bonus_grant(
    subscription: &Subscription,
    transaction_id: TransactionId,
    bonus: Bonus,
    credits: i64,
    context: &mut Context<'_>,
) -> Grant {
    let cycle_end = subscription.billing_cycle().map(|cycle| cycle.ends_at);
    let end = bonus.expiry.end(context.now, subscription.zone, cycle_end);
    Grant {
        origin: Origin::Bonus,
        ..grant(subscription, transaction_id, bonus.class, credits, end, context)
    }
}

/// What all units cost together, where the plan says what one does.
pub(super) fn units_price(subscription: &Subscription) -> Option<Money> {
    let price = subscription.terms.addon.as_ref()?.price.as_ref()?;
    let amount = price.amount.get().checked_mul(subscription.units.into())?;
    Some(Money {
        amount: Amount::new(amount)?,
        currency: price.currency.clone(),
    })
}

fn grant(
    subscription: &Subscription,
    transaction_id: TransactionId,
    class: Class,
    amount: i64,
    expires_at: Option<DateTime<Utc>>,
    context: &mut Context<'_>,
) -> Grant {
    let amount = amount.min(CREDITS_MAX);
    Grant {
        id: GrantId(context.ids.next()),
        transaction_id,
        class,
        origin: Origin::Allocation,
        priority: 0,
        amount,
        remaining: amount,
        held: 0,
        effective_at: context.now,
        expires_at,
        applies_to: None,
        paid: None,
        top_up_id: None,
        source_grant_id: None,
        subscription_id: Some(subscription.id),
        program_version: context.program_version,
    }
}
