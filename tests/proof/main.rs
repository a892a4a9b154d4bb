//! The proof: that nothing is lost, posted twice or overdrawn, whoever calls at once and whatever is killed; that
//! `scrip verify` finds what somebody changed by hand; that the schema and the command line keep their promises.

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod concurrency;
mod crash;
mod due_work;
mod known_accounts;
mod migrations;
mod overload;
mod program_command;
mod schema;
mod two_processes;
mod verify;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use support::{Answer, Client, process};

/// However busy the machine is: a command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// All of an account's transactions, newest first.
async fn books(client: &Client, account: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/accounts/{account}/transactions?limit=200{cursor}");
        let page = client.get(&path).await.expect(200);
        all.extend(page["data"].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// By idempotency key. None stands twice.
#[track_caller]
fn by_key(books: &[Value]) -> HashMap<&str, &Value> {
    let mut found = HashMap::new();
    for transaction in books {
        let key = transaction["idempotency_key"].as_str().expect("a key");
        assert!(found.insert(key, transaction).is_none(), "{key} was posted twice");
    }
    found
}

/// What a client was told of a write: its key, and the answer.
struct Acknowledged {
    key: String,
    answer: Value,
}

/// Every acknowledged write is in the books, once and as it was answered, and nothing else is.
#[track_caller]
fn assert_exactly(books: &[Value], acknowledged: &[Acknowledged]) {
    let mut posted = by_key(books);
    for Acknowledged { key, answer } in acknowledged {
        let Some(transaction) = posted.remove(key.as_str()) else {
            panic!("{key} was acknowledged and is not in the books: {answer}");
        };
        // A grant's answer is the grant, which names its transaction.
        let id = answer.get("transaction_id").unwrap_or(&answer["id"]);
        assert_eq!(
            (&transaction["id"], &transaction["amount"]),
            (id, &answer["amount"]),
            "{key}"
        );
    }
    assert!(posted.is_empty(), "in the books, but never acknowledged: {posted:?}");
}

/// What the transactions put into an account and took from it.
fn sum(books: &[Value]) -> i64 {
    let effect = |t: &Value| {
        let amount = t["amount"].as_i64().expect("an amount");
        match t["kind"].as_str().expect("a kind") {
            "grant" | "refund" => amount,
            "spend" | "revocation" => -amount,
            other => panic!("{other} was not asked for"),
        }
    };
    books.iter().map(effect).sum()
}

/// The same throws in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: usize) -> Self {
        Self((seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to `sides`, without it.
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }
}

/// Waits until it is so; whether it ever is, is the test.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let so = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, so)
        .await
        .unwrap_or_else(|_| panic!("{what}: not so after {PATIENCE:?}"));
}

/// Whether a service that was just started serves.
async fn is_ready(client: &Client) -> bool {
    let answer = client.try_send("GET", "/readyz", &[], "").await;
    answer.is_ok_and(|answer| answer.status == 200)
}

async fn spend(client: &Client, account: &str, key: &str, amount: usize) -> Answer {
    let path = format!("/v1/accounts/{account}/spends");
    client.post_with(&path, key, json!({"amount": amount})).await
}

/// A directory for an embedded Postgres, removed with whatever still runs in it, also when the test fails. Make it before
/// the processes that use it, so that they end first.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        Self(process::data_dir())
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn process(&self) -> process::Data<'_> {
        process::Data::Embedded(&self.0)
    }

    /// The postmaster's process id.
    fn postgres_pid(&self) -> rustix::process::Pid {
        let text = std::fs::read_to_string(self.0.join("postgres/postmaster.pid")).expect("Postgres runs");
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.and_then(rustix::process::Pid::from_raw).expect("a process id")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let dir = self.0.clone();
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // A process that was just killed may hold the lock for an instant.
            let mut result = Ok(());
            for _ in 0..100 {
                result = runtime.block_on(scrip::embedded_postgres::discard(&dir));
                if result.is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            result.map_err(std::io::Error::other)
        });
        if let Ok(Err(error)) = removed.join() {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}

/// The program with these variables and none of ours but what it takes to find Postgres.
#[allow(clippy::disallowed_methods, reason = "tests may ask the environment")]
fn scrip(variables: &[(&str, &str)], arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_scrip"));
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "TMPDIR", "PG_BIN_DIR"].contains(&name.as_str())))
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a command that ended left.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program to its end.
async fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let output = tokio::time::timeout(PATIENCE, scrip(variables, arguments).output());
    let output = output.await.expect("it ends").expect("it runs");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `scrip verify`, which must find nothing.
async fn assert_verified(data: process::Data<'_>) {
    let ran = tokio::time::timeout(PATIENCE, process::run(&data, &["verify"])).await;
    let (code, text) = ran.expect("it ends");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("all agrees"), "{text}");
}
