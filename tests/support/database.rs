//! The tests' databases: one that all tests share, and fresh ones for tests that need the whole of one.

use std::str::FromStr;

use scrip::storage::migrate::{checksum, ensure_database, migrate};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::sync::OnceCell;

use super::cluster;

static SHARED: OnceCell<()> = OnceCell::const_new();

/// How the owner connects to the shared database, which is named after the migrations: other branches have others.
/// With SCRIP_TEST_DATABASE_URL the suite runs on that database instead.
pub async fn shared() -> PgConnectOptions {
    if let Ok(url) = std::env::var("SCRIP_TEST_DATABASE_URL") {
        let options = PgConnectOptions::from_str(&url).expect("SCRIP_TEST_DATABASE_URL is a database's URL");
        SHARED
            .get_or_init(|| async { migrate(&options).await.expect("the migrations run") })
            .await;
        return options;
    }
    let name = format!("scrip_{}", checksum());
    let options = connect_to(&name);
    SHARED.get_or_init(|| make(&name)).await;
    options
}

/// A fresh database of this name, with the schema.
pub async fn fresh(name: &str) -> PgConnectOptions {
    make(name).await;
    connect_to(name)
}

/// A fresh database of this name, empty.
pub async fn empty(name: &str) -> PgConnectOptions {
    ensure_database(&connect_to("postgres"), name)
        .await
        .expect("the database is made");
    connect_to(name)
}

async fn make(name: &str) {
    let options = empty(name).await;
    migrate(&options).await.expect("the migrations run");
}

fn connect_to(database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&cluster::socket_dir().to_string_lossy())
        .username("postgres")
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

/// A name for a database that no other test has.
pub fn unique_name(prefix: &str) -> String {
    let random: String = scrip::random::bytes::<6>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{prefix}_{random}")
}

/// The URL that a service process is given for it.
pub fn url(options: &PgConnectOptions) -> String {
    let database = options.get_database().expect("a database");
    format!(
        "postgres://postgres@localhost/{database}?host={}",
        cluster::socket_dir().display()
    )
}
