//! The rules in the words of the model that counts credits: hours, numbers of grants, operations by number.

use chrono::{DateTime, Duration, Utc};
use scrip::domain::{
    balance::balance,
    credits::Amount,
    decide::{Action, Charge, GrantCredits, RefundSpend, RevokeGrant, SpendCredits},
    grant::{Class, Grant, Origin},
    ids::{GrantId, TransactionId},
    money::Money,
    program::{Format, parse},
    rejection::Rejection,
    spending_order::Draw,
    transaction::{Kind, Transaction},
};
use serde_json::json;

use crate::{
    ledger::Ledger,
    model::credits::{Parts, Policy, Refusal, Rules, Terms},
};

pub struct Books {
    ledger: Ledger,
    spends: Vec<TransactionId>,
}

fn hour(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(365 * 57) + Duration::hours(hours)
}

fn hours(time: DateTime<Utc>) -> i64 {
    (time - hour(0)).num_hours()
}

fn amount(credits: i64) -> Amount {
    Amount::new(credits).expect("the histories use positive amounts")
}

fn operation(number: u8) -> String {
    format!("operation-{number}")
}

impl Books {
    pub fn new(rules: &Rules) -> Self {
        let policy = |class: usize| match rules.policy[class] {
            Policy::Reissue => "reissue",
            Policy::Restore => "restore",
            Policy::Reject => "reject",
        };
        let document = json!({
            "unit": {"name": "credits"},
            "spending_order": rules.order.map(|class| Class::ALL[class]),
            "refunds": {"expired_source": {"plan": policy(0), "addon": policy(1), "balance": policy(2)}},
        });
        let program = parse(&document.to_string(), Format::Json).expect("a program");
        Self {
            ledger: Ledger::new(hour(0), program),
            spends: Vec::new(),
        }
    }

    pub fn pass(&mut self, hours: i64) {
        self.ledger.now += Duration::hours(hours);
    }

    fn post(&mut self, action: Action) -> Result<Transaction, Refusal> {
        let before = self.ledger.posted.len();
        let posted = self.ledger.post(action);
        let transaction = posted.map_err(|rejection| self.refusal(&rejection))?;
        let spends = self.ledger.posted[before..].iter().filter(|t| t.kind == Kind::Spend);
        self.spends.extend(spends.map(|t| t.id));
        assert_eq!(transaction.available_after, self.balance().iter().sum::<i64>());
        Ok(transaction)
    }

    pub fn balance(&self) -> [i64; 3] {
        let state = self.ledger.stored();
        let open = state.open_classes(self.ledger.program(), self.ledger.now);
        let balance = balance(&state.grants, open, self.ledger.now);
        let by_class = [balance.by_class.plan, balance.by_class.addon, balance.by_class.balance];
        assert_eq!(balance.available, by_class.iter().sum::<i64>());
        by_class
    }

    /// What is left of each grant, seen from now.
    pub fn left(&self) -> Vec<i64> {
        let left = |g: &Grant| {
            if g.expires_at.is_some_and(|end| end <= self.ledger.now) {
                0
            } else {
                g.remaining
            }
        };
        self.ledger.grants.iter().map(left).collect()
    }

    /// The lives of the grants, to compare reissues.
    pub fn ends(&self) -> Vec<Option<i64>> {
        self.ledger.grants.iter().map(|g| g.expires_at.map(hours)).collect()
    }

    fn number(&self, id: GrantId) -> usize {
        let place = self.ledger.grants.iter().position(|g| g.id == id);
        place.expect("a grant of this account")
    }

    fn parts(&self, draws: impl Iterator<Item = Draw>) -> Parts {
        draws.map(|draw| (self.number(draw.grant_id), draw.amount)).collect()
    }

    fn refusal(&self, rejection: &Rejection) -> Refusal {
        match *rejection {
            Rejection::InsufficientCredits { needed, available } => Refusal::Insufficient { needed, available },
            Rejection::SpendAlreadyRefunded { spent, refunded } => {
                assert_eq!(spent, refunded);
                Refusal::AlreadyRefunded { spent }
            }
            Rejection::RefundExceedsSpend {
                spent,
                refunded,
                refundable,
                requested,
            } => Refusal::Exceeds {
                spent,
                refunded,
                refundable,
                requested,
            },
            Rejection::SourceGrantExpired { grant_id, amount, .. } => Refusal::SourceExpired {
                grant: self.number(grant_id),
                amount,
            },
            Rejection::GrantWithoutLife { .. } => Refusal::WithoutLife,
            Rejection::GrantAlreadyClosed { .. } => Refusal::Closed,
            ref other => panic!("no history leads to {other:?}"),
        }
    }

    pub fn grant(&mut self, credits: i64, terms: &Terms) -> Result<usize, Refusal> {
        let action = Action::Grant(GrantCredits {
            class: Class::ALL[terms.class],
            origin: if terms.is_cycle {
                Origin::Allocation
            } else {
                Origin::Promotion
            },
            amount: amount(credits),
            effective_at: Some(hour(terms.starts)),
            expires_at: terms.ends.map(hour),
            priority: terms.priority,
            applies_to: terms
                .applies_to
                .as_ref()
                .map(|list| list.iter().map(|n| operation(*n)).collect()),
            paid: terms.paid.then(|| Money {
                amount: amount(100),
                currency: "EUR".to_owned().try_into().expect("a currency"),
            }),
            reason: None,
        });
        let transaction = self.post(action)?;
        Ok(self.number(transaction.new_grants[0].id))
    }

    pub fn spend(&mut self, credits: i64, number: Option<u8>, partial: bool) -> Result<Parts, Refusal> {
        let spend = self.post(Action::Spend(SpendCredits {
            charge: Charge {
                amount: Some(amount(credits)),
                operation: number.map(operation),
                ..Charge::default()
            },
            partial,
            metadata: None,
        }))?;
        Ok(self.parts(spend.drawn()))
    }

    pub fn refund(&mut self, spend: usize, credits: Option<i64>) -> Result<Parts, Refusal> {
        let refund = self.post(Action::Refund(RefundSpend {
            spend_id: self.spends[spend],
            amount: credits.map(amount),
            reason: "it failed".to_owned(),
            ticket: None,
        }))?;
        Ok(self.parts(refund.returned()))
    }

    pub fn revoke(&mut self, grant: usize) -> Result<i64, Refusal> {
        let revoked = self.post(Action::Revoke(RevokeGrant {
            grant_id: self.ledger.grants[grant].id,
            reason: None,
        }))?;
        Ok(revoked.amount)
    }
}
