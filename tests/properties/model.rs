//! Naive models of an account, written from the semantics and from nothing else. One counts credits, the other lives
//! through programs and time.

pub mod account;
pub mod calendar;
pub mod caps;
pub mod changes;
pub mod charge;
pub mod credits;
pub mod holds;
pub mod refunds;
pub mod subscriptions;
pub mod terms;
