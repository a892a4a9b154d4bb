//! What a subscription would get, and when: the dated events of its first months, before the program goes live.
//!
//! Every date comes from `calendar::cycle_start`, as it does when credits are granted: the end of one refresh is the very
//! start of the next.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Bonus, Plan, Program};
use crate::domain::{
    calendar::{Zone, cycle_start, wall_clock},
    cycle::Interval,
};

#[cfg(test)]
mod tests;

/// How many months a preview shows when nobody says otherwise.
pub const PREVIEW_MONTHS: u32 = 12;

/// The events of a subscription, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Preview {
    pub plan: String,
    /// How often it is paid.
    pub interval: Interval,
    /// The zone by whose wall clock cycles are counted.
    pub timezone: Zone,
    /// When the subscription starts.
    pub anchor: DateTime<Utc>,
    /// What begins from then on is not shown; what ends then still is.
    pub until: DateTime<Utc>,
    pub events: Vec<Event>,
}

/// Something that happens to the subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Event {
    pub at: DateTime<Utc>,
    /// The same instant by the wall clock of the program's time zone.
    pub local: String,
    pub kind: EventKind,
    /// Of an expiry: what the credits were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<EventKind>,
    /// The billing cycle of a payment or bonus, the refresh of everything else; the first is number 0. Of an expiry: where
    /// the credits came in.
    pub number: u32,
    /// Of add-on units: for each unit. Of a rollover or an expiry: the most it can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<i64>,
    /// When the credits end. None: never, or there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_local: Option<String>,
}

/// What happens. At one instant in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// What remains of credits is gone.
    Expiry,
    /// A billing cycle starts, and is paid.
    Payment,
    /// What remained of the allowance before goes into the next cycles.
    Rollover,
    /// The allowance is granted.
    Allowance,
    /// The credits of the add-on units are granted.
    AddonUnits,
    /// The bonus of a payment is granted.
    Bonus,
}

impl EventKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Payment => "payment",
            Self::Rollover => "rollover",
            Self::Allowance => "allowance",
            Self::AddonUnits => "addon_units",
            Self::Bonus => "bonus",
        }
    }
}

/// Why there is nothing to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(untagged)]
pub enum PreviewError {
    #[error("plan: the program has no plan {plan}.")]
    UnknownPlan { plan: String, plans: Vec<String> },
    #[error("interval: the plan {plan} can't be paid by the {}: {}.", word(*interval), offer(intervals))]
    UnknownInterval {
        plan: String,
        interval: Interval,
        intervals: Vec<Interval>,
    },
    #[error("anchor: {months} months from {anchor} on reach beyond the year 9999.")]
    AnchorTooLate { anchor: DateTime<Utc>, months: u32 },
}

fn word(interval: Interval) -> &'static str {
    match interval {
        Interval::Month => "month",
        Interval::Year => "year",
    }
}

fn offer(intervals: &[Interval]) -> String {
    let words: Vec<&str> = intervals.iter().map(|interval| word(*interval)).collect();
    format!("give {}", words.join(" or "))
}

impl PreviewError {
    /// The `code` of the refusal, part of the API's contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownPlan { .. } => "unknown_plan",
            Self::UnknownInterval { .. } => "unknown_interval",
            Self::AnchorTooLate { .. } => "invalid_anchor",
        }
    }
}

