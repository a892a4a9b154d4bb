//! A tenant's Stripe secrets, sealed and opened; and the id of the URL its events come to.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::{
    domain::ids::TenantId,
    random,
    secrets::{EncryptionKey, SecretsError},
    storage::stripe_settings::StripeSettings,
};

/// The last part of a webhook URL: `we_<tenant id, 32 hex digits><16 random hex digits>`. It names the tenant, so that it
/// is looked up within the tenant; the random part keeps it from being guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointId {
    pub tenant: TenantId,
    text: String,
}

impl EndpointId {
    pub fn new(tenant: TenantId) -> Self {
        let random: String = random::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            tenant,
            text: format!("we_{}{random}", tenant.0.simple()),
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (tenant, random) = text.strip_prefix("we_")?.split_at_checked(32)?;
        let sound = random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit());
        let tenant = Uuid::try_parse(tenant).ok().filter(|_| sound)?;
        Some(Self {
            tenant: TenantId(tenant),
            text: text.to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for EndpointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A tenant's secrets as they are stored.
pub struct Sealed {
    pub secret_key: Vec<u8>,
    pub webhook_secrets: Vec<u8>,
}

pub fn seal(
    key: &EncryptionKey,
    tenant: TenantId,
    secret_key: &SecretString,
    webhook_secrets: &[SecretString],
) -> Result<Sealed, SecretsError> {
    // One a line: a signing secret has neither spaces nor control characters.
    let secrets: Vec<&str> = webhook_secrets.iter().map(ExposeSecret::expose_secret).collect();
    Ok(Sealed {
        secret_key: key.seal(&secret_key_context(tenant), secret_key.expose_secret().as_bytes())?,
        webhook_secrets: key.seal(&webhook_secrets_context(tenant), secrets.join("\n").as_bytes())?,
    })
}

pub fn open_secret_key(
    key: &EncryptionKey,
    tenant: TenantId,
    settings: &StripeSettings,
) -> Result<SecretString, SecretsError> {
    key.open(&secret_key_context(tenant), &settings.secret_key_sealed)
}

pub fn open_webhook_secrets(
    key: &EncryptionKey,
    tenant: TenantId,
    settings: &StripeSettings,
) -> Result<Vec<SecretString>, SecretsError> {
    let opened = key.open(&webhook_secrets_context(tenant), &settings.webhook_secrets_sealed)?;
    Ok(opened.expose_secret().lines().map(SecretString::from).collect())
}

fn secret_key_context(tenant: TenantId) -> String {
    format!("stripe-secret-key/{tenant}")
}

fn webhook_secrets_context(tenant: TenantId) -> String {
    format!("stripe-webhook-secrets/{tenant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_its_tenant() {
        let tenant = TenantId(Uuid::from_u128(9));
        let endpoint = EndpointId::new(tenant);
        assert_eq!(EndpointId::parse(endpoint.as_str()), Some(endpoint));
        for bad in [
            "",
            "we_",
            "we_00000000000000000000000000000009",
            "we_é0000000000000000000000000000009aaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(EndpointId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_tenants_secrets_do_not_open_for_another() -> Result<(), SecretsError> {
        let (key, ours, theirs) = (
            EncryptionKey::generate()?,
            TenantId(Uuid::from_u128(1)),
            TenantId(Uuid::from_u128(2)),
        );
        let secrets = ["whsec_a".into(), "whsec_b".into()];
        let sealed = seal(&key, ours, &"sk_test_x".into(), &secrets)?;
        let settings = StripeSettings {
            endpoint_id: EndpointId::new(ours).to_string(),
            secret_key_sealed: sealed.secret_key,
            webhook_secrets_sealed: sealed.webhook_secrets,
            livemode: false,
        };
        assert_eq!(open_secret_key(&key, ours, &settings)?.expose_secret(), "sk_test_x");
        assert_eq!(open_webhook_secrets(&key, ours, &settings)?.len(), 2);
        assert!(open_secret_key(&key, theirs, &settings).is_err());
        assert!(open_webhook_secrets(&key, theirs, &settings).is_err());
        Ok(())
    }
}
