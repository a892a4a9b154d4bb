//! Secrets at rest: sealing what the database must hold but nobody may read there.
//!
//! A tenant's Stripe secret key and webhook secrets are stored sealed with XChaCha20-Poly1305 under one
//! process-wide [`EncryptionKey`]. A sealed value is bound to its *context* (for example
//! `stripe/<tenant id>/secret_key`): the context is authenticated, not stored, so a row copied to another
//! tenant or another column does not open there.
//!
//! Layout of a sealed value, so that a later version can live beside this one:
//!
//! ```text
//! 1 byte   version, now 1
//! 24 bytes nonce, random per value (XChaCha20's nonce is long enough to draw at random without counting)
//! n bytes  ciphertext, as long as the plaintext
//! 16 bytes tag
//! ```
//!
//! Deliberately absent: key rotation. A second key would get its own version byte.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret, SecretBox, SecretString};

const KEY_BYTES: usize = 32;
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + NONCE_BYTES;

/// Separates these associated data from any other use of the same key.
const DOMAIN: &[u8] = b"scrip sealed secret v1\0";

/// Standard base64, with or without padding: `openssl rand -base64 32` writes it, some secret stores strip it.
const LENIENT_PADDING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a configured encryption key was not accepted. None of the messages repeats any part of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionKeyError {
    #[error("the encryption key is empty; it must be 32 bytes in base64 (make one with: openssl rand -base64 32)")]
    Empty,
    #[error("the encryption key is not valid base64 (standard alphabet: A-Z a-z 0-9 + /)")]
    NotBase64,
    #[error("the encryption key must be 32 bytes in base64, but it decodes to {got}")]
    WrongLength { got: usize },
}

/// Why sealing or opening failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(String),
    #[error("the secret could not be sealed (it is too long)")]
    SealFailed,
    #[error("the sealed secret is too short: {got} bytes, and an empty secret takes {least}")]
    TooShort { got: usize, least: usize },
    #[error("the sealed secret has version {0}; this program reads version 1")]
    UnknownVersion(u8),
    /// A wrong key, a wrong context (another tenant's row) or a changed byte: deliberately not told apart.
    #[error("the sealed secret does not open: another encryption key, another owner, or changed bytes")]
    DoesNotOpen,
    #[error("the sealed secret opened, but is not text")]
    NotText,
}

/// The key that seals every tenant's secrets. Its bytes are wiped on drop and never printed.
pub struct EncryptionKey(SecretBox<[u8; KEY_BYTES]>);

impl EncryptionKey {
    /// Reads a key as operators write it: 32 bytes in standard base64; surrounding white space (a file's last
    /// newline) and missing padding are fine.
    pub fn from_base64(text: &str) -> Result<Self, EncryptionKeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EncryptionKeyError::Empty);
        }
        let mut decoded = LENIENT_PADDING
            .decode(text)
            .map_err(|_| EncryptionKeyError::NotBase64)?;
        let key = match <[u8; KEY_BYTES]>::try_from(decoded.as_slice()) {
            Ok(bytes) => Ok(Self::from_bytes(bytes)),
            Err(_) => Err(EncryptionKeyError::WrongLength { got: decoded.len() }),
        };
        decoded.zeroize();
        key
    }

    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Result<Self, SecretsError> {
        let mut bytes = [0_u8; KEY_BYTES];
        random(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key in base64, to be kept in a file only its owner can read.
    #[must_use]
    pub fn to_base64(&self) -> SecretString {
        SecretString::from(STANDARD.encode(self.0.expose_secret()))
    }

    fn from_bytes(mut bytes: [u8; KEY_BYTES]) -> Self {
        let boxed = SecretBox::init_with_mut(|inner: &mut [u8; KEY_BYTES]| *inner = bytes);
        bytes.zeroize();
        Self(boxed)
    }

    /// Seals `plaintext` for `context`. Two calls with the same input give different bytes.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        random(&mut nonce)?;
        let payload = Payload {
            msg: plaintext,
            aad: &associated_data(context),
        };
        let ciphertext = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| SecretsError::SealFailed)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] made with the same key for the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<SecretString, SecretsError> {
        let least = HEADER_BYTES + TAG_BYTES;
        if sealed.len() < least {
            return Err(SecretsError::TooShort {
                got: sealed.len(),
                least,
            });
        }
        let (header, ciphertext) = sealed.split_at(HEADER_BYTES);
        let (version, nonce) = header.split_at(1);
        if version != [VERSION] {
            return Err(SecretsError::UnknownVersion(version[0]));
        }
        let payload = Payload {
            msg: ciphertext,
            aad: &associated_data(context),
        };
        let plaintext = self
            .cipher()
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| SecretsError::DoesNotOpen)?;
        match String::from_utf8(plaintext) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(not_text) => {
                not_text.into_bytes().zeroize();
                Err(SecretsError::NotText)
            }
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose_secret().into())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey([redacted])")
    }
}

