//! The calendar: cycles that keep to their anchor, and the windows of caps, by a time zone's wall clock.
//!
//! One function, [`cycle_start`], says where every cycle starts, and thereby where the one before it ends: no gap, no
//! overlap. Always computed from the anchor and clamped to the month's end, so that a 31st comes back after a short month.

use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc,
};
use serde::{Deserialize, Serialize};

use super::{
    cycle::{Cycle, Interval},
    program::Window,
};

/// An IANA time zone: `UTC`, `Europe/Berlin`, `Pacific/Auckland`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "Europe/Berlin")]
pub struct Zone(chrono_tz::Tz);

impl Zone {
    pub fn as_str(&self) -> &'static str {
        self.0.name()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(chrono_tz::UTC)
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        chrono_tz::Tz::from_str(&text)
            .map(Self)
            .map_err(|_| format!("`{text}` is no IANA time zone: give one such as UTC or Europe/Berlin"))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.as_str().to_owned()
    }
}

/// The instant at which cycle `n` of an anchor starts, which is the one at which cycle `n - 1` ends. None past the last year
/// that can be written (9999).
pub fn cycle_start(anchor: DateTime<Utc>, zone: Zone, interval: Interval, n: u32) -> Option<DateTime<Utc>> {
    months_after(anchor, zone, interval.months().checked_mul(n)?)
}

/// The instant so many months after an anchor: the same day and wall-clock time, or the last day of a shorter month.
pub fn months_after(anchor: DateTime<Utc>, zone: Zone, months: u32) -> Option<DateTime<Utc>> {
    if months == 0 {
        return Some(anchor);
    }
    let local = anchor.with_timezone(&zone.0).naive_local();
    let moved = local.checked_add_months(Months::new(months));
    moved
        .filter(|moved| moved.year() <= 9999)
        .map(|moved| instant(zone, moved))
}

/// The instant so many days after another, at the same wall-clock time.
pub fn days_after(from: DateTime<Utc>, zone: Zone, days: u32) -> Option<DateTime<Utc>> {
    let local = from.with_timezone(&zone.0).naive_local();
    let moved = local.checked_add_days(Days::new(days.into()));
    moved
        .filter(|moved| moved.year() <= 9999)
        .map(|moved| instant(zone, moved))
}

/// The cycle that holds `at`, and its number. Before the anchor: the first one, number 0.
pub fn cycle_at(anchor: DateTime<Utc>, zone: Zone, interval: Interval, at: DateTime<Utc>) -> Option<(u32, Cycle)> {
    let months = |t: DateTime<Utc>| {
        let local = t.with_timezone(&zone.0);
        i64::from(local.year()) * 12 + i64::from(local.month0())
    };
    let passed = (months(at) - months(anchor)) / i64::from(interval.months());
    // The day of the month, the time of day and the clamping decide between this number and its neighbours.
    let guess = u32::try_from(passed.max(0)).ok()?;
    let mut n = guess.saturating_sub(1);
    while cycle_start(anchor, zone, interval, n + 1)? <= at {
        n += 1;
    }
    let cycle = Cycle {
        starts_at: cycle_start(anchor, zone, interval, n)?,
        ends_at: cycle_start(anchor, zone, interval, n + 1)?,
    };
    Some((n, cycle))
}

/// The calendar window that holds `at`; none for a billing cycle, which is the account's own.
pub fn calendar_window(window: Window, zone: Zone, at: DateTime<Utc>) -> Option<Cycle> {
    let date = at.with_timezone(&zone.0).date_naive();
    let (first, next) = match window {
        Window::Day => (date, date.checked_add_days(Days::new(1))?),
        Window::Week => {
            let monday = date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))?;
            (monday, monday.checked_add_days(Days::new(7))?)
        }
        Window::Month => {
            let first = date.with_day(1)?;
            (first, first.checked_add_months(Months::new(1))?)
        }
        Window::Cycle => return None,
    };
    Some(Cycle {
        starts_at: midnight(zone, first),
        ends_at: midnight(zone, next),
    })
}

/// The first instant of a day.
pub fn midnight(zone: Zone, date: NaiveDate) -> DateTime<Utc> {
    instant(zone, date.and_time(NaiveTime::MIN))
}

