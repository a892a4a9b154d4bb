//! What a program of the right form may still not say: impossible values and contradictions. All of them are reported.

mod catalog;
mod operations;
mod plans;
mod sale;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use super::{Cap, Problem, Program};

/// The most plans, packs, custom amounts and operations that a program may have, of each.
const CATALOG_LEN_MAX: usize = 500;
/// The most caps of a program, and of a plan: each is looked at with every spend.
const CAPS_LEN_MAX: usize = 100;
const SCALE_MAX: u8 = 9;
/// A year, in seconds.
const HOLD_S_MAX: u32 = 31_536_000;
/// A day, in seconds.
const QUOTE_S_MAX: u32 = 86_400;
const MULTIPLIER_MAX: u32 = 10;

/// What was found, in the order of the fields.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn say(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            problem: problem.into(),
        });
    }

    fn in_range<T: PartialOrd + std::fmt::Display>(&mut self, path: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            let (least, most) = (range.start(), range.end());
            self.say(path, format!("{value} is out of range: give {least} to {most}"));
        }
    }
}

/// Everything that is wrong with it; nothing: it can come into force.
pub(super) fn check(program: &Program) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.in_range("unit.scale", program.unit.scale, 0..=SCALE_MAX);
    catalog::check(program, &mut problems);
    for (name, plan) in &program.plans {
        plans::check(program, &format!("plans.{name}"), plan, &mut problems);
    }
    sale::check(program, &mut problems);
    for (name, operation) in &program.operations {
        operations::check(&format!("operations.{name}"), operation, &mut problems);
    }
    caps(program, "caps", &program.caps, &mut problems);
    times(program, &mut problems);
    let compensation = &program.compensation;
    problems.in_range(
        "compensation.multiplier_max",
        compensation.multiplier_max,
        0..=MULTIPLIER_MAX,
    );
    sale::expiry(program, "compensation.expiry", compensation.expiry, &mut problems);
    problems.0
}

fn times(program: &Program, problems: &mut Problems) {
    let (usual, longest) = (program.holds.expires_in_s, program.holds.expires_in_s_max);
    problems.in_range("holds.expires_in_s_max", longest, 1..=HOLD_S_MAX);
    if usual > longest && longest >= 1 {
        let problem = format!("{usual} is more than holds.expires_in_s_max: give 1 to {longest}, or raise that");
        problems.say("holds.expires_in_s", problem);
    } else {
        problems.in_range("holds.expires_in_s", usual, 1..=HOLD_S_MAX);
    }
    problems.in_range("quotes.expires_in_s", program.quotes.expires_in_s, 1..=QUOTE_S_MAX);
}

/// The caps of the program or of a plan.
fn caps(program: &Program, path: &str, caps: &[Cap], problems: &mut Problems) {
    if caps.len() > CAPS_LEN_MAX {
        problems.say(
            path,
            format!("has {} entries, more than the {CAPS_LEN_MAX} allowed", caps.len()),
        );
    }
    for (n, cap) in caps.iter().enumerate().take(CAPS_LEN_MAX) {
        if let Some(operations) = &cap.operations {
            cap_operations(program, &format!("{path}[{n}].operations"), operations, problems);
        }
        if let Some(first) = caps[..n].iter().position(|earlier| cap.replaces(earlier)) {
            let problem = format!(
                "has the window, scope and operations of {path}[{first}], which has a limit of {}: keep one of them",
                caps[first].limit.get()
            );
            problems.say(format!("{path}[{n}]"), problem);
        }
    }
}

fn cap_operations(program: &Program, path: &str, operations: &[String], problems: &mut Problems) {
    if operations.is_empty() {
        problems.say(
            path,
            "an empty list counts nothing: name an operation, or leave the field out to count all",
        );
    }
    for (n, operation) in operations.iter().enumerate() {
        let path = format!("{path}[{n}]");
        if !program.operations.contains_key(operation) {
            problems.say(
                path,
                format!("the program has no operation {operation}: add it, or take the name away"),
            );
        } else if operations[..n].contains(operation) {
            problems.say(path, format!("{operation} stands there twice: name it once"));
        }
    }
}
