//! Writing what a batch decided.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::columns::{EntryColumns, HeadColumns, TransactionColumns};
use crate::{
    domain::{
        decide::AccountState,
        grant::Grant,
        hold::Hold,
        ids::{AccountId, GrantId, QuoteId, TenantId, TopUpId, TransactionId},
        subscription::Subscription,
        transaction::Transaction,
    },
    storage::{Scope, StorageError, audit_log, due, expect_rows, holds, quotes, stripe_events, subscriptions, top_ups},
};

/// What a batch decided, ready to be written.
#[derive(Default)]
pub struct Batch {
    pub heads: Vec<(TenantId, AccountState)>,
    pub transactions: Vec<(TenantId, AccountId, Arc<Transaction>)>,
    /// Grants that existed before and changed: what remains and what is held.
    pub changed_grants: Vec<(TenantId, GrantId, i64, i64)>,
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

/// A top-up that the batch credited, and the event of Stripe's that said it was paid.
pub struct Settled {
    pub tenant: TenantId,
    pub top_up_id: TopUpId,
    pub grant_id: GrantId,
    pub credited_at: DateTime<Utc>,
    pub event_id: Option<String>,
}

/// Writes the batch. Nothing of it stands unless the scope is committed.
pub async fn store(scope: &mut Scope, batch: &Batch, now: DateTime<Utc>) -> Result<(), StorageError> {
    if !batch.new_grants.is_empty() {
        insert_grants(scope, batch, now).await?;
    }
    post(scope, batch, now).await?;
    subscriptions::put(scope, &batch.subscriptions).await?;
    holds::put(scope, &batch.holds).await?;
    due::put(scope, &batch.due).await?;
    for (tenant, quote, by) in &batch.quotes_used {
        quotes::mark_used(scope, *tenant, *quote, *by).await?;
    }
    for settled in &batch.settled {
        top_ups::mark_credited(
            scope,
            settled.tenant,
            settled.top_up_id,
            settled.grant_id,
            settled.credited_at,
        )
        .await?;
        if let Some(event_id) = &settled.event_id {
            stripe_events::finish(scope, settled.tenant, event_id, stripe_events::State::Done, None, now).await?;
        }
    }
    for (tenant, record) in &batch.audits {
        audit_log::insert(scope, *tenant, record).await?;
    }
    Ok(())
}

/// The statement a spend costs: its transaction, its entries, its grants' remainders and its account's head.
async fn post(scope: &mut Scope, batch: &Batch, now: DateTime<Utc>) -> Result<(), StorageError> {
    let t = TransactionColumns::of(batch)?;
    let e = EntryColumns::of(batch);
    let grant_tenants: Vec<Uuid> = batch.changed_grants.iter().map(|(tenant, ..)| tenant.0).collect();
    let grant_ids: Vec<Uuid> = batch.changed_grants.iter().map(|(_, id, ..)| id.0).collect();
    let remaining: Vec<i64> = batch
        .changed_grants
        .iter()
        .map(|(_, _, remaining, _)| *remaining)
        .collect();
    let held: Vec<i64> = batch.changed_grants.iter().map(|(.., held)| *held).collect();
    let h = HeadColumns::of(batch)?;
    let changed = sqlx::query!(
        r#"
        WITH new_transactions AS (
            INSERT INTO transactions (tenant_id, id, account_id, kind, amount, available_after, created_at, effective_at,
                actor_id, subject_id, idempotency_key, request_hash, reason, detail)
            SELECT tenant_id, id, account_id, kind, amount, available_after, created_at, effective_at, actor_id, subject_id,
                idempotency_key, request_hash, reason, detail::jsonb
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bigint[],
                $7::timestamptz[], $8::uuid[], $9::uuid[], $10::text[], $11::bytea[], $12::text[], $13::text[],
                $39::timestamptz[])
                AS t (tenant_id, id, account_id, kind, amount, available_after, effective_at, actor_id, subject_id,
                      idempotency_key, request_hash, reason, detail, created_at)
        ), new_entries AS (
            INSERT INTO entries (tenant_id, account_id, transaction_id, grant_id, amount, seq, debit, credit)
            SELECT * FROM unnest($15::uuid[], $16::uuid[], $17::uuid[], $18::uuid[], $19::bigint[], $20::smallint[],
                $21::smallint[], $22::smallint[])
        ), changed_grants AS (
            UPDATE grants g
            SET remaining = u.remaining, held = u.held, closed_at = CASE WHEN u.remaining = 0 THEN $14::timestamptz END
            FROM unnest($23::uuid[], $24::uuid[], $25::bigint[], $33::bigint[]) AS u (tenant_id, id, remaining, held)
            WHERE g.tenant_id = u.tenant_id AND g.id = u.id
            RETURNING 1
        ), changed_heads AS (
            UPDATE account_heads h
            SET version = u.version + 1, credits = u.credits, used = u.used,
                cycle_starts_at = u.cycle_starts_at, cycle_ends_at = u.cycle_ends_at,
                counts_since = u.counts_since, due_at = u.due_at,
                live_subscriptions = u.live_subscriptions::uuid[], open_holds = u.open_holds::uuid[],
                cap_counters = u.cap_counters::jsonb, cap_overrides = u.cap_overrides::jsonb
            FROM unnest($26::uuid[], $27::uuid[], $28::bigint[], $29::bigint[], $30::bigint[], $31::timestamptz[],
                $32::timestamptz[], $34::timestamptz[], $35::text[], $36::text[], $37::text[], $38::text[],
                $40::timestamptz[])
                AS u (tenant_id, account_id, version, credits, used, cycle_starts_at, cycle_ends_at, due_at,
                      live_subscriptions, open_holds, cap_counters, cap_overrides, counts_since)
            WHERE h.tenant_id = u.tenant_id AND h.account_id = u.account_id AND h.version = u.version
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM changed_grants) AS "grants!", (SELECT count(*) FROM changed_heads) AS "heads!"
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
        &grant_tenants,
        &grant_ids,
        &remaining,
        &h.tenants,
        &h.accounts,
        &h.versions,
        &h.credits,
        &h.used,
        h.cycle_starts_at.as_slice() as &[Option<DateTime<Utc>>],
        h.cycle_ends_at.as_slice() as &[Option<DateTime<Utc>>],
        &held,
        h.due_at.as_slice() as &[Option<DateTime<Utc>>],
        &h.live_subscriptions,
        &h.open_holds,
        h.cap_counters.as_slice() as &[Option<String>],
        h.cap_overrides.as_slice() as &[Option<String>],
        &t.created_at,
        h.counts_since.as_slice() as &[Option<DateTime<Utc>>],
    )
    .fetch_one(scope.connection())
    .await?;
    expect_rows(
        "grants drawn from",
        changed.grants.unsigned_abs(),
        batch.changed_grants.len(),
    )?;
    expect_rows("account heads", changed.heads.unsigned_abs(), batch.heads.len())
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
