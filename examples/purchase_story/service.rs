//! The service as a stranger would start it: the built program, a fresh data directory, and a few variables.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::Result;
use crate::client::{Client, Key};

/// Keys for a database that lives for seconds behind a loopback address.
pub const OPERATOR_KEY: &str = "the-operator-key-of-the-story";
const ENCRYPTION_KEY: &str = "U2NyaXAncyBwdXJjaGFzZSBzdG9yeSwgMzIgYnl0ZXM=";
/// The first start on a machine without Postgres downloads it.
const READY_WITHIN: Duration = Duration::from_secs(180);
const STOP_WITHIN: Duration = Duration::from_secs(60);

pub struct Service {
    pub url: String,
    pub binary: PathBuf,
    /// Holds the data directory and the log.
    pub home: PathBuf,
    stripe_url: String,
    child: Child,
    /// Kept open, so that the service can go on printing.
    _stdout: BufReader<ChildStdout>,
}

impl Service {
    /// Starts it where there is a free port, and waits until it is ready.
    pub async fn start(binary: PathBuf, stripe_url: &str) -> Result<Self> {
        let random: String = scrip::random::bytes::<6>().iter().map(|b| format!("{b:02x}")).collect();
        let home = std::env::temp_dir().join(format!("scrip-story-{random}"));
        std::fs::create_dir(&home).map_err(|error| format!("can't make {}: {error}", home.display()))?;
        println!("Scrip starts. (Without Postgres on this machine it downloads one first, 24 MB.)\n");
        let started = Self::launch(binary, home.clone(), stripe_url).await;
        if started.is_err() {
            discard(&home).await?;
        }
        started
    }

    async fn launch(binary: PathBuf, home: PathBuf, stripe_url: &str) -> Result<Self> {
        let mut child = command(&binary, &home, stripe_url)
            .stdout(Stdio::piped())
            .stderr(File::create(home.join("service.log"))?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("can't start {}: {error}", binary.display()))?;
        let stdout = child.stdout.take().ok_or("the service has no standard output")?;
        let mut service = Self {
            url: String::new(),
            binary,
            home,
            stripe_url: stripe_url.to_owned(),
            child,
            _stdout: BufReader::new(stdout),
        };
        match tokio::time::timeout(READY_WITHIN, service.wait_until_ready()).await {
            Ok(Ok(())) => Ok(service),
            Ok(Err(error)) => Err(format!("{error}\n{}", service.log_tail()).into()),
            Err(_) => Err(format!("it is not ready after {READY_WITHIN:?}\n{}", service.log_tail()).into()),
        }
    }

    /// It listens on a port of the system's choice, which its first line names.
    async fn wait_until_ready(&mut self) -> Result<()> {
        let mut line = String::new();
        self._stdout.read_line(&mut line).await?;
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        self.url = url.ok_or("the service ended before it served")?.to_owned();
        let client = Client::new(&self.url, Key::default());
        while !matches!(client.try_send("GET", "/readyz", &[], "").await, Ok(answer) if answer.status == 200) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the service ended with {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// SIGTERM, as a supervisor would: requests under way are finished, then Postgres is stopped.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(pid) = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => {
                self.child.kill().await?;
                Err(format!("the service did not stop within {STOP_WITHIN:?}\n{}", self.log_tail()).into())
            }
        }
    }

    /// Runs a command of the program on the stopped service's data: its exit code and what it said.
    pub async fn command(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let output = command(&self.binary, &self.home, &self.stripe_url)
            .args(arguments)
            .output()
            .await?;
        // The finding stands on stdout; where there is none, stderr says why.
        let text = if output.stdout.is_empty() {
            output.stderr
        } else {
            output.stdout
        };
        Ok((output.status.code(), String::from_utf8_lossy(&text).trim().to_owned()))
    }

    pub async fn remove(mut self) -> Result<()> {
        let stopped = self.stop().await;
        discard(&self.home).await?;
        stopped.map(|_| ())
    }

    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.home.join("service.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(15)..];
        if tail.is_empty() {
            "The service logged nothing.".to_owned()
        } else {
            format!("The end of the service's log:\n{}", tail.join("\n"))
        }
    }
}

/// Ends a Postgres that may still run there, and removes the directory.
async fn discard(home: &Path) -> Result<()> {
    scrip::embedded_postgres::discard(&home.join("data")).await?;
    std::fs::remove_dir_all(home).map_err(|error| format!("can't remove {}: {error}", home.display()).into())
}

/// The story's variables decide, whatever the shell has set.
fn command(binary: &Path, home: &Path, stripe_url: &str) -> Command {
    let mut command = Command::new(binary);
    for name in ["DATABASE_URL", "SCRIP_PUBLIC_URL"] {
        command.env_remove(name);
    }
    command
        .env("SCRIP_DATA_DIR", home.join("data"))
        .env("SCRIP_LISTEN", "127.0.0.1:0")
        .env("SCRIP_OPERATOR_KEY", OPERATOR_KEY)
        .env("SCRIP_ENCRYPTION_KEY", ENCRYPTION_KEY)
        .env("STRIPE_API_BASE", stripe_url)
        .env("SCRIP_LOG_FORMAT", "text")
        .env("RUST_LOG", "info");
    command
}

/// The program stands one directory above the examples. Cargo does not build it for an example, so this does, where it is
/// missing or older than its source.
pub async fn built_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let profile_dir = own
        .parent()
        .and_then(Path::parent)
        .ok_or("the example stands in no target directory")?;
    let binary = profile_dir.join("scrip");
    let source = newest_under(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let built = binary.metadata().and_then(|file| file.modified()).ok();
    if built.is_some() && built >= source {
        return Ok(binary);
    }
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target_dir = profile_dir
        .parent()
        .ok_or("the example stands in no target directory")?;
    println!("Building the service: cargo build --bin scrip --profile {profile}");
    let built = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "--bin",
            "scrip",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target_dir)
        .status()
        .await
        .map_err(|error| format!("{} has to be built, and cargo does not run: {error}", binary.display()))?;
    if built.success() && binary.is_file() {
        Ok(binary)
    } else {
        Err(format!(
            "{} could not be built: run `cargo build`, and then this again",
            binary.display()
        )
        .into())
    }
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

/// Asks until `done` says so.
pub async fn wait_for<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let from = Instant::now();
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        if from.elapsed() > within {
            return Err(format!("{what}: not within {within:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
