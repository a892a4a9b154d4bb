//! The inbox: Stripe's events, kept as they come and worked off once each.
//!
//! Any number of processes share it: an event is claimed with a lease, and what it credits is fenced by the top-up's own
//! idempotency key and a unique key on its grant, so that neither a repeat of the event nor another event about the same
//! purchase credits it twice.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    event::{CheckoutMode, CheckoutSession, CheckoutStep, Effect, Event, PaymentIntent, PaymentIntentStep},
    purchase::{self, Verdict},
};
use crate::{
    clock::Clock,
    domain::{
        decide::{Action, Command, CreditTopUp},
        ids::{TenantId, TopUpId},
        top_up::{Status, TopUp},
        transaction::Idempotency,
    },
    ledger::{Ledger, LedgerError, Submission},
    storage::{
        Db, Scope, StorageError, accounts,
        batch::AccountKey,
        stripe_events::{self, DueEvent, NewEvent, State},
        stripe_settings, tenants, top_ups,
    },
};

/// How long a claimed event belongs to its worker.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Events claimed at once.
const CLAIM_LEN_MAX: i64 = 50;
/// Pause before a parked event is tried again, and for how long that goes on.
const PARKED_FOR: TimeDelta = TimeDelta::seconds(30);
const PARKED_AT_MOST: TimeDelta = TimeDelta::days(3);
/// How often all tenants are looked through, for events that a process left behind when it died.
const ROUND: Duration = Duration::from_secs(15);
/// Tenants looked through in one statement's scope.
const ROUND_TENANTS: i64 = 200;
/// Tenants that can wait for the worker; beyond, the next round finds them.
const WAITING_MAX: usize = 1024;

/// The way into the inbox.
pub struct Inbox {
    db: Db,
    clock: Arc<dyn Clock>,
    arrived: mpsc::Sender<TenantId>,
}

/// What came of keeping an event.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Inbox {
    /// Starts the worker. It ends, after the event it is at, when `stop` turns true.
    pub fn start(
        db: Db,
        clock: Arc<dyn Clock>,
        ledger: Arc<Ledger>,
        stop: watch::Receiver<bool>,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let (arrived, arrivals) = mpsc::channel(WAITING_MAX);
        let worker = Worker {
            db: db.clone(),
            clock: Arc::clone(&clock),
            ledger,
            again: arrived.clone(),
            stop,
        };
        let handle = tokio::spawn(worker.run(arrivals));
        (Arc::new(Self { db, clock, arrived }), handle)
    }

    /// Keeps a verified event and wakes the worker. An event that came before is not kept twice.
    pub async fn keep(&self, tenant: TenantId, event: &NewEvent<'_>) -> Result<(), StorageError> {
        let mut scope = self.db.tenant(tenant).await?;
        stripe_events::insert(&mut scope, tenant, event, self.clock.now()).await?;
        scope.commit().await?;
        // Full: the next round finds it.
        let _ = self.arrived.try_send(tenant);
        Ok(())
    }
}

struct Worker {
    db: Db,
    clock: Arc<dyn Clock>,
    ledger: Arc<Ledger>,
    /// For a tenant that has more to do: it goes behind the others that wait.
    again: mpsc::Sender<TenantId>,
    stop: watch::Receiver<bool>,
}

/// What is to be written about an event once it is worked off.
struct Finding {
    state: State,
    note: Option<String>,
}

impl Finding {
    fn new(state: State, note: impl Into<String>) -> Self {
        Self {
            state,
            note: Some(note.into()),
        }
    }
}

