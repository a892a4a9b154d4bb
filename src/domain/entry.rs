//! Entries: the lines of the books.
//!
//! An entry moves an amount from one ledger account to another and names both, so it balances by construction. Customers'
//! credits are the tenant's liability: what is owed to them grows by credit and shrinks by debit.

use serde::Serialize;

use super::{grant::Class, ids::GrantId};

/// A ledger account: the customer's side (per account), or the tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    Plan,
    Addon,
    Balance,
    /// Where granted credits come from.
    Issued,
    /// Where spent credits go.
    Consumed,
    /// Where expired credits go.
    Expired,
    /// Where credits of revoked grants go.
    Revoked,
}

impl LedgerAccount {
    pub const ALL: [Self; 7] = [
        Self::Plan,
        Self::Addon,
        Self::Balance,
        Self::Issued,
        Self::Consumed,
        Self::Expired,
        Self::Revoked,
    ];

    /// As stored. The customer's side has the codes below 10.
    pub fn code(self) -> i16 {
        match self {
            Self::Plan => 1,
            Self::Addon => 2,
            Self::Balance => 3,
            Self::Issued => 10,
            Self::Consumed => 11,
            Self::Expired => 12,
            Self::Revoked => 13,
        }
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|account| account.code() == code)
    }

    pub fn of(class: Class) -> Self {
        match class {
            Class::Plan => Self::Plan,
            Class::Addon => Self::Addon,
            Class::Balance => Self::Balance,
        }
    }

    /// The class whose credits it holds, if it is the customer's.
    pub fn class(self) -> Option<Class> {
        Class::ALL.into_iter().find(|class| Self::of(*class) == self)
    }
}

/// One immutable line: `amount` from the ledger account debited to the one credited, on account of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub grant_id: GrantId,
    pub debit: LedgerAccount,
    pub credit: LedgerAccount,
    pub amount: i64,
}

impl Entry {
    /// What it does to what remains of its grant.
    pub fn effect(&self) -> i64 {
        match (self.debit.class(), self.credit.class()) {
            (Some(_), None) => -self.amount,
            (None, Some(_)) => self.amount,
            _ => 0,
        }
    }
}
