//! An account in plain lists: its grants, its subscriptions, its holds, and all that ever happened.

use std::collections::BTreeMap;

use chrono::Duration;
use scrip::domain::{
    cycle::Interval,
    grant::{Class, Origin},
    hold::Status,
    transaction::Kind,
};
use serde_json::{Value, json};

use super::{
    calendar::At,
    terms::{CapKind, Need, Plan, Terms},
};

#[derive(Debug, Clone)]
pub struct Grant {
    pub class: Class,
    pub origin: Origin,
    pub remaining: i64,
    pub held: i64,
    pub starts: At,
    pub ends: Option<At>,
    pub priority: i32,
    pub operations: Option<Vec<&'static str>>,
    /// Free credits are spent first.
    pub paid: bool,
    /// What was paid for it, where that is known, in cents.
    pub price: Option<i64>,
    pub subscription: Option<usize>,
    /// It is of add-on units, or stands in the place of such.
    pub of_units: bool,
    pub source: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Subscription {
    pub plan: &'static str,
    pub terms: Plan,
    pub billing: Interval,
    pub units: u32,
    pub anchor: At,
    pub zone: chrono_tz::Tz,
    pub starts: At,
    /// Every cycle that was granted, in months after the anchor.
    pub refreshes: Vec<(u32, u32)>,
    /// The most that the running cycle has granted: allowance and units' credits.
    pub reached: (i64, i64),
    /// Every cycle that was paid for.
    pub billings: Vec<(u32, u32)>,
    pub pending: Option<Agreed>,
    pub ends: Option<At>,
    pub ended: bool,
}

/// What a subscription is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub plan: &'static str,
    pub billing: Interval,
    pub units: u32,
}

/// So much of each grant, by its number.
pub type Parts = Vec<(usize, i64)>;

#[derive(Debug, Clone)]
pub struct Hold {
    pub parts: Parts,
    pub amount: i64,
    pub captured: i64,
    pub status: Status,
    pub deadline: At,
    pub operation: Option<&'static str>,
    pub member: Option<&'static str>,
    /// Its place among the uses.
    pub used: usize,
}

#[derive(Debug, Clone)]
pub struct Spend {
    pub parts: Parts,
    pub refunded: i64,
    /// The uses that it is made of, and how much of it each is, in the order in which it was drawn.
    pub uses: Vec<(usize, i64)>,
}

#[derive(Debug, Clone)]
pub struct Quote {
    pub amount: i64,
    pub operation: Option<&'static str>,
    pub quantity: Option<i64>,
    pub member: Option<&'static str>,
    pub parts: Parts,
    pub affordable: bool,
    pub ends: At,
    pub used: bool,
}

/// Support's cap for the account; without a limit nothing is capped.
#[derive(Debug, Clone)]
pub struct Override {
    pub kind: CapKind,
    pub limit: Option<i64>,
    /// None: as the cap in whose place it stands.
    pub allows_in_empty_window: Option<bool>,
    pub until: Option<At>,
}

/// Credits that were spent or set aside at an instant, and how much of them came back since.
#[derive(Debug, Clone)]
pub struct Use {
    pub at: At,
    pub amount: i64,
    pub back: i64,
    pub operation: Option<&'static str>,
    pub member: Option<&'static str>,
    /// The caps in force for it, with the window that each was in.
    pub caps: Vec<(Counted, (At, At))>,
}

/// Whose use of what a cap counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub kind: CapKind,
    pub member: Option<&'static str>,
}

/// A refusal's code, and the numbers that decided it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: &'static str,
    pub fields: Value,
}

pub fn refuse<T>(code: &'static str, fields: Value) -> Result<T, Refusal> {
    Err(Refusal { code, fields })
}

pub struct Account {
    pub now: At,
    pub versions: Vec<(At, Terms)>,
    pub grants: Vec<Grant>,
    pub subscriptions: Vec<Subscription>,
    pub holds: Vec<Hold>,
    pub spends: Vec<Spend>,
    pub quotes: Vec<Quote>,
    pub overrides: Vec<Override>,
    pub uses: Vec<Use>,
    /// The cycles that were the account's one after the other, and how many spends there were when each became it.
    pub cycles: Vec<(At, At, usize)>,
    /// All that was posted: what, as of when, how much.
    pub journal: Vec<(Kind, At, i64)>,
    /// What happened, by name, and how often.
    pub sights: BTreeMap<&'static str, u32>,
}

