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
    /// The customer's credits that holds have set aside.
    Held,
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
    pub const ALL: [Self; 8] = [
        Self::Plan,
        Self::Addon,
        Self::Balance,
        Self::Held,
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
            Self::Held => 4,
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

    /// Whether it is the customer's side.
    pub fn is_customers(self) -> bool {
        self.code() < 10
    }

    /// The class whose free credits it has, if it has such.
    pub fn class(self) -> Option<Class> {
        Class::ALL.into_iter().find(|class| Self::of(*class) == self)
    }
}

/// One immutable line. Held credits come from a class and go back to it: what a hold's work consumes is freed and spent in
/// one transaction, so that every entry names its grant's class on one side.
///
/// It moves `amount` from the ledger account debited to the one credited, on account of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub grant_id: GrantId,
    pub debit: LedgerAccount,
    pub credit: LedgerAccount,
    pub amount: i64,
}

impl Entry {
    /// What it does to what remains of its grant, held or not.
    pub fn effect(&self) -> i64 {
        match (self.debit.is_customers(), self.credit.is_customers()) {
            (true, false) => -self.amount,
            (false, true) => self.amount,
            _ => 0,
        }
    }

    /// What it does to what is held of its grant.
    pub fn held_effect(&self) -> i64 {
        match (self.debit, self.credit) {
            (LedgerAccount::Held, _) => -self.amount,
            (_, LedgerAccount::Held) => self.amount,
            _ => 0,
        }
    }
}
