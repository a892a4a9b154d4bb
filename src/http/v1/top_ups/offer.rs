//! What is for sale: a pack of the program, or an amount of the buyer's choice.

use serde_json::json;

use super::NewTopUp;
use crate::{
    domain::{
        credits::Amount,
        grant::Class,
        money::Money,
        program::{Expiry, Program, Requirement},
        subscription::Standing,
    },
    http::error::Problem,
};

/// What a purchase is agreed upon.
pub(super) struct Offer {
    pub pack: Option<String>,
    pub title: String,
    pub price: Money,
    pub credits: Amount,
    pub class: Class,
    pub expiry: Expiry,
    gate: Option<Requirement>,
}

pub(super) fn find(program: &Program, new: &NewTopUp) -> Result<Offer, Problem> {
    match (&new.pack, &new.money) {
        (Some(name), None) => {
            let pack = program
                .packs
                .get(name.as_str())
                .ok_or_else(|| unknown_pack(program, new))?;
            Ok(Offer {
                pack: Some(name.as_str().to_owned()),
                title: program.pack_title(pack),
                price: pack.price.clone(),
                credits: pack.credits,
                class: pack.class,
                expiry: pack.expiry,
                gate: pack.gate,
            })
        }
        (None, Some(money)) => for_amount(program, money),
        _ => Err(Problem::unprocessable("invalid_pack", "Give a pack, or money: one of them.").with("field", "pack")),
    }
}

/// Credits for an amount of the buyer's choice, at the program's rate.
fn for_amount(program: &Program, money: &Money) -> Result<Offer, Problem> {
    let currency = money.currency.as_str();
    let terms = program.custom_amounts.get(currency).ok_or_else(|| {
        let currencies: Vec<&String> = program.custom_amounts.keys().collect();
        let detail = format!("money.currency: the program sells no amounts in {currency}.");
        Problem::unprocessable("unknown_currency", detail)
            .with("field", "money.currency")
            .with("currencies", json!(currencies))
    })?;
    let paid = money.amount.get();
    let (minimum, maximum) = (terms.minimum.get(), terms.maximum.get());
    let out_of_range = || {
        let money = |amount: Amount| Money {
            amount,
            currency: money.currency.clone(),
        };
        let detail = format!(
            "money.amount: from {} to {} can be bought at once.",
            money(terms.minimum),
            money(terms.maximum)
        );
        Problem::unprocessable("invalid_money", detail)
            .with("field", "money.amount")
            .with("minimum", minimum)
            .with("maximum", maximum)
    };
    if !(minimum..=maximum).contains(&paid) {
        return Err(out_of_range());
    }
    let credits = terms.credits_for(paid).ok_or_else(out_of_range)?;
    Ok(Offer {
        pack: None,
        title: program.amount_in_words(credits.get()),
        price: money.clone(),
        credits,
        class: terms.class,
        expiry: terms.expiry,
        gate: terms.gate,
    })
}

pub(super) fn unknown_pack(program: &Program, new: &NewTopUp) -> Problem {
    let packs: Vec<&String> = program.packs.keys().collect();
    let name = new.pack.as_ref().map_or("", |name| name.as_str());
    Problem::unprocessable("unknown_pack", format!("pack: the program has no pack {name}."))
        .with("pack", name)
        .with("packs", json!(packs))
}

impl Offer {
    /// Whether an account of this standing may buy it.
    pub fn check_gate(&self, program: &Program, standing: Standing) -> Result<(), Problem> {
        let gate = self.gate.unwrap_or(program.gates.purchase);
        if gate.is_met(standing) {
            return Ok(());
        }
        let detail = format!("Buying this takes a live {}.", gate.as_str().replace('_', " "));
        Err(Problem::new(axum::http::StatusCode::FORBIDDEN, "gate_closed", detail).with("requires", gate.as_str()))
    }
}
