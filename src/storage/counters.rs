//! What an account's caps have counted, as the head keeps it: short, since every spend writes it anew.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{StorageError, rows::corrupt};
use crate::domain::{
    cap::{Counter, CounterKey},
    program::Window,
};

const WHAT: &str = "the counters of caps";

/// Times are in microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(rename = "w")]
    window: Window,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    member: Option<Cow<'a, str>>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    operations: Option<Cow<'a, [String]>>,
    #[serde(rename = "s")]
    starts_at: i64,
    #[serde(rename = "e")]
    ends_at: i64,
    #[serde(rename = "u")]
    used: i64,
    #[serde(rename = "f")]
    since: i64,
}

/// None: there are none.
pub(super) fn write(counters: &[Counter]) -> Result<Option<String>, StorageError> {
    if counters.is_empty() {
        return Ok(None);
    }
    let stored: Vec<Stored<'_>> = counters.iter().map(Stored::of).collect();
    serde_json::to_string(&stored).map(Some).map_err(|e| corrupt(WHAT, e))
}

pub(super) fn read(text: Option<&str>) -> Result<Vec<Counter>, StorageError> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let stored: Vec<Stored<'_>> = serde_json::from_str(text).map_err(|e| corrupt(WHAT, e))?;
    stored.into_iter().map(Stored::counter).collect()
}

impl<'a> Stored<'a> {
    fn of(counter: &'a Counter) -> Self {
        Self {
            window: counter.key.window,
            member: counter.key.member.as_deref().map(Cow::Borrowed),
            operations: counter.key.operations.as_deref().map(Cow::Borrowed),
            starts_at: counter.starts_at.timestamp_micros(),
            ends_at: counter.ends_at.timestamp_micros(),
            used: counter.used,
            since: counter.since.timestamp_micros(),
        }
    }

    fn counter(self) -> Result<Counter, StorageError> {
        Ok(Counter {
            key: CounterKey {
                window: self.window,
                member: self.member.map(Cow::into_owned),
                operations: self.operations.map(Cow::into_owned),
            },
            starts_at: time(self.starts_at)?,
            ends_at: time(self.ends_at)?,
            used: self.used,
            since: time(self.since)?,
        })
    }
}

fn time(micros: i64) -> Result<DateTime<Utc>, StorageError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt(WHAT, micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(member: Option<&str>, operations: Option<&[&str]>) -> Counter {
        let at = |text: &str| text.parse().expect("a time");
        Counter {
            key: CounterKey {
                window: Window::Day,
                member: member.map(str::to_owned),
                operations: operations.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            },
            starts_at: at("2026-02-28T23:00:00Z"),
            ends_at: at("2026-03-01T23:00:00Z"),
            used: 41,
            since: at("2026-03-01T08:15:00.123456Z"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let counters = [
            counter(None, None),
            counter(Some("ann \"a\""), Some(&["render", "export"])),
        ];
        let text = write(&counters).expect("written").expect("something");
        assert_eq!(read(Some(&text)).expect("read"), counters);
        assert_eq!(read(write(&[]).expect("written").as_deref()).expect("read"), []);
    }

    #[test]
    fn one_that_counts_all_takes_eighty_characters() {
        let text = write(&[counter(None, None)]).expect("written").expect("something");
        assert_eq!(
            text,
            r#"[{"w":"day","s":1772319600000000,"e":1772406000000000,"u":41,"f":1772352900123456}]"#
        );
    }

    #[test]
    fn what_no_rule_writes_is_said() {
        let error = read(Some("{}")).expect_err("no list");
        assert!(matches!(error, StorageError::Corrupt { what: WHAT, .. }), "{error}");
    }
}
