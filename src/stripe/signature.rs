//! The `Stripe-Signature` header: who sent this body, and when.
//!
//! The header reads `t=<unix seconds>,v1=<hex>[,v1=<hex>...]`; each `v1` is HMAC-SHA-256 over `<t>.<raw body>`
//! with the endpoint's secret (the whole text, `whsec_` included). This module checks it on the **raw** bytes,
//! before anything is parsed, because the crate's own parser accepts a blank secret and refuses older events.
//!
//! The rules, each with a test below:
//! - any `v1` of several may match any of several secrets (Stripe signs with both during a rotation, and so may we);
//! - unknown schemes (`v0`, a later `v2`) are skipped, a second `t` is refused: it would leave open which one was signed;
//! - hex is read strictly: 64 characters of `0-9a-f`, as Stripe writes it; anything else is a `v1` that matches nothing;
//! - the comparison takes the same time wherever the first difference stands;
//! - `t` may be 300 seconds away from now, in either direction, and no more;
//! - a blank secret never matches: anyone can compute its signatures;
//! - the signature is judged before the time, so that only the owner of the secret learns about clocks.
//!
//! Bounds: a header beyond 1,024 bytes is refused unread, so the work is at most one HMAC per secret.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How far `t` may be from now, either way. Stripe's own libraries use the same number (for the past).
pub const TOLERANCE_SECONDS: u64 = 300;

/// Two signatures and a time take about 160 bytes; this leaves room for a dozen rotations at once.
const HEADER_BYTES_MAX: usize = 1_024;

const DIGEST_BYTES: usize = 32;
type Digest = [u8; DIGEST_BYTES];

/// Why a delivery is not believed. Callers answer all of these alike; the names are for logs and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the Stripe-Signature header is malformed")]
    Malformed,
    #[error("the Stripe-Signature header is longer than {HEADER_BYTES_MAX} bytes")]
    HeaderTooLong,
    #[error("the Stripe-Signature header has no t")]
    NoTimestamp,
    #[error("the Stripe-Signature header has more than one t")]
    DuplicateTimestamp,
    #[error("the Stripe-Signature header has no v1 signature")]
    NoSignature,
    #[error("no webhook secret is configured, or it is blank")]
    NoUsableSecret,
    #[error("no signature matches any of the webhook secrets")]
    NoMatch,
    #[error("the signature's time is more than {TOLERANCE_SECONDS} seconds in the past")]
    TooOld,
    #[error("the signature's time is more than {TOLERANCE_SECONDS} seconds in the future")]
    TooNew,
}

/// Believes `payload` only if one of `secrets` signed it within [`TOLERANCE_SECONDS`] of `now_unix`.
pub fn verify(payload: &[u8], header: &str, secrets: &[SecretString], now_unix: i64) -> Result<(), SignatureError> {
    let header = Header::parse(header)?;
    let mut usable = secrets
        .iter()
        .filter(|secret| !secret.expose_secret().trim().is_empty())
        .peekable();
    if usable.peek().is_none() {
        return Err(SignatureError::NoUsableSecret);
    }
    let signed_by =
        |secret| digest(payload, secret, header.timestamp_text).is_some_and(|digest| header.matches(&digest));
    if !usable.any(signed_by) {
        return Err(SignatureError::NoMatch);
    }
    if header.timestamp.abs_diff(now_unix) <= TOLERANCE_SECONDS {
        Ok(())
    } else if header.timestamp < now_unix {
        Err(SignatureError::TooOld)
    } else {
        Err(SignatureError::TooNew)
    }
}

/// The header Stripe would send for `payload` at `t`. For tests, examples and tools; the service only verifies.
#[must_use]
pub fn sign(payload: &[u8], secret: &SecretString, t: i64) -> String {
    let signature: String = digest(payload, secret, &t.to_string())
        .iter()
        .flatten()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={t},v1={signature}")
}

/// A header taken apart. The time is kept as it was written too, because the text is what was signed.
struct Header<'a> {
    timestamp: i64,
    timestamp_text: &'a str,
    signatures: Vec<Digest>,
}

