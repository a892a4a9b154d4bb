//! An account's books: its transactions and their entries.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::caught_up;
use crate::{
    domain::{
        account::ExternalId,
        entry::{Entry, LedgerAccount},
        ids::{ApiKeyId, GrantId, TransactionId},
        transaction::{Detail, Kind, Transaction},
    },
    http::{
        auth::Reader,
        body::{Path, Query},
        error::{Problem, ProblemBody},
        pagination::{List, Page, one_more},
        state::AppState,
    },
    storage::transactions::{self, Line},
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TransactionView {
    id: TransactionId,
    kind: Kind,
    account_id: ExternalId,
    amount: i64,
    available_after: i64,
    /// When it was booked.
    created_at: DateTime<Utc>,
    /// From when it counts.
    effective_at: DateTime<Utc>,
    /// The key that asked for it; null for what Scrip does by itself.
    actor_id: Option<ApiKeyId>,
    /// Of a refund: the spend. Of an expiry or a revocation: the grant. Of a top-up: the purchase.
    subject_id: Option<Uuid>,
    idempotency_key: Option<String>,
    reason: Option<String>,
    #[serde(flatten)]
    detail: Detail,
    entries: Vec<EntryView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EntryView {
    /// The ledger account the amount leaves.
    debit: LedgerAccount,
    /// The ledger account it goes to.
    credit: LedgerAccount,
    amount: i64,
    grant_id: GrantId,
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> Self {
        Self {
            debit: entry.debit,
            credit: entry.credit,
            amount: entry.amount,
            grant_id: entry.grant_id,
        }
    }
}

impl TransactionView {
    fn new(account_id: &ExternalId, transaction: Transaction) -> Self {
        Self {
            id: transaction.id,
            kind: transaction.kind,
            account_id: account_id.clone(),
            amount: transaction.amount,
            available_after: transaction.available_after,
            created_at: transaction.created_at,
            effective_at: transaction.effective_at,
            actor_id: transaction.actor,
            subject_id: transaction.subject,
            idempotency_key: transaction.idempotency.map(|idempotency| idempotency.key),
            reason: transaction.reason,
            detail: transaction.detail,
            entries: transaction.entries.iter().map(EntryView::from).collect(),
        }
    }
}

/// List transactions
///
/// Newest first, each with its entries.
#[utoipa::path(get, path = "/v1/accounts/{id}/transactions", tag = "books", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path), Page), responses(
    (status = 200, description = "A page of transactions", body = List<TransactionView>),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn list(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(page): Query<Page>,
) -> Result<Json<List<TransactionView>>, Problem> {
    let (limit, before) = (page.limit()?, page.id_cursor()?.map(TransactionId));
    let (mut scope, account, _) = caught_up::snapshot(&state, principal.tenant, &id).await?;
    let found = transactions::list(&mut scope, principal.tenant, account.id, before, one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |t| t.id.to_string(),
        |t| TransactionView::new(&id, t),
    )))
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LineView {
    transaction_id: TransactionId,
    kind: Kind,
    #[serde(flatten)]
    entry: EntryView,
    created_at: DateTime<Utc>,
    effective_at: DateTime<Utc>,
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            transaction_id: line.transaction_id,
            kind: line.kind,
            entry: EntryView {
                debit: line.debit,
                credit: line.credit,
                amount: line.amount,
                grant_id: line.grant_id,
            },
            created_at: line.created_at,
            effective_at: line.effective_at,
        }
    }
}

/// List entries
///
/// Newest first.
#[utoipa::path(get, path = "/v1/accounts/{id}/entries", tag = "books", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path), Page), responses(
    (status = 200, description = "A page of entries", body = List<LineView>),
    (status = 404, description = "`account_not_found`", body = ProblemBody)))]
pub async fn list_entries(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(page): Query<Page>,
) -> Result<Json<List<LineView>>, Problem> {
    let (limit, before) = (page.limit()?, page.cursor(entry_cursor)?);
    let (mut scope, account, _) = caught_up::snapshot(&state, principal.tenant, &id).await?;
    let found = transactions::list_entries(&mut scope, principal.tenant, account.id, before, one_more(limit)).await?;
    scope.commit().await?;
    Ok(Json(List::from_items(
        found,
        limit,
        |line| format!("{}.{}", line.transaction_id, line.seq),
        LineView::from,
    )))
}

fn entry_cursor(text: &str) -> Option<(TransactionId, i16)> {
    let (id, seq) = text.split_once('.')?;
    Some((TransactionId(Uuid::try_parse(id).ok()?), seq.parse().ok()?))
}
