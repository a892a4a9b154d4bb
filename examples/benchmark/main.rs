//! How fast the ledger is, beside what the same Postgres does in `pgbench`, in one run and one table.
//!
//! `cargo build --release && cargo run --release --example benchmark`; `--write` puts the table into docs/BENCHMARK.md.
//! It starts the service on a fresh embedded Postgres, opens the accounts over HTTP, and then measures pgbench, the
//! service, and pgbench again, never two at a time. Afterwards `scrip verify` must agree with every credit spent.

mod histogram;
mod load;
mod pgbench;
mod renewals;
mod report;
mod request;
mod service;
mod set_up;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use load::{Load, Outcome};
use pgbench::Postgres;
use report::{Machine, Report, Row};
use request::{Pick, Request};
use service::Service;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const WARM_UP: Duration = Duration::from_secs(2);
const SPENDS: &str = "/v1/accounts/{}/spends";

#[derive(Parser)]
#[command(about = "Measures spends a second over HTTP, beside pgbench on the same Postgres.")]
struct Args {
    /// Length of each measurement; 2 s of warm-up come on top
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections to measure with, one request in flight on each
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    connections: Vec<usize>,
    /// Accounts to spread the random spends over
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=999_999))]
    accounts: u32,
    /// Subscriptions that renew at one instant while spends go on; 0 leaves that part out
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(0..=999_999))]
    renewals: u32,
    /// Where the fresh data directory is made; it should be on a real disk
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// The date to print, instead of the system's
    #[arg(long)]
    date: Option<String>,
    /// Write docs/BENCHMARK.md, instead of only printing
    #[arg(long)]
    write: bool,
    /// Where psql, createdb and pgbench are
    #[arg(long, env = "PG_BIN_DIR")]
    pg_bin_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("benchmark: {error}");
            ExitCode::from(2)
        }
    }
}

/// True when every answer was a spend and `scrip verify` agreed.
fn run(args: &Args) -> Result<bool> {
    let service = Service::start(&args.dir)?;
    let report =
        measure(args, service).inspect_err(|_| eprintln!("The run's files are kept under {}.", args.dir.display()))?;
    let text = report.markdown();
    println!("\n{text}");
    if args.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/BENCHMARK.md");
        std::fs::create_dir_all(path.parent().expect("docs/ is above it"))?;
        std::fs::write(&path, &text)?;
        eprintln!("written to {}", path.display());
    }
    Ok(report.troubles.is_empty() && report.verify.starts_with("exit code 0"))
}

fn measure(args: &Args, mut service: Service) -> Result<Report> {
    let postgres = Postgres::find(args.pg_bin_dir.as_deref(), &service.data_dir)?;
    let machine = Machine::look(&service.data_dir);
    if machine.is_volatile() {
        eprintln!(
            "WARNING: {} is in memory, so no commit waits for a disk: give another with --dir",
            args.dir.display()
        );
    }
    let api_key = set_up::spenders(&service, args.accounts)?;

    eprintln!("pgbench ...");
    postgres.initialise()?;
    let tpc_b_before = postgres.run(args.seconds)?;

    postgres.checkpoint()?;
    let before = postgres.written()?;
    let (mut rows, mut troubles) = (Vec::new(), Vec::new());
    for &connections in &args.connections {
        let mut spend = |pick| spend(&service, &api_key, connections, pick, args.seconds, &mut troubles);
        rows.push(Row {
            connections,
            random: spend(Pick::Random(args.accounts))?,
            hot: spend(Pick::Hot)?,
        });
    }
    let after = postgres.written()?;

    eprintln!("pgbench ...");
    let tpc_b_after = postgres.run(args.seconds)?;
    let renewals = match args.renewals {
        0 => None,
        count => Some(renewals::measure(
            &service,
            &postgres,
            &api_key,
            args,
            count,
            &mut troubles,
        )?),
    };
    let (postgres, durability) = (postgres.version()?, postgres.durability()?);

    let stopped = service.stop()?;
    if !stopped.success() {
        troubles.push(format!("the service ended with {stopped}; {}", service.log_tail()));
    }
    eprintln!("scrip verify ...");
    let (code, last_line) = service.verify()?;
    let verify = format!(
        "exit code {} ({last_line})",
        code.map_or("none".to_owned(), |code| code.to_string())
    );
    service.remove()?;

    let spends = rows
        .iter()
        .map(|row| row.random.total + row.hot.total)
        .sum::<u64>()
        .max(1) as f64;
    let per_spend = |before: u64, after: u64| after.saturating_sub(before) as f64 / spends;
    Ok(Report {
        date: args.date.clone(),
        machine,
        postgres,
        durability,
        seconds: args.seconds,
        accounts: args.accounts,
        tpc_b_before,
        tpc_b_after,
        rows,
        renewals,
        ledger_bytes_per_spend: per_spend(before.ledger, after.ledger),
        database_bytes_per_spend: per_spend(before.database, after.database),
        wal_bytes_per_spend: per_spend(before.wal, after.wal),
        verify,
        troubles,
    })
}

fn spend(
    service: &Service,
    api_key: &str,
    connections: usize,
    pick: Pick,
    seconds: u64,
    troubles: &mut Vec<String>,
) -> Result<Outcome> {
    let hot = matches!(pick, Pick::Hot);
    let path = if hot { "/v1/accounts/hot/spends" } else { SPENDS };
    let request = Request {
        method: "POST",
        path,
        body: set_up::SPEND,
        api_key,
        pick,
    };
    let window = Duration::from_secs(seconds);
    let load = Load {
        address: service.address,
        connections,
        request,
        expected: &[201],
        warm_up: WARM_UP,
        window,
    };
    let outcome =
        load::run(&load).map_err(|error| format!("{connections} connections: {error}; {}", service.log_tail()))?;
    let kind = if hot { "hot" } else { "random" };
    eprintln!(
        "{connections} connections, {kind}: {} spends a second",
        report::thousands(outcome.rate_per_s())
    );
    if let Some(trouble) = outcome.trouble() {
        let trouble = format!("{connections} connections, {kind}: {trouble}");
        eprintln!("NOT A SPEND: {trouble}");
        troubles.push(trouble);
    }
    Ok(outcome)
}

/// A program's output, trimmed; its error text when it fails.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let told = command
        .output()
        .map_err(|error| format!("cannot run {name}: {error}"))?;
    if !told.status.success() {
        return Err(format!(
            "{name} ended with {}: {}",
            told.status,
            String::from_utf8_lossy(&told.stderr).trim()
        )
        .into());
    }
    Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned())
}
