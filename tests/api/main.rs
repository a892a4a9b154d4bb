//! The API, over HTTP, on a real Postgres: a file per subject.

#[path = "../support/mod.rs"]
mod support;

mod spending;
