//! Programs as anybody may write them: nothing makes the parser panic, and what it takes it takes back unchanged.

use proptest::prelude::*;
use scrip::domain::program::{AttributeValue, EventKind, Format, Operation, Program, Wanted, lint, parse, preview};
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

/// Some of the fields, each with a value of its own.
fn fields(all: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let each = all.into_iter().map(|(name, value)| {
        prop::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    });
    let each: Vec<_> = each.collect();
    each.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect()))
}

fn one_of(values: &[&str]) -> BoxedStrategy<Value> {
    let values: Vec<Value> = values.iter().map(|value| json!(value)).collect();
    prop::sample::select(values).boxed()
}

fn plan() -> impl Strategy<Value = Value> {
    let by_interval = (amount(), amount()).prop_map(|(month, year)| json!({"month": month, "year": year}));
    let allowance = prop_oneof![3 => amount(), 1 => by_interval].boxed();
    let both = Just(json!(["year", "month"]));
    let billing = prop_oneof![4 => one_of(&["month", "year"]), 2 => both, 1 => Just(json!("week"))].boxed();
    fields(vec![
        ("allowance", allowance.clone()),
        ("interval", billing),
        ("refresh", one_of(&["billing", "billing", "month"])),
        ("paid", any::<bool>().prop_map(Value::from).boxed()),
        ("rank", (-9..=9_i32).prop_map(Value::from).boxed()),
        (
            "bonus",
            (allowance, expiry())
                .prop_map(|(credits, expiry)| json!({"credits": credits, "expiry": expiry}))
                .boxed(),
        ),
        (
            "rollover",
            (amount(), 1..=121_u32)
                .prop_map(|(max, cycles)| json!({"max": max, "cycles": cycles}))
                .boxed(),
        ),
        (
            "addon",
            amount().prop_map(|credits| json!({"credits": credits})).boxed(),
        ),
        ("caps", prop::collection::vec(cap(), 0..2).prop_map(Value::from).boxed()),
    ])
}

fn cap() -> impl Strategy<Value = Value> {
    let operations = prop_oneof![3 => Just(vec!["a"]), 1 => Just(vec!["b", "a"]), 1 => Just(vec![])];
    let window = one_of(&["day", "week", "month", "cycle"]);
    (window, amount(), prop::option::weighted(0.3, operations)).prop_map(|(window, limit, operations)| {
        let mut cap = json!({"window": window, "limit": limit});
        if let Some(operations) = operations {
            cap["operations"] = json!(operations);
        }
        cap
    })
}

fn object(value: impl Strategy<Value = Value> + 'static, names: Vec<&'static str>) -> BoxedStrategy<Value> {
    let name = prop::sample::select(names).prop_map(str::to_owned);
    let entries = prop::collection::btree_map(name, value, 0..3);
    entries
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
        .boxed()
}

fn price_rule() -> impl Strategy<Value = Value> {
    let rate = (amount(), amount(), one_of(&["up", "down", "begun"]))
        .prop_map(|(credits, each, rounding)| json!({"credits": credits, "each": each, "rounding": rounding}));
    let value = prop_oneof![5 => (0..9_i64).prop_map(Value::from), 1 => one_of(&["a", "b"])];
    let rest = fields(vec![
        ("when", object(value, vec!["kind", "seconds", "size"])),
        ("per", object(rate, vec!["seconds", "quantity"])),
        ("maximum", (500_000..1_000_000_i64).prop_map(Value::from).boxed()),
    ]);
    let field = prop::sample::select(vec!["fixed", "minimum"]);
    (rest, prop::option::weighted(0.95, (field, 0..500_000_i64))).prop_map(|(mut rule, least)| {
        if let Some((field, least)) = least {
            rule[field] = json!(least);
        }
        rule
    })
}

/// `a` is always there, so that caps may name it.
fn operations() -> impl Strategy<Value = Value> {
    let operation = || {
        let rules =
            prop_oneof![4 => prop::collection::vec(price_rule(), 1), 1 => prop::collection::vec(price_rule(), 0..3)];
        rules.prop_map(|prices| json!({"prices": prices}))
    };
    (operation(), prop::option::of(operation())).prop_map(|(a, b)| match b {
        Some(b) => json!({"a": a, "b": b}),
        None => json!({"a": a}),
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
    let gates = one_of(&["none", "subscription", "paid_subscription"])
        .prop_map(|gate| json!({"purchase": gate, "spend": {"balance": gate}}));
    let caps = prop::collection::vec(cap(), 0..2);
    let whole = (
        0..=11_u8,
        order,
        catalog(plan()),
        catalog(pack()),
        operations(),
        caps,
        gates,
    )
        .prop_map(|(scale, order, plans, packs, operations, caps, gates)| {
            json!({"unit": {"name": "credits", "scale": scale}, "spending_order": order, "plans": plans, "packs": packs,
                "operations": operations, "caps": caps, "gates": gates})
        });
    let field = prop::sample::select(vec![
        "unit",
        "spending_order",
        "plans",
        "packs",
        "refunds",
        "operations",
        "caps",
        "gates",
        "holds",
        "debt",
        "other",
    ]);
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
        if let Some(end) = pack.expiry.end(from, program.timezone, None) {
            prop_assert!(end > from);
        }
    }
    for warning in lint(program) {
        prop_assert!(!warning.path.is_empty() && !warning.warning.is_empty(), "{:?}", warning);
    }
    program.operations.values().try_for_each(prices_hold)?;
    program.plans.keys().try_for_each(|plan| preview_holds(program, plan))
}

/// A price is 1 to 2^53 - 1, and never less than the cheapest.
fn prices_hold(operation: &Operation) -> Result<(), TestCaseError> {
    for (quantity, seconds) in [(1, 0), (2, 7), (1_000_000, 1 << 40), (i64::MAX, i64::MAX)] {
        let attributes = [
            ("seconds", AttributeValue::Number(seconds)),
            ("kind", AttributeValue::Number(1)),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        if let Ok(price) = operation.price(&Wanted { quantity, attributes }) {
            prop_assert!(
                price >= operation.cheapest().max(1) && price < 1 << 53,
                "{:?}: {}",
                operation,
                price
            );
        }
    }
    Ok(())
}

/// Its events are in order, within its time, and every refresh ends where the next one starts.
fn preview_holds(program: &Program, plan: &str) -> Result<(), TestCaseError> {
    let anchor = "2027-10-31T01:30:00Z".parse().expect("a time");
    let preview = preview(program, plan, None, anchor, 24).expect("it is within the calendar");
    prop_assert!(preview.events.windows(2).all(|pair| pair[0].at <= pair[1].at));
    prop_assert!(
        preview
            .events
            .iter()
            .all(|event| event.at >= anchor && event.at <= preview.until)
    );
    let refreshes = preview.events.iter().filter(|event| event.kind == EventKind::Allowance);
    let refreshes: Vec<_> = refreshes.collect();
    prop_assert!(refreshes.windows(2).all(|pair| pair[0].expires_at == Some(pair[1].at)));
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
