//! The house rules that a compiler does not hold, read from the source tree; docs/ARCHITECTURE.md says why.
//!
//! A rule is a function from sources to findings, so each is also tried on a small sample that breaks it (`samples`).

#[path = "tidy/migrations.rs"]
mod migrations;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

use source::{Source, read_tree};

fn hold(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The files of a directory with an extension; none at all means that the rule would hold nothing.
fn tree(dir: &str, extension: &str) -> Vec<Source> {
    let sources = read_tree(Path::new(env!("CARGO_MANIFEST_DIR")), dir, extension);
    assert!(
        !sources.is_empty(),
        "{dir} has no .{extension} file: the rule holds nothing"
    );
    sources
}

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn imports_point_downwards() {
    let src = tree("src", "rs");
    for room in rules::ROOMS {
        assert!(
            src.iter().any(|source| source.is_in(&[room.name])),
            "room {} is gone: mend rules::ROOMS",
            room.name
        );
    }
    hold(rules::imports(&src));
}

#[test]
fn sql_stands_in_storage_alone() {
    hold(rules::sql(&tree("src", "rs")));
}

#[test]
fn no_file_is_too_long() {
    hold(rules::length(&tree("src", "rs")));
    hold(rules::length(&tree("tests", "rs")));
}

#[test]
fn nothing_is_left_undone() {
    hold(rules::leftovers(&tree("src", "rs")));
    hold(rules::leftovers(&tree("tests", "rs")));
}

#[test]
fn credits_are_never_floats() {
    hold(rules::floats(&tree("src", "rs")));
}

#[test]
fn words_have_one_meaning() {
    hold(rules::words(&tree("src", "rs")));
}

#[test]
fn every_file_says_what_it_is() {
    hold(rules::module_docs(&tree("src", "rs")));
}

#[test]
fn migrations_are_numbered_and_named() {
    hold(migrations::migration_names(&tree("migrations", "sql")));
}

#[test]
fn migrations_keep_the_schema_distributable() {
    hold(migrations::migration_words(&tree("migrations", "sql")));
}

#[test]
fn every_primary_key_starts_with_the_tenant() {
    hold(migrations::primary_keys(&tree("migrations", "sql")));
}

#[test]
fn every_variable_is_documented() {
    let src = tree("src", "rs");
    let config: Vec<_> = src.into_iter().filter(|source| source.is_in(&["config"])).collect();
    assert!(!config.is_empty(), "src/config.rs is gone: the rule holds nothing");
    hold(rules::variables(&config, &text(".env.example"), &text("README.md")));
}
