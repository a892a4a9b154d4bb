//! A tenant's programs through time: what falls due is decided by the program that was in force then, whenever it is noticed.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};

use super::Program;

/// A version, and the instant from which it holds.
#[derive(Debug, Clone)]
pub struct ProgramVersion {
    pub version: i32,
    pub since: DateTime<Utc>,
    pub program: Program,
}

/// The versions of a tenant's program, in order. None: the default holds.
#[derive(Debug, Clone, Default)]
pub struct ProgramHistory {
    versions: Vec<ProgramVersion>,
}

static DEFAULT: LazyLock<Program> = LazyLock::new(Program::default);

impl ProgramHistory {
    /// `versions` ascend.
    pub fn new(versions: Vec<ProgramVersion>) -> Self {
        Self { versions }
    }

    /// The program in force at an instant, and its version. Before the first one was put, that one.
    pub fn at(&self, at: DateTime<Utc>) -> (&Program, Option<i32>) {
        let then = self.versions.iter().rev().find(|v| v.since <= at);
        match then.or(self.versions.first()) {
            Some(version) => (&version.program, Some(version.version)),
            None => (&DEFAULT, None),
        }
    }

    /// The newest.
    pub fn current(&self) -> (&Program, Option<i32>) {
        match self.versions.last() {
            Some(version) => (&version.program, Some(version.version)),
            None => (&DEFAULT, None),
        }
    }
}
