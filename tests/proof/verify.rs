//! `scrip verify`: finds whatever somebody changed in the books by hand, and names the tenant, the row and the figures.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    run,
    support::{TestService, client::fresh_key, database, service::Tenant},
};

/// What the owner of the tables can do and the service can't. `:tenant`, `:grant`, `:spend` and `:refund` stand for ids.
struct Tampering {
    name: &'static str,
    sql: &'static str,
    /// What must be said, each in one line: the row and the figures.
    lines: &'static [&'static str],
}

/// The books before: a grant of 1,000, a spend of 300 and a refund of 100 of it, so 800 remain.
const TAMPERINGS: &[Tampering] = &[
    Tampering {
        name: "a grant's remaining",
        sql: "UPDATE grants SET remaining = 801 WHERE tenant_id = :tenant",
        lines: &[
            "grant :grant: amount 1000, remaining 801, held 0; its entries brought in 1000 at first, sum to 800 and hold 0",
            "account acme: balance 800; its grants sum to 801, its entries to 800",
        ],
    },
    Tampering {
        name: "a grant closed and emptied",
        sql: "UPDATE grants SET remaining = 0, closed_at = now() WHERE tenant_id = :tenant",
        lines: &["grant :grant: amount 1000, remaining 0, held 0; its entries brought in 1000 at first, sum to 800 and hold 0"],
    },
    Tampering {
        name: "a grant's amount",
        sql: "UPDATE grants SET amount = 2000 WHERE tenant_id = :tenant",
        lines: &["grant :grant: amount 2000, remaining 800, held 0; its entries brought in 1000 at first, sum to 800 and hold 0"],
    },
    Tampering {
        name: "what is held of a grant",
        sql: "UPDATE grants SET held = 5 WHERE tenant_id = :tenant",
        lines: &[
            "grant :grant: amount 1000, remaining 800, held 5; its entries brought in 1000 at first, sum to 800 and hold 0",
            "grant :grant: held 5; the open holds sum to 0",
        ],
    },
    Tampering {
        name: "a hold that nothing holds",
        sql: "INSERT INTO holds (tenant_id, id, account_id, status, amount, captured, drawdown, created_at, expires_at)
              SELECT tenant_id, tenant_id, account_id, 1, 7, 0, jsonb_build_array(jsonb_build_object('grant_id', id, 'class',
                  'balance', 'amount', 7)), now(), now() FROM grants WHERE tenant_id = :tenant",
        lines: &[
            "grant :grant: held 0; the open holds sum to 7",
            "account acme: names 0 subscriptions, 0 holds, due never; there are 0 and 1, due never",
        ],
    },
    Tampering {
        name: "what falls due",
        sql: "INSERT INTO account_due SELECT tenant_id, account_id, '2030-01-01T00:00:00Z' FROM grants WHERE tenant_id = :tenant",
        lines: &["account acme: names 0 subscriptions, 0 holds, due never; there are 0 and 0, due 2030-01-01 00:00:00+00"],
    },
    Tampering {
        name: "a head's credits",
        sql: "UPDATE account_heads SET credits = 799 WHERE tenant_id = :tenant",
        lines: &["account acme: balance 799; its grants sum to 800, its entries to 800"],
    },
    Tampering {
        name: "a head that is gone",
        sql: "DELETE FROM account_heads WHERE tenant_id = :tenant",
        lines: &["account acme: balance missing; its grants sum to 800, its entries to 800"],
    },
    Tampering {
        name: "a deleted entry",
        sql: "DELETE FROM entries WHERE tenant_id = :tenant AND transaction_id = :spend",
        lines: &[
            "transaction :spend: amount 300, 0 entries that sum to 0",
            "grant :grant: amount 1000, remaining 800, held 0; its entries brought in 1000 at first, sum to 1100 and hold 0",
            "account acme: balance 800; its grants sum to 800, its entries to 1100",
        ],
    },
    Tampering {
        name: "an entry turned to another ledger account",
        sql: "UPDATE entries SET credit = 12 WHERE tenant_id = :tenant AND transaction_id = :spend",
        lines: &["entry 1 of transaction :spend: it moves ledger account 3 to 12 in a transaction of kind 2"],
    },
    Tampering {
        name: "a changed entry",
        sql: "UPDATE entries SET amount = 299 WHERE tenant_id = :tenant AND transaction_id = :spend",
        lines: &[
            "transaction :spend: amount 300, 1 entries that sum to 299",
            "grant :grant: amount 1000, remaining 800, held 0; its entries brought in 1000 at first, sum to 801 and hold 0",
        ],
    },
    Tampering {
        name: "an entry without a transaction",
        sql: "INSERT INTO entries SELECT tenant_id, account_id, tenant_id, id, 5, 1, 3, 11 FROM grants WHERE tenant_id = :tenant",
        lines: &[
            "entry 1 of transaction :tenant: its transaction is missing, or of another account",
            "account acme: balance 800; its grants sum to 800, its entries to 795",
        ],
    },
    Tampering {
        name: "an entry without a grant",
        sql: "INSERT INTO entries SELECT tenant_id, account_id, id, tenant_id, 5, 7, 3, 11 FROM transactions
              WHERE tenant_id = :tenant AND id = :spend",
        lines: &[
            "entry 7 of transaction :spend: its grant :tenant is missing, or of another account",
            "transaction :spend: amount 300, 2 entries that sum to 305",
        ],
    },
    Tampering {
        name: "an entry of another class",
        sql: "UPDATE entries SET debit = 1 WHERE tenant_id = :tenant AND transaction_id = :spend",
        lines: &["entry 1 of transaction :spend: it moves ledger account 1 to 11, but its grant is of class 3"],
    },
    Tampering {
        name: "a deleted transaction",
        sql: "DELETE FROM transactions WHERE tenant_id = :tenant AND id = :spend",
        lines: &[
            "entry 1 of transaction :spend: its transaction is missing, or of another account",
            "spend :spend: spent nothing: it is missing, refunded 100",
        ],
    },
    Tampering {
        name: "a refund beyond the spend",
        sql: "INSERT INTO transactions (tenant_id, id, account_id, amount, available_after, created_at, effective_at, subject_id, kind)
              SELECT tenant_id, tenant_id, account_id, 201, 800, now(), now(), id, 3 FROM transactions
              WHERE tenant_id = :tenant AND id = :spend",
        lines: &[
            "spend :spend: spent 300, refunded 301",
            "transaction :tenant: amount 201, 0 entries that sum to 0",
        ],
    },
    Tampering {
        name: "a transaction's amount",
        sql: "UPDATE transactions SET amount = 301 WHERE tenant_id = :tenant AND id = :spend",
        lines: &["transaction :spend: amount 301, 1 entries that sum to 300"],
    },
    Tampering {
        name: "a top-up credited without a grant",
        sql: "INSERT INTO top_ups (tenant_id, id, account_id, status, mode, pack, title, program_version, price_amount, price_currency,
                  credits, class, expiry, livemode, attempt, success_url, cancel_url, created_at, updated_at, credited_at, grant_id)
              SELECT tenant_id, tenant_id, account_id, 'credited', 'checkout', 'small', 'Small', 1, 500, 'USD',
                  50, 3, '{}', false, 1, 'https://a', 'https://b', now(), now(), now(), tenant_id
              FROM grants WHERE tenant_id = :tenant",
        lines: &["top-up :tenant: credited with 50, but no grant stands for it"],
    },
    Tampering {
        name: "a grant of a missing top-up",
        sql: "UPDATE grants SET top_up_id = tenant_id, origin = 3 WHERE tenant_id = :tenant",
        lines: &["top-up :tenant: its grant :grant stands, but the top-up is missing"],
    },
    Tampering {
        name: "a top-up with another number of credits than its grant",
        sql: "INSERT INTO top_ups (tenant_id, id, account_id, status, mode, pack, title, program_version, price_amount, price_currency,
                  credits, class, expiry, livemode, attempt, success_url, cancel_url, created_at, updated_at, credited_at, grant_id)
              SELECT tenant_id, tenant_id, account_id, 'credited', 'checkout', 'small', 'Small', 1, 500, 'USD',
                  50, 3, '{}', false, 1, 'https://a', 'https://b', now(), now(), now(), id
              FROM grants WHERE tenant_id = :tenant;
              UPDATE grants SET top_up_id = tenant_id, origin = 3 WHERE tenant_id = :tenant",
        lines: &["top-up :tenant: credited, 50 credits; its grant :grant has 1000"],
    },
];

