//! Fields that are read more strictly than their type: what the database could not keep as it is, is refused by name.

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::storage::accounts::Metadata;

/// The last year that RFC 3339 can write.
pub const YEAR_MAX: i32 = 9999;

/// A time of the years 1 to 9999, to the microsecond, which is what the database keeps.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    match Option::<DateTime<Utc>>::deserialize(deserializer)? {
        Some(time) if !(1..=YEAR_MAX).contains(&time.year()) => {
            Err(D::Error::custom(format!("give a time of the years 1 to {YEAR_MAX}")))
        }
        // A leap second is the first of the next minute, as in the database.
        time => Ok(time.and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))),
    }
}

/// A count, 0 to a million.
pub fn count<'de, D: Deserializer<'de>, T: Deserialize<'de> + AsCount>(deserializer: D) -> Result<T, D::Error> {
    let read = T::deserialize(deserializer).map_err(|_| D::Error::custom(COUNT))?;
    if read.as_count().is_none_or(|count| count <= COUNT_MAX) {
        Ok(read)
    } else {
        Err(D::Error::custom(COUNT))
    }
}

const COUNT: &str = "give a whole number from 0 to 1000000";
const COUNT_MAX: u32 = 1_000_000;

/// A count, or none.
pub trait AsCount {
    fn as_count(&self) -> Option<u32>;
}

impl AsCount for u32 {
    fn as_count(&self) -> Option<u32> {
        Some(*self)
    }
}

impl AsCount for Option<u32> {
    fn as_count(&self) -> Option<u32> {
        *self
    }
}

/// The largest number in metadata.
const NUMBER_MAX: f64 = 1e300;

/// A JSON object without the character U+0000, which Postgres can't keep in a text, and without numbers beyond 1e300.
pub fn metadata<'de, D: Deserializer<'de>, T: Deserialize<'de> + AsMetadata>(deserializer: D) -> Result<T, D::Error> {
    fn sound(value: &Value) -> bool {
        match value {
            Value::String(text) => !text.contains('\0'),
            Value::Array(items) => items.iter().all(sound),
            Value::Object(members) => members.iter().all(|(name, value)| !name.contains('\0') && sound(value)),
            // Written out in full, as Postgres does, the very largest can't be read again.
            Value::Number(number) => number.as_f64().is_some_and(|n| n.abs() <= NUMBER_MAX),
            Value::Null | Value::Bool(_) => true,
        }
    }
    let read = T::deserialize(deserializer)?;
    let mut members = read.as_metadata().into_iter().flatten();
    if members.all(|(name, value)| !name.contains('\0') && sound(value)) {
        Ok(read)
    } else {
        Err(D::Error::custom("has the character U+0000, or a number beyond 1e300"))
    }
}

/// Metadata, or none.
pub trait AsMetadata {
    fn as_metadata(&self) -> Option<&Metadata>;
}

impl AsMetadata for Metadata {
    fn as_metadata(&self) -> Option<&Metadata> {
        Some(self)
    }
}

impl AsMetadata for Option<Metadata> {
    fn as_metadata(&self) -> Option<&Metadata> {
        self.as_ref()
    }
}
