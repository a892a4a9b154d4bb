//! What the whole-service tests share: a service in this process on the tests' own Postgres, a tenant of its own for each
//! test, and a small client.
#![allow(clippy::disallowed_methods, reason = "tests may ask the environment and the clock")]
#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

pub mod client;
pub mod cluster;
pub mod database;
pub mod fake_stripe;
pub mod process;
pub mod service;

pub use client::{Answer, Client, Key};
pub use service::TestService;
