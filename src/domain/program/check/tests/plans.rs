//! Plans, packs, custom amounts, and when credits expire.

use serde_json::json;

use super::*;

#[test]
fn plans() {
    let addon = |credits: i64, units: i64| json!({"addon": {"credits": credits, "units_max": units}});
    refused(vec![
        (
            plan(json!({"rank": 1001})),
            "plans.pro.rank",
            "1001 is out of range: give -1000 to 1000",
        ),
        (plan(json!({"rank": -1001})), "plans.pro.rank", "give -1000 to 1000"),
        (
            plan(json!({"refresh": "year"})),
            "plans.pro.refresh",
            "give month or billing",
        ),
        (
            plan(json!({"billing": ["year", "month"], "refresh": "year"})),
            "plans.pro.refresh",
            "longer than the month",
        ),
        (
            plan(json!({"allowance": {"month": 5, "year": 60}})),
            "plans.pro.allowance.year",
            "60 for a year can't come in",
        ),
        (
            plan(json!({"allowance": {"year": 60}})),
            "plans.pro.allowance.year",
            "add year to the plan's billing",
        ),
        (
            plan(json!({"billing": "year", "bonus": {"credits": {"month": 5, "year": 60}}})),
            "plans.pro.bonus.credits.month",
            "5 for a month can't come in",
        ),
        (
            plan(json!({"bonus": {"credits": 0}})),
            "plans.pro.bonus.credits",
            "a bonus of 0 grants nothing",
        ),
        (
            plan(json!({"bonus": {"credits": 5, "expiry": {"days": 0}}})),
            "plans.pro.bonus.expiry",
            "give 1 to 36500",
        ),
        (
            plan(json!({"rollover": {"max": 5, "cycles": 0}})),
            "plans.pro.rollover.cycles",
            "give 1 to 120",
        ),
        (
            plan(json!({"rollover": {"max": 5, "cycles": 121}})),
            "plans.pro.rollover.cycles",
            "121 is out of range",
        ),
        (
            plan(json!({"allowance": 0, "rollover": {"max": 5}})),
            "plans.pro.rollover",
            "no allowance to roll over",
        ),
        (plan(addon(60, 0)), "plans.pro.addon.units_max", "give 1 to 1000000"),
        (
            plan(addon(60, 1_000_001)),
            "plans.pro.addon.units_max",
            "give 1 to 1000000",
        ),
        (
            plan(addon(9_007_199_254_741, 1_000)),
            "plans.pro.addon.units_max",
            "give 1 to 999",
        ),
    ]);
}

#[test]
fn an_interval_that_is_not_offered_may_stand_there_with_nothing() {
    for fields in [
        json!({"allowance": {"month": 500, "year": 0}}),
        json!({"allowance": {"month": 500}}),
        json!({"allowance": {"month": 500, "year": 500}}),
        json!({"billing": "year", "refresh": "month", "allowance": {"year": 500}}),
        json!({"addon": {"credits": 9_007_199_254_740_991_i64, "units_max": 1}}),
        json!({"billing": "year", "refresh": "year"}),
    ] {
        let document = plan(fields).to_string();
        parse(&document, Format::Json).expect(&document);
    }
}

#[test]
fn sale_and_expiry() {
    let no_plan = |mut document: Value| {
        document["plans"] = json!({});
        document
    };
    let currency_path = |field: &str| format!("custom_amounts.USD.{field}");
    refused(vec![
        (
            pack(json!({"days": 0})),
            "packs.p.expiry",
            "0 days are out of range: give 1 to 36500",
        ),
        (pack(json!({"days": 36_501})), "packs.p.expiry", "give 1 to 36500"),
        (pack(json!({"months": 0})), "packs.p.expiry", "give 1 to 1200"),
        (pack(json!({"months": 1_201})), "packs.p.expiry", "give 1 to 1200"),
        (
            no_plan(pack(json!("cycle_end"))),
            "packs.p.expiry",
            "cycle_end needs a plan",
        ),
        (
            no_plan(custom(json!({"expiry": "cycle_end"}))),
            &currency_path("expiry"),
            "cycle_end needs a plan",
        ),
        (
            custom(json!({"expiry": {"days": 0}})),
            &currency_path("expiry"),
            "give 1 to 36500",
        ),
        (
            custom(json!({"minimum": 100_000})),
            &currency_path("minimum"),
            "more than the maximum: give 1 to 99500",
        ),
        (
            custom(json!({"credits": 1, "per": 501})),
            &currency_path("minimum"),
            "less than one credit: give 501 or more",
        ),
        (
            custom(json!({"credits": 3, "per": 2_000})),
            &currency_path("minimum"),
            "give 667 or more",
        ),
        (
            custom(json!({"credits": 9_007_199_254_740_991_i64, "per": 99_499})),
            &currency_path("maximum"),
            "more than the 9007199254740991 of an amount: give 1 to 99499",
        ),
        (
            no_plan(with(json!({"compensation": {"expiry": "cycle_end"}}))),
            "compensation.expiry",
            "cycle_end needs a plan",
        ),
        (
            with(json!({"compensation": {"expiry": {"months": 0}}})),
            "compensation.expiry",
            "give 1 to 1200",
        ),
        (
            with(json!({"compensation": {"multiplier_max": 11}})),
            "compensation.multiplier_max",
            "give 0 to 10",
        ),
    ]);
}
