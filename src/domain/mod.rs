//! The rules of credits, pure: no I/O, no clock, no randomness of their own. Everything a rule needs is an argument.
//!
//! `decide` turns a command and the state of an account into a transaction or a named refusal; the other files hold the
//! words it speaks in.

pub mod account;
pub mod balance;
pub mod calendar;
pub mod cap;
pub mod credits;
pub mod cycle;
pub mod decide;
pub mod entry;
pub mod grant;
pub mod hold;
pub mod ids;
pub mod money;
pub mod past;
pub mod program;
pub mod quote;
pub mod refund;
pub mod rejection;
pub mod role;
pub mod spending_order;
pub mod statement;
pub mod subscription;
pub mod tenant;
pub mod text;
pub mod top_up;
pub mod transaction;
pub mod usage;
