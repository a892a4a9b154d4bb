//! Subscriptions to the program's plans.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{caught_up, grants::GrantView, submit};
use crate::{
    domain::{
        account::ExternalId,
        cycle::Interval,
        decide::{Action, ChangeSubscription, Subscribe},
        ids::{SubscriptionId, TenantId},
        rejection::Rejection,
        subscription::{Snapshot, Subscription},
        text::Name,
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
    storage::subscriptions,
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    plan: Name,
    /// Whence its cycles are counted. One in the past: it is in the middle of its running cycle. One in the future: it begins
    /// then. Default: now.
    #[serde(default, deserialize_with = "fields::time")]
    anchor: Option<DateTime<Utc>>,
    /// How often it is paid. Default: the plan's first.
    interval: Option<Interval>,
    /// Units of the plan's add-on. Default: 0.
    #[serde(default, deserialize_with = "fields::count")]
    #[schema(maximum = 1_000_000)]
    units: u32,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SubscriptionView {
    #[serde(flatten)]
    subscription: Snapshot,
    account_id: ExternalId,
    /// What this call granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<Vec<GrantView>>,
}

impl SubscriptionView {
    fn now(account_id: ExternalId, subscription: &Subscription, now: DateTime<Utc>) -> Self {
        Self {
            subscription: subscription.snapshot(now),
            account_id,
            granted: None,
        }
    }

    /// As a transaction left it.
    fn posted(account_id: ExternalId, transaction: &Transaction) -> Result<Self, Problem> {
        let subscription = transaction.detail.subscription.as_deref().cloned();
        let unknown = || not_found(SubscriptionId(transaction.subject.unwrap_or_default()));
        let granted = transaction.new_grants.iter().cloned();
        Ok(Self {
            subscription: subscription.ok_or_else(unknown)?,
            granted: Some(granted.map(|grant| GrantView::new(&account_id, grant)).collect()),
            account_id,
        })
    }
}

/// Subscribe
///
/// Grants the running cycle's allowance, units and bonus at once. An account can have several subscriptions: they add up.
#[utoipa::path(post, path = "/v1/accounts/{id}/subscriptions", tag = "subscriptions", security(("backend" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = String, Header)), request_body = NewSubscription, responses(
    (status = 201, description = "Subscribed", body = SubscriptionView),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`unknown_plan`, `unknown_interval`, `units_not_offered`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewSubscription>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let new = body.value;
    let action = Action::Subscribe(Subscribe {
        plan: new.plan.into(),
        anchor: new.anchor,
        interval: new.interval,
        units: new.units,
    });
    let receipt = submit(&state, &principal, id.clone(), idempotency, action).await?;
    let view = SubscriptionView::posted(id, &receipt.transaction)?;
    Ok(posted(StatusCode::CREATED, view, receipt.replayed))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionChange {
    /// An upgrade, or a change between equals, takes effect now; a downgrade with the next billing cycle.
    plan: Option<Name>,
    /// How often it is paid, from the next billing cycle on.
    interval: Option<Interval>,
    /// More units are granted now, fewer take effect with the next billing cycle.
    #[serde(default, deserialize_with = "fields::count")]
    #[schema(maximum = 1_000_000)]
    units: Option<u32>,
    /// True: it ends with its billing cycle. False: it goes on after all.
    cancel_at_period_end: Option<bool>,
}

/// Change a subscription
///
/// What is more comes at once, what is less with the next billing cycle. Asking for the plan, the units and
/// the interval that it has undoes what is pending, and grants nothing; a field left out keeps what is pending for it, unless
/// a plan is asked for in the place of a pending one.
#[utoipa::path(patch, path = "/v1/subscriptions/{id}", tag = "subscriptions", security(("backend" = [])),
    params(("id" = SubscriptionId, Path), ("Idempotency-Key" = String, Header)), request_body = SubscriptionChange, responses(
    (status = 200, description = "Changed, or noted for the next billing cycle", body = SubscriptionView),
    (status = 404, description = "`subscription_not_found`", body = ProblemBody),
    (status = 409, description = "`subscription_already_cancelled`, `subscription_ended`", body = ProblemBody),
    (status = 422, description = "`unknown_plan`, `nothing_to_change`, ...", body = ProblemBody)))]
