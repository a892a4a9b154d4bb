//! /v1/admin: what named support people do. Every write needs a reason, can be tried with `dry_run`, and stands in the
//! audit log.

pub mod accounts;
pub mod audit_log;
pub mod caps;
pub mod refunds;
pub mod stripe_events;
