//! Due work shared by two services: everything that falls due is posted once, dated at its instant, while spends go on at
//! the same accounts.

use chrono::{DateTime, Months, SecondsFormat, TimeDelta, Utc};
use futures_util::future::join_all;
use scrip::clock::{Clock, SystemClock};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    assert_verified, books, eventually, spend,
    support::{
        Client, database,
        process::{Data, Process},
        service::Tenant,
    },
};

const ACCOUNTS: usize = 200;
/// Enough to make and subscribe the accounts before the instant comes.
const SET_UP: TimeDelta = TimeDelta::seconds(8);

fn name(account: usize) -> String {
    format!("account-{account}")
}

async fn waiting(owner: &mut PgConnection, due: DateTime<Utc>) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM account_due WHERE due_at <= $1")
        .bind(due)
        .fetch_one(owner)
        .await
        .expect("a count")
}

#[tokio::test]
async fn two_services_renew_each_subscription_once_while_spends_go_on() {
    let options = database::fresh(&database::unique_name("due_work")).await;
    let url = database::url(&options);
    let (mut first, mut second) = tokio::join!(Process::start(Data::Url(&url)), Process::start(Data::Url(&url)));
    let mut owner = PgConnection::connect_with(&options)
        .await
        .expect("the database answers");
    let tenant = Tenant::make(&first.client).await;
    let services = [&first, &second].map(|p| Client::new(p.client.url.clone(), tenant.backend.key.clone()));
    let program = json!({"unit": {"name": "credits"}, "plans": {"pro": {"allowance": 100}}});
    tenant.admin.put("/v1/program", program).await.expect(200);

    let due = SystemClock.now() + SET_UP;
    let anchor = due.checked_sub_months(Months::new(1)).expect("a date");
    let subscribe = json!({"plan": "pro", "anchor": anchor});
    for accounts in (0..ACCOUNTS).collect::<Vec<_>>().chunks(20) {
        join_all(accounts.iter().map(async |account| {
            let account = name(*account);
            tenant.account(&account).await;
            let path = format!("/v1/accounts/{account}/subscriptions");
            tenant.backend.post(&path, subscribe.clone()).await.expect(201);
        }))
        .await;
    }
    assert!(SystemClock.now() < due, "the machine is too slow for this test");
    assert_eq!(waiting(&mut owner, due).await, ACCOUNTS as i64);
    tokio::time::sleep((due - SystemClock.now()).to_std().unwrap_or_default()).await;

    // A fifth of the accounts spend at both services in the very moments in which their renewal is due.
    let spends = (0..ACCOUNTS / 5).flat_map(|account| [(account, 0), (account, 1)]);
    let spends = spends.map(|(account, service)| {
        let client = services[service].clone();
        async move {
            spend(&client, &name(account), &format!("{account}-{service}"), 30)
                .await
                .expect(201)
        }
    });
    join_all(spends).await;
    eventually("all are renewed", async || waiting(&mut owner, due).await == 0).await;

    let at = due.to_rfc3339_opts(SecondsFormat::Micros, true);
    for account in 0..ACCOUNTS {
        let books = books(&services[account % 2], &name(account)).await;
        let of = |kind: &str| books.iter().filter(|t| t["kind"] == kind).collect::<Vec<_>>();
        assert_eq!((of("renewal").len(), of("expiry").len()), (1, 1), "{books:?}");
        for transaction in [of("renewal")[0], of("expiry")[0]] {
            let effective: DateTime<Utc> = transaction["effective_at"]
                .as_str()
                .expect("a time")
                .parse()
                .expect("a time");
            assert_eq!((effective, &transaction["amount"]), (due, &json!(100)), "{at}");
        }
        let left = if account < ACCOUNTS / 5 { 40 } else { 100 };
        assert_eq!(tenant.balance(&name(account)).await["available"], left);
    }
    assert_verified(Data::Url(&url)).await;
    for process in [&mut first, &mut second] {
        assert_eq!(process.terminate().await.code(), Some(0));
    }
}
