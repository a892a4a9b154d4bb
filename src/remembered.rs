//! What was read from the database a moment ago, so that not every request reads it again.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, TimeDelta, Utc};

/// How long a value is taken for true without looking again: how soon a change made through another process is felt.
const FOR: TimeDelta = TimeDelta::seconds(2);
/// Values remembered at once; beyond, the memory starts anew.
const LEN_MAX: usize = 50_000;

struct Value<V> {
    read_at: DateTime<Utc>,
    value: Arc<V>,
}

/// Values by key, each for two seconds.
pub struct Remembered<K, V>(RwLock<HashMap<K, Value<V>>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

// A panic while the lock was held can't leave the map half changed, so a poisoned one is taken on.
impl<K: Eq + Hash, V> Remembered<K, V> {
    pub fn get(&self, key: &K, now: DateTime<Utc>) -> Option<Arc<V>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Neither older than that, nor from a time that is still to come because the clock was set back.
        known
            .get(key)
            .filter(|known| (TimeDelta::zero()..FOR).contains(&(now - known.read_at)))
            .map(|known| Arc::clone(&known.value))
    }

    /// `now`: from before the value was read, so that it is not taken for younger than it is.
    pub fn insert(&self, key: K, value: V, now: DateTime<Utc>) -> Arc<V> {
        let value = Arc::new(value);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= LEN_MAX {
            known.clear();
        }
        known.insert(
            key,
            Value {
                read_at: now,
                value: Arc::clone(&value),
            },
        );
        value
    }

    pub fn forget(&self, key: &K) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub fn forget_where(&self, which: impl Fn(&V) -> bool) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, known| !which(&known.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_remembered_for_two_seconds_or_until_it_is_forgotten() {
        let at = |ms: i64| DateTime::from_timestamp_millis(1_700_000_000_000 + ms).expect("in range");
        let memory = Remembered::default();
        memory.insert("a", 1, at(0));
        assert_eq!(memory.get(&"a", at(1_999)).as_deref(), Some(&1));
        assert_eq!(memory.get(&"a", at(2_000)), None);
        memory.insert("a", 2, at(3_000));
        memory.insert("b", 3, at(3_000));
        memory.forget(&"a");
        memory.forget_where(|value| *value == 3);
        assert_eq!((memory.get(&"a", at(3_000)), memory.get(&"b", at(3_000))), (None, None));
    }
}
