//! A tenant's program.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::{
    domain::program::{Format, Program, parse},
    http::{
        auth::{Admin, Principal},
        body::Raw,
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, once},
        state::AppState,
    },
    storage::{
        Scope,
        programs::{self, Versioned},
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
/// at once, and within 2 seconds in every other process. Grants keep the version they were made under.
#[utoipa::path(put, path = "/v1/program", tag = "program", security(("admin" = [])), request_body = Program, responses(
    (status = 200, description = "In force", body = ProgramView),
    (status = 400, description = "`malformed_json`", body = ProblemBody),
    (status = 422, description = "`invalid_program`, with a list of `problems`", body = ProblemBody)))]
pub async fn put(
    State(state): State<AppState>,
    Admin { 0: principal }: Admin,
    key: RequestKey,
    headers: HeaderMap,
    Raw(bytes): Raw<PROGRAM_LEN_MAX>,
) -> Result<Response, Problem> {
    let program = read(&headers, &bytes)?;
    let scope = state.db.tenant(principal.tenant).await?;
    let answer = once(
        &state,
        principal.tenant,
        scope,
        key.optional(&bytes),
        async |scope: &mut Scope| {
            let current = programs::current(scope, principal.tenant).await?;
            let next = match current {
                Some(current) if current.program == program => current,
                current => {
                    let version = current.map_or(0, |current| current.version) + 1;
                    let new = Versioned {
                        version,
                        program: program.clone(),
                        created_at: state.now(),
                    };
                    insert(scope, &principal, &new).await?;
                    new
                }
            };
            Ok((StatusCode::OK, json!(ProgramView::from(next))))
        },
    )
    .await;
    state.ledger.programs.forget(principal.tenant);
    answer
}

fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Program, Problem> {
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
    parse(text, format).map_err(|problems| {
        let detail = problems
            .iter()
            .map(|p| format!("{}: {}", p.path, p.problem))
            .collect::<Vec<_>>()
            .join("; ");
        Problem::unprocessable("invalid_program", detail).with("problems", json!(problems))
    })
}

async fn insert(scope: &mut Scope, principal: &Principal, new: &Versioned) -> Result<(), Problem> {
    programs::insert(scope, principal.tenant, new, Some(principal.key_id))
        .await
        .map_err(|error| {
            if error.violates(programs::VERSION_KEY) {
                Problem::conflict(
                    "program_changed",
                    "Another program was put in the same moment. Look at it, then put yours again.",
                )
            } else {
                error.into()
            }
        })
}
