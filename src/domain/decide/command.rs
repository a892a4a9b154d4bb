//! Commands: everything that can be asked of an account's credits.

use chrono::{DateTime, Utc};

use crate::domain::{
    cap::CapOverride,
    credits::Amount,
    cycle::Interval,
    grant::{Class, Origin},
    ids::{ApiKeyId, GrantId, QuoteId, SubscriptionId, TransactionId},
    money::Money,
    program::Wanted,
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

impl Command {
    /// The quote that it names.
    pub fn quote_id(&self) -> Option<QuoteId> {
        match &self.action {
            Action::Spend(spend) => spend.charge.quote_id,
            Action::PlaceHold(hold) => hold.charge.quote_id,
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Action {
    Grant(GrantCredits),
    GrantPlan(GrantPlan),
    Spend(SpendCredits),
    PlaceHold(PlaceHold),
    CaptureHold(CaptureHold),
    VoidHold(VoidHold),
    Refund(RefundSpend),
    Revoke(RevokeGrant),
    CreditTopUp(Box<CreditTopUp>),
    Subscribe(Subscribe),
    ChangeSubscription(ChangeSubscription),
    SetCaps(SetCaps),
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

/// What is to be paid for. An amount, a priced operation, or a quote of either.
#[derive(Debug, Clone, Default)]
pub struct Charge {
    /// None: what the operation costs, or what was quoted.
    pub amount: Option<Amount>,
    pub operation: Option<String>,
    /// Of a priced operation. None: one of it, without attributes.
    pub wanted: Option<Wanted>,
    pub quote_id: Option<QuoteId>,
    pub member: Option<String>,
}

#[derive(Debug, Clone)]
pub struct SpendCredits {
    pub charge: Charge,
    /// Take what there is if there is less.
    pub partial: bool,
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Clone)]
pub struct PlaceHold {
    pub charge: Charge,
    /// Hold what there is if there is less.
    pub partial: bool,
    /// None: as the program says.
    pub expires_in_s: Option<i64>,
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Clone)]
pub struct CaptureHold {
    pub hold_id: TransactionId,
    /// None: all that is held.
    pub amount: Option<Amount>,
    /// Whether it may be more than is held.
    pub allow_over: bool,
}

#[derive(Debug, Clone)]
pub struct VoidHold {
    pub hold_id: TransactionId,
    pub reason: Option<String>,
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

#[derive(Debug, Clone)]
pub struct Subscribe {
    pub plan: String,
    /// None: now.
    pub anchor: Option<DateTime<Utc>>,
    /// None: the plan's first.
    pub interval: Option<Interval>,
    pub units: u32,
}

/// What is to be different; the rest stays.
#[derive(Debug, Clone)]
pub struct ChangeSubscription {
    pub subscription_id: SubscriptionId,
    pub plan: Option<String>,
    pub interval: Option<Interval>,
    pub units: Option<u32>,
    /// True: it ends with its billing cycle. False: it does not, after all.
    pub cancel: Option<bool>,
}

/// Support's caps for the account: all of them, in the place of those before.
#[derive(Debug, Clone)]
pub struct SetCaps {
    pub caps: Vec<CapOverride>,
    pub reason: String,
    pub ticket: Option<String>,
}
