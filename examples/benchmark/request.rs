//! One request, formatted once; between two sendings only the digits of the account and of the key change.

use std::net::SocketAddr;

/// Digits of an account's number in its id, `acct-000042`.
const ACCOUNT_DIGITS: usize = 6;
/// An idempotency key: 32 hex digits in the shape of a UUID.
const BLANK_KEY: &str = "00000000-0000-0000-0000-000000000000";

/// Which account a request names.
#[derive(Clone, Copy)]
pub enum Pick {
    /// Every account once, 1 to n; the load ends after the last.
    Each(u32),
    /// One of n, at random.
    Random(u32),
    /// The one written in the path.
    Hot,
}

/// What to send, over and over.
pub struct Request<'a> {
    pub method: &'a str,
    /// The path, with `{}` where the account's id stands.
    pub path: &'a str,
    pub body: &'a str,
    pub api_key: &'a str,
    pub pick: Pick,
}

/// Where in the request the digits stand that change.
pub struct Slots {
    account: Option<usize>,
    key: usize,
}

impl Slots {
    pub fn format(request: &Request<'_>, host: SocketAddr) -> (Vec<u8>, Self) {
        let Request {
            method,
            path,
            body,
            api_key,
            pick,
        } = request;
        let (before, after) = path.split_once("{}").unwrap_or((path, ""));
        let account = (!matches!(pick, Pick::Hot)).then(|| method.len() + 1 + before.len() + "acct-".len());
        let id = account.map_or(String::new(), |_| format!("acct-{:0ACCOUNT_DIGITS$}", 0));
        let mut text = format!("{method} {before}{id}{after} HTTP/1.1\r\nHost: {host}\r\n");
        text += &format!("Authorization: Bearer {api_key}\r\nContent-Type: application/json\r\n");
        text += "Idempotency-Key: ";
        let key = text.len();
        text += BLANK_KEY;
        text += &format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        (text.into_bytes(), Self { account, key })
    }
}

/// Chooses each request's account and key.
pub struct Next {
    pick: Pick,
    issued: u32,
    random: Random,
}

impl Next {
    pub fn new(pick: Pick) -> Self {
        Self {
            pick,
            issued: 0,
            random: Random::seeded(),
        }
    }

    /// Writes the next account and a fresh key into the request; false when every account had its turn.
    pub fn fill(&mut self, request: &mut [u8], slots: &Slots) -> bool {
        let number = match self.pick {
            Pick::Each(accounts) if self.issued >= accounts => return false,
            Pick::Each(_) => self.issued + 1,
            Pick::Random(accounts) => (((self.random.next() >> 32) * u64::from(accounts)) >> 32) as u32 + 1,
            Pick::Hot => 0,
        };
        self.issued = self.issued.wrapping_add(1);
        if let Some(at) = slots.account {
            let mut rest = number;
            for digit in request[at..at + ACCOUNT_DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        let key = &mut request[slots.key..slots.key + BLANK_KEY.len()];
        let mut bits = 0;
        for (nth, at) in (0..key.len()).filter(|at| !matches!(at, 8 | 13 | 18 | 23)).enumerate() {
            if nth % 16 == 0 {
                bits = self.random.next();
            }
            key[at] = b"0123456789abcdef"[(bits & 15) as usize];
            bits >>= 4;
        }
        true
    }
}

/// SplitMix64: enough for unique keys, and far cheaper than asking the kernel.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        use std::hash::{BuildHasher, Hasher};
        Self(std::hash::RandomState::new().build_hasher().finish())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_request_differs_in_account_and_key_alone() {
        let request = Request {
            method: "POST",
            path: "/v1/accounts/{}/spends",
            body: r#"{"amount":1}"#,
            api_key: "k",
            pick: Pick::Each(2),
        };
        let (mut bytes, slots) = Slots::format(&request, "127.0.0.1:80".parse().unwrap());
        let (blank, length) = (bytes.clone(), bytes.len());
        let mut next = Next::new(request.pick);
        for id in ["acct-000001", "acct-000002"] {
            assert!(next.fill(&mut bytes, &slots));
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.starts_with(&format!("POST /v1/accounts/{id}/spends HTTP/1.1\r\n")));
            assert!(text.ends_with("\r\nContent-Length: 12\r\n\r\n{\"amount\":1}"));
            let key = text
                .split_once("Idempotency-Key: ")
                .unwrap()
                .1
                .split_once("\r\n")
                .unwrap()
                .0;
            assert_eq!((key.len(), key.matches('-').count()), (36, 4));
        }
        assert_ne!(blank, bytes);
        assert_eq!(length, bytes.len());
        assert!(!next.fill(&mut bytes, &slots), "every account had its turn");
    }
}
