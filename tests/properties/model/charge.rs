//! Spends and quotes: drawn part by part from the grant that is best each time.

use std::cmp::Reverse;

use chrono::Duration;
use scrip::domain::{grant::Class, transaction::Kind};
use serde_json::json;

use super::account::{Account, Grant, Parts, Quote, Refusal, Spend, Use, refuse};

/// What is to be paid for: an amount, a priced operation, or a quote by its number.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub amount: Option<i64>,
    pub operation: Option<&'static str>,
    pub quantity: Option<i64>,
    pub member: Option<&'static str>,
    pub quote: Option<usize>,
}

/// What it comes to.
pub struct Due {
    pub amount: i64,
    pub operation: Option<&'static str>,
    pub quantity: Option<i64>,
    pub member: Option<&'static str>,
    pub quote: Option<usize>,
}

impl Account {
    pub fn due(&mut self, ask: &Ask) -> Result<Due, Refusal> {
        let Some(number) = ask.quote else {
            let terms = self.terms();
            let known = ask.operation.and_then(|name| terms.operations.get(name));
            let price = match (ask.amount, known) {
                (Some(amount), _) => Some(amount),
                (None, Some(operation)) => operation.price(ask.quantity.unwrap_or(1)),
                (None, None) => {
                    return refuse("unknown_operation", json!({"operation": ask.operation.unwrap_or("")}));
                }
            };
            let Some(amount) = price else {
                self.sight("no price");
                return refuse("no_price", json!({"operation": ask.operation, "attributes": {}}));
            };
            return Ok(Due {
                amount,
                operation: ask.operation,
                quantity: if ask.amount.is_some() {
                    None
                } else {
                    Some(ask.quantity.unwrap_or(1))
                },
                member: ask.member,
                quote: None,
            });
        };
        let quote = self.quotes[number].clone();
        if quote.used {
            return refuse("quote_already_used", json!({"quote_id": number}));
        }
        if quote.ends <= self.now {
            self.sight("quote lapsed");
            return refuse("quote_expired", json!({"quote_id": number, "expired_at": quote.ends}));
        }
        let other_amount = ask.amount.is_some_and(|amount| amount != quote.amount);
        let other_operation = ask.operation.is_some() && ask.operation != quote.operation;
        let other_quantity = ask.quantity.is_some() && ask.quantity != quote.quantity;
        let other_member = quote.member.is_some() && ask.member.is_some() && ask.member != quote.member;
        if other_amount || other_operation || other_quantity || other_member {
            return refuse(
                "quote_differs",
                json!({"quote_id": number, "quoted_amount": quote.amount}),
            );
        }
        Ok(Due {
            amount: quote.amount,
            operation: quote.operation,
            quantity: quote.quantity,
            member: ask.member.or(quote.member),
            quote: Some(number),
        })
    }

    /// Whether it is a single thing: there is no more of it than costs what is due.
    pub fn is_one(&self, due: &Due) -> bool {
        let terms = self.terms();
        let known = due.operation.and_then(|name| terms.operations.get(name));
        let of_one = known
            .filter(|_| due.quantity.is_some_and(|quantity| quantity > 1))
            .and_then(|operation| operation.price(1));
        of_one.is_none_or(|of_one| of_one >= due.amount)
    }

    /// The classes that may pay for an operation.
    fn classes_for(&self, operation: Option<&str>) -> Vec<Class> {
        let terms = self.terms();
        let known = operation.and_then(|name| terms.operations.get(name));
        known
            .and_then(|o| o.paid_by.clone())
            .unwrap_or_else(|| Class::ALL.to_vec())
    }

    /// Whether a grant may pay for it, its class being open.
    fn suits(&self, grant: &Grant, due: &Due) -> bool {
        let for_it = match (&grant.operations, due.operation) {
            (None, _) => true,
            (Some(list), Some(operation)) => list.contains(&operation),
            (Some(_), None) => false,
        };
        let of_class = self.classes_for(due.operation).contains(&grant.class);
        let is_anothers = due.member.is_some_and(|member| member != crate::ledger::ACCOUNT);
        let is_personal = grant.of_units
            && grant.subscription.is_some_and(|number| {
                let subscription = &self.subscriptions[number];
                !subscription.ended && subscription.terms.addon.is_some_and(|addon| addon.personal)
            });
        for_it && of_class && !(is_anothers && is_personal)
    }

