//! Deciding a batch, command by command, each on what those before it left. Nothing here waits for anything.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{LedgerError, Receipt, Submission, Work, batch::Answer, outcome::Outcome, programs::InForce};
use crate::{
    domain::{
        decide::{AccountState, Action, Context, catch_up, decide},
        ids::{AccountId, IdSource, TenantId},
        rejection::Rejection,
        transaction::{Idempotency, Transaction},
    },
    storage::{
        audit_log,
        batch::{AccountKey, Batch, Settled, TenantKey},
    },
};

/// Transactions by their keys, and whose they are.
pub(super) type Posted = HashMap<TenantKey, (AccountId, Arc<Transaction>)>;

/// A batch as it is being decided.
pub(super) struct Decided {
    /// As the batch has left them so far.
    accounts: HashMap<AccountKey, AccountState>,
    /// Keys that came with a request that posts nothing.
    taken: HashSet<TenantKey>,
    /// By key: what was posted before, and what this batch posts.
    posted: Posted,
    times: HashMap<TenantId, DateTime<Utc>>,
    /// What fell due for an account and is not posted yet.
    caught_up: HashMap<AccountKey, Vec<Transaction>>,
    outcome: Outcome,
}

impl Decided {
    pub fn new(
        accounts: HashMap<AccountKey, AccountState>,
        taken: HashSet<TenantKey>,
        posted: Posted,
        times: HashMap<TenantId, DateTime<Utc>>,
    ) -> Self {
        Self {
            accounts,
            taken,
            posted,
            times,
            caught_up: HashMap::new(),
            outcome: Outcome::default(),
        }
    }

    fn now(&self, tenant: TenantId) -> DateTime<Utc> {
        self.times.get(&tenant).copied().unwrap_or_default()
    }

    pub fn answer(&mut self, work: &Work, in_force: &InForce, ids: &mut dyn IdSource) -> Answer {
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
        if let Some(id) = self.accounts.get(account).map(|state| state.id) {
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
        if self.taken.contains(&key) {
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
        let Some(state) = self.accounts.get_mut(account) else {
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

    /// The account is written whatever became of its commands.
    pub fn fence(&mut self, account: &AccountKey) {
        if self.accounts.contains_key(account) {
            self.outcome.touch(account);
        }
    }

    /// What is to be written, and the accounts that are not.
    pub fn into_batch(mut self) -> (Batch, Vec<Unwritten>) {
        // What fell due before a command that was refused, or only tried, shows in an account that others have changed.
        let pending = self.caught_up.keys().filter(|key| self.outcome.touches(key));
        for key in pending.cloned().collect::<Vec<_>>() {
            if let Some(id) = self.accounts.get(&key).map(|state| state.id) {
                self.record_caught_up(&key, id);
            }
        }
        let times = self.times;
        let now = |tenant: TenantId| times.get(&tenant).copied().unwrap_or_default();
        let mut accounts = self.accounts;
        let batch = self.outcome.into_batch(&mut accounts, now);
        let unwritten = accounts.into_iter().map(|(key, state)| Unwritten {
            is_as_found: !self.caught_up.contains_key(&key),
            key,
            state,
        });
        (batch, unwritten.collect())
    }
}

/// An account that the batch leaves as it was in the database.
pub(super) struct Unwritten {
    pub key: AccountKey,
    pub state: AccountState,
    /// What fell due for it and was not posted shows in it all the same.
    pub is_as_found: bool,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        account::ExternalId,
        credits::Amount,
        decide::{Charge, Command, GrantCredits, SpendCredits},
        grant::{Class, Origin},
        ids::Counted,
        program::ProgramHistory,
        tenant::Mode,
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn key() -> AccountKey {
        AccountKey {
            tenant: TenantId(Uuid::nil()),
            external_id: ExternalId::try_from("acme".to_owned()).expect("an id"),
        }
    }

    fn work(action: Action, dry_run: bool) -> Work {
        Work::Command(Box::new(Submission {
            account: key(),
            command: Command {
                actor: None,
                idempotency: None,
                dry_run,
                action,
            },
            audit: None,
            event_id: None,
        }))
    }

    fn grant_until(expires_at: &str) -> Action {
        Action::Grant(GrantCredits {
            class: Class::Balance,
            origin: Origin::Promotion,
            amount: Amount::new(100).expect("in range"),
            priority: 0,
            effective_at: Some(at("2026-01-01T00:00:00Z")),
            expires_at: Some(at(expires_at)),
            applies_to: None,
            paid: None,
            reason: None,
        })
    }

    fn spend(amount: i64) -> Action {
        Action::Spend(SpendCredits {
            charge: Charge {
                amount: Amount::new(amount),
                ..Charge::default()
            },
            partial: false,
            metadata: None,
        })
    }

    /// The batch that comes of `work` on an account for which something has fallen due, and the accounts it leaves.
    fn decided(work: &[Work]) -> (Batch, Vec<Unwritten>) {
        let mut state = AccountState::empty(AccountId(Uuid::from_u128(0xacc0)), key().external_id);
        state.due_at = Some(at("2026-02-01T00:00:00Z"));
        let times = HashMap::from([(key().tenant, at("2026-03-01T00:00:00Z"))]);
        let in_force = InForce {
            mode: Mode::Live,
            history: ProgramHistory::default(),
        };
        let accounts = HashMap::from([(key(), state)]);
        let mut decided = Decided::new(accounts, HashSet::new(), Posted::new(), times);
        let mut ids = Counted::default();
        for work in work {
            let _ = decided.answer(work, &in_force, &mut ids);
        }
        decided.into_batch()
    }

    fn moved(batch: &Batch) -> i64 {
        let entries = batch.transactions.iter().flat_map(|(.., t)| &t.entries);
        entries.map(crate::domain::entry::Entry::effect).sum()
    }

    #[test]
    fn what_fell_due_before_a_refused_command_is_posted_if_the_account_is_written() {
        // A grant of the past, then a command before which it expires, and which writes nothing itself.
        for silent in [
            work(spend(1), false),
            work(spend(0), true),
            work(grant_until("2027-01-01T00:00:00Z"), true),
        ] {
            let (batch, unwritten) = decided(&[work(grant_until("2026-02-01T00:00:00Z"), false), silent]);
            assert_eq!((batch.heads.len(), unwritten.len()), (1, 0));
            assert_eq!(batch.heads[0].1.credits, 0);
            assert_eq!(batch.transactions.len(), 2, "the grant and its expiry");
            assert_eq!(moved(&batch), 0, "the entries say what the head says");
        }
    }

    #[test]
    fn what_fell_due_before_a_refused_command_waits_if_nothing_is_written() {
        let (batch, unwritten) = decided(&[work(spend(1), false)]);
        assert_eq!((batch.heads.len(), batch.transactions.len()), (0, 0));
        assert!(unwritten[0].is_as_found);
    }
}
