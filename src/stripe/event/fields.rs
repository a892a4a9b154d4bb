//! Reading single fields out of somebody else's JSON: absent and null are one, everything else is checked.
//!
//! Errors name the field and what is wrong with it, never its content.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Stripe documents at most 255 characters for any of its ids.
const IDENTIFIER_BYTES_MAX: usize = 255;
/// No text read here is longer: client references have 200 characters, metadata values 500, URLs a few thousand.
const TEXT_BYTES_MAX: usize = 5_000;

/// A field that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    pub field: &'static str,
    pub problem: FieldProblem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    #[error("is missing")]
    Missing,
    #[error("is not an object")]
    NotAnObject,
    #[error("is not text")]
    NotText,
    #[error("is too long")]
    TooLong,
    #[error("holds a control character")]
    ControlCharacter,
    #[error("is not an identifier (printable ASCII without spaces)")]
    NotAnIdentifier,
    #[error("is not a 64-bit integer")]
    NotAnInteger,
    #[error("is not true or false")]
    NotABoolean,
    #[error("is not a time")]
    NotATime,
    #[error("is not a three-letter currency")]
    NotACurrency,
}

/// One JSON object, read field by field.
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub fn of(value: &'a Value) -> Result<Self, FieldError> {
        Self::named("the whole body", value)
    }

    fn named(field: &'static str, value: &'a Value) -> Result<Self, FieldError> {
        value.as_object().map(Self).ok_or(FieldError {
            field,
            problem: FieldProblem::NotAnObject,
        })
    }

    /// The field's value, with null read as absent.
    fn get(&self, field: &'static str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    pub fn optional_child(&self, field: &'static str) -> Result<Option<Fields<'a>>, FieldError> {
        self.get(field).map(|value| Self::named(field, value)).transpose()
    }

    pub fn child(&self, field: &'static str) -> Result<Fields<'a>, FieldError> {
        required(field, self.optional_child(field)?)
    }

    pub fn optional_text(&self, field: &'static str) -> Result<Option<String>, FieldError> {
        self.get(field).map(|value| text(field, value)).transpose()
    }

    pub fn identifier(&self, field: &'static str) -> Result<String, FieldError> {
        required(
            field,
            self.get(field).map(|value| identifier(field, value)).transpose()?,
        )
    }

    /// An id that Stripe sends bare, or inside the expanded object.
    pub fn reference(&self, field: &'static str) -> Result<Option<String>, FieldError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(expanded)) => {
                let id = expanded.get("id").ok_or(FieldError {
                    field,
                    problem: FieldProblem::Missing,
                })?;
                identifier(field, id).map(Some)
            }
            Some(bare) => identifier(field, bare).map(Some),
        }
    }

    pub fn optional_amount(&self, field: &'static str) -> Result<Option<i64>, FieldError> {
        let amount = |value: &Value| {
            value.as_i64().ok_or(FieldError {
                field,
                problem: FieldProblem::NotAnInteger,
            })
        };
        self.get(field).map(amount).transpose()
    }

    /// In lower case, as Stripe writes it.
    pub fn optional_currency(&self, field: &'static str) -> Result<Option<String>, FieldError> {
        let currency = |value: &Value| match value.as_str() {
            Some(code) if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Ok(code.to_ascii_lowercase())
            }
            _ => Err(FieldError {
                field,
                problem: FieldProblem::NotACurrency,
            }),
        };
        self.get(field).map(currency).transpose()
    }

    pub fn boolean(&self, field: &'static str) -> Result<bool, FieldError> {
        let boolean = |value: &Value| {
            value.as_bool().ok_or(FieldError {
                field,
                problem: FieldProblem::NotABoolean,
            })
        };
        required(field, self.get(field).map(boolean).transpose()?)
    }

    /// Unix seconds (every `v1` object) or RFC 3339 (thin events).
    pub fn time(&self, field: &'static str) -> Result<DateTime<Utc>, FieldError> {
        let value = required(field, self.get(field))?;
        let time = match value {
            Value::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
            number => number.as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        };
        time.filter(is_storable).ok_or(FieldError {
            field,
            problem: FieldProblem::NotATime,
        })
    }
}

/// chrono reaches 262,000 years either way, PostgreSQL does not; and RFC 3339 has four-digit years.
fn is_storable(time: &DateTime<Utc>) -> bool {
    use chrono::Datelike as _;
    (1970..=9999).contains(&time.year())
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, FieldError> {
    value.ok_or(FieldError {
        field,
        problem: FieldProblem::Missing,
    })
}

fn text(field: &'static str, value: &Value) -> Result<String, FieldError> {
    let problem = match value.as_str() {
        None => FieldProblem::NotText,
        Some(text) if text.len() > TEXT_BYTES_MAX => FieldProblem::TooLong,
        Some(text) if text.chars().any(char::is_control) => FieldProblem::ControlCharacter,
        Some(text) => return Ok(text.to_owned()),
    };
    Err(FieldError { field, problem })
}

fn identifier(field: &'static str, value: &Value) -> Result<String, FieldError> {
    let problem = match value.as_str() {
        None => FieldProblem::NotText,
        Some(text) if text.len() > IDENTIFIER_BYTES_MAX => FieldProblem::TooLong,
        Some(text) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            FieldProblem::NotAnIdentifier
        }
        Some(text) => return Ok(text.to_owned()),
    };
    Err(FieldError { field, problem })
}
