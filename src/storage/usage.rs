//! What an account spent and was given back, summed by time, operation and member.

use chrono::{DateTime, Utc};

use super::{Scope, StorageError, past::first_id, rows::corrupt};
use crate::domain::{
    credits::CREDITS_MAX,
    cycle::Cycle,
    ids::{AccountId, TenantId},
    tenant::Mode,
    usage::Sums,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Ascending, without a gap.
    pub spans: &'a [Cycle],
    /// The first instant that counts no more. The end of the last span, or just after.
    pub before: DateTime<Utc>,
    pub by_operation: bool,
    pub by_member: bool,
    /// The most rows read.
    pub limit: i64,
}

/// A row for every span and group in which something was spent or given back, in their order; a group without a name comes
/// last. Spends and refunds are found through their first entries, and looked up one by one (see `past::page`).
pub async fn sums(
    scope: &mut Scope,
    tenant: TenantId,
    mode: Mode,
    account: AccountId,
    question: Question<'_>,
) -> Result<Vec<Sums>, StorageError> {
    let Some(first) = question.spans.first() else {
        return Ok(Vec::new());
    };
    let starts: Vec<DateTime<Utc>> = question.spans.iter().map(|span| span.starts_at).collect();
    // width_bucket is Postgres' word for the place of a value between thresholds, counted from 1.
    let rows = sqlx::query!(
        r#"
        SELECT width_bucket(t.effective_at, $6::timestamptz[]) AS "place!",
            CASE WHEN $7 THEN (t.detail ->> 'operation') COLLATE "C" END AS operation,
            CASE WHEN $8 THEN (t.detail ->> 'member') COLLATE "C" END AS member,
            count(*) FILTER (WHERE t.kind = 2) AS "spends!",
            least(coalesce(sum(t.amount) FILTER (WHERE t.kind = 2), 0), $9::bigint)::bigint AS "spent!",
            least(coalesce(sum(t.amount) FILTER (WHERE t.kind = 3), 0), $9::bigint)::bigint AS "refunded!"
        FROM entries e
        CROSS JOIN LATERAL (SELECT * FROM transactions WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) AS t
        WHERE e.tenant_id = $1 AND e.account_id = $2 AND e.transaction_id >= $3 AND e.seq = 1
          AND t.kind IN (2, 3) AND t.effective_at >= $4 AND t.effective_at < $5
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $10
        "#,
        tenant.0,
        account.0,
        first_id(mode, first.starts_at),
        first.starts_at,
        question.before,
        &starts,
        question.by_operation,
        question.by_member,
        CREDITS_MAX,
        question.limit,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = usize::try_from(row.place).ok().and_then(|place| place.checked_sub(1));
            Ok(Sums {
                span: place.ok_or_else(|| corrupt("a place in time", row.place))?,
                operation: row.operation,
                member: row.member,
                spends: row.spends,
                spent: row.spent,
                refunded: row.refunded,
            })
        })
        .collect()
}
