//! What became of a request, and whether asking again can help.

use stripe::{ApiErrors, ApiErrorsCode, ApiErrorsType, StripeError};

/// Why there is no session to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The request could not even be made. This call changed nothing at Stripe; an earlier one may have.
    #[error("the request to Stripe was not sent: {0}")]
    NotSent(String),
    /// Stripe judged this request, and will not do it. The attempt is over.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Stripe does not accept the secret key (401), or the key may not do this (403). This call changed nothing
    /// at Stripe; an earlier one with a good key may have.
    #[error("Stripe does not accept the secret key (status {status}): {message}")]
    AuthenticationFailed { status: u16, message: String },
    /// Stripe may or may not have done it: keep the attempt pending and ask again with the same key, or, past
    /// 24 hours (when Stripe forgets keys), reconcile.
    #[error("it is unknown whether Stripe did it: {0}")]
    OutcomeUnknown(String),
}

/// A refusal in Stripe's words, with keys blanked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Stripe refused the request (status {status}, {kind}, code {}): {message}", code.as_deref().unwrap_or("none"))]
pub struct Refusal {
    pub status: u16,
    /// Stripe's error type: `card_error`, `invalid_request_error`, ...
    pub kind: String,
    pub code: Option<String>,
    pub decline_code: Option<String>,
    /// The parameter the refusal is about.
    pub param: Option<String>,
    pub message: String,
}

/// One request's end, for the retry loop.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// This error is the answer.
    Final(GatewayError),
    /// Another request with the same key may do better. `executed` tells whether this one may have had an effect:
    /// a request turned away by a lock or a rate limit had none of its own.
    Retry { reason: String, executed: bool },
}

pub(super) fn judge(error: StripeError) -> Failure {
    match error {
        StripeError::Stripe(error, status) => judge_answer(&error, status),
        // The crate does not keep the status where the error's body is not Stripe's JSON (a proxy's 502 page).
        StripeError::JSONDeserialize(_) => unknown_outcome("the answer could not be read"),
        StripeError::Timeout => unknown_outcome("no answer in time"),
        StripeError::ClientError(text) => unknown_outcome(&format!("the connection failed: {}", without_keys(&text))),
        StripeError::ConfigError(text) => Failure::Final(GatewayError::NotSent(without_keys(&text))),
    }
}

fn unknown_outcome(reason: &str) -> Failure {
    Failure::Retry {
        reason: reason.to_owned(),
        executed: true,
    }
}

fn judge_answer(error: &ApiErrors, status: u16) -> Failure {
    let message = without_keys(error.message.as_deref().unwrap_or("(no message)"));
    match status {
        401 | 403 => Failure::Final(GatewayError::AuthenticationFailed { status, message }),
        409 if !is_lock_conflict(error) => Failure::Final(refused(error, status, message)),
        409 | 429 => Failure::Retry {
            reason: format!("status {status}: {message}"),
            executed: false,
        },
        // The key is known with other parameters: what was done under it, if anything, this answer does not say.
        _ if error.type_ == ApiErrorsType::IdempotencyError => Failure::Final(GatewayError::OutcomeUnknown(message)),
        400..=499 if status != 424 => Failure::Final(refused(error, status, message)),
        _ => unknown_outcome(&format!("status {status}: {message}")),
    }
}

/// 409 without a code is how Stripe describes two requests at once with one key.
fn is_lock_conflict(error: &ApiErrors) -> bool {
    matches!(
        error.code,
        None | Some(ApiErrorsCode::IdempotencyKeyInUse | ApiErrorsCode::LockTimeout)
    )
}

fn refused(error: &ApiErrors, status: u16, message: String) -> GatewayError {
    GatewayError::Refused(Box::new(Refusal {
        status,
        kind: error.type_.as_str().to_owned(),
        code: error.code.as_ref().map(|code| code.as_str().to_owned()),
        decline_code: error.decline_code.clone(),
        param: error.param.clone(),
        message,
    }))
}

/// Stripe repeats keys in some messages (half blanked out), and people paste keys into any field.
pub(super) fn without_keys(text: &str) -> String {
    const PREFIXES: [&str; 6] = ["sk_test_", "sk_live_", "sk_org_", "rk_test_", "rk_live_", "whsec_"];
    text.split_inclusive(char::is_whitespace)
        .map(|word| match PREFIXES.iter().find_map(|prefix| word.find(prefix)) {
            Some(start) => {
                let blank = &word[word.trim_end().len()..];
                format!("{}[redacted]{blank}", &word[..start])
            }
            None => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_blanked_out_wherever_they_stand() {
        assert_eq!(
            without_keys("Invalid API Key provided: sk_test_***123"),
            "Invalid API Key provided: [redacted]"
        );
        assert_eq!(
            without_keys("No such customer: 'rk_live_1'; try\nagain"),
            "No such customer: '[redacted] try\nagain"
        );
        assert_eq!(without_keys("a whsec_1 b"), "a [redacted] b");
        assert_eq!(without_keys("risk_level high, disk_test"), "risk_level high, disk_test");
    }

    #[test]
    fn errors_of_the_transport_leave_the_outcome_open() {
        for error in [
            StripeError::Timeout,
            StripeError::ClientError("reset".into()),
            StripeError::JSONDeserialize("x".into()),
        ] {
            assert!(matches!(judge(error), Failure::Retry { executed: true, .. }));
        }
        assert!(matches!(
            judge(StripeError::ConfigError("bad url".into())),
            Failure::Final(GatewayError::NotSent(_))
        ));
    }
}
