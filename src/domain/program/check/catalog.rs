//! How many entries a catalog may have, and how they may be called.

use super::{CATALOG_LEN_MAX, Problems};
use crate::domain::{money::Currency, program::Program};

/// The longest name, in bytes, which are characters here.
const NAME_LEN_MAX: usize = 64;

pub(super) fn check(program: &Program, problems: &mut Problems) {
    let catalogs: [(&str, Vec<&String>); 4] = [
        ("plans", program.plans.keys().collect()),
        ("packs", program.packs.keys().collect()),
        ("custom_amounts", program.custom_amounts.keys().collect()),
        ("operations", program.operations.keys().collect()),
    ];
    for (catalog, names) in catalogs {
        if names.len() > CATALOG_LEN_MAX {
            let problem = format!("has {} entries, more than the {CATALOG_LEN_MAX} allowed", names.len());
            problems.say(catalog, problem);
        }
        for name in names {
            let path = format!("{catalog}.{name}");
            if catalog == "custom_amounts" {
                currency(&path, name, problems);
            } else {
                self::name(&path, name, problems);
            }
        }
    }
}

/// What plans, packs, operations and attributes may be called.
pub(super) fn name(path: &str, name: &str, problems: &mut Problems) {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if !(1..=NAME_LEN_MAX).contains(&name.len()) || !name.bytes().all(plain) {
        problems.say(path, "a name is 1 to 64 of a-z, 0-9, _ and -");
    }
}

fn currency(path: &str, name: &str, problems: &mut Problems) {
    match Currency::try_from(name.to_owned()) {
        Ok(currency) if currency.as_str() == name => {}
        // One way to write it, or `usd` and `USD` could both stand there.
        Ok(currency) => problems.say(path, format!("a currency is in capitals here: {}", currency.as_str())),
        Err(problem) => problems.say(path, problem),
    }
}
