//! A lane's session: one connection, for as long as it stands, on which batch after batch is carried out.
//!
//! Each of its statements is a transaction of its own unless one is begun, so that a batch of spends costs two round trips:
//! one to look, one to store.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, timeout};

use super::{Held, SERVICE_ROLE, Scope, StorageError, list};
use crate::domain::ids::TenantId;

/// How long a lane waits for a connection, or for a sign of one, before it says that the database is out of reach.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long a session keeps the plans of its statements.
const PLANS_LAST: Duration = Duration::from_secs(1);

/// Opens sessions.
#[derive(Debug, Clone)]
pub struct Sessions(PgConnectOptions);

/// What a batch's statements see of others' work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Each what was committed before it. What stands when the first lock is taken stands for the rest.
    ReadCommitted,
    /// All what was committed before the first of them; a row that was changed since can't be.
    Snapshot,
}

impl Sessions {
    /// A lane's few statements find every row by its key. Their plans are kept, and pinned to indexes: one made while the
    /// tables were still empty would scan them. Such a one may also have taken the wrong index, since all are alike while
    /// there is nothing in them; so plans are made anew now and then.
    pub fn new(options: PgConnectOptions) -> Self {
        Self(options.options([
            ("role", SERVICE_ROLE),
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]))
    }

    pub async fn open(&self) -> Result<Session, StorageError> {
        let connection = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.0));
        let connection = connection.await.map_err(|_| StorageError::timed_out())??;
        Ok(Session {
            scope: Scope {
                held: Held::Session(connection),
            },
            tenants: Vec::new(),
            is_in_transaction: false,
            planned_at: Instant::now(),
        })
    }
}

/// A connection that remembers whose rows it was last opened to.
pub struct Session {
    scope: Scope,
    tenants: Vec<TenantId>,
    is_in_transaction: bool,
    planned_at: Instant,
}

impl Session {
    /// From here on statements see these tenants' rows; in a transaction, if an isolation is given.
    pub async fn enter(&mut self, tenants: &[TenantId], isolation: Option<Isolation>) -> Result<(), StorageError> {
        if self.planned_at.elapsed() >= PLANS_LAST {
            // By itself: it takes a snapshot, before which the isolation must be said. It is the first statement after any
            // pause, and shows whether the connection still leads anywhere.
            let discard = self.scope.connection().execute("DISCARD PLANS");
            timeout(CONNECT_TIMEOUT, discard)
                .await
                .map_err(|_| StorageError::timed_out())??;
            self.planned_at = Instant::now();
        }
        let mut sql = String::new();
        if self.tenants != tenants {
            sql.push_str("SET app.tenant_ids = ");
            sql.push_str(&list(tenants));
            sql.push_str("; ");
        }
        sql.push_str(match isolation {
            None => "",
            Some(Isolation::ReadCommitted) => "BEGIN",
            Some(Isolation::Snapshot) => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        });
        if !sql.is_empty() {
            self.scope.connection().execute(AssertSqlSafe(sql)).await?;
        }
        self.tenants = tenants.to_vec();
        self.is_in_transaction = isolation.is_some();
        Ok(())
    }

    /// Makes of the following statements a transaction, if they are not in one.
    pub async fn begin(&mut self) -> Result<(), StorageError> {
        if !self.is_in_transaction {
            self.scope.connection().execute("BEGIN").await?;
            self.is_in_transaction = true;
        }
        Ok(())
    }

    /// Makes of the following statements one snapshot, if they are not in a transaction. True: they were not.
    #[cfg(debug_assertions)]
    pub async fn begin_snapshot(&mut self) -> Result<bool, StorageError> {
        if self.is_in_transaction {
            return Ok(false);
        }
        self.scope
            .connection()
            .execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            .await?;
        self.is_in_transaction = true;
        Ok(true)
    }

    pub async fn commit(&mut self) -> Result<(), StorageError> {
        if self.is_in_transaction {
            self.scope.connection().execute("COMMIT").await?;
            self.is_in_transaction = false;
        }
        Ok(())
    }

    pub async fn roll_back(&mut self) -> Result<(), StorageError> {
        if self.is_in_transaction {
            // With the transaction goes what was set as it began.
            self.tenants.clear();
            self.scope.connection().execute("ROLLBACK").await?;
            self.is_in_transaction = false;
        }
        Ok(())
    }

    pub async fn close(self) -> Result<(), StorageError> {
        match self.scope.held {
            Held::Session(connection) => Ok(connection.close().await?),
            Held::Transaction(_) => Ok(()),
        }
    }

    pub fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }
}
