//! A source file, cut into the few pieces that the rules ask about: tokens with their lines, and paths made of them.

use std::fs;
use std::path::Path;

pub struct Source {
    /// From the repository's root, with forward slashes.
    pub path: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Word,
    Number,
    /// A string literal, without its quotes.
    Text,
    Sign,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Whether it is the module `src/<room>.rs` or stands in `src/<room>/`.
    pub fn is_in(&self, rooms: &[&str]) -> bool {
        let place = self.path.strip_prefix("src/").unwrap_or("");
        rooms.iter().any(|room| {
            place
                .strip_prefix(room)
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    }

    pub fn finding(&self, line: usize, reason: impl std::fmt::Display) -> String {
        format!("{}:{line}: {reason}", self.path)
    }

    /// How many modules stand above the file's own items: 0 in main.rs and lib.rs, 1 in src/http.rs and src/http/mod.rs.
    fn depth(&self) -> usize {
        let place = self
            .path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        if matches!(place, "main" | "lib") {
            0
        } else {
            place.split('/').count()
        }
    }

    /// The code without comments. Rust's, or near enough: char literals, raw and byte strings and lifetimes are known.
    pub fn tokens(&self) -> Vec<Token> {
        let chars: Vec<char> = self.text.chars().collect();
        let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
        while at < chars.len() {
            let begin = at;
            let rest = &chars[at..];
            let next = |n: usize| rest.get(n).copied().unwrap_or('\0');
            let (kind, length) = match rest[0] {
                '/' if next(1) == '/' => (None, rest.iter().take_while(|&&c| c != '\n').count()),
                '/' if next(1) == '*' => (None, block_comment(rest)),
                '"' => (Some(Kind::Text), quoted(rest, 0)),
                'b' | 'c' if next(1) == '"' => (Some(Kind::Text), quoted(rest, 1)),
                'r' | 'b' | 'c' if raw_string(rest).is_some() => (Some(Kind::Text), raw_string(rest).unwrap_or(1)),
                '\'' if next(1) == '\\' => (
                    Some(Kind::Sign),
                    3 + rest[3..].iter().take_while(|&&c| c != '\'').count() + 1,
                ),
                '\'' if next(2) == '\'' => (Some(Kind::Sign), 3),
                c if c.is_alphabetic() || c == '_' => (
                    Some(Kind::Word),
                    rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count(),
                ),
                c if c.is_ascii_digit() => (Some(Kind::Number), number(rest, begin > 0 && chars[begin - 1] == '.')),
                c if c.is_whitespace() => (None, 1),
                ':' if next(1) == ':' => (Some(Kind::Sign), 2),
                _ => (Some(Kind::Sign), 1),
            };
            at = (at + length).min(chars.len());
            if let Some(kind) = kind {
                let text: String = chars[begin..at].iter().collect();
                let inside = || {
                    text.find('"')
                        .zip(text.rfind('"'))
                        .and_then(|(open, close)| text.get(open + 1..close))
                };
                let text = if kind == Kind::Text {
                    inside().unwrap_or("").to_owned()
                } else {
                    text
                };
                tokens.push(Token { line, kind, text });
            }
            line += chars[begin..at].iter().filter(|&&c| c == '\n').count();
        }
        tokens
    }

    /// Every path in the code from the crate's root on where it can be told, `use` trees spread out, a macro's name with
    /// its `!`: `use super::{a, b::c}` in src/http/x.rs gives `crate::http::a` and `crate::http::b::c`.
    pub fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let tokens = self.tokens();
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            if tokens[at].kind == Kind::Word {
                at = spread(&tokens, at, &[], &mut paths);
            } else {
                at += 1;
            }
        }
        for (_, path) in &mut paths {
            let ups = path.iter().take_while(|name| *name == "super").count();
            // An inline module's `super` climbs less than it seems; then the path is left as it is.
            if ups > 0 && ups <= self.depth() {
                let place = self
                    .path
                    .trim_start_matches("src/")
                    .trim_end_matches(".rs")
                    .trim_end_matches("/mod");
                let above = place.split('/').take(self.depth() - ups).map(str::to_owned);
                let absolute = ["crate".to_owned()]
                    .into_iter()
                    .chain(above)
                    .chain(path[ups..].iter().cloned())
                    .collect();
                *path = absolute;
            }
        }
        paths
    }
}

/// Reads one path that starts at `at` after `prefix`, or the braces of a `use` tree; answers where it ended.
fn spread(tokens: &[Token], mut at: usize, prefix: &[String], paths: &mut Vec<(usize, Vec<String>)>) -> usize {
    let sign = |at: usize, sign: &str| {
        tokens
            .get(at)
            .is_some_and(|token| token.kind == Kind::Sign && token.text == sign)
    };
    let mut path = prefix.to_vec();
    let line = tokens[at].line;
    while let Some(token) = tokens.get(at).filter(|token| token.kind == Kind::Word) {
        path.push(token.text.clone());
        at += 1;
        if !sign(at, "::")
            || matches!(
                token.text.as_str(),
                "use" | "as" | "in" | "mut" | "dyn" | "impl" | "for" | "return"
            )
        {
            break;
        }
        at += 1;
        if sign(at, "{") {
            at += 1;
            while at < tokens.len() && !sign(at, "}") {
                let word = tokens[at].kind == Kind::Word && tokens[at].text != "as";
                at = if word { spread(tokens, at, &path, paths) } else { at + 1 };
            }
            return at + 1;
        }
    }
    if sign(at, "!") && !sign(at + 1, "=") {
        path.last_mut().expect("a path starts with a word").push('!');
    }
    paths.push((line, path));
    at
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], prefix: usize) -> usize {
    let mut at = prefix + 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a raw string such as r#"..."#, when one starts here.
fn raw_string(rest: &[char]) -> Option<usize> {
    let open = rest.iter().take(2).position(|&c| c == 'r')? + 1;
    let hashes = rest[open..].iter().take_while(|&&c| c == '#').count();
    let body = open + hashes + 1;
    if rest.get(body - 1) != Some(&'"') {
        return None;
    }
    let ends =
        |at: usize| rest[at] == '"' && rest[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    let end = (body..rest.len()).find(|&at| ends(at))?;
    Some(end + 1 + hashes)
}

/// `1_000`, `0xff`, `1.5`; but not the dot of `1..5`, of `1.max(2)`, or after a tuple's `.0`.
fn number(rest: &[char], after_dot: bool) -> usize {
    let run = |from: usize| {
        rest[from..]
            .iter()
            .take_while(|c| c.is_alphanumeric() || **c == '_')
            .count()
    };
    let whole = run(0);
    let fraction = !after_dot && rest.get(whole) == Some(&'.') && rest.get(whole + 1).is_some_and(char::is_ascii_digit);
    if fraction { whole + 1 + run(whole + 1) } else { whole }
}

/// The files under `root/dir` with that extension, in order.
pub fn read_tree(root: &Path, dir: &str, extension: &str) -> Vec<Source> {
    let Ok(entries) = fs::read_dir(root.join(dir)) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut sources = Vec::new();
    for name in names {
        let path = format!("{dir}/{name}");
        if root.join(&path).is_dir() {
            sources.extend(read_tree(root, &path, extension));
        } else if Path::new(&name).extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            sources.push(Source { path, text });
        }
    }
    sources
}
