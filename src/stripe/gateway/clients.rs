//! One Stripe client per secret key.
//!
//! Building a client reads the machine's whole certificate store, so clients are kept, under the SHA-256 of the
//! key: the map holds no key as text (each client holds its own, marked sensitive). Rotated keys age out because
//! the map starts anew at [`CLIENTS_MAX`]; that costs rebuilding, never correctness. The lock is held for look-up
//! and insertion only, never while a client is built.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use super::GatewayError;

const CLIENTS_MAX: usize = 1_024;

type KeyHash = [u8; 32];

#[derive(Debug)]
pub(super) struct Clients {
    api_base: String,
    attempt_timeout: Duration,
    by_key: Mutex<HashMap<KeyHash, stripe::Client>>,
}

impl Clients {
    /// `api_base` with or without a slash at its end; the crate appends `v1/...` and wants one.
    pub(super) fn new(api_base: &str, attempt_timeout: Duration) -> Self {
        let api_base = format!("{}/", api_base.trim_end_matches('/'));
        Self {
            api_base,
            attempt_timeout,
            by_key: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &SecretString) -> Result<stripe::Client, GatewayError> {
        let hash: KeyHash = Sha256::digest(key.expose_secret().as_bytes()).into();
        if let Some(client) = self.lock().get(&hash) {
            return Ok(client.clone());
        }
        let client = self.build(key)?;
        let mut by_key = self.lock();
        if by_key.len() >= CLIENTS_MAX {
            by_key.clear();
        }
        Ok(by_key.entry(hash).or_insert(client).clone())
    }

    fn build(&self, key: &SecretString) -> Result<stripe::Client, GatewayError> {
        let builder = stripe::ClientBuilder::new(key.expose_secret())
            .url(&self.api_base)
            .timeout(self.attempt_timeout);
        // The crate panics where TLS cannot be set up (no certificate store, in a bare container). Here that is an error.
        match catch_unwind(AssertUnwindSafe(|| builder.build())) {
            Ok(Ok(client)) => Ok(client),
            // Both causes are ours to word: the crate's text might quote what it was given.
            Ok(Err(_)) => Err(GatewayError::NotSent(
                "the secret key or the API's base URL cannot be used in a request".to_owned(),
            )),
            Err(_) => Err(GatewayError::NotSent(
                "TLS could not be set up (are there root certificates on this machine, package ca-certificates?)"
                    .to_owned(),
            )),
        }
    }

    /// A panic elsewhere leaves the map whole: every change to it is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, stripe::Client>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_built_once_per_key_and_the_map_stays_bounded() {
        let clients = Clients::new("http://127.0.0.1:1", Duration::from_secs(1));
        for name in ["sk_test_a", "sk_test_b", "sk_test_a"] {
            clients.get(&SecretString::from(name)).unwrap();
        }
        assert_eq!(clients.lock().len(), 2);
        assert!(!format!("{clients:?}").contains("sk_test"), "no key in Debug");
    }

    #[test]
    fn unusable_keys_and_urls_are_refused_before_anything_is_sent() {
        for (url, key) in [("http://127.0.0.1:1", "sk_test_\n"), ("not a url", "sk_test_a")] {
            let refused = Clients::new(url, Duration::from_secs(1)).get(&SecretString::from(key));
            assert!(matches!(refused, Err(GatewayError::NotSent(text)) if !text.contains("sk_")));
        }
    }
}
