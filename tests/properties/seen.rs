//! What can be seen of an account, in the same words of the rules and of the model.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use scrip::domain::{
    balance::balance,
    cap::CapStanding,
    cycle::Cycle,
    grant::{Class, Grant, Origin},
    ids::GrantId,
    rejection::Rejection,
    subscription::Subscription,
};
use serde_json::{Value, json};

use crate::{
    ledger::{Ledger, Seen},
    model::account::{self, Account, Refusal},
    side_by_side::SideBySide,
};

impl SideBySide {
    /// A refusal with numbers in the place of ids.
    pub fn refusal(&self, rejection: &Rejection) -> Refusal {
        let mut fields = serde_json::to_value(rejection).expect("a refusal can be written");
        let seen = self.ledger.see();
        let known: [(&str, Vec<uuid::Uuid>); 4] = [
            ("grant_id", seen.grants.iter().map(|g| g.id.0).collect()),
            ("hold_id", self.ledger.holds.iter().map(|h| h.id.0).collect()),
            ("quote_id", self.ledger.quotes.iter().map(|q| q.id.0).collect()),
            ("subscription_id", seen.subscriptions.iter().map(|s| s.id.0).collect()),
        ];
        for (name, ids) in known {
            if let Some(id) = fields.get_mut(name) {
                let place = ids.iter().position(|known| json!(known) == *id);
                *id = json!(place);
            }
        }
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("used_by");
        }
        Refusal {
            code: rejection.code(),
            fields,
        }
    }

    /// All that can be seen of the account.
    pub fn sights(&self) -> Vec<String> {
        let seen = self.ledger.see();
        let mut rows = seen.grant_rows();
        rows.extend(seen.subscription_rows(self.ledger.now));
        rows.push(seen.figures(&self.ledger).to_string());
        let caps = seen.state.caps(self.ledger.program(), self.ledger.now);
        for member in [None, Some("ann"), Some("bob")] {
            rows.extend(caps.standings(member).iter().map(|cap| standing(cap).to_string()));
        }
        rows
    }

    pub fn compare(&self) -> Result<(), TestCaseError> {
        let seen = self.ledger.see();
        prop_assert_eq!(seen.grant_rows(), self.model.grant_rows());
        prop_assert_eq!(seen.subscription_rows(self.ledger.now), self.model.subscription_rows());
        prop_assert_eq!(seen.figures(&self.ledger), self.model.figures());
        for member in [None, Some("ann"), Some("bob")] {
            let caps = seen
                .state
                .caps(self.ledger.program(), self.ledger.now)
                .standings(member);
            let caps: Vec<Value> = caps.iter().map(standing).collect();
            prop_assert_eq!(caps, self.model.cap_standings(member));
        }
        // What is posted already is what the model lived through, in its order.
        let posted: Vec<_> = self
            .ledger
            .posted
            .iter()
            .map(|t| (t.kind, t.effective_at, t.amount))
            .collect();
        prop_assert_eq!(&posted, &self.model.journal[..posted.len()]);
        Ok(())
    }
}

pub fn standing(cap: &CapStanding) -> Value {
    json!([
        cap.window,
        cap.limit,
        cap.used,
        cap.resets_at,
        cap.member,
        cap.operations
    ])
}

impl Seen {
    fn grant_rows(&self) -> Vec<String> {
        let place = |id: GrantId| self.grants.iter().position(|g| g.id == id);
        let row = |g: &Grant| {
            let subscription = g
                .subscription_id
                .and_then(|id| self.subscriptions.iter().position(|s| s.id == id));
            let source = g.source_grant_id.and_then(place);
            row_of_grant(
                (g.class, g.origin, g.remaining, g.held),
                (g.effective_at, g.expires_at),
                (subscription, source),
                g.paid.as_ref().map(|paid| paid.amount.get()),
            )
        };
        self.grants.iter().map(row).collect()
    }

    fn subscription_rows(&self, now: DateTime<Utc>) -> Vec<String> {
        let row = |s: &Subscription| {
            let cycle = |cycle: Option<Cycle>| cycle.map(|c| (c.starts_at, c.ends_at));
            let pending = s.pending.as_ref().map(|p| (p.plan.as_str(), p.interval, p.units));
            format!(
                "{} {:?} {:?} x{} pending {pending:?} refresh {:?} billing {:?} ends {:?} since {:?}",
                s.plan,
                s.status(now),
                s.billing,
                s.units,
                cycle(s.refresh_cycle()),
                cycle(s.billing_cycle()),
                s.ends_at,
                s.started_at,
            )
        };
        self.subscriptions.iter().map(row).collect()
    }

    fn figures(&self, ledger: &Ledger) -> Value {
        let open = self.state.open_classes(ledger.program(), ledger.now);
        let figures = balance(&self.state.grants, open, ledger.now);
        let by_class = [figures.by_class.plan, figures.by_class.addon, figures.by_class.balance];
        assert_eq!(figures.available, by_class.iter().sum::<i64>());
        let used = self.state.usage_at(ledger.now).used;
        json!({"by_class": by_class, "held": figures.held, "frozen": figures.frozen, "used": used})
    }
}

type Life = (DateTime<Utc>, Option<DateTime<Utc>>);

fn row_of_grant(
    (class, origin, remaining, held): (Class, Origin, i64, i64),
    (starts, ends): Life,
    (subscription, source): (Option<usize>, Option<usize>),
    price: Option<i64>,
) -> String {
    format!(
        "{class:?} {origin:?} {remaining} held {held} from {starts:?} to {ends:?} of {subscription:?} for {source:?} at {price:?}"
    )
}

impl Account {
    fn grant_rows(&self) -> Vec<String> {
        let row = |g: &account::Grant| {
            row_of_grant(
                (g.class, g.origin, g.remaining, g.held),
                (g.starts, g.ends),
                (g.subscription, g.source),
                g.price,
            )
        };
        self.grants.iter().map(row).collect()
    }

    fn subscription_rows(&self) -> Vec<String> {
        let row = |s: &account::Subscription| {
            let pending = s.pending.as_ref().map(|p| (p.plan, p.billing, p.units));
            format!(
                "{} {:?} {:?} x{} pending {pending:?} refresh {:?} billing {:?} ends {:?} since {:?}",
                s.plan,
                s.status(self.now),
                s.billing,
                s.units,
                s.refresh_cycle(),
                s.billing_cycle(),
                s.ends,
                s.starts,
            )
        };
        self.subscriptions.iter().map(row).collect()
    }

    fn figures(&self) -> Value {
        let (by_class, held, frozen) = self.balance();
        json!({"by_class": by_class, "held": held, "frozen": frozen, "used": self.used()})
    }
}
