//! Usage over time: the spans of a program's calendar into which what was spent is counted.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    calendar::{Zone, calendar_window},
    credits::CREDITS_MAX,
    cycle::Cycle,
    program::Window,
};

/// The most spans of one answer: 400 days, weeks or months.
pub const SPANS_MAX: usize = 400;

/// How long a span is, by the wall clock of the program's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    Day,
    /// From Monday to Sunday.
    Week,
    /// The calendar month.
    Month,
    /// All in one.
    Total,
}

impl Grain {
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    fn window(self) -> Option<Window> {
        match self {
            Self::Day => Some(Window::Day),
            Self::Week => Some(Window::Week),
            Self::Month => Some(Window::Month),
            Self::Total => None,
        }
    }
}

/// The spans of [from, to), without a gap; the first and the last are cut to it. None: there are more than [`SPANS_MAX`].
pub fn spans(grain: Grain, zone: Zone, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Vec<Cycle>> {
    let mut spans = Vec::new();
    let mut starts_at = from;
    while starts_at < to {
        if spans.len() == SPANS_MAX {
            return None;
        }
        let window = grain
            .window()
            .and_then(|window| calendar_window(window, zone, starts_at));
        // Past the last day that can be written there is none: the rest is one span.
        let ends_at = window.map_or(to, |window| window.ends_at.min(to));
        spans.push(Cycle { starts_at, ends_at });
        starts_at = ends_at;
    }
    Some(spans)
}

/// What was spent and given back in a span, of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// The span's place among all.
    pub span: usize,
    /// None: not grouped by it, or said by no spend of the group.
    pub operation: Option<String>,
    pub member: Option<String>,
    /// How many spends.
    pub spends: i64,
    pub spent: i64,
    /// Given back in the span, of spends made at whatever time.
    pub refunded: i64,
}

impl Sums {
    /// Less than 0 where more came back than was spent.
    pub fn used(&self) -> i64 {
        (self.spent - self.refunded).clamp(-CREDITS_MAX, CREDITS_MAX)
    }
}

/// `sums` with a row for every span in which nothing was spent: they are not grouped, so each span has one row at most.
pub fn without_gaps(sums: Vec<Sums>, spans: usize) -> Vec<Sums> {
    let mut sums = sums.into_iter().peekable();
    (0..spans)
        .map(|span| match sums.next_if(|next| next.span == span) {
            Some(known) => known,
            None => Sums {
                span,
                ..Sums::default()
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn cut(grain: Grain, zone: &str, from: &str, to: &str) -> Vec<[String; 2]> {
        let zone = Zone::try_from(zone.to_owned()).expect("a zone");
        let spans = spans(grain, zone, at(from), at(to)).expect("few enough");
        let text = |t: DateTime<Utc>| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        spans
            .iter()
            .map(|span| [text(span.starts_at), text(span.ends_at)])
            .collect()
    }

    #[test]
    fn days_are_those_of_the_wall_clock_and_cut_at_both_ends() {
        // Berlin goes to summer time on 2027-03-28: a day of 23 hours.
        let days = cut(
            Grain::Day,
            "Europe/Berlin",
            "2027-03-27T12:00:00Z",
            "2027-03-29T06:00:00Z",
        );
        assert_eq!(
            days,
            [
                ["2027-03-27T12:00:00Z", "2027-03-27T23:00:00Z"],
                ["2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"],
                ["2027-03-28T22:00:00Z", "2027-03-29T06:00:00Z"],
            ]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        // 2027-01-15 is a Friday.
        let weeks = cut(Grain::Week, "UTC", "2027-01-15T00:00:00Z", "2027-01-26T00:00:00Z");
        assert_eq!(
            weeks,
            [
                ["2027-01-15T00:00:00Z", "2027-01-18T00:00:00Z"],
                ["2027-01-18T00:00:00Z", "2027-01-25T00:00:00Z"],
                ["2027-01-25T00:00:00Z", "2027-01-26T00:00:00Z"],
            ]
        );
        let months = cut(
            Grain::Month,
            "Asia/Tokyo",
            "2027-01-31T15:00:00Z",
            "2027-03-01T00:00:00Z",
        );
        assert_eq!(
            months,
            [
                ["2027-01-31T15:00:00Z", "2027-02-28T15:00:00Z"],
                ["2027-02-28T15:00:00Z", "2027-03-01T00:00:00Z"],
            ]
        );
    }

    #[test]
    fn a_total_is_one_span_however_long_and_nothing_has_none() {
        let total = cut(Grain::Total, "UTC", "2001-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(total, [["2001-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]]);
        let none = cut(Grain::Day, "UTC", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert!(none.is_empty());
    }

    #[test]
    fn a_day_that_a_zone_left_out_has_no_span() {
        // Samoa went from the 29th to the 31st of December 2011.
        let days = cut(
            Grain::Day,
            "Pacific/Apia",
            "2011-12-29T10:00:00Z",
            "2011-12-31T10:00:00Z",
        );
        assert_eq!(
            days,
            [
                ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"],
                ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
            ]
        );
    }

    #[test]
    fn four_hundred_spans_are_the_most() {
        let zone = Zone::default();
        let from = at("2027-01-01T00:00:00Z");
        let days = |days| spans(Grain::Day, zone, from, from + chrono::Duration::days(days));
        assert_eq!(days(400).map(|spans| spans.len()), Some(400));
        assert_eq!(days(401), None);
    }

    #[test]
    fn gaps_are_filled_in_order() {
        let sums = |span, spent| Sums {
            span,
            spent,
            ..Sums::default()
        };
        let filled = without_gaps(vec![sums(1, 5), sums(3, 7)], 5);
        let shown: Vec<_> = filled.iter().map(|s| (s.span, s.spent)).collect();
        assert_eq!(shown, [(0, 0), (1, 5), (2, 0), (3, 7), (4, 0)]);
    }
}
