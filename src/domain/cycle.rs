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
    pub fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// A cycle of an account: [starts_at, ends_at).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Usage {
    /// The instant since which it counts; none: ever.
    pub fn counts_since(&self) -> Option<DateTime<Utc>> {
        self.cycle.map(|cycle| cycle.starts_at)
    }

    /// The usage as of `now`: a cycle that began or ended since starts from nothing. An account's cycle is the life of
    /// the plan allocation that began last; one that lies in the future was never drawn from, so it is among the open
    /// grants when its time comes.
    pub fn at(&self, open: &[Grant], now: DateTime<Utc>) -> Self {
        let brought_up = self.brought_up(open, now);
        Self {
            cycle: brought_up.cycle.filter(|cycle| cycle.ends_at > now),
            ..brought_up
        }
    }

    /// As [`Usage::at`], but a cycle that has ended leaves its end behind, as a cycle without length: what is spent
    /// afterwards counts from there, and a refund of what was spent before changes nothing.
    pub(super) fn brought_up(&self, open: &[Grant], now: DateTime<Utc>) -> Self {
        let latest = open
            .iter()
            .filter(|g| g.class == Class::Plan && g.origin == Origin::Allocation && g.live(now))
            .filter_map(|g| {
                Some(Cycle {
                    starts_at: g.effective_at,
                    ends_at: g.expires_at?,
                })
            })
            .max_by_key(|cycle| (cycle.starts_at, cycle.ends_at));
        let Some(current) = self.cycle else {
            return latest.map_or(*self, |new| Self {
                used: 0,
                cycle: Some(new),
            });
        };
        let left_behind = Cycle {
            starts_at: current.ends_at,
            ends_at: current.ends_at,
        };
        let (used, cycle) = match latest {
            Some(new) if new.starts_at > current.starts_at => (0, new),
            // A longer one of the same start, or the renewal of one that ended, noticed late.
            Some(new) if new.starts_at == current.starts_at && new.ends_at > current.ends_at => (self.used, new),
            _ if current.ends_at > now || current == left_behind && latest.is_none() => return *self,
            // An older one runs on, or none does.
            older => (0, older.unwrap_or(left_behind)),
        };
        Self {
            used,
            cycle: Some(cycle),
        }
    }
}
