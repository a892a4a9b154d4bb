//! The yardstick: `pgbench` TPC-B on the service's own Postgres, and what psql can tell about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, output};

/// Clients of the yardstick, threads and scale, as everybody runs it.
const INIT: [&str; 4] = ["-i", "-q", "-s", "10"];
const RUN: [&str; 4] = ["-c", "16", "-j", "2"];
const DATABASE: &str = "pgbench";

/// The client programs, and the socket they reach the embedded cluster by.
pub struct Postgres {
    bin: PathBuf,
    socket_dir: PathBuf,
    service_database: String,
}

/// What the service has made Postgres write so far, in bytes.
#[derive(Clone, Copy)]
pub struct Written {
    /// `transactions` and `entries` with their indexes and TOAST.
    pub ledger: u64,
    /// The service's whole database.
    pub database: u64,
    pub wal: u64,
}

impl Postgres {
    pub fn find(bin_dir: Option<&Path>, data_dir: &Path) -> Result<Self> {
        let bin = find_bin(bin_dir)?;
        let mut postgres = Self {
            bin,
            socket_dir: data_dir.join("run"),
            service_database: "postgres".to_owned(),
        };
        let names = postgres.service("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")?;
        for name in names.lines() {
            postgres.service_database = name.to_owned();
            if postgres.service("SELECT count(*) FROM pg_class WHERE relname IN ('transactions', 'entries')")? != "0" {
                return Ok(postgres);
            }
        }
        Err("no database of the cluster has the tables transactions and entries".into())
    }

    pub fn version(&self) -> Result<String> {
        self.service("SELECT split_part(current_setting('server_version'), ' ', 1)")
    }

    /// The settings that decide what a commit costs.
    pub fn durability(&self) -> Result<String> {
        let settings = "'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size'";
        self.service(&format!(
            "SELECT string_agg(name || '=' || current_setting(name), ', ' ORDER BY name) FROM pg_settings WHERE name IN ({settings})"
        ))
    }

    pub fn initialise(&self) -> Result<()> {
        output(self.client("createdb").arg(DATABASE))?;
        output(self.client("pgbench").args(INIT).arg(DATABASE)).map(drop)
    }

    /// TPC-B transactions a second. A checkpoint goes first, so that nobody pays for another's dirty pages.
    pub fn run(&self, seconds: u64) -> Result<f64> {
        self.checkpoint()?;
        let told = output(
            self.client("pgbench")
                .args(RUN)
                .args(["-T", &seconds.to_string()])
                .arg(DATABASE),
        )?;
        let tps = told
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.ok_or_else(|| format!("pgbench told no tps: {told}").into())
    }

    pub fn checkpoint(&self) -> Result<()> {
        self.service("CHECKPOINT").map(drop)
    }

    pub fn written(&self) -> Result<Written> {
        // A partition counts for the table it is part of.
        let told = self.service(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::text
                 || ' ' || pg_database_size(current_database())
                 || ' ' || pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text
             FROM pg_class c JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid)
             WHERE c.relkind = 'r' AND root.relname IN ('transactions', 'entries')",
        )?;
        let numbers = told
            .split(' ')
            .map(str::parse)
            .collect::<std::result::Result<Vec<u64>, _>>()?;
        let [ledger, database, wal] = numbers[..] else {
            return Err(format!("three sizes, not {told}").into());
        };
        Ok(Written { ledger, database, wal })
    }

    /// One statement in the service's database, as its owner.
    pub fn service(&self, sql: &str) -> Result<String> {
        output(self.client("psql").args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &self.service_database,
            "-c",
            sql,
        ]))
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .arg("-h")
            .arg(&self.socket_dir)
            .args(["-p", "5432", "-U", "postgres"]);
        command
    }
}

/// The directory with the client programs; empty where they are on the PATH.
fn find_bin(explicit: Option<&Path>) -> Result<PathBuf> {
    let complete = |dir: &Path| {
        ["psql", "createdb", "pgbench"]
            .iter()
            .all(|name| answers(&dir.join(name)))
    };
    if let Some(dir) = explicit {
        let missing = format!("PG_BIN_DIR {} lacks psql, createdb or pgbench", dir.display());
        return if complete(dir) {
            Ok(dir.to_owned())
        } else {
            Err(missing.into())
        };
    }
    let configured = output(Command::new("pg_config").arg("--bindir"))
        .ok()
        .map(PathBuf::from);
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    installed.sort();
    let newest_first = installed.into_iter().rev().map(|(_, dir)| dir);
    let mut candidates = configured.into_iter().chain([PathBuf::new()]).chain(newest_first);
    candidates.find(|dir| complete(dir)).ok_or_else(|| {
        "no psql, createdb and pgbench found; install them (Debian: postgresql-client and postgresql-contrib) or set PG_BIN_DIR".into()
    })
}

fn answers(program: &Path) -> bool {
    output(Command::new(program).arg("--version")).is_ok()
}
