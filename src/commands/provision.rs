//! Making tenants and keys from the command line, and the demo tenant of a first start.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{CommandError, Store, store::Sharing};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, KeyCommand, TenantCommand},
    domain::{
        ids::{ApiKeyId, TenantId},
        role::Role,
        tenant::{Mode, Slug, Tenant},
        text::Name,
    },
    http::auth::new_key,
    random::Ids,
    storage::{Db, Scope, StorageError, api_keys, tenants},
};

/// Connections of a short command.
const CONNECTIONS: u32 = 2;

pub async fn tenant(config: &Config, command: TenantCommand) -> Result<(), CommandError> {
    let TenantCommand::Create { slug, name, mode } = command;
    with_db(config, async |db| {
        let name = name.unwrap_or_else(|| slug.clone().into());
        let ids = Ids::default();
        let now = SystemClock.now();
        let tenant = Tenant {
            id: TenantId(ids.next(now)),
            slug,
            name,
            mode: mode.into(),
            created_at: now,
        };
        let mut scope = db.tenant(tenant.id).await?;
        insert(&mut scope, &tenant).await?;
        let key = insert_key(&mut scope, &ids, tenant.id, Role::Admin, "first admin key", now).await?;
        scope.commit().await?;
        println!("tenant     {} ({})", tenant.slug.as_str(), tenant.id);
        println!("admin key  {}", key.expose_secret());
        Ok(())
    })
    .await
}

async fn insert(scope: &mut Scope, tenant: &Tenant) -> Result<(), CommandError> {
    tenants::insert(scope, tenant).await.map_err(|error| {
        if error.violates(tenants::SLUG_KEY) {
            CommandError::SlugTaken(tenant.slug.as_str().to_owned())
        } else {
            error.into()
        }
    })
}

pub async fn key(config: &Config, command: KeyCommand) -> Result<(), CommandError> {
    let KeyCommand::Create {
        tenant: slug,
        role,
        name,
    } = command;
    with_db(config, async |db| {
        let mut scope = db.operator().await?;
        let found = tenants::by_slug(&mut scope, &slug).await?;
        scope.commit().await?;
        let tenant = found.ok_or_else(|| CommandError::UnknownTenant(slug.as_str().to_owned()))?;
        let mut scope = db.tenant(tenant.id).await?;
        let (ids, now) = (Ids::default(), SystemClock.now());
        let key = insert_key(&mut scope, &ids, tenant.id, role.into(), name.as_str(), now).await?;
        scope.commit().await?;
        println!("{}", key.expose_secret());
        Ok(())
    })
    .await
}

/// Opens the database for a short command, and closes it whatever comes of it.
pub(super) async fn with_db<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Db) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let store = Store::open(config, Sharing::BesideService).await?;
    let db = Db::new(store.options.clone(), CONNECTIONS);
    let result = work(&db).await;
    db.close().await;
    store.close().await?;
    result
}

async fn insert_key(
    scope: &mut Scope,
    ids: &Ids,
    tenant: TenantId,
    role: Role,
    name: &str,
    now: DateTime<Utc>,
) -> Result<SecretString, StorageError> {
    let (key, hash) = new_key(tenant);
    let record = api_keys::ApiKey {
        id: ApiKeyId(ids.next(now)),
        role,
        name: name.to_owned(),
        created_at: now,
        revoked_at: None,
    };
    api_keys::insert(scope, tenant, &record, &hash).await?;
    Ok(key)
}

/// The sandbox that a newcomer finds.
pub struct Demo {
    pub admin: SecretString,
    pub backend: SecretString,
    pub support: SecretString,
}

/// Makes the sandbox tenant `demo` with a key a role, unless there is a tenant already.
pub async fn demo(db: &Db, ids: &Ids, now: DateTime<Utc>) -> Result<Option<Demo>, CommandError> {
    let mut scope = db.operator().await?;
    let any = tenants::list(&mut scope, None, 1).await?;
    scope.commit().await?;
    let (Ok(slug), Ok(name)) = (Slug::try_from("demo".to_owned()), Name::try_from("Demo".to_owned())) else {
        return Ok(None);
    };
    if !any.is_empty() {
        return Ok(None);
    }
    let tenant = Tenant {
        id: TenantId(ids.next(now)),
        slug,
        name,
        mode: Mode::Sandbox,
        created_at: now,
    };
    let mut scope = db.tenant(tenant.id).await?;
    insert(&mut scope, &tenant).await?;
    let demo = Demo {
        admin: insert_key(&mut scope, ids, tenant.id, Role::Admin, "demo admin", now).await?,
        backend: insert_key(&mut scope, ids, tenant.id, Role::Backend, "demo backend", now).await?,
        support: insert_key(&mut scope, ids, tenant.id, Role::Support, "Sam from support", now).await?,
    };
    scope.commit().await?;
    Ok(Some(demo))
}
