//! The inbox of Stripe's events.

use chrono::{DateTime, Utc};

use super::{Scope, StorageError, expect_rows};
use crate::domain::ids::TenantId;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be worked off.
    Pending,
    /// What it asks for is posted, or was before.
    Done,
    /// It asks for nothing that Scrip does.
    Ignored,
    /// What it refers to is not known yet: tried again later.
    Parked,
    /// It contradicts our own row, or is of the wrong mode: kept for support, never posted.
    Quarantined,
}

impl State {
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Done,
        Self::Ignored,
        Self::Parked,
        Self::Quarantined,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
            Self::Quarantined => "quarantined",
        }
    }
}

/// An event to be kept.
pub struct NewEvent<'a> {
    pub event_id: &'a str,
    pub kind: &'a str,
    pub livemode: bool,
    pub payload: &'a [u8],
}

/// Keeps an event. False: it was here before.
pub async fn insert(
    scope: &mut Scope,
    tenant: TenantId,
    event: &NewEvent<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let done = sqlx::query!(
        "INSERT INTO stripe_events (tenant_id, event_id, kind, livemode, payload, state, attempts, next_attempt_at, received_at)
         VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6, $6)
         ON CONFLICT ON CONSTRAINT stripe_events_pkey DO NOTHING",
        tenant.0,
        event.event_id,
        event.kind,
        event.livemode,
        event.payload,
        now,
    )
    .execute(scope.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub struct DueEvent {
    pub event_id: String,
    pub livemode: bool,
    pub payload: Vec<u8>,
    pub attempts: i32,
    pub received_at: DateTime<Utc>,
}

/// Takes up to `limit` due events of a tenant: nobody else gets them before `lease_until`, by when they are finished,
/// parked, or due again.
pub async fn claim_due(
    scope: &mut Scope,
    tenant: TenantId,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<DueEvent>, StorageError> {
    Ok(sqlx::query_as!(
        DueEvent,
        "WITH due AS (
             SELECT event_id FROM stripe_events
             WHERE tenant_id = $1 AND next_attempt_at <= $2
             ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
         )
         UPDATE stripe_events e SET next_attempt_at = $3, attempts = e.attempts + 1
         FROM due WHERE e.tenant_id = $1 AND e.event_id = due.event_id
         RETURNING e.event_id, e.livemode, e.payload, e.attempts, e.received_at",
        tenant.0,
        now,
        lease_until,
        limit,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// Those of the tenants that have due events.
pub async fn tenants_with_due(
    scope: &mut Scope,
    tenants: &[TenantId],
    now: DateTime<Utc>,
) -> Result<Vec<TenantId>, StorageError> {
    let ids: Vec<uuid::Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let due = sqlx::query_scalar!(
        "SELECT DISTINCT tenant_id FROM stripe_events WHERE tenant_id = ANY ($1) AND next_attempt_at <= $2",
        &ids,
        now,
    )
    .fetch_all(scope.connection())
    .await?;
    Ok(due.into_iter().map(TenantId).collect())
}

/// The event is through. One that is finished already stays as it is.
pub async fn finish(
    scope: &mut Scope,
    tenant: TenantId,
    event_id: &str,
    state: State,
    note: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "UPDATE stripe_events SET state = $3, note = $4, finished_at = $5, next_attempt_at = NULL
         WHERE tenant_id = $1 AND event_id = $2 AND next_attempt_at IS NOT NULL",
        tenant.0,
        event_id,
        state.as_str(),
        note,
        now,
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}

/// The event waits for something else and is tried again at `next_attempt_at`.
pub async fn park(
    scope: &mut Scope,
    tenant: TenantId,
    event_id: &str,
    note: &str,
    next_attempt_at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let done = sqlx::query!(
        "UPDATE stripe_events SET state = 'parked', note = $3, next_attempt_at = $4
         WHERE tenant_id = $1 AND event_id = $2 AND next_attempt_at IS NOT NULL",
        tenant.0,
        event_id,
        note,
        next_attempt_at,
    )
    .execute(scope.connection())
    .await?;
    expect_rows("parked events", done.rows_affected(), 1)
}

/// An event as support sees it: without its payload, which holds what buyers entered.
#[derive(Debug, Clone)]
pub struct Listed {
    pub event_id: String,
    pub kind: String,
    pub livemode: bool,
    pub state: String,
    pub note: Option<String>,
    pub attempts: i32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub received_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// Events in the order of their ids, of one state or all.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    state: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Listed>, StorageError> {
    Ok(sqlx::query_as!(
        Listed,
        "SELECT event_id, kind, livemode, state, note, attempts, next_attempt_at, received_at, finished_at
         FROM stripe_events
         WHERE tenant_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR event_id > $3)
         ORDER BY event_id LIMIT $4",
        tenant.0,
        state,
        after,
        limit,
    )
    .fetch_all(scope.connection())
    .await?)
}
