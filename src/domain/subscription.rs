//! Subscriptions: which plan an account has, since when, and where its cycles stand.
//!
//! Every boundary is counted in months from the anchor, so that a change of plan or of interval never moves the day: the
//! cycle that is granted and paid for runs to `refreshed_to` and `billed_to`, and whatever comes next starts there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    calendar::{Zone, cycle_at, months_after},
    cycle::{Cycle, Interval},
    ids::SubscriptionId,
    program::{AddonScope, Plan, Renewal},
};

/// A subscription as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub id: SubscriptionId,
    /// The plan's name in the program.
    pub plan: String,
    /// The plan's terms when it was last granted.
    pub terms: Plan,
    /// The version of the program they are from.
    pub program_version: Option<i32>,
    pub billing: Interval,
    /// Units of the plan's add-on.
    pub units: u32,
    pub anchor: DateTime<Utc>,
    /// The program's time zone when it began: its cycles keep to it.
    pub zone: Zone,
    /// The running refresh cycle, in months from the anchor: what is granted lasts to its end.
    pub refreshed: Span,
    /// The running billing cycle.
    pub billed: Span,
    /// When it becomes live: the anchor if that lies ahead, else when it was made.
    pub started_at: DateTime<Utc>,
    /// What changes with the next billing cycle.
    pub pending: Option<Terms>,
    /// Cancelled: when it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// It has ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What it was, from when on; the last is what it is.
    pub phases: Vec<Phase>,
    pub created_at: DateTime<Utc>,
}

/// From one month after the anchor to another. Empty before the first cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: u32,
    pub to: u32,
}

/// What a subscription is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Terms {
    pub plan: String,
    pub interval: Interval,
    pub units: u32,
}

/// What a subscription was for from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub from: DateTime<Utc>,
    pub paid: bool,
    /// What a refresh cycle of it grants: its allowance.
    pub allowance: i64,
    /// And its units' credits.
    pub addon: i64,
    #[serde(flatten)]
    pub terms: Terms,
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It begins at its anchor.
    Scheduled,
    Active,
    /// It runs to its end.
    Cancelled,
    Ended,
}

/// A subscription as the API shows it and as transactions keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Snapshot {
    pub id: SubscriptionId,
    pub plan: String,
    pub status: Status,
    /// How often it is paid.
    pub interval: Interval,
    /// Units of the plan's add-on.
    pub units: u32,
    pub anchor: DateTime<Utc>,
    /// The time zone by whose wall clock its cycles run.
    pub timezone: Zone,
    /// What is paid for. None before it begins.
    pub billing_cycle: Option<Cycle>,
    /// What is granted. None before it begins.
    pub refresh_cycle: Option<Cycle>,
    /// What changes with the next billing cycle.
    pub pending: Option<Terms>,
    /// When it ends, if it is cancelled.
    pub ends_at: Option<DateTime<Utc>>,
    pub started_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    /// The version of the program its terms are from.
    pub program_version: Option<i32>,
}

impl Subscription {
    pub fn snapshot(&self, at: DateTime<Utc>) -> Snapshot {
        Snapshot {
            id: self.id,
            plan: self.plan.clone(),
            status: self.status(at),
            interval: self.billing,
            units: self.units,
            anchor: self.anchor,
            timezone: self.zone,
            billing_cycle: self.billing_cycle(),
            refresh_cycle: self.refresh_cycle(),
            pending: self.pending.clone(),
            ends_at: self.ends_at,
            started_at: self.started_at,
            created_at: self.created_at,
            program_version: self.program_version,
        }
    }

    /// Within its life.
    pub fn live(&self, at: DateTime<Utc>) -> bool {
        self.started_at <= at && self.ended_at.is_none_or(|end| at < end) && self.ends_at.is_none_or(|end| at < end)
    }

    pub fn status(&self, at: DateTime<Utc>) -> Status {
        if self.ended_at.is_some() || self.ends_at.is_some_and(|end| end <= at) {
            Status::Ended
        } else if self.ends_at.is_some() {
            Status::Cancelled
        } else if at < self.started_at {
            Status::Scheduled
        } else {
            Status::Active
        }
    }

    /// What it was for at an instant; none: it was not live then.
    pub fn phase_at(&self, at: DateTime<Utc>) -> Option<&Phase> {
        if !self.live(at) {
            return None;
        }
        self.phases.iter().rev().find(|phase| phase.from <= at)
    }

    pub fn terms_now(&self) -> Terms {
        Terms {
            plan: self.plan.clone(),
            interval: self.billing,
            units: self.units,
        }
    }

    /// The instant so many months after the anchor.
    pub fn month(&self, months: u32) -> Option<DateTime<Utc>> {
        months_after(self.anchor, self.zone, months)
    }

    fn cycle(&self, span: Span) -> Option<Cycle> {
        if span.from == span.to {
            return None;
        }
        Some(Cycle {
            starts_at: self.month(span.from)?,
            ends_at: self.month(span.to)?,
        })
    }

    /// The running refresh cycle; none before the first.
    pub fn refresh_cycle(&self) -> Option<Cycle> {
        self.cycle(self.refreshed)
    }

