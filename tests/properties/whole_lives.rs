//! Whole lives under random programs: the rules do what the model does, and time does the same in one leap as in many steps.

use chrono::Duration;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use scrip::domain::{
    balance::{ByClass, balance},
    decide::{AccountState, catch_up, next_due},
    grant::{Class, Grant},
};

use crate::{
    config,
    ledger::{Counted, Ledger},
    lives::life,
    side_by_side::{IDLE, SideBySide},
};

/// All that was posted, but for when it was: with numbers in the place of ids, in the order in which they first come up.
fn story(ledger: &Ledger) -> Vec<String> {
    const PREFIX: &str = "00000000-0000-0000-0000-";
    const LENGTH: usize = 12;
    let mut known: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for transaction in ledger.posted.iter().filter(|t| t.reason.as_deref() != Some(IDLE)) {
        let mut transaction = transaction.clone();
        transaction.created_at = transaction.effective_at;
        let text = format!("{transaction:?}");
        let mut pieces = text.split(PREFIX);
        let mut line = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let id = piece[..LENGTH].to_owned();
            let number = known.iter().position(|k| *k == id).unwrap_or_else(|| {
                known.push(id);
                known.len() - 1
            });
            line += &format!("#{number}{}", &piece[LENGTH..]);
        }
        lines.push(line);
    }
    lines
}

/// Between now and the next due instant nothing changes but what begins.
fn check_due(ledger: &Ledger) -> Result<(), TestCaseError> {
    let now = ledger.now;
    let state = ledger.see().state;
    let due = next_due(&state);
    prop_assert!(due.is_none_or(|at| at > now), "nothing is due once it is caught up");
    let horizon = due.unwrap_or(now + Duration::days(1_200));
    let begins = |g: &Grant| g.effective_at > now && g.effective_at < horizon;
    let mut moments: Vec<_> = state
        .grants
        .iter()
        .filter(|g| begins(g))
        .map(|g| g.effective_at)
        .collect();
    moments.extend([1, 2].map(|third| now + (horizon - now) * third / 3));
    moments.push(horizon - Duration::microseconds(1));
    for at in moments {
        let program = ledger.program();
        let (open, was_open) = (state.open_classes(program, at), state.open_classes(program, now));
        prop_assert_eq!(open, was_open);
        for subscription in &state.subscriptions {
            prop_assert_eq!(subscription.status(at), subscription.status(now));
        }
        let (then, before) = (balance(&state.grants, open, at), balance(&state.grants, open, now));
        let begun = |class: Class| -> i64 {
            let begun = state
                .grants
                .iter()
                .filter(|g| g.class == class && begins(g) && g.effective_at <= at);
            if open.has(class) {
                begun.map(Grant::free).sum()
            } else {
                0
            }
        };
        let by_class = ByClass {
            plan: before.by_class.plan + begun(Class::Plan),
            addon: before.by_class.addon + begun(Class::Addon),
            balance: before.by_class.balance + begun(Class::Balance),
        };
        prop_assert_eq!(then.by_class, by_class);
        prop_assert_eq!(then.held, before.held);
        prop_assert_eq!(state.cycle(at), state.cycle(now));
        prop_assert_eq!(state.usage_at(at).used, state.usage_at(now).used);
    }
    check_progress(ledger, state)
}

/// What is due is done when it falls due, and then it is not due any more.
fn check_progress(ledger: &Ledger, mut state: AccountState) -> Result<(), TestCaseError> {
    if let Some(due) = next_due(&state) {
        let posted = catch_up(&mut state, due, &ledger.programs, &mut Counted::beyond_all());
        prop_assert!(!posted.is_empty());
        prop_assert!(posted.iter().all(|t| t.effective_at == due));
        prop_assert!(next_due(&state).is_none_or(|next| next > due));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1_000))]

    /// Every step of a life ends as in the model: the same answer, and the same to be seen afterwards.
    #[test]
    fn a_life_goes_as_the_models((start, terms, steps) in life(1..60)) {
        let mut pair = SideBySide::new(start, terms);
        for step in &steps {
            pair.take(step)?;
        }
    }

    /// Time passes in one leap or in many steps, with or without somebody who looks or posts in between: the same is posted.
    #[test]
    fn one_leap_is_many_steps((start, terms, steps) in life(1..40), paces in 2..=5_i32) {
        let mut leaping = SideBySide::new(start, terms.clone());
        let mut walking = SideBySide::new(start, terms);
        walking.paces = paces;
        for step in &steps {
            leaping.follow(step);
            walking.follow(step);
        }
        for pair in [&mut leaping, &mut walking] {
            pair.pass(Duration::days(100));
            pair.ledger.run_due();
        }
        prop_assert_eq!(story(&leaping.ledger), story(&walking.ledger));
        prop_assert_eq!(leaping.sights(), walking.sights());
    }

    /// Nothing that can be seen changes before the next due instant, but for grants that begin; and then something does.
    #[test]
    fn nothing_changes_before_it_is_due((start, terms, steps) in life(1..30)) {
        let mut pair = SideBySide::new(start, terms);
        for step in &steps {
            pair.follow(step);
            check_due(&pair.ledger)?;
        }
    }
}

/// The lives go through everything that the properties above claim to try.
#[test]
fn the_lives_are_not_idle() {
    let mut runner = TestRunner::new(config(1));
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..600 {
        let (start, terms, steps) = life(40..60).new_tree(&mut runner).expect("a life").current();
        let mut pair = SideBySide::new(start, terms);
        steps.iter().for_each(|step| pair.follow(step));
        for (name, count) in pair.model.sights {
            *seen.entry(name).or_insert(0) += count;
        }
    }
    for name in SIGHTS {
        assert!(seen.get(name).is_some_and(|n| *n >= 10), "{name} is rare: {seen:?}");
    }
}

const SIGHTS: &[&str] = &[
    "spent",
    "spent in part",
    "insufficient",
    "frozen",
    "quote honoured",
    "quote lapsed",
    "held",
    "captured",
    "captured in part",
    "captured over",
    "voided",
    "hold expired",
    "a hold outlived its grant",
    "refunded",
    "reissued",
    "headroom back",
    "headroom back to a past window",
    "day cap of the account",
    "day cap of a member",
    "week cap of the account",
    "week cap of a member",
    "month cap of the account",
    "month cap of a member",
    "cycle cap of the account",
    "cycle cap of a member",
    "exceeds a cap ever",
    "over the whole cap in an empty window",
    "renewed",
    "several cycles missed",
    "upgraded",
    "downgrade took effect",
    "pending terms took effect",
    "pending change undone",
    "more units",
    "fewer units took effect",
    "bonus",
    "rolled over",
    "rolled over once and then gone",
    "bonus of a first payment",
    "held to the very end of its grant",
    "a cap that is over",
    "many that are over the whole cap together",
    "closed, with nothing behind",
    "no price",
    "another plan in the place of a pending one",
    "a pending interval was given up",
    "a pending plan was given up",
    "its interval was given up",
    "its plan was given up",
    "cancelled",
    "not cancelled after all",
    "subscription ended",
];
