//! Caps against what is to be spent under them.

use super::{WarningCode, Warnings, caps_of, in_words, kinds, opens};
use crate::domain::{
    cycle::Interval,
    grant::Class,
    program::{Cap, CapScope, Expiry, OverWholeCap, Pack, Plan, Program, Requirement, Window},
};

/// As many operations as a warning names.
const NAMED_MAX: usize = 5;

pub(super) fn lint(program: &Program, warnings: &mut Warnings) {
    for (n, cap) in program.caps.iter().enumerate() {
        if reaches_somebody(program, cap) {
            operations_over(program, &format!("caps[{n}]"), cap, warnings);
        }
    }
    for (name, plan) in &program.plans {
        for (n, cap) in plan.caps.iter().enumerate() {
            operations_over(program, &format!("plans.{name}.caps[{n}]"), cap, warnings);
        }
        allowance_over(program, name, plan, warnings);
    }
    for kind in kinds(program) {
        without_effect(program, kind, warnings);
    }
    for (name, pack) in &program.packs {
        pack_over(program, &format!("packs.{name}"), pack, warnings);
    }
}

/// Not when every plan has one of its own in its place, and nobody without a subscription can spend.
fn reaches_somebody(program: &Program, cap: &Cap) -> bool {
    let replaced = |plan: &Plan| plan.caps.iter().any(|own| own.replaces(cap));
    let gates = &program.gates.spend;
    let anybody = || Class::ALL.iter().any(|class| gates.of(*class) == Requirement::None);
    !program.plans.values().all(replaced) || anybody()
}

fn operations_over(program: &Program, path: &str, cap: &Cap, warnings: &mut Warnings) {
    if cap.over_whole_cap != OverWholeCap::Reject {
        return;
    }
    let limit = cap.limit.get();
    let mut over: Vec<String> = program
        .operations
        .iter()
        .filter(|(name, operation)| cap.counts(Some(name)) && operation.cheapest() > limit)
        .map(|(name, operation)| format!("{name} ({} at least)", operation.cheapest()))
        .collect();
    if over.is_empty() {
        return;
    }
    let more = over.len().saturating_sub(NAMED_MAX);
    over.truncate(NAMED_MAX);
    let mut named = over.join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    let warning = format!(
        "{} is less than one operation costs, which is therefore refused always: {named}; raise the limit, or let \
         over_whole_cap be allow_in_empty_window",
        in_words(cap)
    );
    warnings.say(path, WarningCode::OperationOverCap, warning);
}

/// How long credits last.
#[derive(Clone, Copy)]
enum Life {
    Days(u32),
    Months(u32),
    /// Within one billing cycle of so many months.
    Cycle(u32),
}

impl Life {
    /// The most windows that it can touch, the first and the last in part.
    fn touches(self, window: Window) -> u32 {
        let (days, months) = match self {
            Self::Days(days) => (days, days.div_ceil(28)),
            Self::Months(months) | Self::Cycle(months) => (months * 31, months),
        };
        match (window, self) {
            (Window::Day, _) => days + 1,
            (Window::Week, _) => days.div_ceil(7) + 1,
            (Window::Cycle, Self::Cycle(_)) => 1,
            (Window::Month | Window::Cycle, _) => months + 1,
        }
    }

    /// The most that a cap lets an account spend meanwhile; none: it doesn't bound the account as a whole.
    fn most_under(self, cap: &Cap) -> Option<i128> {
        let bounds = cap.operations.is_none() && cap.per == CapScope::Account;
        // One operation that is dearer than the cap goes through all the same.
        let strict = cap.over_whole_cap == OverWholeCap::Reject;
        (bounds && strict).then(|| i128::from(cap.limit.get()) * i128::from(self.touches(cap.window)))
    }
}

/// The tightest of the caps: the most that goes through, and which cap it is.
fn tightest<'a>(caps: &'a [(String, &Cap)], life: Life) -> Option<(i128, &'a str, &'a Cap)> {
    caps.iter()
        .filter_map(|(path, cap)| Some((life.most_under(cap)?, path.as_str(), *cap)))
        .min_by_key(|(most, _, _)| *most)
}

