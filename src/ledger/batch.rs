//! A batch: look, decide, store.
//!
//! Nothing is locked while a batch is decided: `store` writes it only if the accounts are still as they were looked at.
//! Where another process posts to the same accounts, that fails now and then; such a batch is done again, and those of the
//! next second at once, with the accounts locked first.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{
    LedgerError, Programs, Receipt, Submission, Work,
    agenda::Agenda,
    decided::{Decided, Posted, Unwritten},
    known_accounts::KnownAccounts,
};
use crate::{
    clock::Clock,
    domain::{
        decide::{AccountState, Action},
        ids::{IdSource, TenantId, UuidV7Source},
    },
    storage::{
        Scope, StorageError, account_states,
        batch::{self, AccountKey, Batch, Look, TenantKey},
        session::{Isolation, Session, Sessions},
        transactions,
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
    pub sessions: Sessions,
    pub session: Option<Session>,
    pub clock: Arc<dyn Clock>,
    pub programs: Arc<Programs>,
    pub ids: I,
    pub known: KnownAccounts,
    /// Until then another process is taken to post to the same accounts.
    pub contended_until: Instant,
    /// Accounts that a batch set out to store and was not heard of again: it may still be under way.
    pub uncertain: HashSet<AccountKey>,
}

/// What a batch is about, as it was found.
struct Findings {
    accounts: HashMap<AccountKey, AccountState>,
    /// What was posted under its keys before.
    posted: Posted,
    look: Look,
}

/// For how long batches lock their accounts after one was in conflict.
const CONTENDED_FOR: Duration = Duration::from_secs(1);

/// How a batch makes sure that what it decides on is of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// All accounts are known: those that it writes are found to be as they were when they are written, and the others
    /// looked at before it is answered.
    Known,
    /// What is read is read in one snapshot.
    Snapshot,
    /// The accounts are locked first: nobody can come between.
    Locks,
}

impl Care {
    fn isolation(self) -> Option<Isolation> {
        match self {
            Self::Known => None,
            Self::Snapshot => Some(Isolation::Snapshot),
            Self::Locks => Some(Isolation::ReadCommitted),
        }
    }
}

impl<I: Ids> Worker<I> {
    /// Carries out a batch: an answer for every piece of work, in their order, or an error and nothing posted.
    pub async fn run(&mut self, work: &[Work]) -> Result<Vec<Answer>, StorageError> {
        let agenda = Agenda::of(work, &self.programs).await?;
        self.forget_unless_connected();
        let mut care = self.care(&agenda);
        loop {
            match self.attempt(&agenda, care).await {
                Err(StorageError::Conflict) if care != Care::Locks => {
                    metrics::counter!("scrip_batch_conflicts_total").increment(1);
                    self.contended_until = Instant::now() + CONTENDED_FOR;
                    self.forget_unless_connected();
                    care = Care::Locks;
                }
                result => return result,
            }
        }
    }

    /// What was known over a connection that broke may not stand: the database may be another, or one from before.
    fn forget_unless_connected(&mut self) {
        if self.session.is_none() {
            self.known.forget_all();
        }
    }

    fn care(&self, agenda: &Agenda<'_>) -> Care {
        let is_known = |account: &AccountKey| self.known.has(account);
        if Instant::now() < self.contended_until {
            Care::Locks
        } else if agenda.accounts.iter().all(is_known) && !agenda.submissions().any(names_more) {
            Care::Known
        } else {
            Care::Snapshot
        }
    }

