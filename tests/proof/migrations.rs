//! The migrations: on databases that hold data, again, and by several at once.

use std::{borrow::Cow, path::Path};

use futures_util::future::join_all;
use scrip::storage::migrate::migrate;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    run,
    schema::{fresh, spent, texts},
    support::database,
};

/// sqlx's own list of migrations.
const NOT_OURS: &str = "_sqlx_migrations";

/// Every row of every table, and the catalog, as a few texts.
async fn fingerprint(owner: &mut PgConnection) -> Vec<String> {
    let mut all = texts(
        owner,
        "SELECT format('%s %s %s', c.relname, a.attname, a.atttypid) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE relnamespace = 'public'::regnamespace AND NOT a.attisdropped
         UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
         UNION ALL SELECT coalesce(relacl::text, '') FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    )
    .await;
    for table in tables(owner).await {
        let rows = format!("SELECT coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '') FROM {table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_one(&mut *owner)
            .await
            .expect("rows");
        all.push(format!("{table}: {rows}"));
    }
    all
}

async fn tables(owner: &mut PgConnection) -> Vec<String> {
    texts(
        owner,
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
    )
    .await
}

#[tokio::test]
async fn migrating_a_full_database_again_changes_nothing() {
    let (options, mut owner, mut process, _) = spent("migrate").await;
    assert_eq!(process.terminate().await.code(), Some(0));
    let before = fingerprint(&mut owner).await;
    assert!(
        before.iter().any(|line| line.starts_with("transactions: (")),
        "{before:?}"
    );
    let url = database::url(&options);
    let ran = run(&[("DATABASE_URL", &url)], &["migrate"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "the schema is up to date\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(fingerprint(&mut owner).await, before);
}

#[tokio::test]
async fn several_migrate_an_empty_database_at_once() {
    let options = database::empty(&database::unique_name("migrate")).await;
    let url = database::url(&options);
    let variables = [("DATABASE_URL", url.as_str())];
    for ran in join_all((0..6).map(|_| run(&variables, &["migrate"]))).await {
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (0, "the schema is up to date\n"),
            "{}",
            ran.stderr
        );
    }
    let mut one = PgConnection::connect_with(&options).await.expect("the owner connects");
    let (_, mut other) = fresh("migrate").await;
    assert_eq!(tables(&mut one).await, tables(&mut other).await);
}

/// A row in each table that there is by now, if it is empty: the least that its constraints allow.
async fn fill(owner: &mut PgConnection) {
    const ROWS: &[(&str, &str)] = &[
        ("tenants", "(tenant_id, slug, name, mode, created_at) VALUES (:id, 'acme', 'Acme', 'live', now())"),
        ("api_keys", "VALUES (:id, :id, sha256('x'), 'admin', 'x', now(), NULL)"),
        ("programs", "VALUES (:id, 1, '{}', now(), NULL)"),
        ("idempotent_requests", "VALUES (:id, 'k', substr(sha256('x'), 1, 16), 200, 'x', now())"),
        ("accounts", "VALUES (:id, :id, 'alice', NULL, NULL, NULL, '{}', now(), now())"),
        ("account_heads", "VALUES (:id, :id, 'acme', 1, 10, 0, NULL, NULL)"),
        (
            "grants",
            "(tenant_id, id, account_id, transaction_id, amount, remaining, effective_at, priority, class, origin)
             VALUES (:id, :id, :id, :id, 10, 10, now(), 0, 3, 5)",
        ),
        (
            "transactions",
            "(tenant_id, id, account_id, amount, available_after, created_at, effective_at, kind)
             VALUES (:id, :id, :id, 10, 10, now(), now(), 1)",
        ),
        (
            "subscriptions",
            "(tenant_id, id, account_id, plan, terms, billing, units, anchor, timezone, refreshed_from, refreshed_to, billed_from,
              billed_to, started_at, phases, created_at)
             VALUES (:id, :id, :id, 'pro', '{}', 1, 0, now(), 'UTC', 0, 1, 0, 1, now(), '[]', now())",
        ),
        (
            "holds",
            "(tenant_id, id, account_id, status, amount, captured, drawdown, created_at, expires_at)
             VALUES (:id, :id, :id, 1, 5, 0, '[]', now(), now())",
        ),
        (
            "quotes",
            "(tenant_id, id, account_id, amount, drawdown, caps, affordable, created_at, expires_at)
             VALUES (:id, :id, :id, 5, '[]', '[]', true, now(), now())",
        ),
        ("account_due", "VALUES (:id, :id, now(), NULL)"),
        ("test_clocks", "VALUES (:id, now())"),
        ("entries", "VALUES (:id, :id, :id, :id, 10, 1, 10, 3)"),
        ("audit_log", "VALUES (:id, :id, now(), :id, 'Sam', 'x', NULL, NULL, 'x', NULL, NULL)"),
        ("stripe_settings", "VALUES (:id, 'e', 'x', 'x', false, now())"),
        (
            "top_ups",
            "(tenant_id, id, account_id, status, mode, pack, title, program_version, price_amount, price_currency, credits, class, expiry,
              livemode, attempt, success_url, cancel_url, created_at, updated_at)
             VALUES (:id, :id, :id, 'open', 'checkout', 'p', 'P', 1, 1, 'USD', 1, 3, '{}', false, 1, 'x', 'x', now(), now())",
        ),
        (
            "stripe_events",
            "(tenant_id, event_id, kind, livemode, payload, state, attempts, received_at)
             VALUES (:id, 'evt', 'x', false, 'x', 'done', 1, now())",
        ),
    ];
    let tables = tables(owner).await;
    for table in tables.iter().filter(|table| *table != NOT_OURS) {
        let is_known = ROWS.iter().any(|(name, _)| name == table);
        assert!(
            is_known,
            "say here what a row of {table} is, so that later steps meet one"
        );
    }
    for (table, row) in ROWS.iter().filter(|(name, _)| tables.iter().any(|table| table == name)) {
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&mut *owner)
            .await
            .expect("a count");
        if rows == 0 {
            let insert = format!("INSERT INTO {table} {row}").replace(":id", "'01980000-0000-7000-8000-000000000001'");
            let done = sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *owner).await;
            done.unwrap_or_else(|error| panic!("{table}: {error}"));
        }
    }
}

