//! The API, over HTTP, on a real Postgres: a file per subject.

#[path = "../support/mod.rs"]
mod support;

mod authorization;
mod bad_requests;
mod balance_at;
mod books;
mod expired;
mod grants;
mod grants_and_balance;
mod holds;
mod idempotency;
mod isolation;
mod neighbours;
mod openapi;
mod program_document;
mod programs;
mod purchase;
mod rate_limit;
mod refunds;
mod second_fence;
mod spending;
mod statement;
mod subscriptions;
mod tenant_rows;
mod test_clock;
mod usage;
mod writes;
