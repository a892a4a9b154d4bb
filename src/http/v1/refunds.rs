//! Refunds of spends, by the product's backend. Support's are under /v1/admin.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{spends::not_found, submit};
use crate::{
    domain::{
        account::ExternalId,
        credits::Amount,
        decide::{Action, RefundSpend},
        ids::{TenantId, TransactionId},
        spending_order::Draw,
        text::Reason,
        transaction::Transaction,
    },
    http::{
        auth::Backend,
        body::{Body, Path},
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, posted},
        state::AppState,
    },
    storage::transactions,
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    /// Default: all that was not refunded yet.
    amount: Option<Amount>,
    reason: Reason,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RefundView {
    /// The transaction.
    id: TransactionId,
    spend_id: TransactionId,
    account_id: ExternalId,
    amount: i64,
    /// What has been given back of the spend, this refund included.
    refunded_total: i64,
    /// To which grants, the one drawn last first. Those reissued for expired ones are new.
    credited: Vec<Draw>,
    available_after: i64,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    created_at: DateTime<Utc>,
}

impl RefundView {
    pub fn new(account_id: ExternalId, spend_id: TransactionId, refund: &Transaction) -> Self {
        Self {
            id: refund.id,
            spend_id,
            account_id,
            amount: refund.amount,
            refunded_total: refund.detail.refunded_total.unwrap_or(refund.amount),
            credited: refund.returned().collect(),
            available_after: refund.available_after,
            reason: refund.reason.clone(),
            ticket: refund.detail.ticket.clone(),
            created_at: refund.created_at,
        }
    }
}

/// Refund a spend
///
/// Whole or in part, to the grants it came from: the one drawn last first.
#[utoipa::path(post, path = "/v1/spends/{id}/refunds", tag = "spends", security(("backend" = [])),
    params(("id" = TransactionId, Path), ("Idempotency-Key" = String, Header)), request_body = NewRefund, responses(
    (status = 201, description = "Refunded", body = RefundView),
    (status = 404, description = "`spend_not_found`", body = ProblemBody),
    (status = 409, description = "`spend_already_refunded`, `source_grant_expired`", body = ProblemBody),
    (status = 422, description = "`refund_exceeds_spend`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(spend_id): Path<TransactionId>,
    key: RequestKey,
    body: Body<NewRefund>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let account = account_of(&state, principal.tenant, spend_id).await?;
    let NewRefund { amount, reason } = body.value;
    let action = Action::Refund(RefundSpend {
        spend_id,
        amount,
        reason: reason.into(),
        ticket: None,
    });
    let receipt = submit(&state, &principal, account.clone(), idempotency, action).await?;
    let view = RefundView::new(account, spend_id, &receipt.transaction);
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}

/// The account whose lane a refund takes.
pub(super) async fn account_of(
    state: &AppState,
    tenant: TenantId,
    spend_id: TransactionId,
) -> Result<ExternalId, Problem> {
    let mut scope = state.db.tenant(tenant).await?;
    let account = transactions::account_of_spend(&mut scope, tenant, spend_id).await?;
    scope.commit().await?;
    account.ok_or_else(|| not_found(spend_id))
}
