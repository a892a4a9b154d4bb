//! The inbox of Stripe's events, as support sees it: what came, and what became of it.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    http::{
        auth::Support,
        body::Query,
        error::Problem,
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::stripe_events::{self, Listed, State as EventState},
};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// `pending`, `done`, `ignored`, `parked` or `quarantined`. Default: all.
    state: Option<String>,
    limit: Option<u16>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventView {
    /// Stripe's id.
    id: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    state: String,
    /// Why it is in that state.
    note: Option<String>,
    attempts: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    received_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<Listed> for EventView {
    fn from(event: Listed) -> Self {
        Self {
            id: event.event_id,
            kind: event.kind,
            livemode: event.livemode,
            state: event.state,
            note: event.note,
            attempts: event.attempts,
            next_attempt_at: event.next_attempt_at,
            received_at: event.received_at,
            finished_at: event.finished_at,
        }
    }
}

/// Stripe's events
///
/// Without their contents, which hold what buyers entered.
#[utoipa::path(get, path = "/v1/admin/stripe_events", tag = "support", security(("support" = [])), params(Filter), responses(
    (status = 200, description = "A page of events", body = List<EventView>)))]
pub async fn list(
    State(state): State<AppState>,
    Support { 0: principal }: Support,
    Query(filter): Query<Filter>,
) -> Result<Json<List<EventView>>, Problem> {
    let wanted = filter.state.as_deref();
    if let Some(name) = wanted.filter(|name| EventState::ALL.iter().all(|s| s.as_str() != *name)) {
        return Err(Problem::unprocessable(
            "invalid_state",
            format!("state: {name} is none: give pending, done, ignored, parked or quarantined."),
        ));
    }
    let page = Page::new(filter.limit, filter.cursor);
    let (limit, after) = (
        page.limit()?,
        page.cursor(|text| Some(text.to_owned()).filter(|t| !t.contains('\0')))?,
    );
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = stripe_events::list(&mut scope, principal.tenant, wanted, after.as_deref(), one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |e| e.event_id.clone(),
        EventView::from,
    )))
}
