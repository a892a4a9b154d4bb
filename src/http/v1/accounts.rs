//! Accounts.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::account;
use crate::{
    domain::{
        account::ExternalId,
        ids::{AccountId, TenantId},
        text::{Name, Text},
    },
    http::{
        auth::{Backend, Reader},
        body::{Body, Path, Query},
        error::{Problem, ProblemBody},
        fields,
        idempotency::{RequestKey, once},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::{
        Scope,
        accounts::{self, Account, Metadata, Profile},
    },
};

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    name: Option<Name>,
    email: Option<Text<254>>,
    /// `cus_...`: purchases are made as this customer of the tenant's Stripe account.
    stripe_customer: Option<Text<255>>,
    /// Whatever the tenant wants to find again.
    #[serde(default, deserialize_with = "fields::metadata")]
    #[schema(value_type = Object)]
    metadata: Metadata,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountView {
    id: ExternalId,
    name: Option<String>,
    email: Option<String>,
    stripe_customer: Option<String>,
    #[schema(value_type = Object)]
    metadata: Metadata,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.external_id,
            name: account.profile.name,
            email: account.profile.email,
            stripe_customer: account.profile.stripe_customer,
            metadata: account.profile.metadata,
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

pub(super) async fn find(scope: &mut Scope, tenant: TenantId, id: &ExternalId) -> Result<Option<Account>, Problem> {
    Ok(accounts::by_external_id(scope, tenant, id).await?)
}

/// Create or change an account
///
/// The id is the tenant's own. The profile is replaced as a whole; credits are not touched.
#[utoipa::path(put, path = "/v1/accounts/{id}", tag = "accounts", security(("backend" = [])), params(("id" = ExternalId, Path)),
    request_body = NewAccount, responses(
    (status = 201, description = "Created", body = AccountView), (status = 200, description = "Changed", body = AccountView),
    (status = 422, description = "`invalid_id`, ...", body = ProblemBody)))]
pub async fn put(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewAccount>,
) -> Result<Response, Problem> {
    let NewAccount {
        name,
        email,
        stripe_customer,
        metadata,
    } = body.value;
    let profile = Profile {
        name: name.map(String::from),
        email: email.map(String::from),
        stripe_customer: stripe_customer.map(String::from),
        metadata,
    };
    let now = state.now();
    let scope = state.db.tenant(principal.tenant).await?;
    once(
        &state,
        principal.tenant,
        scope,
        key.optional(&body.bytes),
        async |scope: &mut Scope| {
            let new_id = AccountId(state.ids.next(now));
            let (account, created) = accounts::put(scope, principal.tenant, new_id, &id, &profile, now).await?;
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, json!(AccountView::from(account))))
        },
    )
    .await
}

/// An account
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "accounts", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path)), responses(
    (status = 200, description = "The account", body = AccountView),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
) -> Result<Json<AccountView>, Problem> {
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = account(&mut scope, principal.tenant, &id).await?;
    scope.commit().await?;
    Ok(Json(found.into()))
}

/// List accounts
///
/// In the order in which they were made.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", security(("backend" = []), ("support" = []), ("read" = [])), params(Page),
    responses((status = 200, description = "A page of accounts", body = List<AccountView>)))]
pub async fn list(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Query(page): Query<Page>,
) -> Result<Json<List<AccountView>>, Problem> {
    let (limit, after) = (page.limit()?, page.id_cursor()?);
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = accounts::list(&mut scope, principal.tenant, after.map(AccountId), one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(page_of(found, limit)))
}

pub(super) fn page_of(found: Vec<Account>, limit: usize) -> List<AccountView> {
    List::from_items(found, limit, |a| a.id.to_string(), AccountView::from)
}
