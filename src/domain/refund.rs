//! How a refund of a spend divides over the grants the spend drew from.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::spending_order::Draw;

/// What becomes of credits refunded to a grant that has expired meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredSource {
    /// They come back as a new grant of the same class, until the end of the account's cycle, or for 30 days.
    #[default]
    Reissue,
    /// They go back to the grant, and expire at once.
    Restore,
    /// The refund is refused.
    Reject,
}

/// How long reissued credits last when the account has no cycle to end them.
pub const REISSUE_GRACE: Duration = Duration::days(30);

/// The part of `drawdown` that a refund of `amount` gives back when `refunded` was given back before: last drawn first,
/// counted over all refunds together, so that many small refunds add up to exactly what one large one would have given.
///
/// `refunded + amount` must not exceed what was drawn.
pub fn allocate(drawdown: &[Draw], refunded: i64, amount: i64) -> Vec<Draw> {
    let mut skip = refunded;
    let mut wanted = amount;
    let mut parts = Vec::new();
    for draw in drawdown.iter().rev() {
        let skipped = skip.min(draw.amount);
        skip -= skipped;
        let taken = wanted.min(draw.amount - skipped);
        if taken > 0 {
            parts.push(Draw { amount: taken, ..*draw });
            wanted -= taken;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{grant::Class, ids::GrantId};

    fn drawdown() -> Vec<Draw> {
        [(1, Class::Plan, 40), (2, Class::Addon, 20), (3, Class::Balance, 5)]
            .map(|(n, class, amount)| Draw {
                grant_id: GrantId(Uuid::from_u128(n)),
                class,
                amount,
            })
            .to_vec()
    }

    fn amounts(parts: &[Draw]) -> Vec<(u128, i64)> {
        parts.iter().map(|p| (p.grant_id.0.as_u128(), p.amount)).collect()
    }

    #[test]
    fn the_grant_drawn_last_is_paid_back_first() {
        assert_eq!(amounts(&allocate(&drawdown(), 0, 30)), [(3, 5), (2, 20), (1, 5)]);
        assert_eq!(amounts(&allocate(&drawdown(), 30, 35)), [(1, 35)]);
    }

    #[test]
    fn any_split_of_the_whole_gives_each_grant_what_it_paid() {
        for first in 1..65 {
            for second in 1..=(65 - first) {
                let mut back = [0; 4];
                let third = 65 - first - second;
                for (refunded, amount) in [(0, first), (first, second), (first + second, third)] {
                    for part in allocate(&drawdown(), refunded, amount) {
                        back[part.grant_id.0.as_u128() as usize] += part.amount;
                    }
                }
                assert_eq!(back, [0, 40, 20, 5], "{first} + {second} + {third}");
            }
        }
    }
}
