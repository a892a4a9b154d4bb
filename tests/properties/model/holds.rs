//! Holds: exact amounts on exact grants, set aside until they are captured, given up or overdue.

use chrono::Duration;
use scrip::domain::{hold::Status, transaction::Kind};
use serde_json::json;

use super::{
    account::{Account, Hold, Parts, Refusal, Spend, refuse},
    charge::{Ask, Due, sum},
};

impl Account {
    pub fn hold(&mut self, ask: &Ask, partial: bool, lasts: Option<u32>) -> Result<Parts, Refusal> {
        let (usual, most) = self.terms().holds;
        let lasts = lasts.unwrap_or(usual);
        if lasts > most {
            return refuse("invalid_expires_in_s", json!({"requested": lasts, "limit": most}));
        }
        let due = self.due(ask)?;
        let parts = self.fund(&due, partial)?;
        let amount = sum(&parts);
        parts.iter().for_each(|(n, taken)| self.grants[*n].held += taken);
        let used = self.note_use(&due, amount);
        self.holds.push(Hold {
            parts: parts.clone(),
            amount,
            captured: 0,
            status: Status::Held,
            deadline: self.now + Duration::seconds(lasts.into()),
            operation: due.operation,
            member: due.member,
            used,
        });
        self.sight("held");
        self.post(Kind::Hold, amount);
        Ok(parts)
    }

    fn open_hold(&self, number: usize) -> Result<Hold, Refusal> {
        let hold = self.holds[number].clone();
        match hold.status {
            Status::Held => Ok(hold),
            Status::Captured => refuse(
                "hold_already_captured",
                json!({"hold_id": number, "captured": hold.captured}),
            ),
            Status::Voided => refuse("hold_already_voided", json!({"hold_id": number})),
            Status::Expired => refuse("hold_expired", json!({"hold_id": number, "expired_at": hold.deadline})),
        }
    }

    /// So much of what was held comes back to each grant, and is gone at once where that has ended.
    fn give_up(&mut self, parts: &Parts) {
        for (number, amount) in parts {
            self.grants[*number].held -= amount;
            if self.has_ended(*number) {
                self.grants[*number].remaining -= amount;
                if *amount > 0 {
                    self.sight("a hold outlived its grant");
                }
            }
        }
    }

    pub fn free_hold(&mut self, number: usize, kind: Kind, status: Status) {
        let hold = self.holds[number].clone();
        self.give_up(&hold.parts);
        self.uses[hold.used].back += hold.amount;
        self.holds[number].status = status;
        self.post(kind, hold.amount);
    }

    pub fn void(&mut self, number: usize) -> Result<(), Refusal> {
        self.open_hold(number)?;
        self.sight("voided");
        self.free_hold(number, Kind::Void, Status::Voided);
        Ok(())
    }

    pub fn capture(&mut self, number: usize, amount: Option<i64>, may_be_over: bool) -> Result<Parts, Refusal> {
        let hold = self.open_hold(number)?;
        let wanted = amount.unwrap_or(hold.amount);
        let over = wanted - hold.amount;
        if over > 0 && !may_be_over {
            return refuse(
                "capture_exceeds_hold",
                json!({"held": hold.amount, "requested": wanted}),
            );
        }
        let due = Due {
            amount: over,
            operation: hold.operation,
            quantity: None,
            member: hold.member,
            quote: None,
        };
        let more = if over > 0 {
            self.fund(&due, false)?
        } else {
            Parts::new()
        };
        let (mut taken, mut returned, mut left) = (Parts::new(), Parts::new(), wanted.min(hold.amount));
        for (grant, held) in &hold.parts {
            let part = left.min(*held);
            left -= part;
            self.grants[*grant].held -= part;
            self.grants[*grant].remaining -= part;
            taken.extend((part > 0).then_some((*grant, part)));
            returned.push((*grant, held - part));
        }
        self.give_up(&returned);
        more.iter().for_each(|(n, part)| self.grants[*n].remaining -= part);
        taken.extend(&more);
        let mut uses = vec![(hold.used, wanted.min(hold.amount))];
        if over > 0 {
            uses.push((self.note_use(&due, over), over));
        } else {
            self.uses[hold.used].back -= over;
        }
        self.sight(match over {
            0 => "captured",
            1.. => "captured over",
            _ => "captured in part",
        });
        (self.holds[number].status, self.holds[number].captured) = (Status::Captured, wanted);
        self.spends.push(Spend {
            parts: taken.clone(),
            refunded: 0,
            uses,
        });
        self.post(Kind::Spend, wanted);
        Ok(taken)
    }
}
