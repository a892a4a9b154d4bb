//! Classes that are granted against the operations that they may pay for.

use std::collections::BTreeSet;

use super::{WarningCode, Warnings, offers};
use crate::domain::{grant::Class, program::Program};

pub(super) fn lint(program: &Program, warnings: &mut Warnings) {
    let mut payers = BTreeSet::new();
    for operation in program.operations.values() {
        match &operation.paid_by {
            Some(classes) => payers.extend(classes.iter().copied()),
            None => return,
        }
    }
    // Without operations every spend names an amount, which all classes pay.
    if payers.is_empty() {
        return;
    }
    for (path, class) in granted(program) {
        if !payers.contains(&class) {
            let payers: Vec<&str> = payers.iter().map(|class| class.as_str()).collect();
            let warning = format!(
                "grants the class {}, which may pay for no operation: every paid_by names only {}; add {0} to one, or grant \
                 another class",
                class.as_str(),
                payers.join(" and ")
            );
            warnings.say(path, WarningCode::ClassNeverPays, warning);
        }
    }
}

/// Every class that the program grants, with the field that does.
fn granted(program: &Program) -> Vec<(String, Class)> {
    let mut granted = Vec::new();
    for (name, plan) in &program.plans {
        if plan.billing.intervals().iter().any(|i| plan.allowance_at(*i) > 0) {
            granted.push((format!("plans.{name}.allowance"), Class::Plan));
        }
        granted.extend(
            plan.bonus
                .iter()
                .map(|bonus| (format!("plans.{name}.bonus"), bonus.class)),
        );
        granted.extend(plan.addon.iter().map(|_| (format!("plans.{name}.addon"), Class::Addon)));
    }
    granted.extend(offers(program).into_iter().map(|offer| (offer.path, offer.class)));
    if program.compensation.multiplier_max > 0 {
        granted.push(("compensation".to_owned(), program.compensation.class));
    }
    granted
}
