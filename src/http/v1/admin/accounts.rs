//! Finding an account.

use axum::{Json, extract::State};
use serde::Deserialize;

use crate::{
    domain::ids::AccountId,
    http::{
        auth::Support,
        body::Query,
        error::Problem,
        pagination::{List, Page, one_more},
        state::AppState,
        v1::accounts::{AccountView, page_of},
    },
    storage::accounts,
};

/// The longest text that is searched for, in characters.
const QUERY_LEN_MAX: usize = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// Part of the account's id, name or email, or its Stripe customer.
    query: String,
    limit: Option<u16>,
    cursor: Option<String>,
}

/// Find accounts
#[utoipa::path(get, path = "/v1/admin/accounts", tag = "support", security(("support" = [])), params(Search), responses(
    (status = 200, description = "A page of accounts", body = List<AccountView>)))]
pub async fn search(
    State(state): State<AppState>,
    Support { 0: principal }: Support,
    Query(search): Query<Search>,
) -> Result<Json<List<AccountView>>, Problem> {
    let page = Page::new(search.limit, search.cursor);
    let (limit, after) = (page.limit()?, page.id_cursor()?.map(AccountId));
    let text = search.query.trim();
    if text.is_empty() || text.chars().count() > QUERY_LEN_MAX || text.contains('\0') {
        return Err(Problem::unprocessable(
            "invalid_query",
            format!("query: give 1 to {QUERY_LEN_MAX} characters."),
        ));
    }
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = accounts::search(&mut scope, principal.tenant, text, after, one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(page_of(found, limit)))
}
