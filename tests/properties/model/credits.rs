//! A naive model of an account, written from the semantics and from nothing else: credits move one by one, and each time
//! the best grant is sought by comparing all of them key by key. Time is a number of hours; nothing is ever swept.

/// Classes by their place in the default order: 0 plan, 1 addon, 2 balance.
pub type Class = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Reissue,
    Restore,
    Reject,
}

#[derive(Debug, Clone)]
pub struct Rules {
    /// The classes, first spent first.
    pub order: [Class; 3],
    pub policy: [Policy; 3],
}

/// What a grant is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub class: Class,
    pub priority: i32,
    pub starts: i64,
    pub ends: Option<i64>,
    pub paid: bool,
    /// Operations by number.
    pub applies_to: Option<Vec<u8>>,
    /// A plan's allowance: its life is the account's cycle.
    pub is_cycle: bool,
}

#[derive(Debug, Clone)]
pub struct Grant {
    pub terms: Terms,
    pub remaining: i64,
    /// It never began: taken back before.
    void: bool,
}

#[derive(Debug, Clone)]
struct Spend {
    /// The grant of each credit, in the order in which they were drawn.
    credits: Vec<usize>,
    returned: usize,
}

/// Why the model refuses, with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    WithoutLife,
    Insufficient {
        needed: i64,
        available: i64,
    },
    AlreadyRefunded {
        spent: i64,
    },
    Exceeds {
        spent: i64,
        refunded: i64,
        refundable: i64,
        requested: i64,
    },
    SourceExpired {
        grant: usize,
        amount: i64,
    },
    Closed,
}

/// So much to or from each grant, by its number: the one touched first stands first.
pub type Parts = Vec<(usize, i64)>;

pub struct Account {
    pub rules: Rules,
    pub now: i64,
    /// In the order in which they came.
    pub grants: Vec<Grant>,
    spends: Vec<Spend>,
}

pub const REISSUE_HOURS: i64 = 30 * 24;

