//! Keeps Postgres running while the service does.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::error::EmbeddedPostgresError;
use super::process::Postmaster;

/// After so many failures in a row Postgres is given up.
const FAILURES_MAX: u32 = 5;
/// A Postgres that ran for this long had started well, and its end begins a new row.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Runs until `stop` is sent or dropped; then stops Postgres and returns. The lock on the data directory goes with `cluster`.
pub(super) async fn supervise(
    cluster: Cluster,
    postmaster: Postmaster,
    mut stop: oneshot::Receiver<()>,
    gave_up: watch::Sender<bool>,
) -> Result<(), EmbeddedPostgresError> {
    let mut slot = Some(postmaster);
    let result = tokio::select! {
        // Looked at first: a Postgres that ends while we are to stop it needs no restart.
        biased;
        _ = &mut stop => None,
        error = keep_running(&cluster, &mut slot) => Some(error),
    };
    let Some(error) = result else {
        return match &mut slot {
            Some(postmaster) => cluster.stop(postmaster).await,
            None => Ok(()),
        };
    };
    tracing::error!(error = %error, "Postgres cannot be kept running: the service has no database any more");
    gave_up.send_replace(true);
    let _ = stop.await;
    Err(error)
}

/// Restarts Postgres whenever it ends; returns only to say why it no longer does. Dropping the future leaves the process,
/// if there is one, in `slot`.
async fn keep_running(cluster: &Cluster, slot: &mut Option<Postmaster>) -> EmbeddedPostgresError {
    let mut failures = 0;
    loop {
        if let Some(postmaster) = slot {
            let (pid, up_since) = (postmaster.pid(), Instant::now());
            let status = postmaster.ended().await;
            *slot = None;
            if up_since.elapsed() > SETTLED_AFTER {
                failures = 0;
            }
            failures += 1;
            tracing::error!(
                postgres.pid = pid, status, failures, log = %cluster.layout.log.display(),
                "Postgres ended while the service runs: restarting it"
            );
        }
        if failures >= FAILURES_MAX {
            return EmbeddedPostgresError::GaveUp {
                failures,
                log: cluster.layout.log.clone(),
            };
        }
        sleep(pause_before_restart(failures)).await;
        match cluster.launch(slot).await {
            Ok(()) => tracing::warn!("Postgres runs again"),
            Err(error) => {
                failures += 1;
                tracing::error!(error = %error, failures, "Postgres could not be restarted");
                if let Some(unresponsive) = slot {
                    let _ = cluster.stop(unresponsive).await;
                    *slot = None;
                }
            }
        }
    }
}

/// None at first: most often it was killed once, and callers are waiting.
fn pause_before_restart(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(250 << (more - 2).min(4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_none() {
        let pauses_ms: Vec<_> = (1..=4)
            .map(|failures| pause_before_restart(failures).as_millis())
            .collect();
        assert_eq!(pauses_ms, [0, 250, 500, 1_000]);
    }
}
