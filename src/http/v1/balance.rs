//! An account's balance, now.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{account, grants::GrantView};
use crate::{
    domain::{
        account::ExternalId,
        balance::{ByClass, balance},
        credits::CREDITS_MAX,
        program::Unit,
        spending_order::sorted,
    },
    http::{
        auth::Reader,
        body::{Path, Query},
        error::{Problem, ProblemBody},
        state::AppState,
    },
    storage::{accounts, grants},
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
    #[schema(value_type = Vec<Object>)]
    caps: [(); 0],
    #[schema(value_type = Option<Object>)]
    next_refresh: Option<()>,
    /// The grants with something left that have not expired, in the order in which they are spent; those that begin
    /// later come last and do not count yet.
    grants: Vec<GrantView>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// The balance
#[utoipa::path(get, path = "/v1/accounts/{id}/balance", tag = "accounts", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path)), responses(
    (status = 200, description = "The balance now", body = BalanceView),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(NoParameters {}): Query<NoParameters>,
) -> Result<Json<BalanceView>, Problem> {
    let tenant = principal.tenant;
    let in_force = state.ledger.programs.in_force(tenant).await?;
    let mut scope = state.db.snapshot(tenant).await?;
    let account = account(&mut scope, tenant, &id).await?;
    let usage = accounts::usage(&mut scope, tenant, account.id).await?;
    let open = grants::open(&mut scope, tenant, account.id).await?;
    scope.commit().await?;
    let now = state.now();
    let figures = balance(&open, &usage, now);
    let shown = sorted(
        &in_force.program.spending_order,
        open.into_iter().filter(|g| !g.expired(now)).collect(),
        now,
    );
    Ok(Json(BalanceView {
        account_id: account.external_id,
        at: now,
        unit: in_force.program.unit.clone(),
        available: figures.available,
        held: 0,
        frozen: 0,
        debt: 0,
        total: (figures.available + figures.used).min(CREDITS_MAX),
        used: figures.used,
        remaining: figures.available,
        by_class: figures.by_class,
        caps: [],
        next_refresh: None,
        grants: shown.into_iter().map(|grant| GrantView::new(&id, grant)).collect(),
    }))
}
