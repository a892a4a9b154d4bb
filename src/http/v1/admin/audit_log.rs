//! The audit log.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::ids::{ApiKeyId, TransactionId},
    http::{
        auth::Support,
        body::Query,
        error::Problem,
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::audit_log::{self, Record},
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecordView {
    id: Uuid,
    at: DateTime<Utc>,
    actor_id: ApiKeyId,
    /// The person.
    actor: String,
    /// What was done: `spend.refund`.
    action: String,
    account_id: Option<String>,
    transaction_id: Option<TransactionId>,
    reason: String,
    ticket: Option<String>,
}

impl From<(Record, Option<String>)> for RecordView {
    fn from((record, account_id): (Record, Option<String>)) -> Self {
        Self {
            id: record.id,
            at: record.at,
            actor_id: record.actor_id,
            actor: record.actor_name,
            action: record.action,
            account_id,
            transaction_id: record.transaction_id,
            reason: record.reason,
            ticket: record.ticket,
        }
    }
}

/// The audit log
///
/// What support did, newest first. Nothing in it can be changed.
#[utoipa::path(get, path = "/v1/admin/audit_log", tag = "support", security(("support" = [])), params(Page), responses(
    (status = 200, description = "A page of the log", body = List<RecordView>)))]
pub async fn list(
    State(state): State<AppState>,
    Support { 0: principal }: Support,
    Query(page): Query<Page>,
) -> Result<Json<List<RecordView>>, Problem> {
    let (limit, before) = (page.limit()?, page.id_cursor()?);
    let mut scope = state.db.tenant(principal.tenant).await?;
    let found = audit_log::list(&mut scope, principal.tenant, before, one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |(record, _)| record.id.to_string(),
        RecordView::from,
    )))
}
