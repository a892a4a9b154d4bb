//! Many at once, in one service: nobody overdraws, nobody is posted twice, and a bad command fails alone.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use scrip::{
    clock::{Clock, SystemClock},
    domain::decide::{Action, Command, SpendCredits},
    ledger::{Ledger, LedgerError, Submission},
    storage::{Db, batch::AccountKey, session::Sessions},
};
use serde_json::{Value, json};

use crate::{
    Acknowledged, Dice, assert_exactly, books, spend,
    support::{Client, TestService, client::fresh_key, service::Tenant},
};

/// Grants in three classes; the answers count as acknowledged.
pub async fn fund(tenant: &Tenant, account: &str, amount: i64) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for class in ["plan", "addon", "balance"] {
        let (key, path) = (fresh_key(), format!("/v1/accounts/{account}/grants"));
        let grant = json!({"class": class, "origin": "promotion", "amount": amount});
        let answer = tenant.backend.post_with(&path, &key, grant).await.expect(201);
        acknowledged.push(Acknowledged { key, answer });
    }
    acknowledged
}

#[tokio::test]
async fn sixty_four_clients_never_overdraw_one_account() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("hot").await;
    let mut acknowledged = fund(tenant, "hot", 500).await;
    let one = |number: usize| {
        let client = tenant.backend.clone();
        async move {
            let mut dice = Dice::new(number + 1);
            let mut mine = Vec::new();
            for _ in 0..6 {
                let (key, amount, partial) = (fresh_key(), 1 + dice.throw(40), dice.throw(5) == 0);
                let body = json!({"amount": amount, "partial": partial});
                let answer = client.post_with("/v1/accounts/hot/spends", &key, body).await;
                if answer.status == 402 {
                    let refusal = answer.refused(402, "insufficient_credits");
                    assert_eq!(refusal["needed"], amount);
                    let available = refusal["available"].as_i64().expect("a number");
                    assert!(available < amount as i64 && !(partial && available > 0), "{refusal}");
                    continue;
                }
                let answer = answer.expect(201);
                let drawn = answer["drawdown"].as_array().expect("a list").iter();
                let drawn: i64 = drawn.filter_map(|d| d["amount"].as_i64()).sum();
                let taken = answer["amount"].as_i64().expect("a number");
                assert!(drawn == taken && (taken == amount as i64 || partial), "{answer}");
                mine.push(Acknowledged { key, answer });
            }
            mine
        }
    };
    let spent: Vec<_> = join_all((0..64).map(one)).await.into_iter().flatten().collect();
    assert!(spent.len() > 60, "only {} came through", spent.len());
    acknowledged.extend(spent);

    let books = books(&tenant.backend, "hot").await;
    assert_exactly(&books, &acknowledged);
    // The partial ones took the last of it.
    assert_eq!(
        (crate::sum(&books), &tenant.balance("hot").await["available"]),
        (0, &json!(0))
    );
    // Each left what the one before it had left, less its own: no two decided on the same credits.
    let mut available = 0;
    for transaction in books.iter().rev() {
        available += crate::sum(std::slice::from_ref(transaction));
        assert_eq!(transaction["available_after"], available, "{transaction}");
    }
    service.assert_books_agree(tenant).await;
}

/// What has been done to an account, by all clients.
#[derive(Default)]
struct Done {
    acknowledged: Vec<Acknowledged>,
    spends: Vec<String>,
    grants: Vec<String>,
}

/// Grants, spends, refunds and revocations as the dice say; most of what they name is named by others at the same time.
async fn mixed(number: usize, client: Client, account: String, done: Arc<Mutex<Done>>) {
    let mut dice = Dice::new(number + 1);
    for step in 0..12 {
        // The same keys for both tenants.
        let key = format!("{account}-{number}-{step}");
        let pick = |list: &[String], dice: &mut Dice| match list.len() {
            0 => None,
            len => Some(list[len - 1 - dice.throw(len.min(5))].clone()),
        };
        let (path, body) = {
            let done = done.lock().expect("no panic");
            match dice.throw(10) {
                0 => {
                    let class = ["plan", "addon", "balance"][dice.throw(3)];
                    let grant = json!({"class": class, "origin": "bonus", "amount": 1 + dice.throw(50)});
                    (format!("/v1/accounts/{account}/grants"), grant)
                }
                1 => match pick(&done.grants, &mut dice) {
                    Some(id) => (format!("/v1/grants/{id}/revoke"), json!({})),
                    None => continue,
                },
                2..=4 => match pick(&done.spends, &mut dice) {
                    Some(id) => {
                        let part = json!({"reason": "some", "amount": 1 + dice.throw(5)});
                        let body = if dice.throw(2) == 0 {
                            json!({"reason": "all"})
                        } else {
                            part
                        };
                        (format!("/v1/spends/{id}/refunds"), body)
                    }
                    None => continue,
                },
                _ => (
                    format!("/v1/accounts/{account}/spends"),
                    json!({"amount": 1 + dice.throw(20)}),
                ),
            }
        };
        let answer = client.post_with(&path, &key, body).await;
        if answer.status != 201 {
            let refusals = [402, 409, 422];
            assert!(
                refusals.contains(&answer.status) && !answer.code().is_empty(),
                "{}",
                answer.text
            );
            continue;
        }
        let mut done = done.lock().expect("no panic");
        let id = answer.json["id"].as_str().expect("an id").to_owned();
        match path.rsplit('/').next() {
            Some("grants") => done.grants.push(id),
            Some("spends") => done.spends.push(id),
            _ => {}
        }
        let answer = answer.json;
        done.acknowledged.push(Acknowledged { key, answer });
    }
}

