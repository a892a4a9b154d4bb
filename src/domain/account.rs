//! An account: whose credits they are.

use serde::{Deserialize, Serialize};

/// The tenant's own id for an account: 1 to 128 of `[A-Za-z0-9_.:@-]`. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9_.:@-]{1,128}$", example = "user_42")]
pub struct ExternalId(String);

impl ExternalId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ExternalId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'@' | b'-'));
        if fits {
            Ok(Self(text))
        } else {
            Err("must be 1 to 128 of A-Z, a-z, 0-9, _ . : @ -".to_owned())
        }
    }
}

impl From<ExternalId> for String {
    fn from(id: ExternalId) -> Self {
        id.0
    }
}
