//! Previews with concrete dates.

use serde_json::{Value, json};

use super::*;
use crate::domain::program::{Format, parse};

fn program(zone: &str, plan: Value) -> Program {
    let text = json!({"unit": {"name": "credits"}, "timezone": zone, "plans": {"pro": plan}}).to_string();
    parse(&text, Format::Json).expect(&text)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// A line an event: what, its number, when by the wall clock, how much, until when.
fn lines(program: &Program, billing: Option<Interval>, anchor: &str, months: u32) -> Vec<String> {
    let preview = preview(program, "pro", billing, at(anchor), months).expect("a preview");
    let line = |event: &Event| {
        let mut line = format!("{} {}", event.local, event.kind.as_str());
        if let Some(of) = event.of {
            line.push_str(&format!(" of {}", of.as_str()));
        }
        line.push_str(&format!(" {}", event.number));
        if let Some(credits) = event.credits {
            line.push_str(&format!(": {credits}"));
        }
        if let Some(end) = &event.expires_local {
            line.push_str(&format!(" until {end}"));
        }
        line
    };
    preview.events.iter().map(line).collect()
}

#[test]
fn a_31st_of_january_is_clamped_and_comes_back() {
    let program = program("UTC", json!({"allowance": 500}));
    assert_eq!(
        lines(&program, None, "2027-01-31T09:30:00Z", 3),
        [
            "2027-01-31T09:30:00Z payment 0",
            "2027-01-31T09:30:00Z allowance 0: 500 until 2027-02-28T09:30:00Z",
            "2027-02-28T09:30:00Z expiry of allowance 0: 500",
            "2027-02-28T09:30:00Z payment 1",
            "2027-02-28T09:30:00Z allowance 1: 500 until 2027-03-31T09:30:00Z",
            "2027-03-31T09:30:00Z expiry of allowance 1: 500",
            "2027-03-31T09:30:00Z payment 2",
            "2027-03-31T09:30:00Z allowance 2: 500 until 2027-04-30T09:30:00Z",
            // What would begin at the end is not shown any more.
            "2027-04-30T09:30:00Z expiry of allowance 2: 500",
        ]
    );
    let year = lines(&program, None, "2027-01-31T09:30:00Z", PREVIEW_MONTHS);
    assert_eq!(year.iter().filter(|line| line.contains(" payment ")).count(), 12);
    assert_eq!(
        year.last().map(String::as_str),
        Some("2028-01-31T09:30:00Z expiry of allowance 11: 500")
    );
}

#[test]
fn the_wall_clock_keeps_its_time_through_daylight_saving() {
    let program = program("Europe/Berlin", json!({"allowance": 5, "paid": false}));
    let anchor = "2027-02-28T08:00:00Z";
    assert_eq!(
        lines(&program, None, anchor, 2),
        [
            "2027-02-28T09:00:00+01:00 allowance 0: 5 until 2027-03-28T09:00:00+02:00",
            "2027-03-28T09:00:00+02:00 expiry of allowance 0: 5",
            "2027-03-28T09:00:00+02:00 allowance 1: 5 until 2027-04-28T09:00:00+02:00",
            "2027-04-28T09:00:00+02:00 expiry of allowance 1: 5",
        ]
    );
    let events = preview(&program, "pro", None, at(anchor), 2).expect("a preview").events;
    assert_eq!(events[0].expires_at, Some(at("2027-03-28T07:00:00Z")));
    assert_eq!(events[2].at, at("2027-03-28T07:00:00Z"));
}

#[test]
fn a_year_paid_at_once_may_refresh_by_the_month_or_by_the_year() {
    let bonus = json!({"credits": {"month": 5, "year": 60}, "expiry": "cycle_end"});
    let plan = json!({"allowance": 100, "billing": ["month", "year"], "refresh": "month", "bonus": bonus,
        "addon": {"credits": 60}});
    let by_month = program("UTC", plan.clone());
    let yearly = lines(&by_month, Some(Interval::Year), "2027-03-07T00:00:00Z", PREVIEW_MONTHS);
    let count = |kind: &str| yearly.iter().filter(|line| line.contains(kind)).count();
    assert_eq!(
        (count(" payment "), count(" bonus 0"), count(" allowance ")),
        (1, 2, 24)
    );
    assert_eq!(
        yearly[..4],
        [
            "2027-03-07T00:00:00Z payment 0",
            "2027-03-07T00:00:00Z allowance 0: 100 until 2027-04-07T00:00:00Z",
            "2027-03-07T00:00:00Z addon_units 0: 60 until 2027-04-07T00:00:00Z",
            "2027-03-07T00:00:00Z bonus 0: 60 until 2028-03-07T00:00:00Z",
        ]
    );
    assert_eq!(
        yearly[yearly.len() - 3..],
        [
            "2028-03-07T00:00:00Z expiry of allowance 11: 100",
            "2028-03-07T00:00:00Z expiry of addon_units 11: 60",
            "2028-03-07T00:00:00Z expiry of bonus 0: 60",
        ]
    );
    let mut plan = plan;
    plan["refresh"] = json!("billing");
    let by_billing = program("UTC", plan);
    assert_eq!(
        lines(&by_billing, Some(Interval::Year), "2028-02-29T12:00:00Z", 24)
            .iter()
            .filter(|line| line.contains(" allowance "))
            .map(String::as_str)
            .collect::<Vec<_>>(),
        [
            "2028-02-29T12:00:00Z allowance 0: 100 until 2029-02-28T12:00:00Z",
            "2029-02-28T12:00:00Z expiry of allowance 0: 100",
            "2029-02-28T12:00:00Z allowance 1: 100 until 2030-02-28T12:00:00Z",
            "2030-02-28T12:00:00Z expiry of allowance 1: 100",
        ]
    );
}

#[test]
fn what_remains_rolls_over_up_to_its_limit() {
    let plan = json!({"allowance": 500, "paid": false, "rollover": {"max": 200, "cycles": 2}});
    assert_eq!(
        lines(&program("UTC", plan), None, "2027-01-15T00:00:00Z", 3),
        [
            "2027-01-15T00:00:00Z allowance 0: 500 until 2027-02-15T00:00:00Z",
            "2027-02-15T00:00:00Z expiry of allowance 0: 500",
            "2027-02-15T00:00:00Z rollover 1: 200 until 2027-04-15T00:00:00Z",
            "2027-02-15T00:00:00Z allowance 1: 500 until 2027-03-15T00:00:00Z",
            "2027-03-15T00:00:00Z expiry of allowance 1: 500",
            "2027-03-15T00:00:00Z rollover 2: 200 until 2027-05-15T00:00:00Z",
            "2027-03-15T00:00:00Z allowance 2: 500 until 2027-04-15T00:00:00Z",
            "2027-04-15T00:00:00Z expiry of rollover 1: 200",
            "2027-04-15T00:00:00Z expiry of allowance 2: 500",
        ]
    );
}

#[test]
fn a_bonus_ends_as_it_says() {
    let bonus = |expiry: Value| program("UTC", json!({"bonus": {"credits": 7, "expiry": expiry}}));
    let ends = |expiry: Value| lines(&bonus(expiry), None, "2027-01-31T00:00:00Z", 1)[1].clone();
    assert_eq!(ends(json!("never")), "2027-01-31T00:00:00Z bonus 0: 7");
    assert_eq!(
        ends(json!({"days": 10})),
        "2027-01-31T00:00:00Z bonus 0: 7 until 2027-02-10T00:00:00Z"
    );
    assert_eq!(
        ends(json!({"months": 3})),
        "2027-01-31T00:00:00Z bonus 0: 7 until 2027-04-30T00:00:00Z"
    );
    assert_eq!(
        ends(json!("cycle_end")),
        "2027-01-31T00:00:00Z bonus 0: 7 until 2027-02-28T00:00:00Z"
    );
}

#[test]
fn what_cannot_be_shown_is_refused_by_name() {
    let program = program("UTC", json!({"allowance": 5}));
    let refused = |plan, interval, anchor| {
        let error = preview(&program, plan, interval, at(anchor), PREVIEW_MONTHS).expect_err("a refusal");
        (error.code(), error.to_string())
    };
    let now = "2027-01-31T00:00:00Z";
    assert_eq!(
        refused("gold", None, now),
        ("unknown_plan", "plan: the program has no plan gold.".to_owned())
    );
    assert_eq!(
        refused("pro", Some(Interval::Year), now),
        (
            "unknown_interval",
            "interval: the plan pro can't be paid by the year: give month.".to_owned()
        )
    );
    assert_eq!(refused("pro", None, "9999-06-01T00:00:00Z").0, "invalid_anchor");
}