    /// The grants that may pay, best first; or those that would if their gate were open.
    fn payers(&self, due: &Due, gate_open: bool) -> Vec<usize> {
        let order = self.terms().order;
        let may_pay = |n: &usize| {
            let grant = &self.grants[*n];
            self.is_live(*n) && self.free(*n) > 0 && self.is_open(grant.class) == gate_open && self.suits(grant, due)
        };
        let mut payers: Vec<usize> = (0..self.grants.len()).filter(may_pay).collect();
        payers.sort_by_key(|n| {
            let grant = &self.grants[*n];
            let rank = order.iter().position(|class| *class == grant.class);
            // Reversed, an end that is there comes before none; among ends the sooner one comes first.
            let soonest = (Reverse(grant.ends.is_some()), grant.ends);
            (rank, grant.priority, soonest, grant.paid, grant.starts, *n)
        });
        payers
    }

    fn draw(&self, due: &Due, amount: i64) -> Parts {
        let (mut parts, mut wanted) = (Vec::new(), amount);
        for number in self.payers(due, true) {
            let taken = self.free(number).min(wanted);
            if taken > 0 {
                parts.push((number, taken));
                wanted -= taken;
            }
        }
        parts
    }

    /// Who pays.
    pub fn fund(&mut self, due: &Due, partial: bool) -> Result<Parts, Refusal> {
        let honoured = due
            .quote
            .map(|number| self.quotes[number].clone())
            .filter(|quote| quote.affordable);
        let let_through = match &honoured {
            Some(quote) if quote.member == due.member => due.amount,
            _ => self.let_through(due, partial)?,
        };
        let can_pay = |parts: &Parts| {
            let payers = self.payers(due, true);
            parts
                .iter()
                .all(|(n, amount)| payers.contains(n) && self.free(*n) >= *amount)
        };
        let quoted = honoured
            .map(|quote| quote.parts)
            .filter(|_| let_through == due.amount)
            .filter(can_pay);
        let parts = quoted.unwrap_or_else(|| self.draw(due, let_through));
        let available = sum(&parts);
        if available == due.amount || (partial && available > 0) {
            return Ok(parts);
        }
        let kept = self.payers(due, false);
        let frozen: i64 = kept.iter().map(|n| self.free(*n)).sum();
        let classes = self.classes_for(due.operation);
        let none_is_open = classes.iter().all(|class| !self.is_open(*class));
        let is_kept = frozen > 0 && (partial || available + frozen >= due.amount);
        if none_is_open || is_kept {
            self.sight(if frozen > 0 {
                "frozen"
            } else {
                "closed, with nothing behind"
            });
            let of_kept = |class: &&Class| frozen == 0 || kept.iter().any(|n| self.grants[*n].class == **class);
            let closed = classes.iter().find(of_kept).copied();
            let requires = closed.map_or("", |class| self.terms().needs[class as usize].text());
            let fields = json!({"needed": due.amount, "available": available, "frozen": frozen, "requires": requires});
            return refuse("gate_closed", fields);
        }
        self.sight("insufficient");
        refuse(
            "insufficient_credits",
            json!({"needed": due.amount, "available": available}),
        )
    }

    pub fn note_use(&mut self, due: &Due, amount: i64) -> usize {
        self.uses.push(Use {
            at: self.now,
            amount,
            back: 0,
            operation: due.operation,
            member: due.member,
            caps: self.counting(due.operation, due.member),
        });
        if let Some(number) = due.quote {
            self.quotes[number].used = true;
            self.sight("quote honoured");
        }
        self.uses.len() - 1
    }

    pub fn spend(&mut self, ask: &Ask, partial: bool) -> Result<Parts, Refusal> {
        let due = self.due(ask)?;
        let parts = self.fund(&due, partial)?;
        let amount = sum(&parts);
        parts.iter().for_each(|(n, taken)| self.grants[*n].remaining -= taken);
        let used = self.note_use(&due, amount);
        self.spends.push(Spend {
            parts: parts.clone(),
            refunded: 0,
            uses: vec![(used, amount)],
        });
        self.sight(if amount < due.amount { "spent in part" } else { "spent" });
        self.post(Kind::Spend, amount);
        Ok(parts)
    }

    /// What it would cost, who would pay, and whether it can be had.
    pub fn quote(&mut self, ask: &Ask) -> Result<(i64, Parts, bool), Refusal> {
        let due = self.due(ask)?;
        let (parts, affordable) = match self.fund(&due, false) {
            Ok(parts) => (parts, true),
            Err(_) => (self.draw(&due, due.amount), false),
        };
        self.quotes.push(Quote {
            amount: due.amount,
            operation: due.operation,
            quantity: due.quantity,
            member: due.member,
            parts: parts.clone(),
            affordable,
            ends: self.now + Duration::seconds(self.terms().quotes.into()),
            used: false,
        });
        Ok((due.amount, parts, affordable))
    }
}

pub fn sum(parts: &Parts) -> i64 {
    parts.iter().map(|(_, amount)| amount).sum()
}
