//! Programs as anybody may write them: nothing makes the parser panic, and what it takes it takes back unchanged.

use proptest::prelude::*;
use scrip::domain::program::{Format, Program, parse};
use serde_json::{Map, Value, json};

use crate::config;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9_-]{0,70}",
        prop::sample::select(vec![
            "never",
            "cycle_end",
            "days",
            "months",
            "plan",
            "addon",
            "balance",
            "reissue",
            "restore",
            "reject",
            "month",
            "year",
            "USD",
            "usd",
            "JPY",
            "credits",
            "",
        ])
        .prop_map(str::to_owned),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            0_i64,
            1,
            9,
            10,
            36_500,
            36_501,
            1_200,
            1_201,
            (1 << 53) - 1,
            1 << 53,
            -1
        ])
        .prop_map(Value::from),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn amount() -> impl Strategy<Value = Value> {
    prop_oneof![8 => (1..=1_000_000_i64).prop_map(Value::from), 1 => number()]
}

fn expiry() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(json!("never")),
        2 => Just(json!("cycle_end")),
        3 => (0..=40_000_u32).prop_map(|days| json!({"days": days})),
        3 => (0..=1_300_u32).prop_map(|months| json!({"months": months})),
        1 => scalar(),
        1 => number().prop_map(|n| json!({"days": n})),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![9 => "[a-z0-9_-]{1,20}", 1 => text()]
}

fn plan() -> impl Strategy<Value = Value> {
    (
        amount(),
        prop::option::of(prop::sample::select(vec!["month", "year", "week"])),
    )
        .prop_map(|(allowance, interval)| {
            let mut plan = json!({"allowance": allowance});
            if let Some(interval) = interval {
                plan["interval"] = json!(interval);
            }
            plan
        })
}

fn pack() -> impl Strategy<Value = Value> {
    let currency = prop::sample::select(vec!["USD", "eur", "JPY", "dollars"]);
    (amount(), currency, amount(), expiry(), prop::option::of(text())).prop_map(
        |(price, currency, credits, expiry, name)| {
            let mut pack =
                json!({"price": {"amount": price, "currency": currency}, "credits": credits, "expiry": expiry});
            if let Some(name) = name {
                pack["name"] = json!(name);
            }
            pack
        },
    )
}

fn catalog(entry: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), entry, 0..3).prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Nearly a program; now and then one field of it is anything at all.
fn near_program() -> impl Strategy<Value = Value> {
    let order = Just(vec!["plan", "addon", "balance"]).prop_shuffle();
    let whole = (0..=11_u8, order, catalog(plan()), catalog(pack())).prop_map(|(scale, order, plans, packs)| {
        json!({"unit": {"name": "credits", "scale": scale}, "spending_order": order, "plans": plans, "packs": packs})
    });
    let field = prop::sample::select(vec!["unit", "spending_order", "plans", "packs", "refunds", "other"]);
    (whole, prop::option::weighted(0.2, (field, any_json()))).prop_map(|(mut program, spoiled)| {
        if let Some((field, value)) = spoiled {
            program[field] = value;
        }
        program
    })
}

/// What is read is the same when it is written and read again, and everything about it can be said.
fn reads_back(program: &Program) -> Result<(), TestCaseError> {
    let written = serde_json::to_string(program).expect("a program can be written");
    prop_assert_eq!(parse(&written, Format::Json), Ok(program.clone()));
    for pack in program.packs.values() {
        prop_assert!(!program.pack_title(pack).is_empty());
        let from = "2026-12-31T23:59:59Z".parse().expect("a time");
        if let Some(end) = pack.expiry.end(from, None) {
            prop_assert!(end > from);
        }
    }
    Ok(())
}

fn check(document: &str, format: Format) -> Result<(), TestCaseError> {
    match parse(document, format) {
        Ok(program) => reads_back(&program),
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(!problem.problem.is_empty(), "{:?}", problem);
            }
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn any_json_is_read_or_refused(document in any_json()) {
        check(&document.to_string(), Format::Json)?;
    }

    #[test]
    fn any_text_is_read_or_refused(document: String) {
        check(&document, Format::Json)?;
        check(&document, Format::Toml)?;
    }

    #[test]
    fn nearly_a_program_is_read_or_refused(document in near_program()) {
        check(&document.to_string(), Format::Json)?;
        if let Ok(document) = toml::to_string(&document) {
            check(&document, Format::Toml)?;
        }
    }

    #[test]
    fn a_document_that_breaks_off_is_refused(document in near_program(), at: prop::sample::Index) {
        let text = document.to_string();
        let cut: String = text.chars().take(at.index(text.chars().count())).collect();
        prop_assert!(parse(&cut, Format::Json).is_err());
    }
}

/// A good part of what is nearly a program is one, or the properties above would try refusals alone.
#[test]
fn the_documents_are_not_all_refused() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::new(config(1));
    let (mut read, mut refused) = (0, 0);
    for _ in 0..256 {
        let document = near_program().new_tree(&mut runner).expect("a document").current();
        match parse(&document.to_string(), Format::Json) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read >= 25 && refused >= 25, "{read} read, {refused} refused");
}

#[test]
fn nesting_without_end_is_refused() {
    let object = |depth: usize| format!("{}1{}", r#"{"unit":"#.repeat(depth), "}".repeat(depth));
    for document in [object(100_000), "[".repeat(100_000), object(200)] {
        assert!(parse(&document, Format::Json).is_err());
    }
    let toml = format!("unit = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&toml, Format::Toml).is_err());
    assert!(parse(&Value::Object(Map::new()).to_string(), Format::Json).is_err());
}
