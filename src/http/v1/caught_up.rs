//! Accounts as their tenant's time has left them: whoever looks sees what has fallen due, whether a job has come by or not.

use chrono::{DateTime, Utc};
use std::sync::Arc;

use super::account;
use crate::{
    domain::{
        account::ExternalId,
        decide::{AccountState, catch_up, next_due},
        ids::TenantId,
        tenant::Mode,
    },
    http::{error::Problem, state::AppState},
    ledger::InForce,
    random,
    storage::{Scope, account_states, accounts::Account, batch::AccountKey, due, test_clocks},
};

/// An account, its state at `now`, and the snapshot in which it was read.
pub(super) struct Seen {
    pub scope: Scope,
    pub account: Account,
    pub state: AccountState,
    pub in_force: Arc<InForce>,
    pub now: DateTime<Utc>,
}

/// The tenant's time: the machine's, or what its test clock shows.
pub(super) async fn tenant_now(
    state: &AppState,
    scope: &mut Scope,
    tenant: TenantId,
    in_force: &InForce,
) -> Result<DateTime<Utc>, Problem> {
    if in_force.mode == Mode::Live {
        return Ok(state.now());
    }
    Ok(test_clocks::now(scope, tenant, state.now()).await?)
}

/// Looks at an account. What is due is posted first, so that every list and every figure tells the same.
pub(super) async fn see(state: &AppState, tenant: TenantId, id: &ExternalId) -> Result<Seen, Problem> {
    let in_force = state.ledger.programs.in_force(tenant).await?;
    let first = look(state, tenant, id, Arc::clone(&in_force)).await?;
    if next_due(&first.state).is_none_or(|at| at > first.now) {
        return Ok(first);
    }
    first.scope.commit().await?;
    run_due(state, tenant, id).await?;
    let mut seen = look(state, tenant, id, in_force).await?;
    // What fell due since then is shown as it will be posted.
    catch_up(
        &mut seen.state,
        seen.now,
        &seen.in_force.history,
        &mut random::id_source(),
    );
    Ok(seen)
}

async fn look(state: &AppState, tenant: TenantId, id: &ExternalId, in_force: Arc<InForce>) -> Result<Seen, Problem> {
    let mut scope = state.db.snapshot(tenant).await?;
    let account = account(&mut scope, tenant, id).await?;
    let seen = account_states::read_one(&mut scope, tenant, account.id).await?;
    let now = tenant_now(state, &mut scope, tenant, &in_force).await?;
    Ok(Seen {
        scope,
        account,
        state: seen,
        in_force,
        now,
    })
}

/// A snapshot in which what has fallen due for the account is posted, for lists of what was.
pub(super) async fn snapshot(
    state: &AppState,
    tenant: TenantId,
    id: &ExternalId,
) -> Result<(Scope, Account, DateTime<Utc>), Problem> {
    let in_force = state.ledger.programs.in_force(tenant).await?;
    let mut scope = state.db.snapshot(tenant).await?;
    let found = account(&mut scope, tenant, id).await?;
    let now = tenant_now(state, &mut scope, tenant, &in_force).await?;
    let due_at = due::of_account(&mut scope, tenant, found.id).await?;
    if due_at.is_none_or(|at| at > now) {
        return Ok((scope, found, now));
    }
    scope.commit().await?;
    run_due(state, tenant, id).await?;
    let mut scope = state.db.snapshot(tenant).await?;
    let found = account(&mut scope, tenant, id).await?;
    Ok((scope, found, now))
}

async fn run_due(state: &AppState, tenant: TenantId, id: &ExternalId) -> Result<(), Problem> {
    let key = AccountKey {
        tenant,
        external_id: id.clone(),
    };
    Ok(state.ledger.run_due(key).await?)
}
