//! Random programs: a few plans, operations, caps, gates and policies, in one of five time zones.

use std::collections::BTreeMap;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use scrip::domain::{cycle::Interval, grant::Class, program::Window};

use crate::model::terms::{
    Addon, Bonus, Cap, CapKind, Lasting, Need, Operation, Plan, Policy, Price, Rounding, Terms, Upgrade, place,
};

/// The plans that a program may have. The last is Stripe's to renew, in every program.
pub const PLANS: [&str; 5] = ["free", "basic", "pro", "team", "striped"];
/// The operations that a program may price.
pub const OPERATIONS: [&str; 2] = ["chat", "render"];
const ZONES: [&str; 5] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Auckland",
    "Asia/Kolkata",
];

fn rarely<T: std::fmt::Debug + Clone>(
    chance: f64,
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    option::weighted(chance, strategy)
}

pub fn interval() -> impl Strategy<Value = Interval> {
    select(vec![Interval::Month, Interval::Year])
}

/// Credits by month and by year, often the same.
fn credits(most: i64) -> impl Strategy<Value = [i64; 2]> {
    prop_oneof![
        1 => Just([0, 0]),
        3 => (1..=most).prop_map(|same| [same, same]),
        3 => (1..=most, 1..=most * 12).prop_map(|(month, year)| [month, year]),
    ]
}

pub fn cap_kind() -> impl Strategy<Value = CapKind> {
    (
        select(vec![Window::Day, Window::Week, Window::Month, Window::Cycle]),
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => subsequence(OPERATIONS.to_vec(), 1..=2).prop_map(Some)],
    )
        .prop_map(|(window, by_member, operations)| CapKind {
            window,
            by_member,
            operations,
        })
}

fn caps(most: usize) -> impl Strategy<Value = Vec<Cap>> {
    let cap = (cap_kind(), 10..=80_i64, any::<bool>()).prop_map(|(kind, limit, allows_in_empty_window)| Cap {
        kind,
        limit,
        allows_in_empty_window,
    });
    vec(cap, 0..=most)
}

