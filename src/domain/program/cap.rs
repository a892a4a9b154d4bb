//! Caps: what may be spent at most in a window of time.

use serde::{Deserialize, Serialize};

use crate::domain::credits::Amount;

/// The most that may be spent and held in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// The time in which it counts.
    pub window: Window,
    /// The most that may be spent and held in a window, in credits.
    pub limit: Amount,
    /// Whose spends it counts together. Default: account.
    #[serde(default)]
    pub per: CapScope,
    /// The operations it counts. Default: all spends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
    /// What becomes of one operation that costs more than the whole cap. Default: reject.
    #[serde(default)]
    pub over_whole_cap: OverWholeCap,
}

/// The time after which a cap counts anew, by the wall clock of the program's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// The calendar month.
    Month,
    /// The account's billing cycle; without one the calendar month.
    Cycle,
}

impl Window {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Cycle => "cycle",
        }
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CapScope {
    #[default]
    Account,
    /// Each member of the account by itself. A spend that names no member is not counted.
    Member,
}

/// What becomes of one operation that costs more than the whole cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverWholeCap {
    /// It is refused as `exceeds_cap_ever`.
    #[default]
    Reject,
    /// It goes through while nothing else was spent in the window.
    AllowInEmptyWindow,
}

impl Cap {
    /// Whether it counts spends on `operation`.
    pub fn counts(&self, operation: Option<&str>) -> bool {
        match &self.operations {
            None => true,
            Some(operations) => operation.is_some_and(|wanted| operations.iter().any(|o| o == wanted)),
        }
    }

    /// Whether it stands in the place of `other`: one of the same window and scope, for the same operations in any
    /// order.
    pub fn replaces(&self, other: &Self) -> bool {
        let kind = |cap: &Self| (cap.window, cap.per, in_order(cap.operations.as_deref()));
        kind(self) == kind(other)
    }
}

/// The same operations in an order that does not depend on who wrote them down.
pub fn in_order(operations: Option<&[String]>) -> Option<Vec<String>> {
    let mut operations = operations?.to_vec();
    operations.sort_unstable();
    operations.dedup();
    Some(operations)
}
