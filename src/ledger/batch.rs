//! A batch: load, decide, store, commit.
//!
//! [`outcome`] gathers what the decisions change.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::outcome::Outcome;
use super::{LedgerError, Programs, Receipt, Submission, Work, programs::InForce};
use crate::{
    clock::Clock,
    domain::{
        decide::{Action, Context, catch_up, decide},
        ids::{AccountId, IdSource, TenantId, UuidV7Source},
        rejection::Rejection,
        tenant::Mode,
        transaction::{Idempotency, Transaction},
    },
    storage::{
        Db, Scope, StorageError, audit_log,
        batch::{self, AccountKey, Batch, Loaded, Settled, TenantKey},
        test_clocks, transactions,
    },
};

/// None: what was due was run.
pub(super) type Answer = Result<Option<Receipt>, LedgerError>;

/// A source of ids that can be told the time.
pub(super) trait Ids: IdSource + Send {
    fn tell_time(&mut self, now: DateTime<Utc>);
}

impl<R: FnMut() -> [u8; 8] + Send> Ids for UuidV7Source<R> {
    fn tell_time(&mut self, now: DateTime<Utc>) {
        UuidV7Source::tell_time(self, now);
    }
}

/// What a lane works with.
pub(super) struct Worker<I> {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub programs: Arc<Programs>,
    pub ids: I,
    /// When it last had its statements planned anew.
    pub planned_at: Instant,
}

/// For how long a lane keeps the plans of its statements.
const PLANS_LAST: Duration = Duration::from_secs(1);

impl<I: Ids> Worker<I> {
    /// Carries out a batch: an answer for every piece of work, in their order, or an error and nothing posted.
    pub async fn run(&mut self, work: &[Work]) -> Result<Vec<Answer>, StorageError> {
        let tenants: Vec<TenantId> = distinct(work.iter().map(|w| w.account().tenant));
        let mut programs = HashMap::with_capacity(tenants.len());
        for tenant in &tenants {
            programs.insert(*tenant, self.programs.in_force(*tenant).await?);
        }
        let plan_anew = self.planned_at.elapsed() >= PLANS_LAST;
        let mut scope = self.db.batch(&tenants, plan_anew).await?;
        if plan_anew {
            self.planned_at = Instant::now();
        }
        let loaded = load(&mut scope, work).await?;
        let posted = replayable(&mut scope, &tenants, &loaded).await?;
        // Looked at under the accounts' locks, so that no account is ever decided on at an earlier time than before.
        let now = self.clock.now();
        let times = times(&mut scope, &programs, now).await?;
        self.ids.tell_time(now);
        let mut decided = Decided {
            loaded,
            posted,
            times,
            caught_up: HashMap::new(),
            outcome: Outcome::default(),
        };
        let answers: Vec<Answer> = work
            .iter()
            .map(|work| decided.answer(work, &programs[&work.account().tenant], &mut self.ids))
            .collect();
        let batch = decided.into_batch();
        if batch.heads.is_empty() {
            return Ok(answers);
        }
        batch::store(&mut scope, &batch, now).await?;
        scope.commit().await?;
        Ok(answers)
    }
}

fn distinct<T: Eq + std::hash::Hash + Copy>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(*item)).collect()
}

/// The time of each tenant: the machine's, or what its test clock shows.
async fn times(
    scope: &mut Scope,
    programs: &HashMap<TenantId, Arc<InForce>>,
    now: DateTime<Utc>,
) -> Result<HashMap<TenantId, DateTime<Utc>>, StorageError> {
    let sandboxes: Vec<TenantId> = programs
        .iter()
        .filter(|(_, in_force)| in_force.mode == Mode::Sandbox)
        .map(|(tenant, _)| *tenant)
        .collect();
    let set = test_clocks::of(scope, &sandboxes).await?;
    let tenants = programs.keys();
    Ok(tenants
        .map(|tenant| (*tenant, set.get(tenant).copied().unwrap_or(now)))
        .collect())
}

