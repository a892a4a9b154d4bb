//! A batch as columns: what UNNEST takes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Batch;
use crate::{
    domain::{cap::CapOverride, decide::AccountState, ids::TenantId},
    storage::{StorageError, counters, rows::corrupt},
};

/// A batch's transactions, column by column.
pub struct TransactionColumns<'a> {
    pub tenants: Vec<Uuid>,
    pub ids: Vec<Uuid>,
    pub accounts: Vec<Uuid>,
    pub kinds: Vec<i16>,
    pub amounts: Vec<i64>,
    pub available_after: Vec<i64>,
    pub effective_at: Vec<DateTime<Utc>>,
    pub created_at: Vec<DateTime<Utc>>,
    pub actors: Vec<Option<Uuid>>,
    pub subjects: Vec<Option<Uuid>>,
    pub keys: Vec<Option<&'a str>>,
    pub request_hashes: Vec<Option<&'a [u8]>>,
    pub reasons: Vec<Option<&'a str>>,
    pub details: Vec<Option<String>>,
}

impl<'a> TransactionColumns<'a> {
    pub fn of(batch: &'a Batch) -> Result<Self, StorageError> {
        let all = || batch.transactions.iter().map(|(.., t)| t);
        let details = all().map(|t| match t.detail.is_empty() {
            true => Ok(None),
            false => serde_json::to_string(&t.detail).map(Some),
        });
        Ok(Self {
            tenants: batch.transactions.iter().map(|(tenant, ..)| tenant.0).collect(),
            ids: all().map(|t| t.id.0).collect(),
            accounts: batch.transactions.iter().map(|(_, account, _)| account.0).collect(),
            kinds: all().map(|t| t.kind.code()).collect(),
            amounts: all().map(|t| t.amount).collect(),
            available_after: all().map(|t| t.available_after).collect(),
            effective_at: all().map(|t| t.effective_at).collect(),
            created_at: all().map(|t| t.created_at).collect(),
            actors: all().map(|t| t.actor.map(|id| id.0)).collect(),
            subjects: all().map(|t| t.subject).collect(),
            keys: all().map(|t| t.idempotency.as_ref().map(|i| i.key.as_str())).collect(),
            request_hashes: all()
                .map(|t| t.idempotency.as_ref().map(|i| i.request_hash.as_slice()))
                .collect(),
            reasons: all().map(|t| t.reason.as_deref()).collect(),
            details: details
                .collect::<Result<_, _>>()
                .map_err(|e| corrupt("a transaction's detail", e))?,
        })
    }
}

/// A batch's entries, column by column.
#[derive(Default)]
pub struct EntryColumns {
    pub tenants: Vec<Uuid>,
    pub accounts: Vec<Uuid>,
    pub transactions: Vec<Uuid>,
    pub grants: Vec<Uuid>,
    pub amounts: Vec<i64>,
    pub seqs: Vec<i16>,
    pub debits: Vec<i16>,
    pub credits: Vec<i16>,
}

impl EntryColumns {
    pub fn of(batch: &Batch) -> Self {
        let mut columns = Self::default();
        for (tenant, account, transaction) in &batch.transactions {
            for (seq, entry) in (1..).zip(&transaction.entries) {
                columns.tenants.push(tenant.0);
                columns.accounts.push(account.0);
                columns.transactions.push(transaction.id.0);
                columns.grants.push(entry.grant_id.0);
                columns.amounts.push(entry.amount);
                columns.seqs.push(seq);
                columns.debits.push(entry.debit.code());
                columns.credits.push(entry.credit.code());
            }
        }
        columns
    }
}

/// The grants that a batch changed, column by column.
pub struct ChangedGrantColumns {
    pub tenants: Vec<Uuid>,
    pub ids: Vec<Uuid>,
    pub remaining: Vec<i64>,
    pub held: Vec<i64>,
    pub remaining_found: Vec<i64>,
    pub held_found: Vec<i64>,
}

impl ChangedGrantColumns {
    pub fn of(batch: &Batch) -> Self {
        let all = || batch.changed_grants.iter();
        Self {
            tenants: all().map(|g| g.tenant.0).collect(),
            ids: all().map(|g| g.id.0).collect(),
            remaining: all().map(|g| g.left.remaining).collect(),
            held: all().map(|g| g.left.held).collect(),
            remaining_found: all().map(|g| g.found.remaining).collect(),
            held_found: all().map(|g| g.found.held).collect(),
        }
    }
}

/// What a spend changes of heads, column by column. `versions` are those that were found.
pub struct HeadColumns {
    pub tenants: Vec<Uuid>,
    pub accounts: Vec<Uuid>,
    pub versions: Vec<i64>,
    pub credits: Vec<i64>,
    pub used: Vec<i64>,
    pub cycle_starts_at: Vec<Option<DateTime<Utc>>>,
    pub cycle_ends_at: Vec<Option<DateTime<Utc>>>,
    pub counts_since: Vec<Option<DateTime<Utc>>>,
    pub counted: Vec<Option<String>>,
}

impl HeadColumns {
    pub fn of(heads: &[&(TenantId, AccountState)]) -> Result<Self, StorageError> {
        let all = || heads.iter().map(|(_, state)| state);
        Ok(Self {
            tenants: heads.iter().map(|(tenant, _)| tenant.0).collect(),
            accounts: all().map(|s| s.id.0).collect(),
            versions: all().map(|s| s.version).collect(),
            credits: all().map(|s| s.credits).collect(),
            used: all().map(|s| s.usage.used).collect(),
            cycle_starts_at: all().map(|s| s.usage.cycle.map(|c| c.starts_at)).collect(),
            cycle_ends_at: all().map(|s| s.usage.cycle.map(|c| c.ends_at)).collect(),
            counts_since: all().map(|s| s.usage.since).collect(),
            counted: all().map(|s| counters::write(&s.counters)).collect::<Result<_, _>>()?,
        })
    }
}

/// What no spend changes of heads, column by column.
pub struct StandingColumns {
    pub due_at: Vec<Option<DateTime<Utc>>>,
    pub live_subscriptions: Vec<String>,
    pub open_holds: Vec<String>,
    pub cap_overrides: Vec<Option<String>>,
}

impl StandingColumns {
    pub fn of(heads: &[&(TenantId, AccountState)]) -> Result<Self, StorageError> {
        let all = || heads.iter().map(|(_, state)| state);
        Ok(Self {
            due_at: all().map(|s| s.due_at).collect(),
            live_subscriptions: all()
                .map(|s| ids(s.subscriptions.iter().filter(|s| s.ended_at.is_none()).map(|s| s.id.0)))
                .collect(),
            open_holds: all()
                .map(|s| ids(s.holds.iter().filter(|h| h.is_open()).map(|h| h.id.0)))
                .collect(),
            cap_overrides: all().map(|s| overrides(&s.cap_overrides)).collect::<Result<_, _>>()?,
        })
    }
}

/// As Postgres writes an array: UNNEST takes no array of arrays of different lengths.
fn ids(ids: impl Iterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("{{{}}}", ids.join(","))
}

/// None: there are none.
fn overrides(overrides: &[CapOverride]) -> Result<Option<String>, StorageError> {
    if overrides.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(overrides)
        .map(Some)
        .map_err(|e| corrupt("an account's caps", e))
}
