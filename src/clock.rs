//! The time, as an argument: everything that needs it is given a [`Clock`].

use chrono::{DateTime, SubsecRound, Utc};

/// Where the time comes from. Two implementations live: the machine's, and a test's.
pub trait Clock: Send + Sync {
    /// The time to the microsecond, which is what the database keeps.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for the time"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
