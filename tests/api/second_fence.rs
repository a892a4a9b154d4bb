//! The wall between tenants, in the database: it stands without the service's own care.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{neighbours::neighbours, tenant_rows};

/// Runs one statement as the service's role and takes it back: the rows it touched, or the SQLSTATE of the refusal.
async fn as_service(owner: &mut PgConnection, tenant_ids: Option<&str>, statement: &str) -> Result<u64, String> {
    let state = |error: sqlx::Error| match error.as_database_error() {
        Some(error) => error.code().unwrap_or_default().into_owned(),
        None => panic!("{statement}: {error}"),
    };
    sqlx::raw_sql("BEGIN; SET LOCAL ROLE scrip_service")
        .execute(&mut *owner)
        .await
        .expect("the role");
    if let Some(ids) = tenant_ids {
        let set = AssertSqlSafe(format!("SET LOCAL app.tenant_ids = '{ids}'"));
        sqlx::raw_sql(set).execute(&mut *owner).await.expect("the setting");
    }
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut *owner)
        .await;
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut *owner)
        .await
        .expect("it is taken back");
    done.map(|done| done.rows_affected()).map_err(state)
}

#[tokio::test]
async fn the_second_fence_holds_without_the_first() {
    const DENIED: &str = "42501";
    let (service, other, ..) = neighbours().await;
    let mut owner = service.owner().await;
    let (ours, theirs) = (service.tenant.id.clone(), format!("{{{}}}", other.id));
    let everyone = [ours.as_str(), other.id.as_str()];
    for tenant in everyone {
        for (table, (rows, _)) in tenant_rows::of(&mut owner, tenant).await {
            assert!(rows > 0, "{table} is empty: it shows nothing");
        }
    }
    let tables = tenant_rows::tables(&mut owner).await;
    // The list of tenants is not divided by tenant.
    for table in tables.iter().filter(|table| *table != "tenants") {
        let rows = format!("SELECT 1 FROM {table}");
        for nobody in [None, Some(""), Some("{}")] {
            assert_eq!(as_service(&mut owner, nobody, &rows).await, Ok(0), "{table} {nobody:?}");
        }
        let own = as_service(&mut owner, Some(&theirs), &rows).await.expect("rows");
        let visible = format!("{rows} WHERE tenant_id = '{}'", other.id);
        assert_eq!(
            as_service(&mut owner, Some(&theirs), &visible).await,
            Ok(own),
            "{table}"
        );
        assert!(own > 0, "{table}");
        let foreign = format!("{rows} WHERE tenant_id = '{ours}'");
        assert_eq!(as_service(&mut owner, Some(&theirs), &foreign).await, Ok(0), "{table}");

        // A copy of a row of its own gets as far as the primary key; the same under our name does not.
        let copy = |tenant: &str| {
            format!(
                "INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('tenant_id', '{tenant}'::uuid))).* FROM {table} t LIMIT 1"
            )
        };
        assert_eq!(
            as_service(&mut owner, Some(&theirs), &copy(&other.id)).await,
            Err("23505".into()),
            "{table}"
        );
        assert_eq!(
            as_service(&mut owner, Some(&theirs), &copy(&ours)).await,
            Err(DENIED.into()),
            "{table}"
        );

        let touch = format!("UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = '{ours}'");
        let touched = as_service(&mut owner, Some(&theirs), &touch).await;
        assert!(
            touched == Ok(0) || touched == Err(DENIED.into()),
            "{table}: {touched:?}"
        );
        let give_away = format!("UPDATE {table} SET tenant_id = '{ours}'");
        assert_eq!(
            as_service(&mut owner, Some(&theirs), &give_away).await,
            Err(DENIED.into()),
            "{table}"
        );
        for ids in [theirs.clone(), format!("{{{ours}}}")] {
            let delete = format!("DELETE FROM {table}");
            assert_eq!(
                as_service(&mut owner, Some(&ids), &delete).await,
                Err(DENIED.into()),
                "{table}"
            );
        }
    }
    // What stands in the books stands, for their own tenant too.
    for table in ["transactions", "entries", "audit_log", "programs"] {
        let rewrite = format!("UPDATE {table} SET tenant_id = tenant_id");
        assert_eq!(
            as_service(&mut owner, Some(&theirs), &rewrite).await,
            Err(DENIED.into()),
            "{table}"
        );
    }
}
