//! The command line: what it documents, what it makes, and how it says what is wrong, without a panic and without a
//! secret.

use std::{collections::BTreeSet, net::TcpListener};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use crate::{
    PATIENCE, Ran, eventually, is_ready, run, scrip,
    support::{
        Client, Key, database,
        process::{Data, Process},
    },
};

/// Stands in whatever must not be shown.
const SECRET: &str = "hunter2hunter2";
const ENCRYPTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OPERATOR_KEY: &str = "an-operator-key-of-the-proof";

async fn fresh() -> (PgConnectOptions, String) {
    let options = database::fresh(&database::unique_name("command_line")).await;
    let url = database::url(&options);
    (options, url)
}

impl Ran {
    /// It failed, and said so in these words, in few lines.
    #[track_caller]
    pub fn failed(&self, code: i32, words: &[&str]) {
        let said = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{said}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {said}");
        }
        assert!(!said.contains("panicked") && !said.contains(SECRET), "{said}");
        assert!(self.stderr.lines().count() < 12, "{said}");
    }
}

#[tokio::test]
async fn help_documents_every_variable_and_shows_no_secret() {
    let example = include_str!("../../.env.example");
    let mut variables = BTreeSet::new();
    for line in example.lines() {
        let name = line
            .trim_start_matches(['#', ' '])
            .split_once('=')
            .map(|(name, _)| name);
        let is_variable = |name: &&str| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        variables.extend(name.filter(is_variable));
    }
    // The example says so itself: it is compose's.
    assert!(variables.remove("POSTGRES_PASSWORD"));
    assert!(variables.len() > 8, "{variables:?}");

    let secret_url = format!("postgres://scrip:{SECRET}@localhost/scrip");
    let secrets = [
        ("DATABASE_URL", secret_url.as_str()),
        ("SCRIP_OPERATOR_KEY", SECRET),
        ("SCRIP_ENCRYPTION_KEY", SECRET),
    ];
    for arguments in [&["--help"][..], &["serve", "--help"], &["verify", "--help"], &["help"]] {
        let ran = run(&secrets, arguments).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(!ran.stdout.contains(SECRET), "{}", ran.stdout);
        let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let documented = text.split("[env: ").skip(1);
        let documented: BTreeSet<_> = documented.filter_map(|rest| rest.split(['=', ']']).next()).collect();
        assert_eq!(documented, variables, "{arguments:?}");
    }
}

#[tokio::test]
async fn tenants_and_keys_made_here_work_against_a_service() {
    let (_, url) = fresh().await;
    let variables = [("DATABASE_URL", url.as_str())];
    let process = Process::start(Data::Url(&url)).await;
    let made = run(
        &variables,
        &["tenant", "create", "acme", "--name", "Acme Inc", "--mode", "live"],
    )
    .await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let admin = made.stdout.split_whitespace().last().expect("a key").to_owned();
    let tenants = process.client.get("/v1/tenants").await.expect(200);
    let tenant = &tenants["data"][0];
    assert_eq!(
        (&tenant["slug"], &tenant["name"], &tenant["mode"]),
        (&json!("acme"), &json!("Acme Inc"), &json!("live"))
    );
    let as_role = |key: &str| process.client.with_key(&Key(key.to_owned()));
    as_role(&admin).get("/v1/api_keys").await.expect(200);

    run(&variables, &["tenant", "create", "acme"])
        .await
        .failed(1, &["another tenant has the slug acme already"]);
    run(&variables, &["tenant", "create", "Not A Slug"])
        .await
        .failed(2, &["Not A Slug"]);
    run(&variables, &["key", "create", "nobody", "backend", "--name", "x"])
        .await
        .failed(1, &["no tenant has the slug nobody", "scrip tenant create nobody"]);
    run(&variables, &["key", "create", "acme", "owner", "--name", "x"])
        .await
        .failed(2, &["owner"]);

    // What each role may do, and one thing that it may not.
    let roles = [
        ("admin", "/v1/api_keys", "/v1/admin/accounts?query=a"),
        ("backend", "/v1/accounts", "/v1/api_keys"),
        ("support", "/v1/admin/accounts?query=a", "/v1/ledger/trial_balance"),
        ("read", "/v1/ledger/trial_balance", "/v1/api_keys"),
    ];
    for (role, may, may_not) in roles {
        let made = run(&variables, &["key", "create", "acme", role, "--name", "made by hand"]).await;
        assert_eq!(
            (made.code, made.stdout.lines().count()),
            (0, 1),
            "{}{}",
            made.stdout,
            made.stderr
        );
        let client = as_role(made.stdout.trim());
        client.get(may).await.expect(200);
        client.get(may_not).await.refused(403, "forbidden");
    }
    let keys = as_role(&admin).get("/v1/api_keys").await.expect(200);
    let roles: Vec<_> = keys["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| key["role"].as_str())
        .collect();
    assert_eq!(roles.len(), 5, "{roles:?}");
}

#[tokio::test]
async fn without_its_keys_nothing_starts() {
    let options = database::empty(&database::unique_name("command_line")).await;
    let url = database::url(&options);
    let (database, listen) = (("DATABASE_URL", url.as_str()), ("SCRIP_LISTEN", "127.0.0.1:0"));
    let (operator, encryption) = (
        ("SCRIP_OPERATOR_KEY", OPERATOR_KEY),
        ("SCRIP_ENCRYPTION_KEY", ENCRYPTION_KEY),
    );
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[database, listen, encryption], "SCRIP_OPERATOR_KEY is required"),
        (&[database, listen, operator], "SCRIP_ENCRYPTION_KEY is required"),
        (
            &[database, listen, operator, ("SCRIP_ENCRYPTION_KEY", SECRET)],
            "SCRIP_ENCRYPTION_KEY: ",
        ),
        (
            &[database, listen, ("SCRIP_OPERATOR_KEY", SECRET), encryption],
            "SCRIP_OPERATOR_KEY is too short",
        ),
    ];
    for (variables, words) in cases {
        run(variables, &[]).await.failed(1, &[words]);
        run(variables, &["serve"]).await.failed(1, &[words]);
    }
    let mut owner = PgConnection::connect_with(&options)
        .await
        .expect("the database answers");
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut owner)
        .await
        .expect("a count");
    assert_eq!(tables, 0, "something was started");
}

