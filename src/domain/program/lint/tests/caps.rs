//! Caps against what is to be spent under them.

use serde_json::{Value, json};

use super::{silent, usd, warned, with};

#[test]
fn operations_over_a_whole_cap() {
    let operations = json!({"image": {"prices": [{"fixed": 5}]}, "train": {"prices": [{"fixed": 100}, ]},
        "video": {"prices": [{"when": {"hd": true}, "fixed": 90}, {"fixed": 75}]}});
    let day = |limit: i64| json!({"window": "day", "limit": limit});
    let program = |caps: Value| json!({"operations": operations, "caps": caps});
    warned(
        program(json!([day(75)])),
        "caps[0]",
        "operation_over_cap",
        "75 a day is less than one operation costs, which is therefore refused always: train (100 at least); raise",
    );
    warned(
        program(json!([day(74)])),
        "caps[0]",
        "operation_over_cap",
        "train (100 at least), video (75 at least);",
    );
    silent(program(json!([with(
        day(75),
        json!({"over_whole_cap": "allow_in_empty_window"})
    )])));
    silent(program(json!([with(
        day(75),
        json!({"operations": ["image", "video"]})
    )])));
    silent(program(json!([day(100)])));
    // A plan's cap stands in the place of the program's.
    let plans = |limit: i64| json!({"pro": {"allowance": 100, "caps": [day(limit)]}});
    let replaced = with(program(json!([day(75)])), json!({"plans": plans(100)}));
    warned(replaced.clone(), "caps[0]", "operation_over_cap", "train");
    let gated = json!({"plan": "subscription", "addon": "subscription", "balance": "paid_subscription"});
    silent(with(replaced, json!({"gates": {"spend": gated}})));
    let worse = with(program(json!([day(100)])), json!({"plans": plans(99)}));
    warned(worse, "plans.pro.caps[0]", "operation_over_cap", "99 a day");
    let many: serde_json::Map<String, Value> = (0..8)
        .map(|n| (format!("o{n}"), json!({"prices": [{"fixed": 9}]})))
        .collect();
    let many = json!({"operations": many, "caps": [day(8)]});
    warned(many, "caps[0]", "operation_over_cap", "o4 (9 at least) and 3 more;");
}

#[test]
fn allowances_over_the_caps() {
    let program = |allowance: Value, cap: Value| json!({"plans": {"pro": {"allowance": allowance}}, "caps": [cap]});
    let day = json!({"window": "day", "limit": 10});
    // A month of 31 days can touch 32.
    warned(
        program(json!(321), day.clone()),
        "plans.pro.allowance",
        "allowance_over_cap",
        "321 credits a month can't all be spent: caps[0], 10 a day, lets at most 320 through",
    );
    silent(program(json!(320), day.clone()));
    silent(program(json!(999), with(day.clone(), json!({"per": "member"}))));
    silent(program(
        json!(999),
        with(day, json!({"over_whole_cap": "allow_in_empty_window"})),
    ));
    let weekly = json!({"window": "week", "limit": 10});
    warned(
        program(json!(61), weekly),
        "plans.pro.allowance",
        "allowance_over_cap",
        "at most 60",
    );
    let monthly = json!({"window": "month", "limit": 10});
    warned(
        program(json!(21), monthly),
        "plans.pro.allowance",
        "allowance_over_cap",
        "at most 20",
    );
    let cycle = json!({"window": "cycle", "limit": 10});
    warned(
        program(json!(11), cycle),
        "plans.pro.allowance",
        "allowance_over_cap",
        "at most 10",
    );
    let own = json!({"plans": {"pro": {"allowance": 500, "caps": [{"window": "day", "limit": 20}]}},
        "caps": [{"window": "day", "limit": 5}]});
    silent(own);
}

#[test]
fn caps_without_effect() {
    let caps = |caps: Value| json!({"operations": {"x": {"prices": [{"fixed": 1}]}}, "caps": caps});
    let day = json!({"window": "day", "limit": 100});
    let month = json!({"window": "month", "limit": 100});
    warned(
        caps(json!([day, month])),
        "caps[0]",
        "cap_without_effect",
        "100 a day never decides: caps[1], 100 a month, is always reached first",
    );
    let of_x = json!({"window": "day", "limit": 100, "operations": ["x"]});
    warned(
        caps(json!([day, of_x])),
        "caps[1]",
        "cap_without_effect",
        "caps[0], 100 a day",
    );
    silent(caps(json!([day, {"window": "month", "limit": 101}])));
    silent(caps(json!([day, {"window": "cycle", "limit": 50}])));
    silent(caps(json!([of_x, {"window": "month", "limit": 50, "per": "member"}])));
    let plan = json!({"pro": {"allowance": 5, "caps": [{"window": "week", "limit": 90}]}});
    warned(
        with(caps(json!([day])), json!({"plans": plan})),
        "caps[0]",
        "cap_without_effect",
        "plans.pro.caps[0], 90 a week",
    );
}

#[test]
fn packs_that_cannot_be_used_up() {
    let program = |pack: Value| json!({"packs": {"p": pack}, "caps": [{"window": "day", "limit": 75}]});
    let expiring = |expiry: Value| program(with(usd(1_000, 1_000), json!({"expiry": expiry})));
    warned(
        expiring(json!({"days": 1})),
        "packs.p",
        "pack_never_usable",
        "its 1000 credits can't all be spent before they expire: caps[0], 75 a day, lets at most 150 through",
    );
    silent(expiring(json!({"days": 13})));
    silent(expiring(json!("never")));
    let more = program(with(usd(1_000, 5_000), json!({"expiry": {"months": 2}})));
    warned(more, "packs.p", "pack_never_usable", "at most 4725 through");
    // Those who have the larger plan can.
    let agency = json!({"agency": {"allowance": 1, "caps": [{"window": "day", "limit": 500}]}});
    silent(with(expiring(json!({"days": 1})), json!({"plans": agency})));
    let gate = json!({"purchase": "subscription"});
    let cycle = with(
        program(with(usd(1, 2_401), json!({"expiry": "cycle_end"}))),
        json!({"gates": gate}),
    );
    let pro = json!({"pro": {"allowance": 1}});
    warned(
        with(cycle, json!({"plans": pro})),
        "packs.p",
        "pack_never_usable",
        "at most 2400 through",
    );
}
