//! Plans.

use super::{Problems, caps, sale};
use crate::domain::{
    credits::CREDITS_MAX,
    cycle::Interval,
    grant::PRIORITY_RANGE,
    program::{Addon, PerInterval, Plan, Program, Refresh, Rollover},
};

const ROLLOVER_CYCLES_MAX: u32 = 120;
const ADDON_UNITS_MAX: u32 = 1_000_000;

pub(super) fn check(program: &Program, path: &str, plan: &Plan, problems: &mut Problems) {
    // The same range as a priority: plenty, and a sum of two can't overflow.
    problems.in_range(&format!("{path}.rank"), plan.rank, PRIORITY_RANGE);
    per_interval(&format!("{path}.allowance"), plan, plan.allowance, problems);
    if plan.refresh == Refresh::Year && plan.billing.offers(Interval::Month) {
        let problem =
            "a year is longer than the month for which it is paid: give month or billing, or bill by the year";
        problems.say(format!("{path}.refresh"), problem);
    }
    if let Some(bonus) = &plan.bonus {
        let credits = format!("{path}.bonus.credits");
        per_interval(&credits, plan, bonus.credits, problems);
        if grants_nothing(plan, bonus.credits) {
            problems.say(
                credits,
                "a bonus of 0 grants nothing: give 1 or more, or take the bonus away",
            );
        }
        sale::expiry(program, &format!("{path}.bonus.expiry"), bonus.expiry, problems);
    }
    if let Some(rollover) = &plan.rollover {
        self::rollover(&format!("{path}.rollover"), plan, rollover, problems);
    }
    if let Some(addon) = &plan.addon {
        self::addon(&format!("{path}.addon"), addon, problems);
    }
    caps(program, &format!("{path}.caps"), &plan.caps, problems);
}

fn grants_nothing(plan: &Plan, credits: PerInterval) -> bool {
    plan.billing
        .intervals()
        .iter()
        .all(|interval| credits.of(*interval) == 0)
}

/// A number for an interval at which the plan can't be paid. `500` means every interval, so equal numbers say nothing.
fn per_interval(path: &str, plan: &Plan, credits: PerInterval, problems: &mut Problems) {
    if credits.month == credits.year {
        return;
    }
    for (interval, name) in [(Interval::Month, "month"), (Interval::Year, "year")] {
        let given = credits.of(interval);
        if given > 0 && !plan.billing.offers(interval) {
            let problem =
                format!("{given} for a {name} can't come in: add {name} to the plan's billing, or take it away");
            problems.say(format!("{path}.{name}"), problem);
        }
    }
}

fn rollover(path: &str, plan: &Plan, rollover: &Rollover, problems: &mut Problems) {
    if grants_nothing(plan, plan.allowance) {
        problems.say(
            path,
            "the plan has no allowance to roll over: give it one, or take this away",
        );
    }
    problems.in_range(&format!("{path}.cycles"), rollover.cycles, 1..=ROLLOVER_CYCLES_MAX);
}

fn addon(path: &str, addon: &Addon, problems: &mut Problems) {
    let units_max = format!("{path}.units_max");
    problems.in_range(&units_max, addon.units_max, 1..=ADDON_UNITS_MAX);
    let credits = addon.credits.get();
    let fitting = CREDITS_MAX / credits;
    if (1..=ADDON_UNITS_MAX).contains(&addon.units_max) && i64::from(addon.units_max) > fitting {
        let problem = format!(
            "{} units of {credits} credits are more than an amount can be: give 1 to {fitting}",
            addon.units_max
        );
        problems.say(units_max, problem);
    }
}