fn allowance_over(program: &Program, name: &str, plan: &Plan, warnings: &mut Warnings) {
    let caps = caps_of(program, Some((name, plan)));
    for billing in plan.billing.intervals() {
        let allowance = plan.allowance_at(*billing);
        let refresh = plan.refresh_interval(*billing);
        let Some((most, cap_path, cap)) = tightest(&caps, Life::Cycle(refresh.months())) else {
            continue;
        };
        if i128::from(allowance) > most {
            let interval = match refresh {
                Interval::Month => "month",
                Interval::Year => "year",
            };
            let warning = format!(
                "{allowance} credits a {interval} can't all be spent: {cap_path}, {}, lets at most {most} through; grant less, \
                 or raise the limit",
                in_words(cap)
            );
            warnings.say(
                format!("plans.{name}.allowance"),
                WarningCode::AllowanceOverCap,
                warning,
            );
            return;
        }
    }
}

fn pack_over(program: &Program, path: &str, pack: &Pack, warnings: &mut Warnings) {
    let credits = i128::from(pack.credits.get());
    let gate = pack.gate.unwrap_or(program.gates.purchase);
    let mut best: Option<(i128, String)> = None;
    for kind in kinds(program).filter(|kind| opens(gate, kind.map(|(_, plan)| plan))) {
        let Some(life) = life(pack.expiry, kind.map(|(_, plan)| plan)) else {
            return;
        };
        let caps = caps_of(program, kind);
        match tightest(&caps, life) {
            Some((most, cap_path, cap)) if most < credits => {
                let said = format!("{cap_path}, {}", in_words(cap));
                if best.as_ref().is_none_or(|(better, _)| *better < most) {
                    best = Some((most, said));
                }
            }
            // Some buyers can use it up.
            _ => return,
        }
    }
    if let Some((most, cap)) = best {
        let warning = format!(
            "its {credits} credits can't all be spent before they expire: {cap}, lets at most {most} through meanwhile; \
             sell fewer, or let them last longer"
        );
        warnings.say(path, WarningCode::PackNeverUsable, warning);
    }
}

/// None: without end.
fn life(expiry: Expiry, plan: Option<&Plan>) -> Option<Life> {
    match expiry {
        Expiry::Never => None,
        Expiry::Days(days) => Some(Life::Days(days)),
        Expiry::Months(months) => Some(Life::Months(months)),
        Expiry::CycleEnd => {
            let longest = plan?.billing.intervals().iter().map(|interval| interval.months()).max();
            Some(Life::Cycle(longest?))
        }
    }
}

/// A cap that lies within another, of all that it counts and more, and is not smaller.
fn without_effect(program: &Program, kind: Option<(&str, &Plan)>, warnings: &mut Warnings) {
    let caps = caps_of(program, kind);
    let own = kind.map_or(program.caps.len(), |(_, plan)| plan.caps.len());
    for (n, (path, cap)) in caps.iter().enumerate() {
        // Two that are both the program's were looked at without a plan.
        let others = caps
            .iter()
            .enumerate()
            .filter(|(m, _)| *m != n && (n < own || *m < own));
        let decides_before = others.map(|(_, other)| other).find(|(_, other)| {
            let within = cap.window == other.window
                || cap.window == Window::Day && matches!(other.window, Window::Week | Window::Month);
            let counts_all = other.operations.is_none() || other.operations == cap.operations;
            let firm = other.over_whole_cap == OverWholeCap::Reject;
            within && counts_all && firm && cap.per == other.per && other.limit <= cap.limit
        });
        if let Some((other_path, other)) = decides_before {
            let warning = format!(
                "{} never decides: {other_path}, {}, is always reached first; lower this limit, or take it away",
                in_words(cap),
                in_words(other)
            );
            warnings.say(path.as_str(), WarningCode::CapWithoutEffect, warning);
        }
    }
}
