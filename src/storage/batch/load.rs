//! Looking at what a batch's commands are about, and reading what they decide on.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{AccountKey, TenantKey};
use crate::{
    domain::{
        decide::{AccountState, SpendRecord},
        ids::{AccountId, QuoteId, SubscriptionId, TenantId, TransactionId},
    },
    storage::{Scope, StorageError, grants, holds, quotes, rows::corrupt, subscriptions, transactions},
};

/// Locks those of the accounts that exist, in the order of their ids, so that no two batches, of whichever process, wait
/// for each other in a circle. Statements after it see what others did until they released the locks. How many it locked.
pub async fn lock(scope: &mut Scope, accounts: &[AccountKey]) -> Result<usize, StorageError> {
    let tenants: Vec<Uuid> = accounts.iter().map(|a| a.tenant.0).collect();
    let external_ids: Vec<&str> = accounts.iter().map(|a| a.external_id.as_str()).collect();
    let locked = sqlx::query!(
        "SELECT FROM unnest($1::uuid[], $2::text[]) AS wanted (tenant_id, external_id)
         JOIN account_heads h ON h.tenant_id = wanted.tenant_id AND h.external_id = wanted.external_id
         ORDER BY h.tenant_id, h.account_id
         FOR NO KEY UPDATE OF h",
        &tenants,
        external_ids.as_slice() as &[&str],
    )
    .execute(scope.connection())
    .await?;
    usize::try_from(locked.rows_affected()).map_err(|e| corrupt("a number of rows", e))
}

/// What a batch is about, as of one instant.
pub struct Look {
    /// Those of the accounts that exist.
    pub accounts: Vec<Found>,
    /// Transactions that carry one of the keys.
    pub posted: Vec<Uuid>,
    /// Keys that came with a request that posts nothing.
    pub taken: HashSet<TenantKey>,
    /// What the test clocks show that were set.
    pub clocks: HashMap<TenantId, DateTime<Utc>>,
}

/// An account that exists.
pub struct Found {
    pub key: AccountKey,
    pub id: AccountId,
    /// Of its head. It rises with every posting, so whoever knows the account at this version knows it as it is.
    pub version: i64,
}

/// Looks up the accounts, the keys, and the clocks of the tenants that may have one.
pub async fn look(
    scope: &mut Scope,
    accounts: &[AccountKey],
    keys: &[TenantKey],
    sandboxes: &[TenantId],
) -> Result<Look, StorageError> {
    let account_tenants: Vec<Uuid> = accounts.iter().map(|a| a.tenant.0).collect();
    let external_ids: Vec<&str> = accounts.iter().map(|a| a.external_id.as_str()).collect();
    let key_tenants: Vec<Uuid> = keys.iter().map(|k| k.tenant.0).collect();
    let key_texts: Vec<&str> = keys.iter().map(|k| k.key.as_str()).collect();
    let sandboxes: Vec<Uuid> = sandboxes.iter().map(|tenant| tenant.0).collect();
    let row = sqlx::query!(
        r#"
        SELECT h.places, h.ids, h.versions, c.tenants AS clock_tenants, c.times AS clock_times,
            (SELECT array_agg(t.id)
             FROM unnest($3::uuid[], $4::text[]) AS k (tenant_id, idempotency_key)
             JOIN transactions t ON t.tenant_id = k.tenant_id AND t.idempotency_key = k.idempotency_key) AS posted,
            (SELECT array_agg(k.place)
             FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS k (tenant_id, idempotency_key, place)
             JOIN idempotent_requests r ON r.tenant_id = k.tenant_id AND r.idempotency_key = k.idempotency_key) AS taken
        FROM (
            SELECT array_agg(wanted.place) AS places, array_agg(h.account_id) AS ids, array_agg(h.version) AS versions
            FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS wanted (tenant_id, external_id, place)
            JOIN account_heads h ON h.tenant_id = wanted.tenant_id AND h.external_id = wanted.external_id
        ) AS h, (
            SELECT array_agg(tenant_id) AS tenants, array_agg(at) AS times FROM test_clocks WHERE tenant_id = ANY ($5)
        ) AS c
        "#,
        &account_tenants,
        external_ids.as_slice() as &[&str],
        &key_tenants,
        key_texts.as_slice() as &[&str],
        &sandboxes,
    )
    .fetch_one(scope.connection())
    .await?;
    let (ids, versions) = (row.ids.unwrap_or_default(), row.versions.unwrap_or_default());
    let found = row
        .places
        .unwrap_or_default()
        .into_iter()
        .zip(ids.into_iter().zip(versions));
    let found = found.map(|(place, (id, version))| {
        Ok(Found {
            key: at_place(accounts, place)?,
            id: AccountId(id),
            version,
        })
    });
    let taken = row.taken.unwrap_or_default().into_iter();
    let clock_tenants = row.clock_tenants.unwrap_or_default().into_iter().map(TenantId);
    Ok(Look {
        accounts: found.collect::<Result<_, StorageError>>()?,
        posted: row.posted.unwrap_or_default(),
        taken: taken.map(|place| at_place(keys, place)).collect::<Result<_, _>>()?,
        clocks: clock_tenants.zip(row.clock_times.unwrap_or_default()).collect(),
    })
}