impl<'a> Header<'a> {
    fn parse(header: &'a str) -> Result<Self, SignatureError> {
        if header.len() > HEADER_BYTES_MAX {
            return Err(SignatureError::HeaderTooLong);
        }
        let mut timestamp_text = None;
        let mut signatures = Vec::new();
        let mut saw_v1 = false;
        for item in header.split(',') {
            match item.trim().split_once('=').ok_or(SignatureError::Malformed)? {
                ("t", _) if timestamp_text.is_some() => {
                    return Err(SignatureError::DuplicateTimestamp);
                }
                ("t", text) => timestamp_text = Some(text),
                ("v1", hex) => {
                    saw_v1 = true;
                    signatures.extend(digest_from_hex(hex));
                }
                _ => {}
            }
        }
        let timestamp_text = timestamp_text.ok_or(SignatureError::NoTimestamp)?;
        let timestamp = parse_timestamp(timestamp_text).ok_or(SignatureError::Malformed)?;
        if !saw_v1 {
            return Err(SignatureError::NoSignature);
        }
        Ok(Self {
            timestamp,
            timestamp_text,
            signatures,
        })
    }

    /// Looks at every signature, also after a match.
    fn matches(&self, expected: &Digest) -> bool {
        self.signatures
            .iter()
            .fold(subtle::Choice::from(0), |found, given| found | given.ct_eq(expected))
            .into()
    }
}

/// Digits alone: `i64::from_str` would also take a sign.
fn parse_timestamp(text: &str) -> Option<i64> {
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits_only.then(|| text.parse().ok()).flatten()
}

