//! The rules: each takes sources and answers with findings, `file:line: what, and why it matters`.

use crate::source::{Kind, Source, Token};

pub const LINES_MAX: usize = 400;

pub struct Room {
    pub name: &'static str,
    /// Modules of this crate that it must not know.
    modules: &'static [&'static str],
    /// Crates that it must not know.
    crates: &'static [&'static str],
}

/// commands -> http -> stripe -> ledger -> storage -> domain.
pub const ROOMS: &[Room] = &[
    Room {
        name: "domain",
        modules: &[
            "storage",
            "ledger",
            "http",
            "stripe",
            "commands",
            "embedded_postgres",
            "config",
        ],
        crates: &[
            "sqlx",
            "axum",
            "tokio",
            "stripe",
            "async_stripe",
            "stripe_checkout",
            "async_stripe_checkout",
        ],
    },
    Room {
        name: "storage",
        modules: &["ledger", "http", "stripe", "commands"],
        crates: &["axum"],
    },
    Room {
        name: "ledger",
        modules: &["http", "stripe", "commands"],
        crates: &["axum"],
    },
    Room {
        name: "stripe",
        modules: &["http", "commands"],
        crates: &[],
    },
    Room {
        name: "http",
        modules: &["commands"],
        crates: &[],
    },
];

pub fn imports(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for room in ROOMS {
        for source in sources.iter().filter(|source| source.is_in(&[room.name])) {
            for (line, path) in source.paths() {
                let first = path[0].trim_end_matches('!');
                let second = path.get(1).map_or("", |name| name.trim_end_matches('!'));
                let module = first == "crate" && room.modules.contains(&second);
                let foreign = room.crates.contains(&first) && path.len() > 1;
                if module || foreign {
                    let reason = "imports go commands -> http -> stripe -> ledger -> storage -> domain";
                    findings.push(source.finding(line, format!("{} uses {}: {reason}", room.name, path.join("::"))));
                }
            }
        }
    }
    findings
}

/// Where SQL may stand beside src/storage, and why.
const SQL_ELSEWHERE: &[(&str, &str)] = &[
    (
        "embedded_postgres",
        "makes the roles and the database that storage connects to",
    ),
    ("test_cluster", "a throwaway cluster for tests, never part of a service"),
];

const SQL_NAMES: &[&str] = &[
    "query",
    "query_as",
    "query_scalar",
    "query_with",
    "query_as_with",
    "query_scalar_with",
    "raw_sql",
    "QueryBuilder",
];

/// How a statement in a string begins, in capitals as everywhere here.
const SQL_VERBS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP", "SET",
];

pub fn sql(sources: &[Source]) -> Vec<String> {
    let allowed: Vec<&str> = std::iter::once("storage")
        .chain(SQL_ELSEWHERE.iter().map(|(room, _)| *room))
        .collect();
    let reason = "SQL stands in src/storage alone, where every query takes the tenant";
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_in(&allowed)) {
        for (line, path) in source.paths() {
            let last = path.last().expect("a path has a name");
            let name = last.trim_end_matches('!').trim_end_matches("_unchecked");
            let name = if name.starts_with("query_file") { "query" } else { name };
            if SQL_NAMES.contains(&name) && (path[0] == "sqlx" || last.ends_with('!')) {
                findings.push(source.finding(line, format!("{}: {reason}", path.join("::"))));
            }
        }
        // A statement handed to an executor as a bare string.
        for token in source.tokens().iter().filter(|token| token.kind == Kind::Text) {
            let text = token.text.replace("\\n", " ");
            let mut statement = text.split_whitespace();
            if statement.next().is_some_and(|verb| SQL_VERBS.contains(&verb)) && statement.next().is_some() {
                let begin: String = text.chars().take(30).collect();
                findings.push(source.finding(token.line, format!("{begin:?}: {reason}")));
            }
        }
    }
    findings
}

