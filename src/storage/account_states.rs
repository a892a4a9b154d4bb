//! Accounts' states, as the rules see them and as of their last postings.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Scope, StorageError, counters, grants, holds,
    rows::{corrupt, json, parsed},
    subscriptions,
};
use crate::domain::{
    cycle::{Cycle, Usage},
    decide::AccountState,
    ids::{AccountId, TenantId},
};

/// A row of `account_heads`.
struct Head {
    tenant_id: Uuid,
    account_id: Uuid,
    external_id: String,
    version: i64,
    credits: i64,
    used: i64,
    cycle_starts_at: Option<DateTime<Utc>>,
    cycle_ends_at: Option<DateTime<Utc>>,
    counts_since: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
    live_subscriptions: Vec<Uuid>,
    open_holds: Vec<Uuid>,
    counted: Option<String>,
    cap_overrides: Option<Value>,
}

impl Head {
    /// The state, but for what the head only names.
    fn into_state(self) -> Result<AccountState, StorageError> {
        let cycle = self.cycle_starts_at.zip(self.cycle_ends_at);
        let mut state = AccountState::empty(AccountId(self.account_id), parsed("an account's id", self.external_id)?);
        state.version = self.version;
        state.credits = self.credits;
        state.usage = Usage {
            used: self.used,
            cycle: cycle.map(|(starts_at, ends_at)| Cycle { starts_at, ends_at }),
            since: self.counts_since,
        };
        state.due_at = self.due_at;
        state.counters = counters::read(self.counted.as_deref())?;
        if let Some(overrides) = self.cap_overrides {
            state.cap_overrides = json("an account's caps", overrides)?;
        }
        Ok(state)
    }
}

/// The states of accounts: their heads, open grants, live subscriptions and open holds. They are of one instant if the
/// accounts are locked, or the scope is a snapshot.
pub async fn read(
    scope: &mut Scope,
    accounts: &[(TenantId, AccountId)],
) -> Result<Vec<(TenantId, AccountState)>, StorageError> {
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let tenants: Vec<Uuid> = accounts.iter().map(|(tenant, _)| tenant.0).collect();
    let ids: Vec<Uuid> = accounts.iter().map(|(_, account)| account.0).collect();
    let heads = sqlx::query_as!(
        Head,
        "SELECT h.tenant_id, h.account_id, h.external_id, h.version, h.credits, h.used, h.cycle_starts_at, h.cycle_ends_at,
            h.counts_since, h.due_at, h.live_subscriptions, h.open_holds, h.counted, h.cap_overrides
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, account_id)
         JOIN account_heads h ON h.tenant_id = wanted.tenant_id AND h.account_id = wanted.account_id",
        &tenants,
        &ids,
    )
    .fetch_all(scope.connection())
    .await?;
    if heads.len() != accounts.len() {
        return Err(corrupt("an account's head", "is missing"));
    }
    let mut states = HashMap::with_capacity(heads.len());
    // Ids, so that rows are looked for only where there are some: most accounts have neither.
    let (mut live, mut open) = (Wanted::default(), Wanted::default());
    for head in heads {
        live.add(head.tenant_id, &head.live_subscriptions);
        open.add(head.tenant_id, &head.open_holds);
        states.insert(
            AccountId(head.account_id),
            (TenantId(head.tenant_id), head.into_state()?),
        );
    }
    for (account, grant) in grants::open(scope, &tenants, &ids).await? {
        if let Some((_, state)) = states.get_mut(&account) {
            state.grants.push(grant);
        }
    }
    for (account, subscription) in subscriptions::by_ids(scope, &live.tenants, &live.ids).await? {
        if let Some((_, state)) = states.get_mut(&account) {
            state.subscriptions.push(subscription);
        }
    }
    for (account, hold) in holds::by_ids(scope, &open.tenants, &open.ids).await? {
        if let Some((_, state)) = states.get_mut(&account) {
            state.holds.push(hold);
        }
    }
    Ok(states.into_values().collect())
}

/// The state of one account.
pub async fn read_one(scope: &mut Scope, tenant: TenantId, account: AccountId) -> Result<AccountState, StorageError> {
    let states = read(scope, &[(tenant, account)]).await?;
    let only = states.into_iter().next();
    only.map(|(_, state)| state)
        .ok_or_else(|| corrupt("an account's head", "is missing"))
}

/// Rows to be read, by tenant and id.
#[derive(Default)]
struct Wanted {
    tenants: Vec<Uuid>,
    ids: Vec<Uuid>,
}

impl Wanted {
    fn add(&mut self, tenant: Uuid, ids: &[Uuid]) {
        self.tenants.extend(ids.iter().map(|_| tenant));
        self.ids.extend(ids);
    }
}