impl Account {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            now: 0,
            grants: Vec::new(),
            spends: Vec::new(),
        }
    }

    pub fn spends(&self) -> usize {
        self.spends.len()
    }

    pub fn grant(&mut self, amount: i64, terms: Terms) -> Result<usize, Refusal> {
        if terms.ends.is_some_and(|end| end <= terms.starts) {
            return Err(Refusal::WithoutLife);
        }
        self.grants.push(Grant {
            terms,
            remaining: amount,
            void: false,
        });
        Ok(self.grants.len() - 1)
    }

    fn ended(&self, grant: usize) -> bool {
        self.grants[grant].terms.ends.is_some_and(|end| self.now >= end)
    }

    fn live(&self, grant: usize) -> bool {
        self.now >= self.grants[grant].terms.starts && !self.ended(grant)
    }

    /// What is left of a grant, seen from now: nothing once it has ended.
    pub fn left(&self, grant: usize) -> i64 {
        if self.ended(grant) {
            0
        } else {
            self.grants[grant].remaining
        }
    }

    /// By class, for an operation that every grant applies to.
    pub fn balance(&self) -> [i64; 3] {
        let mut sums = [0; 3];
        for grant in 0..self.grants.len() {
            if self.live(grant) {
                sums[self.grants[grant].terms.class] += self.grants[grant].remaining;
            }
        }
        sums
    }

    /// The grant that pays for the next credit: of those that may, the ones with the best class; of these the ones with
    /// the best priority; and so on.
    fn best(&self, operation: Option<u8>) -> Option<usize> {
        let may_pay = |grant: &usize| {
            let Grant { terms, remaining, .. } = &self.grants[*grant];
            let applies = match (&terms.applies_to, operation) {
                (None, _) => true,
                (Some(list), Some(operation)) => list.contains(&operation),
                (Some(_), None) => false,
            };
            *remaining > 0 && self.live(*grant) && applies
        };
        let mut left: Vec<usize> = (0..self.grants.len()).filter(may_pay).collect();
        let rank = |class: Class| (0..3).find(|n| self.rules.order[*n] == class);
        keep_least(&mut left, |g| rank(self.grants[g].terms.class));
        keep_least(&mut left, |g| self.grants[g].terms.priority);
        if left.iter().any(|g| self.grants[*g].terms.ends.is_some()) {
            left.retain(|g| self.grants[*g].terms.ends.is_some());
        }
        keep_least(&mut left, |g| self.grants[g].terms.ends);
        if left.iter().any(|g| !self.grants[*g].terms.paid) {
            left.retain(|g| !self.grants[*g].terms.paid);
        }
        keep_least(&mut left, |g| self.grants[g].terms.starts);
        left.into_iter().min()
    }

    pub fn spend(&mut self, amount: i64, operation: Option<u8>, partial: bool) -> Result<Parts, Refusal> {
        let before: Vec<i64> = self.grants.iter().map(|g| g.remaining).collect();
        let mut credits = Vec::new();
        while (credits.len() as i64) < amount {
            let Some(grant) = self.best(operation) else { break };
            self.grants[grant].remaining -= 1;
            credits.push(grant);
        }
        let taken = credits.len() as i64;
        if taken == amount || (partial && taken > 0) {
            let parts = gathered(&credits);
            self.spends.push(Spend { credits, returned: 0 });
            return Ok(parts);
        }
        for (grant, remaining) in self.grants.iter_mut().zip(before) {
            grant.remaining = remaining;
        }
        Err(Refusal::Insufficient {
            needed: amount,
            available: taken,
        })
    }

    /// Where the credits went: to their own grant, or to a new one in its place.
    pub fn refund(&mut self, spend: usize, amount: Option<i64>) -> Result<Parts, Refusal> {
        let Spend { credits, returned } = self.spends[spend].clone();
        let (spent, refunded) = (credits.len() as i64, returned as i64);
        let refundable = spent - refunded;
        if refundable == 0 {
            return Err(Refusal::AlreadyRefunded { spent });
        }
        let requested = amount.unwrap_or(refundable);
        if requested > refundable {
            return Err(Refusal::Exceeds {
                spent,
                refunded,
                refundable,
                requested,
            });
        }
        let mut back = credits;
        back.truncate(refundable as usize);
        back.reverse();
        back.truncate(requested as usize);
        let rejects = |grant: &&usize| {
            self.ended(**grant) && self.rules.policy[self.grants[**grant].terms.class] == Policy::Reject
        };
        if let Some(grant) = back.iter().find(rejects).copied() {
            let amount = back.iter().filter(|g| **g == grant).count() as i64;
            return Err(Refusal::SourceExpired { grant, amount });
        }
        self.spends[spend].returned += requested as usize;
        let mut reissued: Vec<(usize, usize)> = Vec::new();
        let mut went = Vec::new();
        for source in back {
            let reissue = self.ended(source) && self.rules.policy[self.grants[source].terms.class] == Policy::Reissue;
            let known = reissued.iter().find(|(of, _)| *of == source).map(|(_, new)| *new);
            let grant = match (reissue, known) {
                (false, _) => source,
                (true, Some(new)) => new,
                (true, None) => {
                    let new = self.reissue(source);
                    reissued.push((source, new));
                    new
                }
            };
            if grant == source && self.ended(source) {
                // Restored, and gone at once.
            } else {
                self.grants[grant].remaining += 1;
            }
            went.push(grant);
        }
        Ok(gathered(&went))
    }

    fn reissue(&mut self, source: usize) -> usize {
        let terms = Terms {
            starts: self.now,
            ends: Some(self.cycle_end().unwrap_or(self.now + REISSUE_HOURS)),
            is_cycle: false,
            ..self.grants[source].terms.clone()
        };
        self.grants.push(Grant {
            terms,
            remaining: 0,
            void: false,
        });
        self.grants.len() - 1
    }

    /// The end of the cycle that began last.
    fn cycle_end(&self) -> Option<i64> {
        let mut cycles: Vec<&Terms> = Vec::new();
        for (number, grant) in self.grants.iter().enumerate() {
            if grant.terms.is_cycle && !grant.void && self.live(number) {
                cycles.push(&grant.terms);
            }
        }
        cycles.iter().max_by_key(|terms| terms.starts)?.ends
    }

    pub fn revoke(&mut self, grant: usize) -> Result<i64, Refusal> {
        let taken = self.left(grant);
        if taken == 0 {
            return Err(Refusal::Closed);
        }
        self.grants[grant].remaining = 0;
        self.grants[grant].void = self.grants[grant].terms.starts > self.now;
        Ok(taken)
    }
}

fn keep_least<K: Ord>(grants: &mut Vec<usize>, key: impl Fn(usize) -> K) {
    let least = grants.iter().map(|g| key(*g)).min();
    grants.retain(|g| Some(key(*g)) == least);
}

/// Runs of the same grant as one part.
fn gathered(credits: &[usize]) -> Parts {
    let mut parts: Parts = Vec::new();
    for grant in credits {
        match parts.last_mut() {
            Some((last, amount)) if last == grant => *amount += 1,
            _ => parts.push((*grant, 1)),
        }
    }
    parts
}
