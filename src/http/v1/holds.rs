//! Holds: credits set aside for work under way.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{caught_up, charge::Asked, spends::SpendView, submit};
use crate::{
    domain::{
        account::ExternalId,
        credits::Amount,
        decide::{Action, CaptureHold, Charge, PlaceHold, VoidHold},
        hold::{Hold, Status},
        ids::{QuoteId, TenantId, TransactionId},
        program::AttributeValue,
        rejection::Rejection,
        spending_order::Draw,
        text::{Name, Reason},
        transaction::Transaction,
    },
    http::{
        auth::{Backend, Reader},
        body::{Body, Path, Query},
        error::{Problem, ProblemBody},
        fields,
        idempotency::{RequestKey, posted},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::{accounts::Metadata, holds},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// How much. Default: what the operation costs, or what was quoted.
    amount: Option<Amount>,
    /// What it is for: an operation of the program where no amount is given.
    operation: Option<Name>,
    /// How many of the operation. Default: 1.
    quantity: Option<Amount>,
    /// What its price depends on.
    attributes: Option<BTreeMap<String, AttributeValue>>,
    /// A quote to be honoured.
    quote_id: Option<QuoteId>,
    /// Who in the account acts.
    member: Option<Name>,
    /// Hold what there is if there is less. Default: false, all or nothing.
    #[serde(default)]
    partial: bool,
    /// How long it lasts, in seconds, from 1 to the program's limit. Default: the program's.
    expires_in_s: Option<Amount>,
    #[serde(default, deserialize_with = "fields::metadata")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HoldView {
    id: TransactionId,
    account_id: ExternalId,
    status: Status,
    amount: i64,
    /// What was captured, over-capture included.
    captured: i64,
    /// On which grants, in the order in which they are spent.
    drawdown: Vec<Draw>,
    operation: Option<String>,
    member: Option<String>,
    created_at: DateTime<Utc>,
    /// It frees itself then.
    expires_at: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    /// What could be drawn once this was posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    available_after: Option<i64>,
    /// Of a capture: the spend that it became, which can be refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    spend: Option<SpendView>,
}

impl HoldView {
    fn new(account_id: ExternalId, hold: Hold) -> Self {
        Self {
            id: hold.id,
            account_id,
            status: hold.status,
            amount: hold.amount,
            captured: hold.captured,
            drawdown: hold.drawdown,
            operation: hold.operation,
            member: hold.member,
            created_at: hold.created_at,
            expires_at: hold.expires_at,
            closed_at: hold.closed_at,
            available_after: None,
            spend: None,
        }
    }

    /// As a transaction left the hold.
    fn posted(account_id: ExternalId, hold_id: TransactionId, transaction: &Transaction) -> Result<Self, Problem> {
        let hold = transaction
            .detail
            .hold
            .as_deref()
            .cloned()
            .ok_or_else(|| not_found(hold_id))?;
        Ok(Self {
            available_after: Some(transaction.available_after),
            ..Self::new(account_id, hold)
        })
    }
}

/// Hold credits
///
/// Drawn in the spending order and set aside until they are captured or voided, or the hold expires. What is held outlives
/// its grant. Caps count it.
#[utoipa::path(post, path = "/v1/accounts/{id}/holds", tag = "holds", security(("backend" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = String, Header)), request_body = NewHold, responses(
    (status = 201, description = "Held", body = HoldView),
    (status = 402, description = "`insufficient_credits`", body = ProblemBody),
    (status = 403, description = "`cap_exceeded`, `exceeds_cap_ever`, `gate_closed`", body = ProblemBody),
    (status = 404, description = "`account_not_found`, `quote_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_amount`, `unknown_operation`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewHold>,
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
    let action = Action::PlaceHold(PlaceHold {
        charge: Charge::try_from(asked)?,
        partial: new.partial,
        expires_in_s: new.expires_in_s.map(Amount::get),
        metadata: new.metadata,
    });
    let receipt = submit(&state, &principal, id.clone(), idempotency, action).await?;
    let view = HoldView::posted(id, receipt.transaction.id, &receipt.transaction)?;
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// How much. Default: all that is held.
    amount: Option<Amount>,
    /// Whether it may be more than is held, if the account can pay. Default: false.
    #[serde(default)]
    allow_over: bool,
}

/// Capture a hold
///
/// What was captured is spent, the rest returns.
#[utoipa::path(post, path = "/v1/holds/{id}/capture", tag = "holds", security(("backend" = [])),
    params(("id" = TransactionId, Path), ("Idempotency-Key" = String, Header)), request_body = Capture, responses(
    (status = 201, description = "Captured", body = HoldView),
    (status = 402, description = "`insufficient_credits`, with `allow_over`", body = ProblemBody),
    (status = 404, description = "`hold_not_found`", body = ProblemBody),
    (status = 409, description = "`hold_already_captured`, `hold_already_voided`, `hold_expired`", body = ProblemBody),
    (status = 422, description = "`capture_exceeds_hold`, ...", body = ProblemBody)))]
