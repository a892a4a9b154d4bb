//! An account at an instant of the past: what was posted to it, carried out again by the very rules that posted it.
//!
//! Entries count by their effective time. So a grant that was booked later for an earlier time has its credits here too;
//! but what was used, and what the caps counted, is told as it was counted then, when nobody knew of it.
//!
//! Order: as posted. Sums don't depend on it, so that a transaction which another process numbered a little late does no
//! harm.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::{
    calendar::{Zone, cycle_at},
    cap::{Count, given_back},
    cycle::{Cycle, Interval},
    decide::{AccountState, SpendRecord},
    entry::Entry,
    grant::Grant,
    ids::{GrantId, TransactionId},
    program::{Plan, ProgramHistory},
    subscription::{Phase, Snapshot, Span, Status, Subscription},
    transaction::{Effects, Kind, Transaction},
};

/// Terms of plans: by the version of the program they are from, then by the plan's name.
pub type TermsByVersion = HashMap<i32, BTreeMap<String, Plan>>;

/// A subscription that was posted has terms that no version of the program knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan {plan} of version {version:?}")]
pub struct UnknownTerms {
    pub plan: String,
    pub version: Option<i32>,
}

/// An account on its way to an instant.
pub struct Past<'a> {
    at: DateTime<Utc>,
    programs: &'a ProgramHistory,
    state: AccountState,
    /// The account's other grants: those with nothing left, and those that were not made yet.
    closed: HashMap<GrantId, Grant>,
    /// Of grants that were booked after the instant, and count from before it.
    booked_later: Vec<Entry>,
    /// The last posting's instant.
    reached: DateTime<Utc>,
}

impl<'a> Past<'a> {
    /// `empty` is the account without anything posted; `grants` are all that it ever had, however they stand now.
    pub fn new(empty: AccountState, grants: Vec<Grant>, programs: &'a ProgramHistory, at: DateTime<Utc>) -> Self {
        let blank = |grant: Grant| Grant {
            remaining: 0,
            held: 0,
            ..grant
        };
        Self {
            at,
            programs,
            state: empty,
            closed: grants.into_iter().map(|grant| (grant.id, blank(grant))).collect(),
            booked_later: Vec::new(),
            reached: DateTime::<Utc>::MIN_UTC,
        }
    }

    /// Carries out what was posted next. What counts only after the instant changes nothing. `spend` is the spend that a
    /// refund gives back.
    pub fn post(
        &mut self,
        mut transaction: Transaction,
        spend: Option<SpendRecord>,
        terms: &TermsByVersion,
    ) -> Result<(), UnknownTerms> {
        if transaction.effective_at > self.at {
            return Ok(());
        }
        // Only a caller's grant can count from before it was booked: what fell due is decided as of its own time.
        if transaction.kind == Kind::Grant && transaction.created_at > self.at {
            self.booked_later.append(&mut transaction.entries);
            return Ok(());
        }
        let instant = match transaction.kind {
            Kind::Grant => transaction.created_at,
            _ => transaction.effective_at,
        };
        self.reached = self.reached.max(instant);
        let subscription = match transaction.detail.subscription.as_deref() {
            Some(snapshot) => Some(Box::new(self.subscription(snapshot, terms)?)),
            None => None,
        };
        transaction.effects = Effects {
            hold: transaction.detail.hold.as_deref().cloned(),
            subscription,
            counts: self.counts(&transaction, spend.as_ref()),
            cap_overrides: transaction.detail.caps.clone(),
            quote: None,
        };
        if let (Some(spend), Some(id)) = (spend, transaction.subject) {
            self.state.spends.insert(TransactionId(id), spend);
        }
        transaction.new_grants.clear();
        self.open(&transaction.entries);
        self.state.apply(&transaction, self.reached);
        self.close(&transaction);
        Ok(())
    }

    /// The account as it stood, and what it had used in the cycle that ran.
    pub fn finish(mut self) -> (AccountState, i64) {
        let used = self.state.usage_at(self.at).used;
        let booked_later = std::mem::take(&mut self.booked_later);
        self.open(&booked_later);
        for entry in &booked_later {
            self.state.credits += entry.effect();
            if let Some(grant) = self.state.grants.iter_mut().find(|g| g.id == entry.grant_id) {
                grant.remaining += entry.effect();
            }
        }
        self.state.grants.retain(|g| g.remaining != 0 || g.held != 0);
        (self.state, used)
    }

    /// Looks out the grants that the entries are on.
    fn open(&mut self, entries: &[Entry]) {
        let found = entries.iter().filter_map(|entry| self.closed.remove(&entry.grant_id));
        self.state.grants.extend(found);
    }

