//! The rules and the model, living the same life.

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use scrip::domain::{
    credits::Amount,
    decide::{
        Action, CaptureHold, ChangeSubscription, GrantCredits, PlaceHold, RefundSpend, RevokeGrant, SetCaps,
        SpendCredits, Subscribe, VoidHold,
    },
    grant::Origin,
    ids::{GrantId, TransactionId},
    money::Money,
    program::Window,
    spending_order::Draw,
    transaction::{Kind, Transaction},
};
use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    lives::{Anchor, Back, Pass, Step},
    model::{
        account::{Account, Grant, Override, Parts, Refusal},
        calendar,
        terms::Terms,
    },
    seen::standing,
    wishes::change,
};

pub struct SideBySide {
    pub ledger: Ledger,
    pub model: Account,
    /// In how many steps time passes. After each of several the ledger posts what is due.
    pub paces: i32,
}

/// The reason of what is posted between two steps and changes nothing.
pub const IDLE: &str = "idle";

pub fn amount(credits: i64) -> Amount {
    Amount::new(credits).expect("lives use positive amounts")
}

/// The place of one, counted back from the last.
pub fn nth<T>(back: Back, all: &[T]) -> Option<usize> {
    let last = all.len().checked_sub(1)?;
    Some(last - back.min(last))
}

impl SideBySide {
    pub fn new(start: DateTime<Utc>, terms: Terms) -> Self {
        Self {
            ledger: Ledger::new(start, terms.program()),
            model: Account::new(start, terms),
            paces: 1,
        }
    }

    /// As [`SideBySide::take`], but looks at nothing.
    pub fn follow(&mut self, step: &Step) {
        if self.answers(step).is_some() {
            self.model.settle();
            self.pass(Duration::seconds(1));
        }
    }

