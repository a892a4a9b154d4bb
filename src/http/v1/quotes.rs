//! Quotes: what a spend would cost, honoured for a while.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    caught_up::{Seen, see},
    charge::Asked,
};
use crate::{
    domain::{
        account::ExternalId,
        cap::CapStanding,
        credits::Amount,
        decide::{Charge, Context, quote},
        ids::QuoteId,
        program::AttributeValue,
        quote::Quote,
        spending_order::Draw,
        text::Name,
    },
    http::{
        auth::Backend,
        body::{Body, Path},
        error::{Problem, ProblemBody},
        idempotency::{RequestKey, once},
        state::AppState,
    },
    random,
    storage::{Scope, quotes},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuote {
    /// How much. Default: what the operation costs.
    amount: Option<Amount>,
    /// What it is for: an operation of the program where no amount is given.
    operation: Option<Name>,
    /// How many of the operation. Default: 1.
    quantity: Option<Amount>,
    /// What its price depends on.
    attributes: Option<BTreeMap<String, AttributeValue>>,
    /// Who in the account will act: caps of members need it.
    member: Option<Name>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct QuoteView {
    id: QuoteId,
    account_id: ExternalId,
    /// What it costs.
    cost: i64,
    /// Which grants would pay, in the order in which they would be drawn.
    drawdown: Vec<Draw>,
    /// Whether the account could spend it when it was quoted.
    affordable: bool,
    /// The caps that count it, as they stood.
    caps: Vec<CapStanding>,
    operation: Option<String>,
    member: Option<String>,
    /// The version of the program that the price is from.
    program_version: Option<i32>,
    created_at: DateTime<Utc>,
    /// It is honoured until then.
    expires_at: DateTime<Utc>,
}

impl QuoteView {
    fn new(account_id: ExternalId, quote: Quote) -> Self {
        Self {
            id: quote.id,
            account_id,
            cost: quote.amount,
            drawdown: quote.drawdown,
            affordable: quote.affordable,
            caps: quote.caps,
            operation: quote.operation,
            member: quote.member,
            program_version: quote.program_version,
            created_at: quote.created_at,
            expires_at: quote.expires_at,
        }
    }
}

/// Quote
///
/// Give the `id` as `quote_id` to a spend or a hold before `expires_at`: it costs what was quoted, whatever the program says
/// then; if it was affordable, no cap bars it, and the grants that were named pay as long as they can. It reserves no
/// credits: that is what a hold does.
#[utoipa::path(post, path = "/v1/accounts/{id}/quotes", tag = "spends", security(("backend" = [])),
    params(("id" = ExternalId, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = NewQuote, responses(
    (status = 201, description = "Quoted", body = QuoteView),
    (status = 404, description = "`account_not_found`", body = ProblemBody),
    (status = 422, description = "`unknown_operation`, `no_price`, `invalid_amount`, ...", body = ProblemBody)))]
pub async fn create(
    State(state): State<AppState>,
    Backend { 0: principal }: Backend,
    Path(id): Path<ExternalId>,
    key: RequestKey,
    body: Body<NewQuote>,
) -> Result<Response, Problem> {
    let idempotency = key.optional(&body.bytes);
    let new = body.value;
    let charge = Charge::try_from(Asked {
        amount: new.amount,
        operation: new.operation,
        quantity: new.quantity,
        attributes: new.attributes,
        quote_id: None,
        member: new.member,
    })?;
    let quote = now(see(&state, principal.tenant, &id).await?, &charge, state.now())?;
    let scope = state.db.tenant(principal.tenant).await?;
    once(
        &state,
        principal.tenant,
        scope,
        idempotency,
        async |scope: &mut Scope| {
            quotes::insert(scope, principal.tenant, &quote).await?;
            Ok((StatusCode::CREATED, json!(QuoteView::new(id.clone(), quote.clone()))))
        },
    )
    .await
}

/// What it costs the account as it was seen.
fn now(seen: Seen, charge: &Charge, machine_now: DateTime<Utc>) -> Result<Quote, Problem> {
    let (program, program_version) = seen.in_force.history.at(seen.now);
    let mut ids = random::id_source();
    ids.tell_time(machine_now);
    let mut context = Context {
        now: seen.now,
        booked_at: seen.now,
        program,
        program_version,
        ids: &mut ids,
    };
    Ok(quote(&seen.state, charge, &mut context)?)
}
