//! The commands with concrete dates and amounts, on an account that is loaded and stored around each of them as the
//! ledger does it ([`books`]).

mod acts;
mod books;
mod cancel;
mod cap_windows;
mod caps;
mod cycle;
mod figures;
mod gates;
mod grant;
mod hold;
mod hold_expired;
mod leap;
mod plan_change;
mod price;
mod quote;
mod refund;
mod refund_expired;
mod renewals;
mod revoke;
mod spend;
mod spend_order;
mod subscribe;
mod sweep;
mod top_up;
mod undo;
mod units;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{
    AccountState, Action, CaptureHold, ChangeSubscription, Charge, Command, Context, GrantCredits, GrantPlan,
    PlaceHold, RefundSpend, RevokeGrant, SetCaps, SpendCredits, SpendRecord, Subscribe, VoidHold, catch_up, decide,
    next_due,
};
use crate::domain::{
    balance::{Balance, balance},
    credits::Amount,
    cycle::Interval,
    entry::{Entry, LedgerAccount},
    grant::{Class, Grant, Origin},
    ids::{AccountId, Counted, GrantId, QuoteId, SubscriptionId, TransactionId},
    money::Money,
    program::{Format, ProgramHistory, ProgramVersion, Window, parse},
    rejection::Rejection,
    spending_order::Draw,
    subscription::{Status, Subscription},
    transaction::{Kind, Transaction},
};
use books::Books;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Midnight UTC of a day: `2027-01-31`.
fn on(date: &str) -> DateTime<Utc> {
    at(&format!("{date}T00:00:00Z"))
}

/// Midnight of a day of January 2027.
fn jan(day: i64) -> DateTime<Utc> {
    on("2027-01-01") + Duration::days(day - 1)
}

/// The smallest step of time that the database keeps.
const TICK: Duration = Duration::microseconds(1);

fn amount(credits: i64) -> Amount {
    Amount::new(credits).expect("an amount")
}

fn money(cents: i64) -> Money {
    Money {
        amount: amount(cents),
        currency: "USD".to_owned().try_into().expect("a currency"),
    }
}

fn insufficient(needed: i64, available: i64) -> Rejection {
    Rejection::InsufficientCredits { needed, available }
}

/// A promotion from now on, for ever.
fn credits(class: Class, credits: i64) -> GrantCredits {
    GrantCredits {
        class,
        origin: Origin::Promotion,
        amount: amount(credits),
        effective_at: None,
        expires_at: None,
        priority: 0,
        applies_to: None,
        paid: None,
        reason: None,
    }
}

/// A promotion from now until then.
fn ending(class: Class, amount: i64, end: DateTime<Utc>) -> GrantCredits {
    GrantCredits {
        expires_at: Some(end),
        ..credits(class, amount)
    }
}

/// One cycle's allowance of a plan.
fn allocation(allowance: i64, from: DateTime<Utc>, until: DateTime<Utc>) -> GrantCredits {
    GrantCredits {
        origin: Origin::Allocation,
        effective_at: Some(from),
        expires_at: Some(until),
        ..credits(Class::Plan, allowance)
    }
}

/// A charge of so much.
fn charge(credits: i64) -> Charge {
    Charge {
        amount: Some(amount(credits)),
        ..Charge::default()
    }
}

fn charging(charge: Charge) -> SpendCredits {
    SpendCredits {
        charge,
        partial: false,
        metadata: None,
    }
}

fn spending(credits: i64) -> SpendCredits {
    charging(charge(credits))
}

fn spending_on(operation: Option<&str>, credits: i64) -> SpendCredits {
    charging(Charge {
        operation: operation.map(str::to_owned),
        ..charge(credits)
    })
}

fn spending_by(member: &str, credits: i64) -> SpendCredits {
    charging(Charge {
        member: Some(member.to_owned()),
        ..charge(credits)
    })
}

fn partial(credits: i64) -> SpendCredits {
    SpendCredits {
        partial: true,
        ..spending(credits)
    }
}

fn holding(credits: i64) -> PlaceHold {
    PlaceHold {
        charge: charge(credits),
        partial: false,
        expires_in_s: None,
        metadata: None,
    }
}

fn subscribing(plan: &str) -> Subscribe {
    Subscribe {
        plan: plan.to_owned(),
        anchor: None,
        interval: None,
        units: 0,
    }
}

/// A change that leaves everything as it is.
fn change(subscription_id: SubscriptionId) -> ChangeSubscription {
    ChangeSubscription {
        subscription_id,
        plan: None,
        interval: None,
        units: None,
        cancel: None,
    }
}

fn to_plan(subscription_id: SubscriptionId, plan: &str) -> ChangeSubscription {
    ChangeSubscription {
        plan: Some(plan.to_owned()),
        ..change(subscription_id)
    }
}

fn to_units(subscription_id: SubscriptionId, units: u32) -> ChangeSubscription {
    ChangeSubscription {
        units: Some(units),
        ..change(subscription_id)
    }
}

fn to_interval(subscription_id: SubscriptionId, interval: Interval) -> ChangeSubscription {
    ChangeSubscription {
        interval: Some(interval),
        ..change(subscription_id)
    }
}

fn cancelling(subscription_id: SubscriptionId, cancel: bool) -> ChangeSubscription {
    ChangeSubscription {
        cancel: Some(cancel),
        ..change(subscription_id)
    }
}

fn pairs(draws: impl IntoIterator<Item = Draw>) -> Vec<(GrantId, i64)> {
    draws.into_iter().map(|draw| (draw.grant_id, draw.amount)).collect()
}

/// (debit, credit, amount) of a transaction's entries.
fn moves(transaction: &Transaction) -> Vec<(LedgerAccount, LedgerAccount, i64)> {
    let entries = transaction.entries.iter();
    entries.map(|e| (e.debit, e.credit, e.amount)).collect()
}

/// What a transaction granted.
fn granted(transaction: &Transaction) -> Vec<(Origin, i64)> {
    let grants = transaction.new_grants.iter();
    grants.map(|grant| (grant.origin, grant.amount)).collect()
}
