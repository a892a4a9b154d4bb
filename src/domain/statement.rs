//! Statements: what moved an account's credits in a span of time, line by line.

use chrono::{DateTime, Utc};

use super::{
    balance::ByClass,
    entry::Entry,
    grant::Class,
    ids::TransactionId,
    transaction::{Kind, Transaction},
};

/// The most lines of one statement.
pub const LINES_MAX: usize = 10_000;

/// A transaction, as far as it concerns what remains, held or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub transaction_id: TransactionId,
    pub kind: Kind,
    pub effective_at: DateTime<Utc>,
    pub booked_at: DateTime<Utc>,
    /// What it added to what remains; below 0, what it took.
    pub amount: i64,
    /// `amount`, by class.
    pub by_class: ByClass,
    /// What it added to what holds have set aside.
    pub held: i64,
    /// What remained afterwards.
    pub balance: i64,
    pub operation: Option<String>,
    pub member: Option<String>,
    pub reason: Option<String>,
}

/// All lines of a kind together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    pub kind: Kind,
    pub lines: usize,
    pub amount: i64,
    pub held: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub opening_balance: i64,
    /// In the order in which they count, those of one instant in the order in which they were posted.
    pub lines: Vec<Line>,
    /// Of the kinds that occur, in their order.
    pub totals: Vec<Total>,
    /// `opening_balance` and the sum of all lines.
    pub closing_balance: i64,
}

impl Statement {
    pub fn new(opening_balance: i64, mut transactions: Vec<Transaction>) -> Self {
        transactions.sort_by_key(|t| (t.effective_at, t.id));
        let mut balance = opening_balance;
        let lines: Vec<Line> = transactions
            .into_iter()
            .map(|transaction| {
                let line = line(transaction, balance);
                balance = line.balance;
                line
            })
            .collect();
        Self {
            opening_balance,
            totals: totals(&lines),
            lines,
            closing_balance: balance,
        }
    }
}

fn line(transaction: Transaction, before: i64) -> Line {
    let entries = &transaction.entries;
    let amount: i64 = entries.iter().map(Entry::effect).sum();
    let of_class = |class: Class| {
        let its = entries.iter().filter(|entry| class_of(entry) == Some(class));
        its.map(Entry::effect).sum()
    };
    Line {
        transaction_id: transaction.id,
        kind: transaction.kind,
        effective_at: transaction.effective_at,
        booked_at: transaction.created_at,
        amount,
        by_class: ByClass {
            plan: of_class(Class::Plan),
            addon: of_class(Class::Addon),
            balance: of_class(Class::Balance),
        },
        held: entries.iter().map(Entry::held_effect).sum(),
        balance: before + amount,
        operation: transaction.detail.operation,
        member: transaction.detail.member,
        reason: transaction.reason,
    }
}

/// The class of the entry's grant, which stands on one side of it.
fn class_of(entry: &Entry) -> Option<Class> {
    entry.debit.class().or_else(|| entry.credit.class())
}

fn totals(lines: &[Line]) -> Vec<Total> {
    let of_kind = |kind: Kind| {
        let its = || lines.iter().filter(move |line| line.kind == kind);
        Total {
            kind,
            lines: its().count(),
            amount: its().map(|line| line.amount).sum(),
            held: its().map(|line| line.held).sum(),
        }
    };
    let all = Kind::ALL.into_iter().map(of_kind);
    all.filter(|total| total.lines > 0).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        entry::LedgerAccount::{self, Balance, Consumed, Expired, Held, Issued, Plan},
        ids::GrantId,
        transaction::{Detail, Effects},
    };

    fn posted(n: u128, kind: Kind, day: &str, moves: &[(LedgerAccount, LedgerAccount, i64)]) -> Transaction {
        let at: DateTime<Utc> = format!("2027-01-{day}T00:00:00Z").parse().expect("a time");
        Transaction {
            id: TransactionId(Uuid::from_u128(n)),
            kind,
            amount: 0,
            available_after: 0,
            created_at: at + chrono::Duration::hours(1),
            effective_at: at,
            actor: None,
            subject: None,
            idempotency: None,
            reason: None,
            detail: Detail::default(),
            entries: moves
                .iter()
                .map(|(debit, credit, amount)| Entry {
                    grant_id: GrantId(Uuid::nil()),
                    debit: *debit,
                    credit: *credit,
                    amount: *amount,
                })
                .collect(),
            new_grants: Vec::new(),
            effects: Effects::default(),
        }
    }

    #[test]
    fn lines_stand_in_the_order_in_which_they_count_and_add_up() {
        let statement = Statement::new(
            10,
            vec![
                posted(4, Kind::Expiry, "03", &[(Plan, Expired, 25)]),
                posted(
                    3,
                    Kind::Spend,
                    "02",
                    &[(Held, Plan, 40), (Plan, Consumed, 30), (Balance, Consumed, 5)],
                ),
                posted(2, Kind::Hold, "02", &[(Plan, Held, 40)]),
                posted(9, Kind::Grant, "01", &[(Issued, Plan, 55)]),
            ],
        );
        let shown: Vec<_> = statement
            .lines
            .iter()
            .map(|line| (line.kind, line.amount, line.held, line.balance))
            .collect();
        assert_eq!(
            shown,
            [
                (Kind::Grant, 55, 0, 65),
                (Kind::Hold, 0, 40, 65),
                (Kind::Spend, -35, -40, 30),
                (Kind::Expiry, -25, 0, 5),
            ]
        );
        let spend = statement.lines[2].by_class;
        assert_eq!((spend.plan, spend.addon, spend.balance), (-30, 0, -5));
        assert_eq!((statement.opening_balance, statement.closing_balance), (10, 5));
    }

    #[test]
    fn totals_are_of_the_kinds_that_occur() {
        let spend = |n| posted(n, Kind::Spend, "05", &[(Plan, Consumed, 7)]);
        let statement = Statement::new(20, vec![spend(1), spend(2)]);
        let total = Total {
            kind: Kind::Spend,
            lines: 2,
            amount: -14,
            held: 0,
        };
        assert_eq!(statement.totals, [total]);
        assert_eq!(Statement::new(3, Vec::new()).closing_balance, 3);
    }
}
