//! How the story is told: every call as it goes over the wire, and balances and entries as tables. What is told is checked.

use std::fmt::Debug;
use std::io::IsTerminal;

use serde_json::Value;

use crate::Result;
use crate::client::{Answer, Client};

/// Where a line is broken.
const WIDTH: usize = 100;
/// The longest text of an answer that is shown whole.
const TEXT_LEN_MAX: usize = 84;

/// A call, and what is expected of it.
pub struct Call<'a> {
    pub client: &'a Client,
    pub method: &'a str,
    pub path: &'a str,
    pub key: Option<&'a str>,
    pub body: Option<Value>,
    pub status: u16,
    /// The fields of the answer that are shown, in this order.
    pub show: &'a [&'a str],
}

/// An account's figures: available by class, and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub plan: i64,
    pub addon: i64,
    pub balance: i64,
    pub used: i64,
}

/// An entry as it is expected: its transaction's kind, the ledger accounts debited and credited, and the amount.
pub type Line<'a> = (&'a str, &'a str, &'a str, i64);

pub struct Teller {
    bold: bool,
    chapter: u32,
}

impl Default for Teller {
    fn default() -> Self {
        Self {
            bold: std::io::stdout().is_terminal(),
            chapter: 0,
        }
    }
}

impl Teller {
    pub fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        let title = format!("{}. {title}", self.chapter);
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
        match self.bold {
            true => println!("\n── \x1b[1m{title}\x1b[0m {rule}"),
            false => println!("\n── {title} {rule}"),
        }
    }

    pub fn say(&self, text: &str) {
        println!("{text}");
    }

    /// Makes a call and shows it. Another status than the expected one ends the story.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer> {
        println!("\n{} {}", call.method, short_ids(call.path));
        let mut headers = Vec::new();
        if let Some(key) = call.key {
            println!("  Idempotency-Key: {key}");
            headers.push(("idempotency-key", key));
        }
        if let Some(body) = &call.body {
            show(body, &[], "  ");
        }
        let body = call.body.map(|body| body.to_string()).unwrap_or_default();
        let answer = call.client.try_send(call.method, call.path, &headers, body).await?;
        println!("→ {}", answer.status);
        if !answer.header("idempotent-replayed").is_empty() {
            println!("  Idempotent-Replayed: {}", answer.header("idempotent-replayed"));
        }
        check("the status", answer.status, call.status).map_err(|error| format!("{error}: {}", answer.text))?;
        show(&answer.json, call.show, "  ");
        Ok(answer)
    }

    /// Shows an account's balance and the entries that are new since `known`, and compares both with what is expected.
    pub async fn look(
        &self,
        client: &Client,
        account: &str,
        known: &mut usize,
        expected: Figures,
        new: &[Line<'_>],
    ) -> Result<()> {
        let answer = get(client, &format!("/v1/accounts/{account}/balance")).await?;
        let of = |field: &str| number(&answer[field]);
        let by_class = &answer["by_class"];
        let figures = Figures {
            plan: number(&by_class["plan"]),
            addon: number(&by_class["addon"]),
            balance: number(&by_class["balance"]),
            used: of("used"),
        };
        let columns = [
            ("plan", figures.plan),
            ("addon", figures.addon),
            ("balance", figures.balance),
            ("available", of("available")),
            ("used", figures.used),
            ("total", of("total")),
        ];
        println!("\n  {account} has");
        println!("    {}", columns.map(|(name, _)| format!("{name:>9}")).join(" "));
        println!("    {}", columns.map(|(_, amount)| format!("{amount:>9}")).join(" "));
        check("the balance", figures, expected)?;
        let available = expected.plan + expected.addon + expected.balance;
        check("available", of("available"), available)?;
        check("total", of("total"), available + expected.used)?;

        let entries = entries(client, account).await?;
        let added = entries.get(*known..).unwrap_or_default();
        let lines: Vec<Line<'_>> = added.iter().map(line).collect();
        if !added.is_empty() {
            println!("  new in its books");
            table(added, *known);
        }
        *known = entries.len();
        check("the new entries", lines.as_slice(), new)
    }

    /// Shows all entries of an account.
    pub async fn books(&self, client: &Client, account: &str, expected: usize) -> Result<()> {
        let entries = entries(client, account).await?;
        println!("\n  All of {account}'s books");
        table(&entries, 0);
        check("the number of entries", entries.len(), expected)
    }
}

