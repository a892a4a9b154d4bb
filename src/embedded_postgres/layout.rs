//! The directories and files under the data directory, and the lock that keeps a second instance out.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::error::{EmbeddedPostgresError, io_error};

/// Postgres names its socket and the socket's lock after the port, although it listens on no TCP port.
pub(super) const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The address of a Unix socket holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The log is set aside at a start once it is larger than this.
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Layout {
    /// Absolute, without symbolic links.
    pub data_dir: PathBuf,
    /// Postgres' own data directory.
    pub cluster: PathBuf,
    pub socket_dir: PathBuf,
    pub log: PathBuf,
    /// Held as long as this value lives; the kernel drops it with the process, also after kill -9.
    lock: File,
}

impl Layout {
    /// Makes the directories and takes the lock.
    ///
    /// # Errors
    /// When another instance holds the lock, or Postgres' account could not reach the directories.
    pub fn prepare(data_dir: &Path, account: Option<&Account>) -> Result<Self, EmbeddedPostgresError> {
        let data_dir = make_data_dir(data_dir, account)?;
        let lock = take_lock(&data_dir)?;
        if let Some(account) = account {
            account.check_reach(&data_dir)?;
        }
        let socket_dir = socket_dir_for(&data_dir);
        make_socket_dir(&socket_dir, account)?;
        Ok(Self {
            cluster: data_dir.join("postgres"),
            log: data_dir.join("postgres.log"),
            socket_dir,
            data_dir,
            lock,
        })
    }

    pub fn socket(&self) -> PathBuf {
        self.socket_dir.join(SOCKET_NAME)
    }

    /// The major version that made the cluster; `None` before there is one.
    pub fn cluster_major(&self) -> Result<Option<u32>, EmbeddedPostgresError> {
        let path = self.cluster.join("PG_VERSION");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(EmbeddedPostgresError::BadVersionFile { path, found: text }),
        }
    }

    /// Opens the log for appending, after setting a large one aside as `postgres.log.1`.
    pub fn open_log(&self) -> Result<File, EmbeddedPostgresError> {
        let is_large = std::fs::metadata(&self.log).is_ok_and(|file| file.len() > LOG_BYTES_MAX);
        if is_large {
            let aside = self.log.with_extension("log.1");
            std::fs::rename(&self.log, &aside).map_err(io_error("rename", &self.log))?;
        }
        File::options()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.log)
            .map_err(io_error("open", &self.log))
    }
}

impl Drop for Layout {
    /// The lock goes with the file handle. The file stays, because removing a lock file lets two instances lock two files
    /// of the same name; it is emptied, so that it names no process that is gone.
    fn drop(&mut self) {
        let _ = self.lock.set_len(0);
    }
}

/// For root the directory is 0711: Postgres' account has to pass through it, and need not list it.
fn make_data_dir(data_dir: &Path, account: Option<&Account>) -> Result<PathBuf, EmbeddedPostgresError> {
    let data_dir = std::path::absolute(data_dir).map_err(io_error("resolve", data_dir))?;
    if let Some(parent) = data_dir.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(io_error("make the directory", parent))?;
    }
    match DirBuilder::new().mode(0o700).create(&data_dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(io_error("make the directory", &data_dir)(error));
        }
        _ => {}
    }
    let metadata = std::fs::metadata(&data_dir).map_err(io_error("look at", &data_dir))?;
    let passable = metadata.mode() | 0o111;
    if account.is_some() && metadata.mode() != passable {
        std::fs::set_permissions(&data_dir, Permissions::from_mode(passable & 0o7777))
            .map_err(io_error("change the mode of", &data_dir))?;
    }
    data_dir.canonicalize().map_err(io_error("resolve", &data_dir))
}

fn take_lock(data_dir: &Path) -> Result<File, EmbeddedPostgresError> {
    let path = data_dir.join("scrip.lock");
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = lock.read_to_string(&mut pid);
            let pid = pid.trim();
            return Err(EmbeddedPostgresError::InUse {
                pid: if pid.is_empty() { "unknown" } else { pid }.to_owned(),
                data_dir: data_dir.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(io_error("write", &path))?;
    Ok(lock)
}

/// `run/` beside the data; where that path is too long for a Unix socket, a directory in /tmp named after the data directory.
pub(super) fn socket_dir_for(data_dir: &Path) -> PathBuf {
    let beside = data_dir.join("run");
    let socket_path_bytes = beside.as_os_str().len() + 1 + SOCKET_NAME.len();
    if socket_path_bytes <= SOCKET_PATH_BYTES_MAX {
        return beside;
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_bytes());
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Path::new("/tmp").join(format!("scrip-{name}"))
}

/// Connections need no password, so this directory's mode is what keeps other users out. One that stands in /tmp may have
/// been made by somebody else beforehand, hence the look at its owner.
fn make_socket_dir(path: &Path, account: Option<&Account>) -> Result<(), EmbeddedPostgresError> {
    let ourselves = rustix::process::geteuid().as_raw();
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(io_error("make the directory", path)(error));
        }
        _ => {}
    }
    let metadata = std::fs::symlink_metadata(path).map_err(io_error("look at", path))?;
    let owners = [ourselves, account.map_or(ourselves, |account| account.uid)];
    if !metadata.is_dir() || !owners.contains(&metadata.uid()) {
        return Err(EmbeddedPostgresError::SocketDirTaken {
            path: path.to_owned(),
            uid: metadata.uid(),
        });
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io_error("change the mode of", path))?;
    account.map_or(Ok(()), |account| account.hand_over(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_stands_beside_the_data_when_its_path_fits() {
        assert_eq!(
            socket_dir_for(Path::new("/var/lib/scrip")),
            Path::new("/var/lib/scrip/run")
        );
    }

    #[test]
    fn a_long_data_directory_gets_a_short_socket_directory_of_its_own() {
        let long = |last: &str| PathBuf::from(format!("/{}/{last}", "x".repeat(90)));
        let (one, other) = (socket_dir_for(&long("a")), socket_dir_for(&long("b")));
        assert!(one.starts_with("/tmp") && one.as_os_str().len() < 40);
        assert_ne!(one, other);
    }
}
