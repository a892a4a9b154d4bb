//! Subscriptions: begun, changed, cancelled.
//!
//! What is more comes at once, what is less with the next billing cycle. Undoing what is pending grants nothing.

use std::cmp::Ordering;

use super::{
    AccountState, ChangeSubscription, Context, Draft, Subscribe,
    renew::{Units, grant_cycle, grant_whole_cycle, note_phase, units_price},
};
use crate::domain::{
    calendar::months_after,
    credits::Amount,
    cycle::Interval,
    ids::{SubscriptionId, TransactionId},
    money::Money,
    program::{Plan, Renewal, UpgradeGrant},
    rejection::Rejection,
    subscription::{Span, Subscription, Terms},
    transaction::Kind,
};

/// Live subscriptions that one account may have.
pub const SUBSCRIPTIONS_LIVE_MAX: usize = 100;

pub(super) fn begin(state: &AccountState, new: &Subscribe, context: &mut Context<'_>) -> Result<Draft, Rejection> {
    let live = state.subscriptions.iter().filter(|s| s.ended_at.is_none()).count();
    if live >= SUBSCRIPTIONS_LIVE_MAX {
        return Err(Rejection::TooManySubscriptions {
            live,
            limit: SUBSCRIPTIONS_LIVE_MAX,
        });
    }
    let terms = plan(&new.plan, context)?.clone();
    if terms.renewal == Renewal::Stripe {
        return Err(Rejection::PlanRenewedByStripe { plan: new.plan.clone() });
    }
    let billing = new.interval.unwrap_or_else(|| terms.billing.default_interval());
    check_interval(&new.plan, &terms, billing)?;
    check_units(&new.plan, &terms, new.units)?;
    let subscription = subscription(new, terms, billing, context)?;
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Subscription, 0);
    if subscription.started_at <= context.now {
        grant_whole_cycle(&mut draft, &subscription, true, context);
    }
    draft.keep_subscription(subscription, context.now);
    Ok(draft)
}

/// One whose anchor lies ahead begins there; one whose anchor has passed is in the middle of its running cycles.
fn subscription(
    new: &Subscribe,
    terms: Plan,
    billing: Interval,
    context: &mut Context<'_>,
) -> Result<Subscription, Rejection> {
    let now = context.now;
    let anchor = new.anchor.unwrap_or(now);
    let zone = context.program.timezone;
    let refresh = terms.refresh_interval(billing);
    // Its first cycle must have an end.
    months_after(anchor, zone, billing.months()).ok_or(Rejection::InvalidAnchor { anchor })?;
    let none = Span { from: 0, to: 0 };
    let (refreshed, billed) = if anchor > now {
        (none, none)
    } else {
        Subscription::spans_at(anchor, zone, billing, refresh, now).ok_or(Rejection::InvalidAnchor { anchor })?
    };
    let mut subscription = Subscription {
        id: SubscriptionId(context.ids.next()),
        plan: new.plan.clone(),
        terms,
        program_version: context.program_version,
        billing,
        units: new.units,
        anchor,
        zone,
        refreshed,
        billed,
        started_at: anchor.max(now),
        pending: None,
        ends_at: None,
        ended_at: None,
        phases: Vec::new(),
        created_at: now,
    };
    note_phase(&mut subscription, anchor.max(now));
    Ok(subscription)
}

fn plan<'a>(name: &str, context: &Context<'a>) -> Result<&'a Plan, Rejection> {
    let unknown = || Rejection::UnknownPlan { plan: name.to_owned() };
    context.program.plans.get(name).ok_or_else(unknown)
}

fn check_interval(name: &str, plan: &Plan, interval: Interval) -> Result<(), Rejection> {
    if plan.billing.offers(interval) {
        return Ok(());
    }
    Err(Rejection::UnknownInterval {
        plan: name.to_owned(),
        interval,
    })
}

fn check_units(name: &str, plan: &Plan, units: u32) -> Result<(), Rejection> {
    let plan_name = || name.to_owned();
    match &plan.addon {
        _ if units == 0 => Ok(()),
        None => Err(Rejection::UnitsNotOffered { plan: plan_name() }),
        Some(addon) if units > addon.units_max => Err(Rejection::TooManyUnits {
            plan: plan_name(),
            requested: units,
            limit: addon.units_max,
        }),
        Some(_) => Ok(()),
    }
}

pub(super) fn change(
    state: &AccountState,
    change: &ChangeSubscription,
    context: &mut Context<'_>,
) -> Result<Draft, Rejection> {
    let subscription_id = change.subscription_id;
    let not_found = Rejection::SubscriptionNotFound { subscription_id };
    let old = state.subscription(subscription_id).ok_or(not_found)?;
    if let (Some(ended_at), None | Some(false)) = (old.ended_at, change.cancel) {
        return Err(Rejection::SubscriptionEnded {
            subscription_id,
            ended_at,
        });
    }
    if let (Some(ends_at), None | Some(true)) = (old.ends_at, change.cancel) {
        return Err(Rejection::SubscriptionAlreadyCancelled {
            subscription_id,
            ends_at,
        });
    }
    let mut next = old.clone();
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::Subscription, 0);
    match change.cancel {
        Some(true) => cancel(&mut next, context),
        Some(false) => next.ends_at = None,
        None => {}
    }
    if change.plan.is_some() || change.interval.is_some() || change.units.is_some() {
        let wanted = wanted(old, change, context)?;
        take_over(&mut next, wanted, change, &mut draft, context)?;
    }
    draft.keep_subscription(next, context.now);
    Ok(draft)
}