    /// On the lane's session, or a new one.
    async fn attempt(&mut self, agenda: &Agenda<'_>, care: Care) -> Result<Vec<Answer>, StorageError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.sessions.open().await?,
        };
        let result = self.attempt_on(&mut session, agenda, care).await;
        let is_intact = match &result {
            Ok(_) => true,
            Err(error) => error.is_answer() && session.roll_back().await.is_ok(),
        };
        self.session = is_intact.then_some(session);
        result
    }

    async fn attempt_on(
        &mut self,
        session: &mut Session,
        agenda: &Agenda<'_>,
        care: Care,
    ) -> Result<Vec<Answer>, StorageError> {
        session.enter(&agenda.tenants, care.isolation()).await?;
        let found = self.find(session, agenda, care).await?;
        // After the look, so that no account is ever decided on at an earlier time than before.
        let now = self.clock.now();
        let (answers, batch, unwritten) = self.decide(agenda, found, now);
        if care == Care::Known {
            confirm(session.scope(), &unwritten).await?;
        }
        self.store(session, agenda, &batch, care, now).await?;
        self.keep(agenda, batch, unwritten);
        Ok(answers)
    }

    /// What the batch is about, as it stands: looked at, known, or read.
    async fn find(&mut self, session: &mut Session, agenda: &Agenda<'_>, care: Care) -> Result<Findings, StorageError> {
        let locked = match care {
            Care::Locks => Some(batch::lock(session.scope(), &agenda.accounts).await?),
            Care::Known | Care::Snapshot => None,
        };
        let looked_at: &[AccountKey] = if care == Care::Known { &[] } else { &agenda.accounts };
        let look = batch::look(session.scope(), looked_at, &agenda.keys, &agenda.sandboxes()).await?;
        // One that was made since is not locked.
        if locked.is_some_and(|locked| locked != look.accounts.len()) {
            return Err(StorageError::Conflict);
        }
        let mut accounts = match care {
            Care::Known => self.known.take_all(&agenda.accounts),
            Care::Snapshot | Care::Locks => self.states(session.scope(), &look).await?,
        };
        #[cfg(debug_assertions)]
        super::known_accounts::compare(session, &accounts).await?;
        for submission in agenda.submissions() {
            if let Some(state) = accounts.get_mut(&submission.account) {
                load_named(session.scope(), submission, state).await?;
            }
        }
        let posted = replayable(session.scope(), &agenda.tenants, &look).await?;
        Ok(Findings { accounts, posted, look })
    }

    fn decide(
        &mut self,
        agenda: &Agenda<'_>,
        found: Findings,
        now: DateTime<Utc>,
    ) -> (Vec<Answer>, Batch, Vec<Unwritten>) {
        self.ids.tell_time(now);
        let times = agenda.times(&found.look.clocks, now);
        let mut decided = Decided::new(found.accounts, found.look.taken, found.posted, times);
        let answers = agenda
            .work
            .iter()
            .map(|work| decided.answer(work, agenda.in_force(work.account().tenant), &mut self.ids))
            .collect();
        // What is written waits for a store that may be under way, and is in its way.
        let uncertain = agenda.accounts.iter().filter(|key| self.uncertain.contains(key));
        uncertain.for_each(|account| decided.fence(account));
        let (batch, unwritten) = decided.into_batch();
        (answers, batch, unwritten)
    }

    async fn store(
        &mut self,
        session: &mut Session,
        agenda: &Agenda<'_>,
        batch: &Batch,
        care: Care,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        if !batch.heads.is_empty() {
            if !batch.is_one_statement() && care != Care::Locks {
                session.begin().await?;
                batch::lock(session.scope(), &agenda.accounts).await?;
            }
            let stored = batch.heads.iter();
            self.uncertain
                .extend(stored.map(|(tenant, state)| AccountKey::of(*tenant, state)));
            batch::store(session.scope(), batch, now).await?;
        }
        session.commit().await?;
        for account in &agenda.accounts {
            self.uncertain.remove(account);
        }
        Ok(())
    }

    /// The accounts as they stand: as they are known, or read.
    async fn states(
        &mut self,
        scope: &mut Scope,
        look: &Look,
    ) -> Result<HashMap<AccountKey, AccountState>, StorageError> {
        let mut states = HashMap::with_capacity(look.accounts.len());
        let mut unknown = Vec::new();
        for found in &look.accounts {
            match self.known.take(&found.key, found.version) {
                Some(state) => {
                    states.insert(found.key.clone(), state);
                }
                None => unknown.push((found.key.tenant, found.id)),
            }
        }
        metrics::counter!("scrip_accounts_read_total").increment(unknown.len() as u64);
        let read = account_states::read(scope, &unknown).await?;
        states.extend(
            read.into_iter()
                .map(|(tenant, state)| (AccountKey::of(tenant, &state), state)),
        );
        Ok(states)
    }

    /// Remembers those that callers use. What only a job brought up to its time would take their place.
    fn keep(&mut self, agenda: &Agenda<'_>, batch: Batch, unwritten: Vec<Unwritten>) {
        let used: HashSet<&AccountKey> = agenda.submissions().map(|submission| &submission.account).collect();
        let written = batch.heads.into_iter().map(|(tenant, mut state)| {
            state.version += 1;
            (AccountKey::of(tenant, &state), state)
        });
        let as_found = unwritten.into_iter().filter(|account| account.is_as_found);
        for (key, state) in written.chain(as_found.map(|account| (account.key, account.state))) {
            if used.contains(&key) {
                self.known.keep(key, state);
            }
        }
    }
}

/// What is refused, or only tried, is answered by what an account was known to be: it must still be that.
async fn confirm(scope: &mut Scope, unwritten: &[Unwritten]) -> Result<(), StorageError> {
    if unwritten.is_empty() {
        return Ok(());
    }
    let keys: Vec<AccountKey> = unwritten.iter().map(|account| account.key.clone()).collect();
    let look = batch::look(scope, &keys, &[], &[]).await?;
    let versions: HashMap<&AccountKey, i64> = look.accounts.iter().map(|found| (&found.key, found.version)).collect();
    let stands = |account: &Unwritten| versions.get(&account.key) == Some(&account.state.version);
    match unwritten.iter().all(stands) {
        true => Ok(()),
        false => Err(StorageError::Conflict),
    }
}

/// Whether a command names something of its account that may be closed, or a quote.
fn names_more(submission: &Submission) -> bool {
    let names_more = matches!(
        submission.command.action,
        Action::Refund(_) | Action::CaptureHold(_) | Action::VoidHold(_) | Action::ChangeSubscription(_)
    );
    names_more || submission.command.quote_id().is_some()
}

/// Adds to a command's account what the command names.
async fn load_named(
    scope: &mut Scope,
    submission: &Submission,
    account: &mut AccountState,
) -> Result<(), StorageError> {
    let tenant = submission.account.tenant;
    match &submission.command.action {
        Action::Refund(refund) => batch::load_spend(scope, tenant, account, refund.spend_id).await?,
        Action::CaptureHold(capture) => batch::load_hold(scope, tenant, account, capture.hold_id).await?,
        Action::VoidHold(void) => batch::load_hold(scope, tenant, account, void.hold_id).await?,
        Action::ChangeSubscription(change) => {
            batch::load_subscription(scope, tenant, account, change.subscription_id).await?;
        }
        _ => {}
    }
    match submission.command.quote_id() {
        Some(quote_id) => batch::load_quote(scope, tenant, account, quote_id).await,
        None => Ok(()),
    }
}

/// The transactions that carry keys of this batch already.
async fn replayable(scope: &mut Scope, tenants: &[TenantId], look: &Look) -> Result<Posted, StorageError> {
    let posted = transactions::by_ids(scope, tenants, &look.posted).await?;
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
