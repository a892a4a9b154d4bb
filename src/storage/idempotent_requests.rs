//! The idempotency keys of writes that post no transaction, with their answers.

use chrono::{DateTime, Utc};

use super::{Scope, StorageError};
use crate::domain::ids::TenantId;

/// What is known of a key.
#[derive(Debug)]
pub enum Claim {
    /// It is new, and taken by this transaction now. A second request with it waits until this one is committed.
    Fresh,
    /// It came before, with a request of this digest.
    Seen {
        request_hash: Vec<u8>,
        answer: Option<(i16, Vec<u8>)>,
    },
    /// A transaction of the ledger carries it.
    Posted,
}

pub async fn claim(
    scope: &mut Scope,
    tenant: TenantId,
    key: &str,
    request_hash: &[u8; 16],
    now: DateTime<Utc>,
) -> Result<Claim, StorageError> {
    let inserted = sqlx::query!(
        "INSERT INTO idempotent_requests (tenant_id, idempotency_key, request_hash, created_at)
         VALUES ($1, $2, $3, $4) ON CONFLICT ON CONSTRAINT idempotent_requests_pkey DO NOTHING",
        tenant.0,
        key,
        request_hash.as_slice(),
        now,
    )
    .execute(scope.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        let row = sqlx::query!(
            "SELECT request_hash, status, answer_sealed FROM idempotent_requests
             WHERE tenant_id = $1 AND idempotency_key = $2",
            tenant.0,
            key,
        )
        .fetch_one(scope.connection())
        .await?;
        return Ok(Claim::Seen {
            request_hash: row.request_hash,
            answer: row.status.zip(row.answer_sealed),
        });
    }
    let posted = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM transactions WHERE tenant_id = $1 AND idempotency_key = $2"#,
        tenant.0,
        key,
    )
    .fetch_one(scope.connection())
    .await?;
    Ok(if posted == 0 { Claim::Fresh } else { Claim::Posted })
}

/// Keeps the answer to a claimed key.
pub async fn answer(
    scope: &mut Scope,
    tenant: TenantId,
    key: &str,
    status: i16,
    answer_sealed: &[u8],
) -> Result<(), StorageError> {
    let done = sqlx::query!(
        "UPDATE idempotent_requests SET status = $3, answer_sealed = $4 WHERE tenant_id = $1 AND idempotency_key = $2",
        tenant.0,
        key,
        status,
        answer_sealed,
    )
    .execute(scope.connection())
    .await?;
    super::expect_rows("idempotent requests", done.rows_affected(), 1)
}
