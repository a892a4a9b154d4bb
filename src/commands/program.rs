//! `scrip program`: a program in a file, looked at, previewed, and put in force as with `PUT /v1/program`.

use std::{fmt::Display, io::Write, path::Path};

use chrono::{DateTime, SubsecRound, Utc};

use super::{CommandError, provision::with_db, verify::by_slug};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    domain::{
        calendar::wall_clock,
        cycle::Interval,
        program::{self, Event, EventKind, Format, PREVIEW_MONTHS, Problem, Program, parse},
        tenant::Slug,
    },
    storage::{programs, test_clocks},
};

/// Puts the program of a file in force. Other processes have it within 2 seconds.
pub async fn apply(config: &Config, file: &Path, slug: &Slug) -> Result<(), CommandError> {
    let program = sound(file)?;
    with_db(config, async |db| {
        let tenant = by_slug(db, slug).await?.id;
        let mut scope = db.tenant(tenant).await?;
        let before = programs::current(&mut scope, tenant)
            .await?
            .map(|current| current.version);
        let now = test_clocks::now(&mut scope, tenant, SystemClock.now()).await?;
        let put = programs::put(&mut scope, tenant, &program, now, None).await;
        let new = put.map_err(|error| {
            if error.violates(programs::VERSION_KEY) {
                CommandError::ProgramChanged
            } else {
                error.into()
            }
        })?;
        scope.commit().await?;
        let same = if before == Some(new.version) {
            " already, and the same"
        } else {
            ""
        };
        print(&[format!("version {} is in force{same}", new.version)]);
        print(&program::lint(&program));
        Ok(())
    })
    .await
}

/// Prints a line per problem, or per warning if there is none, and returns how many problems there are.
pub fn lint(file: &Path) -> Result<usize, CommandError> {
    let program = match read(file)? {
        Ok(program) => program,
        Err(problems) => {
            print(&problems);
            return Ok(problems.len());
        }
    };
    let warnings = program::lint(&program);
    if warnings.is_empty() {
        print(&["nothing is wrong, and nothing unwise"]);
    }
    print(&warnings);
    Ok(0)
}

/// Prints the first twelve months of a subscription.
pub fn preview(
    file: &Path,
    plan: &str,
    anchor: Option<DateTime<Utc>>,
    interval: Option<Interval>,
) -> Result<(), CommandError> {
    let program = sound(file)?;
    let anchor = anchor.unwrap_or_else(|| SystemClock.now().trunc_subsecs(0));
    let preview = program::preview(&program, plan, interval, anchor, PREVIEW_MONTHS)?;
    let zone = preview.timezone;
    let title = format!(
        "{plan}, paid by the {}, from {} until {} ({})",
        match preview.interval {
            Interval::Month => "month",
            Interval::Year => "year",
        },
        wall_clock(zone, preview.anchor),
        wall_clock(zone, preview.until),
        zone.as_str()
    );
    let mut rows = vec![["AT", "EVENT", "#", "CREDITS", "UNTIL"].map(str::to_owned)];
    rows.extend(preview.events.iter().map(|event| row(&program, event)));
    print(&[title]);
    print(&aligned(&rows));
    Ok(())
}

fn row(program: &Program, event: &Event) -> [String; 5] {
    let event_name = match event.of {
        Some(of) => format!("{} of {}", event.kind.as_str(), of.as_str()),
        None => event.kind.as_str().to_owned(),
    };
    let at_most = event.of.is_some() || event.kind == EventKind::Rollover;
    let by_unit = event.of.unwrap_or(event.kind) == EventKind::AddonUnits;
    let credits = event.credits.map(|credits| {
        let amount = program.amount_in_words(credits);
        let (before, after) = (
            if at_most { "at most " } else { "" },
            if by_unit { " a unit" } else { "" },
        );
        format!("{before}{amount}{after}")
    });
    [
        event.local.clone(),
        event_name,
        event.number.to_string(),
        credits.unwrap_or_default(),
        event.expires_local.clone().unwrap_or_default(),
    ]
}

/// Lines whose columns begin under each other.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A line each. Whoever reads may stop at any line, as `head` does.
fn print(lines: &[impl Display]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

/// The program of a file, which must be one.
fn sound(file: &Path) -> Result<Program, CommandError> {
    read(file)?.map_err(|problems| CommandError::InvalidProgram {
        path: file.to_owned(),
        problems: problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    })
}

/// The program of a file, or what is wrong with it.
fn read(file: &Path) -> Result<Result<Program, Vec<Problem>>, CommandError> {
    let format = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("toml") => Format::Toml,
        _ => return Err(CommandError::UnknownFormat(file.to_owned())),
    };
    let text = std::fs::read_to_string(file).map_err(|source| CommandError::UnreadableFile {
        path: file.to_owned(),
        source,
    })?;
    Ok(parse(&text, format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_begin_under_each_other() {
        let rows = [["a", "bb", ""], ["ccc", "d", "e"], ["ü", "", "f"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), ["a    bb", "ccc  d   e", "ü        f"]);
    }
}
