//! What every handler shares.

use std::sync::Arc;

use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use metrics_exporter_prometheus::PrometheusHandle;

use super::auth::Keyring;
use crate::{
    clock::Clock,
    ledger::Ledger,
    random::Ids,
    secrets::EncryptionKey,
    storage::Db,
    stripe::{gateway::StripeGateway, inbox::Inbox},
};

/// What the operator decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the world reaches this service, without a slash at the end: part of the webhook URLs handed out.
    pub public_url: String,
}

/// Cloned for every layer of every request, so it is one pointer.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl From<Shared> for AppState {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

pub struct Shared {
    /// For reading, and for writes that move no credits.
    pub db: Db,
    pub ledger: Arc<Ledger>,
    pub clock: Arc<dyn Clock>,
    pub ids: Ids,
    pub keyring: Arc<Keyring>,
    pub encryption_key: EncryptionKey,
    pub gateway: Arc<dyn StripeGateway>,
    pub inbox: Arc<Inbox>,
    pub settings: Settings,
    pub metrics: PrometheusHandle,
}

impl Shared {
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl FromRef<AppState> for Arc<Keyring> {
    fn from_ref(state: &AppState) -> Self {
        Arc::clone(&state.keyring)
    }
}
