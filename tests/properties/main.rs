//! Properties: the rules against a naive model of them, over random grants and whole random histories; and a parser that
//! nothing can make panic.

mod books;
mod documents;
mod found;
mod histories;
mod ledger;
mod lives;
mod model;
mod programs;
mod scenes;
mod seen;
mod side_by_side;
mod whole_lives;
mod wishes;

use std::collections::BTreeMap;

use histories::{Pair, Step, rules, step, terms};
use proptest::{prelude::*, test_runner::RngSeed};

/// The same cases in every run: a failure is everybody's. Change the seed to look elsewhere.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x5c71_9000),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(512))]

    /// One spend, from many grants that differ in little.
    #[test]
    fn a_spend_draws_what_the_model_draws(
        rules in rules(),
        grants in prop::collection::vec((1..=9_i64, terms()), 1..24),
        amount in 1..=80_i64,
        operation in prop::option::of(0..3_u8),
        partial: bool,
        passed in 0..=6_i64,
    ) {
        let mut pair = Pair::new(rules);
        for (amount, terms) in grants {
            pair.take(&Step::Grant { amount, terms })?;
        }
        pair.take(&Step::Pass(passed))?;
        pair.take(&Step::Spend { amount, operation, partial })?;
    }

    /// Every step of a history ends as in the model: the same parts, the same refusals, the same balances.
    #[test]
    fn a_history_goes_as_the_models(rules in rules(), steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new(rules);
        for step in &steps {
            pair.take(step)?;
        }
    }

    /// However a spend is refunded, each grant gets back what it paid, and no credit more.
    #[test]
    fn refunds_in_any_split_return_what_each_grant_paid(
        rules in rules(),
        grants in prop::collection::vec((1..=20_i64, 0..3_usize), 1..8),
        share in 1..=100_i64,
        cuts in prop::collection::vec(1..=12_i64, 0..20),
    ) {
        let mut pair = Pair::new(rules);
        let mut total = 0;
        for (amount, class) in grants {
            let terms = histories::plain(class);
            pair.take(&Step::Grant { amount, terms })?;
            total += amount;
        }
        let before = pair.books.left();
        let amount = (total * share + 99) / 100;
        let drawn = pair.books.spend(amount, None, false).expect("there is enough");
        let mut back: BTreeMap<usize, i64> = BTreeMap::new();
        let mut refunded = 0;
        for cut in cuts {
            match pair.books.refund(0, Some(cut)) {
                Ok(parts) => {
                    refunded += cut;
                    prop_assert_eq!(parts.iter().map(|(_, amount)| amount).sum::<i64>(), cut);
                    parts.into_iter().for_each(|(grant, amount)| *back.entry(grant).or_default() += amount);
                }
                Err(_) => prop_assert!(refunded + cut > amount),
            }
        }
        if refunded < amount {
            let rest = pair.books.refund(0, None).expect("the rest can be refunded");
            rest.into_iter().for_each(|(grant, amount)| *back.entry(grant).or_default() += amount);
        }
        prop_assert_eq!(back, drawn.into_iter().collect::<BTreeMap<_, _>>());
        prop_assert_eq!(pair.books.left(), before);
        prop_assert!(pair.books.refund(0, Some(1)).is_err());
    }
}

/// The histories go through everything that the properties above claim to try.
#[test]
fn the_histories_are_not_idle() {
    use model::credits::Refusal;
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::new(config(1));
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let histories = (rules(), prop::collection::vec(step(), 40..60));
    for _ in 0..128 {
        let (rules, steps) = histories.new_tree(&mut runner).expect("a history").current();
        let mut pair = Pair::new(rules);
        for step in &steps {
            let (grants, spends) = (pair.model.grants.len(), pair.model.spends());
            let name = match step {
                Step::Refund { spend, amount } if spends > 0 => match pair.model.refund(spend.index(spends), *amount) {
                    Ok(_) if pair.model.grants.len() > grants => "reissued",
                    Ok(parts) if parts.len() > 1 => "refunded to several",
                    Ok(_) => "refunded",
                    Err(Refusal::SourceExpired { .. }) => "source expired",
                    Err(Refusal::Exceeds { .. }) => "refund exceeds",
                    Err(_) => "already refunded",
                },
                Step::Spend {
                    amount,
                    operation,
                    partial,
                } => match pair.model.spend(*amount, *operation, *partial) {
                    Ok(parts) if parts.len() > 2 => "spent from several",
                    Ok(parts) if parts.iter().map(|(_, n)| n).sum::<i64>() < *amount => "spent in part",
                    Ok(_) => "spent",
                    Err(_) => "insufficient",
                },
                Step::Revoke(grant) if grants > 0 => match pair.model.revoke(grant.index(grants)) {
                    Ok(_) => "revoked",
                    Err(_) => "closed",
                },
                other => {
                    pair.take(&Step::Pass(0)).ok();
                    if let Step::Pass(hours) = other {
                        pair.model.now += hours;
                    } else if let Step::Grant { amount, terms } = other {
                        let now = pair.model.now;
                        let mut terms = terms.clone();
                        terms.starts += now;
                        terms.ends = terms.ends.map(|end| end + now);
                        if pair.model.grant(*amount, terms).is_err() {
                            *seen.entry("without life").or_default() += 1;
                        }
                    }
                    continue;
                }
            };
            *seen.entry(name).or_default() += 1;
        }
    }
    for name in [
        "reissued",
        "refunded to several",
        "refunded",
        "source expired",
        "refund exceeds",
        "already refunded",
        "spent from several",
        "spent in part",
        "spent",
        "insufficient",
        "revoked",
        "closed",
        "without life",
    ] {
        assert!(seen.get(name).is_some_and(|n| *n >= 20), "{name} is rare: {seen:?}");
    }
}
