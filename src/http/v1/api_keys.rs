//! A tenant's API keys.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    domain::{ids::ApiKeyId, role::Role, text::Name},
    http::{
        auth::{self, Admin},
        body::{Body, Path, Query},
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, once},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::{
        Scope,
        api_keys::{self, ApiKey},
    },
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// `admin`, `backend`, `support` or `read`.
    role: Role,
    /// Of a support key: the person it belongs to, as the audit log will name them.
    name: Name,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedKey {
    id: ApiKeyId,
    role: Role,
    name: Name,
    /// Shown this once.
    key: String,
}

/// Make a key
///
/// It is shown this once; only its hash is kept.
#[utoipa::path(post, path = "/v1/api_keys", tag = "keys", security(("admin" = [])), request_body = NewKey, responses(
    (status = 201, description = "Made", body = CreatedKey),
    (status = 422, description = "`invalid_role`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    key: RequestKey,
    body: Body<NewKey>,
) -> Result<Response, Problem> {
    let NewKey { role, name } = &body.value;
    if *role == Role::Operator {
        return Err(Problem::unprocessable(
            "invalid_role",
            "role: the operator's key is set where Scrip runs; a tenant's keys are admin, backend, support or read.",
        ));
    }
    let now = state.now();
    let scope = state.db.tenant(principal.tenant).await?;
    once(
        &state,
        principal.tenant,
        scope,
        key.optional(&body.bytes),
        async |scope: &mut Scope| {
            let (key, hash) = auth::new_key(principal.tenant);
            let record = ApiKey {
                id: ApiKeyId(state.ids.next(now)),
                role: *role,
                name: name.as_str().to_owned(),
                created_at: now,
                revoked_at: None,
            };
            api_keys::insert(scope, principal.tenant, &record, &hash).await?;
            let created = CreatedKey {
                id: record.id,
                role: *role,
                name: name.clone(),
                key: key.expose_secret().to_owned(),
            };
            Ok((StatusCode::CREATED, json!(created)))
        },
    )
    .await
}

/// A key as it is listed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    id: ApiKeyId,
    role: Role,
    name: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            role: key.role,
            name: key.name,
            created_at: key.created_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// List keys
///
/// The revoked ones too; never the keys themselves.
#[utoipa::path(get, path = "/v1/api_keys", tag = "keys", security(("admin" = [])), params(Page), responses(
    (status = 200, description = "A page of keys", body = List<KeyView>)))]
pub async fn list(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<KeyView>>, Problem> {
    let (limit, after) = (page.limit()?, page.id_cursor()?);
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = api_keys::list(&mut scope, principal.tenant, after.map(ApiKeyId), one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |k| k.id.to_string(),
        KeyView::from,
    )))
}

/// Revoke a key
///
/// It stops working here at once, and within 2 seconds in every other process. Revoking it again changes nothing.
#[utoipa::path(delete, path = "/v1/api_keys/{id}", tag = "keys", security(("admin" = [])), params(("id" = ApiKeyId, Path)), responses(
    (status = 204, description = "Revoked"),
    (status = 404, description = "`api_key_not_found`", body = ProblemBody),
    (status = 409, description = "`key_in_use`: it is the key of this call", body = ProblemBody)))]
pub async fn revoke(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    Path(id): Path<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    if id == principal.key_id {
        return Err(Problem::conflict(
            "key_in_use",
            "A key can't revoke itself: make another admin key and use that.",
        ));
    }
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = api_keys::revoke(&mut scope, principal.tenant, id, state.now()).await?;
    scope.commit().await?;
    state.keyring.forget(id);
    if found {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("api_key_not_found", "No key has this id."))
    }
}
