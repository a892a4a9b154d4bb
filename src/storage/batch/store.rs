//! Writing what a batch decided.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::columns::{ChangedGrantColumns, EntryColumns, HeadColumns, StandingColumns, TransactionColumns};
use crate::{
    domain::{
        decide::AccountState,
        grant::Grant,
        hold::Hold,
        ids::{AccountId, GrantId, QuoteId, TenantId, TopUpId, TransactionId},
        subscription::Subscription,
        transaction::Transaction,
    },
    storage::{Scope, StorageError, audit_log, due, holds, quotes, stripe_events, subscriptions, top_ups},
};

/// What a batch decided, ready to be written.
#[derive(Default)]
pub struct Batch {
    pub heads: Vec<(TenantId, AccountState)>,
    /// Those of the heads of which more changes than a spend changes.
    pub standing_changed: HashSet<AccountId>,
    pub transactions: Vec<(TenantId, AccountId, Arc<Transaction>)>,
    /// Grants that existed before and changed.
    pub changed_grants: Vec<ChangedGrant>,
    /// Grants made by the batch, as they stand at its end.
    pub new_grants: Vec<(TenantId, AccountId, Grant)>,
    pub subscriptions: Vec<(TenantId, AccountId, Subscription)>,
    pub holds: Vec<(TenantId, AccountId, Hold)>,
    pub quotes_used: Vec<(TenantId, QuoteId, TransactionId)>,
    /// Accounts for which the next due time is another than before.
    pub due: Vec<(TenantId, AccountId, Option<DateTime<Utc>>)>,
    pub audits: Vec<(TenantId, audit_log::Record)>,
    pub settled: Vec<Settled>,
}

/// A grant that a batch found and leaves otherwise. What it found must still stand when it is written.
pub struct ChangedGrant {
    pub tenant: TenantId,
    pub id: GrantId,
    pub found: GrantFigures,
    pub left: GrantFigures,
}

/// What changes of a grant in its life.
#[derive(Clone, Copy, Default)]
pub struct GrantFigures {
    pub remaining: i64,
    pub held: i64,
}

impl GrantFigures {
    pub fn less(self, change: Self) -> Self {
        Self {
            remaining: self.remaining - change.remaining,
            held: self.held - change.held,
        }
    }
}

/// A top-up that the batch credited, and the event of Stripe's that said it was paid.
pub struct Settled {
    pub tenant: TenantId,
    pub top_up_id: TopUpId,
    pub grant_id: GrantId,
    pub credited_at: DateTime<Utc>,
    pub event_id: Option<String>,
}

impl Batch {
    /// Whether one statement writes it all: what spends, refunds and expiries come to.
    pub fn is_one_statement(&self) -> bool {
        self.new_grants.is_empty()
            && self.standing_changed.is_empty()
            && self.subscriptions.is_empty()
            && self.holds.is_empty()
            && self.quotes_used.is_empty()
            && self.due.is_empty()
            && self.audits.is_empty()
            && self.settled.is_empty()
    }
}

/// Writes the batch, if what it was decided on still stands: else [`StorageError::Conflict`], and nothing of it may stand.
/// Of more than one statement, it must be written in a transaction that has locked the accounts.
pub async fn store(scope: &mut Scope, batch: &Batch, now: DateTime<Utc>) -> Result<(), StorageError> {
    let (standing, plain): (Vec<_>, Vec<_>) = batch
        .heads
        .iter()
        .partition(|(_, state)| batch.standing_changed.contains(&state.id));
    if !standing.is_empty() {
        update_standing(scope, &standing).await?;
    }
    if !batch.new_grants.is_empty() {
        insert_grants(scope, batch, now).await?;
    }
    post(scope, batch, &plain, now).await?;
    subscriptions::put(scope, &batch.subscriptions).await?;
    holds::put(scope, &batch.holds).await?;
    due::put(scope, &batch.due).await?;
    for (tenant, quote, by) in &batch.quotes_used {
        quotes::mark_used(scope, *tenant, *quote, *by).await?;
    }
    for settled in &batch.settled {
        settle(scope, settled, now).await?;
    }
    for (tenant, record) in &batch.audits {
        audit_log::insert(scope, *tenant, record).await?;
    }
    Ok(())
}

