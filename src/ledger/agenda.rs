//! What a batch is about: its tenants and their programs, its accounts, its keys.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{Programs, Submission, Work, programs::InForce};
use crate::{
    domain::{ids::TenantId, tenant::Mode},
    storage::{
        StorageError,
        batch::{AccountKey, TenantKey},
    },
};

/// Each once, and in order.
pub(super) struct Agenda<'w> {
    pub work: &'w [Work],
    pub tenants: Vec<TenantId>,
    pub accounts: Vec<AccountKey>,
    pub keys: Vec<TenantKey>,
    programs: HashMap<TenantId, Arc<InForce>>,
}

impl<'w> Agenda<'w> {
    pub async fn of(work: &'w [Work], programs: &Programs) -> Result<Self, StorageError> {
        let distinct: HashSet<TenantId> = work.iter().map(|work| work.account().tenant).collect();
        let mut tenants: Vec<TenantId> = distinct.into_iter().collect();
        tenants.sort_unstable();
        let mut accounts: Vec<AccountKey> = work.iter().map(|work| work.account().clone()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let mut keys: Vec<TenantKey> = work.iter().filter_map(key_of).collect();
        keys.sort_unstable_by(|a, b| (&a.key, a.tenant).cmp(&(&b.key, b.tenant)));
        keys.dedup();
        let mut in_force = HashMap::with_capacity(tenants.len());
        for tenant in &tenants {
            in_force.insert(*tenant, programs.in_force(*tenant).await?);
        }
        Ok(Self {
            work,
            tenants,
            accounts,
            keys,
            programs: in_force,
        })
    }

    pub fn submissions(&self) -> impl Iterator<Item = &'w Submission> {
        self.work.iter().filter_map(Work::submission)
    }

    /// The programs of one of its tenants.
    pub fn in_force(&self, tenant: TenantId) -> &InForce {
        &self.programs[&tenant]
    }

    /// The tenants that may have a clock of their own.
    pub fn sandboxes(&self) -> Vec<TenantId> {
        let is_sandbox = |tenant: &&TenantId| self.programs[*tenant].mode == Mode::Sandbox;
        self.tenants.iter().filter(is_sandbox).copied().collect()
    }

    /// The time of each tenant: the machine's, or what its test clock shows.
    pub fn times(
        &self,
        clocks: &HashMap<TenantId, DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> HashMap<TenantId, DateTime<Utc>> {
        let time = |tenant: &TenantId| (*tenant, clocks.get(tenant).copied().unwrap_or(now));
        self.tenants.iter().map(time).collect()
    }
}

fn key_of(work: &Work) -> Option<TenantKey> {
    let idempotency = work.submission()?.command.idempotency.as_ref()?;
    Some(TenantKey {
        tenant: work.account().tenant,
        key: idempotency.key.clone(),
    })
}
