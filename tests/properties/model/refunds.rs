//! Refunds: last drawn first, and the headroom of caps to where it was used.

use scrip::domain::{grant::Origin, transaction::Kind};
use serde_json::json;

use super::{
    account::{Account, Grant, Parts, Refusal, refuse},
    charge::sum,
    terms::Policy,
};

impl Account {
    /// Where the credits went: to their own grant, or to a new one in its place.
    pub fn refund(&mut self, number: usize, amount: Option<i64>) -> Result<Parts, Refusal> {
        let spend = self.spends[number].clone();
        let (spent, refunded) = (sum(&spend.parts), spend.refunded);
        let refundable = spent - refunded;
        if refundable == 0 {
            return refuse("spend_already_refunded", json!({"spent": spent, "refunded": refunded}));
        }
        let amount = amount.unwrap_or(refundable);
        if amount > refundable {
            let fields = json!({"spent": spent, "refunded": refunded, "refundable": refundable, "requested": amount});
            return refuse("refund_exceeds_spend", fields);
        }
        let parts = last_first(&spend.parts, refunded, amount);
        let policy = |account: &Self, n: usize| account.terms().expired[account.grants[n].class as usize];
        let rejects = |part: &&(usize, i64)| self.has_ended(part.0) && policy(self, part.0) == Policy::Reject;
        if let Some((source, part)) = parts.iter().find(rejects) {
            let grant = &self.grants[*source];
            let fields = json!({"grant_id": source, "class": grant.class, "amount": part, "expired_at": grant.ends});
            return refuse("source_grant_expired", fields);
        }
        let mut went = Parts::new();
        for (source, part) in parts {
            if self.has_ended(source) && policy(self, source) == Policy::Reissue {
                let grant = Grant {
                    origin: Origin::Reissue,
                    remaining: part,
                    held: 0,
                    starts: self.now,
                    ends: Some(self.reissue_ends(source)),
                    source: Some(source),
                    ..self.grants[source].clone()
                };
                self.grants.push(grant);
                self.sight("reissued");
                went.push((self.grants.len() - 1, part));
            } else {
                // What goes back to a grant that has ended is gone with it.
                let kept = if self.has_ended(source) { 0 } else { part };
                self.grants[source].remaining += kept;
                went.push((source, part));
            }
        }
        for (used, part) in last_first(&spend.uses, refunded, amount) {
            self.uses[used].back += part;
            for (_, (_, end)) in self.uses[used].caps.clone() {
                let is_running = self.now < end;
                self.sight(if is_running {
                    "headroom back"
                } else {
                    "headroom back to a past window"
                });
            }
        }
        self.spends[number].refunded += amount;
        self.sight("refunded");
        self.post(Kind::Refund, amount);
        Ok(went)
    }
}

/// The last of `parts` that come to `amount`, once `skipped` at the very end were taken off before.
fn last_first(parts: &Parts, skipped: i64, amount: i64) -> Parts {
    let kept = sum(parts) - skipped;
    let (mut from, mut back) = (0, Parts::new());
    for (number, part) in parts {
        // This part is [from, from + part) of the whole; what is taken is [kept - amount, kept).
        let taken = (from + part).min(kept) - from.max(kept - amount);
        if taken > 0 {
            back.push((*number, taken));
        }
        from += part;
    }
    back.reverse();
    back
}
