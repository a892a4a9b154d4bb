//! Caps at work: which hold for an account, what was counted in their windows, and whether a spend fits.
//!
//! What was spent counts in the window in which it was spent, what is held in the one in which the hold was placed, and
//! what comes back goes back to the very window it came from. A cap counts from the first spend that it was in force for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    calendar::calendar_window,
    credits::Amount,
    cycle::Cycle,
    program::{Cap, CapScope, OverWholeCap, Program, Window, in_order},
    rejection::Rejection,
    subscription::{Subscription, primary},
};

/// Support's word on a cap of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CapOverride {
    pub window: Window,
    /// None: nothing is capped.
    pub limit: Option<Amount>,
    /// Whose spends it counts together. Default: account.
    #[serde(default)]
    pub per: CapScope,
    /// The operations it counts. Default: all spends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
    /// Default: that of the cap in whose place it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_whole_cap: Option<OverWholeCap>,
    /// The instant from which the plan's or the program's cap holds again. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// What a counter counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    pub window: Window,
    /// None: the whole account.
    pub member: Option<String>,
    pub operations: Option<Vec<String>>,
}

/// What was spent and is held, of what was begun in [starts_at, ends_at).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    pub key: CounterKey,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub used: i64,
    /// The instant of the first spend that it counted: what was begun before it never took anything from it. From then on it
    /// counts all that it is for, whether its cap is in force or lifted.
    pub since: DateTime<Utc>,
}

impl Counter {
    fn is_of(&self, key: &CounterKey, window: Cycle) -> bool {
        self.key == *key && self.window() == window
    }

    fn window(&self) -> Cycle {
        Cycle {
            starts_at: self.starts_at,
            ends_at: self.ends_at,
        }
    }

    /// Whether it counts what is begun at an instant.
    fn counts(&self, operation: Option<&str>, member: Option<&str>, begun: DateTime<Utc>) -> bool {
        let of_operation = match &self.key.operations {
            None => true,
            Some(operations) => operation.is_some_and(|wanted| operations.iter().any(|o| o == wanted)),
        };
        let of_member = self.key.member.as_deref().is_none_or(|of| member == Some(of));
        of_operation && of_member && (self.since..self.ends_at).contains(&begun)
    }
}

/// A change of a counter, which begins at 0 with its window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub key: CounterKey,
    pub window: Cycle,
    pub amount: i64,
}

/// Where a cap stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CapStanding {
    pub window: Window,
    pub limit: i64,
    /// Spent and held in the running window.
    pub used: i64,
    pub resets_at: DateTime<Utc>,
    /// Whose spends it counts together.
    pub per: CapScope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
}

impl CapStanding {
    pub fn headroom(&self) -> i64 {
        (self.limit - self.used).max(0)
    }
}

/// All that decides on an account's caps at an instant.
#[derive(Clone, Copy)]
pub struct Caps<'a> {
    pub program: &'a Program,
    pub subscriptions: &'a [Subscription],
    pub overrides: &'a [CapOverride],
    pub counters: &'a [Counter],
    pub now: DateTime<Utc>,
}

