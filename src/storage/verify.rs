//! The proof that the books agree: entries with grants, grants with balances, top-ups with grants.
//!
//! Each check is one statement that returns a row per difference, so that agreement is an empty answer. Run them
//! in a [`super::Db::snapshot`], so that they all look at the same instant.

use super::{Scope, StorageError};
use crate::domain::ids::TenantId;

/// What does not agree, and the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub subject: String,
    pub detail: String,
}

/// Every difference in a tenant's books.
pub async fn differences(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    let mut found = Vec::new();
    for check in [
        grants(scope, tenant).await?,
        heads(scope, tenant).await?,
        transactions(scope, tenant).await?,
    ] {
        found.extend(check);
    }
    found.extend(orphans(scope, tenant).await?);
    found.extend(sides(scope, tenant).await?);
    found.extend(refunds(scope, tenant).await?);
    found.extend(top_ups(scope, tenant).await?);
    found.extend(holds(scope, tenant).await?);
    found.extend(counts(scope, tenant).await?);
    Ok(found)
}

/// A grant's remainder, and what is held of it, are the sums of its entries; its amount is what came in by the transaction
/// that made it.
async fn grants(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'grant ' || g.id AS "subject!",
            format('amount %s, remaining %s, held %s; its entries brought in %s at first, sum to %s and hold %s',
                   g.amount, g.remaining, g.held, coalesce(e.issued, 0), coalesce(e.sum, 0), coalesce(e.held, 0)) AS "detail!"
        FROM grants g
        LEFT JOIN (
            SELECT e.grant_id,
                sum(CASE WHEN e.credit < 10 THEN e.amount ELSE 0 END) - sum(CASE WHEN e.debit < 10 THEN e.amount ELSE 0 END) AS sum,
                sum(CASE WHEN e.credit = 4 THEN e.amount WHEN e.debit = 4 THEN -e.amount ELSE 0 END) AS held,
                sum(CASE WHEN e.credit < 10 AND g.transaction_id = e.transaction_id THEN e.amount ELSE 0 END) AS issued
            FROM entries e JOIN grants g ON g.tenant_id = e.tenant_id AND g.id = e.grant_id
            WHERE e.tenant_id = $1 GROUP BY e.grant_id
        ) e ON e.grant_id = g.id
        WHERE g.tenant_id = $1
          AND (g.remaining IS DISTINCT FROM coalesce(e.sum, 0) OR g.held IS DISTINCT FROM coalesce(e.held, 0) OR g.amount IS DISTINCT FROM coalesce(e.issued, 0))
        ORDER BY g.id
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// An account's balance is the sum of its grants, and of its entries.
async fn heads(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'account ' || a.external_id AS "subject!",
            format('balance %s; its grants sum to %s, its entries to %s',
                   coalesce(h.credits::text, 'missing'), coalesce(g.sum, 0), coalesce(e.sum, 0)) AS "detail!"
        FROM accounts a
        LEFT JOIN account_heads h
            ON h.tenant_id = a.tenant_id AND h.account_id = a.id AND h.external_id = a.external_id
        LEFT JOIN (SELECT account_id, sum(remaining) AS sum FROM grants WHERE tenant_id = $1 GROUP BY account_id) g
            ON g.account_id = a.id
        LEFT JOIN (
            SELECT account_id, sum(CASE WHEN credit < 10 THEN amount ELSE 0 END) - sum(CASE WHEN debit < 10 THEN amount ELSE 0 END) AS sum
            FROM entries WHERE tenant_id = $1 GROUP BY account_id
        ) e ON e.account_id = a.id
        WHERE a.tenant_id = $1
          AND (h.credits IS DISTINCT FROM coalesce(g.sum, 0) OR h.credits IS DISTINCT FROM coalesce(e.sum, 0))
        ORDER BY a.id
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// A transaction's amount is the sum of the entries it is about: what was issued (ledger account 10) by a grant (kind 1), a
/// top-up (4), a subscription (10) or its renewal (11); what a refund (3) brought back from consumed (11) and a rollover (12)
/// from expired (12); what a spend (2) consumed, what expired (5) or was revoked (6, to 13), what a hold (7) set aside (4) and
/// what came back from there (8, 9). Support's caps (13) move nothing.
async fn transactions(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'transaction ' || t.id AS "subject!",
            format('amount %s, %s entries that sum to %s', t.amount, count(e.seq), coalesce(sum(e.amount) FILTER (
                WHERE (CASE t.kind WHEN 3 THEN 11 WHEN 8 THEN 4 WHEN 9 THEN 4 WHEN 12 THEN 12 ELSE 10 END = e.debit
                       AND t.kind IN (1, 3, 4, 8, 9, 10, 11, 12))
                   OR (CASE t.kind WHEN 2 THEN 11 WHEN 5 THEN 12 WHEN 6 THEN 13 WHEN 7 THEN 4 END = e.credit)), 0)) AS "detail!"
        FROM transactions t
        LEFT JOIN entries e ON e.tenant_id = t.tenant_id AND e.account_id = t.account_id AND e.transaction_id = t.id
        WHERE t.tenant_id = $1
        GROUP BY t.id, t.kind, t.amount
        HAVING t.amount IS DISTINCT FROM coalesce(sum(e.amount) FILTER (
                WHERE (CASE t.kind WHEN 3 THEN 11 WHEN 8 THEN 4 WHEN 9 THEN 4 WHEN 12 THEN 12 ELSE 10 END = e.debit
                       AND t.kind IN (1, 3, 4, 8, 9, 10, 11, 12))
                   OR (CASE t.kind WHEN 2 THEN 11 WHEN 5 THEN 12 WHEN 6 THEN 13 WHEN 7 THEN 4 END = e.credit)), 0)
        ORDER BY t.id
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// Every entry has its transaction, and a grant of the same account whose class is the customer's side it names. The
/// tables have no foreign keys for this, so that a spend is cheap.
async fn orphans(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT format('entry %s of transaction %s', e.seq, e.transaction_id) AS "subject!",
            CASE WHEN t.id IS NULL THEN 'its transaction is missing, or of another account'
                 WHEN g.id IS NULL THEN format('its grant %s is missing, or of another account', e.grant_id)
                 ELSE format('it moves ledger account %s to %s, but its grant is of class %s', e.debit, e.credit, g.class)
            END AS "detail!"
        FROM entries e
        LEFT JOIN transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id AND t.account_id = e.account_id
        LEFT JOIN grants g ON g.tenant_id = e.tenant_id AND g.id = e.grant_id AND g.account_id = e.account_id
        WHERE e.tenant_id = $1
          AND (t.id IS NULL OR g.id IS NULL OR least(e.debit, e.credit) IS DISTINCT FROM g.class)
        ORDER BY e.transaction_id, e.seq
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// An entry's other side is one that its transaction's kind moves: what is granted (kinds 1, 4, 10, 11) comes from issued
/// (10), what is spent (2) goes to consumed (11), after a capture freed it from held (4), and comes back from there by a
/// refund (3); what expires (5) goes to expired (12), and so does what a capture, a void (8), a hold's expiry (9) or a refund
/// brings back to a grant that ended; from there a rollover (12) takes it; what is revoked (6) goes to revoked (13).
async fn sides(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT format('entry %s of transaction %s', e.seq, e.transaction_id) AS "subject!",
            format('it moves ledger account %s to %s in a transaction of kind %s', e.debit, e.credit, t.kind) AS "detail!"
        FROM entries e
        JOIN transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id
        WHERE e.tenant_id = $1
          AND NOT CASE t.kind
              WHEN 1 THEN e.debit = 10
              WHEN 2 THEN e.credit = 11 OR (t.subject_id IS NOT NULL AND (e.credit = 12 OR e.debit = 4))
              WHEN 3 THEN e.debit = 11 OR e.credit = 12
              WHEN 4 THEN e.debit = 10
              WHEN 5 THEN e.credit = 12
              WHEN 6 THEN e.credit = 13
              WHEN 7 THEN e.credit = 4
              WHEN 8 THEN e.debit = 4 OR e.credit = 12
              WHEN 9 THEN e.debit = 4 OR e.credit = 12
              WHEN 10 THEN e.debit = 10
              WHEN 11 THEN e.debit = 10
              WHEN 12 THEN e.debit = 12
              ELSE false
          END
        ORDER BY e.transaction_id, e.seq
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// No spend is refunded beyond its amount, and every refund (kind 3) has its spend (kind 2), of the same account.
async fn refunds(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'spend ' || coalesce(r.subject_id::text, 'unknown') AS "subject!",
            format('spent %s, refunded %s', coalesce(max(s.amount)::text, 'nothing: it is missing'), sum(r.amount)) AS "detail!"
        FROM transactions r
        LEFT JOIN transactions s
            ON s.tenant_id = r.tenant_id AND s.id = r.subject_id AND s.kind = 2 AND s.account_id = r.account_id
        WHERE r.tenant_id = $1 AND r.kind = 3
        GROUP BY r.subject_id
        HAVING max(s.amount) IS NULL OR sum(r.amount) > max(s.amount)
        ORDER BY r.subject_id
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// What is held of a grant is what the open holds say they hold of it.
async fn holds(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'grant ' || coalesce(g.id, h.grant_id)::text AS "subject!",
            format('held %s; the open holds sum to %s', coalesce(g.held::text, 'nothing: it is missing'), coalesce(h.sum, 0)) AS "detail!"
        FROM (SELECT id, held FROM grants WHERE tenant_id = $1) g
        FULL JOIN (
            SELECT part.grant_id, sum(part.amount)::bigint AS sum
            FROM holds, jsonb_to_recordset(holds.drawdown) AS part (grant_id uuid, amount bigint)
            WHERE holds.tenant_id = $1 AND holds.closed_at IS NULL
            GROUP BY part.grant_id
        ) h ON h.grant_id = g.id
        WHERE coalesce(h.sum, 0) IS DISTINCT FROM g.held
        ORDER BY 1
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// A head names its account's live subscriptions and open holds, and what falls due for it stands where the jobs look.
async fn counts(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'account ' || h.external_id AS "subject!",
            format('names %s subscriptions, %s holds, due %s; there are %s and %s, due %s', cardinality(h.live_subscriptions),
                   cardinality(h.open_holds), coalesce(h.due_at::text, 'never'), cardinality(s.ids), cardinality(o.ids),
                   coalesce(d.due_at::text, 'never')) AS "detail!"
        FROM account_heads h
        CROSS JOIN LATERAL (SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids FROM subscriptions s
            WHERE s.tenant_id = $1 AND s.account_id = h.account_id AND s.ended_at IS NULL) s
        CROSS JOIN LATERAL (SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids FROM holds o
            WHERE o.tenant_id = $1 AND o.account_id = h.account_id AND o.closed_at IS NULL) o
        LEFT JOIN account_due d ON d.tenant_id = h.tenant_id AND d.account_id = h.account_id
        WHERE h.tenant_id = $1
          AND (NOT (h.live_subscriptions @> s.ids AND h.live_subscriptions <@ s.ids)
               OR NOT (h.open_holds @> o.ids AND h.open_holds <@ o.ids) OR h.due_at IS DISTINCT FROM d.due_at)
        ORDER BY h.account_id
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}

/// A credited top-up has one grant of its account with its credits, and a grant from a top-up (origin 3) its top-up.
async fn top_ups(scope: &mut Scope, tenant: TenantId) -> Result<Vec<Difference>, StorageError> {
    Ok(sqlx::query_as!(
        Difference,
        r#"
        SELECT 'top-up ' || coalesce(t.id, g.top_up_id)::text AS "subject!",
            CASE WHEN t.id IS NULL THEN format('its grant %s stands, but the top-up is missing', g.id)
                 WHEN g.id IS NULL THEN format('credited with %s, but no grant stands for it', t.credits)
                 ELSE format('%s, %s credits; its grant %s has %s', t.status, t.credits, g.id, g.amount)
            END AS "detail!"
        FROM (SELECT * FROM top_ups WHERE tenant_id = $1) t
        FULL JOIN (SELECT * FROM grants WHERE tenant_id = $1 AND top_up_id IS NOT NULL) g ON g.top_up_id = t.id
        WHERE t.id IS NULL
           OR (t.status = 'credited') IS DISTINCT FROM (g.id IS NOT NULL)
           OR (g.id IS NOT NULL AND (t.credits, t.account_id, t.class, t.grant_id) IS DISTINCT FROM (g.amount, g.account_id, g.class, g.id))
        ORDER BY 1
        "#,
        tenant.0,
    )
    .fetch_all(scope.connection())
    .await?)
}
