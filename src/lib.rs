//! Scrip: a multi-tenant credit ledger that a company runs beside its product.

pub mod clock;
pub mod commands;
pub mod config;
pub mod domain;
pub mod embedded_postgres;
pub mod http;
pub mod ledger;
pub mod random;
pub mod secrets;
pub mod service;
pub mod storage;
pub mod stripe;
pub mod telemetry;
pub mod test_cluster;
