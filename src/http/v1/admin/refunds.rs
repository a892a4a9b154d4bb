//! Refunds of spends, by support.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        credits::Amount,
        decide::{Action, Command, RefundSpend},
        ids::TransactionId,
        text::{Name, Reason},
    },
    http::{
        auth::Support,
        body::{Body, Path},
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, posted},
        state::AppState,
        v1::refunds::{RefundView, account_of},
    },
    ledger::{Audit, Submission},
    storage::batch::AccountKey,
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupportRefund {
    /// Default: all that was not refunded yet.
    amount: Option<Amount>,
    reason: Reason,
    /// The ticket it answers.
    ticket: Option<Name>,
    /// Say what would happen and do nothing. Default: false.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SupportRefundView {
    #[serde(flatten)]
    refund: RefundView,
    dry_run: bool,
    /// The person who did it.
    actor: String,
}

/// Refund a spend, as support
///
/// As the backend does, by a named person: it stands in the audit log.
#[utoipa::path(post, path = "/v1/admin/spends/{id}/refunds", tag = "support", security(("support" = [])),
    params(("id" = TransactionId, Path), ("Idempotency-Key" = String, Header)), request_body = SupportRefund, responses(
    (status = 201, description = "Refunded", body = SupportRefundView),
    (status = 200, description = "With `dry_run`: what would have been done", body = SupportRefundView),
    (status = 404, description = "`spend_not_found`", body = ProblemBody),
    (status = 409, description = "`spend_already_refunded`, `source_grant_expired`", body = ProblemBody),
    (status = 422, description = "`missing_field` without a reason, `refund_exceeds_spend`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Support { 0: principal }: Support,
    Path(spend_id): Path<TransactionId>,
    key: RequestKey,
    body: Body<SupportRefund>,
) -> Result<Response, Problem> {
    let SupportRefund {
        amount,
        reason,
        ticket,
        dry_run,
    } = body.value;
    // A trial moves nothing, so it needs no key, and must not be answered from one.
    let idempotency = if dry_run {
        None
    } else {
        Some(key.required(&body.bytes)?)
    };
    let account = account_of(&state, principal.tenant, spend_id).await?;
    let refund = RefundSpend {
        spend_id,
        amount,
        reason: reason.into(),
        ticket: ticket.map(String::from),
    };
    let submission = Submission {
        account: AccountKey {
            tenant: principal.tenant,
            external_id: account.clone(),
        },
        command: Command {
            actor: Some(principal.key_id),
            idempotency,
            dry_run,
            action: Action::Refund(refund),
        },
        audit: Some(Audit {
            actor_name: principal.name.clone(),
            action: "spend.refund",
        }),
        event_id: None,
    };
    let receipt = state.ledger.submit(submission).await?;
    let view = SupportRefundView {
        refund: RefundView::new(account, spend_id, &receipt.transaction),
        dry_run,
        actor: principal.name.clone(),
    };
    let status = if dry_run { StatusCode::OK } else { StatusCode::CREATED };
    Ok(posted(status, view, receipt.replayed))
}
