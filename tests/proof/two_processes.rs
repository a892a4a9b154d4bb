//! Two services on one database, both at the same few accounts: their batches collide all the time, wait for each other's
//! locks, and find that what they read before is old. Nothing may show of it.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    Acknowledged, Dice, PATIENCE, assert_exactly, assert_verified, books,
    support::{
        Answer, Client, database,
        process::{Data, Process},
        service::Tenant,
    },
};

const ACCOUNTS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: usize = 32;
const STEPS: usize = 25;

/// What all clients know of: spends to be refunded, and acknowledged writes by account.
#[derive(Default)]
struct Known {
    spends: Vec<(usize, Value)>,
    acknowledged: [Vec<Acknowledged>; ACCOUNTS.len()],
}

impl Known {
    fn note(&mut self, account: usize, key: String, answer: Value) {
        if answer.get("drawdown").is_some() {
            self.spends.push((account, answer["id"].clone()));
        }
        self.acknowledged[account].push(Acknowledged { key, answer });
    }
}

/// One of the refusals that the rules give, and no other.
#[track_caller]
fn is_done(answer: &Answer) -> bool {
    let refusals = [
        (402, "insufficient_credits"),
        (409, "spend_already_refunded"),
        (422, "refund_exceeds_spend"),
    ];
    let is_refused = refusals.contains(&(answer.status, answer.code()));
    assert!(answer.status == 201 || is_refused, "{}: {}", answer.status, answer.text);
    answer.status == 201
}

/// A client that does what the dice say, at whichever service they say.
async fn client(number: usize, services: [Client; 2], known: Arc<Mutex<Known>>) {
    let mut dice = Dice::new(number + 1);
    for step in 0..STEPS {
        let key = format!("{number}-{step}");
        let service = &services[dice.throw(2)];
        let account = dice.throw(ACCOUNTS.len());
        let spends = format!("/v1/accounts/{}/spends", ACCOUNTS[account]);
        let body = json!({"amount": 1 + dice.throw(60), "partial": dice.throw(4) == 0});
        match dice.throw(10) {
            0..=1 => {
                // The same key at both at once: posted once, and both are told the same.
                let (one, other) = tokio::join!(
                    services[0].post_with(&spends, &key, body.clone()),
                    services[1].post_with(&spends, &key, body)
                );
                let done = [is_done(&one), is_done(&other)];
                if done == [true, true] {
                    assert_eq!(one.text, other.text);
                    let replayed = [&one, &other].map(|a| a.header("idempotent-replayed") == "true");
                    assert!(replayed[0] != replayed[1], "{key}: posted twice or never: {replayed:?}");
                }
                if let Some(answer) = [one, other].into_iter().find(|answer| answer.status == 201) {
                    known.lock().expect("no panic").note(account, key, answer.json);
                }
            }
            2..=4 => {
                let spend = {
                    let known = known.lock().expect("no panic");
                    match known.spends.len() {
                        0 => continue,
                        // Often one of the last, which others are at as well.
                        len => known.spends[len - 1 - dice.throw(len.min(6))].clone(),
                    }
                };
                let (account, id) = (spend.0, spend.1.as_str().expect("an id").to_owned());
                let body = match dice.throw(2) {
                    0 => json!({"reason": "all of it"}),
                    _ => json!({"reason": "some of it", "amount": 1 + dice.throw(10)}),
                };
                let answer = service.post_with(&format!("/v1/spends/{id}/refunds"), &key, body).await;
                if is_done(&answer) {
                    known.lock().expect("no panic").note(account, key, answer.json);
                }
            }
            _ => {
                let answer = service.post_with(&spends, &key, body).await;
                if is_done(&answer) {
                    known.lock().expect("no panic").note(account, key, answer.json);
                }
            }
        }
    }
}

#[tokio::test]
async fn two_services_on_one_database_agree() {
    let options = database::fresh(&database::unique_name("two_processes")).await;
    let url = database::url(&options);
    let (mut first, mut second) = tokio::join!(Process::start(Data::Url(&url)), Process::start(Data::Url(&url)));
    let tenant = Tenant::make(&first.client).await;
    let services = [&first, &second].map(|p| Client::new(p.client.url.clone(), tenant.backend.key.clone()));
    let known = Arc::new(Mutex::new(Known::default()));
    for (number, account) in ACCOUNTS.into_iter().enumerate() {
        tenant.account(account).await;
        // Several, so that a spend draws from more than one and closes some. Together less than is wanted.
        for n in 0..8 {
            let key = format!("grant-{account}-{n}");
            let grant = json!({"class": "balance", "origin": "promotion", "amount": 300, "priority": n});
            let path = format!("/v1/accounts/{account}/grants");
            let answer = tenant.backend.post_with(&path, &key, grant).await.expect(201);
            known.lock().expect("no panic").note(number, key, answer);
        }
    }
    let clients = (0..CLIENTS).map(|n| tokio::spawn(client(n, services.clone(), Arc::clone(&known))));
    let ended = tokio::time::timeout(PATIENCE, join_all(clients))
        .await
        .expect("nobody is left hanging");
    for client in ended {
        client.expect("only answers that the rules give");
    }

    let known = Arc::into_inner(known)
        .expect("all ended")
        .into_inner()
        .expect("no panic");
    for (account, acknowledged) in ACCOUNTS.into_iter().zip(&known.acknowledged) {
        let books = books(&services[1], account).await;
        assert_exactly(&books, acknowledged);
        let balance = tenant.balance(account).await["available"].as_i64().expect("a number");
        assert_eq!(balance, crate::sum(&books), "{account}");
        // In the order of posting, too, no moment was overdrawn.
        let lowest = books.iter().filter_map(|t| t["available_after"].as_i64()).min();
        assert!(lowest.is_some_and(|lowest| lowest >= 0));
    }
    assert_verified(Data::Url(&url)).await;
    // Their sessions end with them, and leave their counts.
    for process in [&mut first, &mut second] {
        assert_eq!(process.terminate().await.code(), Some(0));
    }
    let mut owner = PgConnection::connect_with(&options)
        .await
        .expect("the database answers");
    let (deadlocks, commits): (i64, i64) =
        sqlx::query_as("SELECT deadlocks, xact_commit FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&mut owner)
            .await
            .expect("the statistics");
    assert_eq!(deadlocks, 0);
    assert!(commits > 0);
}
