//! Random lives of an account under random programs: what can happen to it.

use chrono::{DateTime, Utc};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use scrip::domain::{cycle::Interval, grant::Class};

use crate::{
    ledger::ACCOUNT,
    model::terms::{CapKind, Terms},
    programs::{OPERATIONS, PLANS, cap_kind, interval, terms},
    scenes::steps,
};

/// One of those there are, counted back from the last.
pub type Back = usize;

#[derive(Debug, Clone)]
pub enum Step {
    Grant {
        class: Class,
        amount: i64,
        /// Seconds from now.
        starts: i64,
        /// Seconds.
        lasts: Option<i64>,
        priority: i32,
        operations: Option<Vec<&'static str>>,
        paid: bool,
    },
    Revoke(Back),
    Subscribe {
        plan: &'static str,
        anchor: Anchor,
        interval: Option<Interval>,
        units: u32,
    },
    Change {
        subscription: Back,
        plan: Option<&'static str>,
        interval: Option<Interval>,
        units: Option<u32>,
        /// What was cancelled goes on, and changes.
        revives: bool,
    },
    /// It is to be what it is: what is pending is undone.
    Undo(Back),
    Cancel(Back),
    Revive(Back),
    Spend {
        asked: Asked,
        partial: bool,
    },
    Quote(Asked),
    Hold {
        asked: Asked,
        partial: bool,
        lasts: Lasts,
    },
    Capture {
        hold: Back,
        amount: Option<i64>,
        may_be_over: bool,
    },
    Void(Back),
    Refund {
        spend: Back,
        amount: Option<i64>,
    },
    SetCaps(Vec<Own>),
    Put(Box<Terms>),
    Pass(Pass),
}

/// How long a hold is to last.
#[derive(Debug, Clone, Copy)]
pub enum Lasts {
    AsUsual,
    Seconds(u32),
    /// To the end of the grant that ends first.
    ToTheEnd,
}

#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Now,
    /// Seconds from now, ahead or past.
    Off(i64),
    /// Midnight of the first of this month, by the wall clock.
    FirstOfMonth,
}

/// What a spend, a hold or a quote asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub amount: Option<i64>,
    pub operation: Option<&'static str>,
    pub quantity: Option<i64>,
    pub member: Option<&'static str>,
    pub quote: Option<Back>,
}

/// Support's word on a cap.
#[derive(Debug, Clone)]
pub struct Own {
    pub kind: CapKind,
    pub limit: Option<i64>,
    /// None: as the cap in whose place it stands.
    pub allows_in_empty_window: Option<bool>,
    /// Seconds from now.
    pub lasts: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
pub enum Pass {
    Seconds(i64),
    /// To the very instant at which something happens next.
    ToNext,
    /// To the last instant before.
    BeforeNext,
}

pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 24 * HOUR;

/// Starts near ends of months, leap days and changes of the clock.
pub fn start() -> impl Strategy<Value = DateTime<Utc>> {
    let starts = [
        "2027-01-31T09:30:00Z",
        "2027-02-28T01:30:00Z",
        "2027-03-13T23:45:00Z",
        "2027-08-31T12:00:00Z",
        "2027-08-31T00:30:00Z",
        "2028-01-01T00:00:00Z",
        "2028-02-29T12:00:00Z",
    ];
    select(starts.to_vec()).prop_map(|text| text.parse().expect("a time"))
}

pub fn member() -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.8, select(vec![ACCOUNT, "ann", "ann", "bob"]))
}

fn operation() -> impl Strategy<Value = Option<&'static str>> {
    let all = OPERATIONS.into_iter().chain(["other"]).collect::<Vec<_>>();
    option::of(select(all))
}

pub fn asked() -> impl Strategy<Value = Asked> {
    let of_amount = (1..=40_i64, operation(), member()).prop_map(|(amount, operation, member)| Asked {
        amount: Some(amount),
        operation,
        quantity: None,
        member,
        quote: None,
    });
    let priced =
        (select(OPERATIONS.to_vec()), option::of(1..=12_i64), member()).prop_map(|(operation, quantity, member)| {
            Asked {
                amount: None,
                operation: Some(operation),
                quantity,
                member,
                quote: None,
            }
        });
    prop_oneof![3 => of_amount, 2 => priced]
}

fn with_quote() -> impl Strategy<Value = Asked> {
    let quoted = (0..=2_usize, option::weighted(0.1, 1..=60_i64), member()).prop_map(|(quote, amount, member)| Asked {
        amount,
        operation: None,
        quantity: None,
        member,
        quote: Some(quote),
    });
    prop_oneof![2 => asked(), 1 => quoted]
}

fn grant() -> impl Strategy<Value = Step> {
    (
        select(Class::ALL.to_vec()),
        prop_oneof![1..=40_i64, 40..=300_i64],
        prop_oneof![5 => Just(0), 1 => 1..=40 * DAY, 1 => -(3 * DAY)..=-1],
        option::weighted(0.7, prop_oneof![1 => 1..=DAY, 4 => DAY..=60 * DAY, 1 => -DAY..=0]),
        -1..=1_i32,
        option::weighted(0.2, subsequence(OPERATIONS.to_vec(), 1..=2)),
        any::<bool>(),
    )
        .prop_map(
            |(class, amount, starts, lasts, priority, operations, paid)| Step::Grant {
                class,
                amount,
                starts,
                lasts,
                priority,
                operations,
                paid,
            },
        )
}

