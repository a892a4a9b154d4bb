//! The only SQL. One file a noun.
//!
//! Every statement runs in a [`Scope`]: a transaction or a session that named its tenants to Postgres, whose row-level
//! security then shows it their rows and no others. That is the second fence; the first is that every function here takes its tenant
//! and says `tenant_id = $n`.

pub mod account_states;
pub mod accounts;
pub mod api_keys;
pub mod audit_log;
pub mod batch;
mod counters;
pub mod due;
pub mod grants;
pub mod holds;
pub mod idempotent_requests;
pub mod migrate;
pub mod past;
pub mod programs;
pub mod quotes;
mod rows;
pub mod session;
pub mod statement;
pub mod stripe_events;
pub mod stripe_settings;
pub mod subscriptions;
pub mod tenants;
pub mod test_clocks;
pub mod top_ups;
pub mod transactions;
pub mod trial_balance;
pub mod usage;
pub mod verify;

use std::{fmt::Write as _, time::Duration};

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::domain::ids::TenantId;

/// The role that the service works as: it may add to the books, but neither change nor remove what stands in them.
pub const SERVICE_ROLE: &str = "scrip_service";

/// How long a caller waits for a connection before it is told that the database is out of reach.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What went wrong in the database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Out of reach, restarting, or a conflict with another transaction: the same again may go through. Whether the
    /// transaction was committed is not known.
    #[error("the database is out of reach or busy: {0}")]
    Transient(#[source] sqlx::Error),
    /// A constraint refused a row.
    #[error("the constraint {constraint} refused a row")]
    Constraint { constraint: String },
    /// What was looked at has changed since. Nothing was written; the same again may go through.
    #[error("what was looked at changed meanwhile")]
    Conflict,
    /// A statement changed another number of rows than it must.
    #[error("{what}: {affected} rows changed instead of {expected}")]
    RowsAffected {
        what: &'static str,
        affected: u64,
        expected: u64,
    },
    /// A row holds what no rule writes.
    #[error("{what} is not readable: {detail}")]
    Corrupt { what: &'static str, detail: String },
    #[error(transparent)]
    Other(sqlx::Error),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::Protocol(_) => Self::Transient(error),
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                // 40001: another transaction changed a row after this one's snapshot; 22012: a batch's guard.
                if ["40001", "22012"].contains(&&*code) {
                    return Self::Conflict;
                }
                // 08: connection; 40: deadlock; 53: resources; 57: shutdown, statement timeout; 25P03:
                // idle too long in a transaction; 55P03: lock timeout; 25006: a standby that was the primary.
                if ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
                    || ["25P03", "55P03", "25006"].contains(&&*code)
                {
                    Self::Transient(error)
                } else if let Some(constraint) = constraint_of(database.as_ref()) {
                    Self::Constraint { constraint }
                } else {
                    Self::Other(error)
                }
            }
            _ => Self::Other(error),
        }
    }
}

impl StorageError {
    /// The database did not answer in the time it was given.
    pub fn timed_out() -> Self {
        Self::Transient(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// The same again may go through.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_) | Self::Conflict)
    }

    /// Postgres said no: the connection stands, and nothing of the statement does.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Transient(_))
    }

    pub fn violates(&self, name: &str) -> bool {
        matches!(self, Self::Constraint { constraint } if constraint == name)
    }
}

/// The name of the violated constraint. Citus leaves the field empty and puts the shard's name of it in the message.
fn constraint_of(error: &dyn sqlx::error::DatabaseError) -> Option<String> {
    if let Some(name) = error.constraint().filter(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    if !error.code()?.starts_with("23") {
        return None;
    }
    let quoted = error.message().rsplit('"').nth(1)?;
    Some(
        quoted
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .trim_end_matches('_')
            .to_owned(),
    )
}

/// A pool of connections that work as the service's role.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
}

impl Db {
    /// Connects lazily: an unreachable database shows at the first use, not here.
    pub fn new(options: PgConnectOptions, connections_max: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // So that a restart of Postgres costs no caller an error.
            .test_before_acquire(true)
            .connect_lazy_with(options.options([("role", SERVICE_ROLE)]));
        Self { pool }
    }

    /// A transaction for one tenant.
    pub async fn tenant(&self, tenant: TenantId) -> Result<Scope, StorageError> {
        self.tenants(&[tenant]).await
    }

    /// A transaction for several tenants: the rounds of the inbox and of due work.
    pub async fn tenants(&self, tenants: &[TenantId]) -> Result<Scope, StorageError> {
        self.begin("BEGIN", tenants).await
    }

    /// A transaction that only reads, and in which every statement sees the same instant.
    pub async fn snapshot(&self, tenant: TenantId) -> Result<Scope, StorageError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", &[tenant])
            .await
    }

    async fn begin(&self, begin: &str, tenants: &[TenantId]) -> Result<Scope, StorageError> {
        let begin = format!("{begin}; SET LOCAL app.tenant_ids = {}", list(tenants));
        Ok(Scope {
            held: Held::Transaction(self.pool.begin_with(AssertSqlSafe(begin)).await?),
        })
    }

    /// A transaction for the list of tenants itself, which belongs to none of them.
    pub async fn operator(&self) -> Result<Scope, StorageError> {
        Ok(Scope {
            held: Held::Transaction(self.pool.begin().await?),
        })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Tenants' ids as a setting that the policies read.
fn list(tenants: &[TenantId]) -> String {
    let mut list = String::from("'{");
    for (n, tenant) in tenants.iter().enumerate() {
        // Ids are hexadecimal digits and hyphens: nothing in them needs quoting.
        let _ = write!(list, "{}{tenant}", if n == 0 { "" } else { "," });
    }
    list.push_str("}'");
    list
}

/// What sees the tenants that it was opened for. A transaction, which is rolled back when it is dropped; or a lane's
/// [`session`].
pub struct Scope {
    held: Held,
}

enum Held {
    Transaction(sqlx::Transaction<'static, Postgres>),
    Session(PgConnection),
}

impl Scope {
    /// In a session each statement stands already.
    pub async fn commit(self) -> Result<(), StorageError> {
        match self.held {
            Held::Transaction(transaction) => Ok(transaction.commit().await?),
            Held::Session(_) => Ok(()),
        }
    }

    fn connection(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Held::Transaction(transaction) => transaction,
            Held::Session(connection) => connection,
        }
    }
}

fn expect_rows(what: &'static str, affected: u64, expected: usize) -> Result<(), StorageError> {
    let expected = expected as u64;
    if affected == expected {
        Ok(())
    } else {
        Err(StorageError::RowsAffected {
            what,
            affected,
            expected,
        })
    }
}
