//! The programs under `examples/programs`: the five reference products.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::domain::{calendar, cycle::Interval};

/// By the names of their files.
fn examples() -> BTreeMap<String, Program> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/programs");
    let files = fs::read_dir(&folder).expect("the folder is there");
    files
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a text");
            let program = parse(&text, Format::Toml).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
            (name, program)
        })
        .collect()
}

fn price(program: &Program, operation: &str, quantity: i64, attributes: Value) -> i64 {
    let attributes = serde_json::from_value(attributes).expect("attributes");
    let wanted = Wanted { quantity, attributes };
    program.operations[operation].price(&wanted).expect("a price")
}

#[test]
fn every_example_is_a_program_without_warnings() {
    let examples = examples();
    let names: Vec<&str> = examples.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "cloud-assistant",
            "code-playground",
            "image-suite",
            "video-studio",
            "website-builder"
        ]
    );
    for (name, program) in &examples {
        assert_eq!(lint(program), [], "{name}");
        let json = serde_json::to_string(program).expect("JSON");
        assert_eq!(parse(&json, Format::Json).as_ref(), Ok(program), "{name}");
    }
}

#[test]
fn website_builder_basic_and_premium_are_equal() {
    let program = &examples()["website-builder"];
    let (basic, premium) = (&program.plans["basic"], &program.plans["premium"]);
    assert_eq!(
        (basic.allowance, premium.allowance),
        (PerInterval::same(200), PerInterval::same(200))
    );
    assert_eq!(
        basic.compare(Interval::Month, premium, Interval::Month),
        std::cmp::Ordering::Greater
    );
    assert!(program.packs.values().all(|pack| pack.expiry == Expiry::Never));
}

#[test]
fn code_playground_shows_its_costs_in_dollars() {
    let program = &examples()["code-playground"];
    let custom = &program.custom_amounts["USD"];
    assert_eq!((custom.minimum.get(), custom.maximum.get()), (500, 99_500));
    let bought = custom.credits_for(1_250).expect("credits");
    assert_eq!(program.amount_in_words(bought.get()), "12.5000 USD");
    // 2,000 units in and 500 out: 60 and 75 hundredths of a cent.
    let chat = price(
        program,
        "deep_model",
        1,
        json!({"input_units": 2_000, "output_units": 500}),
    );
    assert_eq!(program.amount_in_words(chat), "0.0135 USD");
    let bonus = program.plans["pro"].bonus.expect("a bonus");
    assert_eq!(program.amount_in_words(bonus.credits.of(Interval::Year)), "60.0000 USD");
    assert_eq!(program.gates.spend.balance, Requirement::PaidSubscription);
    assert!(!program.plans["free"].paid);
}

#[test]
fn video_studio_has_the_units_of_its_page() {
    let program = &examples()["video-studio"];
    let unit = |plan: &str| {
        let addon = program.plans[plan].addon.clone().expect("an add-on");
        (addon.credits.get(), addon.price.map(|p| p.to_string()), addon.scope)
    };
    assert_eq!(unit("basic"), (60, Some("10.00 USD".to_owned()), AddonScope::PerUser));
    assert_eq!(unit("team"), (200, Some("30.00 USD".to_owned()), AddonScope::Shared));
    assert_eq!(program.plans["team"].refresh_interval(Interval::Year), Interval::Year);
    assert_eq!(price(program, "generate_voice", 1, json!({"seconds": 31})), 4);
}

#[test]
fn image_suite_has_the_table_of_its_page() {
    let program = &examples()["image-suite"];
    for (plan, allowance) in [
        ("branding_app", 208),
        ("appsumo_tier_3", 167),
        ("appsumo_tier_2", 100),
        ("appsumo_tier_1", 50),
        ("zsuite", 42),
        ("legacy_other", 21),
        ("freelancer", 500),
        ("agency", 1_500),
    ] {
        assert_eq!(program.plans[plan].allowance_at(Interval::Month), allowance, "{plan}");
    }
    for (operation, attributes, cost) in [
        ("basic_image", json!({}), 1),
        ("basic_image", json!({"detail": "high"}), 5),
        ("premium_image", json!({}), 5),
        ("premium_image", json!({"detail": "high"}), 25),
        ("standard_video", json!({}), 25),
        ("premium_video", json!({"seconds": 4}), 50),
        ("premium_video", json!({"seconds": 30}), 150),
        ("image_to_video", json!({"seconds": 3}), 25),
        ("image_to_video", json!({"seconds": 60}), 50),
        ("model_training", json!({}), 100),
    ] {
        assert_eq!(
            price(program, operation, 1, attributes.clone()),
            cost,
            "{operation} {attributes}"
        );
    }
    let limit = &program.caps[0];
    assert_eq!(
        (limit.window, limit.limit.get(), limit.per),
        (Window::Day, 75, CapScope::Account)
    );
    assert_eq!(program.plans["agency"].caps[0].limit.get(), 500);
    // "Signed up March 7th -> Credits refresh April 7th, May 7th, etc."
    let anchor = "2027-03-07T10:00:00Z".parse().expect("a time");
    let preview = preview(program, "agency", None, anchor, 3).expect("a preview");
    let dates: Vec<String> = preview
        .events
        .iter()
        .filter(|event| event.kind == EventKind::Allowance)
        .map(|event| calendar::date(program.timezone, event.at).to_string())
        .collect();
    assert_eq!(dates, ["2027-03-07", "2027-04-07", "2027-05-07"]);
}

#[test]
fn cloud_assistant_sells_at_one_rate() {
    let program = &examples()["cloud-assistant"];
    let custom = &program.custom_amounts["USD"];
    assert_eq!(program.packs.len(), 4);
    for pack in program.packs.values() {
        assert_eq!(custom.credits_for(pack.price.amount.get()), Some(pack.credits));
        assert_eq!((pack.class, pack.expiry), (custom.class, custom.expiry));
    }
    assert_eq!(program.packs["usd_2000"].credits.get(), 160_000_000);
    assert_eq!(program.gates.purchase, Requirement::PaidSubscription);
}