/// The first `months` months of a subscription of the plan that starts at `anchor`, paid at intervals of `billing`; none:
/// the plan's default.
pub fn preview(
    program: &Program,
    plan_name: &str,
    billing: Option<Interval>,
    anchor: DateTime<Utc>,
    months: u32,
) -> Result<Preview, PreviewError> {
    let plan = program.plans.get(plan_name).ok_or_else(|| PreviewError::UnknownPlan {
        plan: plan_name.to_owned(),
        plans: program.plans.keys().cloned().collect(),
    })?;
    let billing = billing.unwrap_or(plan.billing.default_interval());
    if !plan.billing.offers(billing) {
        return Err(PreviewError::UnknownInterval {
            plan: plan_name.to_owned(),
            interval: billing,
            intervals: plan.billing.intervals().to_vec(),
        });
    }
    let too_late = PreviewError::AnchorTooLate { anchor, months };
    let zone = program.timezone;
    let until = cycle_start(anchor, zone, Interval::Month, months).ok_or(too_late.clone())?;
    let mut timeline = Timeline {
        zone,
        anchor,
        until,
        events: Vec::new(),
    };
    timeline.refreshes(plan, billing).ok_or(too_late.clone())?;
    timeline.payments(plan, billing).ok_or(too_late)?;
    let mut events = timeline.events;
    events.sort_by_key(|event| (event.at, event.kind, event.of, event.number));
    Ok(Preview {
        plan: plan_name.to_owned(),
        interval: billing,
        timezone: zone,
        anchor,
        until,
        events,
    })
}

struct Timeline {
    zone: Zone,
    anchor: DateTime<Utc>,
    until: DateTime<Utc>,
    events: Vec<Event>,
}

impl Timeline {
    fn start(&self, interval: Interval, n: u32) -> Option<DateTime<Utc>> {
        cycle_start(self.anchor, self.zone, interval, n)
    }

    /// None: beyond the calendar.
    fn refreshes(&mut self, plan: &Plan, billing: Interval) -> Option<()> {
        let interval = plan.refresh_interval(billing);
        let allowance = plan.allowance_at(billing);
        for number in 0.. {
            let at = self.start(interval, number)?;
            if at >= self.until {
                break;
            }
            let end = self.start(interval, number + 1)?;
            if allowance > 0 {
                self.grant(EventKind::Allowance, number, at, allowance, Some(end));
            }
            if let Some(addon) = &plan.addon {
                self.grant(EventKind::AddonUnits, number, at, addon.credits.get(), Some(end));
            }
            // There is nothing yet to roll over when the first cycle starts.
            if let Some(rollover) = plan.rollover.filter(|_| number > 0) {
                let end = self.start(interval, number.checked_add(rollover.cycles)?)?;
                let most = rollover.max.get().min(allowance);
                self.grant(EventKind::Rollover, number, at, most, Some(end));
            }
        }
        Some(())
    }

    /// None: beyond the calendar.
    fn payments(&mut self, plan: &Plan, billing: Interval) -> Option<()> {
        for number in 0.. {
            let at = self.start(billing, number)?;
            if at >= self.until {
                break;
            }
            if plan.paid {
                self.push(EventKind::Payment, None, number, at, None, None);
            }
            if let Some(Bonus { credits, expiry, .. }) = plan.bonus
                && credits.of(billing) > 0
            {
                let end = expiry.end(at, self.zone, Some(self.start(billing, number + 1)?));
                self.grant(EventKind::Bonus, number, at, credits.of(billing), end);
            }
        }
        Some(())
    }

    /// Credits that come in, and their end if that is shown too.
    fn grant(&mut self, kind: EventKind, number: u32, at: DateTime<Utc>, credits: i64, end: Option<DateTime<Utc>>) {
        self.push(kind, None, number, at, Some(credits), end);
        if let Some(end) = end.filter(|end| *end <= self.until) {
            self.push(EventKind::Expiry, Some(kind), number, end, Some(credits), None);
        }
    }

    fn push(
        &mut self,
        kind: EventKind,
        of: Option<EventKind>,
        number: u32,
        at: DateTime<Utc>,
        credits: Option<i64>,
        expires_at: Option<DateTime<Utc>>,
    ) {
        self.events.push(Event {
            at,
            local: wall_clock(self.zone, at),
            kind,
            of,
            number,
            credits,
            expires_at,
            expires_local: expires_at.map(|end| wall_clock(self.zone, end)),
        });
    }
}
