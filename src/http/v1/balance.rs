//! An account's balance, now or at an instant of the past.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    caught_up::{Seen, see},
    grants::GrantView,
    period::{Parameters, invalid_time},
};
use crate::{
    domain::{
        account::ExternalId,
        balance::{ByClass, balance},
        cap::CapStanding,
        credits::CREDITS_MAX,
        decide::{AccountState, next_refresh},
        ids::{SubscriptionId, TenantId},
        program::{Program, Unit},
        spending_order::sorted,
    },
    http::{
        auth::Reader,
        body::{Path, Query},
        error::{Problem, ProblemBody},
        state::AppState,
    },
    storage::past,
};

/// What an account has, in the unit's smallest step.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BalanceView {
    account_id: ExternalId,
    at: DateTime<Utc>,
    unit: Unit,
    /// What the spending order could draw now, for an operation that every grant applies to.
    available: i64,
    held: i64,
    frozen: i64,
    debt: i64,
    /// `remaining` and `used` together: what this cycle had.
    total: i64,
    /// Spent in the current cycle, less refunds. An account without a cycle counts from its start.
    used: i64,
    /// `available`, `held` and `frozen` together.
    remaining: i64,
    /// `available`, by class.
    by_class: ByClass,
    /// Where the account's caps stand: not those of its members.
    caps: Vec<CapStanding>,
    /// The next allowance. Null: none is to come.
    next_refresh: Option<NextRefresh>,
    /// The grants with something left that have not expired, in the order in which they are spent; those that begin
    /// later come last and do not count yet.
    grants: Vec<GrantView>,
}

/// What a subscription grants next.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NextRefresh {
    at: DateTime<Utc>,
    /// The allowance, and what add-on units and bonuses bring with it.
    amount: i64,
    subscription_id: SubscriptionId,
}

/// The balance
///
/// Now, or as it was at an instant of the past: by the time from which things count, so that a grant or a renewal that was
/// booked later for then is in it. Gates, caps and plans are those that were in force; `used` is what was counted then. A
/// look at the past costs what the account's history costs.
#[utoipa::path(get, path = "/v1/accounts/{id}/balance", tag = "accounts", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path),
        ("at" = Option<DateTime<Utc>>, Query, description = "Default, and at most: now. Before the account had anything there are zeros.")),
    responses(
    (status = 200, description = "The balance", body = BalanceView),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_at`, with the tenant's `now`; `invalid_parameter`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<BalanceView>, Problem> {
    let at = Parameters::read(pairs, &["at"])?.time("at", "invalid_at")?;
    let mut seen = see(&state, principal.tenant, &id).await?;
    let now = seen.now;
    let view = match at {
        Some(at) if at > now => {
            let detail = "at: lies in the future: give a time up to now.";
            return Err(invalid_time("at", "invalid_at", detail, now));
        }
        Some(at) if at < now => view_of_past(&mut seen, principal.tenant, id, at).await?,
        _ => {
            let used = seen.state.usage_at(now).used;
            view(id, seen.state, used, seen.in_force.program(), now)
        }
    };
    seen.scope.commit().await?;
    Ok(Json(view))
}

async fn view_of_past(
    seen: &mut Seen,
    tenant: TenantId,
    id: ExternalId,
    at: DateTime<Utc>,
) -> Result<BalanceView, Problem> {
    let history = &seen.in_force.history;
    let (state, used) = past::state_at(&mut seen.scope, tenant, &seen.account, history, at).await?;
    Ok(view(id, state, used, history.at(at).0, at))
}

/// The balance of a state that is as of `now`, by then.
fn view(id: ExternalId, state: AccountState, used: i64, program: &Program, now: DateTime<Utc>) -> BalanceView {
    let open = state.open_classes(program, now);
    let figures = balance(&state.grants, open, now);
    let remaining = figures.available + figures.held + figures.frozen;
    let next_refresh = next_refresh(&state.subscriptions, program).map(|(at, amount, subscription_id)| NextRefresh {
        at,
        amount,
        subscription_id,
    });
    let caps = state.caps(program, now).standings(None);
    let shown = state
        .grants
        .into_iter()
        .filter(|g| g.held > 0 || !g.expired(now))
        .collect();
    let grants = sorted(&program.spending_order, shown, now).into_iter();
    BalanceView {
        at: now,
        unit: program.unit.clone(),
        available: figures.available,
        held: figures.held,
        frozen: figures.frozen,
        debt: 0,
        total: (remaining + used).min(CREDITS_MAX),
        used,
        remaining,
        by_class: figures.by_class,
        caps,
        next_refresh,
        grants: grants.map(|grant| GrantView::seen(&id, grant, open)).collect(),
        account_id: id,
    }
}