async fn settle(scope: &mut Scope, settled: &Settled, now: DateTime<Utc>) -> Result<(), StorageError> {
    let tenant = settled.tenant;
    top_ups::mark_credited(scope, tenant, settled.top_up_id, settled.grant_id, settled.credited_at).await?;
    if let Some(event_id) = &settled.event_id {
        stripe_events::finish(scope, tenant, event_id, stripe_events::State::Done, None, now).await?;
    }
    Ok(())
}

/// The statement a spend costs: its transaction, its entries, its grants' remainders and its account's head.
///
/// Heads come first, in the order of their ids, as in [`super::lock`]: whoever has a head's lock has its grants'. A head of
/// another version than was decided on, or a grant of which something else remains, is not changed; then fewer rows are
/// changed than must be, and the statement fails by dividing by 0, whether or not it stands in a transaction.
///
/// The arrays are unnested side by side in select lists: in FROM, Postgres would first store each of them apart.
async fn post(
    scope: &mut Scope,
    batch: &Batch,
    heads: &[&(TenantId, AccountState)],
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let t = TransactionColumns::of(batch)?;
    let e = EntryColumns::of(batch);
    let g = ChangedGrantColumns::of(batch);
    let h = HeadColumns::of(heads)?;
    sqlx::query!(
        r#"
        WITH new_transactions AS (
            INSERT INTO transactions (tenant_id, id, account_id, kind, amount, available_after, created_at, effective_at,
                actor_id, subject_id, idempotency_key, request_hash, reason, detail)
            SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::smallint[]), unnest($5::bigint[]),
                unnest($6::bigint[]), unnest($38::timestamptz[]), unnest($7::timestamptz[]), unnest($8::uuid[]),
                unnest($9::uuid[]), unnest($10::text[]), unnest($11::bytea[]), unnest($12::text[]), unnest($13::text[])::jsonb
        ), new_entries AS (
            INSERT INTO entries (tenant_id, account_id, transaction_id, grant_id, amount, seq, debit, credit)
            SELECT unnest($15::uuid[]), unnest($16::uuid[]), unnest($17::uuid[]), unnest($18::uuid[]), unnest($19::bigint[]),
                unnest($20::smallint[]), unnest($21::smallint[]), unnest($22::smallint[])
        ), changed_heads AS (
            UPDATE account_heads h
            SET version = u.version + 1, credits = u.credits, used = u.used,
                cycle_starts_at = u.cycle_starts_at, cycle_ends_at = u.cycle_ends_at,
                counts_since = u.counts_since, counted = u.counted
            FROM (SELECT unnest($26::uuid[]) AS tenant_id, unnest($27::uuid[]) AS account_id, unnest($28::bigint[]) AS version,
                unnest($29::bigint[]) AS credits, unnest($30::bigint[]) AS used,
                unnest($31::timestamptz[]) AS cycle_starts_at, unnest($32::timestamptz[]) AS cycle_ends_at,
                unnest($33::timestamptz[]) AS counts_since, unnest($34::text[]) AS counted) AS u
            WHERE h.tenant_id = u.tenant_id AND h.account_id = u.account_id AND h.version = u.version
            RETURNING 1
        ), changed_grants AS (
            UPDATE grants g
            SET remaining = u.remaining, held = u.held, closed_at = CASE WHEN u.remaining = 0 THEN $14::timestamptz END
            FROM (SELECT unnest($23::uuid[]) AS tenant_id, unnest($24::uuid[]) AS id, unnest($25::bigint[]) AS remaining,
                unnest($35::bigint[]) AS held, unnest($36::bigint[]) AS remaining_found, unnest($37::bigint[]) AS held_found)
                AS u
            WHERE g.tenant_id = u.tenant_id AND g.id = u.id AND g.remaining = u.remaining_found AND g.held = u.held_found
                AND (SELECT count(*) FROM changed_heads) = cardinality($27::uuid[])
            RETURNING 1
        )
        SELECT 1 / ((SELECT count(*) FROM changed_heads) = cardinality($27::uuid[])
            AND (SELECT count(*) FROM changed_grants) = cardinality($24::uuid[]))::integer AS "all!"
        "#,
        &t.tenants,
        &t.ids,
        &t.accounts,
        &t.kinds,
        &t.amounts,
        &t.available_after,
        &t.effective_at,
        t.actors.as_slice() as &[Option<Uuid>],
        t.subjects.as_slice() as &[Option<Uuid>],
        t.keys.as_slice() as &[Option<&str>],
        t.request_hashes.as_slice() as &[Option<&[u8]>],
        t.reasons.as_slice() as &[Option<&str>],
        t.details.as_slice() as &[Option<String>],
        now,
        &e.tenants,
        &e.accounts,
        &e.transactions,
        &e.grants,
        &e.amounts,
        &e.seqs,
        &e.debits,
        &e.credits,
        &g.tenants,
        &g.ids,
        &g.remaining,
        &h.tenants,
        &h.accounts,
        &h.versions,
        &h.credits,
        &h.used,
        h.cycle_starts_at.as_slice() as &[Option<DateTime<Utc>>],
        h.cycle_ends_at.as_slice() as &[Option<DateTime<Utc>>],
        h.counts_since.as_slice() as &[Option<DateTime<Utc>>],
        h.counted.as_slice() as &[Option<String>],
        &g.held,
        &g.remaining_found,
        &g.held_found,
        &t.created_at,
    )
    .fetch_one(scope.connection())
    .await?;
    Ok(())
}

