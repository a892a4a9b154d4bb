//! A real Postgres, run by Scrip itself, for when there is no DATABASE_URL.
//!
//! # Shape
//! - `binaries` finds `postgres` and `initdb` on the machine; `download` fetches them where there are none.
//! - `account` chooses whom Postgres runs as when Scrip is root; `layout` makes the directories and takes the lock.
//! - `cluster` makes a cluster, starts or adopts its Postgres with `settings`, and stops it; `readiness` asks it over
//!   the socket, `process` looks at its processes.
//! - `supervisor` restarts it while the service runs.
//!
//! Under the data directory: `postgres/` (the cluster), `run/` (the socket, mode 0700; a short directory in /tmp where the
//! path would be too long for a socket), `postgres.log` (set aside as `postgres.log.1` beyond 10 MB, at a start),
//! `scrip.lock`. Postgres listens on the socket only and asks for no password.
//!
//! # Life cycle
//! [`EmbeddedPostgres::start`] takes the lock, runs initdb under a temporary name if there is no cluster yet and renames it,
//! starts Postgres and returns when it takes connections: under 100 ms, or about a second with initdb.
//! [`EmbeddedPostgres::stop`] asks for a fast shutdown and waits. Postgres has a process group of its own, so a Ctrl-C in
//! the terminal reaches only Scrip, which can drain its requests before it stops the database.
//!
//! # Recovery
//! - Scrip is killed (kill -9): Postgres goes on running. The next start finds it by `postmaster.pid` and its command line.
//!   If that is exactly the one it would use itself, it adopts the process: nothing restarts, nothing recovers, and the
//!   sessions of the dead service have ended with their sockets. Otherwise (an upgrade, other settings) it stops it and
//!   starts anew. Killing Postgres together with Scrip instead would turn every crash of the service into one of the
//!   database.
//! - Postgres is killed: the supervisor restarts it at once and Postgres recovers from its log. It is given up, with an
//!   error in the log, after five failures in a row that are each less than a minute apart; see
//!   [`EmbeddedPostgres::gave_up`].
//! - Both are killed: the next start waits up to 3 s for children of the dead Postgres to end (they do so by themselves, or
//!   are made to), removes the stale socket, and starts Postgres, which recovers.
//! - A second Scrip on the same data directory is refused; the kernel releases the lock of one that was killed.
//!
//! A stale `postmaster.pid` is removed only if its number belongs to a zombie or to another program by now, which Postgres
//! would take for a living server. In any case Postgres refuses to start while processes of the last run are attached to
//! its shared memory, so that no two of them ever write to one cluster.

mod account;
mod binaries;
mod cluster;
mod download;
mod environment;
mod error;
mod layout;
mod process;
mod readiness;
mod settings;
mod supervisor;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::cluster::Cluster;
use self::layout::Layout;

pub use self::environment::default_data_dir;
pub use self::error::EmbeddedPostgresError;

const SUPERUSER: &str = "postgres";

/// How to run the embedded Postgres.
#[derive(Debug, Clone)]
pub struct Options {
    /// Made if it is not there.
    pub data_dir: PathBuf,
    /// The directory that holds `postgres` and `initdb`; `None` looks for one, and downloads one if there is none.
    pub bin_dir: Option<PathBuf>,
    /// Whether commits must survive a crash of the machine. `false` is for tests only.
    pub durable: bool,
    /// Further settings of Postgres, which beat Scrip's own.
    pub settings: Vec<(String, String)>,
}

/// A running Postgres, supervised by a task of the tokio runtime.
///
/// Dropping it also asks that task to stop Postgres, but nobody waits: if the process ends first, Postgres stays and the
/// next start adopts it. So call [`EmbeddedPostgres::stop`].
#[derive(Debug)]
pub struct EmbeddedPostgres {
    socket_dir: PathBuf,
    bin_dir: PathBuf,
    stop: oneshot::Sender<()>,
    gave_up: watch::Receiver<bool>,
    supervisor: JoinHandle<Result<(), EmbeddedPostgresError>>,
}

impl EmbeddedPostgres {
    /// Starts Postgres, or adopts one that was left running, and returns when it takes connections. Let it finish: a
    /// future that is dropped half-way may leave Postgres running, to be adopted by the next start.
    ///
    /// # Errors
    /// When another instance holds the data directory, no Postgres is found and none can be downloaded, or Postgres does
    /// not start; each names what to do about it.
    pub async fn start(options: Options) -> Result<Self, EmbeddedPostgresError> {
        let account = account::to_switch_to()?;
        let layout = Layout::prepare(&options.data_dir, account.as_ref())?;
        let cluster = Cluster::open(&options, account, layout).await?;
        let mut slot = None;
        let launched = cluster.launch(&mut slot).await;
        let Some(mut postmaster) = slot else {
            launched?;
            return Err(EmbeddedPostgresError::GaveUp {
                failures: 1,
                log: cluster.layout.log.clone(),
            });
        };
        if let Err(error) = launched {
            // It runs but does not answer: do not leave it behind.
            let _ = cluster.stop(&mut postmaster).await;
            return Err(error);
        }
        tracing::info!(
            postgres.major = cluster.binaries.version.major, postgres.minor = cluster.binaries.version.minor,
            postgres.pid = postmaster.pid(), data_dir = %cluster.layout.data_dir.display(), "Postgres runs"
        );
        let (stop, stop_asked) = oneshot::channel();
        let (gave_up_sender, gave_up) = watch::channel(false);
        Ok(Self {
            socket_dir: cluster.layout.socket_dir.clone(),
            bin_dir: cluster.binaries.dir.clone(),
            stop,
            gave_up,
            supervisor: tokio::spawn(supervisor::supervise(cluster, postmaster, stop_asked, gave_up_sender)),
        })
    }

    /// The directory that holds the socket `.s.PGSQL.5432`; give it to a client as its host.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The user to connect as, without a password.
    pub fn superuser(&self) -> &'static str {
        SUPERUSER
    }

    /// The directory of the Postgres programs in use.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Resolves when Postgres has failed too often and is no longer restarted; until then it stays pending. The future
    /// borrows nothing, so that it can be waited for beside the service.
    pub fn gave_up(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut gave_up = self.gave_up.clone();
        async move {
            if gave_up.wait_for(|gave_up| *gave_up).await.is_err() {
                // The supervisor ended because it was told to.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops Postgres with a fast shutdown, waits for its end (up to 60 s, then an immediate shutdown) and releases the
    /// lock on the data directory.
    ///
    /// # Errors
    /// When Postgres does not end, or had been given up before.
    pub async fn stop(self) -> Result<(), EmbeddedPostgresError> {
        let _ = self.stop.send(());
        self.supervisor.await?
    }
}

/// Where the Postgres of a data directory has its socket while it runs: for a look beside the instance that holds it.
pub fn socket_dir_of(data_dir: &Path) -> PathBuf {
    let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    layout::socket_dir_for(&data_dir)
}

/// Ends whatever Postgres runs in a throwaway data directory and removes the directory with all its data. For tests.
///
/// # Errors
/// When a living instance holds the directory, or something in it cannot be removed.
pub async fn discard(data_dir: &Path) -> Result<(), EmbeddedPostgresError> {
    if !data_dir.exists() {
        return Ok(());
    }
    let layout = Layout::prepare(data_dir, account::to_switch_to()?.as_ref())?;
    if let Some((pid, _)) = process::running_postmaster(&layout.cluster) {
        process::signal_to(pid, Signal::QUIT);
        while process::is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for dir in [&layout.socket_dir, &layout.data_dir] {
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error::io_error("remove", dir)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
