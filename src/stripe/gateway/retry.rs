//! The bounded loop around one request, always with the same idempotency key.

use std::time::Duration;

use stripe::StripeError;
use uuid::Uuid;

use super::outcome::{Failure, judge};
use super::{GatewayError, GatewaySettings};

/// Sends until there is an answer, or `attempts_max` requests have gone out.
///
/// A request whose outcome is unknown clouds every later one that Stripe turns away at the door: a 401 after a
/// time-out does not undo what the first request may have done. Only an answer given under the key settles it.
pub(super) async fn run<T, F, S>(settings: GatewaySettings, seed: Uuid, send: S) -> Result<T, GatewayError>
where
    S: Fn() -> F,
    F: Future<Output = Result<T, StripeError>>,
{
    let mut clouded = None;
    let mut attempt = 1;
    loop {
        let reason = match send().await.map_err(judge) {
            Ok(answer) => return Ok(answer),
            Err(Failure::Final(error)) => return Err(settle(error, clouded)),
            Err(Failure::Retry { reason, executed }) => {
                if executed {
                    clouded = Some(reason.clone());
                }
                reason
            }
        };
        if attempt >= settings.attempts_max {
            return Err(GatewayError::OutcomeUnknown(clouded.unwrap_or(reason)));
        }
        tokio::time::sleep(pause(settings.backoff, attempt, seed)).await;
        attempt += 1;
    }
}

fn settle(error: GatewayError, clouded: Option<String>) -> GatewayError {
    match (error, clouded) {
        (GatewayError::AuthenticationFailed { message, .. } | GatewayError::NotSent(message), Some(before)) => {
            GatewayError::OutcomeUnknown(format!("{before}; then: {message}"))
        }
        (error, _) => error,
    }
}

/// Doubles with every attempt, plus up to half of that so that many attempts cut off at once do not come back at
/// once. The spread is taken from the row's id (the random end of a version 7 UUID): no ambient randomness.
fn pause(backoff: Duration, attempt: u32, seed: Uuid) -> Duration {
    let doubled = backoff.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
    let spread = u32::from(seed.as_bytes()[15]);
    doubled.saturating_add(doubled / 512 * spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_spread_by_at_most_half() {
        let half_a_second = Duration::from_millis(500);
        for (attempt, least_ms) in [(1, 500), (2, 1_000), (3, 2_000)] {
            assert_eq!(
                pause(half_a_second, attempt, Uuid::nil()),
                Duration::from_millis(least_ms)
            );
            let most = pause(half_a_second, attempt, Uuid::max());
            assert!(most > Duration::from_millis(least_ms) && most < Duration::from_millis(least_ms * 3 / 2));
        }
        assert!(pause(Duration::MAX, 40, Uuid::max()) == Duration::MAX);
    }
}