    /// Puts away what the ledger does not look at either, once a batch is done.
    fn close(&mut self, transaction: &Transaction) {
        self.state.spends.clear();
        for entry in &transaction.entries {
            let is_its = |g: &Grant| g.id == entry.grant_id && g.remaining == 0 && g.held == 0;
            if let Some(n) = self.state.grants.iter().position(is_its) {
                let grant = self.state.grants.swap_remove(n);
                self.closed.insert(grant.id, grant);
            }
        }
        if transaction.effects.hold.is_some() {
            self.state.holds.retain(|hold| hold.is_open());
        }
        if transaction.effects.subscription.is_some() {
            self.state.subscriptions.retain(|s| s.ended_at.is_none());
        }
    }

    /// What the caps counted: as the commands do (`decide`), by the caps that were in force.
    fn counts(&self, transaction: &Transaction, spend: Option<&SpendRecord>) -> Vec<Count> {
        let (program, _) = self.programs.at(self.reached);
        let detail = &transaction.detail;
        let (operation, member) = (detail.operation.as_deref(), detail.member.as_deref());
        let counted = |amount| {
            self.state
                .caps(program, self.reached)
                .of(operation, member)
                .counts(amount)
        };
        let back = |amount, begun| match amount {
            0 => Vec::new(),
            amount => given_back(&self.state.counters, amount, operation, member, begun),
        };
        match (transaction.kind, detail.hold.as_deref(), spend) {
            (Kind::Spend, None, _) | (Kind::Hold, ..) => counted(transaction.amount),
            (Kind::Spend, Some(hold), _) if hold.captured > hold.amount => counted(hold.captured - hold.amount),
            (Kind::Spend | Kind::Void | Kind::HoldExpiry, Some(hold), _) => {
                back(hold.amount - hold.captured, hold.created_at)
            }
            (Kind::Refund, _, Some(spend)) => spend.headroom(&self.state.counters, transaction.amount),
            _ => Vec::new(),
        }
    }

    /// The subscription that a transaction left, from what it says of it.
    fn subscription(&self, snapshot: &Snapshot, terms: &TermsByVersion) -> Result<Subscription, UnknownTerms> {
        let of_version = snapshot
            .program_version
            .and_then(|version| terms.get(&version)?.get(&snapshot.plan));
        // A plan that the program had given up went on as it was.
        let known = || self.state.subscription(snapshot.id).map(|before| &before.terms);
        let plan = of_version.or_else(known).ok_or_else(|| UnknownTerms {
            plan: snapshot.plan.clone(),
            version: snapshot.program_version,
        })?;
        Ok(subscription_of(snapshot, plan.clone()))
    }
}

fn subscription_of(snapshot: &Snapshot, terms: Plan) -> Subscription {
    let span = |cycle: Option<Cycle>| {
        let months = |at| months_from(snapshot.anchor, snapshot.timezone, at);
        let span = cycle.and_then(|cycle| {
            Some(Span {
                from: months(cycle.starts_at)?,
                to: months(cycle.ends_at)?,
            })
        });
        span.unwrap_or(Span { from: 0, to: 0 })
    };
    let mut subscription = Subscription {
        id: snapshot.id,
        plan: snapshot.plan.clone(),
        terms,
        program_version: snapshot.program_version,
        billing: snapshot.interval,
        units: snapshot.units,
        anchor: snapshot.anchor,
        zone: snapshot.timezone,
        refreshed: span(snapshot.refresh_cycle),
        billed: span(snapshot.billing_cycle),
        started_at: snapshot.started_at,
        pending: snapshot.pending.clone(),
        ends_at: snapshot.ends_at,
        ended_at: snapshot.ends_at.filter(|_| snapshot.status == Status::Ended),
        phases: Vec::new(),
        created_at: snapshot.created_at,
    };
    // What it was before is of no more use: time only goes on from here.
    let (allowance, addon) = subscription.credits();
    subscription.phases.push(Phase {
        from: subscription.started_at,
        paid: subscription.terms.paid,
        allowance,
        addon,
        terms: subscription.terms_now(),
    });
    subscription
}

/// How many months after its anchor a cycle's boundary is. None: it is no boundary.
fn months_from(anchor: DateTime<Utc>, zone: Zone, boundary: DateTime<Utc>) -> Option<u32> {
    let (months, cycle) = cycle_at(anchor, zone, Interval::Month, boundary)?;
    (cycle.starts_at == boundary).then_some(months)
}