#[tokio::test]
async fn mistakes_are_named_and_secrets_are_not() {
    let (_, good) = fresh().await;
    let keys = [
        ("SCRIP_OPERATOR_KEY", OPERATOR_KEY),
        ("SCRIP_ENCRYPTION_KEY", ENCRYPTION_KEY),
    ];
    let with = |more: &[(&'static str, String)]| {
        let mut all: Vec<(&str, String)> = keys.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.push(("SCRIP_LISTEN", "127.0.0.1:0".to_owned()));
        all.extend(more.iter().cloned());
        all
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()))
        .expect("an address");
    let url = |text: &str| ("DATABASE_URL", text.to_owned());
    type Case<'a> = (Vec<(&'a str, String)>, i32, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        (
            with(&[url(SECRET)]),
            1,
            &["DATABASE_URL can't be read", "postgres://user:password@host"],
        ),
        (
            with(&[url(&format!("postgres://scrip:{SECRET}@localhost:port/x"))]),
            1,
            &["DATABASE_URL can't be read"],
        ),
        (
            with(&[url(&format!("postgres://scrip:{SECRET}@127.0.0.1:1/x"))]),
            1,
            &["can't connect to the database"],
        ),
        (
            with(&[url(&good.replace("command_line", "no_such"))]),
            1,
            &["can't connect to the database", "does not exist"],
        ),
        (
            with(&[url(&good), ("SCRIP_LISTEN", taken.1.clone())]),
            1,
            &["can't listen on", "SCRIP_LISTEN"],
        ),
        (
            with(&[url(&good), ("SCRIP_LISTEN", "everywhere".to_owned())]),
            2,
            &["everywhere", "--listen"],
        ),
        (
            with(&[url(&good), ("RUST_LOG", "scrip=loud".to_owned())]),
            1,
            &["RUST_LOG can't be read"],
        ),
        (
            with(&[url(&good), ("SCRIP_LOG_FORMAT", "yaml".to_owned())]),
            2,
            &["yaml", "text, json"],
        ),
        (
            with(&[url(&good), ("SCRIP_PUBLIC_URL", "example.com".to_owned())]),
            2,
            &["http://"],
        ),
    ];
    for (variables, code, words) in cases {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(&variables, &["serve"]).await.failed(code, words);
    }
    run(&[], &["sreve"]).await.failed(2, &["sreve"]);
}

#[tokio::test]
async fn healthcheck_says_whether_the_service_is_ready() {
    let (_, url) = fresh().await;
    let mut process = Process::start(Data::Url(&url)).await;
    let address = process.client.url.trim_start_matches("http://").to_owned();
    let port = address.rsplit(':').next().expect("a port");
    for listen in [address.clone(), format!("0.0.0.0:{port}")] {
        let ran = run(&[("SCRIP_LISTEN", &listen)], &["healthcheck"]).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{listen}");
    }
    assert_eq!(process.terminate().await.code(), Some(0));
    let ran = run(&[("SCRIP_LISTEN", &address)], &["healthcheck"]).await;
    assert_eq!(ran.code, 1);

    // Somebody else, who answers, but not that he is ready.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let other = axum::Router::new().fallback(|| async { axum::http::StatusCode::SERVICE_UNAVAILABLE });
    tokio::spawn(axum::serve(listener, other).into_future());
    let ran = run(&[("SCRIP_LISTEN", &address)], &["healthcheck"]).await;
    assert_eq!(ran.code, 1);
}

#[tokio::test]
async fn the_json_log_is_a_json_object_a_line_and_shows_no_key() {
    let (_, url) = fresh().await;
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .to_string();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("SCRIP_LISTEN", &address),
        ("SCRIP_OPERATOR_KEY", OPERATOR_KEY),
        ("SCRIP_ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("SCRIP_LOG_FORMAT", "json"),
        ("RUST_LOG", "debug"),
    ];
    let child = scrip(&variables, &[]).spawn().expect("it starts");
    let client = Client::new(format!("http://{address}"), Key(OPERATOR_KEY.to_owned()));
    eventually("it is ready", async || is_ready(&client).await).await;
    let body = json!({"slug": "acme", "name": "Acme", "mode": "sandbox"});
    let made = client.post("/v1/tenants", body).await.expect(201);
    let admin_key = made["admin_key"].as_str().expect("a key");
    client
        .with_key(&Key(admin_key.to_owned()))
        .get("/v1/api_keys")
        .await
        .expect(200);

    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(pid.cast_signed()))
        .expect("a pid");
    kill_process(pid, Signal::TERM).expect("it is told to stop");
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it ends")
        .expect("it ran");
    assert_eq!(output.status.code(), Some(0));
    let log = String::from_utf8(output.stderr).expect("text");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["level"].is_string() && line["fields"].is_object())
    );
    let said = |words: &str| lines.iter().any(|line| line["fields"]["message"] == words);
    assert!(
        said("http.request") && said("service.stopping") && said("service.stopped"),
        "{log}"
    );
    for secret in [OPERATOR_KEY, ENCRYPTION_KEY, admin_key] {
        assert!(!log.contains(secret), "a key is in the log");
    }
}
