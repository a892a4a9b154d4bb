//! A statement as CSV (RFC 4180), fit to be opened in a spreadsheet.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    domain::{
        ids::TransactionId,
        statement::{Line, Statement},
        transaction::Kind,
    },
    http::{error::Problem, v1::period::Period},
};

/// A row; its fields name the columns. Empty: it says nothing of it.
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    transaction_id: Option<TransactionId>,
    kind: Option<RowKind>,
    effective_at: Option<DateTime<Utc>>,
    booked_at: Option<DateTime<Utc>>,
    amount: Option<i64>,
    balance_after: i64,
    plan: Option<i64>,
    addon: Option<i64>,
    balance: Option<i64>,
    held: Option<i64>,
    operation: Option<Text<'a>>,
    member: Option<Text<'a>>,
    reason: Option<Text<'a>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum RowKind {
    Edge(Edge),
    Transaction(Kind),
}

/// What there was at an end of the statement.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Edge {
    OpeningBalance,
    ClosingBalance,
}

/// A caller's text.
#[derive(Debug)]
struct Text<'a>(&'a str);

impl Serialize for Text<'_> {
    /// What a spreadsheet takes for a formula gets an apostrophe before it. Tabs and line breaks go the same way, for some
    /// programs look behind them.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.chars().next() {
            Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => serializer.collect_str(&format_args!("'{}", self.0)),
            _ => serializer.serialize_str(self.0),
        }
    }
}

/// A header row, the opening balance, a row for every transaction, the closing balance.
pub(super) fn response(statement: &Statement, period: &Period) -> Result<Response, Problem> {
    let bytes = written(statement, period).map_err(|error| Problem::internal(&error))?;
    let kind = "text/csv; charset=utf-8; header=present";
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

fn written(statement: &Statement, period: &Period) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.serialize(edge(Edge::OpeningBalance, period.from, statement.opening_balance))?;
    for line in &statement.lines {
        writer.serialize(row(line))?;
    }
    writer.serialize(edge(Edge::ClosingBalance, period.to, statement.closing_balance))?;
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn row(line: &Line) -> Row<'_> {
    fn text(text: &Option<String>) -> Option<Text<'_>> {
        text.as_deref().map(Text)
    }
    Row {
        transaction_id: Some(line.transaction_id),
        kind: Some(RowKind::Transaction(line.kind)),
        effective_at: Some(line.effective_at),
        booked_at: Some(line.booked_at),
        amount: Some(line.amount),
        balance_after: line.balance,
        plan: Some(line.by_class.plan),
        addon: Some(line.by_class.addon),
        balance: Some(line.by_class.balance),
        held: Some(line.held),
        operation: text(&line.operation),
        member: text(&line.member),
        reason: text(&line.reason),
    }
}

fn edge(edge: Edge, at: DateTime<Utc>, balance: i64) -> Row<'static> {
    Row {
        kind: Some(RowKind::Edge(edge)),
        effective_at: Some(at),
        balance_after: balance,
        ..Row::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize((Text(text), 1)).expect("it is written");
        String::from_utf8(writer.into_inner().expect("it is written")).expect("UTF-8")
    }

    #[test]
    fn formulas_are_made_harmless_and_other_texts_stay() {
        for formula in ["=1+1", "+49", "-2", "@SUM(A1)", "\t=1"] {
            assert_eq!(cell(formula), format!("'{formula},1\n"));
        }
        for text in ["render", "a=b", "ä-ö"] {
            assert_eq!(cell(text), format!("{text},1\n"));
        }
        assert_eq!(
            cell("=HYPERLINK(\"x\",\"y\")"),
            "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\",1\n"
        );
    }
}
