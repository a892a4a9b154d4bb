//! An account's state as the rules see it, for reading: what a batch loads, without the lock.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Scope, StorageError, accounts::Account, grants, holds, rows::json, subscriptions};
use crate::domain::{
    cycle::{Cycle, Usage},
    decide::AccountState,
    ids::TenantId,
};

/// A head's columns beside its key.
pub(super) struct Head {
    pub version: i64,
    pub credits: i64,
    pub used: i64,
    pub cycle_starts_at: Option<DateTime<Utc>>,
    pub cycle_ends_at: Option<DateTime<Utc>>,
    pub counts_since: Option<DateTime<Utc>>,
    pub due_at: Option<DateTime<Utc>>,
    pub live_subscriptions: Vec<Uuid>,
    pub open_holds: Vec<Uuid>,
    pub cap_counters: Option<serde_json::Value>,
    pub cap_overrides: Option<serde_json::Value>,
}

impl Head {
    /// Sets what the head says of `state`.
    pub fn fill(self, state: &mut AccountState) -> Result<(), StorageError> {
        let cycle = self.cycle_starts_at.zip(self.cycle_ends_at);
        state.version = self.version;
        state.credits = self.credits;
        state.usage = Usage {
            used: self.used,
            cycle: cycle.map(|(starts_at, ends_at)| Cycle { starts_at, ends_at }),
            since: self.counts_since,
        };
        state.due_at = self.due_at;
        if let Some(counters) = self.cap_counters {
            state.counters = json("the counters of caps", counters)?;
        }
        if let Some(overrides) = self.cap_overrides {
            state.cap_overrides = json("an account's caps", overrides)?;
        }
        Ok(())
    }
}

/// The state of an account as of its last posting.
pub async fn read(scope: &mut Scope, tenant: TenantId, account: &Account) -> Result<AccountState, StorageError> {
    let head = sqlx::query_as!(
        Head,
        "SELECT version, credits, used, cycle_starts_at, cycle_ends_at, counts_since, due_at, live_subscriptions,
            open_holds, cap_counters, cap_overrides
         FROM account_heads WHERE tenant_id = $1 AND account_id = $2",
        tenant.0,
        account.id.0,
    )
    .fetch_one(scope.connection())
    .await?;
    let mut state = AccountState::empty(account.id, account.external_id.clone());
    let of_tenant = |ids: &[Uuid]| vec![tenant.0; ids.len()];
    let subscriptions = of_tenant(&head.live_subscriptions);
    let subscriptions = subscriptions::by_ids(scope, &subscriptions, &head.live_subscriptions).await?;
    let holds = holds::by_ids(scope, &of_tenant(&head.open_holds), &head.open_holds).await?;
    head.fill(&mut state)?;
    state.grants = grants::open(scope, tenant, account.id).await?;
    state.subscriptions = subscriptions
        .into_iter()
        .map(|(_, subscription)| subscription)
        .collect();
    state.holds = holds.into_iter().map(|(_, hold)| hold).collect();
    Ok(state)
}
