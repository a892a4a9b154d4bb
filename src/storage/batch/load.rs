//! Locking a batch's accounts and reading what its commands decide on.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use uuid::Uuid;

use super::{AccountKey, TenantKey};
use crate::{
    domain::{
        decide::{AccountState, SpendRecord},
        grant::Grant,
        ids::{AccountId, QuoteId, SubscriptionId, TenantId, TransactionId},
    },
    storage::{
        Scope, StorageError, account_states::Head, grants, holds, quotes, rows::GrantRow, subscriptions, transactions,
    },
};

/// What a batch decides on.
pub struct Loaded {
    /// Those of the accounts asked for that exist, locked.
    pub accounts: HashMap<AccountKey, AccountState>,
    /// Transactions that already carry one of the batch's keys.
    pub posted: Vec<Uuid>,
    /// Keys of the batch that came with a request that posts nothing.
    pub taken: HashSet<TenantKey>,
}

/// Locks the accounts in the order of their ids, so that no two batches, of whichever process, wait for each other in a
/// circle; and reads their open grants.
///
/// The statement's snapshot is older than its locks: where it waited for another process, it holds the newest head but
/// the grants from before. Such a head has another version than the snapshot's copy of it, and then the whole is read
/// again, now under the lock.
pub async fn load(scope: &mut Scope, accounts: &[AccountKey], keys: &[TenantKey]) -> Result<Loaded, StorageError> {
    match load_once(scope, accounts, keys).await? {
        Some(loaded) => Ok(loaded),
        None => load_once(scope, accounts, keys)
            .await?
            .ok_or(StorageError::RowsAffected {
                what: "accounts that changed under their lock",
                affected: 1,
                expected: 0,
            }),
    }
}

/// None: the snapshot was stale.
async fn load_once(
    scope: &mut Scope,
    accounts: &[AccountKey],
    keys: &[TenantKey],
) -> Result<Option<Loaded>, StorageError> {
    let account_tenants: Vec<Uuid> = accounts.iter().map(|a| a.tenant.0).collect();
    let external_ids: Vec<&str> = accounts.iter().map(|a| a.external_id.as_str()).collect();
    let key_tenants: Vec<Uuid> = keys.iter().map(|k| k.tenant.0).collect();
    let key_texts: Vec<&str> = keys.iter().map(|k| k.key.as_str()).collect();
    let rows = sqlx::query!(
        r#"
        WITH locked AS MATERIALIZED (
            SELECT h.tenant_id, h.account_id, h.external_id, h.version, h.credits, h.used, h.cycle_starts_at, h.cycle_ends_at,
                h.counts_since, h.due_at, h.live_subscriptions, h.open_holds, h.cap_counters, h.cap_overrides
            FROM unnest($1::uuid[], $2::text[]) AS wanted (tenant_id, external_id)
            JOIN account_heads h ON h.tenant_id = wanted.tenant_id AND h.external_id = wanted.external_id
            ORDER BY h.tenant_id, h.account_id
            FOR NO KEY UPDATE OF h
        )
        SELECT
            l.tenant_id AS "tenant_id!", l.account_id AS "account_id!", l.external_id AS "external_id!",
            l.version AS "version!", l.credits AS "credits!", l.used AS "used!", l.cycle_starts_at, l.cycle_ends_at,
            l.counts_since, l.due_at, l.live_subscriptions AS "live_subscriptions!", l.open_holds AS "open_holds!", l.cap_counters, l.cap_overrides,
            snapshot.version AS "snapshot_version!",
            g.id AS "grant_id?", g.transaction_id AS "transaction_id?", g.class AS "class?", g.origin AS "origin?",
            g.priority AS "priority?", g.amount AS "amount?", g.remaining AS "remaining?", g.held AS "held?",
            g.effective_at AS "effective_at?", g.expires_at, g.applies_to, g.paid_amount, g.paid_currency, g.top_up_id,
            g.source_grant_id, g.subscription_id, g.program_version,
            (SELECT array_agg(t.id)
             FROM unnest($3::uuid[], $4::text[]) AS k (tenant_id, idempotency_key)
             JOIN transactions t ON t.tenant_id = k.tenant_id AND t.idempotency_key = k.idempotency_key) AS posted,
            (SELECT array_agg(r.tenant_id || '/' || r.idempotency_key)
             FROM unnest($3::uuid[], $4::text[]) AS k (tenant_id, idempotency_key)
             JOIN idempotent_requests r ON r.tenant_id = k.tenant_id AND r.idempotency_key = k.idempotency_key) AS taken
        FROM locked l
        JOIN account_heads snapshot ON snapshot.tenant_id = l.tenant_id AND snapshot.account_id = l.account_id
        LEFT JOIN grants g ON g.tenant_id = l.tenant_id AND g.account_id = l.account_id AND g.closed_at IS NULL
        "#,
        &account_tenants,
        external_ids.as_slice() as &[&str],
        &key_tenants,
        key_texts.as_slice() as &[&str],
    )
    .fetch_all(scope.connection())
    .await?;

    let mut loaded = Loaded {
        accounts: HashMap::with_capacity(accounts.len()),
        posted: Vec::new(),
        taken: HashSet::new(),
    };
    let mut more = More::default();
    for (n, row) in rows.into_iter().enumerate() {
        if row.version != row.snapshot_version {
            return Ok(None);
        }
        if n == 0 {
            loaded.posted = row.posted.unwrap_or_default();
            let taken: HashSet<String> = row.taken.unwrap_or_default().into_iter().collect();
            loaded.taken = keys
                .iter()
                .filter(|k| taken.contains(&format!("{}/{}", k.tenant, k.key)))
                .cloned()
                .collect();
        }
        let external_id = crate::storage::rows::parsed("an account's id", row.external_id)?;
        let key = AccountKey {
            tenant: TenantId(row.tenant_id),
            external_id,
        };
        let state = match loaded.accounts.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                more.note(new.key(), row.account_id, &row.live_subscriptions, &row.open_holds);
                let external_id = new.key().external_id.clone();
                let state = new.insert(AccountState::empty(AccountId(row.account_id), external_id));
                let head = Head {
                    version: row.version,
                    credits: row.credits,
                    used: row.used,
                    cycle_starts_at: row.cycle_starts_at,
                    cycle_ends_at: row.cycle_ends_at,
                    counts_since: row.counts_since,
                    due_at: row.due_at,
                    live_subscriptions: row.live_subscriptions,
                    open_holds: row.open_holds,
                    cap_counters: row.cap_counters,
                    cap_overrides: row.cap_overrides,
                };
                head.fill(state)?;
                state
            }
        };
        if let (Some(id), Some(transaction_id), Some(class), Some(origin), Some(priority), Some(amount)) = (
            row.grant_id,
            row.transaction_id,
            row.class,
            row.origin,
            row.priority,
            row.amount,
        ) && let (Some(remaining), Some(held), Some(effective_at)) = (row.remaining, row.held, row.effective_at)
        {
            let grant = GrantRow {
                id,
                transaction_id,
                class,
                origin,
                priority,
                amount,
                remaining,
                held,
                effective_at,
                expires_at: row.expires_at,
                applies_to: row.applies_to,
                paid_amount: row.paid_amount,
                paid_currency: row.paid_currency,
                top_up_id: row.top_up_id,
                source_grant_id: row.source_grant_id,
                subscription_id: row.subscription_id,
                program_version: row.program_version,
            };
            state.grants.push(Grant::try_from(grant)?);
        }
    }
    more.load(scope, &mut loaded.accounts).await?;
    Ok(Some(loaded))
}

