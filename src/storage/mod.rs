//! The only SQL. One file a noun.
//!
//! Every statement runs in a [`Scope`]: a transaction that named its tenants to Postgres, whose row-level security then
//! shows it their rows and no others. That is the second fence; the first is that every function here takes its tenant
//! and says `tenant_id = $n`.

pub mod account_states;
pub mod accounts;
pub mod api_keys;
pub mod audit_log;
pub mod batch;
pub mod due;
pub mod grants;
pub mod holds;
pub mod idempotent_requests;
pub mod migrate;
pub mod past;
pub mod programs;
pub mod quotes;
mod rows;
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
                // 08: connection; 40: serialization failure, deadlock; 53: resources; 57: shutdown, statement timeout; 25P03:
                // idle too long in a transaction; 55P03: lock timeout.
                if ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
                    || ["25P03", "55P03"].contains(&&*code)
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

    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
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
    /// For everyone but the lanes. Connects lazily: an unreachable database shows at the first use, not here.
    pub fn new(options: PgConnectOptions, connections_max: u32) -> Self {
        // A ping before every use, so that a restart of Postgres costs no caller an error.
        Self::connect(options, connections_max, true)
    }

    /// For the lanes, whose few statements find every row by its key. Their plans are kept, and pinned to indexes: one made
    /// while the tables were still empty would scan them. Such a one may also have taken the wrong index, since all are
    /// alike while there is nothing in them; so plans are made anew now and then ([`Db::batch`]).
    pub fn for_lanes(options: PgConnectOptions, connections_max: u32) -> Self {
        let pinned = options.options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        // No ping: it would cost every batch a round trip, and a batch that finds its connection dead is repeated.
        Self::connect(pinned, connections_max, false)
    }

    fn connect(options: PgConnectOptions, connections_max: u32, ping: bool) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(ping)
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

    /// A transaction for a batch of the ledger. `plan_anew`: what its connection planned before is forgotten first.
    pub async fn batch(&self, tenants: &[TenantId], plan_anew: bool) -> Result<Scope, StorageError> {
        let begin = if plan_anew { "DISCARD PLANS; BEGIN" } else { "BEGIN" };
        self.begin(begin, tenants).await
    }

    /// A transaction that only reads, and in which every statement sees the same instant.
    pub async fn snapshot(&self, tenant: TenantId) -> Result<Scope, StorageError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", &[tenant])
            .await
    }

    async fn begin(&self, begin: &str, tenants: &[TenantId]) -> Result<Scope, StorageError> {
        let mut begin = format!("{begin}; SET LOCAL app.tenant_ids = '{{");
        for (n, tenant) in tenants.iter().enumerate() {
            // Ids are hexadecimal digits and hyphens: nothing in them needs quoting.
            let _ = write!(begin, "{}{tenant}", if n == 0 { "" } else { "," });
        }
        begin.push_str("}'");
        Ok(Scope {
            transaction: self.pool.begin_with(AssertSqlSafe(begin)).await?,
        })
    }

    /// A transaction for the list of tenants itself, which belongs to none of them.
    pub async fn operator(&self) -> Result<Scope, StorageError> {
        Ok(Scope {
            transaction: self.pool.begin().await?,
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

/// A transaction that sees the tenants it was opened for. Dropped, it is rolled back.
pub struct Scope {
    transaction: sqlx::Transaction<'static, Postgres>,
}

impl Scope {
    pub async fn commit(self) -> Result<(), StorageError> {
        Ok(self.transaction.commit().await?)
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
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
