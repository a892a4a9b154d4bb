//! Subscriptions begun and changed: what is more comes at once, what is less with the next payment.

use chrono::Duration;
use scrip::domain::{cycle::Interval, transaction::Kind};
use serde_json::json;

use super::{
    account::{Account, Agreed, Refusal, Subscription, refuse},
    calendar::At,
    terms::{Addon, Plan, Upgrade, months},
};

/// What is to be different about a subscription.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub plan: Option<&'static str>,
    pub interval: Option<Interval>,
    pub units: Option<u32>,
    pub cancel: Option<bool>,
}

impl Account {
    fn offered(&self, plan: &str) -> Result<Plan, Refusal> {
        match self.terms().plans.get(plan) {
            Some(known) => Ok(known.clone()),
            None => refuse("unknown_plan", json!({"plan": plan})),
        }
    }

    pub fn subscribe(
        &mut self,
        plan: &'static str,
        anchor: Option<At>,
        interval: Option<Interval>,
        units: u32,
    ) -> Result<usize, Refusal> {
        let terms = self.offered(plan)?;
        check_renewal(plan, &terms)?;
        let billing = interval.unwrap_or(terms.billing[0]);
        check_interval(plan, &terms, billing)?;
        check_units(plan, terms.addon, units)?;
        let anchor = anchor.unwrap_or(self.now);
        let mut new = Subscription {
            plan,
            billing,
            units,
            anchor,
            zone: self.terms().zone.parse().expect("a zone"),
            starts: anchor.max(self.now),
            refreshes: Vec::new(),
            reached: (0, 0),
            billings: Vec::new(),
            pending: None,
            ends: None,
            ended: false,
            terms,
        };
        let mut amount = 0;
        let has_begun = anchor <= self.now;
        if has_begun {
            // The cycles before are gone through, and not granted.
            let running = |length: u32| {
                let mut from = 0;
                while new.month(from + length) <= self.now {
                    from += length;
                }
                (from, from + length)
            };
            let paid = months(billing);
            let cycles = (running(paid), running(new.terms.refresh_months(billing).min(paid)));
            (new.billings, new.refreshes) = (vec![cycles.0], vec![cycles.1]);
        }
        self.subscriptions.push(new);
        let number = self.subscriptions.len() - 1;
        if has_begun {
            amount = self.grant_cycle(number, true);
        }
        self.post(Kind::Subscription, amount);
        Ok(number)
    }

    pub fn change(&mut self, number: usize, change: &Change) -> Result<(), Refusal> {
        let old = self.subscriptions[number].clone();
        let mut new = old.clone();
        if old.ended && change.cancel != Some(true) {
            return refuse(
                "subscription_ended",
                json!({"subscription_id": number, "ended_at": old.ends}),
            );
        }
        if old.ends.is_some() && change.cancel != Some(false) {
            let fields = json!({"subscription_id": number, "ends_at": old.ends});
            return refuse("subscription_already_cancelled", fields);
        }
        match change.cancel {
            Some(true) => {
                new.ended = old.billings.is_empty();
                new.ends = Some(old.billing_cycle().map_or(self.now, |(_, end)| end));
                self.sight("cancelled");
            }
            Some(false) => {
                new.ends = None;
                if old.ends.is_some() {
                    self.sight("not cancelled after all");
                }
            }
            None => {}
        }
        let mut amount = 0;
        if change.plan.is_some() || change.interval.is_some() || change.units.is_some() {
            let wanted = self.wanted(&old, change)?;
            let its_terms = self.terms_of(&old, wanted.plan)?;
            let (allowance, units) = self.take_over(&mut new, &old, wanted, its_terms, change);
            self.subscriptions[number] = new.clone();
            amount = self.grant_parts(number, allowance, units, price_of_more(&old, &new));
            if !new.billings.is_empty() && new.terms.paid && !old.terms.paid {
                let bonus = self.grant_bonus(number);
                if bonus > 0 {
                    self.sight("bonus of a first payment");
                }
                amount += bonus;
            }
        }
        self.subscriptions[number] = new;
        self.post(Kind::Subscription, amount);
        Ok(())
    }

    /// A subscriber's own plan stays as it was agreed.
    fn terms_of(&self, old: &Subscription, plan: &str) -> Result<Plan, Refusal> {
        if plan == old.plan {
            Ok(old.terms.clone())
        } else {
            self.offered(plan)
        }
    }