pub async fn capture(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(hold_id): Path<TransactionId>,
    key: RequestKey,
    body: Body<Capture>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let account = account_of(&state, principal.tenant, hold_id).await?;
    let action = Action::CaptureHold(CaptureHold {
        hold_id,
        amount: body.value.amount,
        allow_over: body.value.allow_over,
    });
    let receipt = submit(&state, &principal, account.clone(), idempotency, action).await?;
    let view = HoldView {
        spend: Some(SpendView::new(account.clone(), &receipt.transaction)),
        ..HoldView::posted(account, hold_id, &receipt.transaction)?
    };
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Void {
    reason: Option<Reason>,
}

/// Void a hold
///
/// All of it returns; what returns to a grant that has expired meanwhile expires with it.
#[utoipa::path(post, path = "/v1/holds/{id}/void", tag = "holds", security(("backend" = [])),
    params(("id" = TransactionId, Path), ("Idempotency-Key" = String, Header)), request_body = Void, responses(
    (status = 201, description = "Voided", body = HoldView),
    (status = 404, description = "`hold_not_found`", body = ProblemBody),
    (status = 409, description = "`hold_already_captured`, `hold_already_voided`, `hold_expired`", body = ProblemBody)))]
pub async fn void(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(hold_id): Path<TransactionId>,
    key: RequestKey,
    body: Body<Void>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let account = account_of(&state, principal.tenant, hold_id).await?;
    let action = Action::VoidHold(VoidHold {
        hold_id,
        reason: body.value.reason.map(String::from),
    });
    let receipt = submit(&state, &principal, account.clone(), idempotency, action).await?;
    let view = HoldView::posted(account, hold_id, &receipt.transaction)?;
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}

/// A hold
#[utoipa::path(get, path = "/v1/holds/{id}", tag = "holds", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = TransactionId, Path)), responses(
    (status = 200, description = "The hold", body = HoldView),
    (status = 404, description = "`hold_not_found`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(hold_id): Path<TransactionId>,
) -> Result<Json<HoldView>, Problem> {
    let account = account_of(&state, principal.tenant, hold_id).await?;
    let (mut scope, ..) = caught_up::snapshot(&state, principal.tenant, &account).await?;
    let hold = holds::by_id(&mut scope, principal.tenant, hold_id).await?;
    scope.commit().await?;
    let (_, hold) = hold.ok_or_else(|| not_found(hold_id))?;
    Ok(Json(HoldView::new(account, hold)))
}

/// List holds
///
/// Newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/holds", tag = "holds", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path), Page), responses(
    (status = 200, description = "A page of holds", body = List<HoldView>),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn list(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(page): Query<Page>,
) -> Result<Json<List<HoldView>>, Problem> {
    let (limit, before) = (page.limit()?, page.id_cursor()?);
    let (mut scope, account, _) = caught_up::snapshot(&state, principal.tenant, &id).await?;
    let before = before.map(TransactionId);
    let found = holds::list(&mut scope, principal.tenant, account.id, before, one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |hold| hold.id.to_string(),
        |hold| HoldView::new(id.clone(), hold),
    )))
}

fn not_found(hold_id: TransactionId) -> Problem {
    Rejection::HoldNotFound { hold_id }.into()
}

/// The account whose lane it takes.
async fn account_of(state: &AppState, tenant: TenantId, hold_id: TransactionId) -> Result<ExternalId, Problem> {
    let mut scope = state.db.tenant(tenant).await?;
    let account = holds::account_of(&mut scope, tenant, hold_id).await?;
    scope.commit().await?;
    account.ok_or_else(|| not_found(hold_id))
}
