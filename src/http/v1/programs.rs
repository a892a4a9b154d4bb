//! A tenant's program.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    domain::{
        cycle::Interval,
        program::{
            self, Format, PREVIEW_MONTHS, Preview, PreviewError, Problem as Fault, Program, Warning,
            lint as warnings_of, parse,
        },
    },
    http::{
        auth::Admin,
        body::{Query, Raw},
        error::{Problem, ProblemBody},
        fields,
        idempotency::{RequestKey, once},
        state::AppState,
    },
    storage::{
        Scope, StorageError,
        programs::{self, Versioned},
        test_clocks,
    },
};

/// The largest program, in bytes.
const PROGRAM_LEN_MAX: usize = 512 * 1024;

/// A program and its version.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProgramView {
    /// Counts up from 1. None: the tenant has put no program yet, and this is what holds until then.
    version: Option<i32>,
    created_at: Option<DateTime<Utc>>,
    program: Program,
}

/// A program in force, and what is unwise about it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AppliedView {
    /// Counts up from 1.
    version: i32,
    created_at: DateTime<Utc>,
    program: Program,
    /// Legal but unwise; none: the linter has nothing to say.
    warnings: Vec<Warning>,
}

impl From<Versioned> for AppliedView {
    fn from(new: Versioned) -> Self {
        Self {
            version: new.version,
            created_at: new.created_at,
            warnings: warnings_of(&new.program),
            program: new.program,
        }
    }
}

/// What the linter says of a program.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LintView {
    /// Whether it could come into force.
    valid: bool,
    /// What is wrong, if it could not.
    problems: Vec<Fault>,
    /// What is unwise, if it could.
    warnings: Vec<Warning>,
}

/// Whose events are shown.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Previewed {
    /// A plan of the program.
    plan: String,
    /// When the subscription starts. Default: now.
    #[serde(default, deserialize_with = "fields::time")]
    anchor: Option<DateTime<Utc>>,
    /// How often it is paid. Default: the first of the plan's billing.
    interval: Option<Interval>,
}

impl From<Versioned> for ProgramView {
    fn from(current: Versioned) -> Self {
        Self {
            version: Some(current.version),
            created_at: Some(current.created_at),
            program: current.program,
        }
    }
}

/// The program in force
#[utoipa::path(get, path = "/v1/program", tag = "program", security(("admin" = [])), responses(
    (status = 200, description = "The newest version", body = ProgramView)))]
pub async fn get(State(state): State<AppState>, Admin { 0: principal }: Admin) -> Result<Json<ProgramView>, Problem> {
    let mut scope = state.db.tenant(principal.tenant).await?;
    let current = programs::current(&mut scope, principal.tenant).await?;
    scope.commit().await?;
    let view = current.map_or_else(
        || ProgramView {
            version: None,
            created_at: None,
            program: Program::default(),
        },
        ProgramView::from,
    );
    Ok(Json(view))
}

/// Put a program
///
/// JSON, or TOML with `Content-Type: application/toml`. A program like the one in force makes no new version. It holds here
/// at once, and within 2 seconds in every other process. Grants keep the version they were made under. What is legal but
/// unwise comes back as `warnings`.
#[utoipa::path(put, path = "/v1/program", tag = "program", security(("admin" = [])), request_body = Program, responses(
    (status = 200, description = "In force", body = AppliedView),
    (status = 400, description = "`malformed_json`", body = ProblemBody),
    (status = 409, description = "`program_changed`: another one was put in the same moment", body = ProblemBody),
    (status = 422, description = "`invalid_program`, with a list of `problems`", body = ProblemBody)))]
