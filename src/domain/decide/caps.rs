//! Support's caps for one account.

use super::{Context, Draft, SetCaps};
use crate::domain::{ids::TransactionId, rejection::Rejection, transaction::Kind};

pub(super) fn set(set: &SetCaps, context: &mut Context<'_>) -> Result<Draft, Rejection> {
    if let Some((n, until)) = set.caps.iter().map(|cap| cap.until).enumerate().find_map(|(n, until)| {
        let until = until.filter(|until| *until <= context.now)?;
        Some((n, until))
    }) {
        return Err(Rejection::CapOver { cap: n, until });
    }
    let mut draft = Draft::new(TransactionId(context.ids.next()), Kind::CapOverride, 0);
    draft.reason = Some(set.reason.clone());
    draft.detail.ticket.clone_from(&set.ticket);
    draft.detail.caps = Some(set.caps.clone());
    draft.effects.cap_overrides = Some(set.caps.clone());
    Ok(draft)
}
