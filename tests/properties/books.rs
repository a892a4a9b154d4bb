//! The real rules under test: an account loaded and stored around every command, as the ledger does it.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use scrip::domain::{
    account::ExternalId,
    balance::balance,
    credits::Amount,
    cycle::Usage,
    decide::{
        AccountState, Action, Command, Context, GrantCredits, RefundSpend, RevokeGrant, SpendCredits, SpendRecord,
        decide, sweep,
    },
    entry::Entry,
    grant::{Class, Grant, Origin},
    ids::{AccountId, GrantId, IdSource, TransactionId},
    money::Money,
    program::{Format, Program, parse},
    rejection::Rejection,
    spending_order::Draw,
    transaction::{Kind, Transaction},
};
use serde_json::json;
use uuid::Uuid;

use crate::model::{Parts, Policy, Refusal, Rules, Terms};

#[derive(Default)]
struct Counted(u128);

impl IdSource for Counted {
    fn next(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

pub struct Books {
    now: DateTime<Utc>,
    program: Program,
    ids: Counted,
    /// In the order in which they came: a grant's place is its number in the model.
    grants: Vec<Grant>,
    spends: Vec<TransactionId>,
    records: HashMap<TransactionId, SpendRecord>,
    usage: Usage,
    credits: i64,
    posted: Vec<Transaction>,
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
        Self {
            now: hour(0),
            program: parse(&document.to_string(), Format::Json).expect("a program"),
            ids: Counted::default(),
            grants: Vec::new(),
            spends: Vec::new(),
            records: HashMap::new(),
            usage: Usage::default(),
            credits: 0,
            posted: Vec::new(),
        }
    }

    pub fn pass(&mut self, hours: i64) {
        self.now += Duration::hours(hours);
    }

    fn open(&self) -> Vec<Grant> {
        self.grants.iter().filter(|g| g.remaining > 0).cloned().collect()
    }

    fn post(&mut self, action: Action) -> Result<Transaction, Refusal> {
        let mut state = AccountState {
            id: AccountId(Uuid::from_u128(1)),
            external_id: ExternalId::try_from("acme".to_owned()).expect("an id"),
            version: 1,
            credits: self.credits,
            usage: self.usage,
            grants: self.open(),
            spends: HashMap::new(),
        };
        if let Action::Refund(refund) = &action
            && let Some(record) = self.records.get(&refund.spend_id)
        {
            let closed = |g: &&Grant| g.remaining == 0 && record.drawdown.iter().any(|d| d.grant_id == g.id);
            state.grants.extend(self.grants.iter().filter(closed).cloned());
            state.spends.insert(refund.spend_id, record.clone());
        }
        let mut context = Context {
            now: self.now,
            program: &self.program,
            program_version: Some(1),
            ids: &mut self.ids,
        };
        let mut posted = sweep(&mut state, &mut context);
        let command = Command {
            actor: None,
            idempotency: None,
            dry_run: false,
            action,
        };
        let transaction = decide(&state, &command, &mut context).map_err(|rejection| self.refusal(&rejection))?;
        state.apply(&transaction);
        posted.push(transaction.clone());
        self.store(state, posted);
        self.check(&transaction);
        Ok(transaction)
    }

    fn store(&mut self, state: AccountState, posted: Vec<Transaction>) {
        for grant in state.grants {
            match self.grants.iter_mut().find(|g| g.id == grant.id) {
                Some(known) => *known = grant,
                None => self.grants.push(grant),
            }
        }
        (self.usage, self.credits) = (state.usage, state.credits);
        self.records.extend(state.spends);
        for spend in posted.iter().filter(|t| t.kind == Kind::Spend) {
            let record = SpendRecord {
                amount: spend.amount,
                refunded: 0,
                created_at: spend.created_at,
                operation: spend.detail.operation.clone(),
                drawdown: spend.drawn().collect(),
            };
            self.records.insert(spend.id, record);
            self.spends.push(spend.id);
        }
        self.posted.extend(posted);
    }

    /// The books agree with themselves.
    fn check(&self, last: &Transaction) {
        let mut sums: HashMap<GrantId, i64> = HashMap::new();
        for entry in self.posted.iter().flat_map(|t| &t.entries) {
            assert!(entry.amount > 0, "{entry:?}");
            *sums.entry(entry.grant_id).or_default() += Entry::effect(entry);
        }
        for grant in &self.grants {
            assert_eq!(grant.remaining, sums[&grant.id], "a grant is the sum of its entries");
            assert!((0..=grant.amount).contains(&grant.remaining), "{grant:?}");
        }
        if last.kind == Kind::Refund {
            let ended = |g: &&Grant| g.expires_at.is_some_and(|end| end <= self.now);
            let kept = self.grants.iter().filter(ended).find(|g| g.remaining > 0);
            assert!(kept.is_none(), "what is restored expires at once: {kept:?}");
        }
        let held: i64 = self.grants.iter().map(|g| g.remaining).sum();
        assert_eq!(self.credits, held, "an account is the sum of its grants");
        assert_eq!(last.available_after, self.balance().iter().sum::<i64>());
        let ids: Vec<TransactionId> = self.posted.iter().map(|t| t.id).collect();
        assert!(ids.is_sorted(), "the books read in the order of their ids");
        assert!(self.usage.used >= 0, "{:?}", self.usage);
    }

    pub fn balance(&self) -> [i64; 3] {
        let balance = balance(&self.open(), &self.usage, self.now);
        let by_class = [balance.by_class.plan, balance.by_class.addon, balance.by_class.balance];
        assert_eq!(balance.available, by_class.iter().sum::<i64>());
        by_class
    }

    /// What is left of each grant, seen from now.
    pub fn left(&self) -> Vec<i64> {
        let left = |g: &Grant| {
            if g.expires_at.is_some_and(|end| end <= self.now) {
                0
            } else {
                g.remaining
            }
        };
        self.grants.iter().map(left).collect()
    }

    /// The lives of the grants, to compare reissues.
    pub fn ends(&self) -> Vec<Option<i64>> {
        self.grants.iter().map(|g| g.expires_at.map(hours)).collect()
    }

    fn number(&self, id: GrantId) -> usize {
        let place = self.grants.iter().position(|g| g.id == id);
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
            amount: amount(credits),
            operation: number.map(operation),
            member: None,
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
            grant_id: self.grants[grant].id,
            reason: None,
        }))?;
        Ok(revoked.amount)
    }
}
