//! An account's statement: what moved its credits in a span of time, as JSON or CSV.

mod as_csv;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{
    caught_up::see,
    period::{Parameters, Period},
};
use crate::{
    domain::{
        account::ExternalId,
        balance::ByClass,
        calendar::{Zone, calendar_window},
        ids::TransactionId,
        program::{Unit, Window},
        statement::{LINES_MAX, Line, Statement, Total},
        transaction::Kind,
    },
    http::{
        auth::Reader,
        body::{Path, Query},
        error::{Problem, ProblemBody},
        state::AppState,
    },
    storage::statement,
};

/// What moved an account's credits, held or not, in a span of time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatementView {
    account_id: ExternalId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// The program's: the default span is the month of its wall clock.
    timezone: Zone,
    unit: Unit,
    /// What remained just before `from`: of all grants that were booked and had not ended, those that begin later among them.
    opening_balance: i64,
    /// In the order in which they count.
    lines: Vec<LineView>,
    /// By kind, of those that occur.
    totals: Vec<TotalView>,
    /// `opening_balance` and the amounts of all lines.
    closing_balance: i64,
}

/// A transaction.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LineView {
    transaction_id: TransactionId,
    kind: Kind,
    /// From when it counts.
    effective_at: DateTime<Utc>,
    /// When it was booked.
    booked_at: DateTime<Utc>,
    /// What it added to what remains; below 0, what it took. What a hold sets aside and a void frees remains all the while.
    amount: i64,
    /// What remained afterwards.
    balance: i64,
    /// `amount`, by class.
    by_class: ByClass,
    /// What it added to what holds have set aside; below 0, what it freed.
    held: i64,
    operation: Option<String>,
    member: Option<String>,
    reason: Option<String>,
}

/// All lines of a kind.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TotalView {
    kind: Kind,
    lines: usize,
    amount: i64,
    held: i64,
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            transaction_id: line.transaction_id,
            kind: line.kind,
            effective_at: line.effective_at,
            booked_at: line.booked_at,
            amount: line.amount,
            balance: line.balance,
            by_class: line.by_class,
            held: line.held,
            operation: line.operation,
            member: line.member,
            reason: line.reason,
        }
    }
}

impl From<Total> for TotalView {
    fn from(total: Total) -> Self {
        Self {
            kind: total.kind,
            lines: total.lines,
            amount: total.amount,
            held: total.held,
        }
    }
}

/// Statement
///
/// Every transaction that moved credits and counts in [from, to), with the balance after each: JSON, or CSV for
/// `Accept: text/csv`, with a header row, the opening balance in the first row and the closing balance in the last. At most
/// 10,000 lines.
#[utoipa::path(get, path = "/v1/accounts/{id}/statement", tag = "books", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path),
        ("from" = Option<DateTime<Utc>>, Query, description = "Default: the start of the calendar month in which `to` ends, in the program's time zone."),
        ("to" = Option<DateTime<Utc>>, Query, description = "The first instant that is not in it. Default, and at most: now, and then what counts at this very instant is in it too.")),
    responses(
    (status = 200, description = "The statement", content((StatementView = "application/json"), (String = "text/csv"))),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_from`, `invalid_to`, `invalid_parameter`, `statement_too_long`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(pairs, &["from", "to"])?;
    let mut seen = see(&state, principal.tenant, &id).await?;
    let program = seen.in_force.program();
    let period = Period::read(&parameters, seen.now, |to| start(program.timezone, to))?;
    let (tenant, mode, account) = (principal.tenant, seen.in_force.mode, seen.account.id);
    let (from, before) = (period.from, period.before);
    let frame = statement::frame(&mut seen.scope, tenant, mode, account, from, before).await?;
    let limit = i64::try_from(LINES_MAX).unwrap_or(i64::MAX);
    if frame.lines > limit {
        return Err(too_long(frame.lines));
    }
    let transactions = statement::transactions(&mut seen.scope, tenant, mode, account, (from, before), limit).await?;
    seen.scope.commit().await?;
    let statement = Statement::new(frame.opening_balance, transactions);
    if wants_csv(&headers) {
        return as_csv::response(&statement, &period);
    }
    let view = StatementView {
        account_id: id,
        from,
        to: period.to,
        timezone: program.timezone,
        unit: program.unit.clone(),
        opening_balance: statement.opening_balance,
        lines: statement.lines.into_iter().map(LineView::from).collect(),
        totals: statement.totals.into_iter().map(TotalView::from).collect(),
        closing_balance: statement.closing_balance,
    };
    Ok(Json(view).into_response())
}

/// The start of the month that holds the last instant before `to`.
fn start(zone: Zone, to: DateTime<Utc>) -> DateTime<Utc> {
    let last = to - TimeDelta::microseconds(1);
    calendar_window(Window::Month, zone, last).map_or(to - TimeDelta::days(31), |month| month.starts_at)
}

fn too_long(lines: i64) -> Problem {
    let detail = format!("The statement would have {lines} lines, more than {LINES_MAX}: ask for a shorter time.");
    Problem::unprocessable("statement_too_long", detail)
        .with("lines", lines)
        .with("limit", LINES_MAX)
}

/// Whether CSV is named in Accept, and not after JSON by its weight.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    let ranges: Vec<&str> = accept
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .collect();
    let weight = |wanted: &str| {
        let its = ranges.iter().filter_map(|range| weight_of(range, wanted));
        its.max().unwrap_or(0)
    };
    let csv = weight("text/csv");
    csv > 0 && csv >= weight("application/json")
}

/// The weight of a media range in thousandths, if it is of this type.
fn weight_of(range: &str, wanted: &str) -> Option<u16> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let Some(text) = given else { return Some(1000) };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let thousandths = format!("{part:0<3}")
        .get(..3)
        .and_then(|part| part.parse::<u16>().ok())?;
    Some((whole.parse::<u16>().ok()? * 1000 + thousandths).min(1000))
}
