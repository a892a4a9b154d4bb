//! Each rule can fail: small samples that break it, beside ones that must pass.

use crate::migrations::*;
use crate::rules::*;
use crate::source::Source;

fn at(path: &str, text: &str) -> Vec<Source> {
    vec![Source::new(path, text)]
}

/// The lines of the findings, which also says how many there are.
fn lines(findings: &[String]) -> Vec<usize> {
    findings
        .iter()
        .map(|finding| finding.split(':').nth(1).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn imports_find_every_spelling() {
    for bad in [
        "use sqlx::Row;",
        "use crate::storage::accounts;",
        "use crate::{domain::ids, storage::{grants, holds}};",
        "use super::super::{grant, http};",
        "fn f() { crate::ledger::run() }",
        "use ::axum::Json;",
        "#[tokio::test] async fn t() {}",
        "pub(crate) use crate::config as c;",
        "use stripe::Client;",
    ] {
        assert!(!imports(&at("src/domain/spend.rs", bad)).is_empty(), "{bad}");
    }
    assert_eq!(
        imports(&at("src/domain/decide/spend.rs", "use super::super::super::http;")).len(),
        1
    );
    assert_eq!(imports(&at("src/domain/mod.rs", "use super::http;")).len(), 1);
    assert_eq!(imports(&at("src/storage/x.rs", "use crate::ledger::lane;")).len(), 1);
    assert_eq!(
        imports(&at("src/ledger.rs", "\nuse crate::commands;")),
        [
            "src/ledger.rs:2: ledger uses crate::commands: imports go commands -> http -> stripe -> ledger -> storage -> domain"
        ]
    );
    assert_eq!(imports(&at("src/stripe/x.rs", "use crate::http::State;")).len(), 1);
    assert_eq!(imports(&at("src/http/x.rs", "use crate::commands::Store;")).len(), 1);
}

#[test]
fn imports_let_the_right_ones_pass() {
    let fine = "// use sqlx::Row;\nuse super::grant::Grant;\nuse crate::domain::http_name;\nlet s = \"crate::http\";\nlet stripe = 1;";
    assert!(imports(&at("src/domain/decide/spend.rs", fine)).is_empty());
    assert!(imports(&at("src/ledger/batch.rs", "use crate::{domain::ids, storage};")).is_empty());
    assert!(
        imports(&at(
            "src/http/v1/stripe.rs",
            "use crate::ledger::Ledger; use crate::stripe;"
        ))
        .is_empty()
    );
    assert!(
        imports(&at("src/ledger/x.rs", "use super::commands;")).is_empty(),
        "a module of its own"
    );
}

#[test]
fn sql_is_found_outside_storage() {
    let bad = "sqlx::query(q);\nuse sqlx::{Row, query_as};\nquery!(\"x\");\nsqlx::query_file!(\"x\");\nsqlx::raw_sql(q);\nc.execute(\"SELECT\\n1\");\nsqlx::query_as::<_, A>(q);";
    let mut found = lines(&sql(&at("src/http/x.rs", bad)));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3, 4, 5, 6, 7]);
    for place in [
        "src/storage/accounts.rs",
        "src/embedded_postgres/account.rs",
        "src/test_cluster.rs",
    ] {
        assert!(sql(&at(place, bad)).is_empty());
    }
    assert!(
        sql(&at(
            "src/http/x.rs",
            "let query = uri.query(); use axum::extract::Query; // sqlx::query(q)\n\"SELECTED\"; \"DELETE\""
        ))
        .is_empty()
    );
}

#[test]
fn a_long_file_is_found() {
    assert!(length(&at("src/x.rs", &"\n".repeat(LINES_MAX))).is_empty());
    assert_eq!(
        lines(&length(&at("src/x.rs", &"\n".repeat(LINES_MAX + 1)))),
        [LINES_MAX + 1]
    );
}

#[test]
fn leftovers_are_found() {
    let notes = ["TO", "FIX"]
        .map(|head| format!("// {head}{}: later", if head == "TO" { "DO" } else { "ME" }))
        .join("\n");
    assert_eq!(lines(&leftovers(&at("src/x.rs", &notes))), [1, 2]);
    assert_eq!(
        lines(&leftovers(&at(
            "src/x.rs",
            "todo!();\nunimplemented!();\nlet x = std::dbg!(y);"
        ))),
        [1, 2, 3]
    );
    assert!(
        leftovers(&at(
            "src/x.rs",
            "// never dbg!\nlet todo = methodology; if todo != 1 {}"
        ))
        .is_empty()
    );
}

