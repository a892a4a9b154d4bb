//! The rules for migrations: append-only, and a schema that can be distributed by tenant.

use crate::source::Source;

/// NNNN_name.sql, counted from 1 without a gap: a migration is added at the end, and none is ever taken away.
pub fn migration_names(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let name = source.path.rsplit('/').next().unwrap_or("").trim_end_matches(".sql");
        let wanted = format!("{:04}_", index + 1);
        let title = name.strip_prefix(&wanted).unwrap_or("");
        if title.is_empty()
            || !title
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            findings.push(source.finding(
                1,
                format!("migrations are append-only: this one is named {wanted}<what_it_does>.sql"),
            ));
        }
    }
    findings
}

/// What a database spread by tenant cannot do; each is a run of words, and `$` stands for a dollar quote.
const NOT_IN_MIGRATIONS: &[(&[&str], &str)] = &[
    (
        &["create", "trigger"],
        "a trigger does not distribute; write a CHECK, or do it in the statement that writes",
    ),
    (
        &["create", "or", "replace", "trigger"],
        "a trigger does not distribute; write a CHECK",
    ),
    (
        &["create", "constraint", "trigger"],
        "a trigger does not distribute; write a CHECK",
    ),
    (
        &["deferrable"],
        "a deferred check does not distribute; make the entry balance by construction",
    ),
    (&["create", "domain"], "a domain does not distribute; name a CHECK"),
    (
        &["do", "$"],
        "a DO block does not distribute; idempotent steps are Rust's, after the migrations",
    ),
    (&["merge"], "MERGE does not distribute; use INSERT .. ON CONFLICT"),
];

pub fn migration_words(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let words = sql_words(&source.text);
        for at in 0..words.len() {
            for (run, reason) in NOT_IN_MIGRATIONS {
                let found = words[at..].iter().map(|(_, word)| word.as_str()).take(run.len());
                if found.eq(run.iter().copied()) {
                    findings.push(source.finding(words[at].0, format!("{}: {reason}", run.join(" "))));
                }
            }
        }
    }
    findings
}

/// In every CREATE TABLE (a partition has its parent's), and in every ALTER TABLE that adds one.
pub fn primary_keys(sources: &[Source]) -> Vec<String> {
    let reason = "a primary key starts with tenant_id: it isolates, and the data is distributed by it";
    let mut findings = Vec::new();
    for source in sources {
        let words = sql_words(&source.text);
        for statement in words.split(|(_, word)| word == ";") {
            let word = |at: usize| statement.get(at).map_or("", |(_, word)| word.as_str());
            let keys: Vec<usize> = (0..statement.len())
                .filter(|&at| word(at) == "primary" && word(at + 1) == "key")
                .collect();
            for &at in &keys {
                // `PRIMARY KEY (tenant_id, ...)`, or `tenant_id uuid NOT NULL PRIMARY KEY` in the column's own line.
                let column = (0..at)
                    .rev()
                    .find(|&before| matches!(word(before), "," | "("))
                    .map_or("", |begin| word(begin + 1));
                let first = if word(at + 2) == "(" { word(at + 3) } else { column };
                if first != "tenant_id" {
                    findings.push(source.finding(statement[at].0, format!("it starts with {first}: {reason}")));
                }
            }
            let table = statement.iter().take(4).position(|(_, word)| word == "table");
            let whole =
                word(0) == "create" && table.is_some() && !statement.iter().any(|(_, word)| word == "partition");
            let partition = statement
                .windows(2)
                .any(|pair| pair[0].1 == "partition" && pair[1].1 == "of");
            let creates = word(0) == "create" && table.is_some() && (whole || !partition);
            if creates && keys.is_empty() {
                findings.push(source.finding(statement[0].0, format!("a table without a primary key: {reason}")));
            }
        }
    }
    findings
}

/// SQL's words and signs in small letters, with their lines, without comments, strings and the insides of dollar quotes.
fn sql_words(text: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = text.chars().collect();
    let (mut words, mut at, mut line) = (Vec::new(), 0, 1);
    let until = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        (from..chars.len())
            .find(|&at| chars[at..].starts_with(&end))
            .map_or(chars.len(), |found| found + end.len())
    };
    while at < chars.len() {
        let begin = at;
        let named = chars[at..]
            .iter()
            .take_while(|c| c.is_alphanumeric() || **c == '_')
            .count();
        match chars[at] {
            '-' if chars.get(at + 1) == Some(&'-') => at = until(at, "\n") - 1,
            '/' if chars.get(at + 1) == Some(&'*') => at = until(at, "*/"),
            '\'' => at = until(at + 1, "'"),
            '$' => {
                let tag: String = chars[at..until(at + 1, "$")].iter().collect();
                at = until(at + tag.chars().count(), &tag);
                words.push((line, "$".to_owned()));
            }
            _ if named > 0 => {
                at += named;
                words.push((line, chars[begin..at].iter().collect::<String>().to_lowercase()));
            }
            c => {
                at += 1;
                if !c.is_whitespace() && c != '"' {
                    words.push((line, c.to_string()));
                }
            }
        }
        at = at.max(begin + 1);
        line += chars[begin..at.min(chars.len())].iter().filter(|&&c| c == '\n').count();
    }
    words
}
