//! The database a command works on: the one DATABASE_URL names, or the embedded one, started if it does not run.

use std::{path::PathBuf, str::FromStr};

use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::{
    config::Config,
    embedded_postgres::{self, EmbeddedPostgres, EmbeddedPostgresError, Options},
    storage::migrate::{MigrateError, ensure_database, migrate},
};

/// The embedded Postgres' database.
const DATABASE: &str = "scrip";

/// A database that is there, with its schema up to date.
pub struct Store {
    /// How its owner connects.
    pub options: PgConnectOptions,
    /// None: DATABASE_URL's, or an embedded one that another process runs.
    pub embedded: Option<EmbeddedPostgres>,
    /// None: DATABASE_URL's.
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("DATABASE_URL can't be read: {0}. It looks like postgres://user:password@host:5432/database")]
    Url(#[source] sqlx::Error),
    #[error(transparent)]
    Embedded(#[from] EmbeddedPostgresError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

/// Whether a command needs the embedded database for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// The service: a second one on the same data directory is refused.
    Alone,
    /// A short command: beside a running service it uses that one's Postgres.
    BesideService,
}

impl Store {
    pub async fn open(config: &Config, sharing: Sharing) -> Result<Self, StoreError> {
        let store = match &config.database_url {
            Some(url) => {
                let options = PgConnectOptions::from_str(url.expose_secret()).map_err(StoreError::Url)?;
                Self {
                    options,
                    embedded: None,
                    data_dir: None,
                }
            }
            None => Self::embedded(config, sharing).await?,
        };
        migrate(&store.options).await?;
        Ok(store)
    }

    async fn embedded(config: &Config, sharing: Sharing) -> Result<Self, StoreError> {
        let data_dir = config
            .data_dir
            .clone()
            .unwrap_or_else(embedded_postgres::default_data_dir);
        let options = Options {
            data_dir: data_dir.clone(),
            bin_dir: config.pg_bin_dir.clone(),
            durable: true,
            settings: Vec::new(),
        };
        let (embedded, socket_dir) = match EmbeddedPostgres::start(options).await {
            Ok(embedded) => {
                let socket_dir = embedded.socket_dir().to_owned();
                (Some(embedded), socket_dir)
            }
            Err(EmbeddedPostgresError::InUse { .. }) if sharing == Sharing::BesideService => {
                (None, embedded_postgres::socket_dir_of(&data_dir))
            }
            Err(error) => return Err(error.into()),
        };
        let owner = PgConnectOptions::new_without_pgpass()
            .host(&socket_dir.to_string_lossy())
            .port(5432)
            .username("postgres")
            .ssl_mode(PgSslMode::Disable);
        ensure_database(&owner.clone().database("postgres"), DATABASE).await?;
        Ok(Self {
            options: owner.database(DATABASE),
            embedded,
            data_dir: Some(data_dir),
        })
    }

    /// Stops the embedded Postgres, if this process runs it.
    pub async fn close(self) -> Result<(), StoreError> {
        match self.embedded {
            Some(embedded) => Ok(embedded.stop().await?),
            None => Ok(()),
        }
    }
}