    /// The running billing cycle; none before the first.
    pub fn billing_cycle(&self) -> Option<Cycle> {
        self.cycle(self.billed)
    }

    /// When the next cycle starts, or the subscription ends. None: it has ended, or never does (past the year 9999).
    pub fn next_boundary(&self) -> Option<DateTime<Utc>> {
        if self.ended_at.is_some() {
            return None;
        }
        self.month(self.refreshed.to)
    }

    /// When time alone changes it next. What Stripe renews, waits for Stripe.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        match self.terms.renewal {
            Renewal::Clock => self.next_boundary(),
            Renewal::Stripe if self.ended_at.is_some() => None,
            Renewal::Stripe => self.ends_at,
        }
    }

    /// Whether the next boundary begins a billing cycle: it is paid for again.
    pub fn bills_next(&self) -> bool {
        self.refreshed.to == self.billed.to
    }

    /// The interval by which its plan grants: the one that is paid for, or the plan's own if it is not offered at that.
    pub fn granting(&self) -> Interval {
        match self.terms.billing.offers(self.billing) {
            true => self.billing,
            false => self.terms.billing.default_interval(),
        }
    }

    /// The months of the next refresh cycle. It never reaches beyond what is paid for.
    pub fn next_refresh_months(&self) -> u32 {
        let months = self.terms.refresh_interval(self.granting()).months();
        match self.billed.to.saturating_sub(self.refreshed.to) {
            0 => months,
            left => months.min(left),
        }
    }

    /// Credits that `plan` grants for a cycle of so many months; in proportion, rounded down, where that is not its own.
    pub fn allowance_of(plan: &Plan, billing: Interval, months: u32) -> i64 {
        in_proportion(
            plan.allowance_at(billing),
            months,
            plan.refresh_interval(billing).months(),
        )
    }

    /// Credits that one unit of `plan`'s add-on grants for a cycle of so many months.
    pub fn unit_credits_of(plan: &Plan, billing: Interval, months: u32) -> i64 {
        let credits = plan.addon.as_ref().map_or(0, |addon| addon.credits.get());
        in_proportion(credits, months, plan.refresh_interval(billing).months())
    }

    /// The allowance and the units' credits of the running refresh cycle.
    pub fn credits(&self) -> (i64, i64) {
        let months = self.refreshed.to - self.refreshed.from;
        let billing = self.granting();
        let unit = Self::unit_credits_of(&self.terms, billing, months);
        let allowance = Self::allowance_of(&self.terms, billing, months);
        (allowance, unit.saturating_mul(self.units.into()))
    }

    /// The most that the running refresh cycle has granted so far: allowance and units' credits. Changing to and fro grants
    /// nothing twice.
    pub fn most_granted(&self) -> (i64, i64) {
        let since = self.refresh_cycle().map(|cycle| cycle.starts_at);
        let mut most = (0, 0);
        for phase in self.phases.iter().rev() {
            most = (most.0.max(phase.allowance), most.1.max(phase.addon));
            if since.is_some_and(|since| phase.from <= since) {
                break;
            }
        }
        most
    }

    /// Whether its add-on's credits are one user's alone.
    pub fn addon_is_personal(&self) -> bool {
        let scope = self.terms.addon.as_ref().map(|addon| addon.scope);
        scope == Some(AddonScope::PerUser)
    }

    /// Where the cycles stand for one that is made now with an anchor in the past: in the middle of their running ones.
    pub fn spans_at(
        anchor: DateTime<Utc>,
        zone: Zone,
        billing: Interval,
        refresh: Interval,
        now: DateTime<Utc>,
    ) -> Option<(Span, Span)> {
        // As with every later cycle, what is granted never reaches beyond what is paid for.
        let refresh = if refresh.months() > billing.months() {
            billing
        } else {
            refresh
        };
        let span = |interval: Interval| {
            let (n, _) = cycle_at(anchor, zone, interval, now)?;
            let from = n.checked_mul(interval.months())?;
            Some(Span {
                from,
                to: from.checked_add(interval.months())?,
            })
        };
        Some((span(refresh)?, span(billing)?))
    }
}

fn in_proportion(credits: i64, months: u32, of_months: u32) -> i64 {
    let share = i128::from(credits) * i128::from(months) / i128::from(of_months.max(1));
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// The subscription that an account's cycle is of: a paid one before an unpaid one, then the one that began first.
pub fn primary(subscriptions: &[Subscription], at: DateTime<Utc>) -> Option<&Subscription> {
    let live = subscriptions
        .iter()
        .filter(|s| s.live(at) && s.refreshed.from < s.refreshed.to);
    live.min_by_key(|s| (!s.terms.paid, s.started_at, s.id))
}

/// What the gates ask of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// It has a live subscription.
    pub subscribed: bool,
    /// One of them is paid.
    pub paid: bool,
}

impl Standing {
    pub fn at(subscriptions: &[Subscription], at: DateTime<Utc>) -> Self {
        let phases = || subscriptions.iter().filter_map(|s| s.phase_at(at));
        Self {
            subscribed: phases().next().is_some(),
            paid: phases().any(|phase| phase.paid),
        }
    }
}