impl Worker {
    async fn run(self, mut arrivals: mpsc::Receiver<TenantId>) {
        let mut stop = self.stop.clone();
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                _ = stop.changed() => return,
                _ = round.tick() => self.look_through_all().await,
                Some(tenant) = arrivals.recv() => self.work_off(tenant).await,
            };
            if let Err(error) = result {
                tracing::warn!(%error, "inbox.interrupted");
            }
        }
    }

    async fn look_through_all(&self) -> Result<(), InboxError> {
        let mut after = None;
        loop {
            let mut scope = self.db.operator().await?;
            let page = tenants::list(&mut scope, after, ROUND_TENANTS).await?;
            scope.commit().await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let ids: Vec<TenantId> = page.iter().map(|tenant| tenant.id).collect();
            let mut scope = self.db.tenants(&ids).await?;
            let due = stripe_events::tenants_with_due(&mut scope, &ids, self.clock.now()).await?;
            scope.commit().await?;
            for tenant in due {
                if self.is_stopping() {
                    return Ok(());
                }
                self.work_off(tenant).await?;
            }
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Works off what is due for a tenant: so much of it that no other waits long. An event that is claimed and not worked
    /// off, because the service stops, is due again when its lease ends.
    async fn work_off(&self, tenant: TenantId) -> Result<(), InboxError> {
        let now = self.clock.now();
        let mut scope = self.db.tenant(tenant).await?;
        let due = stripe_events::claim_due(&mut scope, tenant, now, now + LEASE, CLAIM_LEN_MAX).await?;
        scope.commit().await?;
        for event in &due {
            if self.is_stopping() {
                return Ok(());
            }
            // An event that fails stays leased and is due again when the lease ends; the others go on.
            if let Err(error) = self.settle(tenant, event).await {
                tracing::warn!(tenant.id = %tenant, stripe.event_id = event.event_id, attempts = event.attempts, %error, "inbox.event.failed");
            }
        }
        if due.len() == CLAIM_LEN_MAX as usize {
            let _ = self.again.try_send(tenant); // Full: the next round finds it.
        }
        Ok(())
    }

    async fn settle(&self, tenant: TenantId, due: &DueEvent) -> Result<(), InboxError> {
        let finding = self.judge(tenant, due).await?;
        let now = self.clock.now();
        let mut scope = self.db.tenant(tenant).await?;
        let note = finding.note.as_deref();
        match finding.state {
            State::Parked if now - due.received_at < PARKED_AT_MOST => {
                stripe_events::park(
                    &mut scope,
                    tenant,
                    &due.event_id,
                    note.unwrap_or_default(),
                    now + PARKED_FOR,
                )
                .await?;
            }
            State::Parked => {
                stripe_events::finish(&mut scope, tenant, &due.event_id, State::Quarantined, note, now).await?;
            }
            state => stripe_events::finish(&mut scope, tenant, &due.event_id, state, note, now).await?,
        }
        scope.commit().await?;
        metrics::counter!("scrip_stripe_events_total", "state" => finding.state.as_str()).increment(1);
        if finding.state == State::Quarantined {
            tracing::error!(tenant.id = %tenant, stripe.event_id = due.event_id, note, "inbox.event.quarantined");
        }
        Ok(())
    }

    async fn judge(&self, tenant: TenantId, due: &DueEvent) -> Result<Finding, InboxError> {
        let event = match Event::parse(&due.payload) {
            Ok(event) => event,
            Err(error) => return Ok(Finding::new(State::Quarantined, error.to_string())),
        };
        let mut scope = self.db.tenant(tenant).await?;
        let settings = stripe_settings::get(&mut scope, tenant).await?;
        scope.commit().await?;
        if settings.is_none_or(|settings| settings.livemode != event.livemode) {
            return Ok(Finding::new(
                State::Quarantined,
                "the event's livemode is not the tenant's",
            ));
        }
        match event.effect {
            Effect::Checkout { step, session } => self.checkout(tenant, due, step, &session).await,
            Effect::PaymentIntent { step, intent } => self.payment_intent(tenant, due, step, &intent).await,
            Effect::Ignored => Ok(Finding::new(State::Ignored, "another event says the same")),
            Effect::Unknown => Ok(Finding::new(State::Ignored, "Scrip does nothing on this type")),
            Effect::Thin { .. } => Ok(Finding::new(
                State::Ignored,
                "a thin event: send this endpoint snapshot events",
            )),
            Effect::Unreadable(error) => Ok(Finding::new(State::Quarantined, error.to_string())),
        }
    }

    async fn checkout(
        &self,
        tenant: TenantId,
        due: &DueEvent,
        step: CheckoutStep,
        session: &CheckoutSession,
    ) -> Result<Finding, InboxError> {
        let reference = session
            .client_reference_id
            .as_deref()
            .and_then(|id| uuid::Uuid::try_parse(id).ok());
        let claimed = session.top_up_id.or(reference);
        let mut scope = self.db.tenant(tenant).await?;
        let row = match claimed {
            Some(id) => top_ups::by_id(&mut scope, tenant, TopUpId(id)).await?,
            None => top_ups::by_session(&mut scope, tenant, &session.id).await?,
        };
        let Some(row) = row else {
            scope.commit().await?;
            return Ok(unknown(
                session.top_up_id.is_some() && session.mode == CheckoutMode::Payment,
            ));
        };
        let verdict = purchase::of_session(step, session, &row);
        self.carry_out(
            scope,
            tenant,
            due,
            row,
            verdict,
            Some(&session.id),
            session.payment_intent.as_deref(),
        )
        .await
    }

    async fn payment_intent(
        &self,
        tenant: TenantId,
        due: &DueEvent,
        step: PaymentIntentStep,
        intent: &PaymentIntent,
    ) -> Result<Finding, InboxError> {
        let mut scope = self.db.tenant(tenant).await?;
        let row = match top_ups::by_payment_intent(&mut scope, tenant, &intent.id).await? {
            None if intent.top_up_id.is_some() => {
                top_ups::by_id(&mut scope, tenant, TopUpId(intent.top_up_id.unwrap_or_default())).await?
            }
            row => row,
        };
        let Some(row) = row else {
            scope.commit().await?;
            return Ok(unknown(intent.top_up_id.is_some()));
        };
        let verdict = purchase::of_intent(step, intent, &row);
        self.carry_out(scope, tenant, due, row, verdict, None, Some(&intent.id))
            .await
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one event, its row, and the two ids it may bring"
    )]
    async fn carry_out(
        &self,
        mut scope: Scope,
        tenant: TenantId,
        due: &DueEvent,
        row: TopUp,
        verdict: Verdict,
        session_id: Option<&str>,
        payment_intent_id: Option<&str>,
    ) -> Result<Finding, InboxError> {
        let now = self.clock.now();
        let verdict = if due.livemode == row.livemode {
            verdict
        } else {
            Verdict::Contradiction("the event's livemode is not the purchase's".to_owned())
        };
        if !matches!(verdict, Verdict::Contradiction(_) | Verdict::Nothing(_)) {
            let linked = top_ups::link(&mut scope, tenant, row.id, session_id, payment_intent_id, now).await;
            match linked {
                Err(StorageError::Constraint { .. }) => {
                    return Ok(Finding::new(
                        State::Quarantined,
                        "the payment belongs to another top-up",
                    ));
                }
                linked => linked?,
            }
        }
        let finding = match verdict {
            Verdict::Credit => {
                scope.commit().await?;
                return self.credit(tenant, due, row).await;
            }
            Verdict::Processing => {
                top_ups::set_status(&mut scope, tenant, row.id, Status::Processing, None, now).await?;
                Finding::new(State::Done, "the money is under way")
            }
            Verdict::Fail(why) => {
                top_ups::set_status(&mut scope, tenant, row.id, Status::Failed, Some(why), now).await?;
                Finding::new(State::Done, why)
            }
            Verdict::Expire => {
                top_ups::set_status(&mut scope, tenant, row.id, Status::Expired, None, now).await?;
                Finding::new(State::Done, "the checkout lapsed unpaid")
            }
            Verdict::Nothing(why) => Finding::new(State::Done, why),
            Verdict::Contradiction(how) => Finding::new(State::Quarantined, how),
        };
        scope.commit().await?;
        Ok(finding)
    }

    /// Sends the credit down the one write path. The key is the top-up's, not the event's: whatever events tell of it, it
    /// is credited once.
    async fn credit(&self, tenant: TenantId, due: &DueEvent, row: TopUp) -> Result<Finding, InboxError> {
        let mut scope = self.db.tenant(tenant).await?;
        let account = accounts::external_id(&mut scope, tenant, row.account_id).await?;
        scope.commit().await?;
        let Some(external_id) = account else {
            return Ok(Finding::new(State::Quarantined, "the top-up's account is missing"));
        };
        let key = format!("scrip:top_up:{}", row.id);
        let submission = Submission {
            account: AccountKey { tenant, external_id },
            command: Command {
                actor: None,
                idempotency: Some(Idempotency {
                    key,
                    request_hash: *row.id.0.as_bytes(),
                }),
                dry_run: false,
                action: Action::CreditTopUp(Box::new(CreditTopUp { top_up: row })),
            },
            audit: None,
            event_id: Some(due.event_id.clone()),
        };
        match self.ledger.submit(submission).await {
            Ok(receipt) if receipt.replayed => Ok(Finding::new(State::Done, "credited before")),
            Ok(_) => Ok(Finding {
                state: State::Done,
                note: None,
            }),
            // Paid, but there is no room for it yet: tried again, and shown to support meanwhile.
            Err(LedgerError::Rejected(rejection)) => Ok(Finding::new(State::Parked, rejection.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

/// An event about no top-up of this tenant: the tenant's other business, unless it claims to be ours.
fn unknown(claims_to_be_ours: bool) -> Finding {
    if claims_to_be_ours {
        Finding::new(State::Quarantined, "it names a top-up that this tenant does not have")
    } else {
        Finding::new(State::Ignored, "it is about nothing that Scrip sells")
    }
}
