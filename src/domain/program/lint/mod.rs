//! What a program may say, but hardly means: each warning with its field, a stable code, and the numbers behind it.

mod caps;
mod classes;
mod gates;
mod plans;
mod sale;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cap, Expiry, Plan, Program, Requirement};
use crate::domain::grant::Class;

/// Something legal but unwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Warning {
    /// The field, from the top: `packs.small.expiry`.
    pub path: String,
    /// Stable: what programs go by.
    pub code: WarningCode,
    /// What is unwise, with the numbers, and what would be better.
    pub warning: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.warning)
    }
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// Operations cost more than the whole of a cap that rejects such: they are always refused.
    OperationOverCap,
    /// An allowance is more than the caps let through until the next refresh.
    AllowanceOverCap,
    /// A cap never decides, since another one is always reached before it.
    CapWithoutEffect,
    /// A pack has more credits than the caps let through before they expire.
    PackNeverUsable,
    /// Credits can be bought by accounts that can't spend them, and expire meanwhile.
    PackExpiresBeforeUse,
    /// Credits can be bought by accounts that can't spend them.
    PurchaseGateLooserThanSpendGate,
    /// Credits that end with the cycle can be bought by accounts that have none.
    CycleEndWithoutCycle,
    /// A gate that no plan opens.
    GateWithoutPlan,
    /// A class is granted that may pay for no operation.
    ClassNeverPays,
    /// A paid plan that grants nothing, opens no gate and sets no cap.
    PlanWithoutCredits,
    /// Subscribers who pay for a year at once get less than those who pay by the month.
    YearlyGrantsLess,
    /// A change of plan counts as an upgrade, though the allowance becomes smaller.
    HigherRankGrantsLess,
    /// A rollover's limit is more than can ever remain.
    RolloverWithoutEffect,
    /// A pack costs more for a credit than a smaller one.
    BiggerPackIsDearer,
    /// Credits cost less at the rate of a custom amount than in any pack.
    CustomRateBeatsPacks,
}

/// What was found.
#[derive(Default)]
struct Warnings(Vec<Warning>);

impl Warnings {
    fn say(&mut self, path: impl Into<String>, code: WarningCode, warning: impl Into<String>) {
        self.0.push(Warning {
            path: path.into(),
            code,
            warning: warning.into(),
        });
    }
}

/// Everything about a sound program that is legal but unwise.
pub fn lint(program: &Program) -> Vec<Warning> {
    let mut warnings = Warnings::default();
    plans::lint(program, &mut warnings);
    sale::lint(program, &mut warnings);
    gates::lint(program, &mut warnings);
    classes::lint(program, &mut warnings);
    caps::lint(program, &mut warnings);
    warnings.0
}

/// Something for sale: a pack or a custom amount.
struct Offer {
    path: String,
    class: Class,
    expiry: Expiry,
    /// Who may buy it.
    gate: Requirement,
}

fn offers(program: &Program) -> Vec<Offer> {
    let purchase = program.gates.purchase;
    let packs = program.packs.iter().map(|(name, pack)| Offer {
        path: format!("packs.{name}"),
        class: pack.class,
        expiry: pack.expiry,
        gate: pack.gate.unwrap_or(purchase),
    });
    let custom = program.custom_amounts.iter().map(|(currency, custom)| Offer {
        path: format!("custom_amounts.{currency}"),
        class: custom.class,
        expiry: custom.expiry,
        gate: custom.gate.unwrap_or(purchase),
    });
    packs.chain(custom).collect()
}

/// Whether a subscription of the plan opens the gate; none: whether an account without one finds it open.
fn opens(requirement: Requirement, plan: Option<&Plan>) -> bool {
    match requirement {
        Requirement::None => true,
        Requirement::Subscription => plan.is_some(),
        Requirement::PaidSubscription => plan.is_some_and(|plan| plan.paid),
    }
}

/// The kinds of accounts there are: without a subscription, and with one of each plan.
fn kinds(program: &Program) -> impl Iterator<Item = Option<(&str, &Plan)>> {
    let plans = program.plans.iter().map(|(name, plan)| Some((name.as_str(), plan)));
    std::iter::once(None).chain(plans)
}

/// The caps of a kind of account, with their fields: the plan's own, and the program's that it doesn't replace.
fn caps_of<'a>(program: &'a Program, kind: Option<(&str, &'a Plan)>) -> Vec<(String, &'a Cap)> {
    let mut caps = Vec::new();
    if let Some((name, plan)) = kind {
        let own = plan.caps.iter().enumerate();
        caps.extend(own.map(|(n, cap)| (format!("plans.{name}.caps[{n}]"), cap)));
    }
    let own = kind.map_or(&[][..], |(_, plan)| &plan.caps);
    let inherited = program.caps.iter().enumerate();
    let inherited = inherited.filter(|(_, cap)| !own.iter().any(|o| o.replaces(cap)));
    caps.extend(inherited.map(|(n, cap)| (format!("caps[{n}]"), cap)));
    caps
}

/// `75 a day`.
fn in_words(cap: &Cap) -> String {
    format!("{} a {}", cap.limit.get(), cap.window.as_str())
}

fn requirement_in_words(requirement: Requirement) -> &'static str {
    match requirement {
        Requirement::None => "nothing",
        Requirement::Subscription => "a live subscription",
        Requirement::PaidSubscription => "a live subscription of a paid plan",
    }
}
