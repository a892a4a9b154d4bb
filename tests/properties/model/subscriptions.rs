//! Subscriptions, lived through boundary by boundary.

use scrip::domain::{
    cycle::Interval,
    grant::{Class, Origin},
    subscription::Status,
    transaction::Kind,
};

use super::{
    account::{Account, Agreed, Grant, Parts, Subscription},
    calendar::{self, At},
    terms::{Lasting, months, place},
};

impl Subscription {
    pub fn month(&self, number: u32) -> At {
        calendar::months_after(self.anchor, self.zone, number)
    }

    pub fn is_live(&self, at: At) -> bool {
        self.starts <= at && !self.ended && self.ends.is_none_or(|end| at < end)
    }

    pub fn status(&self, at: At) -> Status {
        match self.ends {
            Some(end) if self.ended || end <= at => Status::Ended,
            Some(_) => Status::Cancelled,
            None if at < self.starts => Status::Scheduled,
            None => Status::Active,
        }
    }

    fn cycle_of(&self, cycles: &[(u32, u32)]) -> Option<(At, At)> {
        cycles.last().map(|(from, to)| (self.month(*from), self.month(*to)))
    }

    pub fn refresh_cycle(&self) -> Option<(At, At)> {
        self.cycle_of(&self.refreshes)
    }

    pub fn billing_cycle(&self) -> Option<(At, At)> {
        self.cycle_of(&self.billings)
    }

    /// When its next cycle begins or it ends.
    pub fn boundary(&self) -> Option<At> {
        let next = self.refreshes.last().map_or(0, |(_, to)| *to);
        (!self.ended).then(|| self.month(next))
    }

    pub fn agreed(&self) -> Agreed {
        Agreed {
            plan: self.plan,
            billing: self.billing,
            units: self.units,
        }
    }

    /// The months of the running refresh cycle.
    pub fn length(&self) -> u32 {
        self.refreshes.last().map_or(0, |(from, to)| to - from)
    }

    /// The interval by which it grants: a plan that is not offered at the one that is paid for grants as at its own.
    pub fn granting(&self) -> Interval {
        let is_offered = self.terms.billing.contains(&self.billing);
        if is_offered {
            self.billing
        } else {
            self.terms.billing[0]
        }
    }

    /// What its units cost together, if that is known.
    pub fn units_price(&self) -> Option<i64> {
        let price = self.terms.addon?.price?;
        (self.units > 0).then_some(price * i64::from(self.units))
    }

    /// Its allowance and its units' credits for the running refresh cycle.
    pub fn credits(&self) -> (i64, i64) {
        let units = self.terms.unit_for(self.granting(), self.length()) * i64::from(self.units);
        (self.terms.allowance_for(self.granting(), self.length()), units)
    }
}

impl Account {
    /// The subscription that the account's cycle is of: paid before unpaid, then the one that began first.
    fn primary(&self) -> Option<&Subscription> {
        let mut best: Option<&Subscription> = None;
        for one in self
            .subscriptions
            .iter()
            .filter(|s| s.is_live(self.now) && !s.refreshes.is_empty())
        {
            let is_better = best.is_none_or(|best| {
                (one.terms.paid && !best.terms.paid) || (one.terms.paid == best.terms.paid && one.starts < best.starts)
            });
            if is_better {
                best = Some(one);
            }
        }
        best
    }

    pub fn cycle(&self) -> Option<(At, At)> {
        self.primary()?.refresh_cycle()
    }

    pub fn billing_cycle(&self) -> Option<(At, At)> {
        self.primary()?.billing_cycle()
    }

    /// Those whose boundary is now: the one that began first comes first.
    pub fn boundaries_now(&self) -> Vec<usize> {
        let is_now = |n: &usize| self.subscriptions[*n].boundary().is_some_and(|at| at <= self.now);
        let mut now: Vec<usize> = (0..self.subscriptions.len()).filter(is_now).collect();
        now.sort_by_key(|n| self.subscriptions[*n].starts);
        now
    }

