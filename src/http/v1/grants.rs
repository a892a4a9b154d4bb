//! Grants: credits that come in, and their revocation.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};

use super::{caught_up::see, submit};
use crate::{
    domain::{
        account::ExternalId,
        balance::OpenClasses,
        credits::Amount,
        decide::{Action, GrantCredits, GrantPlan, RevokeGrant},
        grant::{Class, Grant, Origin, PRIORITY_RANGE},
        ids::{GrantId, SubscriptionId, TopUpId, TransactionId},
        money::Money,
        text::{Name, Reason},
    },
    http::{
        auth::{Backend, Reader},
        body::{Body, Path, Query},
        error::{Problem, ProblemBody},
        fields::{self, YEAR_MAX},
        idempotency::{RequestKey, posted},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::grants,
};

/// The most operations a grant can be restricted to.
const APPLIES_TO_LEN_MAX: usize = 50;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// A plan of the program: one cycle's allowance, from `effective_at` to the end of the cycle. Class, origin, amount and
    /// expiry are the plan's and must not be given.
    plan: Option<Name>,
    class: Option<Class>,
    origin: Option<Origin>,
    amount: Option<Amount>,
    /// Default: now.
    #[serde(default, deserialize_with = "fields::time")]
    effective_at: Option<DateTime<Utc>>,
    /// Default: never.
    #[serde(default, deserialize_with = "fields::time")]
    expires_at: Option<DateTime<Utc>>,
    /// -1000 to 1000, lower is spent first. Default: 0.
    #[serde(default)]
    #[schema(minimum = -1000, maximum = 1000)]
    priority: i32,
    /// The operations it may pay for, 1 to 50. Default: all.
    applies_to: Option<Vec<Name>>,
    /// What was paid for it, outside Scrip.
    paid: Option<Money>,
    reason: Option<Reason>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GrantView {
    id: GrantId,
    account_id: ExternalId,
    transaction_id: TransactionId,
    class: Class,
    origin: Origin,
    amount: i64,
    remaining: i64,
    held: i64,
    effective_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// Whether a closed gate keeps it from being spent. Only where it is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen: Option<bool>,
    priority: i32,
    applies_to: Option<Vec<String>>,
    paid: Option<Money>,
    top_up_id: Option<TopUpId>,
    /// Of a reissue or a rollover: the expired grant in whose place it stands.
    source_grant_id: Option<GrantId>,
    /// The subscription that granted it.
    subscription_id: Option<SubscriptionId>,
    /// The version of the program it was made under.
    program_version: Option<i32>,
}

impl GrantView {
    pub fn new(account: &ExternalId, grant: Grant) -> Self {
        Self {
            id: grant.id,
            account_id: account.clone(),
            transaction_id: grant.transaction_id,
            class: grant.class,
            origin: grant.origin,
            amount: grant.amount,
            remaining: grant.remaining,
            held: grant.held,
            effective_at: grant.effective_at,
            expires_at: grant.expires_at,
            frozen: None,
            priority: grant.priority,
            applies_to: grant.applies_to,
            paid: grant.paid,
            top_up_id: grant.top_up_id,
            source_grant_id: grant.source_grant_id,
            subscription_id: grant.subscription_id,
            program_version: grant.program_version,
        }
    }

    /// As it is now, when these classes' gates are open to its account.
    pub fn seen(account: &ExternalId, grant: Grant, open: OpenClasses) -> Self {
        let frozen = Some(!open.has(grant.class));
        Self {
            frozen,
            ..Self::new(account, grant)
        }
    }
}

/// Grant credits
#[utoipa::path(post, path = "/v1/accounts/{id}/grants", tag = "grants", security(("backend" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = String, Header)), request_body = NewGrant, responses(
    (status = 201, description = "Granted", body = GrantView),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_amount`, `unknown_plan`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewGrant>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let action = action_of(body.value)?;
    let receipt = submit(&state, &principal, id.clone(), idempotency, action).await?;
    let grants = receipt.transaction.new_grants.iter().cloned();
    let view: Option<GrantView> = grants.map(|grant| GrantView::new(&id, grant)).next();
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}

fn action_of(new: NewGrant) -> Result<Action, Problem> {
    if !PRIORITY_RANGE.contains(&new.priority) {
        let detail = format!("priority: {} is out of range: give -1000 to 1000.", new.priority);
        return Err(Problem::unprocessable("invalid_priority", detail).with("field", "priority"));
    }
    let applies_to = new
        .applies_to
        .map(|list| list.into_iter().map(String::from).collect::<Vec<_>>());
    if applies_to
        .as_ref()
        .is_some_and(|list| !(1..=APPLIES_TO_LEN_MAX).contains(&list.len()))
    {
        let detail = format!("applies_to: give 1 to {APPLIES_TO_LEN_MAX} operations, or leave it out for all.");
        return Err(Problem::unprocessable("invalid_applies_to", detail).with("field", "applies_to"));
    }
    let reason = new.reason.map(String::from);
    let Some(plan) = new.plan else {
        return Ok(Action::Grant(GrantCredits {
            class: new.class.ok_or_else(|| missing("class", "missing_field"))?,
            origin: new.origin.ok_or_else(|| missing("origin", "missing_field"))?,
            amount: new.amount.ok_or_else(|| missing("amount", "invalid_amount"))?,
            effective_at: new.effective_at,
            expires_at: new.expires_at,
            priority: new.priority,
            applies_to,
            paid: new.paid,
            reason,
        }));
    };
    if new.class.is_some() || new.origin.is_some() || new.amount.is_some() || new.expires_at.is_some() {
        let detail =
            "plan: class, origin, amount and expires_at come from the plan; leave them out, or leave out the plan.";
        return Err(Problem::unprocessable("invalid_plan", detail).with("field", "plan"));
    }
    if new.effective_at.is_some_and(|at| at.year() >= YEAR_MAX) {
        let detail = format!("effective_at: the plan's cycle would end after the year {YEAR_MAX}.");
        return Err(Problem::unprocessable("invalid_effective_at", detail).with("field", "effective_at"));
    }
    Ok(Action::GrantPlan(GrantPlan {
        plan: plan.into(),
        effective_at: new.effective_at,
        priority: new.priority,
        applies_to,
        paid: new.paid,
        reason,
    }))
}

fn missing(field: &str, code: &'static str) -> Problem {
    Problem::unprocessable(code, format!("{field}: missing. Give it, or a plan.")).with("field", field)
}

/// List grants
///
/// All the account ever had, newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/grants", tag = "grants", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path), Page), responses(
    (status = 200, description = "A page of grants", body = List<GrantView>),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn list(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(page): Query<Page>,
) -> Result<Json<List<GrantView>>, Problem> {
    let (limit, before) = (page.limit()?, page.id_cursor()?);
    let mut seen = see(&state, principal.tenant, &id).await?;
    let open = seen.state.open_classes(seen.in_force.program(), seen.now);
    let found = grants::list(
        &mut seen.scope,
        principal.tenant,
        seen.account.id,
        before.map(GrantId),
        one_more(limit),
    )
    .await?;
    seen.scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |g| g.id.to_string(),
        |grant| GrantView::seen(&id, grant, open),
    )))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    reason: Option<Reason>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RevocationView {
    /// The transaction.
    id: TransactionId,
    grant_id: GrantId,
    account_id: ExternalId,
    /// What was taken back: all that remained.
    amount: i64,
    available_after: i64,
    reason: Option<String>,
    created_at: DateTime<Utc>,
}

/// Revoke a grant
///
/// What remains of it is taken back; what was spent stays spent.
#[utoipa::path(post, path = "/v1/grants/{id}/revoke", tag = "grants", security(("backend" = [])),
    params(("id" = GrantId, Path), ("Idempotency-Key" = String, Header)), request_body = Revocation, responses(
    (status = 201, description = "Revoked", body = RevocationView),
    (status = 404, description = "`grant_not_found`", body = ProblemBody),
    (status = 409, description = "`grant_already_closed`", body = ProblemBody)))]
pub async fn revoke(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(grant_id): Path<GrantId>,
    key: RequestKey,
    body: Body<Revocation>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let mut scope = state.db.tenant(principal.tenant).await?;
    let owner = grants::account_of(&mut scope, principal.tenant, grant_id).await?;
    scope.commit().await?;
    let account = owner.ok_or_else(|| {
        Problem::not_found("grant_not_found", "No grant has this id.").with("grant_id", grant_id.to_string())
    })?;
    let action = Action::Revoke(RevokeGrant {
        grant_id,
        reason: body.value.reason.map(String::from),
    });
    let receipt = submit(&state, &principal, account.clone(), idempotency, action).await?;
    let transaction = &receipt.transaction;
    let view = RevocationView {
        id: transaction.id,
        grant_id,
        account_id: account,
        amount: transaction.amount,
        available_after: transaction.available_after,
        reason: transaction.reason.clone(),
        created_at: transaction.created_at,
    };
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}