/// It ends with what is paid for. One that has not begun ends at once. What is pending stays so, for one that is resumed.
fn cancel(next: &mut Subscription, context: &Context<'_>) {
    match next.billing_cycle() {
        Some(cycle) => next.ends_at = Some(cycle.ends_at),
        None => (next.ends_at, next.ended_at) = (Some(context.now), Some(context.now)),
    }
}

/// What it is to be in the end: what is asked for, and what was pending besides.
fn wanted(old: &Subscription, change: &ChangeSubscription, context: &Context<'_>) -> Result<Terms, Rejection> {
    let base = match &old.pending {
        // Another plan in the place of a pending one: the units and the interval that would have come with that don't.
        Some(pending) if pending.plan == old.plan || change.plan.as_ref().is_none_or(|plan| *plan == pending.plan) => {
            pending.clone()
        }
        _ => old.terms_now(),
    };
    let name = change.plan.clone().unwrap_or(base.plan);
    let terms = &terms_of(old, &name, context)?;
    if change.plan.is_some() && terms.renewal == Renewal::Stripe {
        return Err(Rejection::PlanRenewedByStripe { plan: name });
    }
    let interval = match change.interval {
        Some(interval) => {
            check_interval(&name, terms, interval)?;
            interval
        }
        None if terms.billing.offers(base.interval) => base.interval,
        None => terms.billing.default_interval(),
    };
    let units = match change.units {
        Some(units) => {
            check_units(&name, terms, units)?;
            units
        }
        None => terms.addon.as_ref().map_or(0, |addon| base.units.min(addon.units_max)),
    };
    Ok(Terms {
        plan: name,
        interval,
        units,
    })
}

/// The terms of a plan: those of the program in force, but for the one that it has, which stays as it was agreed.
fn terms_of(old: &Subscription, name: &str, context: &Context<'_>) -> Result<Plan, Rejection> {
    if name == old.plan {
        return Ok(old.terms.clone());
    }
    plan(name, context).cloned()
}

/// What is more at once, the rest when the next billing cycle begins.
fn take_over(
    next: &mut Subscription,
    wanted: Terms,
    change: &ChangeSubscription,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Result<(), Rejection> {
    let old = next.clone();
    let terms = terms_of(&old, &wanted.plan, context)?;
    let has_begun = next.billing_cycle().is_some();
    let direction = old.terms.compare(old.granting(), &terms, wanted.interval);
    let changes_now = wanted.plan != old.plan && (direction != Ordering::Less || !has_begun);
    if changes_now {
        next.plan.clone_from(&wanted.plan);
        next.terms = terms;
        next.program_version = context.program_version;
    }
    if !has_begun {
        next.billing = wanted.interval;
    }
    if changes_now || wanted.plan == old.plan {
        let keeps = if has_begun { old.units } else { 0 };
        next.units = match next.terms.addon {
            None => 0,
            Some(_) => wanted.units.max(keeps),
        };
    } else if let (None, Some(units), Some(addon)) = (&change.plan, change.units, &next.terms.addon) {
        // More units come now, of the plan that it still has.
        next.units = old.units.max(units.min(addon.units_max));
    }
    let lasting = next.terms_now();
    next.pending = (lasting != wanted).then_some(wanted);
    note_phase(next, context.now);
    // A cycle that is over, and that Stripe has not renewed yet, has nothing to be granted for.
    if next.refresh_cycle().is_some_and(|cycle| cycle.ends_at > context.now) {
        grant_more(&old, next, draft, context);
    }
    Ok(())
}

/// What an upgrade and added units grant for the rest of the running cycle.
fn grant_more(old: &Subscription, next: &Subscription, draft: &mut Draft, context: &mut Context<'_>) {
    let (before, units_before) = old.most_granted();
    let (after, units_after) = next.credits();
    let is_upgrade = old.plan != next.plan && after > before;
    let allowance = match next.terms.upgrade {
        _ if !is_upgrade => 0,
        UpgradeGrant::Difference => after - before,
        UpgradeGrant::Prorated => prorated(after - before, old, context),
        UpgradeGrant::Full => after,
    };
    let units = Units {
        credits: (units_after - units_before).max(0),
        paid: price_of_more(old, next),
    };
    // From an unpaid plan to a paid one: that is the first payment, with its bonus.
    let is_first_payment = !old.terms.paid && next.terms.paid;
    grant_cycle(draft, next, allowance, units, is_first_payment, context);
}

/// What the units cost more than before, where both prices are known.
fn price_of_more(old: &Subscription, next: &Subscription) -> Option<Money> {
    let after = units_price(next)?;
    if old.units == 0 {
        return Some(after);
    }
    let before = units_price(old).filter(|before| before.currency == after.currency)?;
    let more = after.amount.get() - before.amount.get();
    Amount::new(more).map(|amount| Money { amount, ..after })
}

/// `credits` in proportion to what is left of the running cycle, rounded down.
fn prorated(credits: i64, subscription: &Subscription, context: &Context<'_>) -> i64 {
    let Some(cycle) = subscription.refresh_cycle() else {
        return credits;
    };
    let whole = (cycle.ends_at - cycle.starts_at).num_milliseconds().max(1);
    let left = (cycle.ends_at - context.now).num_milliseconds().clamp(0, whole);
    let share = i128::from(credits) * i128::from(left) / i128::from(whole);
    i64::try_from(share).unwrap_or(credits)
}
