//! Bringing a database's schema up to date. Runs as the owner of the tables, not as the service's role.

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use super::SERVICE_ROLE;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Why a database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("can't connect to the database: {0}")]
    Connect(#[source] sqlx::Error),
    #[error(
        "can't make the role {SERVICE_ROLE} that the service works as: {0}. Give the database's user CREATEROLE, or have \
         an administrator run: CREATE ROLE {SERVICE_ROLE} NOLOGIN; GRANT {SERVICE_ROLE} TO <that user>"
    )]
    Role(#[source] sqlx::Error),
    #[error("a migration failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// Makes the service's role if it is missing, and applies the migrations that were not applied yet. Any number of
/// processes may do so at once.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(options)
        .await
        .map_err(MigrateError::Connect)?;
    ensure_role(&mut connection).await.map_err(MigrateError::Role)?;
    MIGRATOR.run(&mut connection).await?;
    connection.close().await.map_err(MigrateError::Connect)
}

/// Makes the database if it is missing. `options` connect to another one of the same server.
pub async fn ensure_database(options: &PgConnectOptions, name: &str) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(options)
        .await
        .map_err(MigrateError::Connect)?;
    let exists = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM pg_database WHERE datname = $1"#,
        name
    )
    .fetch_one(&mut connection)
    .await
    .map_err(MigrateError::Connect)?;
    if exists == 0 {
        // A name can't be a parameter here; quoting it makes it one name whatever is in it.
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        if let Err(error) = sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await
            && !made_meanwhile(&error)
        {
            return Err(MigrateError::Connect(error));
        }
    }
    connection.close().await.map_err(MigrateError::Connect)
}

/// Whether another process made the same object in the same moment: 42710, 42P04, or 23505 on the catalog's own key.
fn made_meanwhile(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(|e| e.code())
        .unwrap_or_default()
        .into_owned();
    ["42710", "42P04", "23505"].contains(&code.as_str())
}

/// A digest of the migrations: databases with the same one have the same schema.
pub fn checksum() -> String {
    use sha2::{Digest, Sha256};
    let mut digest = Sha256::new();
    for migration in MIGRATOR.iter() {
        digest.update(&migration.checksum);
    }
    digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn ensure_role(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let exists = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM pg_roles WHERE rolname = $1"#,
        SERVICE_ROLE
    );
    if exists.fetch_one(&mut *connection).await? == 0
        && let Err(error) = sqlx::query("CREATE ROLE scrip_service NOLOGIN")
            .execute(&mut *connection)
            .await
        && !made_meanwhile(&error)
    {
        return Err(error);
    }
    // Asked by trying: from Postgres 16 on being a member of a role does not say that one may become it.
    if sqlx::query("SET ROLE scrip_service")
        .execute(&mut *connection)
        .await
        .is_err()
    {
        sqlx::query("GRANT scrip_service TO CURRENT_USER")
            .execute(&mut *connection)
            .await?;
    } else {
        sqlx::query("RESET ROLE").execute(&mut *connection).await?;
    }
    Ok(())
}
