//! The shape of a document: what serde lets pass and a program must not have.
//!
//! serde reads a list as a struct, field by field, and keeps the last of several members of one name. Both would be guesses
//! at what was meant.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{Problem, Program};

/// A document without its values. Read only of what was read as a program: there is no fraction in it.
#[derive(Debug)]
pub(super) enum Shape {
    Value,
    List(Vec<Shape>),
    Object(BTreeMap<String, Shape>),
}

impl<'de> Deserialize<'de> for Shape {
    /// Refuses an object with two members of one name.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyShape)
    }
}

struct AnyShape;

impl<'de> Visitor<'de> for AnyShape {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Value)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Value)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Value)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Shape, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = object.next_key::<String>()? {
            if members.contains_key(&name) {
                object.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format!("`{name}` stands there twice: name it once")));
            }
            let member = object.next_value()?;
            members.insert(name, member);
        }
        Ok(Shape::Object(members))
    }
}

/// The lists of a document that stand where the program read from it has an object.
pub(super) fn lists_for_objects(document: &Shape, program: &Program) -> Vec<Problem> {
    let mut problems = Vec::new();
    // A program has string keys alone: it can always be written.
    if let Ok(written) = serde_json::to_value(program) {
        compare(document, &written, &mut String::new(), &mut problems);
    }
    problems
}

fn compare(document: &Shape, written: &Value, path: &mut String, problems: &mut Vec<Problem>) {
    let len = path.len();
    match (document, written) {
        (Shape::List(_), Value::Object(_)) => problems.push(Problem {
            path: if path.is_empty() { ".".to_owned() } else { path.clone() },
            problem: "is a list: give an object that names its fields".to_owned(),
        }),
        (Shape::List(items), Value::Array(written)) => {
            for (n, (item, written)) in items.iter().zip(written).enumerate() {
                path.push_str(&format!("[{n}]"));
                compare(item, written, path, problems);
                path.truncate(len);
            }
        }
        (Shape::Object(members), Value::Object(written)) => {
            for (name, member) in members {
                // What is not written was left out, or is written under its other name, which is no struct's.
                let Some(written) = written.get(name) else { continue };
                if len > 0 {
                    path.push('.');
                }
                path.push_str(name);
                compare(member, written, path, problems);
                path.truncate(len);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::program::{Format, parse};

    #[track_caller]
    fn refused(document: &str, format: Format, path: &str, says: &str) {
        let problems = parse(document, format).expect_err(document);
        let named = problems.iter().any(|p| p.path == path && p.problem.contains(says));
        assert!(named, "{document}: {problems:?}");
    }

    #[test]
    fn a_list_is_no_object_wherever_one_is_asked_for() {
        let program = |rest: &str| format!(r#"{{"unit": {{"name": "credits"}}, {rest}}}"#);
        let plan = |rest: &str| program(&format!(r#""plans": {{"p": {{"allowance": 5, {rest}}}}}"#));
        let price = r#"{"amount": 1, "currency": "USD"}"#;
        for (document, path) in [
            (r#"{"unit": ["credits", 0]}"#.to_owned(), "unit"),
            (program(r#""holds": []"#), "holds"),
            (program(r#""quotes": [300]"#), "quotes"),
            (program(r#""gates": ["none", {}]"#), "gates"),
            (program(r#""gates": {"spend": []}"#), "gates.spend"),
            (
                program(r#""refunds": {"expired_source": []}"#),
                "refunds.expired_source",
            ),
            (program(r#""debt": [true]"#), "debt"),
            (
                program(r#""caps": [{"window": "day", "limit": 5}, ["week", 5]]"#),
                "caps[1]",
            ),
            (
                program(r#""packs": {"a": {"price": [100, "USD"], "credits": 5}}"#),
                "packs.a.price",
            ),
            (program(&format!(r#""packs": {{"a": [null, {price}, 5]}}"#)), "packs.a"),
            (
                program(r#""custom_amounts": {"USD": [1, 1, 1, 1]}"#),
                "custom_amounts.USD",
            ),
            (
                program(r#""operations": {"x": {"prices": [{"per": {"s": [5, 1]}}]}}"#),
                "operations.x.prices[0].per.s",
            ),
            (
                program(r#""operations": {"x": {"prices": [[{}, 5]]}}"#),
                "operations.x.prices[0]",
            ),
            (
                program(r#""operations": {"x": [null, [{"fixed": 5}]]}"#),
                "operations.x",
            ),
            (plan(r#""bonus": [5]"#), "plans.p.bonus"),
            (plan(r#""rollover": [5, 1]"#), "plans.p.rollover"),
            (plan(r#""addon": [null, 5]"#), "plans.p.addon"),
            (plan(r#""caps": [["day", 5]]"#), "plans.p.caps[0]"),
        ] {
            refused(
                &document,
                Format::Json,
                path,
                "is a list: give an object that names its fields",
            );
        }
        let toml = "unit = { name = \"credits\" }\ncaps = [[\"day\", 5]]";
        refused(toml, Format::Toml, "caps[0]", "is a list");
    }

    #[test]
    fn lists_that_are_lists_are_read() {
        let document = r#"{"unit": {"name": "credits"}, "spending_order": ["addon", "plan", "balance"],
            "plans": {"p": {"allowance": 5, "billing": ["month"], "caps": []}},
            "operations": {"x": {"prices": [{"fixed": 1}], "paid_by": ["plan"]}},
            "caps": [{"window": "day", "limit": 5, "operations": ["x"]}]}"#;
        parse(document, Format::Json).expect("a program");
    }

    #[test]
    fn a_name_stands_once() {
        let unit = r#""unit": {"name": "credits"}"#;
        let plans = r#"{"pro": {"allowance": 5}, "free": {}, "pro": {"allowance": 50}}"#;
        refused(
            &format!(r#"{{{unit}, "plans": {plans}}}"#),
            Format::Json,
            "plans",
            "`pro` stands there twice",
        );
        let when = r#"{"q": 1, "q": 2}"#;
        refused(
            &format!(r#"{{{unit}, "operations": {{"x": {{"prices": [{{"when": {when}, "fixed": 1}}]}}}}}}"#),
            Format::Json,
            "operations.x.prices[0].when",
            "`q` stands there twice",
        );
        let units = format!("{{{unit}, {unit}}}");
        refused(&units, Format::Json, ".", "duplicate field `unit`");
    }
}