pub async fn put(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    key: RequestKey,
    headers: HeaderMap,
    Raw(bytes): Raw<PROGRAM_LEN_MAX>,
) -> Result<Response, Problem> {
    let program = read(&headers, &bytes)?.map_err(invalid)?;
    let scope = state.db.tenant(principal.tenant).await?;
    let answer = once(
        &state,
        principal.tenant,
        scope,
        key.optional(&bytes),
        async |scope: &mut Scope| {
            let by = Some(principal.key_id);
            let now = test_clocks::now(scope, principal.tenant, state.now()).await?;
            let put = programs::put(scope, principal.tenant, &program, now, by).await;
            Ok((StatusCode::OK, json!(AppliedView::from(put.map_err(changed)?))))
        },
    )
    .await;
    state.ledger.programs.forget(principal.tenant);
    answer
}

/// Look at a program
///
/// Says what is wrong with it and what is unwise, and puts nothing in force. JSON, or TOML with
/// `Content-Type: application/toml`. It writes nothing, so it needs no Idempotency-Key.
#[utoipa::path(post, path = "/v1/program/lint", tag = "program", security(("admin" = [])), request_body = Program, responses(
    (status = 200, description = "What the linter says, also of a program that is wrong", body = LintView),
    (status = 400, description = "`malformed_json`", body = ProblemBody)))]
pub async fn lint(
    Admin { .. }: Admin,
    headers: HeaderMap,
    Raw(bytes): Raw<PROGRAM_LEN_MAX>,
) -> Result<Json<LintView>, Problem> {
    let (problems, warnings) = match read(&headers, &bytes)? {
        Ok(program) => (Vec::new(), warnings_of(&program)),
        Err(problems) => (problems, Vec::new()),
    };
    Ok(Json(LintView {
        valid: problems.is_empty(),
        problems,
        warnings,
    }))
}

/// What a subscription would get
///
/// The dated events of a plan's first twelve months under the program in force: payments, refreshes, bonuses, what may roll
/// over, and what expires.
#[utoipa::path(get, path = "/v1/program/preview", tag = "program", security(("admin" = [])), params(Previewed), responses(
    (status = 200, description = "The events, in the order of time", body = Preview),
    (status = 422, description = "`unknown_plan`, `unknown_interval`, `invalid_anchor`", body = ProblemBody)))]
pub async fn preview(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    Query(previewed): Query<Previewed>,
) -> Result<Json<Preview>, Problem> {
    let mut scope = state.db.tenant(principal.tenant).await?;
    let current = programs::current(&mut scope, principal.tenant).await?;
    let now = test_clocks::now(&mut scope, principal.tenant, state.now()).await?;
    scope.commit().await?;
    let program = current.map_or_else(Program::default, |current| current.program);
    let Previewed { plan, anchor, interval } = previewed;
    let anchor = anchor.unwrap_or(now);
    let preview = program::preview(&program, &plan, interval, anchor, PREVIEW_MONTHS);
    Ok(Json(preview.map_err(|error| refused(&error))?))
}

/// The program of a body, or what is wrong with it.
fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Result<Program, Vec<Fault>>, Problem> {
    let is_toml = headers
        .get(header::CONTENT_TYPE)
        .and_then(|t| t.to_str().ok())
        .is_some_and(|t| t.contains("toml"));
    let format = if is_toml { Format::Toml } else { Format::Json };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not UTF-8 text."))?;
    if format == Format::Json
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            format!("The body is not JSON: {error}."),
        ));
    }
    Ok(parse(text, format))
}

fn invalid(problems: Vec<Fault>) -> Problem {
    let detail = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Problem::unprocessable("invalid_program", detail).with("problems", json!(problems))
}

fn changed(error: StorageError) -> Problem {
    if error.violates(programs::VERSION_KEY) {
        Problem::conflict(
            "program_changed",
            "Another program was put in the same moment. Look at it, then put yours again.",
        )
    } else {
        error.into()
    }
}

fn refused(error: &PreviewError) -> Problem {
    let problem = Problem::unprocessable(error.code(), error.to_string());
    match serde_json::to_value(error) {
        Ok(serde_json::Value::Object(numbers)) => numbers
            .into_iter()
            .fold(problem, |problem, (name, value)| problem.with(&name, value)),
        _ => problem,
    }
}
