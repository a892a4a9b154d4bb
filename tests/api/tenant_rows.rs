//! Everything that the database holds of a tenant, as a digest a table: to see that nothing of it has changed.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

/// The tables that are divided by tenant, `tenants` included.
pub async fn tables(owner: &mut PgConnection) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'tenant_id' ORDER BY 1",
    )
    .fetch_all(owner)
    .await
    .expect("the catalog is read");
    assert!(tables.len() >= 13, "{tables:?}");
    tables
}

/// By table: how many rows the tenant has, and a digest of all of them.
pub async fn of(owner: &mut PgConnection, tenant: &str) -> BTreeMap<String, (i64, String)> {
    let mut digests = BTreeMap::new();
    for table in tables(owner).await {
        let rows: (i64, String) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), ''))
             FROM {table} t WHERE tenant_id = $1::uuid"
        )))
        .bind(tenant)
        .fetch_one(&mut *owner)
        .await
        .expect("the rows are read");
        digests.insert(table, rows);
    }
    digests
}

/// The tenant's rows of a table, each as a text, in order.
pub async fn texts(owner: &mut PgConnection, table: &str, tenant: &str) -> Vec<String> {
    let query = format!("SELECT t::text FROM {table} t WHERE tenant_id = $1::uuid ORDER BY 1");
    sqlx::query_scalar(AssertSqlSafe(query))
        .bind(tenant)
        .fetch_all(owner)
        .await
        .expect("the rows are read")
}
