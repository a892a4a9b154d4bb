//! Operations and their prices.

use super::{Problems, catalog};
use crate::domain::{
    credits::CREDITS_MAX,
    program::{AttributeValue, Operation, PriceRule, QUANTITY},
};

const RULES_LEN_MAX: usize = 100;
/// The longest text that a rule asks for, in bytes.
const TEXT_LEN_MAX: usize = 200;

pub(super) fn check(path: &str, operation: &Operation, problems: &mut Problems) {
    let rules = &operation.prices;
    let all = format!("{path}.prices");
    if rules.is_empty() {
        problems.say(&all, "an operation needs a price: give 1 to 100 rules");
    } else if rules.len() > RULES_LEN_MAX {
        let problem = format!("has {} rules, more than the {RULES_LEN_MAX} allowed", rules.len());
        problems.say(&all, problem);
    }
    for (n, rule) in rules.iter().enumerate().take(RULES_LEN_MAX) {
        let path = format!("{all}[{n}]");
        self::rule(&path, rule, problems);
        if let Some(first) = rules[..n].iter().position(|earlier| covers(earlier, rule)) {
            let problem = if rules[first].when.is_empty() {
                format!("is never reached: {all}[{first}] has no `when`, so it always fits; put that one last")
            } else {
                format!("is never reached: {all}[{first}] fits whenever this one does; put this one before it")
            };
            problems.say(path, problem);
        }
    }
    paid_by(path, operation, problems);
}

/// Whether `earlier` fits whatever `later` fits.
fn covers(earlier: &PriceRule, later: &PriceRule) -> bool {
    earlier
        .when
        .iter()
        .all(|(name, value)| later.when.get(name) == Some(value))
}

fn rule(path: &str, rule: &PriceRule, problems: &mut Problems) {
    for (name, value) in &rule.when {
        when(&format!("{path}.when.{name}"), name, value, problems);
    }
    if !(0..=CREDITS_MAX).contains(&rule.fixed) {
        let problem = format!("{} is out of range: give 0 to {CREDITS_MAX}", rule.fixed);
        problems.say(format!("{path}.fixed"), problem);
    }
    if rule.fixed == 0 && rule.per.is_empty() && rule.minimum.is_none() {
        problems.say(path, "would cost nothing: give it `fixed`, `per` or a `minimum`");
    }
    for name in rule.per.keys() {
        let path = format!("{path}.per.{name}");
        catalog::name(&path, name, problems);
        match rule.when.get(name) {
            Some(AttributeValue::Number(number)) if *number >= 0 => {}
            None => {}
            Some(_) => problems.say(
                path,
                format!("counts a number, but `when.{name}` asks for something else: give it a number of 0 or more"),
            ),
        }
    }
    if let (Some(least), Some(most)) = (rule.minimum, rule.maximum)
        && least > most
    {
        let (least, most) = (least.get(), most.get());
        let problem = format!("{least} is more than the maximum: give 1 to {most}, or raise that");
        problems.say(format!("{path}.minimum"), problem);
    }
}

fn when(path: &str, name: &str, value: &AttributeValue, problems: &mut Problems) {
    catalog::name(path, name, problems);
    match value {
        AttributeValue::Number(1..) => {}
        _ if name == QUANTITY => problems.say(path, "the quantity is a whole number of 1 or more: give one"),
        // It is kept in the database, which has no place for the character U+0000.
        AttributeValue::Text(text) if text.chars().any(char::is_control) => {
            problems.say(path, "has a control character: give a text without one");
        }
        AttributeValue::Text(text) if text.is_empty() || text.len() > TEXT_LEN_MAX => {
            let problem = format!("has {} bytes: give a text of 1 to {TEXT_LEN_MAX}", text.len());
            problems.say(path, problem);
        }
        AttributeValue::Flag(_) | AttributeValue::Number(_) | AttributeValue::Text(_) => {}
    }
}

fn paid_by(path: &str, operation: &Operation, problems: &mut Problems) {
    let Some(classes) = &operation.paid_by else { return };
    let path = format!("{path}.paid_by");
    if classes.is_empty() {
        problems.say(
            &path,
            "an empty list lets nothing pay: name a class, or leave the field out to let all pay",
        );
    }
    for (n, class) in classes.iter().enumerate() {
        if classes[..n].contains(class) {
            let problem = format!("{} stands there twice: name it once", class.as_str());
            problems.say(format!("{path}[{n}]"), problem);
        }
    }
}
