//! The service under test: the release binary on a fresh data directory, as a stranger would start it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::Result;

/// A first start runs initdb, and may download Postgres where none is installed.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Draining, then Postgres's shutdown checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Numbers the calls outside the load, for their idempotency keys.
static CALLS: AtomicU32 = AtomicU32::new(0);
/// Keys for a database that lives a few minutes behind a loopback address.
const OPERATOR_KEY: &str = "benchmark-operator-key-0123456789abcdef";
const ENCRYPTION_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

pub struct Service {
    pub address: SocketAddr,
    pub data_dir: PathBuf,
    binary: PathBuf,
    log: PathBuf,
    child: Child,
}

impl Service {
    /// Starts it on a fresh directory under `parent`, and waits until it is ready.
    pub fn start(parent: &Path) -> Result<Self> {
        let binary = find_binary()?;
        let home = parent.join(format!("scrip-benchmark-{}", std::process::id()));
        std::fs::create_dir(&home).map_err(|error| format!("cannot make {}: {error}", home.display()))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (data_dir, log) = (home.join("data"), home.join("service.log"));
        let out = File::create(&log)?;
        let child = command(&binary, &data_dir, address)
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()?;
        let mut service = Self {
            address,
            data_dir,
            binary,
            log,
            child,
        };
        service.wait_until_ready()?;
        Ok(service)
    }

    /// One call outside the measured load, with the operator's key when `key` is `None`.
    pub fn call(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Result<Value> {
        let (status, answer) = exchange(self.address, method, path, key.unwrap_or(OPERATOR_KEY), body)?;
        if !(200..300).contains(&status) {
            return Err(format!("{method} {path} answered {status}: {answer}").into());
        }
        serde_json::from_str(&answer).map_err(|error| format!("{method} {path} answered {answer:?}: {error}").into())
    }

    /// SIGTERM, as any supervisor would.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(pid) = self
            .child
            .try_wait()?
            .is_none()
            .then(|| rustix::process::Pid::from_child(&self.child))
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let deadline = Instant::now() + STOP_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.child.kill()?;
                return Err(format!("the service did not stop within {STOP_WITHIN:?}; {}", self.log_tail()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `scrip verify` on the same data, with the service stopped: its exit code and its last line.
    pub fn verify(&self) -> Result<(Option<i32>, String)> {
        let told = command(&self.binary, &self.data_dir, self.address)
            .arg("verify")
            .output()?;
        // The finding stands on stdout; when there is none, stderr says why.
        let text = if told.stdout.is_empty() {
            told.stderr
        } else {
            told.stdout
        };
        Ok((
            told.status.code(),
            String::from_utf8_lossy(&text).lines().last().unwrap_or("").to_owned(),
        ))
    }

    /// Removes the data directory and the log.
    pub fn remove(mut self) -> Result<()> {
        self.stop()?;
        let home = self.log.parent().expect("the log stands in the run's own directory");
        std::fs::remove_dir_all(home).map_err(|error| format!("cannot remove {}: {error}", home.display()).into())
    }

    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "the end of {}:\n{}",
            self.log.display(),
            lines[lines.len().saturating_sub(15)..].join("\n")
        )
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the service ended with {status}; {}", self.log_tail()).into());
            }
            if matches!(exchange(self.address, "GET", "/readyz", "", ""), Ok((200, _))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not ready within {READY_WITHIN:?}; {}", self.log_tail()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Service {
    /// On an error's way out too, so that no Postgres is left behind.
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error}");
        }
    }
}

/// The service's defaults decide everything but the address, the data and the keys, whatever the shell has set.
fn command(binary: &Path, data_dir: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(binary);
    for name in [
        "DATABASE_URL",
        "SCRIP_PUBLIC_URL",
        "STRIPE_API_BASE",
        "SCRIP_LOG_FORMAT",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(
            data_dir
                .parent()
                .expect("the data directory stands in the run's own directory"),
        )
        .env("SCRIP_DATA_DIR", data_dir)
        .env("SCRIP_LISTEN", address.to_string())
        .env("SCRIP_OPERATOR_KEY", OPERATOR_KEY)
        .env("SCRIP_ENCRYPTION_KEY", ENCRYPTION_KEY);
    command
}

/// The service's binary stands one directory above the examples.
fn find_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let profile_dir = own
        .parent()
        .and_then(Path::parent)
        .ok_or("the benchmark stands in no target directory")?;
    if profile_dir.file_name() != Some(OsStr::new("release")) {
        return Err("a debug build measures nothing: cargo run --release --example benchmark".into());
    }
    let binary = profile_dir.join("scrip");
    let Ok(built) = binary.metadata().and_then(|data| data.modified()) else {
        return Err(format!("{} is missing: run `cargo build --release` first", binary.display()).into());
    };
    if newest_under(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) > Some(built) {
        eprintln!(
            "WARNING: {} is older than src: run `cargo build --release` to measure what stands there",
            binary.display()
        );
    }
    Ok(binary)
}

fn newest_under(dir: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    entries
        .filter_map(|entry| {
            if entry.path().is_dir() {
                newest_under(&entry.path())
            } else {
                entry.metadata().ok()?.modified().ok()
            }
        })
        .max()
}

/// One request on a connection of its own: the status and the body.
fn exchange(address: SocketAddr, method: &str, path: &str, key: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let idempotency_key = format!("benchmark-{}", CALLS.fetch_add(1, Ordering::Relaxed));
    let length = body.len();
    stream.write_all(
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: {idempotency_key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a head")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or("an answer without a status")?;
    Ok((status, body.to_owned()))
}
