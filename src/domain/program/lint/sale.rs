//! Prices of packs against each other, and against the standard rate.

use super::{WarningCode, Warnings};
use crate::domain::program::{CustomAmount, Pack, Program};

pub(super) fn lint(program: &Program, warnings: &mut Warnings) {
    for (name, pack) in &program.packs {
        dearer_than_a_smaller(program, name, pack, warnings);
    }
    for (currency, custom) in &program.custom_amounts {
        better_than_every_pack(program, currency, custom, warnings);
    }
}

/// How many credits for how much money, so that it can be compared without rounding.
#[derive(Clone, Copy)]
struct Rate {
    credits: i64,
    money: i64,
}

impl Rate {
    fn of(pack: &Pack) -> Self {
        Self {
            credits: pack.credits.get(),
            money: pack.price.amount.get(),
        }
    }

    fn is_better_than(self, other: Self) -> bool {
        i128::from(self.credits) * i128::from(other.money) > i128::from(other.credits) * i128::from(self.money)
    }
}

/// Other terms are worth another price.
fn same_terms(a: &Pack, b: &Pack) -> bool {
    (&a.price.currency, a.class, a.expiry) == (&b.price.currency, b.class, b.expiry)
}

fn dearer_than_a_smaller(program: &Program, name: &str, pack: &Pack, warnings: &mut Warnings) {
    let smaller = program.packs.iter().find(|(other_name, other)| {
        *other_name != name
            && same_terms(pack, other)
            && other.credits <= pack.credits
            && Rate::of(other).is_better_than(Rate::of(pack))
    });
    if let Some((other_name, other)) = smaller {
        let warning = format!(
            "{} credits for {} cost more each than the {} credits of {other_name} for {}: lower the price, or raise that one's",
            pack.credits.get(),
            pack.price,
            other.credits.get(),
            other.price
        );
        warnings.say(format!("packs.{name}.price"), WarningCode::BiggerPackIsDearer, warning);
    }
}

fn better_than_every_pack(program: &Program, currency: &str, custom: &CustomAmount, warnings: &mut Warnings) {
    let rate = Rate {
        credits: custom.credits.get(),
        money: custom.per.get(),
    };
    let rivals = program.packs.iter().filter(|(_, pack)| {
        pack.price.currency.as_str() == currency && (pack.class, pack.expiry) == (custom.class, custom.expiry)
    });
    let mut best: Option<(&String, &Pack)> = None;
    for (name, pack) in rivals {
        if best.is_none_or(|(_, other)| Rate::of(pack).is_better_than(Rate::of(other))) {
            best = Some((name, pack));
        }
    }
    if let Some((name, pack)) = best
        && rate.is_better_than(Rate::of(pack))
    {
        let bought = i128::from(pack.price.amount.get()) * i128::from(rate.credits) / i128::from(rate.money);
        let warning = format!(
            "its rate beats every pack: {} buys {bought} credits by it, and {} in the best pack, {name}; raise the packs, or \
             lower the rate",
            pack.price,
            pack.credits.get()
        );
        warnings.say(
            format!("custom_amounts.{currency}"),
            WarningCode::CustomRateBeatsPacks,
            warning,
        );
    }
}