/// What stands at a place that WITH ORDINALITY counted, from 1.
fn at_place<T: Clone>(items: &[T], place: i64) -> Result<T, StorageError> {
    let index = usize::try_from(place - 1).ok();
    let item = index.and_then(|index| items.get(index));
    item.cloned().ok_or_else(|| corrupt("a place in a batch", place))
}

/// Adds to an account the spend that a refund refers to: what it drew, what went back of it already, and the
/// grants it drew from, which may be closed. Nothing is added if the account has no such spend.
pub async fn load_spend(
    scope: &mut Scope,
    tenant: TenantId,
    account: &mut AccountState,
    spend_id: TransactionId,
) -> Result<(), StorageError> {
    if account.spends.contains_key(&spend_id) {
        return Ok(());
    }
    let Some(spend) = transactions::spend(scope, tenant, spend_id).await? else {
        return Ok(());
    };
    if spend.account_id != account.id {
        return Ok(());
    }
    let drawdown: Vec<_> = spend.transaction.drawn().collect();
    let unknown: Vec<Uuid> = drawdown
        .iter()
        .filter(|draw| account.grant(draw.grant_id).is_none())
        .map(|draw| draw.grant_id.0)
        .collect();
    account.grants.extend(grants::by_ids(scope, tenant, &unknown).await?);
    account.spends.insert(
        spend_id,
        SpendRecord {
            amount: spend.transaction.amount,
            refunded: spend.refunded,
            created_at: spend.transaction.created_at,
            counted_at: spend
                .transaction
                .detail
                .hold
                .as_ref()
                .map_or(spend.transaction.created_at, |hold| hold.created_at),
            over: spend
                .transaction
                .detail
                .hold
                .as_ref()
                .map_or(0, |hold| (hold.captured - hold.amount).max(0)),
            operation: spend.transaction.detail.operation,
            member: spend.transaction.detail.member,
            drawdown,
        },
    );
    Ok(())
}

/// Adds to an account the hold that a command names, if it is the account's and not open any more.
pub async fn load_hold(
    scope: &mut Scope,
    tenant: TenantId,
    account: &mut AccountState,
    hold_id: TransactionId,
) -> Result<(), StorageError> {
    if account.hold(hold_id).is_none()
        && let Some((owner, hold)) = holds::by_id(scope, tenant, hold_id).await?
        && owner == account.id
    {
        account.holds.push(hold);
    }
    Ok(())
}

/// Adds to an account the subscription that a command names, if it is the account's and has ended.
pub async fn load_subscription(
    scope: &mut Scope,
    tenant: TenantId,
    account: &mut AccountState,
    id: SubscriptionId,
) -> Result<(), StorageError> {
    if account.subscription(id).is_none()
        && let Some((owner, subscription)) = subscriptions::by_id(scope, tenant, id).await?
        && owner == account.id
    {
        account.subscriptions.push(subscription);
    }
    Ok(())
}

/// Adds to an account the quote that a command names, if it is the account's.
pub async fn load_quote(
    scope: &mut Scope,
    tenant: TenantId,
    account: &mut AccountState,
    id: QuoteId,
) -> Result<(), StorageError> {
    if !account.quotes.contains_key(&id)
        && let Some(quote) = quotes::by_id(scope, tenant, id).await?
        && quote.account_id == account.id
    {
        account.quotes.insert(id, quote);
    }
    Ok(())
}
