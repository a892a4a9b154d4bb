//! What an account spent, over time.

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{
    caught_up::{Seen, see},
    period::{Parameters, Period},
};
use crate::{
    domain::{
        account::ExternalId,
        calendar::Zone,
        cycle::Cycle,
        usage::{Grain, SPANS_MAX, Sums, spans, without_gaps},
    },
    http::{
        auth::Reader,
        body::{Path, Query},
        error::{Problem, ProblemBody},
        state::AppState,
    },
    storage::usage::{self, Question},
};

/// The most rows of one answer.
const ROWS_MAX: usize = 10_000;
/// Where it begins by itself, when no cycle runs.
const FROM_DEFAULT: TimeDelta = TimeDelta::days(30);
/// A cycle that began longer ago is no default: its days would be too many.
const CYCLE_AGE_MAX: TimeDelta = TimeDelta::days(399);

/// What an account spent, by time and group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UsageView {
    account_id: ExternalId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// By whose wall clock days, weeks and months run: the program's.
    timezone: Zone,
    interval: Grain,
    /// In order of time, then of operation and member; what names none comes last. Without `group_by` there is a row for every
    /// interval, else for those in which something was spent or given back.
    data: Vec<UsageRow>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UsageRow {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Only if it is grouped by operation. Null: spends that named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    operation: Option<Option<String>>,
    /// Only if it is grouped by member. Null: spends that named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    member: Option<Option<String>>,
    /// How many spends, captures of holds among them.
    spends: i64,
    spent: i64,
    /// What was given back in the interval, whenever it was spent; under the operation and the member of its spend.
    refunded: i64,
    /// `spent` less `refunded`: below 0 where more came back than was spent.
    used: i64,
}

/// What the caller wants to know.
struct Asked {
    grain: Grain,
    by_operation: bool,
    by_member: bool,
}

impl Asked {
    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let mut asked = Self {
            grain: Grain::Day,
            by_operation: false,
            by_member: false,
        };
        if let Some(text) = parameters.get("interval") {
            let known = Grain::ALL.into_iter().find(|grain| grain.as_str() == text);
            asked.grain = known.ok_or_else(|| {
                let detail = "interval: give day, week, month or total.";
                Problem::unprocessable("invalid_interval", detail).with("field", "interval")
            })?;
        }
        for group in parameters.get("group_by").into_iter().flat_map(|text| text.split(',')) {
            let chosen = match group.trim() {
                "operation" => &mut asked.by_operation,
                "member" => &mut asked.by_member,
                _ => return Err(invalid_group_by()),
            };
            if std::mem::replace(chosen, true) {
                return Err(invalid_group_by());
            }
        }
        Ok(asked)
    }

    fn row(&self, span: Cycle, sums: Sums) -> UsageRow {
        UsageRow {
            starts_at: span.starts_at,
            ends_at: span.ends_at,
            used: sums.used(),
            operation: self.by_operation.then_some(sums.operation),
            member: self.by_member.then_some(sums.member),
            spends: sums.spends,
            spent: sums.spent,
            refunded: sums.refunded,
        }
    }
}

fn invalid_group_by() -> Problem {
    let detail = "group_by: give operation, member, or both with a comma between.";
    Problem::unprocessable("invalid_group_by", detail).with("field", "group_by")
}

/// Usage
///
/// What was spent, and what came back, by the day, week or month of the program's time zone. A refund is counted when it is
/// made, under its spend's operation and member; so the sums of a time that has passed never change.
#[utoipa::path(get, path = "/v1/accounts/{id}/usage", tag = "books", security(("backend" = []), ("support" = []), ("read" = [])),
    params(("id" = ExternalId, Path),
        ("from" = Option<DateTime<Utc>>, Query, description = "Default: the start of the current cycle; without one, or if it is more than 399 days before `to`, 30 days before `to`."),
        ("to" = Option<DateTime<Utc>>, Query, description = "The first instant that is not counted. Default, and at most: now, and then what was spent at this very instant counts too."),
        ("group_by" = Option<String>, Query, description = "`operation`, `member` or `operation,member`. Default: all together."),
        ("interval" = Option<String>, Query, description = "`day`, `week`, `month` or `total`; up to 400 of them. The first and the last are cut to `from` and `to`. Default: day.")),
    responses(
    (status = 200, description = "The usage", body = UsageView),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_from`, `invalid_to`, `invalid_interval`, `invalid_group_by`, `invalid_parameter`, `usage_too_long`", body = ProblemBody)))]
pub async fn get(
    State(state): State<AppState>,
    Reader { 0: principal }: Reader,
    Path(id): Path<ExternalId>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<UsageView>, Problem> {
    let parameters = Parameters::read(pairs, &["from", "to", "group_by", "interval"])?;
    let asked = Asked::read(&parameters)?;
    let mut seen = see(&state, principal.tenant, &id).await?;
    let period = Period::read(&parameters, seen.now, |to| start(&seen, to))?;
    let timezone = seen.in_force.program().timezone;
    let spans = spans(asked.grain, timezone, period.from, period.to)
        .ok_or_else(|| too_long(asked.grain.as_str(), SPANS_MAX))?;
    let question = Question {
        spans: &spans,
        before: period.before,
        by_operation: asked.by_operation,
        by_member: asked.by_member,
        limit: i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX),
    };
    let (mode, account) = (seen.in_force.mode, seen.account.id);
    let mut sums = usage::sums(&mut seen.scope, principal.tenant, mode, account, question).await?;
    seen.scope.commit().await?;
    if sums.len() > ROWS_MAX {
        return Err(too_long("row", ROWS_MAX));
    }
    if !asked.by_operation && !asked.by_member {
        sums = without_gaps(sums, spans.len());
    }
    let rows = sums.into_iter();
    let data = rows
        .filter_map(|sums| Some(asked.row(*spans.get(sums.span)?, sums)))
        .collect();
    Ok(Json(UsageView {
        account_id: id,
        from: period.from,
        to: period.to,
        timezone,
        interval: asked.grain,
        data,
    }))
}

/// Where a usage up to `to` begins by itself.
fn start(seen: &Seen, to: DateTime<Utc>) -> DateTime<Utc> {
    // A cycle outlives its allowance: the running usage knows it longer than the grants do.
    let cycle = seen.state.usage_at(seen.now).counts_since();
    let fits = |start: &DateTime<Utc>| *start < to && *start >= to - CYCLE_AGE_MAX;
    cycle.filter(fits).unwrap_or_else(|| to - FROM_DEFAULT)
}

fn too_long(what: &str, limit: usize) -> Problem {
    let detail = format!(
        "The answer would have more than {limit} {what}s: ask for a shorter time, a longer interval or fewer groups."
    );
    Problem::unprocessable("usage_too_long", detail).with("limit", limit)
}
