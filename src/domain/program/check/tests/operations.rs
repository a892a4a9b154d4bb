//! Operations, their prices, and caps.

use serde_json::json;

use super::*;

#[test]
fn prices_of_operations() {
    let text = |value: &str| prices(json!([{"when": {"q": value}, "fixed": 1}]));
    let many: Vec<Value> = (1..=101).map(|n| json!({"when": {"n": n}, "fixed": 1})).collect();
    let of = |path: &str| format!("operations.x.{path}");
    refused(vec![
        (prices(json!([])), &of("prices"), "give 1 to 100 rules"),
        (prices(json!(many)), &of("prices"), "has 101 rules"),
        (
            prices(json!([{"fixed": -1}])),
            &of("prices[0].fixed"),
            "-1 is out of range: give 0 to 9007199254740991",
        ),
        (
            prices(json!([{"fixed": 9_007_199_254_740_992_i64}])),
            &of("prices[0].fixed"),
            "is out of range",
        ),
        (
            prices(json!([{}])),
            &of("prices[0]"),
            "would cost nothing: give it `fixed`, `per` or a `minimum`",
        ),
        (
            prices(json!([{"fixed": 0, "maximum": 5}])),
            &of("prices[0]"),
            "would cost nothing",
        ),
        (
            prices(json!([{"minimum": 6, "maximum": 5}])),
            &of("prices[0].minimum"),
            "6 is more than the maximum: give 1 to 5",
        ),
        (
            prices(json!([{"when": {"Q": 1}, "fixed": 1}])),
            &of("prices[0].when.Q"),
            "a name is 1 to 64",
        ),
        (
            prices(json!([{"per": {"a b": {"credits": 1}}}])),
            &of("prices[0].per.a b"),
            "a name is 1 to 64",
        ),
        (
            prices(json!([{"when": {"quantity": "x"}, "fixed": 1}])),
            &of("prices[0].when.quantity"),
            "1 or more",
        ),
        (
            prices(json!([{"when": {"quantity": 0}, "fixed": 1}])),
            &of("prices[0].when.quantity"),
            "1 or more",
        ),
        (
            prices(json!([{"when": {"q": [1]}, "fixed": 1}])),
            &of("prices[0].when.q"),
            "give a text, a whole number, or true or false",
        ),
        (text("\u{0}"), &of("prices[0].when.q"), "has a control character"),
        (
            text(""),
            &of("prices[0].when.q"),
            "has 0 bytes: give a text of 1 to 200",
        ),
        (
            prices(json!([{"when": {"s": "long"}, "per": {"s": {"credits": 1}}}])),
            &of("prices[0].per.s"),
            "`when.s` asks for something else",
        ),
        (
            prices(json!([{"when": {"s": -1}, "per": {"s": {"credits": 1}}}])),
            &of("prices[0].per.s"),
            "a number of 0 or more",
        ),
        (
            prices(json!([{"fixed": 1}, {"when": {"q": 1}, "fixed": 2}])),
            &of("prices[1]"),
            "has no `when`, so it always fits",
        ),
        (
            prices(json!([{"when": {"q": 1}, "fixed": 1}, {"when": {"q": 1, "r": true}, "fixed": 2}])),
            &of("prices[1]"),
            "fits whenever this one does",
        ),
    ]);
    let twice = prices(json!([{"fixed": 1}, {"fixed": 2}, {"fixed": 3}]));
    let paths: Vec<String> = problems(&twice).into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, [of("prices[1]"), of("prices[2]")]);
}

#[test]
fn payers() {
    let paid_by = |classes: Value| with(json!({"operations": {"x": {"prices": [{"fixed": 1}], "paid_by": classes}}}));
    refused(vec![
        (
            paid_by(json!([])),
            "operations.x.paid_by",
            "name a class, or leave the field out",
        ),
        (
            paid_by(json!(["plan", "addon", "plan"])),
            "operations.x.paid_by[2]",
            "plan stands there twice",
        ),
    ]);
}

#[test]
fn caps() {
    let day = |fields: Value| {
        let mut cap = json!({"window": "day", "limit": 75});
        for (name, value) in fields.as_object().expect("fields") {
            cap[name] = value.clone();
        }
        cap
    };
    let many: Vec<Value> = (0..101)
        .map(|n| day(json!({"operations": ["render"], "limit": n + 1})))
        .collect();
    let both = |one: Value, other: Value| with(json!({"caps": [one, other]}));
    refused(vec![
        (
            with(json!({"caps": [day(json!({"operations": ["render", "train", "fly"]}))]})),
            "caps[0].operations[2]",
            "the program has no operation fly",
        ),
        (
            with(json!({"caps": [day(json!({"operations": []}))]})),
            "caps[0].operations",
            "an empty list counts nothing",
        ),
        (
            with(json!({"caps": [day(json!({"operations": ["render", "render"]}))]})),
            "caps[0].operations[1]",
            "render stands there twice",
        ),
        (
            both(day(json!({})), day(json!({"limit": 80}))),
            "caps[1]",
            "of caps[0], which has a limit of 75: keep one",
        ),
        (
            both(
                day(json!({"per": "member", "operations": ["render", "train"]})),
                day(json!({"per": "member", "operations": ["train", "render"], "limit": 80})),
            ),
            "caps[1]",
            "of caps[0]",
        ),
        (
            plan(json!({"caps": [day(json!({})), day(json!({"per": "member"})), day(json!({"operations": ["fly"]}))]})),
            "plans.pro.caps[2].operations[0]",
            "the program has no operation fly",
        ),
        (
            plan(json!({"caps": [day(json!({})), day(json!({}))]})),
            "plans.pro.caps[1]",
            "of plans.pro.caps[0]",
        ),
    ]);
    assert_eq!(problems(&with(json!({"caps": many})))[0].path, "caps");
}
