//! The Postgres that all tests share, started by the first that asks (see `src/test_cluster.rs` for the other side).
//!
//! Each test process keeps one idle session open, so that the cluster, which ends itself 10 s after its last client, lives
//! as long as the process. Works the same with many threads in one process (`cargo test`) and with a process per test
//! (`cargo nextest run`): what is shared is a directory named after the user, and a file lock in it.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Generous, because the very first start may download Postgres.
const START_TIME_MAX: Duration = Duration::from_secs(180);

/// The session that keeps the cluster alive, and where the cluster's socket is.
struct Session {
    socket_dir: PathBuf,
    stream: UnixStream,
}

static SESSION: Mutex<Option<Session>> = Mutex::new(None);

/// The directory of the socket of a running Postgres: connect there as user `postgres`, port 5432, without a password.
/// Blocks for about a second if it has to start one, and otherwise hardly at all; so ask in every test, and do not keep the
/// answer.
///
/// # Panics
/// When no cluster can be started, with the end of its log.
pub fn socket_dir() -> PathBuf {
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    if !session.as_mut().is_some_and(Session::is_open) {
        *session = None;
    }
    session.get_or_insert_with(find_or_start).socket_dir.clone()
}

fn find_or_start() -> Session {
    let base = shared_dir();
    let lock = File::options()
        .create(true)
        .append(true)
        .open(base.join("cluster.lock"))
        .expect("opens the lock file");
    lock.lock().expect("takes the lock");
    let deadline = Instant::now() + START_TIME_MAX;
    let mut child: Option<Child> = None;
    loop {
        if let Ok(session) = Session::open(&base) {
            return session;
        }
        child = match child {
            None => Some(start(&base)),
            Some(mut child) => match child.try_wait().expect("looks at the cluster") {
                None => Some(child),
                // One that was just ending, or whose starter was killed, still ran.
                Some(status) if status.success() => None,
                Some(status) => panic!("the tests' Postgres ended with {status}: {}", log(&base)),
            },
        };
        assert!(
            Instant::now() < deadline,
            "the tests' Postgres does not answer: {}",
            log(&base)
        );
        sleep(Duration::from_millis(10));
    }
}

/// `/tmp/scrip-tests-<uid>`. Root's may be passed through, since its Postgres runs as another user.
fn shared_dir() -> PathBuf {
    let user = rustix::process::geteuid();
    let path = std::env::temp_dir().join(format!("scrip-tests-{}", user.as_raw()));
    let mode = if user.is_root() { 0o711 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            panic!("cannot make {}: {error}", path.display())
        }
        _ => {}
    }
    let owner = std::fs::symlink_metadata(&path)
        .expect("looks at the shared directory")
        .uid();
    assert_eq!(owner, user.as_raw(), "{} belongs to somebody else", path.display());
    // The umask may have taken some of it.
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("sets the mode");
    path
}

/// In a process group of its own and with no descriptor of ours, so that it outlives this test and holds nothing up.
fn start(base: &Path) -> Child {
    let log = File::create(base.join("cluster.log")).expect("makes the log");
    let log_too = log.try_clone().expect("duplicates the log");
    Command::new(env!("CARGO_BIN_EXE_scrip"))
        .arg("test-cluster")
        .arg("--dir")
        .arg(base.join("cluster"))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .process_group(0)
        .spawn()
        .expect("starts the tests' Postgres")
}

fn log(base: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(base.join(name)).unwrap_or_default();
    format!("{}\n{}", read("cluster.log"), read("cluster/postgres.log"))
}

impl Session {
    /// Opens a session with the cluster that says it is ready, and waits until Postgres has accepted it: from then on the
    /// cluster counts it.
    fn open(base: &Path) -> io::Result<Self> {
        let socket_dir = std::fs::read(base.join("cluster/socket_dir"))?;
        let socket_dir = PathBuf::from(std::ffi::OsString::from_vec(socket_dir));
        let mut stream = UnixStream::connect(socket_dir.join(".s.PGSQL.5432"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        // The startup message: its length, protocol 3.0, then names and values.
        let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0application_name\0tests\0\0";
        stream.write_all(&(body.len() as u32 + 4).to_be_bytes())?;
        stream.write_all(body)?;
        while read_message(&mut stream)? != b'Z' {}
        if !has_supervisor(base)? {
            return Err(io::Error::other("its supervisor was killed, and it is about to end"));
        }
        stream.set_nonblocking(true)?;
        Ok(Self { socket_dir, stream })
    }

    /// An idle session says nothing; if Postgres is gone, reading meets a farewell or the end.
    fn is_open(&mut self) -> bool {
        let read = self.stream.read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Whether anybody holds the lock that a living cluster holds; asking takes it for an instant.
fn has_supervisor(base: &Path) -> io::Result<bool> {
    let running = File::options().append(true).open(base.join("cluster.running"))?;
    Ok(running.try_lock().is_err())
}

/// Reads one message and returns its type; an error message is an error.
fn read_message(stream: &mut UnixStream) -> io::Result<u8> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    stream.read_exact(&mut body)?;
    if kind == b'E' {
        return Err(io::Error::other(String::from_utf8_lossy(&body).into_owned()));
    }
    Ok(kind)
}
