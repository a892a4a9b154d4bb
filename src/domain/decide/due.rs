//! What falls due by time alone: deadlines of holds, ends of grants, cycles of subscriptions.
//!
//! It runs before every command, in the order in which it fell due, each thing decided by the program that was in force
//! then and dated then. So nothing waits for a job, one leap in time is the same as many steps, and what is due is posted
//! exactly once: what was posted is not due any more.
//!
//! At one instant holds come first (what they free may expire), then grants, then subscriptions (what they roll over has
//! just expired, and what they grant starts where it ended).

use chrono::{DateTime, Utc};

use super::{AccountState, Context, Draft, expire, hold, renew};
use crate::domain::{
    entry::LedgerAccount,
    grant::{Grant, GrantEnd},
    ids::IdSource,
    program::ProgramHistory,
    transaction::Transaction,
};

/// When the next thing falls due; none: nothing ever does by itself.
pub fn next_due(state: &AccountState) -> Option<DateTime<Utc>> {
    let holds = state.holds.iter().filter(|h| h.is_open()).map(|h| h.expires_at);
    let grants = state
        .grants
        .iter()
        .filter(|g| g.free() > 0)
        .filter_map(|g| g.expires_at);
    let subscriptions = state.subscriptions.iter().filter_map(|s| s.next_due());
    holds.chain(grants).chain(subscriptions).min()
}

/// Brings an account up to `now`: carries out all that fell due, and returns it in order.
pub fn catch_up(
    state: &mut AccountState,
    now: DateTime<Utc>,
    programs: &ProgramHistory,
    ids: &mut dyn IdSource,
) -> Vec<Transaction> {
    let mut posted = Vec::new();
    while let Some(at) = next_due(state).filter(|at| *at <= now) {
        let (program, program_version) = programs.at(at);
        let mut context = Context {
            now: at,
            booked_at: now,
            program,
            program_version,
            ids,
        };
        run(state, &mut context, &mut posted);
    }
    posted
}

/// All that falls due at one instant.
fn run(state: &mut AccountState, context: &mut Context<'_>, posted: &mut Vec<Transaction>) {
    let at = context.now;
    let mut ended: Vec<GrantEnd> = Vec::new();
    let lapsed = |h: &&crate::domain::hold::Hold| h.is_open() && h.expires_at <= at;
    while let Some(hold) = state
        .holds
        .iter()
        .filter(lapsed)
        .min_by_key(|h| (h.expires_at, h.id))
        .cloned()
    {
        let draft = hold::expire(state, &hold, context);
        // What it frees of grants that end at this very instant remained in them to their end.
        for entry in draft.entries.iter().filter(|e| e.credit == LedgerAccount::Expired) {
            let grant = state.grant(entry.grant_id).filter(|g| g.expires_at == Some(at));
            ended.extend(grant.map(|grant| GrantEnd {
                amount: entry.amount,
                ..GrantEnd::of(grant)
            }));
        }
        post(state, draft, context, posted);
    }
    while let Some(grant) = next_ended(state, at) {
        let draft = expire::decide(&grant, context);
        post(state, draft, context, posted);
        ended.push(GrantEnd::of(&grant));
    }
    let is_due = |s: &&crate::domain::subscription::Subscription| s.next_due().is_some_and(|due| due <= at);
    while let Some(subscription) = state
        .subscriptions
        .iter()
        .filter(is_due)
        .min_by_key(|s| (s.started_at, s.id))
    {
        for draft in renew::decide(&subscription.clone(), &ended, context) {
            post(state, draft, context, posted);
        }
    }
    state.bring_usage_up(at);
}

fn next_ended(state: &AccountState, at: DateTime<Utc>) -> Option<Grant> {
    let ended = state.grants.iter().filter(|g| g.free() > 0 && g.expired(at));
    ended.min_by_key(|g| (g.expires_at, g.id)).cloned()
}

fn post(state: &mut AccountState, draft: Draft, context: &Context<'_>, posted: &mut Vec<Transaction>) {
    let mut transaction = draft.posted(context);
    transaction.available_after = state.available_after(&transaction, context);
    state.apply(&transaction, context.now);
    posted.push(transaction);
}
