//! The throwaway Postgres that Scrip's own tests share: the body of the hidden subcommand `scrip test-cluster`.
//!
//! The first test starts it (`tests/support/cluster.rs`), any number of test processes use it, and it ends itself
//! [`IDLE_MAX`] after the last of them has gone. Nothing in it survives a crash of the machine, nor needs to.
//!
//! Beside its directory `<dir>` stand two lock files, which stay, and inside it the file [`READY_FILE`]:
//! - `<dir>.running` is held while a cluster runs, so that there is one at a time, and so that a test can tell one that
//!   only just still answers, because its supervisor was killed.
//! - `<dir>.lock` is held by a test that connects or starts a cluster, and by the cluster from its last look for clients
//!   until it is gone. So no test finds a cluster that is about to stop.
//! - `<dir>/socket_dir` names the socket's directory, and is there only while the cluster takes connections.
//!
//! A cluster whose supervisor was killed (kill -9) is ended by a small watching process (only if that was killed too, and
//! Postgres was not, does Postgres stay until the next run); what is left of it on disk is thrown away by the next one.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use crate::embedded_postgres::{self, EmbeddedPostgres, EmbeddedPostgresError, Options};

const IDLE_MAX: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const READY_FILE: &str = "socket_dir";

/// Why the tests' cluster could not serve.
#[derive(Debug, thiserror::Error)]
pub enum TestClusterError {
    #[error(transparent)]
    Postgres(#[from] EmbeddedPostgresError),
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the tests' Postgres died again and again; its log is in {}", dir.display())]
    GaveUp { dir: PathBuf },
}

/// Runs a throwaway cluster in `dir`, whose earlier contents it removes; returns 10 s after the last client has gone, at
/// SIGINT or SIGTERM, or within a second if another process already runs one there. `bin_dir` as in [`Options::bin_dir`].
///
/// # Errors
/// When Postgres does not start or does not stay up, and when the files in and beside `dir` cannot be written.
pub async fn run(dir: &Path, bin_dir: Option<&Path>) -> Result<(), TestClusterError> {
    let running = open_beside(dir, ".running")?;
    if !lock_patiently(&running).await.map_err(io_error("lock", dir))? {
        return Ok(());
    }
    embedded_postgres::discard(dir).await?;
    let postgres = EmbeddedPostgres::start(Options {
        data_dir: dir.to_owned(),
        bin_dir: bin_dir.map(Path::to_owned),
        durable: false,
        settings: Vec::new(),
    })
    .await?;
    let mut watcher = spawn_watcher(dir)?;
    let result = match publish(dir, postgres.socket_dir()) {
        Ok(()) => serve(dir, &postgres).await,
        Err(error) => Err(error),
    };
    postgres.stop().await?;
    let _ = watcher.kill().await;
    embedded_postgres::discard(dir).await?;
    // The lock comes with the result, to be released only now that nothing is left to connect to.
    result.map(drop)
}

/// Tests take this lock for an instant to see whether anybody has it, and a predecessor may be just about to end: so one
/// refusal does not mean that another cluster runs.
async fn lock_patiently(running: &File) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        match running.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_PATIENCE => return Ok(false),
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(5)).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Serves until nobody needs the cluster; returns with the lock that keeps new clients waiting, unless a signal came.
async fn serve(dir: &Path, postgres: &EmbeddedPostgres) -> Result<Option<File>, TestClusterError> {
    let arrivals = open_beside(dir, ".lock")?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io_error("await signals in", dir))?;
    tokio::select! {
        () = until_idle(postgres.socket_dir(), &arrivals) => Ok(Some(arrivals)),
        _ = terminate.recv() => Ok(None),
        _ = tokio::signal::ctrl_c() => Ok(None),
        () = postgres.gave_up() => Err(TestClusterError::GaveUp { dir: dir.to_owned() }),
    }
}

/// Returns with `arrivals` locked.
async fn until_idle(socket_dir: &Path, arrivals: &File) {
    let mut census = Census::new(socket_dir);
    let mut last_client = Instant::now();
    loop {
        sleep(LOOK_INTERVAL).await;
        if census.clients().await != Some(0) {
            last_client = Instant::now();
        }
        if last_client.elapsed() < IDLE_MAX || arrivals.try_lock().is_err() {
            continue;
        }
        // Whoever connected did so under the lock, so this second look misses nobody.
        if census.clients().await == Some(0) {
            return;
        }
        let _ = arrivals.unlock();
    }
}

/// Counts the clients over one connection, which it opens again if Postgres was restarted.
struct Census {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Census {
    fn new(socket_dir: &Path) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket_dir)
            .port(5432)
            .ssl_mode(PgSslMode::Disable)
            .username("postgres")
            .database("postgres")
            .disable_statement_logging();
        Self {
            options,
            connection: None,
        }
    }

    /// The number of sessions besides this one; `None` if Postgres cannot say.
    async fn clients(&mut self) -> Option<i64> {
        match timeout(LOOK_TIME_MAX, self.count()).await {
            Ok(Ok(count)) => Some(count),
            _ => {
                self.connection = None;
                None
            }
        }
    }

    async fn count(&mut self) -> Result<i64, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(PgConnection::connect_with(&self.options).await?),
        };
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
        .fetch_one(connection)
        .await
    }
}

/// A shell that sleeps on a pipe from us. When we are gone, however that happened, the pipe closes and it ends Postgres.
fn spawn_watcher(dir: &Path) -> Result<Child, TestClusterError> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -QUIT "$(head -n 1 "$0")""#])
        .arg(dir.join("postgres/postmaster.pid"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(io_error("run", Path::new("sh")))
}

/// Written under another name and renamed, so that nobody reads half a path.
fn publish(dir: &Path, socket_dir: &Path) -> Result<(), TestClusterError> {
    let (new, ready) = (dir.join("socket_dir.new"), dir.join(READY_FILE));
    std::fs::write(&new, socket_dir.as_os_str().as_bytes()).map_err(io_error("write", &new))?;
    std::fs::rename(&new, &ready).map_err(io_error("rename", &new))
}

/// Opens the file that is named after `dir`, with an ending.
fn open_beside(dir: &Path, ending: &str) -> Result<File, TestClusterError> {
    let mut name = OsString::from(dir);
    name.push(ending);
    let path = PathBuf::from(name);
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(io_error("open", &path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TestClusterError {
    let path = path.to_owned();
    move |source| TestClusterError::Io { action, path, source }
}
