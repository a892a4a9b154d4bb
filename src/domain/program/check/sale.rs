//! Packs, custom amounts, and when credits expire.

use super::Problems;
use crate::domain::{
    credits::CREDITS_MAX,
    program::{CustomAmount, Expiry, Program},
};

const DAYS_MAX: u32 = 36_500;
const MONTHS_MAX: u32 = 1_200;

pub(super) fn check(program: &Program, problems: &mut Problems) {
    for (name, pack) in &program.packs {
        expiry(program, &format!("packs.{name}.expiry"), pack.expiry, problems);
    }
    for (currency, custom) in &program.custom_amounts {
        let path = format!("custom_amounts.{currency}");
        custom_amount(&path, custom, problems);
        expiry(program, &format!("{path}.expiry"), custom.expiry, problems);
    }
}

/// Wherever an expiry stands.
pub(super) fn expiry(program: &Program, path: &str, expiry: Expiry, problems: &mut Problems) {
    match expiry {
        Expiry::Days(days) if !(1..=DAYS_MAX).contains(&days) => {
            problems.say(path, format!("{days} days are out of range: give 1 to {DAYS_MAX}"));
        }
        Expiry::Months(months) if !(1..=MONTHS_MAX).contains(&months) => {
            problems.say(path, format!("{months} months are out of range: give 1 to {MONTHS_MAX}"));
        }
        Expiry::CycleEnd if program.plans.is_empty() => problems.say(
            path,
            "cycle_end needs a plan: without one no account has a cycle; add a plan, or give never, {\"days\": n} or {\"months\": n}",
        ),
        Expiry::Never | Expiry::CycleEnd | Expiry::Days(_) | Expiry::Months(_) => {}
    }
}

fn custom_amount(path: &str, custom: &CustomAmount, problems: &mut Problems) {
    let (least, most) = (custom.minimum.get(), custom.maximum.get());
    let (credits, per) = (i128::from(custom.credits.get()), i128::from(custom.per.get()));
    if least > most {
        let problem = format!("{least} is more than the maximum: give 1 to {most}, or raise that");
        problems.say(format!("{path}.minimum"), problem);
    }
    if custom.credits_for(least).is_none() && i128::from(least) * credits < per {
        let enough = (per + credits - 1) / credits;
        let problem = format!("{least} buys less than one credit: give {enough} or more");
        problems.say(format!("{path}.minimum"), problem);
    }
    let bought = i128::from(most) * credits / per;
    if bought > i128::from(CREDITS_MAX) {
        // The last amount of money whose credits, rounded down, still fit.
        let fitting = ((i128::from(CREDITS_MAX) + 1) * per - 1) / credits;
        let problem =
            format!("{most} buys {bought} credits, more than the {CREDITS_MAX} of an amount: give 1 to {fitting}");
        problems.say(format!("{path}.maximum"), problem);
    }
}
