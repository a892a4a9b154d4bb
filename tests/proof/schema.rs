//! The schema, as Postgres' catalog has it, and what it costs to write to.

use std::{collections::BTreeSet, path::Path};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{
    Dice, spend,
    support::{
        database,
        process::{Data, Process},
        service::Tenant,
    },
};

pub async fn fresh(prefix: &str) -> (PgConnectOptions, PgConnection) {
    let options = database::fresh(&database::unique_name(prefix)).await;
    let connection = PgConnection::connect_with(&options).await.expect("the owner connects");
    (options, connection)
}

pub async fn texts(connection: &mut PgConnection, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query)
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"))
}

#[tokio::test]
async fn every_key_leads_with_the_tenant() {
    let (_, mut owner) = fresh("schema").await;
    let others = texts(
        &mut owner,
        "SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
         LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> '_sqlx_migrations'
           AND a.attname IS DISTINCT FROM 'tenant_id'",
    )
    .await;
    // Indexes that serve no key, too. The slug is what tells the tenants apart.
    assert_eq!(others, ["tenants_slug_key"]);
    let others = texts(
        &mut owner,
        "SELECT c.conname::text FROM pg_constraint c
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
         JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
         WHERE c.contype = 'f' AND (a.attname <> 'tenant_id' OR f.attname <> 'tenant_id')",
    )
    .await;
    assert_eq!(others, [] as [String; 0]);
    let without_primary_key = texts(
        &mut owner,
        "SELECT relname::text FROM pg_class t WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
         AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'p')",
    )
    .await;
    assert_eq!(without_primary_key, [] as [String; 0]);
}

#[tokio::test]
async fn every_constraint_has_a_name_of_ours_and_nothing_acts_behind_our_back() {
    let (_, mut owner) = fresh("schema").await;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(dir)
        .expect("migrations")
        .map(|file| file.expect("a file").path());
    let text: String = files.map(|path| std::fs::read_to_string(path).expect("text")).collect();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let names = texts(
        &mut owner,
        // 'n': NOT NULL, which has rows here from Postgres 18 on and is never named in an error.
        "SELECT conname::text FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> '_sqlx_migrations' AND contype <> 'n'
         UNION SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> '_sqlx_migrations'",
    )
    .await;
    assert!(names.len() > 30, "{names:?}");
    let made_up: Vec<_> = names.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(made_up.is_empty(), "named by Postgres: {made_up:?}");

    let behind = texts(
        &mut owner,
        "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
         UNION SELECT conname::text FROM pg_constraint WHERE condeferrable AND connamespace = 'public'::regnamespace
         UNION SELECT rulename::text FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class WHERE relnamespace = 'public'::regnamespace
         UNION SELECT typname::text FROM pg_type WHERE typtype = 'd' AND typnamespace = 'public'::regnamespace
         UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
         UNION SELECT relname::text FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace",
    )
    .await;
    assert_eq!(behind, [] as [String; 0]);
}

/// The SQLSTATE that a statement ends with, tried and undone.
async fn state_of(connection: &mut PgConnection, statement: String) -> (String, String) {
    let mut transaction = connection.begin().await.expect("a transaction");
    let result = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await;
    transaction.rollback().await.expect("undone");
    match result {
        Ok(_) => ("done".to_owned(), String::new()),
        Err(error) => {
            let error = error.into_database_error().expect("Postgres refuses");
            let name = error.constraint().unwrap_or_default().to_owned();
            (error.code().unwrap_or_default().into_owned(), name)
        }
    }
}

const REFUSED: &str = "42501";

/// A service process on a fresh database, and a tenant of it with a spend in its books.
pub async fn spent(prefix: &str) -> (PgConnectOptions, PgConnection, Process, Tenant) {
    let (options, owner) = fresh(prefix).await;
    let process = Process::start(Data::Url(&database::url(&options))).await;
    let tenant = Tenant::make(&process.client).await;
    tenant.account("acme").await;
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 1_000});
    tenant.grant("acme", grant).await;
    spend(&tenant.backend, "acme", "the-spend", 10).await.expect(201);
    (options, owner, process, tenant)
}

