//! Ids: UUIDv7, made by Scrip, ascending in the order in which one source made them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A company that runs Scrip beside its product.
    TenantId
}
id! {
    /// Scrip's own id of an account; the API speaks of accounts by the tenant's id ([`super::account::ExternalId`]).
    AccountId
}
id! {
    /// Credits that came in together.
    GrantId
}
id! {
    /// The atomic unit that changes balances. A spend's id is its transaction's.
    TransactionId
}
id! {
    /// A purchase of credits.
    TopUpId
}
id! {
    /// A subscription to a plan.
    SubscriptionId
}
id! {
    /// What an operation was said to cost.
    QuoteId
}
id! {
    /// An API key, and with it whoever acts through it.
    ApiKeyId
}

/// Where ids come from: an argument of every rule that makes one, like the clock.
pub trait IdSource {
    fn next(&mut self) -> Uuid;
}

/// UUIDv7 from the time it was last told and random bytes it is given: 48 bits of milliseconds, a 12-bit counter within
/// the millisecond (RFC 9562, section 6.2, method 1), 62 random bits. Ascending even when the clock steps back.
pub struct UuidV7Source<R> {
    random: R,
    millisecond: u64,
    counter: u16,
}

const COUNTER_MAX: u16 = 0x0fff;

impl<R: FnMut() -> [u8; 8]> UuidV7Source<R> {
    pub fn new(random: R) -> Self {
        Self {
            random,
            millisecond: 0,
            counter: 0,
        }
    }

    /// Ids made from here on carry `now`, or the last time told if that was later.
    pub fn tell_time(&mut self, now: DateTime<Utc>) {
        let millisecond = now.timestamp_millis().unsigned_abs();
        if millisecond > self.millisecond {
            self.millisecond = millisecond;
            self.counter = 0;
        }
    }
}

impl<R: FnMut() -> [u8; 8]> IdSource for UuidV7Source<R> {
    fn next(&mut self) -> Uuid {
        let random = (self.random)();
        let mut bytes = [0u8; 10];
        bytes[..2].copy_from_slice(&self.counter.to_be_bytes());
        bytes[2..].copy_from_slice(&random);
        if self.counter == COUNTER_MAX {
            // More than 4,096 ids in a millisecond: borrow from the next one, so that the order holds.
            self.millisecond += 1;
            self.counter = 0;
        } else {
            self.counter += 1;
        }
        uuid::Builder::from_unix_timestamp_millis(self.millisecond_of(&bytes), &bytes).into_uuid()
    }
}

impl<R> UuidV7Source<R> {
    /// The millisecond the id just counted belongs to: the borrowed one only begins with the next id.
    fn millisecond_of(&self, bytes: &[u8; 10]) -> u64 {
        let counted = u16::from_be_bytes([bytes[0], bytes[1]]);
        if counted == COUNTER_MAX {
            self.millisecond - 1
        } else {
            self.millisecond
        }
    }
}

/// For tests: ids that count up.
#[cfg(test)]
#[derive(Default, Clone)]
pub struct Counted(pub u128);

#[cfg(test)]
impl IdSource for Counted {
    fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_through_a_full_millisecond_and_a_clock_that_steps_back() {
        let mut source = UuidV7Source::new(|| [0xab; 8]);
        source.tell_time(DateTime::from_timestamp_millis(1_700_000_000_000).expect("in range"));
        let mut last = source.next();
        assert_eq!(last.get_version_num(), 7);
        for n in 0..10_000 {
            if n == 5_000 {
                source.tell_time(DateTime::from_timestamp_millis(1_600_000_000_000).expect("in range"));
            }
            let id = source.next();
            assert!(id > last, "{id} came after {last}");
            last = id;
        }
    }
}