fn associated_data(context: &str) -> Vec<u8> {
    [DOMAIN, context.as_bytes()].concat()
}

fn random(buffer: &mut [u8]) -> Result<(), SecretsError> {
    getrandom::fill(buffer).map_err(|error| SecretsError::NoRandomness(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "stripe/0199b2f0-0000-7000-8000-000000000001";

    fn key() -> EncryptionKey {
        EncryptionKey::from_bytes([7; KEY_BYTES])
    }

    #[test]
    fn a_sealed_secret_opens_with_the_same_key_and_context() {
        for plaintext in ["", "sk_test_51", "schlüssel"] {
            let sealed = key().seal(CONTEXT, plaintext.as_bytes()).unwrap();
            assert_eq!(sealed.len(), HEADER_BYTES + plaintext.len() + TAG_BYTES);
            assert_eq!(key().open(CONTEXT, &sealed).unwrap().expose_secret(), plaintext);
        }
    }

    #[test]
    fn it_does_not_open_for_another_tenant_or_with_another_key() {
        let sealed = key().seal(CONTEXT, b"sk_test_51").unwrap();
        let other = EncryptionKey::generate().unwrap();
        for context in ["", "stripe/0199b2f0-0000-7000-8000-000000000002", "stripe/"] {
            assert_eq!(key().open(context, &sealed).unwrap_err(), SecretsError::DoesNotOpen);
        }
        assert_eq!(other.open(CONTEXT, &sealed).unwrap_err(), SecretsError::DoesNotOpen);
    }

    #[test]
    fn no_byte_may_change_and_none_may_be_missing() {
        let sealed = key().seal(CONTEXT, b"whsec_1").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            let expected = if index == 0 {
                SecretsError::UnknownVersion(0)
            } else {
                SecretsError::DoesNotOpen
            };
            assert_eq!(key().open(CONTEXT, &changed).unwrap_err(), expected, "byte {index}");
            assert!(key().open(CONTEXT, &sealed[..index]).is_err(), "cut at {index}");
        }
        assert_eq!(
            key().open(CONTEXT, &[]).unwrap_err(),
            SecretsError::TooShort { got: 0, least: 41 }
        );
    }

    #[test]
    fn the_same_secret_is_never_sealed_to_the_same_bytes() {
        let (one, two) = (key().seal(CONTEXT, b"x").unwrap(), key().seal(CONTEXT, b"x").unwrap());
        assert_ne!(one, two);
        assert_ne!(one[1..HEADER_BYTES], two[1..HEADER_BYTES]);
    }

    #[test]
    fn bytes_that_are_not_text_are_named_as_such() {
        let sealed = key().seal(CONTEXT, &[0xff, 0xfe]).unwrap();
        assert_eq!(key().open(CONTEXT, &sealed).unwrap_err(), SecretsError::NotText);
    }

    #[test]
    fn keys_are_read_strictly_and_refused_precisely() {
        let made = EncryptionKey::generate().unwrap();
        let text = made.to_base64().expose_secret().to_owned();
        let sealed = made.seal(CONTEXT, b"x").unwrap();
        for written in [
            text.clone(),
            format!("  {text}\n"),
            text.trim_end_matches('=').to_owned(),
        ] {
            let read = EncryptionKey::from_base64(&written).unwrap();
            assert_eq!(read.open(CONTEXT, &sealed).unwrap().expose_secret(), "x");
        }
        let refusal = |text: &str| EncryptionKey::from_base64(text).unwrap_err();
        assert_eq!(refusal(" \n"), EncryptionKeyError::Empty);
        assert_eq!(refusal("not base64!"), EncryptionKeyError::NotBase64);
        assert_eq!(
            refusal(&STANDARD.encode([1; 31])),
            EncryptionKeyError::WrongLength { got: 31 }
        );
        assert_eq!(
            refusal(&STANDARD.encode([1; 33])),
            EncryptionKeyError::WrongLength { got: 33 }
        );
    }

    #[test]
    fn nothing_prints_the_key() {
        let text = key().to_base64().expose_secret().to_owned();
        assert!(!format!("{:?}", key()).contains(&text[..8]));
        assert_eq!(format!("{:?}", key()), "EncryptionKey([redacted])");
        let refused = EncryptionKey::from_base64("sk_live_oops").unwrap_err();
        assert!(!refused.to_string().contains("sk_live"));
    }
}
