//! Short texts that callers give: names, reasons, labels. Trimmed, never empty, bounded.

use serde::{Deserialize, Serialize};

/// A text of 1 to `MAX` characters, without surrounding white space and without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(String);

/// A name or label: up to 200 characters.
pub type Name = Text<200>;
/// Why something was done: up to 1,000 characters.
pub type Reason = Text<1000>;
/// A web address: up to 2,000 characters (Stripe's own limit is 5,000).
pub type Link = Text<2000>;

impl<const MAX: usize> Text<MAX> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// The unit of a tenant that has not chosen one.
    pub fn credits() -> Self {
        Self("credits".to_owned())
    }

    /// A slug is a name as it is: 1 to 63 plain characters.
    pub(super) fn of_slug(slug: String) -> Self {
        Self(slug)
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let trimmed = text.trim();
        let characters = trimmed.chars().count();
        if characters == 0 {
            Err(format!("must not be empty: give 1 to {MAX} characters"))
        } else if characters > MAX {
            Err(format!("has {characters} characters, more than the {MAX} allowed"))
        } else if trimmed.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            Err("has a control character".to_owned())
        } else if trimmed.len() == text.len() {
            Ok(Self(text))
        } else {
            Ok(Self(trimmed.to_owned()))
        }
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> utoipa::PartialSchema for Text<MAX> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX))
            .into()
    }
}

impl<const MAX: usize> utoipa::ToSchema for Text<MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Text{MAX}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_bounded() {
        let parse = |text: &str| Text::<5>::try_from(text.to_owned()).map(String::from);
        assert_eq!(parse(" ab "), Ok("ab".to_owned()));
        assert_eq!(parse("äöüßé"), Ok("äöüßé".to_owned()));
        assert!(parse("   ").is_err());
        assert!(parse("abcdef").is_err());
        assert!(parse("a\u{0}b").is_err());
    }
}
