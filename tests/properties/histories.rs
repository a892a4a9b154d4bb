//! Random histories of an account: what can happen, and carrying it out on the rules and on the model alike.

use proptest::prelude::*;

use crate::{
    books::Books,
    model::credits::{Account, Policy, Rules, Terms},
};

/// How long a plan's cycle lasts, in hours.
const CYCLE_HOURS: i64 = 48;

#[derive(Debug, Clone)]
pub enum Step {
    Grant {
        amount: i64,
        /// With times counted from the step.
        terms: Terms,
    },
    Spend {
        amount: i64,
        operation: Option<u8>,
        partial: bool,
    },
    /// Of one of the spends so far.
    Refund {
        spend: prop::sample::Index,
        amount: Option<i64>,
    },
    /// Of one of the grants so far.
    Revoke(prop::sample::Index),
    Pass(i64),
}

pub fn rules() -> impl Strategy<Value = Rules> {
    let policy = prop_oneof![
        2 => Just(Policy::Reissue),
        1 => Just(Policy::Restore),
        1 => Just(Policy::Reject)
    ];
    let order = Just([0, 1, 2]).prop_shuffle();
    (order, prop::array::uniform3(policy)).prop_map(|(order, policy)| Rules { order, policy })
}

/// The keys come from small ranges, so that ties are common at every level.
pub fn terms() -> impl Strategy<Value = Terms> {
    let anything = (
        0..3_usize,
        -1..=1_i32,
        prop_oneof![3 => Just(0_i64), 1 => -3..=-1_i64, 1 => 1..=5_i64],
        prop::option::weighted(0.7, prop_oneof![8 => 1..=6_i64, 4 => 20..=60_i64, 1 => -2..=0_i64]),
        any::<bool>(),
        prop::option::weighted(0.3, prop::sample::subsequence(vec![0_u8, 1, 2], 1..=2)),
    )
        .prop_map(|(class, priority, starts, lasts, paid, applies_to)| Terms {
            class,
            priority,
            starts,
            ends: lasts.map(|lasts| starts + lasts),
            paid,
            applies_to,
            is_cycle: false,
        });
    let allocation = (0..=30_i64).prop_map(|starts| Terms {
        class: 0,
        priority: 0,
        starts,
        ends: Some(starts + CYCLE_HOURS),
        paid: false,
        applies_to: None,
        is_cycle: true,
    });
    prop_oneof![4 => anything, 1 => allocation]
}

/// For ever, for everything, free.
pub fn plain(class: usize) -> Terms {
    Terms {
        class,
        priority: 0,
        starts: 0,
        ends: None,
        paid: false,
        applies_to: None,
        is_cycle: false,
    }
}

pub fn step() -> impl Strategy<Value = Step> {
    let operation = prop::option::of(0..3_u8);
    prop_oneof![
        4 => (1..=20_i64, terms()).prop_map(|(amount, terms)| Step::Grant { amount, terms }),
        5 => (1..=30_i64, operation, any::<bool>())
            .prop_map(|(amount, operation, partial)| Step::Spend { amount, operation, partial }),
        4 => (any::<prop::sample::Index>(), prop::option::of(1..=15_i64))
            .prop_map(|(spend, amount)| Step::Refund { spend, amount }),
        1 => any::<prop::sample::Index>().prop_map(Step::Revoke),
        3 => prop_oneof![3 => 0..=6_i64, 1 => 7..=60_i64, 1 => Just(800_i64)].prop_map(Step::Pass),
    ]
}

/// The rules and the model, side by side.
pub struct Pair {
    pub books: Books,
    pub model: Account,
}

impl Pair {
    pub fn new(rules: Rules) -> Self {
        Self {
            books: Books::new(&rules),
            model: Account::new(rules),
        }
    }

    /// Whether the step was one that the history allows.
    pub fn take(&mut self, step: &Step) -> Result<bool, TestCaseError> {
        let Self { books, model } = self;
        match step {
            Step::Grant { amount, terms } => {
                let terms = Terms {
                    starts: terms.starts + model.now,
                    ends: terms.ends.map(|end| end + model.now),
                    ..terms.clone()
                };
                prop_assert_eq!(books.grant(*amount, &terms), model.grant(*amount, terms));
            }
            Step::Spend {
                amount,
                operation,
                partial,
            } => prop_assert_eq!(
                books.spend(*amount, *operation, *partial),
                model.spend(*amount, *operation, *partial)
            ),
            Step::Refund { spend, amount } => {
                if model.spends() == 0 {
                    return Ok(false);
                }
                let spend = spend.index(model.spends());
                prop_assert_eq!(books.refund(spend, *amount), model.refund(spend, *amount));
            }
            Step::Revoke(grant) => {
                if model.grants.is_empty() {
                    return Ok(false);
                }
                let grant = grant.index(model.grants.len());
                prop_assert_eq!(books.revoke(grant), model.revoke(grant));
            }
            Step::Pass(hours) => {
                books.pass(*hours);
                model.now += hours;
            }
        }
        prop_assert_eq!(books.balance(), model.balance());
        let left: Vec<i64> = (0..model.grants.len()).map(|grant| model.left(grant)).collect();
        prop_assert_eq!(books.left(), left);
        let ends: Vec<Option<i64>> = model.grants.iter().map(|grant| grant.terms.ends).collect();
        prop_assert_eq!(books.ends(), ends);
        Ok(true)
    }
}
