//! Every check: a document, the field that is named, and what is said.

mod operations;
mod plans;

use serde_json::{Value, json};

use crate::domain::program::{Format, Problem, parse};

/// A program, with some fields put in the place of its own.
fn with(fields: Value) -> Value {
    let mut program = json!({
        "unit": {"name": "credits"},
        "plans": {"pro": {"allowance": 500, "billing": ["month", "year"]}},
        "operations": {"render": {"prices": [{"fixed": 1}]}, "train": {"prices": [{"fixed": 100}]}},
    });
    for (name, value) in fields.as_object().expect("fields") {
        program[name] = value.clone();
    }
    program
}

fn plan(fields: Value) -> Value {
    let mut plan = json!({"allowance": 500});
    for (name, value) in fields.as_object().expect("fields") {
        plan[name] = value.clone();
    }
    with(json!({"plans": {"pro": plan}}))
}

fn prices(prices: Value) -> Value {
    with(json!({"operations": {"x": {"prices": prices}}}))
}

fn custom(fields: Value) -> Value {
    let mut custom = json!({"credits": 100, "minimum": 500, "maximum": 99_500});
    for (name, value) in fields.as_object().expect("fields") {
        custom[name] = value.clone();
    }
    with(json!({"custom_amounts": {"USD": custom}}))
}

fn pack(expiry: Value) -> Value {
    let price = json!({"amount": 100, "currency": "USD"});
    with(json!({"packs": {"p": {"price": price, "credits": 5, "expiry": expiry}}}))
}

fn problems(document: &Value) -> Vec<Problem> {
    parse(&document.to_string(), Format::Json).expect_err(&document.to_string())
}

/// Each document has this one problem and no other.
#[track_caller]
fn refused(cases: Vec<(Value, &str, &str)>) {
    for (document, path, says) in cases {
        let problems = problems(&document);
        let only = problems.len() == 1 && problems[0].path == path && problems[0].problem.contains(says);
        assert!(only, "{document}:\nexpected {path}: {says}\ngot {problems:#?}");
    }
}

#[test]
fn the_base_of_these_cases_is_a_program() {
    for document in [
        with(json!({})),
        plan(json!({})),
        custom(json!({})),
        pack(json!("never")),
        prices(json!([{"fixed": 1}])),
    ] {
        parse(&document.to_string(), Format::Json).expect("a program");
    }
}

#[test]
fn names_and_catalogs() {
    let long = "x".repeat(65);
    let entry = json!({"allowance": 1});
    let many: serde_json::Map<String, Value> = (0..501).map(|n| (format!("p{n}"), entry.clone())).collect();
    let operation = json!({"prices": [{"fixed": 1}]});
    let operations: serde_json::Map<String, Value> = (0..501).map(|n| (format!("o{n}"), operation.clone())).collect();
    let packs = json!({"Big One": {"price": {"amount": 1, "currency": "USD"}, "credits": 1}});
    let currencies = |name: &str| json!({"custom_amounts": {name: {"credits": 1, "minimum": 100, "maximum": 200}}});
    refused(vec![
        (
            with(json!({"unit": {"name": "x", "scale": 10}})),
            "unit.scale",
            "10 is out of range: give 0 to 9",
        ),
        (
            with(json!({"plans": many})),
            "plans",
            "has 501 entries, more than the 500 allowed",
        ),
        (with(json!({"operations": operations})), "operations", "has 501 entries"),
        (
            with(json!({"plans": {long.as_str(): entry}})),
            &format!("plans.{long}"),
            "a name is 1 to 64 of a-z",
        ),
        (
            with(json!({"plans": {"": entry}})),
            "plans.",
            "a name is 1 to 64 of a-z",
        ),
        (
            with(json!({"packs": packs})),
            "packs.Big One",
            "a name is 1 to 64 of a-z",
        ),
        (
            with(json!({"operations": {"é": operation}})),
            "operations.é",
            "a name is 1 to 64 of a-z",
        ),
        (with(currencies("usd")), "custom_amounts.usd", "in capitals here: USD"),
        (
            with(currencies("Dollar")),
            "custom_amounts.Dollar",
            "`Dollar` is no ISO 4217 currency",
        ),
    ]);
}

#[test]
fn times() {
    let holds = |usual: u32, longest: u32| with(json!({"holds": {"expires_in_s": usual, "expires_in_s_max": longest}}));
    refused(vec![
        (holds(0, 100), "holds.expires_in_s", "0 is out of range"),
        (
            holds(101, 100),
            "holds.expires_in_s",
            "101 is more than holds.expires_in_s_max: give 1 to 100",
        ),
        (holds(1, 0), "holds.expires_in_s_max", "give 1 to 31536000"),
        (holds(1, 31_536_001), "holds.expires_in_s_max", "give 1 to 31536000"),
        // The default of the longest is a week.
        (
            with(json!({"holds": {"expires_in_s": 604_801}})),
            "holds.expires_in_s",
            "give 1 to 604800",
        ),
        (
            with(json!({"quotes": {"expires_in_s": 0}})),
            "quotes.expires_in_s",
            "give 1 to 86400",
        ),
        (
            with(json!({"quotes": {"expires_in_s": 86_401}})),
            "quotes.expires_in_s",
            "give 1 to 86400",
        ),
    ]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let document = json!({
        "unit": {"name": "credits", "scale": 12},
        "plans": {"pro": {"rank": 5_000, "rollover": {"max": 5, "cycles": 500}}},
        "operations": {"x": {"prices": [{"fixed": -5}, {}], "paid_by": []}},
        "caps": [{"window": "day", "limit": 5, "operations": ["y"]}],
        "quotes": {"expires_in_s": 0},
    });
    let paths: Vec<String> = problems(&document).into_iter().map(|problem| problem.path).collect();
    assert_eq!(
        paths,
        [
            "unit.scale",
            "plans.pro.rank",
            "plans.pro.rollover",
            "plans.pro.rollover.cycles",
            "operations.x.prices[0].fixed",
            "operations.x.prices[1]",
            "operations.x.prices[1]",
            "operations.x.paid_by",
            "caps[0].operations[0]",
            "quotes.expires_in_s",
        ]
    );
}