impl Account {
    pub fn new(now: At, terms: Terms) -> Self {
        Self {
            now,
            versions: vec![(now, terms)],
            grants: Vec::new(),
            subscriptions: Vec::new(),
            holds: Vec::new(),
            spends: Vec::new(),
            quotes: Vec::new(),
            overrides: Vec::new(),
            uses: Vec::new(),
            cycles: Vec::new(),
            journal: Vec::new(),
            sights: BTreeMap::new(),
        }
    }

    pub fn sight(&mut self, name: &'static str) {
        *self.sights.entry(name).or_default() += 1;
    }

    /// The program in force.
    pub fn terms(&self) -> Terms {
        let in_force = self.versions.iter().rfind(|(since, _)| *since <= self.now);
        in_force.expect("there is one from the start").1.clone()
    }

    pub fn post(&mut self, kind: Kind, amount: i64) {
        self.journal.push((kind, self.now, amount));
    }

    pub fn has_ended(&self, grant: usize) -> bool {
        self.grants[grant].ends.is_some_and(|end| end <= self.now)
    }

    pub fn is_live(&self, grant: usize) -> bool {
        self.grants[grant].starts <= self.now && !self.has_ended(grant)
    }

    pub fn free(&self, grant: usize) -> i64 {
        self.grants[grant].remaining - self.grants[grant].held
    }

    pub fn is_open(&self, class: Class) -> bool {
        let live = || self.subscriptions.iter().filter(|s| s.is_live(self.now));
        match self.terms().needs[class as usize] {
            Need::Nothing => true,
            Need::Subscription => live().count() > 0,
            Need::PaidSubscription => live().any(|s| s.terms.paid),
        }
    }

    /// Available by class, held, frozen.
    pub fn balance(&self) -> ([i64; 3], i64, i64) {
        let (mut by_class, mut held, mut frozen) = ([0; 3], 0, 0);
        for number in 0..self.grants.len() {
            let class = self.grants[number].class;
            held += self.grants[number].held;
            if self.is_live(number) && self.is_open(class) {
                by_class[class as usize] += self.free(number);
            } else if self.is_live(number) {
                frozen += self.free(number);
            }
        }
        (by_class, held, frozen)
    }

    /// Spent since the account's cycle became it, less what was refunded of that.
    pub fn used(&self) -> i64 {
        let counted_from = self.cycles.last().map_or(0, |(.., spends)| *spends);
        let spends = self.spends[counted_from..].iter();
        spends
            .map(|s| s.parts.iter().map(|(_, n)| n).sum::<i64>() - s.refunded)
            .sum()
    }

    /// Looks which cycle is the account's. One that began later takes over at once, one that began earlier when the last one
    /// has ended; if none runs then, what comes after is counted by itself.
    fn look_at_cycle(&mut self) {
        let spends = self.spends.len();
        let running = self.cycle();
        let Some((starts, ends, _)) = self.cycles.last().copied() else {
            self.cycles.extend(running.map(|(starts, ends)| (starts, ends, spends)));
            return;
        };
        match running {
            Some(new) if new.0 == starts => {
                if let Some(last) = self.cycles.last_mut() {
                    last.1 = new.1;
                }
            }
            Some(new) if new.0 > starts || ends <= self.now => self.cycles.push((new.0, new.1, spends)),
            None if ends <= self.now && starts < ends => self.cycles.push((ends, ends, spends)),
            _ => {}
        }
    }

    /// The next instant at which time alone changes something.
    pub fn next_change(&self) -> Option<At> {
        let holds = self
            .holds
            .iter()
            .filter(|h| h.status == Status::Held)
            .map(|h| h.deadline);
        let ends = self
            .grants
            .iter()
            .filter(|g| g.remaining > g.held)
            .filter_map(|g| g.ends);
        let boundaries = self.subscriptions.iter().filter_map(Subscription::boundary);
        holds.chain(ends).chain(boundaries).min()
    }