/// The day of an instant.
pub fn date(zone: Zone, at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&zone.0).date_naive()
}

/// What the wall clock shows, with its offset: `2027-03-28T09:00:00+02:00`.
pub fn wall_clock(zone: Zone, at: DateTime<Utc>) -> String {
    at.with_timezone(&zone.0).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// When a wall clock shows `local`. Where it shows it twice, the first time; where it jumps over it, as if it had not jumped
/// yet (RFC 5545, section 3.3.5), which is as much after the jump.
fn instant(zone: Zone, local: NaiveDateTime) -> DateTime<Utc> {
    match zone.0.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
        LocalResult::None => {
            let before = local - Days::new(2);
            match zone.0.offset_from_local_datetime(&before) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => {
                    (local - chrono::Offset::fix(&offset)).and_utc()
                }
                // Two days before a jump there is none in any zone; UTC then.
                LocalResult::None => local.and_utc(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn zone(name: &str) -> Zone {
        Zone::try_from(name.to_owned()).expect("a zone")
    }

    /// The first `count` starts after the anchor, as UTC times.
    fn starts(anchor: &str, zone_name: &str, interval: Interval, count: u32) -> Vec<String> {
        let all: Vec<DateTime<Utc>> = (0..=count)
            .map(|n| cycle_start(at(anchor), zone(zone_name), interval, n).expect("in range"))
            .collect();
        for (n, pair) in all.windows(2).enumerate() {
            let (number, cycle) = cycle_at(at(anchor), zone(zone_name), interval, pair[0]).expect("in range");
            assert_eq!(
                (number as usize, cycle.starts_at, cycle.ends_at),
                (n, pair[0], pair[1]),
                "the end of one cycle is the start of the next"
            );
            let last_instant = pair[1] - chrono::Duration::microseconds(1);
            assert_eq!(
                cycle_at(at(anchor), zone(zone_name), interval, last_instant),
                Some((n as u32, cycle))
            );
        }
        all[1..]
            .iter()
            .map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true))
            .collect()
    }

    fn days(starts: &[String]) -> Vec<&str> {
        starts.iter().map(|start| &start[..10]).collect()
    }

    #[test]
    fn month_ends_are_clamped_and_come_back() {
        let starts_31 = starts("2027-10-31T09:30:00Z", "UTC", Interval::Month, 6);
        assert_eq!(
            days(&starts_31),
            [
                "2027-11-30",
                "2027-12-31",
                "2028-01-31",
                "2028-02-29",
                "2028-03-31",
                "2028-04-30"
            ]
        );
        assert!(starts_31.iter().all(|s| s.ends_with("T09:30:00Z")));
        let starts_30 = starts("2028-01-30T00:00:00Z", "UTC", Interval::Month, 3);
        assert_eq!(days(&starts_30), ["2028-02-29", "2028-03-30", "2028-04-30"]);
        let starts_29 = starts("2026-12-29T00:00:00Z", "UTC", Interval::Month, 3);
        assert_eq!(days(&starts_29), ["2027-01-29", "2027-02-28", "2027-03-29"]);
        let leap = starts("2028-01-29T00:00:00Z", "UTC", Interval::Month, 2);
        assert_eq!(days(&leap), ["2028-02-29", "2028-03-29"]);
    }

    #[test]
    fn a_29th_of_february_comes_back_every_fourth_year() {
        let yearly = starts("2028-02-29T12:00:00Z", "UTC", Interval::Year, 5);
        assert_eq!(
            days(&yearly),
            ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29", "2033-02-28"]
        );
    }

    #[test]
    fn the_wall_clock_keeps_its_time_through_daylight_saving() {
        // Berlin: UTC+1 until 2027-03-28 02:00, then UTC+2 until 2027-10-31 03:00.
        let spring = starts("2027-02-28T08:00:00Z", "Europe/Berlin", Interval::Month, 2);
        assert_eq!(spring, ["2027-03-28T07:00:00Z", "2027-04-28T07:00:00Z"]);
        let autumn = starts("2027-09-28T10:00:00Z", "Europe/Berlin", Interval::Month, 2);
        assert_eq!(autumn, ["2027-10-28T10:00:00Z", "2027-11-28T11:00:00Z"]);
        // Auckland, where summer begins in September: UTC+12 until 2027-09-26 02:00, then UTC+13.
        let south = starts("2027-08-31T12:00:00Z", "Pacific/Auckland", Interval::Month, 1);
        assert_eq!(south, ["2027-09-30T11:00:00Z"]);
    }

    #[test]
    fn the_wall_clock_is_written_with_its_offset() {
        let shown = |name, text| wall_clock(zone(name), at(text));
        assert_eq!(
            shown("Europe/Berlin", "2027-03-28T07:00:00Z"),
            "2027-03-28T09:00:00+02:00"
        );
        assert_eq!(shown("UTC", "2027-03-28T07:00:00.5Z"), "2027-03-28T07:00:00.500Z");
    }

    #[test]
    fn an_hour_that_is_jumped_over_is_as_much_later_and_one_that_comes_twice_counts_the_first_time() {
        // 02:30 in Berlin does not exist on 2027-03-28: 03:30 summer time stands for it. The cycle after is 02:30 again.
        let jumped = starts("2027-02-28T01:30:00Z", "Europe/Berlin", Interval::Month, 2);
        assert_eq!(jumped, ["2027-03-28T01:30:00Z", "2027-04-28T00:30:00Z"]);
        // 02:30 on 2027-10-31 comes at 00:30 UTC and again at 01:30 UTC.
        let twice = starts("2027-08-31T00:30:00Z", "Europe/Berlin", Interval::Month, 3);
        assert_eq!(
            twice,
            ["2027-09-30T00:30:00Z", "2027-10-31T00:30:00Z", "2027-11-30T01:30:00Z"]
        );
    }

    #[test]
    fn an_anchor_in_the_hour_that_comes_twice_starts_its_own_cycle() {
        let anchor = "2027-10-31T01:30:00Z";
        let start = cycle_start(at(anchor), zone("Europe/Berlin"), Interval::Month, 0);
        assert_eq!(start, Some(at(anchor)));
        assert_eq!(
            starts(anchor, "Europe/Berlin", Interval::Month, 1),
            ["2027-11-30T01:30:00Z"]
        );
    }

    #[test]
    fn windows_are_those_of_the_wall_clock() {
        let window = |window, zone_name, text| {
            let cycle = calendar_window(window, zone(zone_name), at(text)).expect("a window");
            [cycle.starts_at, cycle.ends_at].map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true))
        };
        assert_eq!(
            window(Window::Day, "UTC", "2027-01-15T23:59:59Z"),
            ["2027-01-15T00:00:00Z", "2027-01-16T00:00:00Z"]
        );
        // A day of 23 hours, and one of 25.
        assert_eq!(
            window(Window::Day, "Europe/Berlin", "2027-03-28T12:00:00Z"),
            ["2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"]
        );
        assert_eq!(
            window(Window::Day, "Europe/Berlin", "2027-10-31T12:00:00Z"),
            ["2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"]
        );
        // 2027-01-15 is a Friday.
        assert_eq!(
            window(Window::Week, "UTC", "2027-01-15T00:00:00Z"),
            ["2027-01-11T00:00:00Z", "2027-01-18T00:00:00Z"]
        );
        assert_eq!(
            window(Window::Month, "Asia/Tokyo", "2027-01-31T15:00:00Z"),
            ["2027-01-31T15:00:00Z", "2027-02-28T15:00:00Z"]
        );
        assert_eq!(
            calendar_window(Window::Cycle, zone("UTC"), at("2027-01-15T00:00:00Z")),
            None
        );
    }

    #[test]
    fn a_midnight_that_is_jumped_over_is_the_first_instant_of_its_day() {
        // Beirut's clocks went from 00:00 to 01:00 on 2024-03-31.
        let window = calendar_window(Window::Day, zone("Asia/Beirut"), at("2024-03-31T12:00:00Z")).expect("a window");
        assert_eq!(window.starts_at, at("2024-03-30T22:00:00Z"));
        assert_eq!(window.ends_at, at("2024-03-31T21:00:00Z"));
    }

    #[test]
    fn a_zone_is_known_by_name() {
        assert!(Zone::try_from("Mars/Olympus".to_owned()).is_err());
        assert_eq!(zone("Europe/Berlin").as_str(), "Europe/Berlin");
    }
}
