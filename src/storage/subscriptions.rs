//! Subscriptions. They are written by the batch (`batch::store`).

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Scope, StorageError,
    rows::{corrupt, json, parsed},
};
use crate::domain::{
    account::ExternalId,
    cycle::Interval,
    ids::{AccountId, SubscriptionId, TenantId},
    subscription::{Span, Subscription},
};

struct Row {
    account_id: Uuid,
    id: Uuid,
    plan: String,
    terms: Value,
    program_version: Option<i32>,
    billing: i16,
    units: i32,
    anchor: DateTime<Utc>,
    timezone: String,
    refreshed_from: i32,
    refreshed_to: i32,
    billed_from: i32,
    billed_to: i32,
    started_at: DateTime<Utc>,
    pending: Option<Value>,
    ends_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    phases: Value,
    created_at: DateTime<Utc>,
}

/// As stored.
pub(super) fn interval_code(interval: Interval) -> i16 {
    match interval {
        Interval::Month => 1,
        Interval::Year => 2,
    }
}

fn interval(code: i16) -> Result<Interval, StorageError> {
    match code {
        1 => Ok(Interval::Month),
        2 => Ok(Interval::Year),
        other => Err(corrupt("a billing interval", other)),
    }
}

fn count(number: i32) -> Result<u32, StorageError> {
    u32::try_from(number).map_err(|_| corrupt("a count of a subscription", number))
}

impl TryFrom<Row> for (AccountId, Subscription) {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let span = |from, to| {
            Ok::<_, StorageError>(Span {
                from: count(from)?,
                to: count(to)?,
            })
        };
        let subscription = Subscription {
            id: SubscriptionId(row.id),
            plan: row.plan,
            terms: json("a subscription's terms", row.terms)?,
            program_version: row.program_version,
            billing: interval(row.billing)?,
            units: count(row.units)?,
            anchor: row.anchor,
            zone: parsed("a subscription's time zone", row.timezone)?,
            refreshed: span(row.refreshed_from, row.refreshed_to)?,
            billed: span(row.billed_from, row.billed_to)?,
            started_at: row.started_at,
            pending: row
                .pending
                .map(|terms| json("a subscription's pending terms", terms))
                .transpose()?,
            ends_at: row.ends_at,
            ended_at: row.ended_at,
            phases: json("a subscription's phases", row.phases)?,
            created_at: row.created_at,
        };
        Ok((AccountId(row.account_id), subscription))
    }
}

/// Subscriptions by id, and whose they are.
pub async fn by_ids(
    scope: &mut Scope,
    tenants: &[Uuid],
    ids: &[Uuid],
) -> Result<Vec<(AccountId, Subscription)>, StorageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as!(
        Row,
        "SELECT s.account_id, s.id, s.plan, s.terms, s.program_version, s.billing, s.units, s.anchor, s.timezone,
                s.refreshed_from, s.refreshed_to, s.billed_from, s.billed_to, s.started_at, s.pending, s.ends_at,
                s.ended_at, s.phases, s.created_at
         FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
         JOIN subscriptions s ON s.tenant_id = wanted.tenant_id AND s.id = wanted.id",
        tenants,
        ids,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(TryFrom::try_from).collect()
}

/// A subscription, and whose it is.
pub async fn by_id(
    scope: &mut Scope,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Option<(AccountId, Subscription)>, StorageError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT account_id, id, plan, terms, program_version, billing, units, anchor, timezone, refreshed_from, refreshed_to,
                billed_from, billed_to, started_at, pending, ends_at, ended_at, phases, created_at
         FROM subscriptions WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    row.map(TryFrom::try_from).transpose()
}

/// Whose subscription it is.
pub async fn account_of(
    scope: &mut Scope,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Option<ExternalId>, StorageError> {
    let text = sqlx::query_scalar!(
        "SELECT a.external_id FROM subscriptions s JOIN accounts a ON a.tenant_id = s.tenant_id AND a.id = s.account_id
         WHERE s.tenant_id = $1 AND s.id = $2",
        tenant.0,
        id.0,
    )
    .fetch_optional(scope.connection())
    .await?;
    text.map(|text| parsed("an account's id", text)).transpose()
}

/// All that an account ever had, newest first.
pub async fn list(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    before: Option<SubscriptionId>,
    limit: i64,
) -> Result<Vec<Subscription>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT account_id, id, plan, terms, program_version, billing, units, anchor, timezone, refreshed_from, refreshed_to,
                billed_from, billed_to, started_at, pending, ends_at, ended_at, phases, created_at
         FROM subscriptions WHERE tenant_id = $1 AND account_id = $2 AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        tenant.0,
        account.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .map(|row| <(AccountId, Subscription)>::try_from(row).map(|(_, subscription)| subscription))
        .collect()
}