/// Reads what the commands decide on; once more for each of those that name something that may be closed.
async fn load(scope: &mut Scope, work: &[Work]) -> Result<Loaded, StorageError> {
    let mut accounts: Vec<AccountKey> = work.iter().map(|w| w.account().clone()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mut keys: Vec<TenantKey> = work.iter().filter_map(key_of).collect();
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    keys.dedup();
    let mut loaded = batch::load(scope, &accounts, &keys).await?;
    for submission in work.iter().filter_map(Work::submission) {
        let tenant = submission.account.tenant;
        let Some(account) = loaded.accounts.get_mut(&submission.account) else {
            continue;
        };
        match &submission.command.action {
            Action::Refund(refund) => batch::load_spend(scope, tenant, account, refund.spend_id).await?,
            Action::CaptureHold(capture) => batch::load_hold(scope, tenant, account, capture.hold_id).await?,
            Action::VoidHold(void) => batch::load_hold(scope, tenant, account, void.hold_id).await?,
            Action::ChangeSubscription(change) => {
                batch::load_subscription(scope, tenant, account, change.subscription_id).await?;
            }
            _ => {}
        }
        if let Some(quote_id) = submission.command.quote_id() {
            batch::load_quote(scope, tenant, account, quote_id).await?;
        }
    }
    Ok(loaded)
}

fn key_of(work: &Work) -> Option<TenantKey> {
    let idempotency = work.submission()?.command.idempotency.as_ref()?;
    Some(TenantKey {
        tenant: work.account().tenant,
        key: idempotency.key.clone(),
    })
}

/// The transactions that carry keys of this batch already.
async fn replayable(
    scope: &mut Scope,
    tenants: &[TenantId],
    loaded: &Loaded,
) -> Result<HashMap<TenantKey, (AccountId, Arc<Transaction>)>, StorageError> {
    let posted = transactions::by_ids(scope, tenants, &loaded.posted).await?;
    Ok(posted
        .into_iter()
        .filter_map(|posted| {
            let key = posted.transaction.idempotency.as_ref()?.key.clone();
            Some((
                TenantKey {
                    tenant: posted.tenant,
                    key,
                },
                (posted.account_id, Arc::new(posted.transaction)),
            ))
        })
        .collect())
}

/// A batch as it is being decided.
struct Decided {
    loaded: Loaded,
    /// By key: what was posted before, and what this batch posts.
    posted: HashMap<TenantKey, (AccountId, Arc<Transaction>)>,
    times: HashMap<TenantId, DateTime<Utc>>,
    /// What fell due for an account and is not posted yet.
    caught_up: HashMap<AccountKey, Vec<Transaction>>,
    outcome: Outcome,
}

impl Decided {
    fn now(&self, tenant: TenantId) -> DateTime<Utc> {
        self.times.get(&tenant).copied().unwrap_or_default()
    }

    fn answer(&mut self, work: &Work, in_force: &InForce, ids: &mut dyn IdSource) -> Answer {
        let submission = match work {
            Work::Due(account) => return self.run_due(account, in_force, ids),
            Work::Command(submission) => submission,
        };
        if let Some(idempotency) = &submission.command.idempotency
            && let Some(answer) = self.replay(submission.account.tenant, idempotency)
        {
            return answer;
        }
        let receipt = self.post(submission, in_force, ids).map_err(LedgerError::Rejected)?;
        if submission.command.dry_run {
            return Ok(Some(receipt));
        }
        self.record_caught_up(&submission.account, receipt.account_id);
        self.record(
            &submission.account,
            receipt.account_id,
            Arc::clone(&receipt.transaction),
        );
        self.follow_up(submission, &receipt, ids);
        Ok(Some(receipt))
    }

    /// Posts what is due, and says anew when the next thing is.
    fn run_due(&mut self, account: &AccountKey, in_force: &InForce, ids: &mut dyn IdSource) -> Answer {
        self.bring_up(account, in_force, ids);
        if let Some(id) = self.loaded.accounts.get(account).map(|state| state.id) {
            self.record_caught_up(account, id);
            self.outcome.touch(account);
        }
        Ok(None)
    }

    /// The answer to a key that was seen before; none if it is new.
    fn replay(&self, tenant: TenantId, idempotency: &Idempotency) -> Option<Answer> {
        let key = TenantKey {
            tenant,
            key: idempotency.key.clone(),
        };
        let reused = || {
            LedgerError::Rejected(Rejection::IdempotencyKeyReused {
                idempotency_key: key.key.clone(),
            })
        };
        if self.loaded.taken.contains(&key) {
            return Some(Err(reused()));
        }
        let (account_id, transaction) = self.posted.get(&key)?;
        let same = transaction
            .idempotency
            .as_ref()
            .is_some_and(|i| i.request_hash == idempotency.request_hash);
        Some(if same {
            Ok(Some(Receipt {
                account_id: *account_id,
                transaction: Arc::clone(transaction),
                replayed: true,
            }))
        } else {
            Err(reused())
        })
    }

    /// Brings the account up to the tenant's time. What that posts waits for the first command that posts anything: if none
    /// does, it is not posted, and falls due again.
    fn bring_up(&mut self, account: &AccountKey, in_force: &InForce, ids: &mut dyn IdSource) {
        let now = self.now(account.tenant);
        let Some(state) = self.loaded.accounts.get_mut(account) else {
            return;
        };
        let due = catch_up(state, now, &in_force.history, ids);
        if !due.is_empty() {
            self.caught_up.entry(account.clone()).or_default().extend(due);
        }
    }

    /// Decides a command on its account as the batch has left it, and carries it out there.
    fn post(
        &mut self,
        submission: &Submission,
        in_force: &InForce,
        ids: &mut dyn IdSource,
    ) -> Result<Receipt, Rejection> {
        self.bring_up(&submission.account, in_force, ids);
        let now = self.now(submission.account.tenant);
        let account_id = submission.account.external_id.as_str().to_owned();
        let state = self
            .loaded
            .accounts
            .get_mut(&submission.account)
            .ok_or(Rejection::AccountNotFound { account_id })?;
        let (program, program_version) = in_force.history.at(now);
        let mut context = Context {
            now,
            booked_at: now,
            program,
            program_version,
            ids,
        };
        let transaction = decide(state, &submission.command, &mut context)?;
        if !submission.command.dry_run {
            state.apply(&transaction, now);
        }
        Ok(Receipt {
            account_id: state.id,
            transaction: Arc::new(transaction),
            replayed: false,
        })
    }

    fn record_caught_up(&mut self, account: &AccountKey, account_id: AccountId) {
        for transaction in self.caught_up.remove(account).unwrap_or_default() {
            self.record(account, account_id, Arc::new(transaction));
        }
    }

    fn record(&mut self, account: &AccountKey, account_id: AccountId, transaction: Arc<Transaction>) {
        if let Some(idempotency) = &transaction.idempotency {
            let key = TenantKey {
                tenant: account.tenant,
                key: idempotency.key.clone(),
            };
            self.posted.insert(key, (account_id, Arc::clone(&transaction)));
        }
        self.outcome.record(account, account_id, transaction);
    }

    /// What else belongs into the posting's transaction: the audit log, and a purchase's own row.
    fn follow_up(&mut self, submission: &Submission, receipt: &Receipt, ids: &mut dyn IdSource) {
        let tenant = submission.account.tenant;
        let transaction = &receipt.transaction;
        if let (Some(audit), Some(actor_id)) = (&submission.audit, transaction.actor) {
            let record = audit_log::Record {
                id: ids.next(),
                at: self.now(tenant),
                actor_id,
                actor_name: audit.actor_name.clone(),
                action: audit.action.to_owned(),
                account_id: Some(receipt.account_id),
                transaction_id: Some(transaction.id),
                reason: transaction.reason.clone().unwrap_or_default(),
                ticket: transaction.detail.ticket.clone(),
                detail: None,
            };
            self.outcome.batch.audits.push((tenant, record));
        }
        if let Action::CreditTopUp(credit) = &submission.command.action {
            let settled = transaction.new_grants.iter().map(|grant| Settled {
                tenant,
                top_up_id: credit.top_up.id,
                grant_id: grant.id,
                credited_at: transaction.created_at,
                event_id: submission.event_id.clone(),
            });
            self.outcome.batch.settled.extend(settled);
        }
    }

    fn into_batch(self) -> Batch {
        let times = self.times;
        let now = |tenant: TenantId| times.get(&tenant).copied().unwrap_or_default();
        self.outcome.into_batch(self.loaded.accounts, now)
    }
}
