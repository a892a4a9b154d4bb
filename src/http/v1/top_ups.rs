//! Top-ups: purchases of credits through Stripe Checkout.

mod checkout;
mod offer;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{account, caught_up::tenant_now};
use crate::{
    domain::{
        account::ExternalId,
        decide::catch_up,
        grant::Class,
        ids::{GrantId, TenantId, TopUpId},
        money::Money,
        program::Expiry,
        subscription::Standing,
        text::{Link, Name},
        top_up::{Status, TopUp},
        transaction::Idempotency,
    },
    http::{
        auth::{Backend, Principal, Reader},
        body::{Body, Path, Query},
        error::{Problem, ProblemBody},
        idempotency::{self, RequestKey, Turn},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    ledger::InForce,
    random,
    storage::{
        Scope, account_states,
        accounts::{self, Account, Profile},
        stripe_settings, top_ups,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMode {
    /// The buyer is sent to Stripe's Checkout.
    Checkout,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopUp {
    /// A pack of the program.
    pack: Option<Name>,
    /// In its place: an amount of the buyer's choice, if the program sells by amount.
    money: Option<Money>,
    #[expect(dead_code, reason = "there is one mode so far; reading it refuses the others")]
    mode: PaymentMode,
    /// Where the buyer goes after paying: http or https.
    success_url: Link,
    /// Where the buyer goes after giving up: http or https.
    cancel_url: Link,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TopUpView {
    id: TopUpId,
    account_id: ExternalId,
    status: Status,
    mode: PaymentMode,
    /// Null: an amount of the buyer's choice.
    pack: Option<String>,
    price: Money,
    credits: i64,
    class: Class,
    expiry: Expiry,
    /// Where the buyer pays. Null until Stripe has answered.
    checkout_url: Option<String>,
    created_at: DateTime<Utc>,
    credited_at: Option<DateTime<Utc>>,
    /// The grant it became.
    grant_id: Option<GrantId>,
    /// Why it failed, if it did.
    failure: Option<String>,
}

impl TopUpView {
    fn new(account_id: ExternalId, top_up: TopUp) -> Self {
        Self {
            id: top_up.id,
            account_id,
            status: top_up.status,
            mode: PaymentMode::Checkout,
            pack: top_up.pack,
            price: top_up.price,
            credits: top_up.credits.get(),
            class: top_up.class,
            expiry: top_up.expiry,
            checkout_url: top_up.checkout_url,
            created_at: top_up.created_at,
            credited_at: top_up.credited_at,
            grant_id: top_up.grant_id,
            failure: top_up.failure,
        }
    }
}

/// Buy credits
///
/// Makes a Checkout session at Stripe. The credits are there when Stripe says that it was paid.
#[utoipa::path(post, path = "/v1/accounts/{id}/top_ups", tag = "top-ups", security(("backend" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = NewTopUp, responses(
    (status = 201, description = "The checkout waits for the buyer", body = TopUpView),
    (status = 403, description = "`gate_closed`", body = ProblemBody),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 409, description = "`stripe_not_configured`, `no_current_cycle`", body = ProblemBody),
    (status = 422, description = "`unknown_pack`, `unknown_currency`, `invalid_money`, `invalid_success_url`, ...", body = ProblemBody),
    (status = 502, description = "`stripe_refused`, `stripe_unavailable`", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewTopUp>,
) -> Result<Response, Problem> {
    let idempotency = key.optional(&body.bytes);
    check_url("success_url", &body.value.success_url)?;
    check_url("cancel_url", &body.value.cancel_url)?;
    let top_up = match write_down(&state, &principal, &id, &body.value, idempotency.as_ref()).await? {
        Written::Row(top_up) => *top_up,
        Written::Answered(response) => return Ok(response),
    };
    let tenant = principal.tenant;
    // Begun before, and Stripe's events have told of its checkout since: there is nothing to ask for any more.
    let settled = top_up.checkout_session_id.is_some() || !matches!(top_up.status, Status::Created | Status::Failed);
    let session = if settled {
        None
    } else {
        Some(checkout::ask_stripe(&state, tenant, &top_up).await?)
    };
    let mut scope = state.db.tenant(tenant).await?;
    if let Some(session) = session {
        let url = Some(session.url.as_str());
        // If another checkout was made for it meanwhile, the row names that one, and so does the answer.
        top_ups::mark_open(&mut scope, tenant, top_up.id, &session.id, url, state.now()).await?;
    }
    let top_up = top_ups::by_id(&mut scope, tenant, top_up.id)
        .await?
        .ok_or_else(|| not_found(top_up.id))?;
    let view = json!(TopUpView::new(id, top_up));
    if let Some(Idempotency { key, .. }) = &idempotency {
        idempotency::keep_answer(&state, &mut scope, tenant, key, StatusCode::CREATED, &view).await?;
    }
    scope.commit().await?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

fn check_url(field: &'static str, url: &Link) -> Result<(), Problem> {
    let rest = url
        .as_str()
        .strip_prefix("https://")
        .or_else(|| url.as_str().strip_prefix("http://"));
    if rest
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !url.as_str().contains(char::is_whitespace))
    {
        return Ok(());
    }
    let code = if field == "success_url" {
        "invalid_success_url"
    } else {
        "invalid_cancel_url"
    };
    Err(Problem::unprocessable(
        code,
        format!("{field}: give a whole address that begins with https:// or http://."),
    )
    .with("field", field))
}

enum Written {
    /// Our own row, new or begun by the same request before: Stripe is to be asked.
    Row(Box<TopUp>),
    /// The key has its answer.
    Answered(Response),
}

/// Our own row exists before Stripe is asked, so that nothing that Stripe does is unknown to us.
async fn write_down(
    state: &AppState,
    principal: &Principal,
    id: &ExternalId,
    new: &NewTopUp,
    idempotency: Option<&Idempotency>,
) -> Result<Written, Problem> {
    let tenant = principal.tenant;
    let in_force = state.ledger.programs.in_force(tenant).await?;
    let mut scope = state.db.tenant(tenant).await?;
    let account = account(&mut scope, tenant, id).await?;
    if let Some(idempotency) = idempotency {
        match idempotency::claim(state, &mut scope, tenant, idempotency).await? {
            Turn::First => {}
            Turn::Done(response) => return Ok(Written::Answered(response)),
            Turn::Begun => {
                let begun = top_ups::by_idempotency_key(&mut scope, tenant, &idempotency.key).await?;
                let mut top_up = begun.ok_or_else(|| idempotency::reused(&idempotency.key))?;
                if top_up.status == Status::Failed {
                    let Profile {
                        stripe_customer, email, ..
                    } = account.profile;
                    top_ups::name_buyer(
                        &mut scope,
                        tenant,
                        top_up.id,
                        stripe_customer.as_deref(),
                        email.as_deref(),
                    )
                    .await?;
                    (top_up.stripe_customer, top_up.email) = (stripe_customer, email);
                }
                scope.commit().await?;
                return Ok(Written::Row(Box::new(top_up)));
            }
        }
    }
    let top_up = agree(state, &mut scope, tenant, &account, new, &in_force).await?;
    let key = idempotency.map(|i| i.key.as_str());
    top_ups::insert(&mut scope, tenant, &top_up, key, Some(principal.key_id)).await?;
    scope.commit().await?;
    Ok(Written::Row(Box::new(top_up)))
}

/// What is bought, for how much, as the program says now.
async fn agree(
    state: &AppState,
    scope: &mut Scope,
    tenant: TenantId,
    account: &Account,
    new: &NewTopUp,
    in_force: &InForce,
) -> Result<TopUp, Problem> {
    let program = in_force.program();
    let offer = offer::find(program, new)?;
    let version = in_force.version().ok_or_else(|| offer::unknown_pack(program, new))?;
    let now = tenant_now(state, scope, tenant, in_force).await?;
    let mut standing = account_states::read_one(scope, tenant, account.id).await?;
    catch_up(&mut standing, now, &in_force.history, &mut random::id_source());
    offer.check_gate(program, Standing::at(&standing.subscriptions, now))?;
    let settings = stripe_settings::get(scope, tenant).await?.ok_or_else(|| {
        Problem::conflict(
            "stripe_not_configured",
            "The tenant has not connected Stripe: PUT /v1/stripe first.",
        )
    })?;
    let expires_at = match offer.expiry {
        Expiry::CycleEnd => Some(standing.billing_cycle_end(now).ok_or_else(|| {
            let detail = "What is bought expires with the account's cycle, and the account has none: no live subscription, \
                          and no plan allocation that ends.";
            Problem::conflict("no_current_cycle", detail)
        })?),
        _ => None,
    };
    Ok(TopUp {
        id: TopUpId(state.ids.next(state.now())),
        account_id: account.id,
        status: Status::Created,
        pack: offer.pack,
        title: offer.title,
        stripe_customer: account.profile.stripe_customer.clone(),
        email: account.profile.email.clone(),
        program_version: version,
        price: offer.price,
        credits: offer.credits,
        class: offer.class,
        expiry: offer.expiry,
        expires_at,
        livemode: settings.livemode,
        attempt: 1,
        success_url: new.success_url.as_str().to_owned(),
        cancel_url: new.cancel_url.as_str().to_owned(),
        checkout_session_id: None,
        checkout_url: None,
        payment_intent_id: None,
        created_at: now,
        credited_at: None,
        grant_id: None,
        failure: None,
    })
}

fn not_found(id: TopUpId) -> Problem {
    Problem::not_found("top_up_not_found", "No top-up has this id.").with("top_up_id", id.to_string())
}

/// A top-up
#[utoipa::path(get, path = "/v1/top_ups/{id}", tag = "top-ups", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = TopUpId, Path)), responses(
    (status = 200, description = "The top-up", body = TopUpView),
    (status = 404, description = "`top_up_not_found`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<TopUpId>,
) -> Result<Json<TopUpView>, Problem> {
    let mut scope = state.db.snapshot(principal.tenant).await?;
    let top_up = top_ups::by_id(&mut scope, principal.tenant, id)
        .await?
        .ok_or_else(|| not_found(id))?;
    let account = accounts::external_id(&mut scope, principal.tenant, top_up.account_id).await?;
    scope.commit().await?;
    Ok(Json(TopUpView::new(account.ok_or_else(|| not_found(id))?, top_up)))
}

/// List top-ups
///
/// Newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/top_ups", tag = "top-ups", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path), Page), responses(
    (status = 200, description = "A page of top-ups", body = List<TopUpView>),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn list(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(page): Query<Page>,
) -> Result<Json<List<TopUpView>>, Problem> {
    let (limit, before) = (page.limit()?, page.id_cursor()?);
    let mut scope = state.db.snapshot(principal.tenant).await?;
    let account = account(&mut scope, principal.tenant, &id).await?;
    let found = top_ups::list(
        &mut scope,
        principal.tenant,
        account.id,
        before.map(TopUpId),
        one_more(limit),
    )
    .await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |t| t.id.to_string(),
        |t| TopUpView::new(id.clone(), t),
    )))
}
