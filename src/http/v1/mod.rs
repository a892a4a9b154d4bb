//! /v1: a file per resource, a function per operation.

pub mod accounts;
pub mod admin;
pub mod api_keys;
pub mod balance;
mod caught_up;
mod charge;
pub mod grants;
pub mod holds;
mod period;
pub mod programs;
pub mod quotes;
pub mod refunds;
pub mod spends;
pub mod statement;
pub mod stripe_settings;
pub mod subscriptions;
pub mod tenants;
pub mod test_clock;
pub mod top_ups;
pub mod transactions;
pub mod trial_balance;
pub mod usage;

use super::{auth::Principal, error::Problem, state::AppState};
use crate::{
    domain::{
        account::ExternalId,
        decide::{Action, Command},
        ids::TenantId,
        transaction::Idempotency,
    },
    ledger::{Receipt, Submission},
    storage::{Scope, accounts::Account, batch::AccountKey},
};

/// Sends a caller's command down the one write path.
async fn submit(
    state: &AppState,
    principal: &Principal,
    account: ExternalId,
    idempotency: impl Into<Option<Idempotency>>,
    action: Action,
) -> Result<Receipt, Problem> {
    let submission = Submission {
        account: AccountKey {
            tenant: principal.tenant,
            external_id: account,
        },
        command: Command {
            actor: Some(principal.key_id),
            idempotency: idempotency.into(),
            dry_run: false,
            action,
        },
        audit: None,
        event_id: None,
    };
    Ok(state.ledger.submit(submission).await?)
}

fn account_not_found(id: &ExternalId) -> Problem {
    Problem::not_found(
        "account_not_found",
        "No account has this id. Create it with PUT /v1/accounts/{id} first.",
    )
    .with("account_id", id.as_str())
}

async fn account(scope: &mut Scope, tenant: TenantId, id: &ExternalId) -> Result<Account, Problem> {
    accounts::find(scope, tenant, id)
        .await?
        .ok_or_else(|| account_not_found(id))
}
