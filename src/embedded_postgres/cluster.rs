//! One database cluster: making it, starting its Postgres or adopting one that already runs, and stopping it.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::account::Account;
use super::binaries::{self, Binaries};
use super::error::{EmbeddedPostgresError, io_error};
use super::layout::{Layout, SOCKET_NAME};
use super::process::{self, Postmaster};
use super::readiness::{Readiness, probe};
use super::{Options, SUPERUSER, environment, settings};

/// How long processes of an earlier Postgres may take to end before a start fails because of them.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(3);
/// How long Postgres may leave its socket unanswered; while it says that it is recovering it may take any time.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a fast shutdown may take (it writes a checkpoint) before an immediate one is asked for.
const FAST_SHUTDOWN_MAX: Duration = Duration::from_secs(60);
/// An immediate shutdown takes at most 5 s: then Postgres kills its own children.
const IMMEDIATE_SHUTDOWN_MAX: Duration = Duration::from_secs(10);
const PROBE_PAUSE_MIN: Duration = Duration::from_millis(5);
const PROBE_PAUSE_MAX: Duration = Duration::from_millis(250);
const LOG_TAIL_BYTES: usize = 2_000;

#[derive(Debug)]
pub(super) struct Cluster {
    pub layout: Layout,
    pub binaries: Binaries,
    account: Option<Account>,
    durable: bool,
    arguments: Vec<OsString>,
}

impl Cluster {
    /// Finds or makes the cluster; nothing runs yet.
    pub async fn open(
        options: &Options,
        account: Option<Account>,
        layout: Layout,
    ) -> Result<Self, EmbeddedPostgresError> {
        let major = layout.cluster_major()?;
        let named = options.bin_dir.as_deref();
        let binaries = binaries::find(named, major, account.as_ref()).await?;
        let arguments = settings::arguments(&layout, options);
        let cluster = Self {
            layout,
            binaries,
            account,
            durable: options.durable,
            arguments,
        };
        if major.is_none() {
            cluster.init().await?;
        }
        Ok(cluster)
    }

    /// Runs initdb under a temporary name and renames, so that a cluster of the final name is always complete. A killed
    /// Scrip leaves its initdb running; a name nobody has used yet keeps the two apart.
    async fn init(&self) -> Result<(), EmbeddedPostgresError> {
        let layout = &self.layout;
        let abandoned = unfinished_clusters(&layout.data_dir);
        let new = (0..)
            .map(|n| layout.data_dir.join(format!("postgres.new-{n}")))
            .find(|path| !abandoned.contains(path))
            .unwrap_or_default();
        std::fs::create_dir(&new).map_err(io_error("make the directory", &new))?;
        if let Some(account) = &self.account {
            account.hand_over(&new)?;
        }
        tracing::info!(
            directory = %layout.cluster.display(), postgres.major = self.binaries.version.major,
            "making a new database cluster"
        );
        self.run_initdb(&new).await?;
        std::fs::rename(&new, &layout.cluster).map_err(io_error("rename", &new))?;
        sync_dir(&layout.data_dir)?;
        for path in abandoned {
            // Whatever cannot be removed because its initdb still writes is removed at the next start.
            let _ = std::fs::remove_dir_all(path);
        }
        Ok(())
    }

