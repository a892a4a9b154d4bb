//! The table, with the facts without which a number means nothing.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::load::Outcome;
use crate::output;
use crate::renewals::Renewals;

pub struct Row {
    pub connections: usize,
    pub random: Outcome,
    pub hot: Outcome,
}

pub struct Report {
    pub date: Option<String>,
    pub machine: Machine,
    pub postgres: String,
    pub durability: String,
    pub seconds: u64,
    pub accounts: u32,
    pub tpc_b_before: f64,
    pub tpc_b_after: f64,
    pub rows: Vec<Row>,
    pub renewals: Option<Renewals>,
    pub ledger_bytes_per_spend: f64,
    pub database_bytes_per_spend: f64,
    pub wal_bytes_per_spend: f64,
    pub verify: String,
    pub troubles: Vec<String>,
}

impl Report {
    /// The yardstick is the mean of before and after, so that a machine that drifts favours nobody.
    fn tpc_b(&self) -> f64 {
        f64::midpoint(self.tpc_b_before, self.tpc_b_after)
    }

    pub fn spends(&self) -> u64 {
        self.rows.iter().map(|row| row.random.total + row.hot.total).sum()
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from("# Benchmark\n\n");
        self.write_facts(&mut text)
            .and_then(|()| self.write_table(&mut text))
            .expect("writing to a String");
        text
    }

    fn write_facts(&self, text: &mut String) -> std::fmt::Result {
        let date = self
            .date
            .clone()
            .or_else(|| output(Command::new("date").args(["-u", "+%F"])).ok())
            .unwrap_or_default();
        let Machine {
            cores,
            memory_gib,
            cpu,
            filesystem,
        } = &self.machine;
        writeln!(
            text,
            "`cargo build --release && cargo run --release --example benchmark`, {date}: {cores} cores, {memory_gib} GiB, {cpu};"
        )?;
        writeln!(
            text,
            "Postgres {} on {filesystem} ({}).",
            self.postgres, self.durability
        )?;
        writeln!(
            text,
            "The service, Postgres and the load generator share the cores. A spend is `POST /v1/accounts/{{id}}/spends` over HTTP"
        )?;
        writeln!(
            text,
            "with a fresh idempotency key, one in flight a connection, {} s after a warm-up; only a 201 counts. The account has a",
            self.seconds
        )?;
        writeln!(
            text,
            "subscription, the operation a price, and two caps and a gate are looked at."
        )?;
        writeln!(
            text,
            "Random: one of {} accounts. Hot: all on one account. × TPC-B: as multiple of what `pgbench -c 16 -j 2`",
            self.accounts
        )?;
        let (before, after) = (thousands(self.tpc_b_before), thousands(self.tpc_b_after));
        writeln!(
            text,
            "does on the same Postgres in the same run ({before} a second before, {after} after; mean {}).\n",
            thousands(self.tpc_b())
        )?;
        if (self.tpc_b_before / self.tpc_b_after - 1.0).abs() > 0.25 {
            writeln!(
                text,
                "**The machine was not quiet: the yardstick moved by more than a quarter during the run.**\n"
            )?;
        }
        Ok(())
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "| connections | random, spends/s | p50 ms | p99 ms | × TPC-B | hot, spends/s | p50 ms | p99 ms | × TPC-B |"
        )?;
        writeln!(text, "|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for Row {
            connections,
            random,
            hot,
        } in &self.rows
        {
            writeln!(text, "| {connections} |{}{}", self.cells(random), self.cells(hot))?;
        }
        writeln!(text)?;
        writeln!(
            text,
            "- Disk: {:.0} bytes a spend in `transactions` and `entries` with their indexes;",
            self.ledger_bytes_per_spend
        )?;
        writeln!(text, "  {:.0} in the whole database.", self.database_bytes_per_spend)?;
        writeln!(
            text,
            "- WAL: {:.0} bytes a spend, over {} spends.",
            self.wal_bytes_per_spend,
            thousands(self.spends() as f64)
        )?;
        let answers = self.spends().max(1) as f64;
        let outcomes = self.rows.iter().flat_map(|row| [&row.random, &row.hot]);
        let cpu_us = outcomes
            .map(|outcome| outcome.cpu_us_per_request * outcome.total as f64)
            .sum::<f64>()
            / answers;
        writeln!(text, "- The load generator itself used {cpu_us:.1} µs of CPU a spend.")?;
        if let Some(renewals) = &self.renewals {
            renewals.write(text, self.tpc_b(), self.accounts)?;
        }
        writeln!(text, "- `scrip verify` afterwards: {}.", self.verify)?;
        for trouble in &self.troubles {
            writeln!(text, "- **NOT A SPEND**: {trouble}")?;
        }
        Ok(())
    }

    fn cells(&self, outcome: &Outcome) -> String {
        let rate = outcome.rate_per_s();
        let [p50, p99] = [0.5, 0.99].map(|share| outcome.latency.quantile_ms(share));
        format!(
            " {} | {p50:.2} | {p99:.2} | {:.1} |",
            thousands(rate),
            rate / self.tpc_b()
        )
    }
}

pub struct Machine {
    cores: usize,
    memory_gib: u64,
    cpu: String,
    filesystem: String,
}

impl Machine {
    /// What Linux tells; elsewhere the blanks are named as such.
    pub fn look(data_dir: &Path) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let memory = read("/proc/meminfo");
        let memory_kib: u64 = memory
            .split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0);
        let cpus = read("/proc/cpuinfo");
        let cpu = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let mounts = read("/proc/mounts");
        let filesystem = mounts
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(' ').skip(1);
                Some((fields.next()?, fields.next()?))
            })
            .filter(|(mount, _)| data_dir.starts_with(mount))
            .max_by_key(|(mount, _)| mount.len());
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            cpu: cpu.map_or("unknown CPU", |(_, name)| name.trim()).to_owned(),
            filesystem: filesystem.map_or("unknown filesystem", |(_, kind)| kind).to_owned(),
        }
    }

    /// A commit on a memory filesystem waits for nothing.
    pub fn is_volatile(&self) -> bool {
        matches!(self.filesystem.as_str(), "tmpfs" | "ramfs")
    }
}

/// 12345.6 -> "12,346"
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let head = match digits.len() % 3 {
        0 => 3,
        rest => rest,
    };
    let (first, rest) = digits.split_at(head.min(digits.len()));
    rest.as_bytes().chunks(3).fold(first.to_owned(), |text, three| {
        text + "," + &String::from_utf8_lossy(three)
    })
}
