//! Plans by themselves, and against each other.

use super::{WarningCode, Warnings, gates, opens};
use crate::domain::{
    cycle::Interval,
    program::{PerInterval, Plan, Program, Requirement},
};

pub(super) fn lint(program: &Program, warnings: &mut Warnings) {
    for (name, plan) in &program.plans {
        let path = format!("plans.{name}");
        without_credits(program, &path, plan, warnings);
        yearly(&path, plan, warnings);
        rollover(&path, plan, warnings);
        rank(program, &path, plan, warnings);
    }
}

fn most(plan: &Plan, credits: PerInterval) -> i64 {
    plan.billing
        .intervals()
        .iter()
        .map(|i| credits.of(*i))
        .max()
        .unwrap_or(0)
}

/// An unpaid plan may be a mere name for those who pay nothing.
fn without_credits(program: &Program, path: &str, plan: &Plan, warnings: &mut Warnings) {
    let grants = most(plan, plan.allowance) > 0 || plan.bonus.is_some() || plan.addon.is_some();
    let mut gates = gates::gates(program).into_iter().map(|(_, requirement)| requirement);
    let opens_one = gates.any(|requirement| requirement != Requirement::None && opens(requirement, Some(plan)));
    if plan.paid && !grants && !opens_one && plan.caps.is_empty() {
        let warning = "a paid plan that grants 0 credits, opens no gate and sets no cap gives nothing: give it an allowance, a \
                       bonus or an add-on, or say that it is not paid";
        warnings.say(path, WarningCode::PlanWithoutCredits, warning);
    }
}

fn yearly(path: &str, plan: &Plan, warnings: &mut Warnings) {
    if plan.billing.intervals().len() < 2 {
        return;
    }
    let (by_month, by_year) = (
        plan.yearly_allowance(Interval::Month),
        plan.yearly_allowance(Interval::Year),
    );
    less_by_the_year(&format!("{path}.allowance"), by_month, by_year, warnings);
    if let Some(bonus) = &plan.bonus {
        let by_month = i128::from(bonus.credits.month) * 12;
        let credits = format!("{path}.bonus.credits");
        less_by_the_year(&credits, by_month, bonus.credits.year.into(), warnings);
    }
}

fn less_by_the_year(path: &str, by_month: i128, by_year: i128, warnings: &mut Warnings) {
    if by_year < by_month {
        let warning = format!(
            "grants {by_month} a year to those who pay by the month, and {by_year} to those who pay for a year at once: name \
             each, {{\"month\": n, \"year\": m}}, or refresh by the month"
        );
        warnings.say(path, WarningCode::YearlyGrantsLess, warning);
    }
}

fn rollover(path: &str, plan: &Plan, warnings: &mut Warnings) {
    let Some(rollover) = &plan.rollover else { return };
    let (max, allowance) = (rollover.max.get(), most(plan, plan.allowance));
    if max > allowance {
        let warning = format!(
            "{max} is never reached: at most the whole allowance, {allowance}, can remain, and what rolled over once does not \
             again; give {allowance} or less"
        );
        warnings.say(
            format!("{path}.rollover.max"),
            WarningCode::RolloverWithoutEffect,
            warning,
        );
    }
}

/// Against the plan of lower rank that has the largest allowance.
fn rank(program: &Program, path: &str, plan: &Plan, warnings: &mut Warnings) {
    let yearly = |plan: &Plan| plan.yearly_allowance(plan.billing.default_interval());
    let own = yearly(plan);
    let lower = program.plans.iter().filter(|(_, other)| other.rank < plan.rank);
    let Some((name, other)) = lower.max_by_key(|(_, other)| yearly(other)) else {
        return;
    };
    if own > 0 && yearly(other) > own {
        let warning = format!(
            "rank {} makes the change from {name}, of rank {}, an upgrade, though the allowance falls from {} a year to {own}: \
             swap the ranks, or raise the allowance",
            plan.rank,
            other.rank,
            yearly(other)
        );
        warnings.say(format!("{path}.rank"), WarningCode::HigherRankGrantsLess, warning);
    }
}
