//! What the program does when it is run: a file per command.

pub mod healthcheck;
mod keys;
pub mod program;
pub mod provision;
pub mod serve;
mod store;
pub mod verify;

pub use keys::KeysError;
pub use store::{Sharing, Store, StoreError};

/// Why a command failed, in words for whoever ran it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Storage(#[from] crate::storage::StorageError),
    #[error("can't listen on {address}: {source}. Choose another with SCRIP_LISTEN")]
    Listen {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("can't install the metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    #[error("the server failed: {0}")]
    Server(#[source] std::io::Error),
    #[error("Postgres died too often; its log is {}", log.display())]
    PostgresGaveUp { log: std::path::PathBuf },
    #[error("no tenant has the slug {0}; make it with `scrip tenant create {0}`")]
    UnknownTenant(String),
    #[error("another tenant has the slug {0} already")]
    SlugTaken(String),
    #[error("can't read {}: {source}", path.display())]
    UnreadableFile {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("{}: a program is JSON or TOML: let the name end in .json or .toml", _0.display())]
    UnknownFormat(std::path::PathBuf),
    /// A line per problem.
    #[error("{} is not a program:\n{problems}", path.display())]
    InvalidProgram { path: std::path::PathBuf, problems: String },
    #[error("another program was put in the same moment: look at it, then apply yours again")]
    ProgramChanged,
    #[error(transparent)]
    Preview(#[from] crate::domain::program::PreviewError),
}