/// The heads of which more changes than a spend changes.
async fn update_standing(scope: &mut Scope, heads: &[&(TenantId, AccountState)]) -> Result<(), StorageError> {
    let h = HeadColumns::of(heads)?;
    let s = StandingColumns::of(heads)?;
    let done = sqlx::query!(
        "UPDATE account_heads h
         SET version = u.version + 1, credits = u.credits, used = u.used,
             cycle_starts_at = u.cycle_starts_at, cycle_ends_at = u.cycle_ends_at,
             counts_since = u.counts_since, counted = u.counted,
             due_at = u.due_at, live_subscriptions = u.live_subscriptions::uuid[], open_holds = u.open_holds::uuid[],
             cap_overrides = u.cap_overrides::jsonb
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[], $8::timestamptz[], $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[])
             AS u (tenant_id, account_id, version, credits, used, cycle_starts_at, cycle_ends_at, counts_since, counted,
                   due_at, live_subscriptions, open_holds, cap_overrides)
         WHERE h.tenant_id = u.tenant_id AND h.account_id = u.account_id AND h.version = u.version",
        &h.tenants,
        &h.accounts,
        &h.versions,
        &h.credits,
        &h.used,
        h.cycle_starts_at.as_slice() as &[Option<DateTime<Utc>>],
        h.cycle_ends_at.as_slice() as &[Option<DateTime<Utc>>],
        h.counts_since.as_slice() as &[Option<DateTime<Utc>>],
        h.counted.as_slice() as &[Option<String>],
        s.due_at.as_slice() as &[Option<DateTime<Utc>>],
        &s.live_subscriptions,
        &s.open_holds,
        s.cap_overrides.as_slice() as &[Option<String>],
    )
    .execute(scope.connection())
    .await?;
    if done.rows_affected() == heads.len() as u64 {
        Ok(())
    } else {
        Err(StorageError::Conflict)
    }
}