    /// No password and no TCP: the mode of the socket's directory decides who may connect. The C locale sorts by bytes, on
    /// every machine and after every upgrade of the system alike.
    async fn run_initdb(&self, new: &Path) -> Result<(), EmbeddedPostgresError> {
        let mut command = self.command("initdb", new);
        command
            .args(["--username", SUPERUSER, "--auth", "trust"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-instructions"])
            // Checksums find a rotten page before it is believed; initdb itself syncs what it wrote.
            .arg(if self.durable { "--data-checksums" } else { "--no-sync" })
            .arg("--pgdata")
            .arg(new);
        let output = command
            .output()
            .await
            .map_err(io_error("run", &self.binaries.dir.join("initdb")))?;
        if output.status.success() {
            return Ok(());
        }
        let _ = std::fs::remove_dir_all(new);
        Err(EmbeddedPostgresError::InitDb {
            dir: new.to_owned(),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Brings Postgres up and returns when it takes connections. `slot` holds the process from the moment there is one, so
    /// that a caller who stops waiting can still stop it.
    pub async fn launch(&self, slot: &mut Option<Postmaster>) -> Result<(), EmbeddedPostgresError> {
        let deadline = Instant::now() + LEFTOVERS_GRACE;
        loop {
            if self.adopt(slot).await? {
                return Ok(());
            }
            self.clear_leftovers().await?;
            let error = match self.spawn_and_wait(slot).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Processes of the last run may still be on their way out, where we cannot see them.
            let is_passing = matches!(&error, EmbeddedPostgresError::Ended { log_tail, .. }
                if log_tail.contains("shared memory block") || log_tail.contains("lock file"));
            if !is_passing || Instant::now() > deadline {
                return Err(error);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes over a Postgres that a killed Scrip left behind, if it was started exactly as we would start it; otherwise
    /// (another version, other settings) stops it.
    async fn adopt(&self, slot: &mut Option<Postmaster>) -> Result<bool, EmbeddedPostgresError> {
        let Some((pid, command_line)) = process::running_postmaster(&self.layout.cluster) else {
            return Ok(false);
        };
        let postmaster = slot.insert(Postmaster::Adopted { pid });
        if command_line != self.command_line() {
            tracing::warn!(
                postgres.pid = pid,
                "stopping a Postgres that was left running with other settings"
            );
            self.stop(postmaster).await?;
            *slot = None;
            return Ok(false);
        }
        match self.wait_until_ready(postmaster, 0).await {
            Ok(()) => {
                tracing::warn!(
                    postgres.pid = pid,
                    "adopted the Postgres that an earlier Scrip left running"
                );
                Ok(true)
            }
            Err(EmbeddedPostgresError::Ended { .. }) => {
                *slot = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn spawn_and_wait(&self, slot: &mut Option<Postmaster>) -> Result<(), EmbeddedPostgresError> {
        let log = self.layout.open_log()?;
        let log_start = log.metadata().map_or(0, |metadata| metadata.len());
        let log_too = log.try_clone().map_err(io_error("open", &self.layout.log))?;
        let child = self
            .command("postgres", &self.layout.cluster)
            .args(&self.arguments)
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(io_error("run", &self.binaries.dir.join("postgres")))?;
        let postmaster = slot.insert(Postmaster::Child(child));
        let result = self.wait_until_ready(postmaster, log_start).await;
        if matches!(result, Err(EmbeddedPostgresError::Ended { .. })) {
            *slot = None;
        }
        result
    }

    /// A program of Postgres, as its account, without our environment: variables such as PGDATA would be taken for options,
    /// and Scrip's own hold secrets. Its own process group keeps a Ctrl-C from it, so that we can drain before it stops.
    fn command(&self, program: &str, working_dir: &Path) -> Command {
        let mut command = std::process::Command::new(self.binaries.dir.join(program));
        command
            .env_clear()
            .envs(environment::inherited())
            .envs([("LC_ALL", "C"), ("TZ", "UTC")])
            .current_dir(working_dir)
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command.into()
    }

    /// Our own way of starting Postgres, written as [`process::running_postmaster`] reads it.
    fn command_line(&self) -> String {
        let program = self.binaries.dir.join("postgres");
        let words = std::iter::once(program.as_os_str()).chain(self.arguments.iter().map(OsString::as_os_str));
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        words.join(" ").trim().to_owned()
    }

    async fn wait_until_ready(&self, postmaster: &mut Postmaster, log_start: u64) -> Result<(), EmbeddedPostgresError> {
        let socket = self.layout.socket();
        let begun = Instant::now();
        let mut last_answer = begun;
        let mut last_notice = begun;
        loop {
            match timeout(SILENCE_MAX, probe(&socket)).await {
                Ok(Readiness::Ready) => return Ok(()),
                Ok(Readiness::Busy) => last_answer = Instant::now(),
                _ if last_answer.elapsed() > SILENCE_MAX => {
                    return Err(EmbeddedPostgresError::NotReady {
                        pid: postmaster.pid(),
                        socket,
                        log: self.layout.log.clone(),
                        waited_s: begun.elapsed().as_secs(),
                    });
                }
                _ => {}
            }
            if last_notice.elapsed() > Duration::from_secs(5) {
                last_notice = Instant::now();
                tracing::info!(
                    waited_s = begun.elapsed().as_secs(),
                    "Postgres is still starting or recovering"
                );
            }
            // In step with the time gone by, as Postgres logs a line for each attempt that it refuses.
            let pause = (begun.elapsed() / 5).clamp(PROBE_PAUSE_MIN, PROBE_PAUSE_MAX);
            if let Ok(status) = timeout(pause, postmaster.ended()).await {
                return Err(EmbeddedPostgresError::Ended {
                    status,
                    log: self.layout.log.clone(),
                    log_tail: log_tail(&self.layout.log, log_start),
                });
            }
        }
    }

    /// Fast shutdown: sessions are rolled back and a checkpoint is written, so that the next start recovers nothing. If that
    /// hangs, an immediate one, which loses nothing either but leaves recovery to the next start.
    pub async fn stop(&self, postmaster: &mut Postmaster) -> Result<(), EmbeddedPostgresError> {
        let pid = postmaster.pid();
        let steps = [(Signal::INT, FAST_SHUTDOWN_MAX), (Signal::QUIT, IMMEDIATE_SHUTDOWN_MAX)];
        for (signal, patience) in steps {
            postmaster.signal(signal);
            if timeout(patience, postmaster.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(
                postgres.pid = pid,
                waited_s = patience.as_secs(),
                "Postgres does not stop"
            );
        }
        Err(EmbeddedPostgresError::NotStopped {
            pid,
            waited_s: (FAST_SHUTDOWN_MAX + IMMEDIATE_SHUTDOWN_MAX).as_secs(),
        })
    }

    /// Clears away what a Postgres that was killed left: its children, its socket, and a `postmaster.pid` that Postgres
    /// would take for a living one, because the number is a zombie's (containers often have nobody who reaps) or another
    /// program's by now. Postgres judges any other by itself, and in each case whether its shared memory is in use.
    async fn clear_leftovers(&self) -> Result<(), EmbeddedPostgresError> {
        let cluster = &self.layout.cluster;
        let recorded = process::recorded_pid(cluster);
        if recorded.is_some() {
            end_orphaned_children(cluster).await?;
        }
        let socket = self.layout.socket();
        if !matches!(probe(&socket).await, Readiness::Silent) {
            return Err(EmbeddedPostgresError::ServedElsewhere { socket });
        }
        for name in [SOCKET_NAME.to_owned(), format!("{SOCKET_NAME}.lock")] {
            remove_file_if_there(&self.layout.socket_dir.join(name))?;
        }
        if recorded.is_some_and(process::exists) {
            remove_file_if_there(&cluster.join("postmaster.pid"))?;
        }
        Ok(())
    }
}

/// Children end by themselves within milliseconds of their postmaster; one in the middle of a long statement notices only
/// at its end and is made to end. That loses nothing: its transaction has not been answered, and recovery is due anyway.
async fn end_orphaned_children(cluster: &Path) -> Result<(), EmbeddedPostgresError> {
    let begun = Instant::now();
    loop {
        let pids = process::processes_in(cluster);
        if pids.is_empty() {
            return Ok(());
        }
        let signal = match begun.elapsed().as_millis() {
            0..500 => None,
            500..1_500 => Some(Signal::QUIT),
            _ => Some(Signal::KILL),
        };
        if let Some(signal) = signal {
            pids.iter().for_each(|pid| process::signal_to(*pid, signal));
        }
        if begun.elapsed() > LEFTOVERS_GRACE {
            let pids: Vec<_> = pids.iter().map(i32::to_string).collect();
            return Err(EmbeddedPostgresError::Leftovers {
                pids: pids.join(", "),
                cluster: cluster.to_owned(),
            });
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn unfinished_clusters(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(data_dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("postgres.new-"))
        .map(|entry| entry.path())
        .collect()
}

fn remove_file_if_there(path: &Path) -> Result<(), EmbeddedPostgresError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a rename in the directory last over a crash of the machine.
fn sync_dir(path: &Path) -> Result<(), EmbeddedPostgresError> {
    std::fs::File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error("sync", path))
}

/// The end of what was written to the log since `start`.
fn log_tail(log: &Path, start: u64) -> String {
    let read = || {
        let mut file = std::fs::File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(LOG_TAIL_BYTES as u64))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}
