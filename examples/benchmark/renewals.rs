//! Spends beside renewals: many subscriptions of another tenant fall due at one instant, and spends go on.

use std::fmt::Write;
use std::time::{Duration, Instant};

use chrono::{DateTime, Months, Utc};
use scrip::clock::{Clock, SystemClock};

use crate::load::{self, Load};
use crate::pgbench::Postgres;
use crate::report::thousands;
use crate::request::{Pick, Request};
use crate::service::Service;
use crate::{Args, Result, set_up, spend};

/// Connections that spend meanwhile.
const CONNECTIONS: usize = 64;
/// Connections that spend from each account once.
const FIRST_CONNECTIONS: usize = 256;
/// The slowest that accounts are made and subscribed: by then all are, and only then the instant comes.
const SET_UP_PER_S: u32 = 800;
/// Until all are renewed.
const DONE_WITHIN: Duration = Duration::from_secs(1_800);

/// What became of the spends, and of the renewals.
pub struct Renewals {
    pub count: u32,
    /// Spends a second without renewals (the mean of before and after), and while they ran.
    pub alone_per_s: f64,
    pub beside_per_s: f64,
    /// Renewed while the spends were measured, and in how long.
    pub renewed: u64,
    pub beside: Duration,
    /// From the instant until the last was renewed.
    pub all_within: Duration,
    /// Spends a second afterwards, each account's first: no lane knows it.
    pub first_spends_per_s: f64,
}

pub fn measure(
    service: &Service,
    postgres: &Postgres,
    spender: &str,
    args: &Args,
    count: u32,
    troubles: &mut Vec<String>,
) -> Result<Renewals> {
    let api_key = set_up::tenant(service, "renewals", "live", "UTC")?;
    let due = SystemClock.now() + Duration::from_secs(u64::from(count / SET_UP_PER_S) + 3 * args.seconds + 10);
    let anchor = due.checked_sub_months(Months::new(1)).ok_or("a date")?;
    eprintln!("{count} subscriptions that renew at {due} ...");
    let subscribe = format!(r#"{{"plan":"small","anchor":"{}"}}"#, anchor.to_rfc3339());
    set_up::subscribed(service, &api_key, count, &subscribe)?;
    let mut rate = || {
        let pick = Pick::Random(args.accounts);
        spend(service, spender, CONNECTIONS, pick, args.seconds, troubles).map(|outcome| outcome.rate_per_s())
    };
    // Those just made have taken the spenders' place in the lanes' memory: not measured until they are known again.
    rate()?;
    let before = rate()?;
    if SystemClock.now() >= due {
        return Err("making the subscriptions took longer than the time left for it".into());
    }
    if waiting(postgres, due)? != u64::from(count) {
        return Err("not all fall due at the instant".into());
    }
    wait_until(due);
    let began = Instant::now();
    let beside_per_s = rate()?;
    let beside = began.elapsed();
    let left = waiting(postgres, due)?;
    while waiting(postgres, due)? > 0 {
        if began.elapsed() > DONE_WITHIN {
            return Err(format!("not all were renewed within {DONE_WITHIN:?}").into());
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    let all_within = began.elapsed();
    rate()?;
    let after = rate()?;
    let first_spends_per_s = first_spends(service, &api_key, count, troubles)?;
    if left == u64::from(count) {
        troubles.push("nothing was renewed beside the spends".to_owned());
    }
    if left == 0 {
        troubles.push("all renewals were done before the spends beside them were measured".to_owned());
    }
    Ok(Renewals {
        count,
        alone_per_s: f64::midpoint(before, after),
        beside_per_s,
        renewed: u64::from(count).saturating_sub(left),
        beside,
        all_within,
        first_spends_per_s,
    })
}

/// A spend of each account, once: what a job has touched since, the lanes do not remember.
fn first_spends(service: &Service, api_key: &str, count: u32, troubles: &mut Vec<String>) -> Result<f64> {
    let outcome = load::run(&Load {
        address: service.address,
        connections: FIRST_CONNECTIONS,
        request: Request {
            method: "POST",
            path: crate::SPENDS,
            body: set_up::SPEND,
            api_key,
            pick: Pick::Each(count),
        },
        expected: &[201],
        warm_up: Duration::ZERO,
        window: DONE_WITHIN,
    })?;
    troubles.extend(outcome.trouble());
    Ok(outcome.rate_per_s())
}

fn wait_until(due: DateTime<Utc>) {
    if let Ok(left) = (due - SystemClock.now()).to_std() {
        std::thread::sleep(left);
    }
}

/// Accounts that still wait for their renewal.
fn waiting(postgres: &Postgres, due: DateTime<Utc>) -> Result<u64> {
    let due = due.to_rfc3339();
    let told = postgres.service(&format!("SELECT count(*) FROM account_due WHERE due_at <= '{due}'"))?;
    Ok(told.parse()?)
}

impl Renewals {
    /// `tpc_b`: the yardstick, a second. `accounts`: those of the table.
    pub fn write(&self, text: &mut String, tpc_b: f64, accounts: u32) -> std::fmt::Result {
        writeln!(
            text,
            "- Renewals: {} subscriptions of another tenant fell due at one instant. Spends from {CONNECTIONS} connections went on at",
            thousands(self.count.into())
        )?;
        writeln!(
            text,
            "  {} a second, {:.0} % of the {} without (mean of before and after), while {} were renewed in {:.0} s;",
            thousands(self.beside_per_s),
            self.beside_per_s / self.alone_per_s * 100.0,
            thousands(self.alone_per_s),
            thousands(self.renewed as f64),
            self.beside.as_secs_f64()
        )?;
        writeln!(
            text,
            "  the last one {:.0} s after the instant, once nobody spent any more.",
            self.all_within.as_secs_f64()
        )?;
        writeln!(
            text,
            "- Accounts that no lane knows: one spend from each of these {}, over {FIRST_CONNECTIONS} connections, {} a second =",
            thousands(self.count.into()),
            thousands(self.first_spends_per_s),
        )?;
        writeln!(
            text,
            "  {:.1} × TPC-B. The {} of the table are known to their lanes once each was spent from.",
            self.first_spends_per_s / tpc_b,
            thousands(accounts.into())
        )
    }
}
