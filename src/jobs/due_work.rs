//! Due work: what falls due by time alone (renewals, expiries, deadlines of holds) is posted soon after, through the one
//! write path.
//!
//! No answer waits for it: whatever touches an account brings it up to its time first. This keeps the books of accounts
//! that nobody touches up to date. Any number of processes share it: accounts are claimed with a lease, and running an
//! account twice posts nothing twice. While callers are served, it takes a twentieth of the time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{
    clock::Clock,
    domain::{account::ExternalId, ids::TenantId},
    ledger::{Ledger, LedgerError},
    storage::{Db, StorageError, batch::AccountKey, due, tenants, test_clocks},
};

/// How long claimed accounts belong to their process.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Accounts run at once: part of a batch, so that callers' commands fit beside them.
const CHUNK: i64 = 128;
/// Accounts run at once where a tenant's clock is moved and waits for all of them.
const CHUNK_OF_ADVANCE: i64 = 1024;
/// How often all tenants are looked through.
const ROUND: Duration = Duration::from_secs(1);
/// Tenants looked through in one statement's scope.
const ROUND_TENANTS: i64 = 200;
/// How many times the length of its work it pauses while callers are served: a twentieth of the time is its own.
const PAUSE_FACTOR: u32 = 19;
/// The longest such pause: work may have taken long because it waited for the database.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Pause where all that is due is in other hands, or the lanes are full.
const RETRY: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum DueWorkError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Starts the job. It ends, after the chunk it is at, when `stop` turns true.
pub fn start(db: Db, clock: Arc<dyn Clock>, ledger: Arc<Ledger>, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(
        Worker {
            db,
            clock,
            ledger,
            stop,
        }
        .run(),
    )
}

struct Worker {
    db: Db,
    clock: Arc<dyn Clock>,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<bool>,
}

impl Worker {
    async fn run(self) {
        while !*self.stop.borrow() {
            match self.round().await {
                // There may be more: go on at once.
                Ok(true) => {}
                Ok(false) => self.pause(ROUND).await,
                Err(error) => {
                    tracing::warn!(%error, "due_work.interrupted");
                    self.pause(ROUND).await;
                }
            }
        }
    }

    /// Leaves the time to callers, if some were served since `began`, when so many commands had been `submitted`.
    async fn give_way(&self, began: Instant, submitted: u64) {
        if self.ledger.submitted() != submitted {
            self.pause((began.elapsed() * PAUSE_FACTOR).min(PAUSE_MAX)).await;
        }
    }

    /// Until that much time has passed, or it is to stop.
    async fn pause(&self, length: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(length) => {}
        }
    }

    /// A chunk of every tenant that has due work. True: there was some.
    async fn round(&self) -> Result<bool, DueWorkError> {
        let mut found = false;
        let mut after = None;
        loop {
            let (began, submitted) = (Instant::now(), self.ledger.submitted());
            let mut scope = self.db.operator().await?;
            let page = tenants::list(&mut scope, after, ROUND_TENANTS).await?;
            scope.commit().await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.id);
            let ids: Vec<TenantId> = page.iter().map(|tenant| tenant.id).collect();
            let now = self.clock.now();
            let mut scope = self.db.tenants(&ids).await?;
            let due = due::tenants_with_due(&mut scope, &ids, now).await?;
            let clocks = test_clocks::of(&mut scope, &due).await?;
            scope.commit().await?;
            self.give_way(began, submitted).await;
            for tenant in due {
                let at = clocks.get(&tenant).copied().unwrap_or(now);
                found |= self.chunk(tenant, at).await?;
                if *self.stop.borrow() {
                    return Ok(false);
                }
            }
        }
    }

    /// True: there was something to do.
    async fn chunk(&self, tenant: TenantId, now: DateTime<Utc>) -> Result<bool, DueWorkError> {
        let (began, submitted) = (Instant::now(), self.ledger.submitted());
        let accounts = claim(&self.db, tenant, now, &*self.clock, CHUNK).await?;
        let any = !accounts.is_empty();
        metrics::counter!("scrip_due_accounts_total").increment(accounts.len() as u64);
        run(&self.ledger, tenant, accounts).await?;
        self.give_way(began, submitted).await;
        Ok(any)
    }
}

/// Runs all that is due for a tenant at `now`, and returns when nothing is.
pub async fn run_all_due(
    db: &Db,
    ledger: &Ledger,
    tenant: TenantId,
    now: DateTime<Utc>,
    clock: &dyn Clock,
) -> Result<(), DueWorkError> {
    loop {
        let accounts = claim(db, tenant, now, clock, CHUNK_OF_ADVANCE).await?;
        if accounts.is_empty() {
            let mut scope = db.tenant(tenant).await?;
            let left = due::any(&mut scope, tenant, now).await?;
            scope.commit().await?;
            if !left {
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
        run(ledger, tenant, accounts).await?;
    }
}

async fn claim(
    db: &Db,
    tenant: TenantId,
    now: DateTime<Utc>,
    clock: &dyn Clock,
    limit: i64,
) -> Result<Vec<ExternalId>, DueWorkError> {
    let claimed_at = clock.now();
    let mut scope = db.tenant(tenant).await?;
    let accounts = due::claim(&mut scope, tenant, now, claimed_at, claimed_at + LEASE, limit).await?;
    scope.commit().await?;
    Ok(accounts)
}

async fn run(ledger: &Ledger, tenant: TenantId, accounts: Vec<ExternalId>) -> Result<(), DueWorkError> {
    let runs = accounts
        .into_iter()
        .map(|external_id| run_one(ledger, AccountKey { tenant, external_id }));
    for result in join_all(runs).await {
        result?;
    }
    Ok(())
}

/// Where the lanes are full, callers go first.
async fn run_one(ledger: &Ledger, account: AccountKey) -> Result<(), LedgerError> {
    loop {
        match ledger.run_due(account.clone()).await {
            Err(LedgerError::Overloaded) => tokio::time::sleep(RETRY).await,
            result => return result,
        }
    }
}
