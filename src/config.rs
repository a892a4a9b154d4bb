//! Every variable and flag, typed. Secrets are redacted.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::{
    domain::{
        cycle::Interval,
        role::Role,
        tenant::{Mode, Slug},
        text::Name,
    },
    stripe::gateway::STRIPE_API_BASE,
};

/// A multi-tenant credit ledger that a company runs beside its product.
///
/// Without DATABASE_URL it starts a Postgres of its own and keeps the data in SCRIP_DATA_DIR.
#[derive(Debug, Parser)]
#[command(name = "scrip", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub config: Config,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API (the default)
    Serve,
    /// Bring the database's schema up to date, and end
    Migrate,
    /// Tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Programs: a tenant's catalog and rules, written in a file
    #[command(subcommand)]
    Program(ProgramCommand),
    /// Prove that the books agree: exit code 0 when all does, 1 with a line per difference, 2 when it could not look
    Verify {
        /// Only this tenant
        #[arg(long, value_parser = slug)]
        tenant: Option<Slug>,
    },
    /// Ask a running service whether it is ready: exit code 0 or 1
    Healthcheck,
    /// The tests' throwaway Postgres
    #[command(hide = true)]
    TestCluster {
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant and print its first admin key, which is shown this once
    Create {
        /// 1 to 63 of a-z, 0-9 and -
        #[arg(value_parser = slug)]
        slug: Slug,
        /// What people call it; default: the slug
        #[arg(long, value_parser = name)]
        name: Option<Name>,
        #[arg(long, value_enum, default_value = "sandbox")]
        mode: ModeArg,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a tenant and print it; it is shown this once
    Create {
        #[arg(value_parser = slug)]
        tenant: Slug,
        #[arg(value_enum)]
        role: RoleArg,
        /// What it is for; of a support key the person it belongs to
        #[arg(long, value_parser = name)]
        name: Name,
    },
}

#[derive(Debug, Subcommand)]
pub enum ProgramCommand {
    /// Put the program of a file in force: a new version, unless it is like the one in force
    Apply {
        /// Ends in .json or .toml
        file: PathBuf,
        #[arg(long, value_parser = slug)]
        tenant: Slug,
    },
    /// Say what is wrong with the program of a file, and what is unwise: exit code 0 when nothing is wrong, 1 when something
    /// is, 2 when it could not look. It needs no database
    Lint {
        /// Ends in .json or .toml
        file: PathBuf,
    },
    /// Show what a subscription of a plan would get in its first twelve months, and when. It needs no database
    Preview {
        /// Ends in .json or .toml
        file: PathBuf,
        #[arg(long)]
        plan: String,
        /// When the subscription starts, in RFC 3339; default: now
        #[arg(long, value_parser = time)]
        anchor: Option<DateTime<Utc>>,
        /// How often it is paid; default: the plan's own
        #[arg(long, value_enum)]
        interval: Option<IntervalArg>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum IntervalArg {
    Month,
    Year,
}

impl From<IntervalArg> for Interval {
    fn from(interval: IntervalArg) -> Self {
        match interval {
            IntervalArg::Month => Self::Month,
            IntervalArg::Year => Self::Year,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModeArg {
    Live,
    Sandbox,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Live => Self::Live,
            ModeArg::Sandbox => Self::Sandbox,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleArg {
    Admin,
    Backend,
    Support,
    Read,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Admin => Self::Admin,
            RoleArg::Backend => Self::Backend,
            RoleArg::Support => Self::Support,
            RoleArg::Read => Self::Read,
        }
    }
}

fn slug(text: &str) -> Result<Slug, String> {
    Slug::try_from(text.to_owned())
}

fn name(text: &str) -> Result<Name, String> {
    Name::try_from(text.to_owned())
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    text.parse()
        .map_err(|_| "give a time in RFC 3339, such as 2027-01-31T00:00:00Z".to_owned())
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

/// An empty variable counts as absent: compose files set them so.
fn link(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("give an address that begins with http:// or https://".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Config {
    /// Address and port to listen on
    #[arg(long, env = "SCRIP_LISTEN", default_value = "127.0.0.1:8080", global = true)]
    pub listen: SocketAddr,

    /// The database, `postgres://user:password@host:port/database`. Absent: an embedded Postgres.
    /// With it SCRIP_OPERATOR_KEY and SCRIP_ENCRYPTION_KEY are required
    #[arg(long, env = "DATABASE_URL", value_parser = secret, hide_env_values = true, global = true)]
    pub database_url: Option<SecretString>,

    /// Where the embedded Postgres and its keys are kept. Default: /var/lib/scrip for root, ~/.local/share/scrip otherwise
    #[arg(long, env = "SCRIP_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,

    /// The directory of `postgres` and `initdb` for the embedded Postgres. Default: the newest found; downloaded if none is
    #[arg(long, env = "PG_BIN_DIR", global = true)]
    pub pg_bin_dir: Option<PathBuf>,

    /// The key that may make tenants, at least 16 characters. Absent and embedded: made once, printed, and kept in the data directory
    #[arg(long, env = "SCRIP_OPERATOR_KEY", value_parser = secret, hide_env_values = true, global = true)]
    pub operator_key: Option<SecretString>,

    /// The key that tenants' secrets are encrypted with: 32 bytes in base64 (`openssl rand -base64 32`).
    /// Absent and embedded: made once and kept in the data directory
    #[arg(long, env = "SCRIP_ENCRYPTION_KEY", value_parser = secret, hide_env_values = true, global = true)]
    pub encryption_key: Option<SecretString>,

    /// How the world reaches this service, for the webhook URLs it hands out. Default: http:// and the address listened on
    #[arg(long, env = "SCRIP_PUBLIC_URL", value_parser = link, global = true)]
    pub public_url: Option<String>,

    /// Requests a second that one API key may make; the same number may come at once. More are answered 429. Absent: no limit
    #[arg(long, env = "SCRIP_RATE_LIMIT", global = true)]
    pub rate_limit: Option<NonZeroU32>,

    /// Lanes that carry out commands, 1 to 64. More overlap the waits for a busy or distant database, in smaller batches
    #[arg(long, env = "SCRIP_LANES", default_value = "2", value_parser = clap::value_parser!(u8).range(1..=64), global = true)]
    pub lanes: u8,

    /// Stripe's API
    #[arg(long, env = "STRIPE_API_BASE", value_parser = link, default_value = STRIPE_API_BASE, global = true)]
    pub stripe_api_base: String,

    /// What is logged: a level (error, warn, info, debug) or a filter by module
    #[arg(long, env = "RUST_LOG", default_value = "info,sqlx=warn", global = true)]
    pub log: String,

    /// How it is logged, on standard error
    #[arg(long, env = "SCRIP_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}
