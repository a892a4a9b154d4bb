//! A batch: load, decide, store, commit.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{LedgerError, Programs, Receipt, Submission, programs::InForce};
use crate::{
    clock::Clock,
    domain::{
        decide::{Action, Context, decide, sweep},
        ids::{AccountId, GrantId, IdSource, TenantId, UuidV7Source},
        rejection::Rejection,
        transaction::{Idempotency, Transaction},
    },
    storage::{
        Db, Scope, StorageError, audit_log,
        batch::{self, AccountKey, Batch, Loaded, Settled, TenantKey},
        transactions,
    },
};

pub(super) type Answer = Result<Receipt, LedgerError>;

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
}

impl<I: Ids> Worker<I> {
    /// Carries out a batch: an answer for every submission, in their order, or an error and nothing posted.
    pub async fn run(&mut self, submissions: &[Submission]) -> Result<Vec<Answer>, StorageError> {
        let tenants: Vec<TenantId> = distinct(submissions.iter().map(|s| s.account.tenant));
        let mut programs = HashMap::with_capacity(tenants.len());
        for tenant in &tenants {
            programs.insert(*tenant, self.programs.in_force(*tenant).await?);
        }
        let mut scope = self.db.tenants(&tenants).await?;
        let loaded = load(&mut scope, submissions).await?;
        let posted = replayable(&mut scope, &tenants, &loaded).await?;

        let now = self.clock.now();
        self.ids.tell_time(now);
        let mut decided = Decided {
            loaded,
            posted,
            now,
            batch: Batch::default(),
            expiries: HashMap::new(),
            touched: HashMap::new(),
        };
        let answers: Vec<Answer> = submissions
            .iter()
            .map(|submission| decided.answer(submission, &programs[&submission.account.tenant], &mut self.ids))
            .collect();
        let batch = decided.into_batch();
        if batch.transactions.is_empty() {
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

/// Reads what the commands decide on; a second time only for refunds, which name a spend.
async fn load(scope: &mut Scope, submissions: &[Submission]) -> Result<Loaded, StorageError> {
    let mut accounts: Vec<AccountKey> = submissions.iter().map(|s| s.account.clone()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mut keys: Vec<TenantKey> = submissions.iter().filter_map(key_of).collect();
    keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    keys.dedup();
    let mut loaded = batch::load(scope, &accounts, &keys).await?;
    for submission in submissions {
        if let Action::Refund(refund) = &submission.command.action
            && let Some(account) = loaded.accounts.get_mut(&submission.account)
        {
            batch::load_spends(scope, submission.account.tenant, account, refund.spend_id).await?;
        }
    }
    Ok(loaded)
}

fn key_of(submission: &Submission) -> Option<TenantKey> {
    let idempotency = submission.command.idempotency.as_ref()?;
    Some(TenantKey {
        tenant: submission.account.tenant,
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
    now: DateTime<Utc>,
    batch: Batch,
    /// What was swept from an account and is not posted yet.
    expiries: HashMap<AccountKey, Vec<Transaction>>,
    /// The accounts that something is posted to, and the grants that existed before and change.
    touched: HashMap<AccountKey, HashSet<GrantId>>,
}

impl Decided {
    fn answer(&mut self, submission: &Submission, program: &InForce, ids: &mut dyn IdSource) -> Answer {
        if let Some(idempotency) = &submission.command.idempotency
            && let Some(answer) = self.replay(submission.account.tenant, idempotency)
        {
            return answer;
        }
        let (receipt, expiries) = self.post(submission, program, ids).map_err(LedgerError::Rejected)?;
        if submission.command.dry_run {
            return Ok(receipt);
        }
        for expiry in expiries {
            self.record(submission, receipt.account_id, Arc::new(expiry));
        }
        self.record(submission, receipt.account_id, Arc::clone(&receipt.transaction));
        self.follow_up(submission, &receipt, ids);
        Ok(receipt)
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
            Ok(Receipt {
                account_id: *account_id,
                transaction: Arc::clone(transaction),
                replayed: true,
            })
        } else {
            Err(reused())
        })
    }

    /// Decides a command on its account as the batch has left it, and carries it out there. Expired grants are swept first,
    /// once a batch; their expiries are posted with the first command that posts anything, and if none does, not at all.
    fn post(
        &mut self,
        submission: &Submission,
        program: &InForce,
        ids: &mut dyn IdSource,
    ) -> Result<(Receipt, Vec<Transaction>), Rejection> {
        let account_id = submission.account.external_id.as_str().to_owned();
        let state = self
            .loaded
            .accounts
            .get_mut(&submission.account)
            .ok_or(Rejection::AccountNotFound { account_id })?;
        let mut context = Context {
            now: self.now,
            program: &program.program,
            program_version: program.version,
            ids,
        };
        let expiries = self.expiries.entry(submission.account.clone()).or_default();
        expiries.extend(sweep(state, &mut context));
        let transaction = decide(state, &submission.command, &mut context)?;
        let mut posted_first = Vec::new();
        if !submission.command.dry_run {
            state.apply(&transaction);
            posted_first = std::mem::take(expiries);
        }
        let receipt = Receipt {
            account_id: state.id,
            transaction: Arc::new(transaction),
            replayed: false,
        };
        Ok((receipt, posted_first))
    }

    fn record(&mut self, submission: &Submission, account_id: AccountId, transaction: Arc<Transaction>) {
        let tenant = submission.account.tenant;
        let changed = self.touched.entry(submission.account.clone()).or_default();
        changed.extend(transaction.entries.iter().map(|entry| entry.grant_id));
        for grant in &transaction.new_grants {
            self.batch.new_grants.push((tenant, account_id, grant.clone()));
        }
        if let Some(idempotency) = &transaction.idempotency {
            let key = TenantKey {
                tenant,
                key: idempotency.key.clone(),
            };
            self.posted.insert(key, (account_id, Arc::clone(&transaction)));
        }
        self.batch.transactions.push((tenant, account_id, transaction));
    }

    /// What else belongs into the posting's transaction: the audit log, and a purchase's own row.
    fn follow_up(&mut self, submission: &Submission, receipt: &Receipt, ids: &mut dyn IdSource) {
        let tenant = submission.account.tenant;
        let transaction = &receipt.transaction;
        if let (Some(audit), Some(actor_id)) = (&submission.audit, transaction.actor) {
            let record = audit_log::Record {
                id: ids.next(),
                at: self.now,
                actor_id,
                actor_name: audit.actor_name.clone(),
                action: audit.action.to_owned(),
                account_id: Some(receipt.account_id),
                transaction_id: Some(transaction.id),
                reason: transaction.reason.clone().unwrap_or_default(),
                ticket: transaction.detail.ticket.clone(),
                detail: None,
            };
            self.batch.audits.push((tenant, record));
        }
        if let Action::CreditTopUp(credit) = &submission.command.action {
            self.batch
                .settled
                .extend(transaction.new_grants.iter().map(|grant| Settled {
                    tenant,
                    top_up_id: credit.top_up.id,
                    grant_id: grant.id,
                    event_id: submission.event_id.clone(),
                }));
        }
    }

    /// The rows to be written: every account, and every grant, once, as the batch leaves it.
    fn into_batch(mut self) -> Batch {
        let made: HashSet<GrantId> = self.batch.new_grants.iter().map(|(.., grant)| grant.id).collect();
        let mut made_remaining = HashMap::with_capacity(made.len());
        for (key, changed) in self.touched {
            let Some(state) = self.loaded.accounts.remove(&key) else {
                continue;
            };
            for grant in state.grants.iter().filter(|g| changed.contains(&g.id)) {
                if made.contains(&grant.id) {
                    made_remaining.insert(grant.id, grant.remaining);
                } else {
                    self.batch.changed_grants.push((key.tenant, grant.id, grant.remaining));
                }
            }
            self.batch.heads.push((key.tenant, state));
        }
        for (.., grant) in &mut self.batch.new_grants {
            grant.remaining = made_remaining.get(&grant.id).copied().unwrap_or(grant.remaining);
        }
        self.batch
    }
}
