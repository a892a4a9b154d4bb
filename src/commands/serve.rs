//! `scrip serve`: from the configuration to a running service, and back down in order.

use std::{future::Future, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{CommandError, Store, keys::Keys, provision, store::Sharing};
use crate::{
    clock::SystemClock,
    config::Config,
    http::{AppState, router},
    service::{Parts, Service},
    stripe::gateway::AsyncStripeGateway,
    telemetry,
};

/// How long requests under way may take once the service is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves until SIGTERM or Ctrl-C, then lets the requests under way finish, and stops.
pub async fn run(config: &Config) -> Result<(), CommandError> {
    Keys::check(config)?;
    let stop = stop_signal();
    // Bound before the database starts: a port in use is the likelier mistake.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| CommandError::Listen {
            address: config.listen,
            source,
        })?;
    let store = Store::open(config, Sharing::Alone).await?;
    let result = serve(config, &store, listener, stop).await;
    store.close().await?;
    result
}

async fn serve(
    config: &Config,
    store: &Store,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CommandError> {
    let keys = Keys::load(config, store.data_dir.as_deref())?;
    let url = format!("http://{}", listener.local_addr().map_err(CommandError::Server)?);
    let service = Service::start(Parts {
        database: store.options.clone(),
        operator_key: keys.operator.clone(),
        encryption_key: keys.encryption,
        public_url: config.public_url.clone().unwrap_or_else(|| url.clone()),
        lanes: config.lanes,
        rate_limit: config.rate_limit,
        clock: Arc::new(SystemClock),
        gateway: Arc::new(AsyncStripeGateway::new(&config.stripe_api_base)),
        metrics: telemetry::start_metrics()?,
    });
    greet(config, store, &service.state, &url, &keys.operator).await?;
    let (draining, mut drain) = watch::channel(false);
    let gave_up = store.embedded.as_ref().map(|embedded| embedded.gave_up());
    let stopping = async move {
        tokio::select! {
            () = stop => false,
            () = async { match gave_up { Some(gave_up) => gave_up.await, None => std::future::pending().await } } => true,
        }
    };
    let graceful = async move {
        let _ = drain.changed().await;
    };
    let server = axum::serve(listener, router(service.state.clone())).with_graceful_shutdown(graceful);
    let mut server = tokio::spawn(server.into_future());
    let gave_up = tokio::select! {
        result = &mut server => {
            service.stop().await;
            return result.map_err(std::io::Error::other).and_then(|r| r).map_err(CommandError::Server);
        }
        gave_up = stopping => gave_up,
    };
    tracing::info!("service.stopping");
    let _ = draining.send(true);
    if tokio::time::timeout(DRAIN_TIMEOUT, server).await.is_err() {
        tracing::warn!(seconds = DRAIN_TIMEOUT.as_secs(), "service.drain.timed_out");
    }
    service.stop().await;
    tracing::info!("service.stopped");
    match store.data_dir.as_ref().filter(|_| gave_up) {
        Some(dir) => Err(CommandError::PostgresGaveUp {
            log: dir.join("postgres.log"),
        }),
        None => Ok(()),
    }
}

/// Says where the service is; on the first start of an embedded one, makes the demo tenant and says how to begin.
async fn greet(
    config: &Config,
    store: &Store,
    state: &AppState,
    url: &str,
    operator_key: &SecretString,
) -> Result<(), CommandError> {
    println!("Scrip serves {url} (docs: {url}/docs)");
    let Some(data_dir) = &store.data_dir else { return Ok(()) };
    println!("The data is kept in {}", data_dir.display());
    let Some(demo) = provision::demo(&state.db, &state.ids, state.now()).await? else {
        return Ok(());
    };
    let operator = match config.operator_key {
        Some(_) => "the one in SCRIP_OPERATOR_KEY",
        None => operator_key.expose_secret(),
    };
    let backend = demo.backend.expose_secret();
    println!(
        "\nFirst start. These keys are shown this once:\n  operator key             {operator}\n  \
         tenant demo, admin key   {}\n  tenant demo, backend key {backend}\n  tenant demo, support key {}\n\n\
         Try it:\n  curl -X PUT {url}/v1/accounts/alice -H 'Authorization: Bearer {backend}'\n",
        demo.admin.expose_secret(),
        demo.support.expose_secret(),
    );
    Ok(())
}

/// Resolves at SIGTERM or Ctrl-C. Registered at once, so that a signal during the start is not lost.
fn stop_signal() -> impl Future<Output = ()> + Send + 'static {
    let streams = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let [Ok(mut terminate), Ok(mut interrupt)] = streams else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