impl Caps<'_> {
    /// The caps in force: support's for the account, else the most generous of its plans', where a plan without a cap of
    /// its own has the program's.
    fn in_force(&self) -> Vec<Cap> {
        let live: Vec<&Subscription> = self.subscriptions.iter().filter(|s| s.live(self.now)).collect();
        let overrides = || {
            self.overrides
                .iter()
                .filter(|o| o.until.is_none_or(|end| self.now < end))
        };
        let mut kinds: Vec<&Cap> = Vec::new();
        for cap in self.program.caps.iter().chain(live.iter().flat_map(|s| &s.terms.caps)) {
            if !kinds.iter().any(|known| known.replaces(cap)) {
                kinds.push(cap);
            }
        }
        let overridden = |cap: &Cap| overrides().any(|o| o.replaces(cap));
        let replaced = |own: &CapOverride| {
            let kind = kinds.iter().find(|kind| own.replaces(kind))?;
            self.of_plans(&live, kind)
        };
        let own: Vec<Cap> = overrides().filter_map(|own| own.cap(replaced(own).as_ref())).collect();
        let mut in_force: Vec<Cap> = kinds
            .into_iter()
            .filter(|kind| !overridden(kind))
            .filter_map(|kind| self.of_plans(&live, kind))
            .collect();
        in_force.extend(own);
        in_force.sort_by_key(|cap| (cap.window, cap.per));
        in_force
    }

    /// The most generous cap of a kind; none: one of the plans has none.
    fn of_plans(&self, live: &[&Subscription], kind: &Cap) -> Option<Cap> {
        let of_program = self.program.caps.iter().find(|cap| cap.replaces(kind));
        if live.is_empty() {
            return of_program.cloned();
        }
        let mut most: Option<&Cap> = None;
        for subscription in live {
            let own = subscription.terms.caps.iter().find(|cap| cap.replaces(kind));
            let cap = own.or(of_program)?;
            if most.is_none_or(|most| cap.limit > most.limit) {
                most = Some(cap);
            }
        }
        most.cloned()
    }

    /// The running window of a cap: a billing cycle is the account's; without one it is the calendar month.
    fn window(&self, window: Window) -> Option<Cycle> {
        let zone = self.program.timezone;
        match window {
            Window::Cycle => primary(self.subscriptions, self.now)
                .and_then(Subscription::billing_cycle)
                // What Stripe renews may not be renewed yet.
                .filter(|cycle| cycle.ends_at > self.now)
                .or_else(|| calendar_window(Window::Month, zone, self.now)),
            calendar => calendar_window(calendar, zone, self.now),
        }
    }

    fn used(&self, key: &CounterKey, window: Cycle) -> i64 {
        let counter = self.counters.iter().find(|c| c.is_of(key, window));
        counter.map_or(0, |counter| counter.used)
    }

    fn standing(&self, cap: &Cap, member: Option<&str>) -> Option<(CounterKey, Cycle, CapStanding)> {
        let window = self.window(cap.window)?;
        let key = CounterKey {
            window: cap.window,
            member: match cap.per {
                CapScope::Account => None,
                CapScope::Member => Some(member?.to_owned()),
            },
            operations: in_order(cap.operations.as_deref()),
        };
        let standing = CapStanding {
            window: cap.window,
            limit: cap.limit.get(),
            used: self.used(&key, window),
            resets_at: window.ends_at,
            per: cap.per,
            member: key.member.clone(),
            operations: key.operations.clone(),
        };
        Some((key, window, standing))
    }

    /// Where the account's caps stand; those of members only for a member that is named.
    pub fn standings(&self, member: Option<&str>) -> Vec<CapStanding> {
        let in_force = self.in_force();
        in_force
            .iter()
            .filter_map(|cap| Some(self.standing(cap, member)?.2))
            .collect()
    }

    /// The caps that count a spend on `operation` by `member`, as they stand.
    pub fn of<'a>(&'a self, operation: Option<&'a str>, member: Option<&'a str>) -> CapsOf<'a> {
        let in_force = self.in_force().into_iter().filter(|cap| cap.counts(operation));
        let standing = |cap: Cap| {
            let (key, window, standing) = self.standing(&cap, member)?;
            Some(AppliedCap {
                over_whole_cap: cap.over_whole_cap,
                key,
                window,
                standing,
            })
        };
        CapsOf {
            applied: in_force.filter_map(standing).collect(),
            counters: self.counters,
            operation,
            member,
            now: self.now,
        }
    }
}

/// The caps that count a spend.
pub struct CapsOf<'a> {
    applied: Vec<AppliedCap>,
    counters: &'a [Counter],
    operation: Option<&'a str>,
    member: Option<&'a str>,
    now: DateTime<Utc>,
}

struct AppliedCap {
    over_whole_cap: OverWholeCap,
    key: CounterKey,
    window: Cycle,
    standing: CapStanding,
}