/// As a program may have them: of operations that it prices, one of a kind.
fn fitting(caps: Vec<Cap>, priced: &[&'static str]) -> Vec<Cap> {
    let mut kept: Vec<Cap> = Vec::new();
    for mut cap in caps {
        if let Some(operations) = &mut cap.kind.operations {
            operations.retain(|name| priced.contains(name));
        }
        cap.kind.operations = cap.kind.operations.filter(|operations| !operations.is_empty());
        if !kept.iter().any(|known| known.kind == cap.kind) {
            kept.push(cap);
        }
    }
    kept
}

/// Different credits for a month and for a year come in at intervals at which the plan can be paid.
fn come_in([month, year]: [i64; 2], billing: &[Interval]) -> [i64; 2] {
    let offered = |interval, credits| {
        if billing.contains(&interval) { credits } else { 0 }
    };
    match month == year {
        true => [month, year],
        false => [offered(Interval::Month, month), offered(Interval::Year, year)],
    }
}

fn is_nothing(credits: [i64; 2], billing: &[Interval]) -> bool {
    billing.iter().all(|interval| credits[place(*interval)] == 0)
}

fn bonus() -> impl Strategy<Value = Bonus> {
    let lasts = prop_oneof![
        Just(Lasting::Never),
        Just(Lasting::CycleEnd),
        (1..=60_u32).prop_map(Lasting::Days),
        (1..=3_u32).prop_map(Lasting::Months),
    ];
    // Not of the class of add-on units: a reissue of such a bonus cannot be told from one of units, and is as those are.
    (credits(20), select(vec![Class::Balance, Class::Plan]), lasts).prop_map(|(credits, class, lasts)| Bonus {
        credits,
        class,
        lasts,
    })
}

fn addon() -> impl Strategy<Value = Addon> {
    (1..=15_i64, rarely(0.5, 1..=900_i64), any::<bool>(), 2..=5_u32).prop_map(|(credits, price, personal, most)| {
        Addon {
            credits,
            price,
            personal,
            most,
        }
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    use Interval::{Month, Year};
    let billing = prop_oneof![
        5 => Just(vec![Month]),
        1 => Just(vec![Year]),
        2 => Just(vec![Month, Year]),
        1 => Just(vec![Year, Month]),
    ];
    let refresh = prop_oneof![4 => Just(None), 3 => Just(Some(Month)), 1 => Just(Some(Year))];
    let upgrade = select(vec![Upgrade::Difference, Upgrade::Prorated, Upgrade::Full]);
    let about = (
        prop::bool::weighted(0.6),
        0..=2_i32,
        credits(100),
        billing,
        refresh,
        upgrade,
    );
    let beside = (
        rarely(0.3, bonus()),
        rarely(0.5, (1..=60_i64, 1..=2_u32)),
        rarely(0.6, addon()),
        caps(1),
    );
    (about, beside).prop_map(
        |((paid, rank, allowance, billing, refresh, upgrade), (bonus, rollover, addon, caps))| {
            let allowance = come_in(allowance, &billing);
            let mut bonus: Option<Bonus> = bonus;
            if let Some(bonus) = &mut bonus {
                bonus.credits = come_in(bonus.credits, &billing);
            }
            Plan {
                paid,
                rank,
                allowance,
                // No refresh is longer than what is paid for.
                refresh: refresh.filter(|refresh| *refresh == Month || !billing.contains(&Month)),
                upgrade,
                bonus: bonus.filter(|bonus| !is_nothing(bonus.credits, &billing)),
                rollover: rollover.filter(|_| !is_nothing(allowance, &billing)),
                addon,
                caps,
                by_stripe: false,
                billing,
            }
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let paid_by = rarely(0.3, subsequence(Class::ALL.to_vec(), 1..=2));
    let special = rarely(0.2, (1..=4_i64, price()));
    // Now and then nothing is said of other quantities.
    let only = rarely(0.1, 5..=8_i64);
    (special, price(), only, paid_by).prop_map(|(special, usual, only_for, paid_by)| {
        let special = special.map(|(quantity, price)| Price {
            only_for: Some(quantity),
            ..price
        });
        let usual = Price { only_for, ..usual };
        Operation {
            prices: special.into_iter().chain([usual]).collect(),
            paid_by,
        }
    })
}

fn price() -> impl Strategy<Value = Price> {
    let rounding = select(vec![Rounding::Up, Rounding::Down, Rounding::Begun]);
    let rate = (1..=9_i64, prop_oneof![1..=1_i64, 2..=5_i64], rounding);
    let limits = (rarely(0.2, 1..=20_i64), rarely(0.2, 20..=40_i64));
    (0..=12_i64, rarely(0.7, rate), limits).prop_map(|(fixed, rate, (least, most))| Price {
        only_for: None,
        // Nothing is for nothing.
        fixed: if rate.is_none() { fixed.max(1) } else { fixed },
        rate,
        least,
        most,
    })
}

pub fn terms() -> impl Strategy<Value = Terms> {
    let need = prop_oneof![
        8 => Just(Need::Nothing),
        1 => Just(Need::Subscription),
        1 => Just(Need::PaidSubscription),
    ];
    let policy = prop_oneof![
        3 => Just(Policy::Reissue),
        1 => Just(Policy::Restore),
        1 => Just(Policy::Reject),
    ];
    let catalog = (
        // Most programs have all of them; a plan that a later one lacks was given up.
        subsequence(PLANS.to_vec(), 2..=PLANS.len()),
        vec(plan(), PLANS.len()),
        subsequence(OPERATIONS.to_vec(), 1..=OPERATIONS.len()),
        vec(operation(), OPERATIONS.len()),
    );
    let rules = (
        select(ZONES.to_vec()),
        Just(Class::ALL).prop_shuffle(),
        caps(3),
        prop::array::uniform3(need),
        (
            60..=200_000_u32,
            prop_oneof![2 => 0..=400_000_u32, 1 => 400_000..=5_000_000_u32],
        ),
        prop_oneof![1 => 1..=4_000_u32, 1 => 4_000..=86_400_u32],
        prop::array::uniform3(policy),
    );
    (catalog, rules).prop_map(
        |((names, plans, priced, operations), (zone, order, caps, needs, holds, quotes, expired))| {
            let mut plans: BTreeMap<&'static str, Plan> = names.into_iter().zip(plans).collect();
            if let Some(striped) = plans.get_mut("striped") {
                striped.by_stripe = true;
            }
            for plan in plans.values_mut() {
                plan.caps = fitting(std::mem::take(&mut plan.caps), &priced);
            }
            let caps = fitting(caps, &priced);
            Terms {
                zone,
                order,
                plans,
                operations: priced.into_iter().zip(operations).collect(),
                caps,
                needs,
                holds: (holds.0, holds.0 + holds.1),
                quotes,
                expired,
            }
        },
    )
}