/// Makes or changes subscriptions, as they stand at a batch's end.
pub(super) async fn put(
    scope: &mut Scope,
    subscriptions: &[(TenantId, AccountId, Subscription)],
) -> Result<(), StorageError> {
    if subscriptions.is_empty() {
        return Ok(());
    }
    let all = || subscriptions.iter().map(|(.., s)| s);
    let text = |value: Result<String, serde_json::Error>| value.map_err(|e| corrupt("a subscription", e));
    let months = |number: u32| i32::try_from(number).map_err(|_| corrupt("a count of a subscription", number));
    let tenants: Vec<Uuid> = subscriptions.iter().map(|(tenant, ..)| tenant.0).collect();
    let accounts: Vec<Uuid> = subscriptions.iter().map(|(_, account, _)| account.0).collect();
    let ids: Vec<Uuid> = all().map(|s| s.id.0).collect();
    let plans: Vec<&str> = all().map(|s| s.plan.as_str()).collect();
    let terms: Vec<String> = all()
        .map(|s| text(serde_json::to_string(&s.terms)))
        .collect::<Result<_, _>>()?;
    let versions: Vec<Option<i32>> = all().map(|s| s.program_version).collect();
    let billings: Vec<i16> = all().map(|s| interval_code(s.billing)).collect();
    let units: Vec<i32> = all().map(|s| months(s.units)).collect::<Result<_, _>>()?;
    let anchors: Vec<DateTime<Utc>> = all().map(|s| s.anchor).collect();
    let zones: Vec<&str> = all().map(|s| s.zone.as_str()).collect();
    let refreshed_from: Vec<i32> = all().map(|s| months(s.refreshed.from)).collect::<Result<_, _>>()?;
    let refreshed_to: Vec<i32> = all().map(|s| months(s.refreshed.to)).collect::<Result<_, _>>()?;
    let billed_from: Vec<i32> = all().map(|s| months(s.billed.from)).collect::<Result<_, _>>()?;
    let billed_to: Vec<i32> = all().map(|s| months(s.billed.to)).collect::<Result<_, _>>()?;
    let started_at: Vec<DateTime<Utc>> = all().map(|s| s.started_at).collect();
    let pending: Vec<Option<String>> = all()
        .map(|s| s.pending.as_ref().map(|p| text(serde_json::to_string(p))).transpose())
        .collect::<Result<_, _>>()?;
    let ends_at: Vec<Option<DateTime<Utc>>> = all().map(|s| s.ends_at).collect();
    let ended_at: Vec<Option<DateTime<Utc>>> = all().map(|s| s.ended_at).collect();
    let phases: Vec<String> = all()
        .map(|s| text(serde_json::to_string(&s.phases)))
        .collect::<Result<_, _>>()?;
    let created_at: Vec<DateTime<Utc>> = all().map(|s| s.created_at).collect();
    let done = sqlx::query!(
        r#"
        INSERT INTO subscriptions (tenant_id, account_id, id, plan, terms, program_version, billing, units, anchor, timezone,
            refreshed_from, refreshed_to, billed_from, billed_to, started_at, pending, ends_at, ended_at, phases, created_at)
        SELECT tenant_id, account_id, id, plan, terms::jsonb, program_version, billing, units, anchor, timezone, refreshed_from,
            refreshed_to, billed_from, billed_to, started_at, pending::jsonb, ends_at, ended_at, phases::jsonb, created_at
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::integer[], $7::smallint[],
            $8::integer[], $9::timestamptz[], $10::text[], $11::integer[], $12::integer[], $13::integer[],
            $14::integer[], $15::timestamptz[], $16::text[], $17::timestamptz[], $18::timestamptz[], $19::text[],
            $20::timestamptz[])
            AS s (tenant_id, account_id, id, plan, terms, program_version, billing, units, anchor, timezone, refreshed_from,
                  refreshed_to, billed_from, billed_to, started_at, pending, ends_at, ended_at, phases, created_at)
        ON CONFLICT ON CONSTRAINT subscriptions_pkey DO UPDATE
        SET plan = excluded.plan, terms = excluded.terms, program_version = excluded.program_version,
            billing = excluded.billing, units = excluded.units, refreshed_from = excluded.refreshed_from,
            refreshed_to = excluded.refreshed_to, billed_from = excluded.billed_from, billed_to = excluded.billed_to,
            pending = excluded.pending, ends_at = excluded.ends_at, ended_at = excluded.ended_at, phases = excluded.phases
        "#,
        &tenants,
        &accounts,
        &ids,
        plans.as_slice() as &[&str],
        &terms,
        versions.as_slice() as &[Option<i32>],
        &billings,
        &units,
        &anchors,
        zones.as_slice() as &[&str],
        &refreshed_from,
        &refreshed_to,
        &billed_from,
        &billed_to,
        &started_at,
        pending.as_slice() as &[Option<String>],
        ends_at.as_slice() as &[Option<DateTime<Utc>>],
        ended_at.as_slice() as &[Option<DateTime<Utc>>],
        &phases,
        &created_at,
    )
    .execute(scope.connection())
    .await?;
    super::expect_rows("subscriptions", done.rows_affected(), subscriptions.len())
}