impl CapsOf<'_> {
    pub fn standings(self) -> Vec<CapStanding> {
        self.applied.into_iter().map(|cap| cap.standing).collect()
    }

    /// How much of `needed` fits all caps; or, unless `partial`, a refusal where it does not fit one whole. What no cap bars
    /// is counted by what [`CapsOf::counts`] says. `least` is what one costs where several are wanted: only one that is
    /// dearer than the whole cap may go through in an empty window, not many that are cheap.
    pub fn fit(&self, needed: i64, least: i64, partial: bool) -> Result<i64, Rejection> {
        let mut fits = needed;
        for AppliedCap {
            over_whole_cap,
            standing,
            ..
        } in &self.applied
        {
            let is_over_whole = needed > standing.limit;
            let yields = *over_whole_cap == OverWholeCap::AllowInEmptyWindow && least > standing.limit;
            if yields && standing.used == 0 && needed == least {
                continue;
            }
            let available = standing.headroom();
            if is_over_whole && !(yields && needed == least) && !partial {
                return Err(Rejection::ExceedsCapEver {
                    needed,
                    limit: standing.limit,
                    window: standing.window,
                });
            }
            if available == 0 || (available < needed && !partial) {
                return Err(Rejection::CapExceeded {
                    needed,
                    available,
                    limit: standing.limit,
                    used: standing.used,
                    window: standing.window,
                    member: standing.member.clone(),
                    resets_at: standing.resets_at,
                });
            }
            fits = fits.min(available);
        }
        Ok(fits)
    }

    /// What a spend of `amount` adds to the counters: to those of the caps in force, and to those that have begun to count in
    /// their window, so that what comes back takes nothing from one that it did not give.
    pub fn counts(self, amount: i64) -> Vec<Count> {
        let counting = self.applied.into_iter();
        let mut counts: Vec<Count> = counting
            .map(|AppliedCap { key, window, .. }| Count { key, window, amount })
            .collect();
        let begun = self.counters.iter();
        let begun = begun.filter(|c| c.counts(self.operation, self.member, self.now));
        for counter in begun {
            if !counts.iter().any(|count| counter.is_of(&count.key, count.window)) {
                counts.push(Count {
                    key: counter.key.clone(),
                    window: counter.window(),
                    amount,
                });
            }
        }
        counts
    }
}

/// What `amount` that comes back, of something begun at `begun`, takes from the counters that count it still.
pub fn given_back(
    counters: &[Counter],
    amount: i64,
    operation: Option<&str>,
    member: Option<&str>,
    begun: DateTime<Utc>,
) -> Vec<Count> {
    counters
        .iter()
        .filter(|counter| counter.counts(operation, member, begun))
        .map(|counter| Count {
            key: counter.key.clone(),
            window: counter.window(),
            amount: -amount,
        })
        .collect()
}

/// Carries changes out on the counters; those whose window has passed are dropped.
pub fn count(counters: &mut Vec<Counter>, changes: &[Count], now: DateTime<Utc>) {
    for change in changes {
        let is_its = |c: &&mut Counter| c.is_of(&change.key, change.window);
        match counters.iter_mut().find(is_its) {
            Some(counter) => counter.used = (counter.used + change.amount).max(0),
            None if change.amount > 0 => counters.push(Counter {
                key: change.key.clone(),
                starts_at: change.window.starts_at,
                ends_at: change.window.ends_at,
                used: change.amount,
                since: now,
            }),
            None => {}
        }
    }
    if !changes.is_empty() {
        counters.retain(|counter| counter.ends_at > now);
    }
}

impl CapOverride {
    fn replaces(&self, cap: &Cap) -> bool {
        let operations = in_order(self.operations.as_deref());
        (self.window, self.per, operations) == (cap.window, cap.per, in_order(cap.operations.as_deref()))
    }

    /// The cap that it is in the place of `replaced`.
    fn cap(&self, replaced: Option<&Cap>) -> Option<Cap> {
        Some(Cap {
            window: self.window,
            limit: self.limit?,
            per: self.per,
            operations: self.operations.clone(),
            over_whole_cap: self
                .over_whole_cap
                .or(replaced.map(|cap| cap.over_whole_cap))
                .unwrap_or_default(),
        })
    }
}
