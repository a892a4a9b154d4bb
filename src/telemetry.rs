//! The log and the metrics.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Bounds of the latency histogram, in seconds.
const LATENCY_SECONDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Bounds of the batch size histogram, in commands.
const BATCH_COMMANDS: [f64; 8] = [1.0, 4.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Logs to standard error, so that standard output is for what a command prints.
pub fn start_log(filter: &str, format: LogFormat) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// Installs the metrics' recorder; one a process.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &BATCH_COMMANDS)?
        .install_recorder()?;
    metrics::describe_histogram!(
        "scrip_http_request_seconds",
        "Time to answer a request, by route and method"
    );
    metrics::describe_counter!("scrip_http_requests_total", "Answers, by class of status");
    metrics::describe_counter!("scrip_refusals_total", "Refusals, by code");
    metrics::describe_histogram!(
        "scrip_batch_commands",
        "Commands that a batch of the ledger carried out"
    );
    metrics::describe_counter!(
        "scrip_accounts_read_total",
        "Accounts that a batch had to read because its lane did not know them"
    );
    metrics::describe_counter!(
        "scrip_batch_conflicts_total",
        "Batches done again because something they were decided on changed meanwhile"
    );
    metrics::describe_counter!(
        "scrip_due_accounts_total",
        "Accounts that the job brought up to their time"
    );
    metrics::describe_counter!(
        "scrip_stripe_events_total",
        "Stripe's events worked off, by what became of them"
    );
    Ok(handle)
}
