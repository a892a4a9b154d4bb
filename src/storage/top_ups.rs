//! Top-ups: our own rows, which say what a payment buys.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Scope, StorageError, expect_rows,
    rows::{class, corrupt, json, money},
};
use crate::domain::{
    credits::Amount,
    ids::{AccountId, ApiKeyId, GrantId, TenantId, TopUpId},
    top_up::{Status, TopUp},
};

struct Row {
    id: Uuid,
    account_id: Uuid,
    status: String,
    pack: Option<String>,
    title: String,
    stripe_customer: Option<String>,
    email: Option<String>,
    program_version: i32,
    price_amount: i64,
    price_currency: String,
    credits: i64,
    class: i16,
    expiry: Value,
    expires_at: Option<DateTime<Utc>>,
    livemode: bool,
    attempt: i32,
    success_url: String,
    cancel_url: String,
    checkout_session_id: Option<String>,
    checkout_url: Option<String>,
    payment_intent_id: Option<String>,
    created_at: DateTime<Utc>,
    credited_at: Option<DateTime<Utc>>,
    grant_id: Option<Uuid>,
    failure: Option<String>,
}

impl TryFrom<Row> for TopUp {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        Ok(Self {
            id: TopUpId(row.id),
            account_id: AccountId(row.account_id),
            status: Status::parse(&row.status).ok_or_else(|| corrupt("a top-up's status", &row.status))?,
            pack: row.pack,
            title: row.title,
            stripe_customer: row.stripe_customer,
            email: row.email,
            program_version: row.program_version,
            price: money(row.price_amount, row.price_currency)?,
            credits: Amount::new(row.credits).ok_or_else(|| corrupt("a top-up's credits", row.credits))?,
            class: class(row.class)?,
            expiry: json("a top-up's expiry", row.expiry)?,
            expires_at: row.expires_at,
            livemode: row.livemode,
            attempt: row.attempt,
            success_url: row.success_url,
            cancel_url: row.cancel_url,
            checkout_session_id: row.checkout_session_id,
            checkout_url: row.checkout_url,
            payment_intent_id: row.payment_intent_id,
            created_at: row.created_at,
            credited_at: row.credited_at,
            grant_id: row.grant_id.map(GrantId),
            failure: row.failure,
        })
    }
}

/// Writes the row before Stripe is asked. `key`: the caller's idempotency key.
pub async fn insert(
    scope: &mut Scope,
    tenant: TenantId,
    top_up: &TopUp,
    key: Option<&str>,
    actor: Option<ApiKeyId>,
) -> Result<(), StorageError> {
    let expiry = serde_json::to_value(top_up.expiry).map_err(|e| corrupt("a top-up's expiry", e))?;
    sqlx::query!(
        "INSERT INTO top_ups (tenant_id, id, account_id, status, mode, pack, program_version, price_amount, price_currency,
             credits, class, expiry, expires_at, livemode, attempt, success_url, cancel_url, idempotency_key, actor_id,
             created_at, updated_at, title, stripe_customer, email)
         VALUES ($1, $2, $3, $4, 'checkout', $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $15, $16, $17, $18, $18, $19,
             $20, $21)",
        tenant.0,
        top_up.id.0,
        top_up.account_id.0,
        top_up.status.as_str(),
        top_up.pack,
        top_up.program_version,
        top_up.price.amount.get(),
        top_up.price.currency.as_str(),
        top_up.credits.get(),
        top_up.class.code(),
        expiry,
        top_up.expires_at,
        top_up.livemode,
        top_up.success_url,
        top_up.cancel_url,
        key,
        actor.map(|id| id.0),
        top_up.created_at,
        top_up.title,
        top_up.stripe_customer,
        top_up.email,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

macro_rules! select {
    ($condition:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            Row,
            "SELECT id, account_id, status, pack, title, stripe_customer, email, program_version, price_amount, price_currency, credits, class, expiry,
                    expires_at, livemode, attempt, success_url, cancel_url, checkout_session_id, checkout_url, payment_intent_id,
                    created_at, credited_at, grant_id, failure
             FROM top_ups " + $condition,
            $($argument),+
        )
    };
}

pub async fn by_id(scope: &mut Scope, tenant: TenantId, id: TopUpId) -> Result<Option<TopUp>, StorageError> {
    let row = select!("WHERE tenant_id = $1 AND id = $2", tenant.0, id.0)
        .fetch_optional(scope.connection())
        .await?;
    row.map(TopUp::try_from).transpose()
}

