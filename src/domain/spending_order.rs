//! Which grants pay, and in which order.
//!
//! The spendable grants are sorted by class (in the program's order), priority, expiry (soonest first, never last), free
//! before paid, effective time, id. Class outranks expiry: a plan grant and a top-up that end at the same instant go plan
//! first. A spend draws from the front, all or nothing unless the caller takes part.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    balance::OpenClasses,
    grant::{Class, Grant},
    ids::{GrantId, SubscriptionId},
};

/// The classes in the order in which they are spent: each exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<Class>", into = "Vec<Class>")]
#[schema(value_type = Vec<Class>, min_items = 3, max_items = 3)]
pub struct ClassOrder([Class; 3]);

impl ClassOrder {
    fn rank(&self, class: Class) -> usize {
        self.0.iter().position(|c| *c == class).unwrap_or(self.0.len())
    }
}

impl Default for ClassOrder {
    fn default() -> Self {
        Self(Class::ALL)
    }
}

impl TryFrom<Vec<Class>> for ClassOrder {
    type Error = String;

    fn try_from(classes: Vec<Class>) -> Result<Self, String> {
        match <[Class; 3]>::try_from(classes) {
            Ok(order) if Class::ALL.iter().all(|class| order.contains(class)) => Ok(Self(order)),
            _ => Err("must name plan, addon and balance, each once".to_owned()),
        }
    }
}

impl From<ClassOrder> for Vec<Class> {
    fn from(order: ClassOrder) -> Self {
        order.0.to_vec()
    }
}

/// A part of a spend: so much from this grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Draw {
    pub grant_id: GrantId,
    pub class: Class,
    pub amount: i64,
}

/// The order of two grants, both spendable.
fn compare(order: &ClassOrder, a: &Grant, b: &Grant) -> Ordering {
    let never = DateTime::<Utc>::MAX_UTC;
    order
        .rank(a.class)
        .cmp(&order.rank(b.class))
        .then(a.priority.cmp(&b.priority))
        .then(a.expires_at.unwrap_or(never).cmp(&b.expires_at.unwrap_or(never)))
        .then(a.was_paid().cmp(&b.was_paid()))
        .then(a.effective_at.cmp(&b.effective_at))
        .then(a.id.cmp(&b.id))
}

/// What a spend is for, as far as it decides which grants may pay.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// None: only grants for all operations may pay.
    pub operation: Option<&'a str>,
    /// The classes that may pay for the operation; none: all.
    pub paid_by: Option<&'a [Class]>,
    /// The classes whose gates are open.
    pub open: OpenClasses,
    /// Grants of these subscriptions are another user's own.
    pub barred: &'a [SubscriptionId],
}

impl Purpose<'_> {
    /// Whether the grant may pay once its gate is open.
    fn suits(&self, grant: &Grant) -> bool {
        grant.applies_to(self.operation)
            && self.paid_by.is_none_or(|classes| classes.contains(&grant.class))
            && !(grant.is_of_units() && grant.subscription_id.is_some_and(|id| self.barred.contains(&id)))
    }
}

fn spendable<'a>(grants: &'a [Grant], purpose: &Purpose<'_>, now: DateTime<Utc>) -> impl Iterator<Item = &'a Grant> {
    grants
        .iter()
        .filter(move |g| g.free() > 0 && g.live(now) && purpose.open.has(g.class) && purpose.suits(g))
}

/// What closed gates keep from this purpose, and the class that is kept first.
pub fn frozen(grants: &[Grant], purpose: &Purpose<'_>, now: DateTime<Utc>) -> Option<(i64, Class)> {
    let kept = || {
        let is_kept = |g: &&Grant| g.free() > 0 && g.live(now) && !purpose.open.has(g.class) && purpose.suits(g);
        grants.iter().filter(is_kept)
    };
    let class = kept().map(|g| g.class).min()?;
    Some((kept().map(Grant::free).sum(), class))
}

/// All of `grants` in the order in which they would be spent; those that begin after `now` last.
pub fn sorted(order: &ClassOrder, mut grants: Vec<Grant>, now: DateTime<Utc>) -> Vec<Grant> {
    grants.sort_by(|a, b| {
        (a.effective_at > now)
            .cmp(&(b.effective_at > now))
            .then_with(|| compare(order, a, b))
    });
    grants
}

/// Draws up to `amount` in the spending order. Less comes back only if less is available.
pub fn draw(order: &ClassOrder, grants: &[Grant], purpose: &Purpose<'_>, amount: i64, now: DateTime<Utc>) -> Vec<Draw> {
    let mut queue: Vec<&Grant> = spendable(grants, purpose, now).collect();
    queue.sort_unstable_by(|a, b| compare(order, a, b));
    let mut wanted = amount;
    let mut drawn = Vec::with_capacity(1);
    for grant in queue {
        if wanted == 0 {
            break;
        }
        let taken = wanted.min(grant.free());
        drawn.push(Draw {
            grant_id: grant.id,
            class: grant.class,
            amount: taken,
        });
        wanted -= taken;
    }
    drawn
}

/// Whether exactly these parts can be drawn now.
pub fn can_draw(grants: &[Grant], parts: &[Draw], purpose: &Purpose<'_>, now: DateTime<Utc>) -> bool {
    parts.iter().all(|part| {
        let mut grants = spendable(grants, purpose, now);
        grants.any(|g| g.id == part.grant_id && g.free() >= part.amount)
    })
}