    /// Both take the step and end alike, in what they answer and in all that can be seen.
    pub fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        if let Some((ours, models)) = self.answers(step) {
            prop_assert_eq!(ours, models);
            self.model.settle();
            self.compare()?;
            self.pass(Duration::seconds(1));
        }
        self.compare()
    }

    pub fn pass(&mut self, time: Duration) {
        let start = self.ledger.now;
        for pace in 1..self.paces {
            self.ledger.now = start + time * pace / self.paces;
            if pace % 2 == 0 {
                self.ledger.run_due();
            } else {
                let mut caps = self.ledger.stored().cap_overrides;
                // What is over cannot be set again.
                caps.retain(|cap| cap.until.is_none_or(|end| end > self.ledger.now));
                let idle = SetCaps {
                    caps,
                    reason: IDLE.to_owned(),
                    ticket: None,
                };
                self.ledger.post(Action::SetCaps(idle)).expect("caps can be set");
            }
        }
        self.ledger.now = start + time;
        self.model.pass_to(self.ledger.now);
    }

    fn pass_as(&mut self, pass: Pass) {
        let next = self.model.next_of_interest().filter(|at| *at > self.model.now);
        let until_next = next.map_or(Duration::days(1), |at| at - self.model.now);
        let time = match pass {
            Pass::Seconds(seconds) => Duration::seconds(seconds),
            Pass::ToNext => until_next,
            Pass::BeforeNext => until_next - Duration::microseconds(1),
        };
        self.pass(time);
    }

    /// What the rules answer and what the model does. None: there is nothing that the step could be about.
    fn answers(&mut self, step: &Step) -> Option<(Result<Value, Refusal>, Result<Value, Refusal>)> {
        let done = |_| json!("done");
        let parts = |parts: Parts| json!(parts);
        let answers = match step {
            Step::Pass(pass) => {
                self.pass_as(*pass);
                return None;
            }
            Step::Put(terms) => {
                // Not at the very instant of a boundary: which program that is decided by depends on who was first.
                self.pass(Duration::microseconds(2));
                self.ledger.put_program(terms.program());
                self.model.put_terms((**terms).clone());
                return None;
            }
            Step::Grant { .. } => self.grant(step),
            Step::Revoke(back) => {
                let number = nth(*back, &self.model.grants)?;
                // Who names a grant has looked, and looking posts what is due.
                self.ledger.run_due();
                let action = Action::Revoke(RevokeGrant {
                    grant_id: self.ledger.grants[number].id,
                    reason: None,
                });
                let ours = self.post(action).map(|t| json!(t.amount));
                (ours, self.model.revoke(number).map(|taken| json!(taken)))
            }
            Step::Subscribe { .. } => self.subscribe(step),
            Step::Change { subscription, .. }
            | Step::Undo(subscription)
            | Step::Cancel(subscription)
            | Step::Revive(subscription) => {
                let number = nth(*subscription, &self.model.subscriptions)?;
                let change = change(step, &self.model.subscriptions[number].agreed());
                let action = Action::ChangeSubscription(ChangeSubscription {
                    subscription_id: self.ledger.see().subscriptions[number].id,
                    plan: change.plan.map(str::to_owned),
                    interval: change.interval,
                    units: change.units,
                    cancel: change.cancel,
                });
                (
                    self.post(action).map(done),
                    self.model.change(number, &change).map(|()| json!("done")),
                )
            }
            Step::Spend { asked, partial } => {
                let (ask, charge) = self.ask(asked)?;
                let action = Action::Spend(SpendCredits {
                    charge,
                    partial: *partial,
                    metadata: None,
                });
                let ours = self.post(action).map(|t| self.drawn(t.drawn()));
                (ours, self.model.spend(&ask, *partial).map(parts))
            }
            Step::Quote(asked) => {
                let (ask, charge) = self.ask(asked)?;
                let member = ask.member;
                let models = self.model.quote(&ask).map(|(amount, parts, affordable)| {
                    let caps = self.model.cap_standings_for(ask.operation, member);
                    json!([amount, parts, affordable, caps])
                });
                let ours = match self.ledger.quote(&charge) {
                    Ok(quote) => {
                        let caps: Vec<Value> = quote.caps.iter().map(standing).collect();
                        let drawn = self.drawn(quote.drawdown.iter().copied());
                        Ok(json!([quote.amount, drawn, quote.affordable, caps]))
                    }
                    Err(rejection) => Err(self.refusal(&rejection)),
                };
                (ours, models)
            }
            Step::Hold { asked, partial, lasts } => {
                let (ask, charge) = self.ask(asked)?;
                let lasts = self.seconds(*lasts);
                let action = Action::PlaceHold(PlaceHold {
                    charge,
                    partial: *partial,
                    expires_in_s: lasts.map(i64::from),
                    metadata: None,
                });
                let ours = self.post(action).map(|t| self.drawn(t.drawn()));
                (ours, self.model.hold(&ask, *partial, lasts).map(parts))
            }
            Step::Capture {
                hold,
                amount: asked,
                may_be_over,
            } => {
                let number = nth(*hold, &self.model.holds)?;
                let action = Action::CaptureHold(CaptureHold {
                    hold_id: self.ledger.holds[number].id,
                    amount: asked.map(amount),
                    allow_over: *may_be_over,
                });
                let ours = self.post(action).map(|t| self.drawn(t.drawn()));
                (ours, self.model.capture(number, *asked, *may_be_over).map(parts))
            }
            Step::Void(hold) => {
                let number = nth(*hold, &self.model.holds)?;
                let action = Action::VoidHold(VoidHold {
                    hold_id: self.ledger.holds[number].id,
                    reason: None,
                });
                let ours = self.post(action).map(done);
                (ours, self.model.void(number).map(|()| json!("done")))
            }
            Step::Refund { spend, amount: asked } => {
                let number = nth(*spend, &self.model.spends)?;
                let action = Action::Refund(RefundSpend {
                    spend_id: self.spends()[number],
                    amount: asked.map(amount),
                    reason: "it failed".to_owned(),
                    ticket: None,
                });
                let ours = self.post(action).map(|t| self.drawn(t.returned()));
                (ours, self.model.refund(number, *asked).map(parts))
            }
            Step::SetCaps(caps) => {
                let ours = self.post(Action::SetCaps(self.own_caps(caps))).map(done);
                let now = self.model.now;
                let caps = caps.iter().map(|own| Override {
                    kind: own.kind.clone(),
                    limit: own.limit,
                    allows_in_empty_window: own.allows_in_empty_window,
                    until: own.lasts.map(|lasts| now + Duration::seconds(lasts)),
                });
                (ours, self.model.set_caps(caps.collect()).map(|()| json!("done")))
            }
        };
        Some(answers)
    }

    fn post(&mut self, action: Action) -> Result<Transaction, Refusal> {
        let posted = self.ledger.post(action);
        posted.map_err(|rejection| self.refusal(&rejection))
    }

    fn spends(&self) -> Vec<TransactionId> {
        let spends = self.ledger.posted.iter().filter(|t| t.kind == Kind::Spend);
        spends.map(|t| t.id).collect()
    }

    fn drawn(&self, draws: impl Iterator<Item = Draw>) -> Value {
        let number = |id: GrantId| self.ledger.grants.iter().position(|g| g.id == id);
        draws.map(|draw| json!([number(draw.grant_id), draw.amount])).collect()
    }

    fn grant(&mut self, step: &Step) -> (Result<Value, Refusal>, Result<Value, Refusal>) {
        let Step::Grant {
            class,
            amount: credits,
            starts,
            lasts,
            priority,
            operations,
            paid,
        } = step
        else {
            unreachable!("it is a grant");
        };
        let starts = self.model.now + Duration::seconds(*starts);
        let ends = lasts.map(|lasts| starts + Duration::seconds(lasts));
        let ours = self.post(Action::Grant(GrantCredits {
            class: *class,
            origin: Origin::Promotion,
            amount: amount(*credits),
            effective_at: Some(starts),
            expires_at: ends,
            priority: *priority,
            applies_to: operations
                .as_ref()
                .map(|list| list.iter().map(|o| (*o).to_owned()).collect()),
            paid: paid.then(|| Money {
                amount: amount(100),
                currency: "EUR".to_owned().try_into().expect("a currency"),
            }),
            reason: None,
        }));
        let models = self.model.grant(
            *credits,
            Grant {
                class: *class,
                origin: Origin::Promotion,
                remaining: *credits,
                held: 0,
                starts,
                ends,
                priority: *priority,
                operations: operations.clone(),
                paid: *paid,
                price: paid.then_some(100),
                subscription: None,
                of_units: false,
                source: None,
            },
        );
        (ours.map(|_| json!("done")), models.map(|_| json!("done")))
    }

    fn subscribe(&mut self, step: &Step) -> (Result<Value, Refusal>, Result<Value, Refusal>) {
        let Step::Subscribe {
            plan,
            anchor,
            interval,
            units,
        } = step
        else {
            unreachable!("it is a subscription");
        };
        let now = self.model.now;
        let anchor = match anchor {
            Anchor::Now => None,
            Anchor::Off(seconds) => Some(now + Duration::seconds(*seconds)),
            Anchor::FirstOfMonth => {
                let zone = self.model.terms().zone.parse().expect("a zone");
                Some(calendar::window(Window::Month, zone, now).0)
            }
        };
        let ours = self.post(Action::Subscribe(Subscribe {
            plan: (*plan).to_owned(),
            anchor,
            interval: *interval,
            units: *units,
        }));
        let models = self.model.subscribe(plan, anchor, *interval, *units);
        (ours.map(|_| json!("done")), models.map(|_| json!("done")))
    }
}
