//! The calendar, the slow way: wall clocks are read, never computed with offsets that a library chose.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use scrip::domain::program::Window;

pub type At = DateTime<Utc>;

/// What the clock on the wall shows.
fn shown(zone: Tz, at: At) -> NaiveDateTime {
    zone.from_utc_datetime(&at.naive_utc()).naive_local()
}

/// The first instant at which the wall shows `local`; where it jumps over it, the one at which a clock that was not put
/// forward would show it.
fn first_showing(zone: Tz, local: NaiveDateTime) -> At {
    let lead = |at: At| shown(zone, at) - at.naive_utc();
    let as_if_utc = local.and_utc();
    let before = as_if_utc - lead(as_if_utc - Duration::hours(26));
    let after = as_if_utc - lead(as_if_utc + Duration::hours(26));
    let fitting = [before, after].into_iter().filter(|at| shown(zone, *at) == local).min();
    fitting.unwrap_or(before)
}

fn days_in(year: i32, month: u32) -> u32 {
    let mut day = 31;
    while NaiveDate::from_ymd_opt(year, month, day).is_none() {
        day -= 1;
    }
    day
}

/// The same day and time so many months later, or the last day of a month that is too short.
pub fn months_after(anchor: At, zone: Tz, months: u32) -> At {
    if months == 0 {
        return anchor;
    }
    let local = shown(zone, anchor);
    let (mut year, mut month) = (local.year(), local.month());
    for _ in 0..months {
        month += 1;
        if month == 13 {
            (year, month) = (year + 1, 1);
        }
    }
    let day = local.day().min(days_in(year, month));
    let date = NaiveDate::from_ymd_opt(year, month, day).expect("a day of that month");
    first_showing(zone, date.and_time(local.time()))
}

/// The same time by the wall clock, so many days later.
pub fn days_after(from: At, zone: Tz, days: u32) -> At {
    let local = shown(zone, from);
    let mut date = local.date();
    for _ in 0..days {
        date = date.succ_opt().expect("a day");
    }
    first_showing(zone, date.and_time(local.time()))
}

/// The day, week or month around an instant, by the wall clock.
pub fn window(window: Window, zone: Tz, at: At) -> (At, At) {
    let today = shown(zone, at).date();
    let next = |date: NaiveDate| date.succ_opt().expect("a day");
    let (mut first, mut end) = (today, next(today));
    let goes_on = |first: NaiveDate| match window {
        Window::Week => first.weekday() != chrono::Weekday::Mon,
        Window::Month => first.day() != 1,
        _ => false,
    };
    while goes_on(first) {
        first = first.pred_opt().expect("a day");
    }
    while goes_on(end) {
        end = next(end);
    }
    let midnight = |date: NaiveDate| first_showing(zone, date.and_time(NaiveTime::MIN));
    (midnight(first), midnight(end))
}
