//! Steps that belong together, for what single ones seldom come to.

use proptest::{option, prelude::*};

use crate::{
    lives::{Asked, DAY, HOUR, Lasts, Pass, Step, asked, member, plan, step},
    programs::{interval, terms},
};

/// What is spent or held with the last quote, for whomever.
fn quoted() -> impl Strategy<Value = Vec<Step>> {
    let parts = (asked(), prop_oneof![3 => Just(None), 1 => member()], any::<bool>());
    parts.prop_map(|(asked, member, is_hold)| {
        let with_quote = Asked {
            amount: None,
            operation: None,
            quantity: None,
            member,
            quote: Some(0),
        };
        let (partial, lasts) = (false, Lasts::AsUsual);
        let second = if is_hold {
            Step::Hold {
                asked: with_quote,
                partial,
                lasts,
            }
        } else {
            Step::Spend {
                asked: with_quote,
                partial,
            }
        };
        vec![Step::Quote(asked), second]
    })
}

/// A hold that is captured, at once or after a day or two, and perhaps refunded.
fn captured() -> impl Strategy<Value = Vec<Step>> {
    let later = option::of((HOUR..=2 * DAY).prop_map(|time| Step::Pass(Pass::Seconds(time))));
    (asked(), later, option::of(1..=60_i64), any::<bool>()).prop_map(|(asked, later, amount, is_refunded)| {
        let hold = Step::Hold {
            asked,
            partial: true,
            lasts: Lasts::AsUsual,
        };
        let capture = Step::Capture {
            hold: 0,
            amount,
            may_be_over: true,
        };
        let refund = Step::Refund { spend: 0, amount: None };
        let steps = [Some(hold), later, Some(capture), is_refunded.then_some(refund)];
        steps.into_iter().flatten().collect()
    })
}

/// A spend that is refunded when much of what paid for it has ended, and what another makes of that.
fn refunded_late() -> impl Strategy<Value = Vec<Step>> {
    let parts = (asked(), 10 * DAY..=40 * DAY, 1..=60_i64, member());
    parts.prop_map(|(asked, time, amount, member)| {
        let of_anybody = Asked {
            amount: Some(amount),
            operation: None,
            quantity: None,
            member,
            quote: None,
        };
        let spend = |asked| Step::Spend { asked, partial: true };
        let refund = Step::Refund { spend: 0, amount: None };
        vec![spend(asked), Step::Pass(Pass::Seconds(time)), refund, spend(of_anybody)]
    })
}

/// A hold that is left alone until the grant that it holds has ended.
fn held_to_the_end() -> impl Strategy<Value = Vec<Step>> {
    asked().prop_map(|asked| {
        let hold = Step::Hold {
            asked,
            partial: true,
            lasts: Lasts::ToTheEnd,
        };
        vec![hold, Step::Pass(Pass::ToNext)]
    })
}

/// What is pending when the program changes, and what becomes of it.
fn given_up() -> impl Strategy<Value = Vec<Step>> {
    let parts = (option::of(plan()), option::of(interval()), terms(), 20 * DAY..=40 * DAY);
    parts.prop_map(|(plan, interval, terms, time)| {
        let change = Step::Change {
            subscription: 0,
            plan,
            interval,
            units: None,
            revives: false,
        };
        vec![change, Step::Put(Box::new(terms)), Step::Pass(Pass::Seconds(time))]
    })
}

/// A step, or a few that belong together.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        32 => step().prop_map(|step| vec![step]),
        2 => quoted(),
        2 => captured(),
        2 => refunded_late(),
        1 => held_to_the_end(),
        2 => given_up(),
    ]
}
