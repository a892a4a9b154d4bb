//! The running parts of the service, wired together: the same for the program and for its tests.

use std::{num::NonZeroU32, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    clock::Clock,
    http::{AppState, Settings, Shared, auth::Keyring},
    jobs::due_work,
    ledger::Ledger,
    random::Ids,
    secrets::EncryptionKey,
    storage::{Db, session::Sessions},
    stripe::{gateway::StripeGateway, inbox::Inbox},
};

/// Connections for reading and for writes that move no credits.
const CONNECTIONS: u32 = 16;

/// Connections by which the lanes look up the programs in force, now and then.
const PROGRAM_CONNECTIONS: u32 = 2;

/// What a service is made of.
pub struct Parts {
    /// How the owner of the tables connects.
    pub database: PgConnectOptions,
    pub operator_key: SecretString,
    pub encryption_key: EncryptionKey,
    pub public_url: String,
    /// Lanes of the ledger.
    pub lanes: u8,
    /// Requests a second of one API key; none: no limit.
    pub rate_limit: Option<NonZeroU32>,
    pub clock: Arc<dyn Clock>,
    pub gateway: Arc<dyn StripeGateway>,
    pub metrics: PrometheusHandle,
}

/// The running parts, beside the HTTP server.
pub struct Service {
    pub state: AppState,
    stop_workers: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Service {
    pub fn start(parts: Parts) -> Self {
        let Parts {
            database,
            operator_key,
            encryption_key,
            public_url,
            lanes,
            rate_limit,
            clock,
            gateway,
            metrics,
        } = parts;
        // A process that stopped with a lock in its hands must not stop the others for longer than this.
        let database = database.options([
            ("lock_timeout", "5s"),
            ("statement_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "30s"),
            // What a transaction is that does not say otherwise, whatever the database has been told.
            ("default_transaction_isolation", "read committed"),
        ]);
        let db = Db::new(database.clone(), CONNECTIONS);
        let sessions = Sessions::new(database.clone());
        let programs_db = Db::new(database, PROGRAM_CONNECTIONS);
        let ledger = Arc::new(Ledger::start(lanes.into(), &sessions, &programs_db, &clock));
        let (stop_workers, stop) = watch::channel(false);
        let (inbox, inbox_worker) = Inbox::start(db.clone(), Arc::clone(&clock), Arc::clone(&ledger), stop.clone());
        let due_worker = due_work::start(db.clone(), Arc::clone(&clock), Arc::clone(&ledger), stop);
        let state = AppState::from(Shared {
            keyring: Arc::new(Keyring::new(db.clone(), Arc::clone(&clock), &operator_key, rate_limit)),
            db,
            ledger,
            clock,
            ids: Ids::default(),
            encryption_key,
            gateway,
            inbox,
            settings: Settings { public_url },
            metrics,
        });
        Self {
            state,
            stop_workers,
            workers: vec![inbox_worker, due_worker],
        }
    }

    /// Everything that was accepted is carried out before this returns.
    pub async fn stop(self) {
        let _ = self.stop_workers.send(true);
        for worker in self.workers {
            if let Err(error) = worker.await {
                tracing::error!(%error, "worker.failed");
            }
        }
        self.state.ledger.drain().await;
        self.state.db.close().await;
    }
}