#[test]
fn floats_are_found() {
    assert_eq!(
        lines(&floats(&at(
            "src/domain/x.rs",
            "let a: f64;\nlet b = 1.5;\nlet c = 2f32;\nx as f32"
        ))),
        [1, 2, 3, 4]
    );
    let fine = "for i in 1..5 {}\npair.0.1;\n1.max(2);\n0xf64;\n\"1.5\"; // 2.5\n'\"'; let s = r#\"1.5\"#; b\"1.5\"; fn f<'a>(x: &'a str) {}";
    assert_eq!(floats(&at("src/domain/x.rs", fine)), Vec::<String>::new());
    assert!(floats(&at("src/http/x.rs", "1.5")).is_empty());
}

#[test]
fn forbidden_words_are_found() {
    assert_eq!(
        lines(&words(&at(
            "src/x.rs",
            "let wallet = 1;\nstruct CreditBucket;\nlot_id;\nWALLETS"
        ))),
        [1, 2, 3, 4]
    );
    let fine = "slot; allotted; // bucket\n\"wallet\"; b.set_buckets();";
    assert!(words(&at("src/x.rs", fine)).is_empty());
}

#[test]
fn a_missing_module_doc_is_found() {
    assert_eq!(lines(&module_docs(&at("src/x.rs", "use a;\n//! late"))), [1]);
    assert!(module_docs(&at("src/x.rs", "//! What it is.")).is_empty());
}

#[test]
fn migration_names_are_held() {
    let named = |names: &[&str]| {
        migration_names(
            &names
                .iter()
                .map(|name| Source::new(&format!("migrations/{name}"), ""))
                .collect::<Vec<_>>(),
        )
        .len()
    };
    assert_eq!(named(&["0001_tenants.sql", "0002_ledger.sql"]), 0);
    assert_eq!(
        named(&["0001_tenants.sql", "0003_ledger.sql"]),
        1,
        "a gap: one was taken away"
    );
    assert_eq!(named(&["0001_tenants.sql", "0001_zebra.sql"]), 1);
    assert_eq!(named(&["1_tenants.sql"]), 1);
    assert_eq!(named(&["0001_Tenants.sql"]), 1);
    assert_eq!(named(&["0001_.sql"]), 1);
}

#[test]
fn what_does_not_distribute_is_found() {
    let bad = "CREATE\n  TRIGGER t;\nCREATE OR REPLACE TRIGGER t;\nCREATE CONSTRAINT TRIGGER t;\nx DEFERRABLE;\ncreate domain d;\nDO $$ BEGIN END $$;\nDO $body$ MERGE $body$;\nMERGE INTO t;";
    assert_eq!(
        lines(&migration_words(&at("migrations/0001_x.sql", bad))),
        [1, 3, 4, 5, 6, 7, 8, 9]
    );
    let fine = "-- no CREATE TRIGGER, no MERGE\n/* DO $$ */ INSERT INTO t VALUES ('MERGE') ON CONFLICT DO NOTHING;";
    assert!(migration_words(&at("migrations/0001_x.sql", fine)).is_empty());
}

#[test]
fn a_primary_key_without_the_tenant_is_found() {
    let bad = "CREATE TABLE a (id uuid PRIMARY KEY);\nCREATE TABLE b (id uuid, tenant_id uuid,\n CONSTRAINT p PRIMARY KEY (id, tenant_id));\nCREATE TABLE IF NOT EXISTS c (x int);\nALTER TABLE d ADD CONSTRAINT e PRIMARY KEY (id);\nCREATE TABLE f (x int) PARTITION BY HASH (x);";
    assert_eq!(lines(&primary_keys(&at("migrations/0001_x.sql", bad))), [1, 3, 4, 5, 6]);
    let fine = "CREATE TABLE a (tenant_id uuid PRIMARY KEY);\nCREATE TABLE b (x text CHECK (x ~ '^;$'), CONSTRAINT p PRIMARY KEY (\"tenant_id\", id)); -- PRIMARY KEY (id)\nCREATE TABLE c PARTITION OF b FOR VALUES IN (1); CREATE INDEX i ON b (id);";
    assert_eq!(primary_keys(&at("migrations/0001_x.sql", fine)), Vec::<String>::new());
}

#[test]
fn an_undocumented_variable_is_found() {
    let config = at(
        "src/config.rs",
        "#[arg(long, env = \"SCRIP_LISTEN\")]\nread(\"STRIPE_API_BASE\");\n\"USD\"; \"not_one\"; // \"SCRIP_NOT_CODE\"",
    );
    assert_eq!(
        variables(&config, "SCRIP_LISTEN=\n# STRIPE_API_BASE=", "STRIPE_API_BASE"),
        Vec::<String>::new()
    );
    assert_eq!(
        lines(&variables(
            &config,
            "SCRIP_LISTEN_ALL= STRIPE_API_BASE=",
            "STRIPE_API_BASE"
        )),
        [1]
    );
    assert_eq!(lines(&variables(&config, "SCRIP_LISTEN STRIPE_API_BASE", "")), [2]);
}
