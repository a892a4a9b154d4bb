//! What a step wants, in the words of the rules and of the model.

use chrono::Duration;
use scrip::domain::{
    cap::CapOverride,
    decide::{Charge, SetCaps},
    program::{CapScope, OverWholeCap, Wanted},
};

use crate::{
    lives::{Asked, Lasts, Own, Step},
    model::{account::Agreed, changes::Change, charge::Ask},
    side_by_side::{SideBySide, amount, nth},
};

impl SideBySide {
    pub fn ask(&self, asked: &Asked) -> Option<(Ask, Charge)> {
        let quote = match asked.quote {
            Some(back) => Some(nth(back, &self.model.quotes)?),
            None => None,
        };
        let ask = Ask {
            amount: asked.amount,
            operation: asked.operation,
            quantity: asked.quantity,
            member: asked.member,
            quote,
        };
        let charge = Charge {
            amount: asked.amount.map(amount),
            operation: asked.operation.map(str::to_owned),
            wanted: asked.quantity.map(|quantity| Wanted {
                quantity,
                ..Wanted::one()
            }),
            quote_id: quote.map(|number| self.ledger.quote_id(number)),
            member: asked.member.map(str::to_owned),
        };
        Some((ask, charge))
    }

    /// None: as the program says.
    pub fn seconds(&self, lasts: Lasts) -> Option<u32> {
        match lasts {
            Lasts::AsUsual => None,
            Lasts::Seconds(seconds) => Some(seconds),
            Lasts::ToTheEnd => {
                let live = (0..self.model.grants.len()).filter(|n| self.model.is_live(*n) && self.model.free(*n) > 0);
                let end = live.filter_map(|n| self.model.grants[n].ends).min()?;
                let seconds = u32::try_from((end - self.model.now).num_seconds());
                seconds.ok().filter(|seconds| *seconds > 0)
            }
        }
    }

    pub fn own_caps(&self, caps: &[Own]) -> SetCaps {
        let cap = |own: &Own| CapOverride {
            window: own.kind.window,
            limit: own.limit.map(amount),
            per: if own.kind.by_member {
                CapScope::Member
            } else {
                CapScope::Account
            },
            operations: own
                .kind
                .operations
                .as_ref()
                .map(|list| list.iter().map(|o| (*o).to_owned()).collect()),
            over_whole_cap: own.allows_in_empty_window.map(|allows| match allows {
                true => OverWholeCap::AllowInEmptyWindow,
                false => OverWholeCap::Reject,
            }),
            until: own.lasts.map(|lasts| self.ledger.now + Duration::seconds(lasts)),
        };
        SetCaps {
            caps: caps.iter().map(cap).collect(),
            reason: "they asked".to_owned(),
            ticket: None,
        }
    }
}

pub fn change(step: &Step, now: &Agreed) -> Change {
    match step {
        Step::Undo(_) => Change {
            plan: Some(now.plan),
            interval: Some(now.billing),
            units: Some(now.units),
            cancel: None,
        },
        Step::Change {
            plan,
            interval,
            units,
            revives,
            ..
        } => Change {
            plan: *plan,
            interval: *interval,
            units: *units,
            cancel: revives.then_some(false),
        },
        Step::Cancel(_) => Change {
            cancel: Some(true),
            ..Change::default()
        },
        _ => Change {
            cancel: Some(false),
            ..Change::default()
        },
    }
}
