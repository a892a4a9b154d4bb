//! The programs in force, remembered for a moment so that a batch need not read them.

use std::sync::Arc;

use crate::{
    clock::Clock,
    domain::{ids::TenantId, program::Program},
    remembered::Remembered,
    storage::{Db, StorageError, programs},
};

/// A tenant's program in force. Version none: the default, since the tenant put none.
#[derive(Debug, Default)]
pub struct InForce {
    pub version: Option<i32>,
    pub program: Program,
}

/// In the process that put a new version it holds at once, in others within two seconds.
pub struct Programs {
    db: Db,
    clock: Arc<dyn Clock>,
    known: Remembered<TenantId, InForce>,
}

impl Programs {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self {
            db,
            clock,
            known: Remembered::default(),
        }
    }

    pub async fn in_force(&self, tenant: TenantId) -> Result<Arc<InForce>, StorageError> {
        let now = self.clock.now();
        if let Some(in_force) = self.known.get(&tenant, now) {
            return Ok(in_force);
        }
        let mut scope = self.db.tenant(tenant).await?;
        let current = programs::current(&mut scope, tenant).await?;
        scope.commit().await?;
        let in_force = current.map_or_else(InForce::default, |current| InForce {
            version: Some(current.version),
            program: current.program,
        });
        Ok(self.known.insert(tenant, in_force, now))
    }

    /// The tenant put a new version.
    pub fn forget(&self, tenant: TenantId) {
        self.known.forget(&tenant);
    }
}
