//! The service as a process of its own, for tests that kill it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use super::{
    client::{Client, Key},
    service::OPERATOR_KEY,
};

/// 32 bytes in base64, the same for every process of a test.
const ENCRYPTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// How long a service may take to be ready on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a process keeps its data.
pub enum Data<'a> {
    /// An embedded Postgres in this directory.
    Embedded(&'a Path),
    /// The database of this URL.
    Url(&'a str),
}

pub struct Process {
    pub child: Child,
    pub client: Client,
    listen: String,
}

fn command(data: &Data<'_>, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrip"));
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "TMPDIR", "PG_BIN_DIR"].contains(&name.as_str())))
        .env("SCRIP_LISTEN", listen)
        .env("SCRIP_OPERATOR_KEY", OPERATOR_KEY)
        .env("SCRIP_ENCRYPTION_KEY", ENCRYPTION_KEY)
        .env("RUST_LOG", "warn");
    match data {
        Data::Embedded(dir) => command.env("SCRIP_DATA_DIR", dir),
        Data::Url(url) => command.env("DATABASE_URL", url),
    };
    command
}

impl Process {
    /// Starts the service and waits until it is ready. It is killed when this is dropped.
    pub async fn start(data: Data<'_>) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let listen = format!("127.0.0.1:{port}");
        let child = command(&data, &listen)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("the service starts");
        let client = Client::new(format!("http://{listen}"), Key(OPERATOR_KEY.to_owned()));
        let mut process = Self { child, client, listen };
        process.wait_until_ready().await;
        process
    }

    pub async fn wait_until_ready(&mut self) {
        let from = std::time::Instant::now();
        loop {
            if let Ok(answer) = self.client.try_send("GET", "/readyz", &[], "").await
                && answer.status == 200
            {
                return;
            }
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                panic!("the service on {} ended: {status}", self.listen);
            }
            assert!(
                from.elapsed() < READY_TIMEOUT,
                "the service on {} is not ready",
                self.listen
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// kill -9, and the end of it.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the process can be killed");
    }

    /// SIGTERM, and the exit status.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.child.id().expect("it runs").cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be told");
        self.child.wait().await.expect("it ends")
    }
}

/// Runs a command of the program to its end: its exit code and what it printed.
pub async fn run(data: &Data<'_>, arguments: &[&str]) -> (i32, String) {
    let output = command(data, "127.0.0.1:0")
        .args(arguments)
        .output()
        .await
        .expect("it runs");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap_or(-1), text)
}

/// A directory for an embedded Postgres, removed with what runs in it by [`discard`]. Short: sockets have short paths.
pub fn data_dir() -> PathBuf {
    let random: String = scrip::random::bytes::<6>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::env::temp_dir().join(format!("scrip-test-{random}"))
}

pub async fn discard(dir: &Path) {
    scrip::embedded_postgres::discard(dir)
        .await
        .expect("the directory is removed");
}
