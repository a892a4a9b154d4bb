//! Spends.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{charge::Asked, submit};
use crate::{
    domain::{
        account::ExternalId,
        credits::Amount,
        decide::{Action, Charge, SpendCredits},
        ids::{QuoteId, TransactionId},
        program::AttributeValue,
        spending_order::Draw,
        text::Name,
        transaction::Transaction,
    },
    http::{
        auth::{Backend, Reader},
        body::{Body, Path},
        error::{Problem, ProblemBody},
        fields,
        idempotency::{RequestKey, posted},
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
    /// How much. Default: what the operation costs, or what was quoted.
    amount: Option<Amount>,
    /// What it is for: an operation of the program where no amount is given. Grants restricted to other operations stay
    /// untouched.
    operation: Option<Name>,
    /// How many of the operation. Default: 1.
    quantity: Option<Amount>,
    /// What its price depends on.
    attributes: Option<BTreeMap<String, AttributeValue>>,
    /// A quote to be honoured.
    quote_id: Option<QuoteId>,
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
    /// Of a priced operation: how many, and what its price depended on.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, AttributeValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote_id: Option<QuoteId>,
    /// The hold that it captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<TransactionId>,
    member: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    created_at: DateTime<Utc>,
    /// What has been given back of it by now; only when it is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<i64>,
}

impl SpendView {
    pub(super) fn new(account_id: ExternalId, spend: &Transaction) -> Self {
        Self {
            id: spend.id,
            account_id,
            amount: spend.amount,
            requested: spend.detail.requested,
            drawdown: spend.drawn().collect(),
            available_after: spend.available_after,
            operation: spend.detail.operation.clone(),
            quantity: spend.detail.wanted.as_ref().map(|wanted| wanted.quantity),
            attributes: spend.detail.wanted.as_ref().map(|wanted| wanted.attributes.clone()),
            quote_id: spend.detail.quote_id,
            hold_id: spend.subject.map(TransactionId),
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
    (status = 403, description = "`cap_exceeded`, `exceeds_cap_ever`, `gate_closed`", body = ProblemBody),
    (status = 404, description = "`account_not_found`, `quote_not_found`", body = ProblemBody),
    (status = 409, description = "`quote_expired`, `quote_already_used`", body = ProblemBody),
    (status = 422, description = "`invalid_amount`, `unknown_operation`, `no_price`, `idempotency_key_required`, `idempotency_key_reused`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewSpend>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let new = body.value;
    let asked = Asked {
        amount: new.amount,
        operation: new.operation,
        quantity: new.quantity,
        attributes: new.attributes,
        quote_id: new.quote_id,
        member: new.member,
    };
    let action = Action::Spend(SpendCredits {
        charge: Charge::try_from(asked)?,
        partial: new.partial,
        metadata: new.metadata,
    });
    let receipt = submit(&state, &principal, id.clone(), idempotency, action).await?;
    Ok(posted(
        StatusCode::CREATED,
        SpendView::new(id, &receipt.transaction),
        receipt.replayed,
    ))
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