async fn insert_grants(scope: &mut Scope, batch: &Batch, now: DateTime<Utc>) -> Result<(), StorageError> {
    let all = || batch.new_grants.iter().map(|(.., grant)| grant);
    let tenants: Vec<Uuid> = batch.new_grants.iter().map(|(tenant, ..)| tenant.0).collect();
    let accounts: Vec<Uuid> = batch.new_grants.iter().map(|(_, account, _)| account.0).collect();
    let ids: Vec<Uuid> = all().map(|g| g.id.0).collect();
    let transactions: Vec<Uuid> = all().map(|g| g.transaction_id.0).collect();
    let amounts: Vec<i64> = all().map(|g| g.amount).collect();
    let remaining: Vec<i64> = all().map(|g| g.remaining).collect();
    let held: Vec<i64> = all().map(|g| g.held).collect();
    let effective_at: Vec<DateTime<Utc>> = all().map(|g| g.effective_at).collect();
    let expires_at: Vec<Option<DateTime<Utc>>> = all().map(|g| g.expires_at).collect();
    let priorities: Vec<i32> = all().map(|g| g.priority).collect();
    let classes: Vec<i16> = all().map(|g| g.class.code()).collect();
    let origins: Vec<i16> = all().map(|g| g.origin.code()).collect();
    let versions: Vec<Option<i32>> = all().map(|g| g.program_version).collect();
    let applies_to: Vec<Option<String>> = all()
        .map(|g| {
            g.applies_to
                .as_ref()
                .map(|list| serde_json::Value::from(list.clone()).to_string())
        })
        .collect();
    let paid_amounts: Vec<Option<i64>> = all().map(|g| g.paid.as_ref().map(|p| p.amount.get())).collect();
    let paid_currencies: Vec<Option<&str>> = all().map(|g| g.paid.as_ref().map(|p| p.currency.as_str())).collect();
    let top_ups: Vec<Option<Uuid>> = all().map(|g| g.top_up_id.map(|id| id.0)).collect();
    let sources: Vec<Option<Uuid>> = all().map(|g| g.source_grant_id.map(|id| id.0)).collect();
    let subscriptions: Vec<Option<Uuid>> = all().map(|g| g.subscription_id.map(|id| id.0)).collect();
    sqlx::query!(
        r#"
        INSERT INTO grants (tenant_id, id, account_id, transaction_id, amount, remaining, effective_at, expires_at, closed_at,
            priority, class, origin, program_version, applies_to, paid_amount, paid_currency, top_up_id, source_grant_id, held,
            subscription_id)
        SELECT tenant_id, id, account_id, transaction_id, amount, remaining, effective_at, expires_at,
            CASE WHEN remaining = 0 THEN $18::timestamptz END, priority, class, origin, program_version, applies_to::jsonb,
            paid_amount, paid_currency, top_up_id, source_grant_id, held, subscription_id
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::timestamptz[],
            $8::timestamptz[], $9::integer[], $10::smallint[], $11::smallint[], $12::integer[], $13::text[],
            $14::bigint[], $15::text[], $16::uuid[], $17::uuid[], $19::bigint[], $20::uuid[])
            AS g (tenant_id, id, account_id, transaction_id, amount, remaining, effective_at, expires_at, priority,
                  class, origin, program_version, applies_to, paid_amount, paid_currency, top_up_id, source_grant_id, held,
                  subscription_id)
        "#,
        &tenants,
        &ids,
        &accounts,
        &transactions,
        &amounts,
        &remaining,
        &effective_at,
        expires_at.as_slice() as &[Option<DateTime<Utc>>],
        &priorities,
        &classes,
        &origins,
        versions.as_slice() as &[Option<i32>],
        applies_to.as_slice() as &[Option<String>],
        paid_amounts.as_slice() as &[Option<i64>],
        paid_currencies.as_slice() as &[Option<&str>],
        top_ups.as_slice() as &[Option<Uuid>],
        sources.as_slice() as &[Option<Uuid>],
        now,
        &held,
        subscriptions.as_slice() as &[Option<Uuid>],
    )
    .execute(scope.connection())
    .await?;
    Ok(())
}
