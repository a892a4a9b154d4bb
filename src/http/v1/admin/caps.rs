//! An account's own caps, set by support.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        account::ExternalId,
        cap::CapOverride,
        decide::{Action, Command, SetCaps},
        text::{Name, Reason},
    },
    http::{
        auth::Support,
        body::{Body, Path},
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, posted},
        state::AppState,
    },
    ledger::{Audit, Submission},
    storage::batch::AccountKey,
};

/// The most caps of one account.
const CAPS_LEN_MAX: usize = 20;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCaps {
    /// All of the account's own caps, in the place of those before. An empty list: the plan's and the program's hold again.
    caps: Vec<CapOverride>,
    reason: Reason,
    /// The ticket it answers.
    ticket: Option<Name>,
    /// Say what would happen and do nothing. Default: false.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CapsView {
    account_id: ExternalId,
    caps: Vec<CapOverride>,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    dry_run: bool,
    /// The person who did it.
    actor: String,
}

/// Set an account's caps
///
/// They take the place of the plan's and the program's caps of the same window, scope and operations, until their end.
#[utoipa::path(put, path = "/v1/admin/accounts/{id}/caps", tag = "support", security(("support" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = NewCaps, responses(
    (status = 200, description = "Set", body = CapsView),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`invalid_caps`, `missing_field` without a reason, ...", body = ProblemBody)))]
pub async fn put(
    State(state): State<AppState>,
    Support { 0: principal }: Support,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewCaps>,
) -> Result<Response, Problem> {
    let NewCaps {
        caps,
        reason,
        ticket,
        dry_run,
    } = body.value;
    check(&caps)?;
    let idempotency = if dry_run { None } else { key.optional(&body.bytes) };
    let submission = Submission {
        account: AccountKey {
            tenant: principal.tenant,
            external_id: id.clone(),
        },
        command: Command {
            actor: Some(principal.key_id),
            idempotency,
            dry_run,
            action: Action::SetCaps(SetCaps {
                caps,
                reason: reason.into(),
                ticket: ticket.map(String::from),
            }),
        },
        audit: Some(Audit {
            actor_name: principal.name.clone(),
            action: "account.set_caps",
        }),
        event_id: None,
    };
    let receipt = state.ledger.submit(submission).await?;
    let transaction = &receipt.transaction;
    let view = CapsView {
        account_id: id,
        caps: transaction.detail.caps.clone().unwrap_or_default(),
        reason: transaction.reason.clone(),
        ticket: transaction.detail.ticket.clone(),
        dry_run,
        actor: principal.name.clone(),
    };
    Ok(posted(StatusCode::OK, view, receipt.replayed))
}

fn check(caps: &[CapOverride]) -> Result<(), Problem> {
    let invalid = |detail: String| Problem::unprocessable("invalid_caps", detail).with("field", "caps");
    if caps.len() > CAPS_LEN_MAX {
        return Err(invalid(format!(
            "caps: {} are more than the {CAPS_LEN_MAX} an account may have.",
            caps.len()
        )));
    }
    for (n, cap) in caps.iter().enumerate() {
        if cap.operations.as_ref().is_some_and(Vec::is_empty) {
            return Err(invalid(format!(
                "caps[{n}].operations: name some, or leave it out for all."
            )));
        }
        let twin = |other: &CapOverride| {
            (other.window, other.per, &other.operations) == (cap.window, cap.per, &cap.operations)
        };
        if caps[..n].iter().any(twin) {
            return Err(invalid(format!(
                "caps[{n}]: another one before it is of the same window, scope and operations."
            )));
        }
    }
    Ok(())
}
