//! Kill -9 under load: of the service, of Postgres, of both. What was acknowledged stands, once; what was not can be sent
//! again with the same key; the books agree.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    Acknowledged, DataDir, PATIENCE, assert_exactly, assert_verified, books, by_key, eventually, is_ready, spend,
    support::{
        Client,
        process::{self, Process},
        service::Tenant,
    },
};

const CLIENTS: usize = 32;
const GRANTED: i64 = 1_000_000;
/// Acknowledged spends after which something is killed.
const WARM: usize = 150;

/// A key that was sent, and the answer if there was one.
struct Sent {
    key: String,
    amount: usize,
    answer: Option<String>,
}

/// A service with a tenant whose account `hot` has credits to spend.
async fn service(dir: &DataDir) -> (Process, Tenant) {
    let process = Process::start(dir.process()).await;
    let tenant = Tenant::make(&process.client).await;
    tenant.account("hot").await;
    let grant = json!({"class": "balance", "origin": "promotion", "amount": GRANTED});
    let path = "/v1/accounts/hot/grants";
    tenant.backend.post_with(path, "the-grant", grant).await.expect(201);
    (process, tenant)
}

/// The tenant's client, aimed at the process that runs now.
fn client_of(process: &Process, tenant: &Tenant) -> Client {
    Client::new(process.client.url.clone(), tenant.backend.key.clone())
}

/// Clients that spend, each until it is first left without an answer of success.
fn load(client: &Client) -> (Vec<JoinHandle<Vec<Sent>>>, Arc<AtomicUsize>) {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let one = |worker: usize| {
        let (client, acknowledged) = (client.clone(), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            let mut sent = Vec::new();
            for n in 0.. {
                let (key, amount) = (format!("spend-{worker}-{n}"), 1 + n % 3);
                let headers = [("idempotency-key", key.as_str())];
                let body = json!({"amount": amount, "member": format!("member {worker}"), "metadata": {"n": n}});
                let path = "/v1/accounts/hot/spends";
                let answer = client.try_send("POST", path, &headers, body.to_string()).await;
                let answer = answer.ok().filter(|answer| answer.status != 503);
                let last = answer.is_none();
                let answer = answer.map(|answer| {
                    assert_eq!(answer.status, 201, "{}", answer.text);
                    acknowledged.fetch_add(1, SeqCst);
                    answer.text
                });
                sent.push(Sent { key, amount, answer });
                if last {
                    break;
                }
            }
            sent
        })
    };
    ((0..CLIENTS).map(one).collect(), acknowledged)
}

async fn reached(acknowledged: &AtomicUsize, count: usize) {
    eventually("spends are answered", async || acknowledged.load(SeqCst) >= count).await;
}

async fn ended(clients: Vec<JoinHandle<Vec<Sent>>>) -> Vec<Sent> {
    let all = tokio::time::timeout(PATIENCE, join_all(clients)).await;
    let all = all.expect("no client is left hanging").into_iter();
    all.flat_map(|sent| sent.expect("only successes and silence")).collect()
}

/// What was acknowledged is in the books once and replays to the byte; what was not is posted at most once, and sending
/// it again posts it or finds it. Then the books hold just these.
async fn assert_nothing_lost(process: &Process, tenant: &Tenant, all: &[Sent]) {
    let client = client_of(process, tenant);
    let before = books(&client, "hot").await;
    let found = by_key(&before);
    for sent in all.iter().filter(|sent| sent.answer.is_some()) {
        assert!(found.contains_key(sent.key.as_str()), "{} is lost", sent.key);
    }
    let answered = all.iter().filter(|sent| sent.answer.is_some()).count();
    assert!(
        found.len() > answered && found.len() <= all.len() + 1,
        "{} of {answered}",
        found.len()
    );

    let again = join_all(all.iter().map(|sent| async {
        let worker = sent.key.split('-').nth(1).expect("a worker");
        let n: usize = sent
            .key
            .split('-')
            .nth(2)
            .and_then(|n| n.parse().ok())
            .expect("a number");
        let body = json!({"amount": sent.amount, "member": format!("member {worker}"), "metadata": {"n": n}});
        client.post_with("/v1/accounts/hot/spends", &sent.key, body).await
    }))
    .await;
    let mut acknowledged = Vec::new();
    for (sent, answer) in all.iter().zip(again) {
        assert_eq!(answer.status, 201, "{}: {}", sent.key, answer.text);
        let was_posted = found.contains_key(sent.key.as_str());
        assert_eq!(
            answer.header("idempotent-replayed") == "true",
            was_posted,
            "{}",
            sent.key
        );
        if let Some(text) = &sent.answer {
            assert_eq!(&answer.text, text, "{} is answered otherwise than before", sent.key);
        }
        let (key, answer) = (sent.key.clone(), answer.json);
        acknowledged.push(Acknowledged { key, answer });
    }
    let after = books(&client, "hot").await;
    let spends: Vec<_> = after.iter().filter(|t| t["kind"] == "spend").cloned().collect();
    assert_exactly(&spends, &acknowledged);
    assert_eq!(after.len(), spends.len() + 1, "nothing but the spends and the grant");
    let spent: i64 = all.iter().map(|sent| sent.amount as i64).sum();
    let balance = client.get("/v1/accounts/hot/balance").await.expect(200);
    assert_eq!(
        (&balance["available"], &balance["used"]),
        (&json!(GRANTED - spent), &json!(spent))
    );
}

