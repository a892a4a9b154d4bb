//! A lane: a queue of commands and the task that carries them out, batch by batch.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{LedgerError, Programs, Reply, Work, batch, known_accounts::KnownAccounts};
use crate::{
    clock::Clock,
    random,
    storage::{StorageError, session::Sessions},
};

/// Commands in a batch, at most. Larger ones gain little and keep their first commands waiting.
pub const BATCH_LEN_MAX: usize = 512;
/// Commands that may wait in a lane. At a few thousand spends a second and lane this is about a second of work.
pub const QUEUE_LEN_MAX: usize = 8192;
/// Tries of a batch while the database is out of reach, and the pause before the first repeat, doubled each time: about
/// 6 s in all, which a restart of Postgres takes even when it has to recover.
const TRIES: u32 = 7;
const PAUSE: Duration = Duration::from_millis(100);
/// The longest that a batch may take. Postgres' own limit of a statement is shorter: this is for one that does not answer
/// at all.
const BATCH_TIMEOUT: Duration = Duration::from_secs(40);
/// The constraint that a key posted elsewhere violates.
const KEY_TAKEN: &str = "transactions_idempotency_key_key";

pub(super) fn start(
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    programs: Arc<Programs>,
) -> (mpsc::Sender<(Work, Reply)>, JoinHandle<()>) {
    let (sender, mut queue) = mpsc::channel::<(Work, Reply)>(QUEUE_LEN_MAX);
    let worker = tokio::spawn(async move {
        let mut worker = batch::Worker {
            sessions,
            session: None,
            clock,
            programs,
            ids: random::id_source(),
            known: KnownAccounts::default(),
            contended_until: Instant::now(),
            uncertain: HashSet::new(),
        };
        let mut waiting = Vec::with_capacity(BATCH_LEN_MAX);
        while queue.recv_many(&mut waiting, BATCH_LEN_MAX).await > 0 {
            metrics::histogram!("scrip_batch_commands").record(waiting.len() as u32);
            let (work, replies): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
            let answers = carry_out(&mut worker, &work).await;
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that went away does not want its answer any more.
                let _ = reply.send(answer);
            }
        }
        if let Some(session) = worker.session
            && let Err(error) = session.close().await
        {
            tracing::warn!(%error, "ledger.session.not_closed");
        }
    });
    (sender, worker)
}

type Answers = Vec<batch::Answer>;

/// An answer for every piece of work, in their order.
async fn carry_out<I: batch::Ids>(worker: &mut batch::Worker<I>, work: &[Work]) -> Answers {
    let error = match with_repeats(worker, work).await {
        Ok(answers) => return answers,
        Err(error) => Arc::new(error),
    };
    if error.is_transient() {
        tracing::error!(%error, commands = work.len(), "ledger.batch.unavailable");
        return work
            .iter()
            .map(|_| Err(LedgerError::Unavailable(Arc::clone(&error))))
            .collect();
    }
    if let [alone] = work {
        tracing::error!(%error, tenant.id = %alone.account().tenant, "ledger.command.refused_by_database");
        return vec![Err(LedgerError::Storage(error))];
    }
    // One of them is at fault. Alone, it fails alone.
    tracing::warn!(%error, commands = work.len(), "ledger.batch.split");
    let mut answers = Vec::with_capacity(work.len());
    for alone in work {
        answers.extend(Box::pin(carry_out(worker, std::slice::from_ref(alone))).await);
    }
    answers
}

async fn with_repeats<I: batch::Ids>(worker: &mut batch::Worker<I>, work: &[Work]) -> Result<Answers, StorageError> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match within_time(worker, work).await {
            // Another lane or process posted one of the keys for another account since this batch looked. Now it shows.
            Err(error) if error.violates(KEY_TAKEN) => {}
            // Something changed all the same, if only by hand.
            Err(StorageError::Conflict) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "ledger.batch.repeated");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            result => return result,
        }
    }
    within_time(worker, work).await
}

/// A batch whose database went silent is given up: what became of it shows by its keys when it is tried again.
async fn within_time<I: batch::Ids>(worker: &mut batch::Worker<I>, work: &[Work]) -> Result<Answers, StorageError> {
    tokio::time::timeout(BATCH_TIMEOUT, worker.run(work))
        .await
        .unwrap_or_else(|_| Err(StorageError::timed_out()))
}
