//! The programs in force, remembered for a moment so that a batch need not read them.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    clock::Clock,
    domain::{ids::TenantId, program::Program},
    storage::{Db, StorageError, programs},
};

/// How long another process's new program may go unnoticed here. In the process that put it, it holds at once.
const REMEMBERED: TimeDelta = TimeDelta::seconds(2);

/// A tenant's program in force. Version none: the default, since the tenant put none.
#[derive(Debug, Default)]
pub struct InForce {
    pub version: Option<i32>,
    pub program: Program,
}

pub struct Programs {
    db: Db,
    clock: Arc<dyn Clock>,
    known: RwLock<HashMap<TenantId, (DateTime<Utc>, Arc<InForce>)>>,
}

impl Programs {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self {
            db,
            clock,
            known: RwLock::default(),
        }
    }

    pub async fn in_force(&self, tenant: TenantId) -> Result<Arc<InForce>, StorageError> {
        let now = self.clock.now();
        if let Some((read_at, program)) = self.known.read().unwrap_or_else(|e| e.into_inner()).get(&tenant)
            && now - *read_at < REMEMBERED
        {
            return Ok(Arc::clone(program));
        }
        let mut scope = self.db.tenant(tenant).await?;
        let in_force = match programs::current(&mut scope, tenant).await? {
            Some(current) => InForce {
                version: Some(current.version),
                program: current.program,
            },
            None => InForce::default(),
        };
        scope.commit().await?;
        let in_force = Arc::new(in_force);
        self.known
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert(tenant, (now, Arc::clone(&in_force)));
        Ok(in_force)
    }

    /// The tenant put a new version.
    pub fn forget(&self, tenant: TenantId) {
        self.known.write().unwrap_or_else(|e| e.into_inner()).remove(&tenant);
    }
}