#[tokio::test]
async fn each_migration_takes_a_database_that_holds_data() {
    // Somebody makes the role that the last one grants to.
    let _ = database::shared().await;
    let options = database::empty(&database::unique_name("migrate")).await;
    let mut owner = PgConnection::connect_with(&options).await.expect("the owner connects");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let all = sqlx::migrate::Migrator::new(dir).await.expect("the migrations");
    assert!(all.iter().count() > 3);
    for step in 1..=all.iter().count() {
        let mut some = sqlx::migrate::Migrator::DEFAULT;
        some.migrations = Cow::Owned(all.iter().take(step).cloned().collect());
        some.run(&mut owner)
            .await
            .unwrap_or_else(|error| panic!("step {step}: {error}"));
        fill(&mut owner).await;
    }
    let before = fingerprint(&mut owner).await;
    assert!(
        before.iter().filter(|line| line.contains(": (")).count() > 13,
        "a row in each table"
    );
    migrate(&options).await.expect("nothing is left to do");
    assert_eq!(fingerprint(&mut owner).await, before);
}

#[tokio::test]
async fn what_caps_have_counted_is_carried_over() {
    let _ = database::shared().await;
    let options = database::empty(&database::unique_name("migrate")).await;
    let mut owner = PgConnection::connect_with(&options).await.expect("the owner connects");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let all = sqlx::migrate::Migrator::new(dir).await.expect("the migrations");
    let mut some = sqlx::migrate::Migrator::DEFAULT;
    some.migrations = Cow::Owned(all.iter().filter(|step| step.version < 6).cloned().collect());
    some.run(&mut owner).await.expect("the first five");
    fill(&mut owner).await;
    let counters = r#"[{"used": 48, "since": "2026-11-20T12:27:22.460873Z", "window": "day", "member": "ann",
        "ends_at": "2026-11-20T23:00:00Z", "starts_at": "2026-11-19T23:00:00Z"},
        {"used": 7, "since": "2026-11-20T12:27:22Z", "window": "cycle", "operations": ["render"],
        "ends_at": "2026-12-20T12:26:50.245917Z", "starts_at": "2026-11-20T12:26:50.245917Z"}]"#;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "UPDATE account_heads SET cap_counters = '{counters}'"
    )))
    .execute(&mut owner)
    .await
    .expect("counted");
    all.run(&mut owner).await.expect("the rest");
    let counted: String = sqlx::query_scalar("SELECT counted FROM account_heads")
        .fetch_one(&mut owner)
        .await
        .expect("a head");
    let counted: serde_json::Value = serde_json::from_str(&counted).expect("a list");
    let micros = |text: &str| {
        text.parse::<chrono::DateTime<chrono::Utc>>()
            .expect("a time")
            .timestamp_micros()
    };
    let carried_over = serde_json::json!([
        {"w": "day", "m": "ann", "s": micros("2026-11-19T23:00:00Z"), "e": micros("2026-11-20T23:00:00Z"), "u": 48,
         "f": micros("2026-11-20T12:27:22.460873Z")},
        {"w": "cycle", "o": ["render"], "s": micros("2026-11-20T12:26:50.245917Z"),
         "e": micros("2026-12-20T12:26:50.245917Z"), "u": 7, "f": micros("2026-11-20T12:27:22Z")},
    ]);
    assert_eq!(counted, carried_over);
}
