//! Spends.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::submit;
use crate::{
    domain::{
        account::ExternalId,
        credits::Amount,
        decide::{Action, SpendCredits},
        ids::TransactionId,
        spending_order::Draw,
        text::Name,
        transaction::Transaction,
    },
    http::{
        auth::{Backend, Reader},
        body::{Body, Path},
        error::{Problem, ProblemBody},
        fields,
        idempotency::{RequestKey, replayed},
        state::AppState,
    },
    storage::{
        accounts::{self, Metadata},
        transactions,
    },
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSpend {
    amount: Amount,
    /// What it is for: grants restricted to other operations stay untouched.
    operation: Option<Name>,
    /// Who in the account acted.
    member: Option<Name>,
    /// Take what there is if there is less. Default: false, all or nothing.
    #[serde(default)]
    partial: bool,
    #[serde(default, deserialize_with = "fields::metadata")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SpendView {
    id: TransactionId,
    account_id: ExternalId,
    /// What was taken.
    amount: i64,
    /// Of a partial spend: what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<i64>,
    /// From which grants, in the order in which they were drawn.
    drawdown: Vec<Draw>,
    available_after: i64,
    operation: Option<String>,
    member: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    created_at: DateTime<Utc>,
    /// What has been given back of it by now; only when it is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<i64>,
}

impl SpendView {
    fn new(account_id: ExternalId, spend: &Transaction) -> Self {
        Self {
            id: spend.id,
            account_id,
            amount: spend.amount,
            requested: spend.detail.requested,
            drawdown: spend.drawn().collect(),
            available_after: spend.available_after,
            operation: spend.detail.operation.clone(),
            member: spend.detail.member.clone(),
            metadata: spend.detail.metadata.clone(),
            created_at: spend.created_at,
            refunded: None,
        }
    }
}

/// Spend credits
///
/// Drawn in the spending order, all or nothing unless `partial`.
#[utoipa::path(post, path = "/v1/accounts/{id}/spends", tag = "spends", security(("backend" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = String, Header)), request_body = NewSpend, responses(
    (status = 201, description = "Spent", body = SpendView),
    (status = 402, description = "`insufficient_credits`, with `needed` and `available`", body = ProblemBody),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_amount`, `idempotency_key_required`, `idempotency_key_reused`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewSpend>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let NewSpend {
        amount,
        operation,
        member,
        partial,
        metadata,
    } = body.value;
    let action = Action::Spend(SpendCredits {
        amount,
        operation: operation.map(String::from),
        member: member.map(String::from),
        partial,
        metadata,
    });
    let receipt = submit(&state, &principal, id.clone(), idempotency, action).await?;
    let response = (StatusCode::CREATED, Json(SpendView::new(id, &receipt.transaction))).into_response();
    Ok(if receipt.replayed { replayed(response) } else { response })
}

/// A spend
///
/// With what has been refunded of it.
#[utoipa::path(get, path = "/v1/spends/{id}", tag = "spends", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = TransactionId, Path)), responses(
    (status = 200, description = "The spend", body = SpendView),
    (status = 404, description = "`spend_not_found`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<TransactionId>,
) -> Result<Json<SpendView>, Problem> {
    let mut scope = state.db.snapshot(principal.tenant).await?;
    let spend = transactions::spend(&mut scope, principal.tenant, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    let account = accounts::external_id(&mut scope, principal.tenant, spend.account_id).await?;
    scope.commit().await?;
    let account = account.ok_or_else(|| not_found(id))?;
    Ok(Json(SpendView {
        refunded: Some(spend.refunded),
        ..SpendView::new(account, &spend.transaction)
    }))
}

pub(super) fn not_found(id: TransactionId) -> Problem {
    Problem::not_found("spend_not_found", "No spend has this id.").with("spend_id", id.to_string())
}