#[tokio::test]
async fn two_tenants_with_the_same_ids_and_keys_keep_their_own_books() {
    let service = TestService::start().await;
    let other = Tenant::make(&service.operator).await;
    let mut running = Vec::new();
    let mut accounts = Vec::new();
    for (t, tenant) in [&service.tenant, &other].into_iter().enumerate() {
        for account in ["acme", "globex", "initech"] {
            tenant.account(account).await;
            let acknowledged = fund(tenant, account, 60).await;
            let done = Arc::new(Mutex::new(Done {
                acknowledged,
                ..Done::default()
            }));
            accounts.push((tenant, account, Arc::clone(&done)));
            for number in 0..8 {
                let (client, account) = (tenant.backend.clone(), account.to_owned());
                running.push(tokio::spawn(mixed(
                    number + 100 * t,
                    client,
                    account,
                    Arc::clone(&done),
                )));
            }
        }
    }
    for client in join_all(running).await {
        client.expect("only answers that the rules give");
    }
    for (tenant, account, done) in accounts {
        let books = books(&tenant.backend, account).await;
        {
            let done = done.lock().expect("no panic");
            assert_exactly(&books, &done.acknowledged);
            assert!(done.spends.len() > 10, "{}", done.spends.len());
        }
        assert_eq!(tenant.balance(account).await["available"], crate::sum(&books));
    }
    service.assert_books_agree(&service.tenant).await;
    service.assert_books_agree(&other).await;
    // Either tenant's things are not there for the other.
    let mine = books(&service.tenant.backend, "acme").await;
    let id = mine
        .iter()
        .find(|t| t["kind"] == "spend")
        .and_then(|t| t["id"].as_str())
        .expect("a spend");
    let path = format!("/v1/spends/{id}/refunds");
    other
        .backend
        .post(&path, json!({"reason": "not mine"}))
        .await
        .refused(404, "spend_not_found");
}

pub fn submission(tenant: &Tenant, account: &str, amount: i64, metadata: Option<Value>) -> Submission {
    Submission {
        account: AccountKey {
            tenant: scrip::domain::ids::TenantId(tenant.id.parse().expect("a UUID")),
            external_id: account.to_owned().try_into().expect("an id"),
        },
        command: Command {
            actor: None,
            idempotency: None,
            dry_run: false,
            action: Action::Spend(SpendCredits {
                charge: scrip::domain::decide::Charge {
                    amount: scrip::domain::credits::Amount::new(amount),
                    ..Default::default()
                },
                partial: false,
                metadata: metadata.and_then(|m| m.as_object().cloned()),
            }),
        },
        audit: None,
        event_id: None,
    }
}

#[tokio::test]
async fn one_bad_command_in_a_batch_fails_alone() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    fund(tenant, "acme", 100).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let db = Db::new(service.database.clone(), 2);
    let ledger = Ledger::start(1, &Sessions::new(service.database.clone()), &db, &clock);
    // All are waiting before the lane looks: one batch. Postgres has no place for a NUL in its JSON.
    let answers = join_all((0..50).map(|n| {
        let metadata = json!({"note": if n == 25 { "a \0" } else { "fine" }});
        ledger.submit(submission(tenant, "acme", 2, Some(metadata)))
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(receipt) => assert!(n != 25 && receipt.transaction.amount == 2 && !receipt.replayed),
            Err(error) => assert!(n == 25 && matches!(error, LedgerError::Storage(_)), "{n}: {error}"),
        }
    }
    assert_eq!(tenant.balance("acme").await["available"], 300 - 49 * 2);
    assert_eq!(books(&tenant.backend, "acme").await.len(), 3 + 49);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn what_postgres_cannot_hold_is_the_callers_mistake() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    fund(tenant, "acme", 100).await;
    let one = |n: usize| {
        let metadata = json!({"note": if n == 7 { "a \0" } else { "fine" }});
        tenant.spend("acme", json!({"amount": 1, "metadata": metadata}))
    };
    for (n, answer) in join_all((0..20).map(one)).await.into_iter().enumerate() {
        match n {
            7 => drop(answer.refused(422, "invalid_metadata")),
            _ => drop(answer.expect(201)),
        }
    }
    assert_eq!(tenant.balance("acme").await["available"], 300 - 19);
    let metadata = json!({"metadata": {"a\0": 1}});
    tenant
        .backend
        .put("/v1/accounts/globex", metadata)
        .await
        .refused(422, "invalid_metadata");
}

#[tokio::test]
async fn one_key_for_two_accounts_at_once_is_posted_once_and_refused_once() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    for account in ["acme", "globex", "initech", "umbrella"] {
        tenant.account(account).await;
        fund(tenant, account, 100).await;
    }
    for _ in 0..25 {
        let key = fresh_key();
        // The accounts are spread over the lanes, whose batches meet at the key alone.
        let answers =
            join_all(["acme", "globex", "initech", "umbrella"].map(|a| spend(&tenant.backend, a, &key, 1))).await;
        let posted = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(posted, 1);
        for answer in answers.into_iter().filter(|answer| answer.status != 201) {
            answer.refused(422, "idempotency_key_reused");
        }
    }
    service.assert_books_agree(tenant).await;
}
