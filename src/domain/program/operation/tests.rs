//! What operations cost, in concrete numbers.

use serde_json::{Value, json};

use super::*;

fn operation(prices: Value) -> Operation {
    serde_json::from_value(json!({"prices": prices})).expect("an operation")
}

fn wanted(quantity: i64, attributes: Value) -> Wanted {
    let attributes = serde_json::from_value(attributes).expect("attributes");
    Wanted { quantity, attributes }
}

#[test]
fn a_price_is_that_of_the_first_rule_that_fits() {
    let images = json!([
        {"when": {"quality": "premium", "hd": true}, "fixed": 25},
        {"when": {"quality": "premium"}, "fixed": 5},
        {"when": {"size": 2048}, "fixed": 4},
        {"when": {"quantity": 10}, "fixed": 8},
        {"per": {"quantity": {"credits": 1}}},
    ]);
    for (quantity, attributes, cost) in [
        (1, json!({"quality": "premium", "hd": true}), 25),
        (1, json!({"quality": "premium", "hd": false}), 5),
        (1, json!({"quality": "premium", "hd": "true"}), 5),
        (1, json!({"quality": "premium"}), 5),
        (1, json!({"quality": "Premium", "size": 2048}), 4),
        (1, json!({"quality": 1, "size": "2048"}), 1),
        (10, json!({}), 8),
        // The quantity is not an attribute, whoever sends it as one.
        (2, json!({"quantity": 10}), 2),
        (11, json!({"anything": "else"}), 11),
    ] {
        let wanted = wanted(quantity, attributes);
        assert_eq!(operation(images.clone()).price(&wanted), Ok(cost), "{wanted:?}");
    }
}

#[test]
fn rates_are_reckoned_exactly() {
    let most = 9_007_199_254_740_991_i64;
    for (rule, attributes, cost) in [
        (json!({"per": {"seconds": {"credits": 5}}}), json!({"seconds": 7}), 35),
        (json!({"per": {"seconds": {"credits": 5}}}), json!({"seconds": 0}), 1),
        // 7 of 2 credits each 3: 4.67 in proportion, 3 begun.
        (json!({"per": {"s": {"credits": 2, "each": 3}}}), json!({"s": 7}), 5),
        (
            json!({"per": {"s": {"credits": 2, "each": 3, "rounding": "down"}}}),
            json!({"s": 7}),
            4,
        ),
        (
            json!({"per": {"s": {"credits": 2, "each": 3, "rounding": "begun"}}}),
            json!({"s": 7}),
            6,
        ),
        (
            json!({"per": {"s": {"credits": 2, "each": 3, "rounding": "begun"}}}),
            json!({"s": 6}),
            4,
        ),
        (json!({"per": {"s": {"credits": 2, "each": 3}}}), json!({"s": 6}), 4),
        (
            json!({"per": {"s": {"credits": 1, "each": 1000, "rounding": "down"}}}),
            json!({"s": 999}),
            1,
        ),
        // Each rate is rounded by itself: 1 + 1, and not 1.
        (
            json!({"per": {"a": {"credits": 1, "each": 10}, "b": {"credits": 1, "each": 10}}}),
            json!({"a": 1, "b": 1}),
            2,
        ),
        (json!({"fixed": 10, "per": {"s": {"credits": 3}}}), json!({"s": 4}), 22),
        (
            json!({"fixed": 10, "per": {"s": {"credits": 3}}, "minimum": 25}),
            json!({"s": 4}),
            25,
        ),
        (
            json!({"fixed": 10, "per": {"s": {"credits": 3}}, "maximum": 20}),
            json!({"s": 4}),
            20,
        ),
        (
            json!({"per": {"s": {"credits": 3}}, "minimum": 25, "maximum": 50}),
            json!({"s": 10}),
            30,
        ),
        (json!({"minimum": 7}), json!({}), 7),
        (
            json!({"fixed": 0, "per": {"s": {"credits": 1}}}),
            json!({"s": most}),
            most,
        ),
        (
            json!({"per": {"s": {"credits": most, "each": most}}}),
            json!({"s": i64::MAX}),
            i64::MAX,
        ),
        (
            json!({"per": {"s": {"credits": most}}, "maximum": 9}),
            json!({"s": i64::MAX}),
            9,
        ),
    ] {
        let operation = operation(json!([rule]));
        let expected = if cost > most {
            Err(PriceError::TooExpensive { limit: most })
        } else {
            Ok(cost)
        };
        assert_eq!(operation.price(&wanted(1, attributes)), expected, "{operation:?}");
    }
}

#[test]
fn what_has_no_price_is_refused_by_name() {
    let video = json!([
        {"when": {"kind": "video"}, "per": {"seconds": {"credits": 5}, "quantity": {"credits": 1}}},
        {"when": {"kind": "still"}, "fixed": 1},
    ]);
    let price = |quantity, attributes| {
        let error = operation(video.clone())
            .price(&wanted(quantity, attributes))
            .expect_err("a refusal");
        (error.code(), serde_json::to_value(&error).expect("JSON"))
    };
    let missing = || ("missing_attribute", json!({"attribute": "seconds"}));
    assert_eq!(price(1, json!({})), ("no_price", json!({"attributes": {}})));
    let kind = json!({"kind": "sound", "hd": true, "n": 3});
    assert_eq!(price(1, kind.clone()), ("no_price", json!({"attributes": kind})));
    assert_eq!(price(1, json!({"kind": "video"})), missing());
    assert_eq!(price(1, json!({"kind": "video", "seconds": "5"})), missing());
    assert_eq!(price(1, json!({"kind": "video", "seconds": true})), missing());
    assert_eq!(
        price(1, json!({"kind": "video", "seconds": -5})),
        ("invalid_attribute", json!({"attribute": "seconds", "value": -5}))
    );
    assert_eq!(
        price(-1, json!({"kind": "video", "seconds": 5})),
        ("invalid_attribute", json!({"attribute": "quantity", "value": -1}))
    );
    assert_eq!(
        price(1, json!({"kind": "video", "seconds": 1_801_439_850_948_199_i64})),
        ("too_expensive", json!({"limit": 9_007_199_254_740_991_i64}))
    );
}

#[test]
fn many_enormous_rates_do_not_overflow() {
    let rates: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| (format!("a{n}"), json!({"credits": 9_007_199_254_740_991_i64})))
        .collect();
    let attributes: serde_json::Map<String, Value> = rates.keys().map(|name| (name.clone(), json!(i64::MAX))).collect();
    let price = operation(json!([{"per": rates}])).price(&wanted(1, attributes.into()));
    assert_eq!(price, Err(PriceError::TooExpensive { limit: CREDITS_MAX }));
}

#[test]
fn the_cheapest_is_the_least_over_all_rules() {
    for (prices, cheapest) in [
        (json!([{"when": {"q": "hd"}, "fixed": 25}, {"fixed": 5}]), 5),
        (
            json!([{"fixed": 3, "per": {"quantity": {"credits": 4}, "seconds": {"credits": 9}}}]),
            7,
        ),
        (json!([{"per": {"seconds": {"credits": 9}}}]), 1),
        (json!([{"per": {"seconds": {"credits": 9}}, "minimum": 25}]), 25),
        (
            json!([{"when": {"seconds": 10}, "per": {"seconds": {"credits": 9}}}]),
            90,
        ),
        (
            json!([{"when": {"quantity": 3}, "per": {"quantity": {"credits": 9}}}]),
            27,
        ),
        (json!([{"fixed": 100, "maximum": 8}]), 8),
    ] {
        assert_eq!(operation(prices.clone()).cheapest(), cheapest, "{prices}");
    }
}
