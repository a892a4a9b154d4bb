//! `docs/PROGRAM.md` against the program: its tables are made of the very schema and doc comments that the API shows, every
//! value of a choice is explained, every field stands in an example, and every example is a program.
//!
//! UPDATE_PROGRAM_DOC=1 writes the tables anew.

use std::collections::{BTreeMap, BTreeSet};

use scrip::domain::program::{Format, lint, parse};
use serde_json::{Map, Value, json};

const DOCUMENT: &str = include_str!("../../docs/PROGRAM.md");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROGRAM.md");
const END: &str = "<!-- end -->";

fn schemas() -> Map<String, Value> {
    let document = serde_json::to_value(scrip::http::document()).expect("a document");
    document["components"]["schemas"].as_object().expect("schemas").clone()
}

/// The type that a schema refers to, if it does.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// The types of a program, from the top.
fn types(schemas: &Map<String, Value>) -> BTreeSet<String> {
    fn walk(schemas: &Map<String, Value>, schema: &Value, found: &mut BTreeSet<String>) {
        if let Some(name) = reference(schema)
            && found.insert(name.to_owned())
        {
            walk(schemas, &schemas[name], found);
        }
        match schema {
            Value::Object(members) => members.values().for_each(|member| walk(schemas, member, found)),
            Value::Array(items) => items.iter().for_each(|item| walk(schemas, item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(schemas, &json!({"$ref": "/Program"}), &mut found);
    found
}

/// A field that may be left out stands beside `null`.
fn without_null(schema: &Value) -> &Value {
    match schema["oneOf"].as_array().map(Vec::as_slice) {
        Some([inner, null]) if null["type"] == "null" => inner,
        _ => schema,
    }
}

/// A type as the table shows it.
fn shown(schema: &Value) -> String {
    let schema = without_null(schema);
    if let Some(name) = reference(schema) {
        return match name {
            "Amount" => "whole number from 1".to_owned(),
            "Text200" => "text, 1 to 200 characters".to_owned(),
            _ => format!("[{name}](#{})", name.to_lowercase()),
        };
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => format!("by name: {}", shown(&schema["additionalProperties"])),
        Some("array") => format!("list of {}", shown(&schema["items"])),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("string") => "text".to_owned(),
        other => panic!("no word for {other:?}: {schema}"),
    }
}

/// What it means, and what it is when it is left out; the doc comment says both.
fn meaning(schema: &Value) -> (String, Option<String>) {
    let description = schema["description"]
        .as_str()
        .or(without_null(schema)["description"].as_str());
    let text = description
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    match text.split_once("Default: ") {
        Some((meaning, default)) => {
            let (default, rest) = default.split_once(". ").unwrap_or((default.trim_end_matches('.'), ""));
            (format!("{meaning}{rest}").trim().to_owned(), Some(default.to_owned()))
        }
        None => (text, None),
    }
}

fn table(schemas: &Map<String, Value>, name: &str) -> String {
    let schema = &schemas[name];
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut lines = vec![
        "| field | what it is | default | meaning |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for (field, schema) in schema["properties"].as_object().expect("fields") {
        let (meaning, default) = meaning(schema);
        assert!(!meaning.is_empty(), "{name}.{field} has no doc comment");
        let default = match (required.contains(field.as_str()), default) {
            (true, None) => "must be given".to_owned(),
            (false, Some(default)) => default,
            (must, default) => panic!("{name}.{field}: must be given: {must}, and its default: {default:?}"),
        };
        let shown = shown(schema);
        lines.push(format!(
            "| `{field}` | {shown} | {default} | {} |",
            meaning.replace('|', "\\|")
        ));
    }
    lines.join("\n")
}

fn is_struct(schema: &Value) -> bool {
    schema["properties"].is_object()
}

/// The document with its tables made anew.
fn made() -> String {
    let schemas = schemas();
    let mut made = String::new();
    let mut rest = DOCUMENT;
    while let Some((before, after)) = rest.split_once("<!-- fields of ") {
        let (name, after) = after.split_once(" -->").expect("a mark is closed");
        let (_, after) = after.split_once(END).expect("a table ends");
        assert!(
            schemas.get(name).is_some_and(is_struct),
            "nothing has fields and is called {name}"
        );
        made.push_str(&format!(
            "{before}<!-- fields of {name} -->\n{}\n{END}",
            table(&schemas, name)
        ));
        rest = after;
    }
    made + rest
}

#[test]
fn every_field_is_documented_as_it_is() {
    let made = made();
    if crate::openapi::update("UPDATE_PROGRAM_DOC") {
        std::fs::write(PATH, &made).expect("the document is written");
        return;
    }
    let differing = made
        .lines()
        .zip(DOCUMENT.lines())
        .find(|(made, committed)| made != committed);
    assert!(
        made == DOCUMENT,
        "the program changed: run this with UPDATE_PROGRAM_DOC=1. First difference: {differing:?}"
    );
    let schemas = schemas();
    for name in types(&schemas) {
        if is_struct(&schemas[&name]) {
            let marks = DOCUMENT.matches(&format!("<!-- fields of {name} -->")).count();
            assert_eq!(marks, 1, "{name} has a table");
        }
    }
}

/// The part of the document under a heading.
fn section(name: &str) -> &'static str {
    let heading = format!("\n### {name}\n");
    let (_, after) = DOCUMENT
        .split_once(&heading)
        .unwrap_or_else(|| panic!("{name} has a heading"));
    after.split("\n##").next().unwrap_or(after)
}

#[test]
fn every_value_of_a_choice_is_explained() {
    let schemas = schemas();
    let mut names = types(&schemas);
    names.insert("WarningCode".to_owned());
    let mut values = 0;
    for name in names {
        for value in schemas[&name]["enum"].as_array().into_iter().flatten() {
            let value = value.as_str().expect("a text");
            assert!(section(&name).contains(&format!("- `{value}`: ")), "{name}: {value}");
            values += 1;
        }
    }
    assert!(values > 30, "{values} values");
    // Every link leads to a heading.
    for link in DOCUMENT.split("](#").skip(1) {
        let target = link.split(')').next().unwrap_or_default();
        let is_target =
            |line: &str| line.starts_with('#') && line.trim_start_matches(['#', ' ']).to_lowercase() == target;
        assert!(DOCUMENT.lines().any(is_target), "#{target}");
    }
}

/// A text as it stands in a table, for a value that a program has by itself.
fn default_in_words(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(default_in_words).collect::<Vec<_>>().join(", "),
        Value::Object(members) if members.is_empty() => "none".to_owned(),
        Value::Object(_) => "those of its fields".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a program is made of when only what must be given is given.
#[test]
fn the_defaults_are_the_documented_ones() {
    let document = json!({
        "unit": {"name": "credits"},
        "plans": {"bare": {}, "full": {"allowance": 1, "bonus": {"credits": 1}, "rollover": {"max": 1}, "addon": {"credits": 1}}},
        "packs": {"p": {"price": {"amount": 1, "currency": "USD"}, "credits": 1}},
        "custom_amounts": {"USD": {"credits": 1, "minimum": 100, "maximum": 100}},
        "operations": {"o": {"prices": [{"when": {"a": 1}, "per": {"s": {"credits": 1}}}, {"minimum": 1}]}},
        "caps": [{"window": "day", "limit": 1}],
    });
    let write = |document: &Value| {
        let program = parse(&document.to_string(), Format::Json).expect("a program");
        serde_json::to_value(program).expect("JSON")
    };
    let (bare, full) = (write(&json!({"unit": {"name": "credits"}})), write(&document));
    let schemas = schemas();
    let mut compared = 0;
    for (name, written, place) in [
        ("Program", &bare, ""),
        ("Unit", &bare, "/unit"),
        ("Plan", &full, "/plans/bare"),
        ("Bonus", &full, "/plans/full/bonus"),
        ("Rollover", &full, "/plans/full/rollover"),
        ("Addon", &full, "/plans/full/addon"),
        ("Pack", &full, "/packs/p"),
        ("CustomAmount", &full, "/custom_amounts/USD"),
        ("Operation", &full, "/operations/o"),
        ("PriceRule", &full, "/operations/o/prices/1"),
        ("Rate", &full, "/operations/o/prices/0/per/s"),
        ("Cap", &full, "/caps/0"),
        ("Gates", &bare, "/gates"),
        ("SpendGates", &bare, "/gates/spend"),
        ("Holds", &bare, "/holds"),
        ("Quotes", &bare, "/quotes"),
        ("Refunds", &bare, "/refunds"),
        ("ExpiredSources", &bare, "/refunds/expired_source"),
        ("Compensation", &bare, "/compensation"),
        ("Debt", &bare, "/debt"),
    ] {
        let written = written.pointer(place).expect("it is written");
        for (field, schema) in schemas[name]["properties"].as_object().expect("fields") {
            // One that is not written when it is left out has its default in words alone.
            let (Some(default), Some(value)) = (meaning(schema).1, written.get(field)) else {
                continue;
            };
            let expected = default_in_words(value);
            let said = default.replace(',', "");
            let agrees = said == expected.replace(',', "") || said.starts_with(&format!("{expected} "));
            assert!(agrees, "{name}.{field} is {expected}, and documented as {default}");
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared} defaults");
}

fn examples() -> Vec<&'static str> {
    let blocks = DOCUMENT.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default())
        .collect()
}

#[test]
fn every_example_is_a_program_without_warnings() {
    let examples = examples();
    assert!(examples.len() > 5, "{} examples", examples.len());
    for example in examples {
        let program = parse(example, Format::Toml).unwrap_or_else(|problems| panic!("{example}\n{problems:#?}"));
        assert_eq!(lint(&program), [], "{example}");
    }
}

/// Notes the fields that an example gives, by their types.
fn note(
    schemas: &Map<String, Value>,
    schema: &Value,
    value: &toml::Value,
    seen: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let mut schema = without_null(schema);
    if let Some(name) = reference(schema) {
        schema = &schemas[name];
        if let Some((properties, given)) = schema["properties"].as_object().zip(value.as_table()) {
            for (field, value) in given {
                // `interval` is the other name of `billing`.
                let Some(inner) = properties.get(field) else { continue };
                seen.entry(name.to_owned()).or_default().insert(field.clone());
                note(schemas, inner, value, seen);
            }
            return;
        }
    }
    match value {
        toml::Value::Table(entries) if schema["additionalProperties"].is_object() => {
            entries
                .values()
                .for_each(|entry| note(schemas, &schema["additionalProperties"], entry, seen));
        }
        toml::Value::Array(items) => items
            .iter()
            .for_each(|item| note(schemas, &schema["items"], item, seen)),
        _ => {}
    }
}

#[test]
fn every_field_stands_in_an_example() {
    let schemas = schemas();
    let mut seen = BTreeMap::new();
    for example in examples() {
        let value: toml::Value = toml::from_str(example).expect("TOML");
        note(&schemas, &json!({"$ref": "/Program"}), &value, &mut seen);
    }
    let mut missing = Vec::new();
    for name in types(&schemas).iter().filter(|name| is_struct(&schemas[*name])) {
        let given = seen.remove(name).unwrap_or_default();
        let fields = schemas[name]["properties"].as_object().expect("fields").keys();
        missing.extend(
            fields
                .filter(|field| !given.contains(*field))
                .map(|field| format!("{name}.{field}")),
        );
    }
    assert!(missing.is_empty(), "in no example: {missing:?}");
}