fn own_caps() -> impl Strategy<Value = Vec<Own>> {
    let own = (
        cap_kind(),
        option::weighted(0.8, 10..=120_i64),
        option::of(any::<bool>()),
        option::of(prop_oneof![8 => 1..=DAY, 8 => DAY..=40 * DAY, 1 => -HOUR..=0]),
    );
    let own = own.prop_map(|(kind, limit, allows_in_empty_window, lasts)| Own {
        kind,
        limit,
        allows_in_empty_window,
        lasts,
    });
    vec(own, 0..=2).prop_map(|mut all| {
        if all.len() == 2 && all[0].kind == all[1].kind {
            all.truncate(1);
        }
        all
    })
}

pub fn pass() -> impl Strategy<Value = Step> {
    let pass = prop_oneof![
        5 => (1..=HOUR).prop_map(Pass::Seconds),
        3 => (HOUR..=30 * HOUR).prop_map(Pass::Seconds),
        3 => (DAY..=40 * DAY).prop_map(Pass::Seconds),
        1 => (60 * DAY..=400 * DAY).prop_map(Pass::Seconds),
        3 => Just(Pass::ToNext),
        2 => Just(Pass::BeforeNext),
    ];
    pass.prop_map(Step::Pass)
}

pub fn plan() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => select(PLANS[..4].to_vec()), 1 => Just(PLANS[4])]
}

fn subscribe() -> impl Strategy<Value = Step> {
    let anchor = prop_oneof![
        4 => Just(Anchor::Now),
        2 => (-(400 * DAY)..=-1).prop_map(Anchor::Off),
        1 => (1..=40 * DAY).prop_map(Anchor::Off),
        2 => Just(Anchor::FirstOfMonth),
    ];
    let units = prop_oneof![2 => Just(0), 2 => 1..=3_u32];
    let parts = (plan(), anchor, option::weighted(0.3, interval()), units);
    parts.prop_map(|(plan, anchor, interval, units)| Step::Subscribe {
        plan,
        anchor,
        interval,
        units,
    })
}

pub fn step() -> impl Strategy<Value = Step> {
    let index = || 0..=3_usize;
    let change = (
        index(),
        option::weighted(0.6, plan()),
        option::weighted(0.2, interval()),
        option::weighted(0.5, 0..=4_u32),
        prop::bool::weighted(0.1),
    );
    let change = change.prop_map(|(subscription, plan, interval, units, revives)| Step::Change {
        subscription,
        plan,
        interval,
        units,
        revives,
    });
    let money = prop_oneof![
        6 => (with_quote(), prop::bool::weighted(0.3)).prop_map(|(asked, partial)| Step::Spend { asked, partial }),
        2 => asked().prop_map(Step::Quote),
        3 => (with_quote(), prop::bool::weighted(0.2), lasts())
            .prop_map(|(asked, partial, lasts)| Step::Hold { asked, partial, lasts }),
        4 => (index(), option::of(1..=60_i64), prop::bool::weighted(0.7))
            .prop_map(|(hold, amount, may_be_over)| Step::Capture { hold, amount, may_be_over }),
        1 => index().prop_map(Step::Void),
        3 => (index(), option::of(1..=30_i64)).prop_map(|(spend, amount)| Step::Refund { spend, amount }),
    ];
    prop_oneof![
        4 => grant(),
        1 => index().prop_map(Step::Revoke),
        3 => subscribe(),
        7 => change,
        1 => index().prop_map(Step::Undo),
        1 => index().prop_map(Step::Cancel),
        1 => index().prop_map(Step::Revive),
        20 => money,
        1 => own_caps().prop_map(Step::SetCaps),
        1 => terms().prop_map(|terms| Step::Put(Box::new(terms))),
        8 => pass(),
    ]
}

fn lasts() -> impl Strategy<Value = Lasts> {
    prop_oneof![
        4 => Just(Lasts::AsUsual),
        4 => (60..=400_000_u32).prop_map(Lasts::Seconds),
        1 => Just(Lasts::ToTheEnd),
    ]
}

/// Credits and a subscription to begin with, in most lives.
fn means() -> impl Strategy<Value = Vec<Step>> {
    let plenty = (100..=2_000_i64, select(Class::ALL.to_vec())).prop_map(|(amount, class)| Step::Grant {
        class,
        amount,
        starts: 0,
        lasts: None,
        priority: 0,
        operations: None,
        paid: false,
    });
    let means = (option::weighted(0.7, plenty), option::weighted(0.7, subscribe()));
    means.prop_map(|(plenty, subscription)| plenty.into_iter().chain(subscription).collect())
}

/// A start, a program, and what happens.
pub fn life(count: std::ops::Range<usize>) -> impl Strategy<Value = (DateTime<Utc>, Terms, Vec<Step>)> {
    (start(), terms(), means(), vec(steps(), count)).prop_map(|(start, terms, means, steps)| {
        let all = means.into_iter().chain(steps.into_iter().flatten());
        (start, terms, all.collect())
    })
}
