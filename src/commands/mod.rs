//! What the program does when it is run: a file per command.

pub mod healthcheck;
mod keys;
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
}