fn kill_postgres(dir: &DataDir) {
    kill_process(dir.postgres_pid(), Signal::KILL).expect("Postgres is killed");
}

#[tokio::test]
async fn a_killed_service_loses_nothing_that_it_acknowledged() {
    let dir = DataDir::new();
    let (mut process, tenant) = service(&dir).await;
    let (clients, acknowledged) = load(&tenant.backend);
    reached(&acknowledged, WARM).await;
    process.kill().await;
    let all = ended(clients).await;

    let restarted = Process::start(dir.process()).await;
    assert_nothing_lost(&restarted, &tenant, &all).await;
    assert_verified(dir.process()).await;
}

#[tokio::test]
async fn service_and_postgres_killed_together_lose_nothing_that_was_acknowledged() {
    let dir = DataDir::new();
    let (mut process, tenant) = service(&dir).await;
    let (clients, acknowledged) = load(&tenant.backend);
    reached(&acknowledged, WARM).await;
    let postgres = dir.postgres_pid();
    process.child.start_kill().expect("the service is killed");
    kill_process(postgres, Signal::KILL).expect("Postgres is killed");
    process.kill().await;
    let all = ended(clients).await;

    let restarted = Process::start(dir.process()).await;
    assert_ne!(dir.postgres_pid(), postgres);
    assert_nothing_lost(&restarted, &tenant, &all).await;
    assert_verified(dir.process()).await;
}