pub async fn change(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(subscription_id): Path<SubscriptionId>,
    key: RequestKey,
    body: Body<SubscriptionChange>,
) -> Result<Response, Problem> {
    let idempotency = key.required(&body.bytes)?;
    let SubscriptionChange {
        plan,
        interval,
        units,
        cancel_at_period_end,
    } = body.value;
    let is_empty = plan.is_none() && interval.is_none() && units.is_none();
    if is_empty && cancel_at_period_end.is_none() {
        let detail = "Give plan, interval, units or cancel_at_period_end.";
        return Err(Problem::unprocessable("nothing_to_change", detail));
    }
    if !is_empty && cancel_at_period_end == Some(true) {
        let detail = "cancel_at_period_end: a subscription that ends takes no other change.";
        return Err(
            Problem::unprocessable("invalid_cancel_at_period_end", detail).with("field", "cancel_at_period_end")
        );
    }
    let account = account_of(&state, principal.tenant, subscription_id).await?;
    let action = Action::ChangeSubscription(ChangeSubscription {
        subscription_id,
        plan: plan.map(String::from),
        interval,
        units,
        cancel: cancel_at_period_end,
    });
    let receipt = submit(&state, &principal, account.clone(), idempotency, action).await?;
    Ok(posted(
        StatusCode::OK,
        SubscriptionView::posted(account, &receipt.transaction)?,
        receipt.replayed,
    ))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {}

/// Cancel a subscription
///
/// It ends with its billing cycle, and its add-on units with it.
#[utoipa::path(delete, path = "/v1/subscriptions/{id}", tag = "subscriptions", security(("backend" = [])),
    params(("id" = SubscriptionId, Path), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, description = "Cancelled", body = SubscriptionView),
    (status = 404, description = "`subscription_not_found`", body = ProblemBody),
    (status = 409, description = "`subscription_already_cancelled`", body = ProblemBody)))]
pub async fn cancel(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(subscription_id): Path<SubscriptionId>,
    key: RequestKey,
    body: Body<Cancellation>,
) -> Result<Response, Problem> {
    let idempotency = key.optional(&body.bytes);
    let account = account_of(&state, principal.tenant, subscription_id).await?;
    let action = Action::ChangeSubscription(ChangeSubscription {
        subscription_id,
        plan: None,
        interval: None,
        units: None,
        cancel: Some(true),
    });
    let receipt = submit(&state, &principal, account.clone(), idempotency, action).await?;
    Ok(posted(
        StatusCode::OK,
        SubscriptionView::posted(account, &receipt.transaction)?,
        receipt.replayed,
    ))
}

/// A subscription
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "subscriptions", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = SubscriptionId, Path)), responses(
    (status = 200, description = "The subscription", body = SubscriptionView),
    (status = 404, description = "`subscription_not_found`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<SubscriptionId>,
) -> Result<Json<SubscriptionView>, Problem> {
    let account = account_of(&state, principal.tenant, id).await?;
    let (mut scope, _, now) = caught_up::snapshot(&state, principal.tenant, &account).await?;
    let found = subscriptions::by_id(&mut scope, principal.tenant, id).await?;
    scope.commit().await?;
    let (_, subscription) = found.ok_or_else(|| not_found(id))?;
    Ok(Json(SubscriptionView::now(account, &subscription, now)))
}

/// List subscriptions
///
/// All the account ever had, newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/subscriptions", tag = "subscriptions",
    security(("backend" = []), ("support" = []), ("read" = [])), params(("id" = ExternalId, Path), Page), responses(
    (status = 200, description = "A page of subscriptions", body = List<SubscriptionView>),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn list(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(page): Query<Page>,
) -> Result<Json<List<SubscriptionView>>, Problem> {
    let (limit, before) = (page.limit()?, page.id_cursor()?);
    let (mut scope, account, now) = caught_up::snapshot(&state, principal.tenant, &id).await?;
    let before = before.map(SubscriptionId);
    let found = subscriptions::list(&mut scope, principal.tenant, account.id, before, one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |subscription| subscription.id.to_string(),
        |subscription| SubscriptionView::now(id.clone(), &subscription, now),
    )))
}

fn not_found(subscription_id: SubscriptionId) -> Problem {
    Rejection::SubscriptionNotFound { subscription_id }.into()
}

/// The account whose lane it takes.
async fn account_of(state: &AppState, tenant: TenantId, id: SubscriptionId) -> Result<ExternalId, Problem> {
    let mut scope = state.db.tenant(tenant).await?;
    let account = subscriptions::account_of(&mut scope, tenant, id).await?;
    scope.commit().await?;
    account.ok_or_else(|| not_found(id))
}
