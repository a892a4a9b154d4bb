//! What a lane knows of an account from its last batch: it may be old, and nothing may show of it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use chrono::{DateTime, TimeDelta, Utc};
use scrip::{
    clock::{Clock, SystemClock},
    domain::{decide::AccountState, ids::TenantId, rejection::Rejection},
    ledger::{Ledger, LedgerError},
    storage::{
        Db, StorageError, account_states,
        batch::{self, AccountKey, Batch, ChangedGrant, GrantFigures},
        session::Sessions,
    },
};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    concurrency::{fund, submission},
    eventually,
    overload::holds_somebody_up,
    support::{TestService, service::Tenant},
};

/// As in a process of its own.
fn ledger(service: &TestService) -> Ledger {
    ledger_with(service, "a ledger", Arc::new(SystemClock))
}

/// `name`: what Postgres calls its session.
fn ledger_with(service: &TestService, name: &str, clock: Arc<dyn Clock>) -> Ledger {
    let db = Db::new(service.database.clone(), 1);
    let sessions = Sessions::new(service.database.clone().application_name(name));
    Ledger::start(1, &sessions, &db, &clock)
}

/// As when a cable is pulled: the lane learns nothing of what became of its statement.
async fn break_session(owner: &mut PgConnection, name: &str) {
    let broken: i64 =
        sqlx::query_scalar("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1")
            .bind(name)
            .fetch_one(owner)
            .await
            .expect("an answer");
    assert_eq!(broken, 1);
}

/// The machine's time and some more.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::seconds(self.0.load(SeqCst))
    }
}

/// What was spent, or what was available for it.
async fn spend(ledger: &Ledger, tenant: &Tenant, amount: i64) -> Result<i64, i64> {
    match ledger.submit(submission(tenant, "acme", amount, None)).await {
        Ok(receipt) => Ok(receipt.transaction.amount),
        Err(LedgerError::Rejected(Rejection::InsufficientCredits { available, .. })) => Err(available),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_another_process_spent_is_not_spent_again() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    fund(tenant, "acme", 10).await;
    let (one, other) = (ledger(&service), ledger(&service));
    // Both know of 30, then of what they left.
    assert_eq!(spend(&one, tenant, 5).await, Ok(5));
    assert_eq!(spend(&other, tenant, 5).await, Ok(5));
    // The first still takes it for 25: what it would write is not what stands, so it looks again.
    assert_eq!(spend(&one, tenant, 20).await, Ok(20));
    // The second takes it for 20, and would spend what is gone.
    assert_eq!(spend(&other, tenant, 20).await, Err(0));
    assert_eq!(tenant.balance("acme").await["available"], 0);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn what_another_process_brought_in_is_not_refused() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    fund(tenant, "acme", 10).await;
    let ledger = ledger(&service);
    assert_eq!(spend(&ledger, tenant, 30).await, Ok(30));
    // It knows of 0, and would refuse what has come in.
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 7});
    tenant.grant("acme", grant).await;
    assert_eq!(spend(&ledger, tenant, 8).await, Err(7));
    assert_eq!(spend(&ledger, tenant, 7).await, Ok(7));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn over_a_new_connection_nothing_is_known() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 100});
    tenant.grant("acme", grant).await;
    let name = format!("new {}", tenant.id);
    let ledger = ledger_with(&service, &name, Arc::new(SystemClock));
    assert_eq!(spend(&ledger, tenant, 10).await, Ok(10));
    // A database that was restored: the version is the one that is known, the rest is not.
    let mut owner = service.owner().await;
    for sql in [
        "UPDATE grants SET remaining = 40 WHERE tenant_id = $1::text::uuid",
        "UPDATE account_heads SET credits = 40 WHERE tenant_id = $1::text::uuid",
    ] {
        let done = sqlx::query(sql).bind(&tenant.id).execute(&mut owner).await;
        done.expect("changed");
    }
    break_session(&mut owner, &name).await;
    assert_eq!(spend(&ledger, tenant, 50).await, Err(40));
    assert_eq!(spend(&ledger, tenant, 40).await, Ok(40));
}

