//! What the write path reads and writes: a statement that looks at what a batch is about, one that stores it.

mod columns;
mod load;
mod store;

pub use load::{Found, Look, load_hold, load_quote, load_spend, load_subscription, lock, look};
pub use store::{Batch, ChangedGrant, GrantFigures, Settled, store};

use crate::domain::{account::ExternalId, decide::AccountState, ids::TenantId};

/// The account a command concerns, as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    pub tenant: TenantId,
    pub external_id: ExternalId,
}

impl AccountKey {
    pub fn of(tenant: TenantId, state: &AccountState) -> Self {
        Self {
            tenant,
            external_id: state.external_id.clone(),
        }
    }
}

/// An idempotency key within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantKey {
    pub tenant: TenantId,
    pub key: String,
}
