//! The accounts that a lane has worked on lately, as they stood then, so that not every batch reads them.
//!
//! Nothing here is taken on trust: an account is used only if its head still has the version that it had then, and written
//! only if it has it at that moment. Every posting, of whichever process, raises that version.

use std::collections::HashMap;

use hashlink::LruCache;

use crate::{domain::decide::AccountState, storage::batch::AccountKey};
#[cfg(debug_assertions)]
use {
    crate::domain::ids::{AccountId, TenantId},
    crate::storage::{StorageError, account_states, session::Session},
};

/// What a lane remembers at most, in rows: a head, a grant, a subscription and each of its phases, a hold and each of its
/// draws, a cap's counter, and each name in a list of operations are one. A row is about 400 bytes.
const ROWS_MAX: usize = 100_000;

/// Accounts, the latest used last.
pub(super) struct KnownAccounts {
    states: LruCache<AccountKey, AccountState>,
    rows: usize,
    rows_max: usize,
}

impl Default for KnownAccounts {
    fn default() -> Self {
        Self::with_rows_max(ROWS_MAX)
    }
}

impl KnownAccounts {
    fn with_rows_max(rows_max: usize) -> Self {
        Self {
            states: LruCache::new_unbounded(),
            rows: 0,
            rows_max,
        }
    }

    pub fn has(&self, key: &AccountKey) -> bool {
        self.states.contains_key(key)
    }

    /// The account, if it is known at this version. It is forgotten until it is kept again, so that whatever becomes of the
    /// batch, nothing is remembered that does not stand.
    pub fn take(&mut self, key: &AccountKey, version: i64) -> Option<AccountState> {
        let state = self.remove(key)?;
        (state.version == version).then_some(state)
    }

    /// These accounts, at whatever version they are known.
    pub fn take_all(&mut self, keys: &[AccountKey]) -> HashMap<AccountKey, AccountState> {
        let take = |key: &AccountKey| Some((key.clone(), self.remove(key)?));
        keys.iter().filter_map(take).collect()
    }

    fn remove(&mut self, key: &AccountKey) -> Option<AccountState> {
        let state = self.states.remove(key)?;
        self.rows -= rows(&state);
        Some(state)
    }

    /// Remembers an account as it is in the database now; those not used for longest make room.
    pub fn keep(&mut self, key: AccountKey, mut state: AccountState) {
        state.keep_open();
        self.rows += rows(&state);
        if let Some(before) = self.states.insert(key, state) {
            self.rows -= rows(&before);
        }
        while self.rows > self.rows_max
            && let Some((_, oldest)) = self.states.remove_lru()
        {
            self.rows -= rows(&oldest);
        }
    }

    pub fn forget_all(&mut self) {
        self.states.clear();
        self.rows = 0;
    }
}

fn rows(state: &AccountState) -> usize {
    let names = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
    let grants = state.grants.iter().map(|grant| 1 + names(&grant.applies_to));
    let subscriptions = state
        .subscriptions
        .iter()
        .map(|s| 1 + s.phases.len() + s.terms.caps.len());
    let holds = state.holds.iter().map(|hold| 1 + hold.drawdown.len());
    let counters = state.counters.iter().map(|counter| 1 + names(&counter.key.operations));
    let overrides = state.cap_overrides.iter().map(|cap| 1 + names(&cap.operations));
    let lists = grants
        .chain(subscriptions)
        .chain(holds)
        .chain(counters)
        .chain(overrides);
    1 + lists.sum::<usize>()
}

/// In builds for tests: what is known is what stands, at the version at which it is known.
///
/// # Panics
///
/// If it is not.
#[cfg(debug_assertions)]
pub(super) async fn compare(
    session: &mut Session,
    known: &HashMap<AccountKey, AccountState>,
) -> Result<(), StorageError> {
    fn in_order(mut state: AccountState) -> AccountState {
        state.grants.sort_by_key(|g| g.id);
        state.subscriptions.sort_by_key(|s| s.id);
        state.holds.sort_by_key(|h| h.id);
        state
    }
    let is_own = session.begin_snapshot().await?;
    let accounts: Vec<(TenantId, AccountId)> = known.iter().map(|(key, state)| (key.tenant, state.id)).collect();
    for (tenant, read) in account_states::read(session.scope(), &accounts).await? {
        let known = known[&AccountKey::of(tenant, &read)].clone();
        // Another process may have posted since it was looked at.
        if known.version == read.version {
            assert_eq!(in_order(known), in_order(read), "what a lane knows is what stands");
        }
    }
    if is_own {
        session.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        account::ExternalId,
        ids::{AccountId, TenantId},
    };

    fn key(id: u128) -> AccountKey {
        AccountKey {
            tenant: TenantId(Uuid::nil()),
            external_id: ExternalId::try_from(format!("user_{id}")).expect("an id"),
        }
    }

    fn state(id: u128, version: i64) -> AccountState {
        AccountState {
            version,
            ..AccountState::empty(AccountId(Uuid::from_u128(id)), key(id).external_id)
        }
    }

    fn known(ids: impl IntoIterator<Item = u128>, rows_max: usize) -> KnownAccounts {
        let mut known = KnownAccounts::with_rows_max(rows_max);
        for id in ids {
            known.keep(key(id), state(id, 7));
        }
        known
    }

    #[test]
    fn an_account_is_known_at_the_version_it_was_kept_at_and_once() {
        let mut known = known([1, 2], 10);
        assert_eq!((known.has(&key(1)), known.has(&key(3))), (true, false));
        assert_eq!(known.take(&key(1), 7), Some(state(1, 7)));
        assert_eq!(known.take(&key(1), 7), None, "taken");
        assert_eq!(known.take(&key(2), 8), None, "another process posted to it");
        assert_eq!(known.take(&key(2), 7), None, "and it is forgotten");
        assert_eq!(known.rows, 0);
    }

    #[test]
    fn an_account_is_known_within_its_tenant() {
        let mut known = known([1], 10);
        let mut other = key(1);
        other.tenant = TenantId(Uuid::max());
        assert_eq!(known.take(&other, 7), None);
    }

    #[test]
    fn those_not_used_for_longest_make_room() {
        let mut known = known([1, 2, 3], 3);
        let first = known.take(&key(1), 7).expect("known");
        known.keep(key(1), first);
        known.keep(key(4), state(4, 7));
        let left = [1, 2, 3, 4].map(|id| known.take(&key(id), 7).is_some());
        assert_eq!(left, [true, false, true, true]);
    }

    #[test]
    fn kept_twice_it_is_counted_once() {
        let mut known = known([1, 1, 1], 2);
        assert_eq!(known.rows, 1);
        known.keep(key(2), state(2, 7));
        assert_eq!(known.states.len(), 2);
        known.forget_all();
        assert_eq!((known.has(&key(1)), known.rows), (false, 0));
    }
}