fn digest_from_hex(hex: &str) -> Option<Digest> {
    let hex: &[u8; 2 * DIGEST_BYTES] = hex.as_bytes().try_into().ok()?;
    let mut digest = [0; DIGEST_BYTES];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// `None` cannot happen (HMAC takes a key of any length), and would match nothing if it did.
fn digest(payload: &[u8], secret: &SecretString, timestamp_text: &str) -> Option<Digest> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(timestamp_text.as_bytes());
    mac.update(b".");
    mac.update(payload);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with the official SDK, `pip install stripe` 16.1.0 (PyPI), in Python:
    //     stripe.WebhookSignature._compute_signature(f"{T}.{PAYLOAD}", SECRET)
    // and accepted there by stripe.WebhookSignature.verify_header(PAYLOAD, header, SECRET, 300) at T + 300.
    const PAYLOAD: &str = r#"{"id":"evt_scrip_vector_1","object":"event","type":"ping","note":"café"}"#;
    const SECRET: &str = "whsec_scrip_vector_secret_1";
    const T: i64 = 1_795_000_000;
    const V1: &str = "c1444353d77d5881a8d6c104ce7289ad946d9b443ac6ee83488be3d100196dff";
    const V1_EMPTY_BODY: &str = "7f7a8626803c84ef7625f21972a8782c1e741561d9f61f74eff7de59289ec42a";
    const OTHER_SECRET: &str = "whsec_scrip_vector_secret_2";
    const OTHER_V1: &str = "ddfe9be00791f5b6f55d2c693f9c642ca809024413f746119473ba5e709e1137";

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn check(header: &str, secrets: &[&str], now: i64) -> Result<(), SignatureError> {
        let secrets: Vec<_> = secrets.iter().map(|text| secret(text)).collect();
        verify(PAYLOAD.as_bytes(), header, &secrets, now)
    }

    #[test]
    fn the_official_sdks_signatures_are_accepted_and_made() {
        assert_eq!(check(&format!("t={T},v1={V1}"), &[SECRET], T), Ok(()));
        assert_eq!(check(&format!("t={T},v1={OTHER_V1}"), &[OTHER_SECRET], T), Ok(()));
        assert_eq!(
            verify(b"", &format!("t={T},v1={V1_EMPTY_BODY}"), &[secret(SECRET)], T),
            Ok(())
        );
        assert_eq!(sign(PAYLOAD.as_bytes(), &secret(SECRET), T), format!("t={T},v1={V1}"));
    }

    #[test]
    fn any_v1_of_several_may_match_first_or_last_and_other_schemes_are_skipped() {
        let wrong = "0".repeat(64);
        for header in [
            format!("t={T},v1={V1},v1={wrong}"),
            format!("t={T},v1={wrong},v1={V1}"),
            format!("v1={wrong},v1={V1},t={T}"),
            format!("t={T},v1=short,v0={wrong},v2=later,v1={V1}"),
            format!("t={T}, v1={V1}"),
        ] {
            assert_eq!(check(&header, &[SECRET], T), Ok(()), "{header}");
        }
        assert_eq!(
            check(&format!("t={T},v0={V1}"), &[SECRET], T),
            Err(SignatureError::NoSignature)
        );
    }

    #[test]
    fn old_and_new_secret_are_both_taken_during_a_rotation() {
        for secrets in [[SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET]] {
            assert_eq!(check(&format!("t={T},v1={V1}"), &secrets, T), Ok(()));
            assert_eq!(check(&format!("t={T},v1={OTHER_V1}"), &secrets, T), Ok(()));
        }
        assert_eq!(
            check(&format!("t={T},v1={V1}"), &[OTHER_SECRET], T),
            Err(SignatureError::NoMatch)
        );
    }

    #[test]
    fn three_hundred_seconds_either_way_and_not_one_more() {
        let header = format!("t={T},v1={V1}");
        for (now, expected) in [
            (T + 300, Ok(())),
            (T + 301, Err(SignatureError::TooOld)),
            (T - 300, Ok(())),
            (T - 301, Err(SignatureError::TooNew)),
            (i64::MAX, Err(SignatureError::TooOld)),
            (i64::MIN, Err(SignatureError::TooNew)),
        ] {
            assert_eq!(check(&header, &[SECRET], now), expected, "now {now}");
        }
        assert_eq!(
            check(&header, &[OTHER_SECRET], T + 301),
            Err(SignatureError::NoMatch),
            "signature first"
        );
    }

    #[test]
    fn a_changed_byte_of_the_body_or_of_the_time_is_noticed() {
        let header = format!("t={T},v1={V1}");
        for index in 0..PAYLOAD.len() {
            let mut changed = PAYLOAD.as_bytes().to_vec();
            changed[index] ^= 1;
            assert_eq!(
                verify(&changed, &header, &[secret(SECRET)], T),
                Err(SignatureError::NoMatch)
            );
        }
        let later = format!("t={},v1={V1}", T + 1);
        assert_eq!(check(&later, &[SECRET], T), Err(SignatureError::NoMatch));
        let same_number_other_text = format!("t=0{T},v1={V1}");
        assert_eq!(
            check(&same_number_other_text, &[SECRET], T),
            Err(SignatureError::NoMatch)
        );
    }

    #[test]
    fn a_blank_secret_is_refused_even_where_its_signature_is_right() {
        for blank in ["", " ", "\n\t "] {
            let header = sign(PAYLOAD.as_bytes(), &secret(blank), T);
            assert_eq!(check(&header, &[blank], T), Err(SignatureError::NoUsableSecret));
            assert_eq!(check(&header, &[blank, SECRET], T), Err(SignatureError::NoMatch));
        }
        assert_eq!(
            check(&format!("t={T},v1={V1}"), &[], T),
            Err(SignatureError::NoUsableSecret)
        );
        assert_eq!(
            check(&format!("t={T},v1={V1}"), &["", SECRET], T),
            Ok(()),
            "a good one beside it still counts"
        );
    }

    #[test]
    fn hex_is_read_strictly() {
        for v1 in [
            V1.to_uppercase(),
            format!("0x{}", &V1[2..]),
            format!("{V1}0"),
            V1[..63].to_owned(),
            String::new(),
        ] {
            assert_eq!(
                check(&format!("t={T},v1={v1}"), &[SECRET], T),
                Err(SignatureError::NoMatch),
                "{v1}"
            );
        }
    }

    #[test]
    fn malformed_headers_have_their_own_names() {
        for (header, expected) in [
            (String::new(), SignatureError::Malformed),
            ("nonsense".to_owned(), SignatureError::Malformed),
            (format!("t={T},v1={V1},"), SignatureError::Malformed),
            (format!("v1={V1}"), SignatureError::NoTimestamp),
            (format!("t={T}"), SignatureError::NoSignature),
            (format!("t=,v1={V1}"), SignatureError::Malformed),
            (format!("t=+{T},v1={V1}"), SignatureError::Malformed),
            (format!("t=-{T},v1={V1}"), SignatureError::Malformed),
            (format!("t={T}.5,v1={V1}"), SignatureError::Malformed),
            (format!("t=99999999999999999999,v1={V1}"), SignatureError::Malformed),
            (format!("t={T},t={T},v1={V1}"), SignatureError::DuplicateTimestamp),
            (format!("t=1,v1={V1},t={T}"), SignatureError::DuplicateTimestamp),
            (
                format!("t={T},v1={V1}{}", ",v1=x".repeat(300)),
                SignatureError::HeaderTooLong,
            ),
        ] {
            assert_eq!(check(&header, &[SECRET], T), Err(expected), "{header}");
        }
    }
}
