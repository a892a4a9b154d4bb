//! The two keys of an installation: the operator's, and the one that secrets are encrypted with.
//!
//! With DATABASE_URL both come from the environment. Embedded, they are made once and kept beside the data, readable by
//! the owner alone.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Config,
    random,
    secrets::{EncryptionKey, EncryptionKeyError, SecretsError},
};

/// The shortest operator key taken from the environment, in characters.
const OPERATOR_KEY_LEN_MIN: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("with DATABASE_URL {variable} is required: {hint}")]
    Missing { variable: &'static str, hint: &'static str },
    #[error(
        "SCRIP_OPERATOR_KEY is too short: give at least {OPERATOR_KEY_LEN_MIN} characters (`openssl rand -base64 32`)"
    )]
    OperatorKeyTooShort,
    #[error("SCRIP_ENCRYPTION_KEY: {0}")]
    EncryptionKey(#[from] EncryptionKeyError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("can't keep a key in {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

pub struct Keys {
    pub operator: SecretString,
    pub encryption: EncryptionKey,
}

impl Keys {
    /// The keys in the environment, checked before anything starts. None of a kind means: embedded, to be made or found.
    pub fn check(config: &Config) -> Result<(), KeysError> {
        let missing = |variable, hint| Err(KeysError::Missing { variable, hint });
        if config.database_url.is_some() {
            if config.operator_key.is_none() {
                return missing(
                    "SCRIP_OPERATOR_KEY",
                    "the key that may make tenants (`openssl rand -base64 32`)",
                );
            }
            if config.encryption_key.is_none() {
                return missing("SCRIP_ENCRYPTION_KEY", "32 bytes in base64 (`openssl rand -base64 32`)");
            }
        }
        if config
            .operator_key
            .as_ref()
            .is_some_and(|key| key.expose_secret().len() < OPERATOR_KEY_LEN_MIN)
        {
            return Err(KeysError::OperatorKeyTooShort);
        }
        if let Some(key) = &config.encryption_key {
            EncryptionKey::from_base64(key.expose_secret())?;
        }
        Ok(())
    }

    /// `data_dir`: where the embedded installation keeps its own.
    pub fn load(config: &Config, data_dir: Option<&Path>) -> Result<Self, KeysError> {
        Self::check(config)?;
        let kept = |name: &str, make: &dyn Fn() -> Result<SecretString, KeysError>| match data_dir {
            Some(dir) => keep(&dir.join(name), make),
            None => make(),
        };
        let operator = match &config.operator_key {
            Some(key) => key.clone(),
            None => kept("operator.key", &|| {
                Ok(format!(
                    "scrip_operator_{}",
                    BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>())
                )
                .into())
            })?,
        };
        let encryption = match &config.encryption_key {
            Some(key) => EncryptionKey::from_base64(key.expose_secret())?,
            None => {
                let text = kept("encryption.key", &|| Ok(EncryptionKey::generate()?.to_base64()))?;
                EncryptionKey::from_base64(text.expose_secret())?
            }
        };
        Ok(Self { operator, encryption })
    }
}

/// The key kept in `path`; made, and kept with mode 0600, if there is none.
fn keep(path: &Path, make: &dyn Fn() -> Result<SecretString, KeysError>) -> Result<SecretString, KeysError> {
    let io = |source| KeysError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned().into()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        Err(_) => {}
    }
    let key = make()?;
    // Written whole under another name first: a half-written key would lock every secret for good.
    let unfinished = path.with_extension("key.new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io)?;
    file.write_all(key.expose_secret().as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io)?;
    fs::rename(&unfinished, path).map_err(io)?;
    Ok(key)
}