#[tokio::test]
async fn an_account_is_still_there_when_the_connection_was_lost() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    fund(tenant, "acme", 10).await;
    let name = format!("lost {}", tenant.id);
    let ledger = ledger_with(&service, &name, Arc::new(SystemClock));
    let mut owner = service.owner().await;
    for _ in 0..3 {
        assert_eq!(spend(&ledger, tenant, 1).await, Ok(1));
        break_session(&mut owner, &name).await;
        assert_eq!(spend(&ledger, tenant, 1).await, Ok(1));
    }
    assert_eq!(tenant.balance("acme").await["available"], 24);
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn what_may_still_be_stored_is_waited_for_before_the_opposite_is_said() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let expires_at = SystemClock.now() + TimeDelta::seconds(3_600);
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 100, "expires_at": expires_at});
    tenant.grant("acme", grant).await;
    let (name, clock) = (format!("uncertain {}", tenant.id), Arc::new(Ahead::default()));
    let ledger = ledger_with(&service, &name, Arc::clone(&clock) as Arc<dyn Clock>);

    // Somebody has the account's lock, as the lost store may have it.
    let (mut owner, mut other) = (service.owner().await, service.owner().await);
    let mut lock = owner.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM account_heads WHERE tenant_id = $1::text::uuid FOR UPDATE")
        .bind(&tenant.id)
        .execute(&mut *lock)
        .await
        .expect("the lock");
    let answer = spend(&ledger, tenant, 100);
    tokio::pin!(answer);
    let waits = async |lock: &mut PgConnection| {
        eventually("the store waits for the lock", async || holds_somebody_up(lock).await).await;
    };
    tokio::select! {
        () = waits(&mut lock) => {}
        early = &mut answer => panic!("{early:?}"),
    }
    // Meanwhile the credits expire. It is refused now, but not before it is known what became of the first try.
    clock.0.store(7_200, SeqCst);
    break_session(&mut other, &name).await;
    tokio::select! {
        () = waits(&mut lock) => {}
        early = &mut answer => panic!("{early:?}"),
    }
    lock.rollback().await.expect("the lock is gone");
    assert_eq!(answer.await, Err(0));
    service.assert_books_agree(tenant).await;
}

#[tokio::test]
async fn what_is_not_as_it_was_found_is_not_written() {
    let service = TestService::start().await;
    let tenant = &service.tenant;
    tenant.account("acme").await;
    let grant = json!({"class": "balance", "origin": "promotion", "amount": 100});
    tenant.grant("acme", grant).await;
    let id = TenantId(tenant.id.parse().expect("a UUID"));
    let mut session = Sessions::new(service.database.clone()).open().await.expect("a session");
    session.enter(&[id], None).await.expect("entered");
    let key = AccountKey {
        tenant: id,
        external_id: "acme".to_owned().try_into().expect("an id"),
    };
    let look = batch::look(session.scope(), &[key], &[], &[]).await.expect("a look");
    let account = [(id, look.accounts[0].id)];
    let as_it_is = account_states::read(session.scope(), &account).await.expect("read");
    let (_, state) = &as_it_is[0];
    let batch = |version: i64, remaining: i64, held: i64| Batch {
        heads: vec![(
            id,
            AccountState {
                version,
                credits: 90,
                ..state.clone()
            },
        )],
        changed_grants: vec![ChangedGrant {
            tenant: id,
            id: state.grants[0].id,
            found: GrantFigures { remaining, held },
            left: GrantFigures { remaining: 90, held: 0 },
        }],
        ..Batch::default()
    };
    for other in [batch(2, 100, 0), batch(0, 100, 0), batch(1, 99, 0), batch(1, 100, 1)] {
        let stored = batch::store(session.scope(), &other, SystemClock.now()).await;
        assert!(matches!(stored, Err(StorageError::Conflict)), "{stored:?}");
        let still = account_states::read(session.scope(), &account).await.expect("read");
        assert!(still == as_it_is, "nothing of it was written");
    }
    let stored = batch::store(session.scope(), &batch(1, 100, 0), SystemClock.now()).await;
    stored.expect("what is as it was found");
    let (_, after) = &account_states::read(session.scope(), &account).await.expect("read")[0];
    assert_eq!((after.version, after.credits, after.grants[0].remaining), (2, 90, 90));
}
