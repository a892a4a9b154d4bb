//! More callers than there is room for: who can wait waits, who can't is told so, nobody is left without an answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::future::join_all;
use scrip::{
    clock::SystemClock,
    domain::rejection::Rejection,
    http::router,
    ledger::LedgerError,
    secrets::EncryptionKey,
    service::{Parts, Service},
    stripe::gateway::AsyncStripeGateway,
};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    PATIENCE,
    concurrency::{fund, submission},
    eventually, spend,
    support::{Client, TestService, client::fresh_key, database, service::OPERATOR_KEY},
};

/// Whether somebody waits for a lock that this session holds.
pub async fn holds_somebody_up(session: &mut PgConnection) -> bool {
    // Not pg_stat_activity, which within a transaction shows the sessions as they were at the first look.
    let query = "SELECT EXISTS (SELECT FROM pg_locks
                 WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))";
    sqlx::query_scalar(query).fetch_one(session).await.expect("an answer")
}

#[tokio::test]
async fn a_full_queue_says_so_and_loses_nobody_who_waits() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("hot").await;
    fund(tenant, "hot", 10).await;
    let parts = Service::start(Parts {
        database: database::shared().await,
        operator_key: OPERATOR_KEY.into(),
        encryption_key: EncryptionKey::generate().expect("random bytes"),
        public_url: service.url.clone(),
        lanes: 2,
        rate_limit: None,
        clock: Arc::new(SystemClock),
        gateway: Arc::new(AsyncStripeGateway::new("http://127.0.0.1:1")),
        metrics: metrics_exporter_prometheus::PrometheusBuilder::new()
            .build_recorder()
            .handle(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = Client::new(
        format!("http://{}", listener.local_addr().expect("one")),
        tenant.backend.key.clone(),
    );
    tokio::spawn(axum::serve(listener, router(parts.state.clone())).into_future());
    client.get("/v1/accounts/hot/balance").await.expect(200);

    let mut owner = service.owner().await;
    let mut lock = owner.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM account_heads WHERE tenant_id = $1::text::uuid FOR UPDATE")
        .bind(&tenant.id)
        .execute(&mut *lock)
        .await
        .expect("the lock");
    // More than there is, so that the many cost little once the lock is gone.
    let turned_away = Arc::new(AtomicUsize::new(0));
    let submit = |count: usize, amount: i64| {
        let (ledger, many) = (Arc::clone(&parts.state.ledger), submission(tenant, "hot", amount, None));
        let turned_away = Arc::clone(&turned_away);
        let one = async move || {
            let answer = ledger.submit(many.clone()).await;
            if matches!(answer, Err(LedgerError::Overloaded)) {
                turned_away.fetch_add(1, SeqCst);
            }
            answer
        };
        tokio::spawn(async move { join_all((0..count).map(|_| one())).await })
    };
    // Nobody waits to be refused.
    let first = submit(1, 10);
    eventually("the lane waits for the lock", async || {
        holds_somebody_up(&mut lock).await
    })
    .await;
    // The lane waits with what it took, so the queue fills up: 8,192 fit.
    let rest = submit(8_200, 1_000);
    eventually("the queue is full", async || turned_away.load(SeqCst) == 8).await;
    let answer = spend(&client, "hot", "one-too-many", 1).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.refused(503, "overloaded");
    lock.rollback().await.expect("the lock is gone");

    let (first, rest) = tokio::join!(first, rest);
    let mut counts = (0, 0);
    for answer in first.expect("ended") {
        assert_eq!(answer.expect("spent").transaction.amount, 10);
    }
    for answer in rest.expect("ended") {
        match answer {
            Err(LedgerError::Rejected(Rejection::InsufficientCredits {
                needed: 1_000,
                available: 20,
            })) => counts.0 += 1,
            Err(LedgerError::Overloaded) => counts.1 += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts, (8_192, 8));
    // Told to send it again, it goes through.
    spend(&client, "hot", "one-too-many", 1).await.expect(201);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn more_clients_than_connections_all_get_answers() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("hot").await;
    fund(tenant, "hot", 1_000).await;
    let one = |n: usize| {
        // Its own connection each.
        let client = Client::new(service.url.clone(), tenant.backend.key.clone());
        async move {
            let answer = match n % 4 {
                0 => client.get("/v1/accounts/hot/balance").await,
                1 => client.get("/v1/accounts/hot/transactions?limit=5").await,
                2 => client.put(&format!("/v1/accounts/a{n}"), json!({})).await,
                _ => spend(&client, "hot", &fresh_key(), 1).await,
            };
            assert!([200, 201].contains(&answer.status), "{n}: {}", answer.text);
        }
    };
    let all = tokio::time::timeout(PATIENCE, join_all((0..300).map(one))).await;
    assert_eq!(all.expect("nobody is left hanging").len(), 300);
    assert_eq!(tenant.balance("hot").await["available"], 3_000 - 75);
    service.assert_books_agree(tenant).await;
}
