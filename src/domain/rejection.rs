//! Why a command is refused: a stable code and the numbers that decided it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    credits::CREDITS_MAX,
    cycle::Interval,
    grant::Class,
    ids::{GrantId, QuoteId, SubscriptionId, TopUpId, TransactionId},
    program::{PriceError, Window},
};

/// A refusal by the rules. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(untagged)]
pub enum Rejection {
    #[error("No account has this id. Create it with PUT /v1/accounts/{{id}} first.")]
    AccountNotFound { account_id: String },
    #[error("The spend needs {needed} and {available} can be drawn.")]
    InsufficientCredits { needed: i64, available: i64 },
    #[error(
        "The spend needs {needed}; {available} can be drawn and {frozen} are frozen until the account has a {requires}."
    )]
    GateClosed {
        needed: i64,
        available: i64,
        frozen: i64,
        requires: &'static str,
    },
    #[error("The {} cap is {limit}, of which {used} are used until {resets_at}: {available} can be spent, not {needed}.", window.as_str())]
    CapExceeded {
        needed: i64,
        available: i64,
        limit: i64,
        used: i64,
        window: Window,
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        resets_at: DateTime<Utc>,
    },
    #[error("It costs {needed}, more than the whole {} cap of {limit}: it can never be spent at once.", window.as_str())]
    ExceedsCapEver { needed: i64, limit: i64, window: Window },
    #[error(
        "operation: the program has no operation {operation}, so it has no price: give an amount, or a priced one."
    )]
    UnknownOperation { operation: String },
    #[error("operation {operation}: {reason}")]
    Unpriced {
        operation: String,
        #[serde(flatten)]
        reason: PriceError,
    },
    #[error("caps[{cap}].until: {until} has passed, so the cap would never hold.")]
    CapOver { cap: usize, until: DateTime<Utc> },
    #[error("No quote has this id.")]
    QuoteNotFound { quote_id: QuoteId },
    #[error("The quote was honoured until {expired_at}.")]
    QuoteExpired {
        quote_id: QuoteId,
        expired_at: DateTime<Utc>,
    },
    #[error("The quote was used already.")]
    QuoteAlreadyUsed { quote_id: QuoteId, used_by: TransactionId },
    #[error("The quote is of {quoted_amount} for another spend: ask for what was quoted, or leave the quote out.")]
    QuoteDiffers { quote_id: QuoteId, quoted_amount: i64 },
    #[error("No hold has this id.")]
    HoldNotFound { hold_id: TransactionId },
    #[error("The hold was captured already.")]
    HoldAlreadyCaptured { hold_id: TransactionId, captured: i64 },
    #[error("The hold was voided already.")]
    HoldAlreadyVoided { hold_id: TransactionId },
    #[error("The hold expired at {expired_at}.")]
    HoldExpired {
        hold_id: TransactionId,
        expired_at: DateTime<Utc>,
    },
    #[error(
        "The hold is of {held}, less than the {requested} to be captured: say allow_over, or capture what is held."
    )]
    CaptureExceedsHold { held: i64, requested: i64 },
    #[error("expires_in_s: a hold lasts up to {limit} seconds, not {requested}.")]
    HoldTooLong { requested: i64, limit: u32 },
    #[error("All that remains in the grant, {held}, is held: void or capture the holds first.")]
    GrantHeld { grant_id: GrantId, held: i64 },
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
    #[error("interval: the plan {plan} is not offered by the {}.", interval.as_str())]
    UnknownInterval { plan: String, interval: Interval },
    #[error("anchor: the plan's cycles would reach beyond the year 9999.")]
    InvalidAnchor { anchor: DateTime<Utc> },
    #[error("plan: {plan} is renewed by Stripe: its subscriptions come from Stripe's events.")]
    PlanRenewedByStripe { plan: String },
    #[error("units: the plan {plan} has no units to add.")]
    UnitsNotOffered { plan: String },
    #[error("units: the plan {plan} takes up to {limit} units, not {requested}.")]
    TooManyUnits { plan: String, requested: u32, limit: u32 },
    #[error("No subscription has this id.")]
    SubscriptionNotFound { subscription_id: SubscriptionId },
    #[error("The subscription is cancelled and ends at {ends_at}.")]
    SubscriptionAlreadyCancelled {
        subscription_id: SubscriptionId,
        ends_at: DateTime<Utc>,
    },
    #[error("The subscription ended at {ended_at}.")]
    SubscriptionEnded {
        subscription_id: SubscriptionId,
        ended_at: DateTime<Utc>,
    },
    #[error("The account has {live} live subscriptions: {limit} is the most it may have.")]
    TooManySubscriptions { live: usize, limit: usize },
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
            Self::GateClosed { .. } => "gate_closed",
            Self::CapExceeded { .. } => "cap_exceeded",
            Self::ExceedsCapEver { .. } => "exceeds_cap_ever",
            Self::UnknownOperation { .. } => "unknown_operation",
            Self::Unpriced { reason, .. } => reason.code(),
            Self::CapOver { .. } => "invalid_caps",
            Self::QuoteNotFound { .. } => "quote_not_found",
            Self::QuoteExpired { .. } => "quote_expired",
            Self::QuoteAlreadyUsed { .. } => "quote_already_used",
            Self::QuoteDiffers { .. } => "quote_differs",
            Self::HoldNotFound { .. } => "hold_not_found",
            Self::HoldAlreadyCaptured { .. } => "hold_already_captured",
            Self::HoldAlreadyVoided { .. } => "hold_already_voided",
            Self::HoldExpired { .. } => "hold_expired",
            Self::CaptureExceedsHold { .. } => "capture_exceeds_hold",
            Self::HoldTooLong { .. } => "invalid_expires_in_s",
            Self::GrantHeld { .. } => "grant_held",
            Self::SpendNotFound { .. } => "spend_not_found",
            Self::RefundExceedsSpend { .. } => "refund_exceeds_spend",
            Self::SpendAlreadyRefunded { .. } => "spend_already_refunded",
            Self::SourceGrantExpired { .. } => "source_grant_expired",
            Self::UnknownPlan { .. } => "unknown_plan",
            Self::PlanWithoutAllowance { .. } => "plan_without_allowance",
            Self::UnknownInterval { .. } => "unknown_interval",
            Self::InvalidAnchor { .. } => "invalid_anchor",
            Self::PlanRenewedByStripe { .. } => "plan_renewed_by_stripe",
            Self::UnitsNotOffered { .. } => "units_not_offered",
            Self::TooManyUnits { .. } => "too_many_units",
            Self::SubscriptionNotFound { .. } => "subscription_not_found",
            Self::SubscriptionAlreadyCancelled { .. } => "subscription_already_cancelled",
            Self::SubscriptionEnded { .. } => "subscription_ended",
            Self::TooManySubscriptions { .. } => "too_many_subscriptions",
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
