//! Short forms of the commands, and of what is read of the books.

use super::*;
use crate::domain::{cap::CapOverride, cycle::Usage, decide::quote, hold::Hold, quote::Quote};

impl Books {
    pub fn grant(&mut self, grant: GrantCredits) -> GrantId {
        let transaction = self.post(Action::Grant(grant)).expect("it is granted");
        transaction.new_grants[0].id
    }

    pub fn spend(&mut self, credits: i64) -> Transaction {
        self.try_spend(spending(credits)).expect("it is spent")
    }

    pub fn try_spend(&mut self, spend: SpendCredits) -> Result<Transaction, Rejection> {
        self.post(Action::Spend(spend))
    }

    pub fn refund(&mut self, spend: &Transaction, credits: i64) -> Transaction {
        self.try_refund(spend, Some(credits)).expect("it is refunded")
    }

    /// None: all that was not refunded yet.
    pub fn try_refund(&mut self, spend: &Transaction, credits: Option<i64>) -> Result<Transaction, Rejection> {
        self.post(Action::Refund(RefundSpend {
            spend_id: spend.id,
            amount: credits.map(amount),
            reason: "it failed".to_owned(),
            ticket: None,
        }))
    }

    pub fn revoke(&mut self, grant_id: GrantId) -> Result<Transaction, Rejection> {
        self.post(Action::Revoke(RevokeGrant {
            grant_id,
            reason: Some("a mistake".to_owned()),
        }))
    }

    /// A hold for as long as the program says.
    pub fn hold(&mut self, credits: i64) -> Transaction {
        self.post(Action::PlaceHold(holding(credits))).expect("it is held")
    }

    pub fn hold_until(&mut self, credits: i64, end: DateTime<Utc>) -> Transaction {
        let seconds = u32::try_from((end - self.now).num_seconds()).expect("it lies ahead");
        let hold = PlaceHold {
            expires_in_s: Some(seconds.into()),
            ..holding(credits)
        };
        self.post(Action::PlaceHold(hold)).expect("it is held")
    }

    /// None: all that is held.
    pub fn capture(&mut self, hold: &Transaction, credits: Option<i64>) -> Result<Transaction, Rejection> {
        self.post(Action::CaptureHold(CaptureHold {
            hold_id: hold.id,
            amount: credits.map(amount),
            allow_over: false,
        }))
    }

    pub fn capture_over(&mut self, hold: &Transaction, credits: i64) -> Result<Transaction, Rejection> {
        self.post(Action::CaptureHold(CaptureHold {
            hold_id: hold.id,
            amount: Some(amount(credits)),
            allow_over: true,
        }))
    }

    pub fn void(&mut self, hold: &Transaction) -> Result<Transaction, Rejection> {
        self.post(Action::VoidHold(VoidHold {
            hold_id: hold.id,
            reason: None,
        }))
    }

    pub fn subscribe(&mut self, plan: &str) -> SubscriptionId {
        self.subscribe_as(subscribing(plan)).1
    }

    /// What it granted, and its id.
    pub fn subscribe_as(&mut self, new: Subscribe) -> (Transaction, SubscriptionId) {
        let transaction = self.post(Action::Subscribe(new)).expect("it is subscribed");
        let id = SubscriptionId(transaction.subject.expect("a subscription"));
        (transaction, id)
    }

    pub fn change(&mut self, change: ChangeSubscription) -> Transaction {
        self.try_change(change).expect("it is changed")
    }

    pub fn try_change(&mut self, change: ChangeSubscription) -> Result<Transaction, Rejection> {
        self.post(Action::ChangeSubscription(change))
    }

    pub fn set_caps(&mut self, caps: Vec<CapOverride>) -> Transaction {
        let set = SetCaps {
            caps,
            reason: "a good customer".to_owned(),
            ticket: Some("T-9".to_owned()),
        };
        self.post(Action::SetCaps(set)).expect("they are set")
    }

    /// Quotes a charge and keeps the quote. What is due is posted before, as whenever the account is looked at.
    pub fn quote(&mut self, charge: &Charge) -> Result<Quote, Rejection> {
        self.run_due();
        let state = self.state();
        let (program, program_version) = self.programs.at(self.now);
        let mut context = Context {
            now: self.now,
            booked_at: self.now,
            program,
            program_version,
            ids: &mut self.ids,
        };
        let quote = quote(&state, charge, &mut context)?;
        self.quotes.insert(quote.id, quote.clone());
        Ok(quote)
    }

    pub fn remaining(&self, id: GrantId) -> i64 {
        self.grants.iter().find(|g| g.id == id).expect("a grant").remaining
    }

    pub fn subscription(&self, id: SubscriptionId) -> &Subscription {
        self.subscriptions.iter().find(|s| s.id == id).expect("a subscription")
    }

    pub fn held(&self, hold: &Transaction) -> &Hold {
        self.holds.iter().find(|h| h.id == hold.id).expect("a hold")
    }

    /// As it is read: brought up to now.
    pub fn balance(&self) -> Balance {
        let of = |state: &AccountState| {
            let (program, _) = self.programs.at(self.now);
            balance(&state.grants, state.open_classes(program, self.now), self.now)
        };
        let read = of(&self.caught_up());
        if self.subscriptions.is_empty() && self.holds.is_empty() {
            assert_eq!(read, of(&self.state()), "time alone decides what can be drawn");
        }
        read
    }

    pub fn usage_now(&self) -> Usage {
        self.caught_up().usage_at(self.now)
    }

    pub fn used(&self) -> i64 {
        self.usage_now().used
    }

    /// (kind, amount, effective time) of what was posted since `before`.
    pub fn since(&self, before: usize) -> Vec<(Kind, i64, DateTime<Utc>)> {
        let posted = self.posted[before..].iter();
        posted.map(|t| (t.kind, t.amount, t.effective_at)).collect()
    }

    /// What a subscription granted as allowances, in order: the grants themselves.
    pub fn allowances(&self, id: SubscriptionId) -> Vec<&Grant> {
        let its = |g: &&Grant| g.subscription_id == Some(id) && g.origin == Origin::Allocation;
        self.grants.iter().filter(its).collect()
    }
}
