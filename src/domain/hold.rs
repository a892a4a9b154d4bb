//! Holds: credits set aside on exact grants for work under way.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ids::TransactionId, spending_order::Draw};

/// A hold as it stands. Its id is that of the transaction that placed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hold {
    pub id: TransactionId,
    pub status: Status,
    pub amount: i64,
    /// What was captured of it, over-capture included.
    pub captured: i64,
    /// What it holds on which grant, in the spending order.
    pub drawdown: Vec<Draw>,
    pub operation: Option<String>,
    pub member: Option<String>,
    pub created_at: DateTime<Utc>,
    /// It frees itself then.
    pub expires_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Held,
    Captured,
    Voided,
    Expired,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Held, Self::Captured, Self::Voided, Self::Expired];

    /// As stored: its place in the list above, counted from 1.
    pub fn code(self) -> i16 {
        self as i16 + 1
    }

    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl Hold {
    pub fn is_open(&self) -> bool {
        self.status == Status::Held
    }
}
