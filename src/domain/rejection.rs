//! Why a command is refused: a stable code and the numbers that decided it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    credits::CREDITS_MAX,
    grant::Class,
    ids::{GrantId, TopUpId, TransactionId},
};

/// A refusal by the rules. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(untagged)]
pub enum Rejection {
    #[error("No account has this id. Create it with PUT /v1/accounts/{{id}} first.")]
    AccountNotFound { account_id: String },
    #[error("The spend needs {needed} and {available} can be drawn.")]
    InsufficientCredits { needed: i64, available: i64 },
    #[error("No spend has this id.")]
    SpendNotFound { spend_id: TransactionId },
    #[error(
        "The spend took {spent}, of which {refunded} went back already: {refundable} can still be refunded, not {requested}."
    )]
    RefundExceedsSpend {
        spent: i64,
        refunded: i64,
        refundable: i64,
        requested: i64,
    },
    #[error("All {spent} of the spend went back already.")]
    SpendAlreadyRefunded { spent: i64, refunded: i64 },
    #[error("{amount} would go back to a {} grant that expired at {expired_at}, and the program rejects that.", class.as_str())]
    SourceGrantExpired {
        grant_id: GrantId,
        class: Class,
        amount: i64,
        expired_at: DateTime<Utc>,
    },
    #[error("plan: the program has no plan {plan}.")]
    UnknownPlan { plan: String },
    #[error("plan: {plan} has no allowance to grant.")]
    PlanWithoutAllowance { plan: String },
    #[error("No grant has this id.")]
    GrantNotFound { grant_id: GrantId },
    #[error("Nothing remains in the grant: it is spent, expired or revoked.")]
    GrantAlreadyClosed { grant_id: GrantId },
    #[error("The grant would end at {expires_at}, not after it begins at {effective_at}.")]
    GrantWithoutLife {
        effective_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    },
    #[error("The account would hold {would_hold}, more than the {CREDITS_MAX} an account can hold.")]
    AccountFull { would_hold: i64, limit: i64 },
    #[error("The account has {open} grants with something left: {limit} is the most it may have.")]
    TooManyGrants { open: usize, limit: usize },
    #[error("The top-up is not known to this tenant.")]
    TopUpNotFound { top_up_id: TopUpId },
    #[error("This Idempotency-Key came with another request before.")]
    IdempotencyKeyReused { idempotency_key: String },
}

impl Rejection {
    /// The `code` of the refusal, part of the API's contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AccountNotFound { .. } => "account_not_found",
            Self::InsufficientCredits { .. } => "insufficient_credits",
            Self::SpendNotFound { .. } => "spend_not_found",
            Self::RefundExceedsSpend { .. } => "refund_exceeds_spend",
            Self::SpendAlreadyRefunded { .. } => "spend_already_refunded",
            Self::SourceGrantExpired { .. } => "source_grant_expired",
            Self::UnknownPlan { .. } => "unknown_plan",
            Self::PlanWithoutAllowance { .. } => "plan_without_allowance",
            Self::GrantNotFound { .. } => "grant_not_found",
            Self::GrantAlreadyClosed { .. } => "grant_already_closed",
            Self::GrantWithoutLife { .. } => "invalid_expires_at",
            Self::AccountFull { .. } => "account_full",
            Self::TooManyGrants { .. } => "too_many_grants",
            Self::TopUpNotFound { .. } => "top_up_not_found",
            Self::IdempotencyKeyReused { .. } => "idempotency_key_reused",
        }
    }
}