/// The accounts of a batch that have subscriptions or open holds: most have neither, and then nothing more is read.
#[derive(Default)]
struct More {
    keys: HashMap<AccountId, AccountKey>,
    /// (tenant, id), column by column.
    subscriptions: (Vec<Uuid>, Vec<Uuid>),
    holds: (Vec<Uuid>, Vec<Uuid>),
}

impl More {
    fn note(&mut self, key: &AccountKey, account: Uuid, live_subscriptions: &[Uuid], open_holds: &[Uuid]) {
        for (wanted, (tenants, ids)) in [
            (live_subscriptions, &mut self.subscriptions),
            (open_holds, &mut self.holds),
        ] {
            if !wanted.is_empty() {
                tenants.extend(wanted.iter().map(|_| key.tenant.0));
                ids.extend(wanted);
                self.keys.insert(AccountId(account), key.clone());
            }
        }
    }

    async fn load(self, scope: &mut Scope, states: &mut HashMap<AccountKey, AccountState>) -> Result<(), StorageError> {
        let (tenants, ids) = &self.subscriptions;
        for (account, subscription) in subscriptions::by_ids(scope, tenants, ids).await? {
            if let Some(state) = self.keys.get(&account).and_then(|key| states.get_mut(key)) {
                state.subscriptions.push(subscription);
            }
        }
        let (tenants, ids) = &self.holds;
        for (account, hold) in holds::by_ids(scope, tenants, ids).await? {
            if let Some(state) = self.keys.get(&account).and_then(|key| states.get_mut(key)) {
                state.holds.push(hold);
            }
        }
        Ok(())
    }
}

/// Adds to a locked account the spend that a refund refers to: what it drew, what went back of it already, and the
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

/// Adds to a locked account the hold that a command names, if it is the account's and not open any more.
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

/// Adds to a locked account the subscription that a command names, if it is the account's and has ended.
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

/// Adds to a locked account the quote that a command names, if it is the account's.
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