#[tokio::test]
async fn the_service_can_neither_change_its_books_nor_see_another_tenants() {
    let (_, mut connection, process, tenant) = spent("schema").await;
    let other = Tenant::make(&process.client).await;
    let set = format!("SET ROLE scrip_service; SET app.tenant_ids = '{{{}}}'", tenant.id);
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(&mut connection)
        .await
        .expect("the service's role");
    for table in ["transactions", "entries", "audit_log"] {
        for statement in [
            format!("UPDATE {table} SET tenant_id = tenant_id"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            assert_eq!(
                state_of(&mut connection, statement.clone()).await.0,
                REFUSED,
                "{statement}"
            );
        }
    }
    for table in ["grants", "account_heads", "accounts", "top_ups", "tenants"] {
        let statement = format!("DELETE FROM {table}");
        assert_eq!(
            state_of(&mut connection, statement.clone()).await.0,
            REFUSED,
            "{statement}"
        );
    }
    for statement in [
        "DROP TABLE entries",
        "ALTER TABLE grants DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine (a int)",
    ] {
        assert_eq!(
            state_of(&mut connection, statement.to_owned()).await.0,
            REFUSED,
            "{statement}"
        );
    }
    // What it may write, the checks keep from being an overdraft.
    let checks = [
        (
            "UPDATE grants SET remaining = -1, closed_at = now()",
            "grants_remaining_check",
        ),
        ("UPDATE grants SET remaining = amount + 1", "grants_remaining_check"),
        ("UPDATE grants SET remaining = 0", "grants_closed_check"),
        ("UPDATE grants SET closed_at = now()", "grants_closed_check"),
        ("UPDATE account_heads SET credits = -1", "account_heads_credits_check"),
        ("UPDATE account_heads SET used = -1", "account_heads_used_check"),
        (
            "INSERT INTO entries SELECT tenant_id, account_id, transaction_id, grant_id, 0, 99, debit, credit FROM entries LIMIT 1",
            "entries_amount_check",
        ),
        (
            "INSERT INTO entries SELECT tenant_id, account_id, transaction_id, grant_id, 1, 99, debit, debit FROM entries LIMIT 1",
            "entries_sides_check",
        ),
    ];
    for (statement, name) in checks {
        assert_eq!(
            state_of(&mut connection, statement.to_owned()).await,
            ("23514".to_owned(), name.to_owned()),
            "{statement}"
        );
    }
    // The fence: each table with a tenant has it, and it works for reading and for writing.
    let open = texts(
        &mut connection,
        "SELECT t.relname::text FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'tenant_id'
         WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace AND NOT (t.relrowsecurity
           AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polcmd = '*'))",
    )
    .await;
    assert_eq!(open, ["tenants"], "the list of tenants itself is the operator's");
    let count = "SELECT count(*)::text FROM grants";
    assert_eq!(texts(&mut connection, count).await, ["1"]);
    let stranger = format!(
        "INSERT INTO audit_log (tenant_id, id, at, actor_id, actor_name, action, reason)
         VALUES ('{0}', '{0}', now(), '{0}', 'x', 'x', 'x')",
        other.id
    );
    assert_eq!(state_of(&mut connection, stranger).await.0, REFUSED);
    for named in [
        format!("SET app.tenant_ids = '{{{}}}'", other.id),
        "SET app.tenant_ids = ''".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(named))
            .execute(&mut connection)
            .await
            .expect("named");
        assert_eq!(texts(&mut connection, count).await, ["0"]);
    }
}

#[tokio::test]
async fn spends_update_in_place() {
    let (_, mut owner, mut process, tenant) = spent("schema").await;
    let rows = "SELECT to_jsonb(g) FROM grants g UNION ALL SELECT to_jsonb(h) FROM account_heads h";
    let before: Vec<Value> = sqlx::query_scalar(rows).fetch_all(&mut owner).await.expect("rows");
    spend(&tenant.backend, "acme", "another", 10).await.expect(201);
    let after: Vec<Value> = sqlx::query_scalar(rows).fetch_all(&mut owner).await.expect("rows");
    let mut changed = BTreeSet::new();
    for (before, after) in before.iter().zip(&after) {
        let before = before.as_object().expect("a row");
        changed.extend(
            before
                .iter()
                .filter(|(name, value)| after[name.as_str()] != **value)
                .map(|(name, _)| name.as_str()),
        );
    }
    assert_eq!(changed, BTreeSet::from(["credits", "remaining", "used", "version"]));
    let indexed = texts(
        &mut owner,
        // In the keys and INCLUDEs, and in the predicates and expressions, which pg_depend knows.
        "SELECT DISTINCT a.attname::text FROM pg_index x
         JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum > 0
         WHERE x.indrelid IN ('grants'::regclass, 'account_heads'::regclass)
           AND (a.attnum = ANY (x.indkey::smallint[]) OR EXISTS (
                SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = x.indrelid AND d.refobjsubid = a.attnum))",
    )
    .await;
    assert!(
        indexed.iter().any(|name| name == "closed_at"),
        "the predicates are looked at too: {indexed:?}"
    );
    let both: Vec<_> = indexed.iter().filter(|name| changed.contains(name.as_str())).collect();
    assert!(both.is_empty(), "a spend changes {both:?}, which an index holds");

    // Room on each page for the next version of a row: tables as small as a test's have it anyway, those of years don't.
    let full = texts(
        &mut owner,
        "SELECT relname::text FROM pg_class WHERE oid IN ('grants'::regclass, 'account_heads'::regclass)
         AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions) WHERE option_name = 'fillfactor' AND option_value::int <= 90)",
    )
    .await;
    assert_eq!(full, [] as [String; 0]);

    // Many accounts, as in life: the updates are nearly as many as the spends, and spread over many pages.
    const ACCOUNTS: usize = 200;
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 1_000_000});
    join_all((0..ACCOUNTS).map(|n| async move { n }).map(|n| async {
        let account = format!("a{}", n.await);
        tenant.account(&account).await;
        tenant.grant(&account, grant.clone()).await;
    }))
    .await;
    let one = |client: usize| {
        let tenant = &tenant;
        async move {
            let mut dice = Dice::new(client + 1);
            for n in 0..500 {
                let account = format!("a{}", dice.throw(ACCOUNTS));
                spend(&tenant.backend, &account, &format!("{client}-{n}"), 1)
                    .await
                    .expect(201);
            }
        }
    };
    join_all((0..4).map(one)).await;
    // Its sessions end with it and leave their counts.
    assert_eq!(process.terminate().await.code(), Some(0));
    let query = "SELECT relname::text, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname IN ('grants', 'account_heads')";
    let counts: Vec<(String, i64, i64)> = sqlx::query_as(query)
        .fetch_all(&mut owner)
        .await
        .expect("the statistics");
    assert_eq!(counts.len(), 2);
    for (table, updates, hot) in counts {
        assert!(updates > 500, "{table}: {updates} updates are too few to tell");
        assert!(hot * 100 > updates * 95, "{table}: {hot} of {updates} updates in place");
    }
}