/// A tenant's ids, as they stand for the names in [`TAMPERINGS`].
struct Ids(Vec<(&'static str, String)>);

impl Ids {
    fn fill(&self, text: &str, quote: &str) -> String {
        let filled = self.0.iter().fold(text.to_owned(), |text, (name, id)| {
            text.replace(name, &format!("{quote}{id}{quote}"))
        });
        assert!(!filled.contains(" :"), "{filled}");
        filled
    }
}

async fn tenant_with_books(service: &TestService) -> (Tenant, Ids) {
    let tenant = Tenant::make(&service.operator).await;
    tenant.account("acme").await;
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 1_000});
    let grant = tenant.grant("acme", grant).await;
    let spend = tenant.spend("acme", json!({"amount": 300})).await.expect(201);
    let spend_id = spend["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/spends/{spend_id}/refunds");
    let body = json!({"amount": 100, "reason": "a part"});
    tenant.backend.post_with(&path, &fresh_key(), body).await.expect(201);
    let ids = vec![
        (":tenant", tenant.id.clone()),
        (":grant", grant["id"].as_str().expect("an id").to_owned()),
        (":spend", spend_id),
    ];
    (tenant, Ids(ids))
}

#[tokio::test]
async fn every_tampering_is_found_and_named() {
    let options = database::fresh(&database::unique_name("verify")).await;
    let url = database::url(&options);
    let variables = [("DATABASE_URL", url.as_str())];
    let service = TestService::start_with(options.clone(), std::sync::Arc::new(scrip::clock::SystemClock)).await;
    let mut owner = PgConnection::connect_with(&options).await.expect("the owner connects");

    let (honest, _) = tenant_with_books(&service).await;
    let all = run(&variables, &["verify"]).await;
    assert_eq!((all.code, all.stdout.as_str()), (0, "all agrees\n"), "{}", all.stderr);

    let mut found = Vec::new();
    for Tampering { name, sql, lines } in TAMPERINGS {
        let (tenant, ids) = tenant_with_books(&service).await;
        let sql = ids.fill(sql, "'");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut owner)
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let ran = run(&variables, &["verify", "--tenant", &tenant.slug]).await;
        assert_eq!(ran.code, 1, "{name}: {}{}", ran.stdout, ran.stderr);
        for line in *lines {
            let line = format!("tenant {}: {}", tenant.slug, ids.fill(line, ""));
            assert!(
                ran.stdout.lines().any(|l| l == line),
                "{name}: no line {line:?} in\n{}",
                ran.stdout
            );
        }
        let prefix = format!("tenant {}: ", tenant.slug);
        assert!(
            ran.stdout.lines().all(|line| line.starts_with(&prefix)),
            "{}",
            ran.stdout
        );
        found.extend(ran.stdout.lines().map(str::to_owned));
    }
    // The one nobody touched agrees still; all together say what each said.
    let ran = run(&variables, &["verify", "--tenant", &honest.slug]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "all agrees\n"));
    let ran = run(&variables, &["verify"]).await;
    assert_eq!(ran.code, 1);
    let mut all: Vec<_> = ran.stdout.lines().map(str::to_owned).collect();
    all.sort();
    found.sort();
    assert_eq!(all, found);
}

#[tokio::test]
async fn what_it_could_not_look_at_is_not_said_to_agree() {
    let options = database::fresh(&database::unique_name("verify")).await;
    let url = database::url(&options);
    let ran = run(&[("DATABASE_URL", &url)], &["verify", "--tenant", "nobody"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("no tenant has the slug nobody"), "{}", ran.stderr);

    let nowhere = "postgres://scrip:hunter2@127.0.0.1:1/scrip";
    let ran = run(&[("DATABASE_URL", nowhere)], &["verify"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("can't connect to the database"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}