    /// The next instant that a history may want to stand at: the above, and the beginnings of grants.
    pub fn next_of_interest(&self) -> Option<At> {
        let starts = self.grants.iter().map(|g| g.starts).filter(|at| *at > self.now);
        starts.chain(self.next_change()).min()
    }

    /// Lives through all that happens until then.
    pub fn pass_to(&mut self, until: At) {
        let mut missed: BTreeMap<usize, u32> = BTreeMap::new();
        while let Some(at) = self.next_change().filter(|at| *at <= until) {
            self.now = at;
            let mut gone = self.end_holds();
            gone.extend(self.end_grants());
            for number in self.boundaries_now() {
                *missed.entry(number).or_default() += 1;
                self.cross_boundary(number, &gone);
            }
            self.look_at_cycle();
        }
        self.now = until;
        if missed.values().any(|n| *n > 2) {
            self.sight("several cycles missed");
        }
    }

    /// What was held until now of grants that end now remained in them to their end.
    fn end_holds(&mut self) -> Parts {
        let mut remained = Parts::new();
        for number in 0..self.holds.len() {
            if self.holds[number].status == Status::Held && self.holds[number].deadline <= self.now {
                self.sight("hold expired");
                let parts = self.holds[number].parts.clone();
                remained.extend(parts.iter().filter(|(n, _)| self.grants[*n].ends == Some(self.now)));
                self.free_hold(number, Kind::HoldExpiry, Status::Expired);
            }
        }
        if !remained.is_empty() {
            self.sight("held to the very end of its grant");
        }
        remained
    }

    /// What ended now with something free, and how much.
    fn end_grants(&mut self) -> Parts {
        let mut gone = Vec::new();
        for number in 0..self.grants.len() {
            let free = self.free(number);
            if self.has_ended(number) && free > 0 {
                let end = self.grants[number].ends.expect("it has ended");
                self.grants[number].remaining -= free;
                self.journal.push((Kind::Expiry, end, free));
                gone.push((number, free));
            }
        }
        gone
    }

    /// After whatever was done: what was granted for a time that has passed is gone, and the cycle may be another.
    pub fn settle(&mut self) {
        self.end_grants();
        self.look_at_cycle();
    }

    pub fn grant(&mut self, amount: i64, grant: Grant) -> Result<usize, Refusal> {
        if let Some(ends) = grant.ends.filter(|ends| *ends <= grant.starts) {
            return refuse(
                "invalid_expires_at",
                json!({"effective_at": grant.starts, "expires_at": ends}),
            );
        }
        let since = grant.starts.min(self.now);
        self.grants.push(Grant {
            remaining: amount,
            ..grant
        });
        self.journal.push((Kind::Grant, since, amount));
        Ok(self.grants.len() - 1)
    }

    pub fn revoke(&mut self, number: usize) -> Result<i64, Refusal> {
        let Grant { remaining, held, .. } = self.grants[number];
        if remaining == 0 {
            return refuse("grant_already_closed", json!({"grant_id": number}));
        }
        if remaining == held {
            return refuse("grant_held", json!({"grant_id": number, "held": held}));
        }
        self.grants[number].remaining = held;
        self.post(Kind::Revocation, remaining - held);
        Ok(remaining - held)
    }

    pub fn set_caps(&mut self, caps: Vec<Override>) -> Result<(), Refusal> {
        for (number, cap) in caps.iter().enumerate() {
            if let Some(until) = cap.until.filter(|until| *until <= self.now) {
                self.sight("a cap that is over");
                return refuse("invalid_caps", json!({"cap": number, "until": until}));
            }
        }
        self.overrides = caps;
        self.post(Kind::CapOverride, 0);
        Ok(())
    }

    pub fn put_terms(&mut self, terms: Terms) {
        self.versions.push((self.now, terms));
    }

    /// The end of what is given in the place of a grant: with the cycle of the subscription that it came from, while that
    /// lives, or with the account's.
    pub fn reissue_ends(&self, source: usize) -> At {
        let its = self.grants[source]
            .subscription
            .map(|number| &self.subscriptions[number]);
        let of_its = its
            .filter(|s| s.is_live(self.now))
            .and_then(Subscription::refresh_cycle);
        let cycle = of_its.or_else(|| self.cycle());
        cycle.map_or(self.now + Duration::days(30), |(_, end)| end)
    }
}
