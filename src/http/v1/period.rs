//! The parameters of reads about a time, read one by one: what can't be read is refused by the name of its field.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};

use crate::http::{error::Problem, fields::YEAR_MAX};

/// The smallest step of time that is kept.
const TICK: TimeDelta = TimeDelta::microseconds(1);

/// A query's parameters, each given once.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Only those of `known`.
    pub fn read(pairs: Vec<(String, String)>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let detail = format!("There is no such parameter here: give {}.", known.join(", "));
                return Err(Problem::unprocessable("invalid_parameter", detail).with("field", name));
            }
            if parameters.contains_key(&name) {
                let detail = format!("{name}: given twice.");
                return Err(Problem::unprocessable("invalid_parameter", detail).with("field", name));
            }
            parameters.insert(name, value);
        }
        Ok(Self(parameters))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A time of the years 1 to 9999, to the microsecond.
    pub fn time(&self, name: &'static str, code: &'static str) -> Result<Option<DateTime<Utc>>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let read = DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| time.to_utc())
            .filter(|time| (1..=YEAR_MAX).contains(&time.year()))
            // A leap second is the first of the next minute, as in the database.
            .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()));
        let invalid = || {
            let detail = format!(
                "{name}: give a time as of RFC 3339, such as 2027-01-31T09:30:00Z (and + as %2B), of the years 1 to {YEAR_MAX}."
            );
            Problem::unprocessable(code, detail).with("field", name)
        };
        read.map(Some).ok_or_else(invalid)
    }
}

/// A refusal of a time, which says what time it is.
pub(super) fn invalid_time(
    field: &'static str,
    code: &'static str,
    detail: impl Into<String>,
    now: DateTime<Utc>,
) -> Problem {
    Problem::unprocessable(code, detail)
        .with("field", field)
        .with("now", rfc3339(now))
}

/// As in JSON.
pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// [from, to), which ends now at the latest. What counts at this very instant is in one that ends now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// The first instant that is not in it.
    pub before: DateTime<Utc>,
}

impl Period {
    /// From the parameters `from` and `to`. Default of `to`: now; of `from`: what `start` says of `to`.
    pub fn read(
        parameters: &Parameters,
        now: DateTime<Utc>,
        start: impl FnOnce(DateTime<Utc>) -> DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let from = parameters.time("from", "invalid_from")?;
        let to = parameters.time("to", "invalid_to")?.map_or(now, |to| to.min(now));
        let from = from.unwrap_or_else(|| start(to));
        if from >= to {
            let detail = format!("from: {} is not before the end, {}.", rfc3339(from), rfc3339(to));
            return Err(invalid_time("from", "invalid_from", detail, now));
        }
        let before = if to == now { to + TICK } else { to };
        Ok(Self { from, to, before })
    }
}
