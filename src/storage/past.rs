//! What was posted to an account, read once more in its order: the past of a balance.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Scope, StorageError,
    accounts::Account,
    grants,
    rows::{corrupt, json, kind, ledger_account},
};
use crate::domain::{
    decide::{AccountState, SpendRecord},
    entry::Entry,
    ids::{AccountId, GrantId, TenantId, TransactionId},
    past::{Past, TermsByVersion},
    program::{Plan, ProgramHistory},
    tenant::Mode,
    transaction::{Detail, Effects, Transaction},
};

/// Transactions read at once: what a look at the past keeps in memory, however long it is.
const PAGE_LEN: i64 = 5_000;

/// The account as it stood at an instant, and what it had used in the cycle that ran then. What is due by then is posted.
///
/// Costs what the account's history up to then costs.
pub async fn state_at(
    scope: &mut Scope,
    tenant: TenantId,
    account: &Account,
    programs: &ProgramHistory,
    at: DateTime<Utc>,
) -> Result<(AccountState, i64), StorageError> {
    let all = grants::list(scope, tenant, account.id, None, i64::MAX).await?;
    let empty = AccountState::empty(account.id, account.external_id.clone());
    let mut past = Past::new(empty, all, programs, at);
    let mut terms = TermsByVersion::new();
    let mut after = Uuid::nil();
    loop {
        let page = page(scope, tenant, account.id, at, after).await?;
        let Some(last) = page.last() else {
            return Ok(past.finish());
        };
        after = last.0.id.0;
        know_terms(scope, tenant, &page, &mut terms).await?;
        for (transaction, spend) in page {
            past.post(transaction, spend, &terms)
                .map_err(|e| corrupt("a subscription's terms", e))?;
        }
    }
}

/// A transaction, and of a refund the spend that it gives back.
type Posted = (Transaction, Option<SpendRecord>);

struct Row {
    id: Uuid,
    kind: i16,
    amount: i64,
    created_at: DateTime<Utc>,
    effective_at: DateTime<Utc>,
    subject_id: Option<Uuid>,
    detail: Option<Value>,
    grants: Option<Vec<Uuid>>,
    debits: Option<Vec<i16>>,
    credits: Option<Vec<i16>>,
    amounts: Option<Vec<i64>>,
    spent_at: Option<DateTime<Utc>>,
    counted_at: Option<DateTime<Utc>>,
    over: Option<i64>,
}

/// The next transactions in the order in which they were posted. They are found through their entries; those that may have
/// none (kinds 10, 11 and 13, as in the index's predicate) by themselves. What counts only after `at` comes without
/// entries and detail, as nothing but a step on the way.
///
/// A transaction is looked up by its id, one by one: that is what LIMIT 1 tells the planner, which would rather read all
/// transactions of all tenants.
async fn page(
    scope: &mut Scope,
    tenant: TenantId,
    account: AccountId,
    at: DateTime<Utc>,
    after: Uuid,
) -> Result<Vec<Posted>, StorageError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        WITH page AS MATERIALIZED (
            SELECT id FROM (
                (SELECT transaction_id AS id FROM entries
                 WHERE tenant_id = $1 AND account_id = $2 AND transaction_id > $3 AND seq = 1
                 ORDER BY transaction_id LIMIT $5)
                UNION
                (SELECT id FROM transactions
                 WHERE tenant_id = $1 AND account_id = $2 AND id > $3 AND kind IN (10, 11, 13)
                 ORDER BY id LIMIT $5)
            ) AS posted
            ORDER BY id LIMIT $5
        )
        SELECT t.id AS "id!", t.kind AS "kind!", t.amount AS "amount!", t.created_at AS "created_at!",
            t.effective_at AS "effective_at!", t.subject_id,
            CASE WHEN t.effective_at <= $4 THEN t.detail - 'metadata' END AS detail,
            e.grants, e.debits, e.credits, e.amounts, s.created_at AS "spent_at?",
            coalesce((s.detail -> 'hold' ->> 'created_at')::timestamptz, s.created_at) AS "counted_at?",
            greatest((s.detail -> 'hold' ->> 'captured')::bigint - (s.detail -> 'hold' ->> 'amount')::bigint, 0) AS "over?"
        FROM page
        CROSS JOIN LATERAL (SELECT * FROM transactions WHERE tenant_id = $1 AND id = page.id LIMIT 1) AS t
        LEFT JOIN LATERAL (
            SELECT created_at, detail FROM transactions
            WHERE t.kind = 3 AND tenant_id = $1 AND id = t.subject_id LIMIT 1
        ) AS s ON true
        LEFT JOIN LATERAL (
            SELECT array_agg(grant_id ORDER BY seq) AS grants, array_agg(debit ORDER BY seq) AS debits,
                array_agg(credit ORDER BY seq) AS credits, array_agg(amount ORDER BY seq) AS amounts
            FROM entries WHERE tenant_id = $1 AND account_id = $2 AND transaction_id = page.id
        ) AS e ON t.effective_at <= $4
        ORDER BY page.id
        "#,
        tenant.0,
        account.0,
        after,
        at,
        PAGE_LEN,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter().map(posted).collect()
}

