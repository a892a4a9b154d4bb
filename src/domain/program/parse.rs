//! From a document to a program: its form. Every problem is said with the path of its field; the content is `check`'s.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Program,
    check::check,
    shape::{Shape, lists_for_objects},
};

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Toml,
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// The field, from the top: `packs.small.price.amount`. A dot alone: the document itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// Reads a program. The first problem of form ends the reading; problems of content are all reported.
pub fn parse(document: &str, format: Format) -> Result<Program, Vec<Problem>> {
    let program = read(document, format)?;
    let problems = check(&program);
    if problems.is_empty() {
        Ok(program)
    } else {
        Err(problems)
    }
}

fn read(document: &str, format: Format) -> Result<Program, Vec<Problem>> {
    let program: Program = deserialize(document, format)?;
    let shape: Shape = deserialize(document, format)?;
    let lists = lists_for_objects(&shape, &program);
    if lists.is_empty() { Ok(program) } else { Err(lists) }
}

fn deserialize<T: serde::de::DeserializeOwned>(document: &str, format: Format) -> Result<T, Vec<Problem>> {
    match format {
        Format::Json => {
            if !document.trim_start().starts_with('{') {
                return Err(at_top("a program is a JSON object"));
            }
            let mut reader = serde_json::Deserializer::from_str(document);
            let read = located(serde_path_to_error::deserialize(&mut reader), |e| e.to_string())?;
            reader.end().map_err(|e| at_top(&e.to_string()))?;
            Ok(read)
        }
        Format::Toml => {
            let reader = toml::Deserializer::parse(document).map_err(|e| at_top(e.message()))?;
            // The whole text of TOML's errors is a drawing of the place.
            located(serde_path_to_error::deserialize(reader), |e| e.message().to_owned())
        }
    }
}

fn at_top(problem: &str) -> Vec<Problem> {
    vec![Problem {
        path: ".".to_owned(),
        problem: problem.to_owned(),
    }]
}

fn located<T, E>(
    result: Result<T, serde_path_to_error::Error<E>>,
    say: impl FnOnce(&E) -> String,
) -> Result<T, Vec<Problem>> {
    result.map_err(|error| {
        let path = match error.path().to_string() {
            // It broke off before a field had a name, or the name is empty.
            unknown if unknown.is_empty() || unknown == "?" => ".".to_owned(),
            path => path,
        };
        let problem = say(error.inner());
        // serde_json ends with the line and column; the path says it better.
        let problem = problem.split(" at line ").next().unwrap_or(&problem).to_owned();
        vec![Problem { path, problem }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{grant::Class, program::Expiry, refund::ExpiredSource};

    const TOML: &str = r#"
        unit = { name = "USD", scale = 4 }

        [plans.pro]
        allowance = 500

        [packs.small]
        price = { amount = 1000, currency = "usd" }
        credits = 100000
        expiry = "cycle_end"

        [packs.gift]
        price = { amount = 500, currency = "EUR" }
        credits = 50
        class = "addon"
        expiry = { days = 90 }

        [refunds.expired_source]
        plan = "restore"
    "#;

    #[test]
    fn toml_and_json_say_the_same() {
        let program = parse(TOML, Format::Toml).expect("a program");
        assert_eq!(program.packs["small"].expiry, Expiry::CycleEnd);
        assert_eq!(program.packs["gift"].expiry, Expiry::Days(90));
        assert_eq!(program.packs["small"].price.to_string(), "10.00 USD");
        assert_eq!(program.expired_source(Class::Plan), ExpiredSource::Restore);
        assert_eq!(program.pack_title(&program.packs["small"]), "10.0000 USD");
        let json = serde_json::to_string(&program).expect("JSON");
        assert_eq!(parse(&json, Format::Json), Ok(program));
    }

    #[test]
    fn a_problem_names_its_field_and_what_would_be_right() {
        let unit = r#""unit": {"name": "credits"}"#;
        let pack = |fields: &str| format!(r#"{{{unit}, "packs": {{"p": {{{fields}}}}}}}"#);
        let price = r#""price": {"amount": 100, "currency": "USD"}"#;
        for (document, path, says) in [
            ("{}".to_owned(), ".", "missing field `unit`"),
            ("{".to_owned(), ".", "EOF"),
            (format!("{{{unit}}} x"), ".", "trailing characters"),
            (
                r#"{"unit": {"name": "credits", "scale": 10}}"#.to_owned(),
                "unit.scale",
                "give 0 to 9",
            ),
            (
                r#"{"unit": {"name": " "}}"#.to_owned(),
                "unit.name",
                "must not be empty",
            ),
            (format!(r#"{{{unit}, "pack": {{}}}}"#), "pack", "unknown field `pack`"),
            (
                format!(r#"{{{unit}, "spending_order": ["plan", "plan", "addon"]}}"#),
                "spending_order",
                "each once",
            ),
            (
                format!(r#"{{{unit}, "plans": {{"Pro": {{"allowance": 5}}}}}}"#),
                "plans.Pro",
                "a name is",
            ),
            (
                format!(r#"{{{unit}, "plans": {{"pro": {{"allowance": -1}}}}}}"#),
                "plans.pro.allowance",
                "from 0 to",
            ),
            (
                format!(r#"{{{unit}, "plans": {{"pro": {{"allowance": 5, "interval": "week"}}}}}}"#),
                "plans.pro.interval",
                "`month` or `year`",
            ),
            (pack(r#""credits": 5"#), "packs.p", "missing field `price`"),
            (
                pack(r#""credits": 5, "price": {"amount": 1, "currency": "dollars"}"#),
                "packs.p.price.currency",
                "ISO 4217",
            ),
            (
                pack(r#""credits": 1.5, "price": {"amount": 1, "currency": "USD"}"#),
                "packs.p.credits",
                "a whole number",
            ),
            (
                pack(&format!(r#"{price}, "credits": 5, "expiry": {{"days": 0}}"#)),
                "packs.p.expiry",
                "give 1 to 36500",
            ),
            (
                pack(&format!(r#"{price}, "credits": 5, "expiry": {{"months": 1201}}"#)),
                "packs.p.expiry",
                "give 1 to 1200",
            ),
            (
                pack(&format!(r#"{price}, "credits": 5, "expiry": "soon"}}"#)),
                "packs.p.expiry",
                "unknown variant `soon`",
            ),
            (
                pack(&format!(r#"{price}, "credits": 5, "expiry": "cycle_end""#)),
                "packs.p.expiry",
                "cycle_end needs a plan",
            ),
            (
                pack(&format!(r#"{price}, "credits": 5, "class": "bonus""#)),
                "packs.p.class",
                "unknown variant `bonus`",
            ),
        ] {
            let problems = parse(&document, Format::Json).expect_err(&document);
            assert_eq!(problems[0].path, path, "{document}: {problems:?}");
            assert!(problems[0].problem.contains(says), "{document}: {problems:?}");
        }
    }
}
