//! Scrip: a multi-tenant credit ledger that a company runs beside its product.

// A panic in the service is an answer that nobody named. Tests may.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod embedded_postgres;
pub mod http;
mod jobs;
pub mod ledger;
pub mod random;
mod remembered;
pub mod secrets;
pub mod service;
pub mod storage;
pub mod stripe;
pub mod telemetry;
pub mod test_cluster;
