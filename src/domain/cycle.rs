//! Cycles, and what an account used in the current one. Their calendar is in `calendar`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::grant::{Class, Grant, Origin};

/// How long a plan's cycle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Month,
    Year,
}

impl Interval {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    pub fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// A cycle: [starts_at, ends_at).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cycle {
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// What an account used since its current cycle began. Without a cycle: since the last one ended, or ever.
///
/// A running figure, so that a balance costs what the account's live grants cost, never its history. It is brought up to
/// date ([`Usage::at`]) before every posting and every reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Spends less refunds of spends made since then.
    pub used: i64,
    pub cycle: Option<Cycle>,
    /// When it began to count in the cycle: its start, or later if the cycle became the account's while it ran already.
    pub since: Option<DateTime<Utc>>,
}

impl Usage {
    /// The instant since which it counts; none: ever.
    pub fn counts_since(&self) -> Option<DateTime<Utc>> {
        self.since
    }

    /// The usage as of `now`, when `running` is the account's cycle: one that began or ended since starts from nothing.
    pub fn at(&self, running: Option<Cycle>, now: DateTime<Utc>) -> Self {
        let brought_up = self.brought_up(running, now);
        Self {
            cycle: brought_up.cycle.filter(|cycle| cycle.ends_at > now),
            ..brought_up
        }
    }

    /// As [`Usage::at`], but a cycle that has ended leaves its end behind, as a cycle without length: what is spent
    /// afterwards counts from there, and a refund of what was spent before changes nothing.
    pub(super) fn brought_up(&self, latest: Option<Cycle>, now: DateTime<Utc>) -> Self {
        let Some(current) = self.cycle else {
            return latest.map_or(*self, |new| Self {
                used: 0,
                cycle: Some(new),
                since: Some(now.max(new.starts_at)),
            });
        };
        let left_behind = Cycle {
            starts_at: current.ends_at,
            ends_at: current.ends_at,
        };
        let left = current.ends_at.min(now);
        let (used, cycle, since) = match latest {
            // What was spent since it began, before it was the account's, is not counted in it.
            Some(new) if new.starts_at > current.starts_at => (0, new, Some(new.starts_at.max(now))),
            // A longer one of the same start, or the renewal of one that ended, noticed late.
            Some(new) if new.starts_at == current.starts_at && new.ends_at > current.ends_at => {
                (self.used, new, self.since)
            }
            _ if current.ends_at > now || current == left_behind && latest.is_none() => return *self,
            // An older one runs on, or none does.
            older => (0, older.unwrap_or(left_behind), Some(left)),
        };
        Self {
            used,
            cycle: Some(cycle),
            since,
        }
    }
}

/// The life of the plan allocation that began last: the cycle of an account that is granted plans without a subscription.
/// One that lies in the future was never drawn from, so it is among the open grants when its time comes.
pub fn allocation_cycle(open: &[Grant], now: DateTime<Utc>) -> Option<Cycle> {
    open.iter()
        .filter(|g| g.class == Class::Plan && g.origin == Origin::Allocation && g.live(now))
        // What a subscription grants is in that one's cycle, which it says itself.
        .filter(|g| g.subscription_id.is_none())
        .filter_map(|g| {
            Some(Cycle {
                starts_at: g.effective_at,
                ends_at: g.expires_at?,
            })
        })
        .max_by_key(|cycle| (cycle.starts_at, cycle.ends_at))
}