pub fn length(sources: &[Source]) -> Vec<String> {
    let long = |source: &&Source| source.text.lines().count() > LINES_MAX;
    let reason = format!("no file is longer than {LINES_MAX} lines: give a part of it a file and a name of its own");
    let finding = |source: &Source| source.finding(source.text.lines().count(), &reason);
    sources.iter().filter(long).map(finding).collect()
}

/// In comments and strings too; spelled apart here, because this file is read as well.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
const STUBS: &[&str] = &["todo!", "unimplemented!", "dbg!"];

pub fn leftovers(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(note) = words.find(|word| NOTES.contains(word)) {
                findings.push(source.finding(number + 1, format!("{note}: do it, or write down why not")));
            }
        }
        for (line, path) in source.paths() {
            if let Some(stub) = path.last().filter(|name| STUBS.contains(&name.as_str())) {
                findings.push(source.finding(line, format!("{stub} is for the desk, not for the repository")));
            }
        }
    }
    findings
}

pub fn floats(sources: &[Source]) -> Vec<String> {
    let float = |token: &&Token| match token.kind {
        Kind::Word => matches!(token.text.as_str(), "f32" | "f64"),
        Kind::Number if token.text.starts_with("0x") => false,
        Kind::Number => token.text.contains('.') || token.text.ends_with("f32") || token.text.ends_with("f64"),
        Kind::Text | Kind::Sign => false,
    };
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_in(&["domain", "ledger", "storage"]))
    {
        for token in source.tokens().iter().filter(float) {
            findings.push(source.finding(
                token.line,
                format!("{}: credits and money are integers, always", token.text),
            ));
        }
    }
    findings
}

/// A word, and the one that is meant.
const WORDS: &[(&str, &str)] = &[("wallet", "account"), ("bucket", "grant or class"), ("lot", "grant")];
/// Names that others gave.
const WORDS_OF_OTHERS: &[&str] = &["set_buckets", "set_buckets_for_metric"];

pub fn words(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for token in source.tokens().iter().filter(|token| token.kind == Kind::Word) {
            if WORDS_OF_OTHERS.contains(&token.text.as_str()) {
                continue;
            }
            for part in parts(&token.text) {
                let singular = part.strip_suffix('s').unwrap_or(&part);
                if let Some((word, meant)) = WORDS.iter().find(|(word, _)| *word == singular) {
                    findings.push(source.finding(token.line, format!("{}: not {word}, say {meant}", token.text)));
                }
            }
        }
    }
    findings
}

/// The words of `snake_case`, `SCREAMING_CASE` and `CamelCase`, in small letters.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut after_small = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && after_small) {
            parts.push(String::new());
        }
        if letter != '_' {
            parts.last_mut().expect("starts with one").extend(letter.to_lowercase());
        }
        after_small = letter.is_lowercase();
    }
    parts
}

pub fn module_docs(sources: &[Source]) -> Vec<String> {
    let silent = |source: &&Source| !source.text.starts_with("//!");
    let finding = |source: &Source| source.finding(1, "starts with a module doc (//!) that says what the file is for");
    sources.iter().filter(silent).map(finding).collect()
}

/// A variable is a literal such as "SCRIP_LISTEN". clap's `env = "..."` shows it in --help; others must be in the README.
pub fn variables(config: &[Source], env_example: &str, readme: &str) -> Vec<String> {
    let knows = |text: &str, name: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| word == name)
    };
    let mut findings = Vec::new();
    for source in config {
        let tokens = source.tokens();
        for (at, token) in tokens.iter().enumerate() {
            let name = token.text.as_str();
            let upper = name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if token.kind != Kind::Text || !upper || !name.contains('_') {
                continue;
            }
            let in_help = at >= 2 && tokens[at - 1].text == "=" && tokens[at - 2].text == "env";
            if !knows(env_example, name) {
                findings.push(source.finding(token.line, format!("{name} is missing in .env.example")));
            }
            if !in_help && !knows(readme, name) {
                findings.push(source.finding(token.line, format!("{name} stands neither in --help nor in README.md")));
            }
        }
    }
    findings
}