/// As far as the past asks: who did it and what was available afterwards is left out.
fn posted(row: Row) -> Result<Posted, StorageError> {
    let entries = entries(&row)?;
    let detail: Detail = match row.detail {
        Some(detail) => json("a transaction's detail", detail)?,
        None => Detail::default(),
    };
    let times = row.spent_at.zip(row.counted_at);
    let spend = times.map(|(created_at, counted_at)| SpendRecord {
        amount: 0,
        refunded: detail.refunded_total.map_or(0, |total| total - row.amount),
        created_at,
        counted_at,
        over: row.over.unwrap_or(0),
        operation: detail.operation.clone(),
        member: detail.member.clone(),
        drawdown: Vec::new(),
    });
    let transaction = Transaction {
        id: TransactionId(row.id),
        kind: kind(row.kind)?,
        amount: row.amount,
        available_after: 0,
        created_at: row.created_at,
        effective_at: row.effective_at,
        actor: None,
        subject: row.subject_id,
        idempotency: None,
        reason: None,
        detail,
        entries,
        new_grants: Vec::new(),
        effects: Effects::default(),
    };
    Ok((transaction, spend))
}

fn entries(row: &Row) -> Result<Vec<Entry>, StorageError> {
    let (Some(grants), Some(debits), Some(credits), Some(amounts)) =
        (&row.grants, &row.debits, &row.credits, &row.amounts)
    else {
        return Ok(Vec::new());
    };
    let sides = debits.iter().zip(credits);
    let lines = grants.iter().zip(sides).zip(amounts);
    lines
        .map(|((grant_id, (debit, credit)), amount)| {
            Ok(Entry {
                grant_id: GrantId(*grant_id),
                debit: ledger_account(*debit)?,
                credit: ledger_account(*credit)?,
                amount: *amount,
            })
        })
        .collect()
}

/// Reads the terms that the page's subscriptions had and that are not known yet.
async fn know_terms(
    scope: &mut Scope,
    tenant: TenantId,
    page: &[Posted],
    terms: &mut TermsByVersion,
) -> Result<(), StorageError> {
    let snapshots = page.iter().filter_map(|(t, _)| t.detail.subscription.as_deref());
    let mut wanted: Vec<(i32, &str)> = snapshots
        .filter_map(|snapshot| Some((snapshot.program_version?, snapshot.plan.as_str())))
        .filter(|(version, plan)| !terms.get(version).is_some_and(|plans| plans.contains_key(*plan)))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    let (versions, plans): (Vec<i32>, Vec<&str>) = wanted.into_iter().unzip();
    let rows = sqlx::query!(
        r#"SELECT wanted.version AS "version!", wanted.plan AS "plan!", p.document -> 'plans' -> wanted.plan AS terms
           FROM unnest($2::integer[], $3::text[]) AS wanted (version, plan)
           JOIN programs p ON p.tenant_id = $1 AND p.version = wanted.version"#,
        tenant.0,
        &versions,
        plans.as_slice() as &[&str],
    )
    .fetch_all(scope.connection())
    .await?;
    for row in rows {
        if let Some(plan) = row.terms {
            let plan: Plan = json("a plan of a program", plan)?;
            terms.entry(row.version).or_default().insert(row.plan, plan);
        }
    }
    Ok(())
}

/// The smallest id that a transaction can have which counts from `since` or later: where a look back need not begin earlier.
///
/// An id carries the machine's time at its booking, and nothing counts from later than it was booked. A sandbox tenant's time
/// is another than the machine's, so there it is the smallest of all.
pub(super) fn first_id(mode: Mode, since: DateTime<Utc>) -> Uuid {
    match (mode, u64::try_from(since.timestamp_millis())) {
        (Mode::Live, Ok(milliseconds)) => uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid(),
        _ => Uuid::nil(),
    }
}
