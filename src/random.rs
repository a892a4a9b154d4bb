//! Randomness from the operating system, and ids made with it.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::ids::{IdSource, UuidV7Source};

/// Random bytes fit for keys. Panics if the operating system has none to give: nothing safe could go on without.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness no key and no id is safe")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Random bytes by the eight, asked of the operating system 1 KiB at a time: a call per id would show in a spend's cost.
pub struct Buffered {
    buffer: [u8; 1024],
    used: usize,
}

impl Default for Buffered {
    fn default() -> Self {
        Self {
            buffer: bytes(),
            used: 0,
        }
    }
}

impl Buffered {
    pub fn eight(&mut self) -> [u8; 8] {
        if self.used == self.buffer.len() {
            self.buffer = bytes();
            self.used = 0;
        }
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.buffer[self.used..self.used + 8]);
        self.used += 8;
        eight
    }
}

/// Random bytes for ids.
type IdRandom = Box<dyn FnMut() -> [u8; 8] + Send>;

/// A source of ids for one owner, such as a lane.
pub fn id_source() -> UuidV7Source<IdRandom> {
    let mut random = Buffered::default();
    UuidV7Source::new(Box::new(move || random.eight()))
}

/// A source of ids for everyone else.
pub struct Ids(Mutex<UuidV7Source<IdRandom>>);

impl Default for Ids {
    fn default() -> Self {
        Self(Mutex::new(id_source()))
    }
}

impl Ids {
    pub fn next(&self, now: DateTime<Utc>) -> Uuid {
        // A panic elsewhere can't leave the source in a bad state: take it on.
        let mut source = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        source.tell_time(now);
        source.next()
    }
}
