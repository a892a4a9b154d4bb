//! `scrip verify`: the proof that the books agree.

use super::{CommandError, provision::with_db};
use crate::{
    config::Config,
    domain::{
        ids::TenantId,
        tenant::{Slug, Tenant},
    },
    storage::{Db, tenants, verify::differences},
};

/// Tenants read at once.
const PAGE: i64 = 200;

/// Prints a line per difference and returns how many there are.
pub async fn run(config: &Config, slug: Option<Slug>) -> Result<usize, CommandError> {
    with_db(config, async |db| {
        let found = match slug {
            Some(slug) => verify_tenant(db, &by_slug(db, &slug).await?).await?,
            None => verify_all(db).await?,
        };
        if found == 0 {
            println!("all agrees");
        }
        Ok(found)
    })
    .await
}

pub(super) async fn by_slug(db: &Db, slug: &Slug) -> Result<Tenant, CommandError> {
    let mut scope = db.operator().await?;
    let tenant = tenants::by_slug(&mut scope, slug).await?;
    scope.commit().await?;
    tenant.ok_or_else(|| CommandError::UnknownTenant(slug.as_str().to_owned()))
}

async fn verify_all(db: &Db) -> Result<usize, CommandError> {
    let (mut found, mut after): (usize, Option<TenantId>) = (0, None);
    loop {
        let mut scope = db.operator().await?;
        let page = tenants::list(&mut scope, after, PAGE).await?;
        scope.commit().await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id);
        for tenant in &page {
            found += verify_tenant(db, tenant).await?;
        }
    }
}

async fn verify_tenant(db: &Db, tenant: &Tenant) -> Result<usize, CommandError> {
    let mut scope = db.snapshot(tenant.id).await?;
    let differences = differences(&mut scope, tenant.id).await?;
    scope.commit().await?;
    for difference in &differences {
        println!(
            "tenant {}: {}: {}",
            tenant.slug.as_str(),
            difference.subject,
            difference.detail
        );
    }
    Ok(differences.len())
}
