//! Commands: everything that can be asked of an account's credits.

use chrono::{DateTime, Utc};

use crate::domain::{
    credits::Amount,
    grant::{Class, Origin},
    ids::{ApiKeyId, GrantId, TransactionId},
    money::Money,
    top_up::TopUp,
    transaction::Idempotency,
};

/// A wish to change one account's balance, and who has it.
#[derive(Debug, Clone)]
pub struct Command {
    /// The key that asks; none for what Scrip does by itself.
    pub actor: Option<ApiKeyId>,
    /// Every command that moves credits has one: a caller's, or one that Scrip derives from the object concerned.
    pub idempotency: Option<Idempotency>,
    /// Decide and answer, post nothing.
    pub dry_run: bool,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    Grant(GrantCredits),
    GrantPlan(GrantPlan),
    Spend(SpendCredits),
    Refund(RefundSpend),
    Revoke(RevokeGrant),
    CreditTopUp(Box<CreditTopUp>),
}

#[derive(Debug, Clone)]
pub struct GrantCredits {
    pub class: Class,
    pub origin: Origin,
    pub amount: Amount,
    /// None: now.
    pub effective_at: Option<DateTime<Utc>>,
    /// None: never.
    pub expires_at: Option<DateTime<Utc>>,
    pub priority: i32,
    pub applies_to: Option<Vec<String>>,
    /// What was paid for it, outside Scrip.
    pub paid: Option<Money>,
    pub reason: Option<String>,
}

/// One cycle's allowance of a plan of the program in force, from `effective_at` to the end of the cycle.
#[derive(Debug, Clone)]
pub struct GrantPlan {
    pub plan: String,
    /// None: now.
    pub effective_at: Option<DateTime<Utc>>,
    pub priority: i32,
    pub applies_to: Option<Vec<String>>,
    /// What was paid for it, outside Scrip.
    pub paid: Option<Money>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone)]
pub struct SpendCredits {
    pub amount: Amount,
    pub operation: Option<String>,
    pub member: Option<String>,
    /// Take what there is if there is less.
    pub partial: bool,
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Clone)]
pub struct RefundSpend {
    pub spend_id: TransactionId,
    /// None: all that was not refunded yet.
    pub amount: Option<Amount>,
    pub reason: String,
    pub ticket: Option<String>,
}

#[derive(Debug, Clone)]
pub struct RevokeGrant {
    pub grant_id: GrantId,
    pub reason: Option<String>,
}

/// Credits a purchase that Stripe says is paid: from our own row, as it was agreed.
#[derive(Debug, Clone)]
pub struct CreditTopUp {
    pub top_up: TopUp,
}
