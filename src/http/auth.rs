//! Who calls: API keys and roles.
//!
//! A key is `scrip_<tenant id, 32 hex digits>_<secret, 43 characters>`: it names its tenant, so that it is looked up
//! within the tenant like everything else. What is stored, and remembered here, is its SHA-256.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{StatusCode, header, request::Parts},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::error::Problem;
use crate::{
    clock::Clock,
    domain::{
        ids::{ApiKeyId, TenantId},
        role::Role,
    },
    random,
    remembered::Remembered,
    storage::{Db, api_keys},
};

/// Who a key of a tenant stands for.
#[derive(Debug, Clone)]
pub struct Principal {
    pub tenant: TenantId,
    pub key_id: ApiKeyId,
    pub role: Role,
    /// Of a support key: the person.
    pub name: String,
}

/// A new key for a tenant, and the hash to keep of it.
pub fn new_key(tenant: TenantId) -> (SecretString, [u8; 32]) {
    let secret = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>());
    let key = format!("scrip_{}_{secret}", tenant.0.simple());
    let hash = hash(&key);
    (SecretString::from(key), hash)
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn tenant_of(key: &str) -> Option<TenantId> {
    let (tenant, secret) = key.strip_prefix("scrip_")?.split_once('_')?;
    let sound = tenant.len() == 32 && secret.len() == 43;
    if sound {
        Uuid::try_parse(tenant).ok().map(TenantId)
    } else {
        None
    }
}

/// The keys this process has seen lately, and the operator's.
pub struct Keyring {
    db: Db,
    clock: Arc<dyn Clock>,
    operator_hash: [u8; 32],
    limiter: Option<DefaultKeyedRateLimiter<ApiKeyId>>,
    /// By hash.
    known: Remembered<[u8; 32], Principal>,
}

impl Keyring {
    /// `rate_limit`: requests a second of one key, and as many at once.
    pub fn new(db: Db, clock: Arc<dyn Clock>, operator_key: &SecretString, rate_limit: Option<NonZeroU32>) -> Self {
        Self {
            db,
            clock,
            operator_hash: hash(operator_key.expose_secret()),
            limiter: rate_limit.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            known: Remembered::default(),
        }
    }

    fn is_operator(&self, key: &str) -> bool {
        bool::from(hash(key).ct_eq(&self.operator_hash))
    }

    /// The key's principal; none if there is no such key or it was revoked.
    async fn principal(&self, key: &str) -> Result<Option<Arc<Principal>>, Problem> {
        let Some(tenant) = tenant_of(key) else { return Ok(None) };
        let (now, key_hash) = (self.clock.now(), hash(key));
        if let Some(principal) = self.known.get(&key_hash, now) {
            return Ok(Some(principal));
        }
        let mut scope = self.db.tenant(tenant).await?;
        let found = api_keys::by_hash(&mut scope, tenant, &key_hash).await?;
        scope.commit().await?;
        Ok(found.map(|found| {
            let principal = Principal {
                tenant,
                key_id: found.id,
                role: found.role,
                name: found.name,
            };
            self.known.insert(key_hash, principal, now)
        }))
    }

    fn admit(&self, principal: &Principal) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check_key(&principal.key_id).map_err(|_| {
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "This key makes more requests than it may. Nothing was done: send it again later.",
            )
            .retry_after_s(1)
        })
    }

    /// A key was revoked here: it stops working in this process at once, in others within two seconds.
    pub fn forget(&self, key_id: ApiKeyId) {
        self.known.forget_where(|principal| principal.key_id == key_id);
    }
}

const ADMIN: u8 = 1;
const BACKEND: u8 = 2;
const SUPPORT: u8 = 4;
const READ: u8 = 8;

fn bit(role: Role) -> u8 {
    match role {
        Role::Operator => 0,
        Role::Admin => ADMIN,
        Role::Backend => BACKEND,
        Role::Support => SUPPORT,
        Role::Read => READ,
    }
}

/// A caller with one of the roles in the set. As a handler's argument it stands for the check.
pub struct Caller<const ROLES: u8>(pub Arc<Principal>);

/// A tenant's admin.
pub type Admin = Caller<ADMIN>;
/// A product's backend.
pub type Backend = Caller<BACKEND>;
/// Whoever may look at accounts.
pub type Reader = Caller<{ BACKEND | SUPPORT | READ }>;
/// A named support person.
pub type Support = Caller<SUPPORT>;
/// Whoever may look at a tenant's books.
pub type Auditor = Caller<{ ADMIN | READ }>;

/// Whoever runs Scrip.
pub struct Operator;

impl<S: Send + Sync, const ROLES: u8> FromRequestParts<S> for Caller<ROLES>
where
    Arc<Keyring>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let keyring = Arc::<Keyring>::from_ref(state);
        let key = bearer(parts)?;
        match keyring.principal(key).await? {
            Some(principal) if bit(principal.role) & ROLES != 0 => {
                keyring.admit(&principal)?;
                Ok(Self(principal))
            }
            Some(principal) => Err(forbidden(principal.role)),
            None if keyring.is_operator(key) => Err(forbidden(Role::Operator)),
            None => Err(unauthorized("No such key, or it was revoked.")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator
where
    Arc<Keyring>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let keyring = Arc::<Keyring>::from_ref(state);
        let key = bearer(parts)?;
        if keyring.is_operator(key) {
            return Ok(Self);
        }
        match keyring.principal(key).await? {
            Some(principal) => Err(forbidden(principal.role)),
            None => Err(unauthorized("No such key, or it was revoked.")),
        }
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(unauthorized("Send one header: Authorization: Bearer <key>."));
    };
    let key = value.to_str().ok().and_then(|text| {
        let (scheme, key) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    key.filter(|key| !key.is_empty())
        .ok_or_else(|| unauthorized("The header is not of the form: Authorization: Bearer <key>."))
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn forbidden(role: Role) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        format!("A key with the role {} may not do this.", role.as_str()),
    )
    .with("role", role.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_tenant() {
        let tenant = TenantId(Uuid::from_u128(7));
        let (key, _) = new_key(tenant);
        assert_eq!(tenant_of(key.expose_secret()), Some(tenant));
        for bad in [
            "",
            "scrip_",
            "scrip_00_x",
            &key.expose_secret()[1..],
            &format!("{}x", key.expose_secret()),
        ] {
            assert_eq!(tenant_of(bad), None, "{bad}");
        }
    }
}
