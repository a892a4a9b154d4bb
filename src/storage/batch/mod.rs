//! What the write path reads and writes: one statement to load a batch, one to store it.

mod columns;
mod load;
mod store;

pub use load::{Loaded, load, load_hold, load_quote, load_spend, load_subscription};
pub use store::{Batch, Settled, store};

use crate::domain::{account::ExternalId, ids::TenantId};

/// The account a command concerns, as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    pub tenant: TenantId,
    pub external_id: ExternalId,
}

/// An idempotency key within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantKey {
    pub tenant: TenantId,
    pub key: String,
}
