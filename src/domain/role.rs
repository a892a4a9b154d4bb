//! What an API key may do.

use serde::{Deserialize, Serialize};

/// The role of a key. Each call of the API names the roles that may make it; none contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Makes tenants; belongs to whoever runs Scrip, not to a tenant.
    Operator,
    /// A tenant's program, keys and Stripe settings.
    Admin,
    /// A product's backend: accounts, grants, spends, refunds, top-ups.
    Backend,
    /// A named support person: the backend's reads, and /v1/admin.
    Support,
    /// Reads accounts and books.
    Read,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Backend => "backend",
            Self::Support => "support",
            Self::Read => "read",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Operator, Self::Admin, Self::Backend, Self::Support, Self::Read]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}
