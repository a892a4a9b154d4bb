//! Tenants: made and listed by the operator.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    domain::{
        ids::{ApiKeyId, TenantId},
        role::Role,
        tenant::{Mode, Slug, Tenant},
        text::Name,
    },
    http::{
        auth::{self, Operator},
        body::{Body, Query},
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, once},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::{Scope, StorageError, api_keys, tenants},
};

/// Whose idempotency keys the operator's are: they belong to no tenant.
const OPERATOR: TenantId = TenantId(uuid::Uuid::nil());

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    slug: Slug,
    name: Name,
    mode: Mode,
}

/// A new tenant, with its first key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedTenant {
    #[serde(flatten)]
    tenant: Tenant,
    /// Shown this once.
    admin_key: String,
}

/// Make a tenant
///
/// With its first admin key, which is shown this once.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", security(("operator" = [])), request_body = NewTenant, responses(
    (status = 201, description = "Made", body = CreatedTenant),
    (status = 409, description = "`slug_taken`", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    _: Operator,
    key: RequestKey,
    body: Body<NewTenant>,
) -> Result<Response, Problem> {
    let idempotency = key.optional(&body.bytes);
    let NewTenant { slug, name, mode } = body.value;
    let now = state.now();
    let tenant = Tenant {
        id: TenantId(state.ids.next(now)),
        slug,
        name,
        mode,
        created_at: now,
    };
    let scope = state.db.tenants(&[OPERATOR, tenant.id]).await?;
    once(&state, OPERATOR, scope, idempotency, async |scope: &mut Scope| {
        let admin_key = insert(scope, &tenant, ApiKeyId(state.ids.next(now))).await?;
        Ok((
            StatusCode::CREATED,
            json!(CreatedTenant {
                tenant: tenant.clone(),
                admin_key
            }),
        ))
    })
    .await
}

async fn insert(scope: &mut Scope, tenant: &Tenant, key_id: ApiKeyId) -> Result<String, Problem> {
    tenants::insert(scope, tenant)
        .await
        .map_err(|error| taken(error, &tenant.slug))?;
    let (key, hash) = auth::new_key(tenant.id);
    let record = api_keys::ApiKey {
        id: key_id,
        role: Role::Admin,
        name: "first admin key".to_owned(),
        created_at: tenant.created_at,
        revoked_at: None,
    };
    api_keys::insert(scope, tenant.id, &record, &hash).await?;
    Ok(key.expose_secret().to_owned())
}

fn taken(error: StorageError, slug: &Slug) -> Problem {
    if error.violates(tenants::SLUG_KEY) {
        Problem::conflict("slug_taken", "Another tenant has this slug.").with("slug", slug.as_str())
    } else {
        error.into()
    }
}

/// List tenants
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", security(("operator" = [])), params(Page), responses(
    (status = 200, description = "A page of tenants", body = List<Tenant>)))]
pub async fn list(
    State(state): State<AppState>,
    _: Operator,
    Query(page): Query<Page>,
) -> Result<Json<List<Tenant>>, Problem> {
    let (limit, after) = (page.limit()?, page.id_cursor()?);
    let mut scope = state.db.operator().await?;
    let found = tenants::list(&mut scope, after.map(TenantId), one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(found, limit, |t| t.id.to_string(), |t| t)))
}
