//! The programs in force, remembered for a moment so that a batch need not read them.

use std::sync::Arc;

use crate::{
    clock::Clock,
    domain::{
        ids::TenantId,
        program::{Program, ProgramHistory},
        tenant::Mode,
    },
    remembered::Remembered,
    storage::{Db, StorageError, programs, tenants},
};

/// What a batch must know of a tenant: whether it has a test clock, and its programs through time.
#[derive(Debug)]
pub struct InForce {
    pub mode: Mode,
    pub history: ProgramHistory,
}

impl InForce {
    /// The newest program.
    pub fn program(&self) -> &Program {
        self.history.current().0
    }

    /// Its version. None: the default, since the tenant put none.
    pub fn version(&self) -> Option<i32> {
        self.history.current().1
    }
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
        let versions = programs::newest(&mut scope, tenant).await?;
        let record = tenants::by_id(&mut scope, tenant).await?;
        scope.commit().await?;
        let in_force = InForce {
            mode: record.map_or(Mode::Live, |tenant| tenant.mode),
            history: ProgramHistory::new(versions),
        };
        Ok(self.known.insert(tenant, in_force, now))
    }

    /// The tenant put a new version.
    pub fn forget(&self, tenant: TenantId) {
        self.known.forget(&tenant);
    }
}
