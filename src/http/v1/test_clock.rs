//! A sandbox tenant's test clock.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::caught_up::tenant_now;
use crate::{
    domain::{ids::TenantId, tenant::Mode, transaction::Idempotency},
    http::{
        auth::{Admin, Principal},
        body::Body,
        error::{Problem, ProblemBody},
        fields,
        idempotency::{self, RequestKey, Turn},
        state::AppState,
    },
    jobs::due_work::run_all_due,
    storage::{due, test_clocks},
};

/// How far one call moves the clock at most.
const LEAP_MAX: TimeDelta = TimeDelta::days(20 * 366);
/// Stops of one call at the very instant at which something falls due. Beyond, it stops once a day: what fell due in
/// between is still dated at its instant, and only booked later.
const EXACT_STOPS_MAX: u32 = 2_000;
const STRIDE: TimeDelta = TimeDelta::days(1);

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// Not before what the clock shows, and up to 20 years after.
    #[serde(default, deserialize_with = "fields::time")]
    #[schema(required)]
    to: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TestClockView {
    /// The tenant's time.
    now: DateTime<Utc>,
    /// Whether it stands still until it is moved. Before it is moved for the first time it is the machine's.
    frozen: bool,
}

/// Advance the test clock
///
/// Moves a sandbox tenant's time forward and runs what falls due on the way, in order, exactly as the days would have. Sent
/// again after it broke off, it goes on from where it was.
#[utoipa::path(post, path = "/v1/test_clock/advance", tag = "program", security(("admin" = [])), request_body = Advance, responses(
    (status = 200, description = "It shows that time, and what was due has run", body = TestClockView),
    (status = 409, description = "`not_a_sandbox`", body = ProblemBody),
    (status = 422, description = "`invalid_to`", body = ProblemBody)))]
pub async fn advance(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    key: RequestKey,
    body: Body<Advance>,
) -> Result<Response, Problem> {
    let tenant = principal.tenant;
    let idempotency = key.optional(&body.bytes);
    if let Some(response) = answered(&state, tenant, idempotency.as_ref(), false).await? {
        return Ok(response);
    }
    let (shown, to) = leap(&state, &principal, body.value).await?;
    // The key is taken from here on. A call that broke off is begun again with it, and goes on from where it was.
    if let Some(response) = answered(&state, tenant, idempotency.as_ref(), true).await? {
        return Ok(response);
    }
    move_on(&state, tenant, shown, to).await?;
    let view = json!(TestClockView { now: to, frozen: true });
    if let Some(Idempotency { key, .. }) = &idempotency {
        let mut scope = state.db.tenant(tenant).await?;
        idempotency::keep_answer(&state, &mut scope, tenant, key, StatusCode::OK, &view).await?;
        scope.commit().await?;
    }
    Ok(Json(view).into_response())
}

/// The answer that the key has already. Without one the key is taken, if it is to be kept: a refusal leaves it free.
async fn answered(
    state: &AppState,
    tenant: TenantId,
    idempotency: Option<&Idempotency>,
    keep: bool,
) -> Result<Option<Response>, Problem> {
    let Some(idempotency) = idempotency else {
        return Ok(None);
    };
    let mut scope = state.db.tenant(tenant).await?;
    if let Turn::Done(response) = idempotency::claim(state, &mut scope, tenant, idempotency).await? {
        return Ok(Some(response));
    }
    if keep {
        scope.commit().await?;
    }
    Ok(None)
}

/// From what the clock shows to where it is to be moved.
async fn leap(
    state: &AppState,
    principal: &Principal,
    advance: Advance,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Problem> {
    let shown = now(state, principal).await?;
    let to = advance.to.ok_or_else(|| invalid("missing"))?;
    let with_now = |problem: Problem| problem.with("now", shown.to_rfc3339());
    if to < shown {
        let detail = format!("the clock shows {shown} and moves only forward");
        return Err(with_now(invalid(&detail)));
    }
    if to > shown + LEAP_MAX {
        let detail = format!("one call moves the clock to {} at most", shown + LEAP_MAX);
        return Err(with_now(invalid(&detail)));
    }
    Ok((shown, to))
}

fn invalid(detail: &str) -> Problem {
    Problem::unprocessable("invalid_to", format!("to: {detail}.")).with("field", "to")
}

/// Moves the clock and runs what is due at each stop.
async fn move_on(state: &AppState, tenant: TenantId, shown: DateTime<Utc>, to: DateTime<Utc>) -> Result<(), Problem> {
    let mut at = shown;
    for stop in 0.. {
        let mut scope = state.db.tenant(tenant).await?;
        let next = due::next(&mut scope, tenant).await?.unwrap_or(to);
        let earliest = if stop < EXACT_STOPS_MAX { at } else { at + STRIDE };
        at = next.max(earliest).min(to);
        let moved = test_clocks::advance(&mut scope, tenant, at).await?;
        scope.commit().await?;
        if !moved {
            return Err(invalid("another call moved the clock further in the meantime"));
        }
        run_all_due(&state.db, &state.ledger, tenant, at, &*state.clock).await?;
        if at == to {
            break;
        }
    }
    Ok(())
}

/// The test clock
#[utoipa::path(get, path = "/v1/test_clock", tag = "program", security(("admin" = [])), responses(
    (status = 200, description = "What it shows", body = TestClockView),
    (status = 409, description = "`not_a_sandbox`", body = ProblemBody)))]
pub async fn get(State(state): State<AppState>, Admin { 0: principal }: Admin) -> Result<Json<TestClockView>, Problem> {
    let now = now(&state, &principal).await?;
    let mut scope = state.db.tenant(principal.tenant).await?;
    let set = test_clocks::of(&mut scope, &[principal.tenant]).await?;
    scope.commit().await?;
    Ok(Json(TestClockView {
        now,
        frozen: !set.is_empty(),
    }))
}

async fn now(state: &AppState, principal: &Principal) -> Result<DateTime<Utc>, Problem> {
    let in_force = state.ledger.programs.in_force(principal.tenant).await?;
    if in_force.mode != Mode::Sandbox {
        let detail = "The tenant is live: its time is the world's. Only a sandbox tenant has a test clock.";
        return Err(Problem::conflict("not_a_sandbox", detail));
    }
    let mut scope = state.db.tenant(principal.tenant).await?;
    let now = tenant_now(state, &mut scope, principal.tenant, &in_force).await?;
    scope.commit().await?;
    Ok(now)
}