    fn wanted(&self, old: &Subscription, change: &Change) -> Result<Agreed, Refusal> {
        // Another plan in the place of a pending one: what would have come with that does not come.
        let goes_on =
            |pending: &Agreed| pending.plan == old.plan || change.plan.is_none() || change.plan == Some(pending.plan);
        let before = old.pending.clone().filter(goes_on).unwrap_or_else(|| old.agreed());
        let plan = change.plan.unwrap_or(before.plan);
        let terms = self.terms_of(old, plan)?;
        if change.plan.is_some() {
            check_renewal(plan, &terms)?;
        }
        if let Some(interval) = change.interval {
            check_interval(plan, &terms, interval)?;
        }
        if let Some(units) = change.units {
            check_units(plan, terms.addon, units)?;
        }
        let kept = if terms.billing.contains(&before.billing) {
            before.billing
        } else {
            terms.billing[0]
        };
        let most = terms.addon.map_or(0, |addon| addon.most);
        Ok(Agreed {
            plan,
            billing: change.interval.unwrap_or(kept),
            units: change.units.unwrap_or(before.units.min(most)),
        })
    }

    /// What is more comes now, what is less with the next payment. Answers what it grants: allowance, units' credits.
    fn take_over(
        &mut self,
        new: &mut Subscription,
        old: &Subscription,
        wanted: Agreed,
        its_terms: Plan,
        change: &Change,
    ) -> (i64, i64) {
        let has_begun = !old.billings.is_empty();
        let is_other = wanted.plan != old.plan;
        let is_lower = its_terms.height(wanted.billing) < old.terms.height(old.granting());
        let is_now = is_other && (!is_lower || !has_begun);
        if is_now {
            (new.plan, new.terms) = (wanted.plan, its_terms);
        }
        let keeps = if has_begun { old.units } else { 0 };
        match new.terms.addon {
            None => new.units = 0,
            Some(_) if is_now || !is_other => new.units = wanted.units.max(keeps),
            // The plan waits for the next payment, units that are asked for beside it do not.
            Some(addon) if change.units.is_some() && change.plan.is_none() => {
                new.units = wanted.units.min(addon.most).max(keeps);
            }
            Some(_) => {}
        }
        if !has_begun {
            new.billing = wanted.billing;
        }
        if old.pending.is_some() && wanted == new.agreed() {
            self.sight("pending change undone");
        }
        let was_pending = old.pending.as_ref().filter(|pending| pending.plan != old.plan);
        if was_pending.is_some_and(|pending| pending.plan != wanted.plan && wanted.plan != old.plan) {
            self.sight("another plan in the place of a pending one");
        }
        new.pending = (wanted != new.agreed()).then_some(wanted);
        if !has_begun {
            return (0, 0);
        }
        // Whoever changes to and fro gets nothing twice.
        let (before, units_before) = old.reached;
        let (after, units_after) = new.credits();
        let more = after - before;
        let allowance = match new.terms.upgrade {
            _ if !is_now || more <= 0 => 0,
            Upgrade::Difference => more,
            Upgrade::Full => after,
            Upgrade::Prorated => {
                let (start, end) = old.refresh_cycle().expect("it has begun");
                let share = |left: Duration| left.num_microseconds().map_or(0, i128::from);
                (i128::from(more) * share(end - self.now) / share(end - start)) as i64
            }
        };
        if allowance > 0 {
            self.sight("upgraded");
        }
        new.reached = (before.max(after), units_before.max(units_after));
        if units_after < units_before && new.units > old.units {
            self.sight("units that were granted before");
        }
        if new.units > old.units {
            self.sight("more units");
        }
        (allowance, (units_after - units_before).max(0))
    }
}

/// What the units cost more than before; nobody knows where only one of the prices is known.
fn price_of_more(old: &Subscription, new: &Subscription) -> Option<i64> {
    let before = if old.units == 0 { 0 } else { old.units_price()? };
    Some(new.units_price()? - before).filter(|more| *more > 0)
}

fn check_renewal(plan: &str, terms: &Plan) -> Result<(), Refusal> {
    match terms.by_stripe {
        true => refuse("plan_renewed_by_stripe", json!({"plan": plan})),
        false => Ok(()),
    }
}

fn check_interval(plan: &str, terms: &Plan, interval: Interval) -> Result<(), Refusal> {
    match terms.billing.contains(&interval) {
        true => Ok(()),
        false => refuse("unknown_interval", json!({"plan": plan, "interval": interval})),
    }
}

fn check_units(plan: &str, addon: Option<Addon>, units: u32) -> Result<(), Refusal> {
    match addon {
        _ if units == 0 => Ok(()),
        None => refuse("units_not_offered", json!({"plan": plan})),
        Some(addon) if units > addon.most => refuse(
            "too_many_units",
            json!({"plan": plan, "requested": units, "limit": addon.most}),
        ),
        Some(_) => Ok(()),
    }
}