pub async fn get(client: &Client, path: &str) -> Result<Value> {
    let answer = client.try_send("GET", path, &[], "").await?;
    check(path, answer.status, 200).map_err(|error| format!("{error}: {}", answer.text))?;
    Ok(answer.json)
}

/// Oldest first; the API lists the newest first.
async fn entries(client: &Client, account: &str) -> Result<Vec<Value>> {
    let page = get(client, &format!("/v1/accounts/{account}/entries?limit=200")).await?;
    check("a second page of entries", page["next_cursor"].is_null(), true)?;
    let mut entries = page["data"].as_array().cloned().unwrap_or_default();
    entries.reverse();
    Ok(entries)
}

fn line(entry: &Value) -> Line<'_> {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    (text("kind"), text("debit"), text("credit"), number(&entry["amount"]))
}

fn table(entries: &[Value], known: usize) {
    println!("      #  kind      from        to          amount  grant");
    for (n, entry) in entries.iter().enumerate() {
        let (kind, debit, credit, amount) = line(entry);
        let grant = short(entry["grant_id"].as_str().unwrap_or_default());
        let n = known + n + 1;
        println!("    {n:>3}  {kind:<8}  {debit:<8} →  {credit:<8}  {amount:>8}  {grant}");
    }
}

pub fn check<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: {found:?} came back, {expected:?} was to come").into())
    }
}

/// A missing number is one that nobody expects.
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(i64::MIN)
}

/// Prints the chosen fields of an object (all, if none is chosen), broken between fields.
fn show(value: &Value, fields: &[&str], indent: &str) {
    let Some(object) = value.as_object() else {
        return println!("{indent}{}", brief(value));
    };
    let names: Vec<&str> = match fields {
        [] => object.keys().map(String::as_str).collect(),
        fields => fields.to_vec(),
    };
    let shown = names
        .iter()
        .filter_map(|name| Some(format!("\"{name}\": {}", brief(object.get(*name)?))));
    let shown: Vec<String> = shown.collect();
    let more = if object.len() > shown.len() { ", …}" } else { "}" };
    let mut text = format!("{indent}{{");
    for (n, part) in shown.iter().enumerate() {
        let end = if n + 1 == shown.len() { more } else { ", " };
        if text.chars().count() + part.chars().count() > WIDTH && n > 0 {
            println!("{}", text.trim_end());
            text = format!("{indent} ");
        }
        text = text + part + end;
    }
    println!("{text}");
}

/// A value in one line: ids and keys by their ends, long texts by their beginnings, and of nested objects no ids of grants.
fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", short(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(brief).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let shown = object.iter().filter(|(name, _)| *name != "grant_id");
            let shown: Vec<String> = shown
                .map(|(name, value)| format!("\"{name}\": {}", brief(value)))
                .collect();
            format!("{{{}}}", shown.join(", "))
        }
        other => other.to_string(),
    }
}

fn short(text: &str) -> String {
    let last = |len: usize| &text[text.len() - len..];
    let is_id = text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if is_id && text.is_ascii() {
        format!("…{}", last(6))
    } else if text.starts_with("scrip_") && text.is_ascii() && text.len() > 40 {
        "scrip_…, shown this once".to_owned()
    } else if text.chars().count() > TEXT_LEN_MAX {
        format!("{}…", text.chars().take(TEXT_LEN_MAX).collect::<String>())
    } else {
        text.to_owned()
    }
}

/// A path with its ids cut short.
fn short_ids(path: &str) -> String {
    path.split('/').map(short).collect::<Vec<_>>().join("/")
}