#[tokio::test]
async fn a_killed_postgres_comes_back_by_itself_and_the_same_keys_go_through() {
    const SPENDS: usize = 20;
    let dir = DataDir::new();
    let (process, tenant) = service(&dir).await;
    let done = Arc::new(AtomicUsize::new(0));
    let one = |worker: usize| {
        let (client, done) = (tenant.backend.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0..SPENDS {
                let key = format!("spend-{worker}-{n}");
                let answer = loop {
                    let answer = spend(&client, "hot", &key, 1 + n % 3).await;
                    if answer.status == 201 {
                        break answer.json;
                    }
                    // It says that it is out of reach and when to come back; nothing else.
                    assert_eq!((answer.status, answer.code()), (503, "unavailable"), "{}", answer.text);
                    assert!(!answer.header("retry-after").is_empty());
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                done.fetch_add(1, SeqCst);
                acknowledged.push(Acknowledged { key, answer });
            }
            acknowledged
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(one).collect();
    for killed_at in [WARM, 2 * WARM] {
        reached(&done, killed_at).await;
        kill_postgres(&dir);
    }
    let all = tokio::time::timeout(PATIENCE, join_all(clients))
        .await
        .expect("all go through");
    let all: Vec<_> = all.into_iter().flat_map(|one| one.expect("no other refusal")).collect();
    assert_eq!(all.len(), CLIENTS * SPENDS);

    let client = client_of(&process, &tenant);
    let books = books(&client, "hot").await;
    let spends: Vec<_> = books.iter().filter(|t| t["kind"] == "spend").cloned().collect();
    assert_exactly(&spends, &all);
    assert_eq!(tenant.balance("hot").await["available"], crate::sum(&books));
    assert_verified(dir.process()).await;
}

#[tokio::test]
async fn sigterm_under_load_ends_in_order_and_loses_no_answer() {
    let dir = DataDir::new();
    let (mut process, tenant) = service(&dir).await;
    let (clients, acknowledged) = load(&tenant.backend);
    reached(&acknowledged, WARM).await;
    let status = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        !dir.path().join("postgres/postmaster.pid").exists(),
        "Postgres was stopped too"
    );
    let all = ended(clients).await;

    let restarted = Process::start(dir.process()).await;
    let books = books(&client_of(&restarted, &tenant), "hot").await;
    // What was taken on was answered: no spend is in the books whose caller was not told.
    let told: Vec<_> = all
        .iter()
        .filter(|sent| sent.answer.is_some())
        .map(|sent| sent.key.as_str())
        .collect();
    let untold: Vec<_> = by_key(&books)
        .into_keys()
        .filter(|key| *key != "the-grant" && !told.contains(key))
        .collect();
    assert!(untold.is_empty(), "posted, but not answered: {untold:?}");
    assert_nothing_lost(&restarted, &tenant, &all).await;
    assert_verified(dir.process()).await;
}

#[tokio::test]
async fn a_second_instance_on_the_same_data_is_refused() {
    let dir = DataDir::new();
    let mut process = Process::start(dir.process()).await;
    let ran = tokio::time::timeout(PATIENCE, process::run(&dir.process(), &["serve"])).await;
    let (code, text) = ran.expect("it is refused, and does not serve");
    let pid = process.child.id().expect("it runs");
    assert_eq!(code, 1, "{text}");
    for words in [
        &format!("another Scrip (pid {pid})"),
        dir.path().to_str().expect("text"),
        "SCRIP_DATA_DIR",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    // The first one did not notice, and short commands work beside it.
    process.wait_until_ready().await;
    assert_verified(dir.process()).await;
}

/// As a newcomer starts it: no variable but where the data goes.
async fn first_steps(dir: &DataDir) -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let listen = format!("127.0.0.1:{port}");
    let data_dir = dir.path().to_str().expect("text");
    let variables = [
        ("SCRIP_DATA_DIR", data_dir),
        ("SCRIP_LISTEN", &listen),
        ("RUST_LOG", "warn"),
    ];
    let child = crate::scrip(&variables, &[]).spawn().expect("it starts");
    let pid = child.id().expect("it runs").cast_signed();
    let client = Client::new(format!("http://{listen}"), crate::support::Key::default());
    eventually("it is ready", async || is_ready(&client).await).await;
    // The first time the keys of the demo tenant are on standard output: read it at the end.
    let stop = rustix::process::Pid::from_raw(pid).expect("a pid");
    kill_process(stop, Signal::TERM).expect("it is told to stop");
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it ends")
        .expect("it ran");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_warm_start_keeps_the_data_and_the_keys_and_makes_no_second_demo() {
    let dir = DataDir::new();
    let said = first_steps(&dir).await;
    let shown = |name: &str| {
        let line = said
            .lines()
            .find(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{name}: {said}"));
        line.split_whitespace().last().expect("a key").to_owned()
    };
    let (operator, backend) = (shown("operator key"), shown("backend key "));
    let mode = |name: &str| {
        std::fs::metadata(dir.path().join(name))
            .expect(name)
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("operator.key"), mode("encryption.key")), (0o600, 0o600));
    let kept = ["operator.key", "encryption.key"].map(|name| std::fs::read(dir.path().join(name)).expect(name));
    assert_eq!(kept[0], operator.as_bytes());
    assert!(
        !said.contains(std::str::from_utf8(&kept[1]).expect("text")),
        "the encryption key is not for the screen"
    );

    let said = first_steps(&dir).await;
    assert!(!said.contains("First start") && !said.contains("key"), "{said}");
    let again = ["operator.key", "encryption.key"].map(|name| std::fs::read(dir.path().join(name)).expect(name));
    assert_eq!(kept, again);

    let process = Process::start(dir.process()).await;
    let tenants = process.client.get("/v1/tenants").await.expect(200);
    let slugs: Vec<_> = tenants["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| &t["slug"])
        .collect();
    assert_eq!(slugs, ["demo"]);
    let demo = process.client.with_key(&crate::support::Key(backend));
    demo.put("/v1/accounts/alice", json!({})).await.expect(201);
}
