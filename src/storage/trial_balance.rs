//! The trial balance: every ledger account of a tenant, summed over its entries.

use chrono::{DateTime, Utc};

use super::{Scope, StorageError, rows::ledger_account};
use crate::domain::{entry::LedgerAccount, ids::TenantId};

#[derive(Debug, Clone, Copy)]
pub struct Sum {
    pub account: LedgerAccount,
    pub debits: i64,
    pub credits: i64,
}

/// Sums over all entries that count at `at`. A ledger account without entries is left out.
pub async fn sums(scope: &mut Scope, tenant: TenantId, at: DateTime<Utc>) -> Result<Vec<Sum>, StorageError> {
    let rows = sqlx::query!(
        r#"
        WITH counted AS (
            SELECT e.debit, e.credit, e.amount
            FROM entries e JOIN transactions t ON t.tenant_id = e.tenant_id AND t.id = e.transaction_id
            WHERE e.tenant_id = $1 AND t.effective_at <= $2
        ), sides AS (
            SELECT debit AS code, amount AS debits, 0::bigint AS credits FROM counted
            UNION ALL
            SELECT credit, 0::bigint, amount FROM counted
        )
        SELECT code AS "code!", sum(debits)::bigint AS "debits!", sum(credits)::bigint AS "credits!"
        FROM sides GROUP BY code ORDER BY code
        "#,
        tenant.0,
        at,
    )
    .fetch_all(scope.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Sum {
                account: ledger_account(row.code)?,
                debits: row.debits,
                credits: row.credits,
            })
        })
        .collect()
}
