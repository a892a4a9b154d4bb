//! Gates against the plans that open them.

use super::{Offer, WarningCode, Warnings, kinds, offers, opens, requirement_in_words};
use crate::domain::{
    grant::Class,
    program::{Expiry, Program, Requirement},
};

pub(super) fn lint(program: &Program, warnings: &mut Warnings) {
    for (path, requirement) in gates(program) {
        if !kinds(program).any(|kind| opens(requirement, kind.map(|(_, plan)| plan))) {
            let missing = if requirement == Requirement::Subscription {
                "plan"
            } else {
                "paid plan"
            };
            let warning = format!(
                "asks for {}, and the program has no {missing}: it is closed to everybody; add a plan, or give none",
                requirement_in_words(requirement)
            );
            warnings.say(path, WarningCode::GateWithoutPlan, warning);
        }
    }
    for offer in offers(program) {
        bought_by_who_cannot_spend(program, &offer, warnings);
        if offer.expiry == Expiry::CycleEnd && offer.gate == Requirement::None {
            let warning = "an account without a subscription may buy it, and has no cycle whose end would be theirs: give \
                           `gate` or gates.purchase a subscription, or let the credits last days or months";
            let path = format!("{}.expiry", offer.path);
            warnings.say(path, WarningCode::CycleEndWithoutCycle, warning);
        }
    }
}

/// Every gate that the program sets, with its field.
pub(super) fn gates(program: &Program) -> Vec<(String, Requirement)> {
    let mut gates = vec![("gates.purchase".to_owned(), program.gates.purchase)];
    for class in Class::ALL {
        let path = format!("gates.spend.{}", class.as_str());
        gates.push((path, program.gates.spend.of(class)));
    }
    for (name, pack) in &program.packs {
        gates.extend(pack.gate.map(|gate| (format!("packs.{name}.gate"), gate)));
    }
    for (currency, custom) in &program.custom_amounts {
        gates.extend(
            custom
                .gate
                .map(|gate| (format!("custom_amounts.{currency}.gate"), gate)),
        );
    }
    gates
}

fn bought_by_who_cannot_spend(program: &Program, offer: &Offer, warnings: &mut Warnings) {
    let spend = program.gates.spend.of(offer.class);
    let plan_of = |kind: Option<(&str, _)>| kind.map(|(_, plan)| plan);
    let mut all = kinds(program).map(plan_of);
    let stranded = all.any(|plan| opens(offer.gate, plan) && !opens(spend, plan));
    let anybody_spends = kinds(program).map(plan_of).any(|plan| opens(spend, plan));
    if !stranded || !anybody_spends {
        return;
    }
    let mut warning = format!(
        "buying it asks for {}, and spending its class, {}, for {}: some who buy can't spend",
        requirement_in_words(offer.gate),
        offer.class.as_str(),
        requirement_in_words(spend)
    );
    let code = if offer.expiry == Expiry::Never {
        WarningCode::PurchaseGateLooserThanSpendGate
    } else {
        warning.push_str(", and what they bought expires meanwhile");
        WarningCode::PackExpiresBeforeUse
    };
    warning.push_str("; let `gate` ask for as much");
    warnings.say(offer.path.as_str(), code, warning);
}