    pub fn cross_boundary(&mut self, number: usize, gone: &Parts) {
        if self.subscriptions[number].ends.is_some_and(|end| end <= self.now) {
            self.subscriptions[number].ended = true;
            self.sight("subscription ended");
            return self.post(Kind::Subscription, 0);
        }
        let old = self.subscriptions[number].clone();
        let bills = old.billings.last().map(|b| b.1) == old.refreshes.last().map(|r| r.1);
        let mut new = old.clone();
        let terms = self.terms();
        if bills && let Some(agreed) = new.pending.take() {
            // A plan that is not to be had any more cannot be changed to.
            if agreed.plan == new.plan || terms.plans.contains_key(agreed.plan) {
                self.sight(if agreed.plan == new.plan {
                    "pending terms took effect"
                } else {
                    "downgrade took effect"
                });
                if agreed.units < new.units && agreed.plan == new.plan {
                    self.sight("fewer units took effect");
                }
                (new.plan, new.billing, new.units) = (agreed.plan, agreed.billing, agreed.units);
                // At an interval that is not to be had any more it is paid for as the plan says.
                let intervals = terms
                    .plans
                    .get(new.plan)
                    .map_or(&new.terms.billing, |plan| &plan.billing);
                if !intervals.contains(&new.billing) {
                    self.sight("a pending interval was given up");
                    new.billing = intervals[0];
                }
            } else {
                self.sight("a pending plan was given up");
            }
        }
        match terms.plans.get(new.plan) {
            Some(plan) if plan.billing.contains(&new.billing) => new.terms = plan.clone(),
            Some(_) => self.sight("its interval was given up"),
            None => self.sight("its plan was given up"),
        }
        if new.terms.addon.is_none() {
            new.units = 0;
        }
        let start = old.refreshes.last().map_or(0, |(_, to)| *to);
        if bills {
            new.billings.push((start, start + months(new.billing)));
        }
        let paid_to = new.billings.last().expect("it was paid for").1;
        let cycle_length = new.terms.refresh_months(new.granting()).min(months(new.billing));
        new.refreshes.push((start, (start + cycle_length).min(paid_to)));
        self.subscriptions[number] = new;
        self.roll_over(number, &old, gone, cycle_length);
        self.sight("renewed");
        let amount = self.grant_cycle(number, bills);
        self.post(Kind::Renewal, amount);
    }

    fn roll_over(&mut self, number: usize, old: &Subscription, gone: &Parts, cycle_length: u32) {
        let of_it = |origin: Origin| {
            let is_its = |grant: &Grant| grant.subscription == Some(number) && grant.origin == origin;
            gone.iter()
                .copied()
                .filter(|(g, _)| is_its(&self.grants[*g]))
                .collect::<Parts>()
        };
        let (once, allowances) = (of_it(Origin::Rollover), of_it(Origin::Allocation));
        if !once.is_empty() {
            self.sight("rolled over once and then gone");
        }
        if let (Some((most, cycles)), Some((source, _))) = (old.terms.rollover, allowances.first()) {
            let amount = allowances.iter().map(|(_, n)| n).sum::<i64>().min(most);
            let ends = old.month(old.refreshes.last().map_or(0, |(_, to)| *to) + cycle_length * cycles);
            let new = self.new_grant(number, Class::Plan, Origin::Rollover, Some(ends));
            self.grants.push(Grant {
                remaining: amount,
                source: Some(*source),
                ..new
            });
            self.sight("rolled over");
            self.post(Kind::Rollover, amount);
        }
    }

    fn new_grant(&self, subscription: usize, class: Class, origin: Origin, ends: Option<At>) -> Grant {
        Grant {
            class,
            origin,
            remaining: 0,
            held: 0,
            starts: self.now,
            ends,
            priority: 0,
            operations: None,
            paid: origin == Origin::AddonUnits,
            price: None,
            subscription: Some(subscription),
            of_units: origin == Origin::AddonUnits,
            source: None,
        }
    }

    /// All that a cycle brings, and what comes with a payment if it begins with one. Answers how much that is.
    pub fn grant_cycle(&mut self, number: usize, is_paid_for: bool) -> i64 {
        let (allowance, units) = self.subscriptions[number].credits();
        self.subscriptions[number].reached = (allowance, units);
        let price = self.subscriptions[number].units_price().filter(|_| is_paid_for);
        let sum = self.grant_parts(number, allowance, units, price);
        if is_paid_for {
            return sum + self.grant_bonus(number);
        }
        sum
    }

    pub fn grant_bonus(&mut self, number: usize) -> i64 {
        let subscription = &self.subscriptions[number];
        let Some(bonus) = subscription.terms.bonus else {
            return 0;
        };
        let credits = bonus.credits[place(subscription.granting())];
        if credits > 0 {
            let zone = subscription.zone;
            let ends = match bonus.lasts {
                Lasting::Never => None,
                Lasting::CycleEnd => subscription.billing_cycle().map(|(_, end)| end),
                Lasting::Days(days) => Some(calendar::days_after(self.now, zone, days)),
                Lasting::Months(months) => Some(calendar::months_after(self.now, zone, months)),
            };
            let new = self.new_grant(number, bonus.class, Origin::Bonus, ends);
            self.grants.push(Grant {
                remaining: credits,
                ..new
            });
            self.sight("bonus");
        }
        credits
    }

    /// What of an allowance and of units' credits lasts to the end of the running cycle, and what the units cost.
    pub fn grant_parts(&mut self, number: usize, allowance: i64, units: i64, price: Option<i64>) -> i64 {
        let ends = self.subscriptions[number].refresh_cycle().map(|(_, end)| end);
        let parts = [
            (allowance, Class::Plan, Origin::Allocation, None),
            (units, Class::Addon, Origin::AddonUnits, price),
        ];
        for (amount, class, origin, price) in parts.into_iter().filter(|(amount, ..)| *amount > 0) {
            let new = self.new_grant(number, class, origin, ends);
            self.grants.push(Grant {
                remaining: amount,
                price,
                ..new
            });
        }
        allowance + units
    }
}
