//! The one write path: everything that changes a balance goes through here.
//!
//! Shape: a [`Ledger`] has a few lanes; a command goes to the lane of its account and waits in its queue. A lane takes
//! what has gathered (up to [`lane::BATCH_LEN_MAX`] commands) and carries it out as one batch: it looks at the accounts and
//! reads what it does not know of them, `decide` is pure, and `store` writes everything in one statement, if it still
//! stands. Then every caller gets its own answer. Commands that arrive meanwhile form the next batch, so an account that
//! everyone wants gets faster under load instead of queueing on a row lock.
//!
//! Bounds: a queue holds [`lane::QUEUE_LEN_MAX`] commands; one more is refused as overloaded, at once.
//! Ordering: commands of one account are carried out in the order in which they reach this process.
//! Locks: account heads in the order of their ids, taken as they are stored, or before anything is read where another
//! process is at the same accounts; nothing is locked after them that another batch could hold while it waits for a head.
//! Any number of processes may share a database.
//! Failure: a refused command leaves no trace. If the database refuses a batch, its commands are tried one by one, so
//! that a bad one fails alone. If the database is out of reach, the batch is tried again; what was committed by the lost
//! attempt is found by its idempotency keys and answered, not posted twice.

mod agenda;
mod batch;
mod decided;
mod known_accounts;
mod lane;
mod outcome;
mod programs;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{RwLock, mpsc, oneshot},
    task::JoinHandle,
};

pub use programs::{InForce, Programs};

use crate::{
    clock::Clock,
    domain::{decide::Command, ids::AccountId, rejection::Rejection, transaction::Transaction},
    storage::{Db, StorageError, batch::AccountKey, session::Sessions},
};

/// A command on its way to its account.
#[derive(Debug, Clone)]
pub struct Submission {
    pub account: AccountKey,
    pub command: Command,
    /// For the audit log, in the posting's transaction.
    pub audit: Option<Audit>,
    /// Of Stripe's event that a top-up is credited for: finished in the posting's transaction.
    pub event_id: Option<String>,
}

/// Who did it and what it is called in the audit log. The rest the transaction says.
#[derive(Debug, Clone)]
pub struct Audit {
    pub actor_name: String,
    pub action: &'static str,
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub account_id: AccountId,
    pub transaction: Arc<Transaction>,
    /// The same command came before: this is what was posted then.
    pub replayed: bool,
}

/// Why a command has no receipt.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Rejected(Rejection),
    /// The queue is full. Nothing was done.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The service is stopping. Nothing was done.
    #[error("the service is stopping")]
    Stopping,
    /// The database did not answer in time. Whether the command was posted shows when it is sent again with its key.
    #[error("the database did not answer: {0}")]
    Unavailable(Arc<StorageError>),
    /// The database refused it. Nothing was posted.
    #[error("the database refused the posting: {0}")]
    Storage(Arc<StorageError>),
}

/// What a lane is given.
enum Work {
    Command(Box<Submission>),
    /// Run what is due for an account.
    Due(AccountKey),
}

impl Work {
    fn account(&self) -> &AccountKey {
        match self {
            Self::Command(submission) => &submission.account,
            Self::Due(account) => account,
        }
    }

    fn submission(&self) -> Option<&Submission> {
        match self {
            Self::Command(submission) => Some(submission),
            Self::Due(_) => None,
        }
    }
}

type Reply = oneshot::Sender<batch::Answer>;

/// The way in.
pub struct Ledger {
    lanes: RwLock<Vec<mpsc::Sender<(Work, Reply)>>>,
    workers: RwLock<Vec<JoinHandle<()>>>,
    hasher: RandomState,
    submitted: AtomicU64,
    pub programs: Arc<Programs>,
}

impl Ledger {
    /// Starts `lanes` lanes on a database pool of their own, so that readers never keep a batch waiting; the programs in force are
    /// read through another.
    pub fn start(lanes: usize, sessions: &Sessions, programs: &Db, clock: &Arc<dyn Clock>) -> Self {
        let programs = Arc::new(Programs::new(programs.clone(), Arc::clone(clock)));
        let (senders, workers) = (0..lanes)
            .map(|_| lane::start(sessions.clone(), Arc::clone(clock), Arc::clone(&programs)))
            .unzip();
        Self {
            lanes: RwLock::new(senders),
            workers: RwLock::new(workers),
            hasher: RandomState::new(),
            submitted: AtomicU64::new(0),
            programs,
        }
    }

    /// Carries out a command and waits for its answer. A caller that goes away does not stop it.
    pub async fn submit(&self, submission: Submission) -> Result<Receipt, LedgerError> {
        self.submitted.fetch_add(1, Ordering::Relaxed);
        let answer = self.hand_over(Work::Command(Box::new(submission))).await?;
        // A command always has a receipt or an error.
        answer.ok_or(LedgerError::Stopping)
    }

    /// Posts what is due for an account by time alone.
    pub async fn run_due(&self, account: AccountKey) -> Result<(), LedgerError> {
        self.hand_over(Work::Due(account)).await.map(|_| ())
    }

    /// How many commands callers have submitted to this process so far: whether it is busy shows in its growth.
    pub fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Relaxed)
    }

    async fn hand_over(&self, work: Work) -> batch::Answer {
        let (reply, answer) = oneshot::channel();
        {
            let lanes = self.lanes.read().await;
            if lanes.is_empty() {
                return Err(LedgerError::Stopping);
            }
            let lane = self.hasher.hash_one(work.account()) as usize % lanes.len();
            lanes[lane].try_send((work, reply)).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => LedgerError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => LedgerError::Stopping,
            })?;
        }
        answer.await.unwrap_or(Err(LedgerError::Stopping))
    }

    /// Takes no more commands, carries out those that wait, and returns when all are answered.
    pub async fn drain(&self) {
        self.lanes.write().await.clear();
        for worker in self.workers.write().await.drain(..) {
            if let Err(error) = worker.await {
                tracing::error!(%error, "ledger.lane.failed");
            }
        }
    }
}