pub async fn by_idempotency_key(scope: &mut Scope, tenant: TenantId, key: &str) -> Result<Option<TopUp>, StorageError> {
    let row = select!("WHERE tenant_id = $1 AND idempotency_key = $2", tenant.0, key)
        .fetch_optional(scope.connection())
        .await?;
    row.map(TopUp::try_from).transpose()
}

pub async fn by_session(scope: &mut Scope, tenant: TenantId, session_id: &str) -> Result<Option<TopUp>, StorageError> {
    let row = select!(
        "WHERE tenant_id = $1 AND checkout_session_id = $2",
        tenant.0,
        session_id
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(TopUp::try_from).transpose()
}

pub async fn by_payment_intent(
    scope: &mut Scope,
    tenant: TenantId,
    payment_intent_id: &str,
) -> Result<Option<TopUp>, StorageError> {
    let row = select!(
        "WHERE tenant_id = $1 AND payment_intent_id = $2",
        tenant.0,
        payment_intent_id
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(TopUp::try_from).transpose()
}

/// An account's top-ups, newest first.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    before: Option<TopUpId>,
    limit: i64,
) -> Result<Vec<TopUp>, StorageError> {
    let rows = select!(
        "WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        tenant.0,
        account.0,
        before.map(|id| id.0),
        limit
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(TopUp::try_from).collect()
}

/// Stripe refused, so the next request may name another buyer: the account as it is now.
pub async fn name_buyer(
    scope: &mut Scope,
    tenant: TenantId,
    id: TopUpId,
    stripe_customer: Option<&str>,
    email: Option<&str>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "UPDATE top_ups SET stripe_customer = $3, email = $4 WHERE tenant_id = $1 AND id = $2 AND status = 'failed'",
        tenant.0,
        id.0,
        stripe_customer,
        email,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// Stripe made the checkout. An event may have come first and be further along. False: the top-up has another checkout.
pub async fn mark_open(
    scope: &mut Scope,
    tenant: TenantId,
    id: TopUpId,
    session_id: &str,
    url: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let done = sqlx::query!(
        "UPDATE top_ups SET status = CASE WHEN status IN ('created', 'failed') THEN 'open' ELSE status END,
             checkout_session_id = $3, checkout_url = $4, failure = NULL, updated_at = $5
         WHERE tenant_id = $1 AND id = $2 AND (checkout_session_id IS NULL OR checkout_session_id = $3)",
        tenant.0,
        id.0,
        session_id,
        url,
        now,
    )
    .execute(scope.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes which of Stripe's objects pay for it. What is noted already stays.
pub async fn link(
    scope: &mut Scope,
    tenant: TenantId,
    id: TopUpId,
    session_id: Option<&str>,
    payment_intent_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let done = sqlx::query!(
        "UPDATE top_ups SET checkout_session_id = coalesce(checkout_session_id, $3),
             payment_intent_id = coalesce(payment_intent_id, $4), updated_at = $5
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
        session_id,
        payment_intent_id,
        now,
    )
    .execute(scope.connection())
    .await?;
    expect_rows("top-ups linked", done.rows_affected(), 1)
}

/// Stripe refused attempt `attempt`: the next request is a new one to Stripe. A refusal that comes after a newer attempt, or
/// after the checkout was made after all, changes nothing.
pub async fn mark_refused(
    scope: &mut Scope,
    tenant: TenantId,
    id: TopUpId,
    attempt: i32,
    failure: &str,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "UPDATE top_ups SET status = 'failed', attempt = attempt + 1, failure = $4, updated_at = $5
         WHERE tenant_id = $1 AND id = $2 AND attempt = $3 AND status IN ('created', 'failed')",
        tenant.0,
        id.0,
        attempt,
        failure,
        now,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// Moves a top-up that is not credited to another state short of that.
pub async fn set_status(
    scope: &mut Scope,
    tenant: TenantId,
    id: TopUpId,
    status: Status,
    failure: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "UPDATE top_ups SET status = $3, failure = $4, updated_at = $5
         WHERE tenant_id = $1 AND id = $2 AND status <> 'credited'",
        tenant.0,
        id.0,
        status.as_str(),
        failure,
        now,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// The credits are posted; in the posting's own transaction.
pub(super) async fn mark_credited(
    scope: &mut Scope,
    tenant: TenantId,
    id: TopUpId,
    grant_id: GrantId,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let done = sqlx::query!(
        "UPDATE top_ups SET status = 'credited', grant_id = $3, credited_at = $4, updated_at = $4, failure = NULL
         WHERE tenant_id = $1 AND id = $2 AND status <> 'credited'",
        tenant.0,
        id.0,
        grant_id.0,
        now,
    )
    .execute(scope.connection())
    .await?;
    expect_rows("top-ups credited", done.rows_affected(), 1)
}
