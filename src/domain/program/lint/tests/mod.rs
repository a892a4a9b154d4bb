//! Every warning: a program that has it, its field and code, and the numbers it gives.

mod caps;

use serde_json::{Value, json};

use super::*;
use crate::domain::program::{Format, parse};

fn warnings(program: Value) -> Vec<Warning> {
    let text = program.to_string();
    lint(&parse(&text, Format::Json).expect(&text))
}

/// A program of the unit and these fields has this one warning.
#[track_caller]
fn warned(mut fields: Value, path: &str, code: &str, says: &str) {
    fields["unit"] = json!({"name": "credits"});
    let warnings = warnings(fields.clone());
    let only = match warnings.as_slice() {
        [one] => one.path == path && json!(one.code) == code && one.warning.contains(says),
        _ => false,
    };
    assert!(only, "{fields}:\nexpected {path}: {code}: {says}\ngot {warnings:#?}");
}

#[track_caller]
fn silent(mut fields: Value) {
    fields["unit"] = json!({"name": "credits"});
    let warnings = warnings(fields.clone());
    assert!(warnings.is_empty(), "{fields}: {warnings:#?}");
}

fn usd(amount: i64, credits: i64) -> Value {
    json!({"price": {"amount": amount, "currency": "USD"}, "credits": credits})
}

fn with(mut base: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        base[name] = value.clone();
    }
    base
}

#[test]
fn gates_that_no_plan_opens() {
    let spend = |gate: &str| json!({"gates": {"spend": {"balance": gate}}});
    warned(
        spend("subscription"),
        "gates.spend.balance",
        "gate_without_plan",
        "asks for a live subscription, and the program has no plan: it is closed to everybody",
    );
    let free = json!({"free": {"paid": false}});
    warned(
        with(json!({"plans": free}), spend("paid_subscription")),
        "gates.spend.balance",
        "gate_without_plan",
        "the program has no paid plan",
    );
    silent(with(json!({"plans": free}), spend("subscription")));
    let gated = json!({"packs": {"p": with(usd(1, 1), json!({"gate": "subscription"}))}});
    warned(gated, "packs.p.gate", "gate_without_plan", "closed to everybody");
    let purchase = json!({"gates": {"purchase": "paid_subscription"}});
    warned(purchase, "gates.purchase", "gate_without_plan", "no paid plan");
}

#[test]
fn credits_that_their_buyers_cannot_spend() {
    let plans = json!({"free": {"paid": false}, "pro": {"allowance": 5}});
    let program = |purchase: &str, spend: &str, pack: Value| {
        let gates = json!({"purchase": purchase, "spend": {"balance": spend}});
        json!({"plans": plans, "gates": gates, "packs": {"p": pack}})
    };
    let code = "purchase_gate_looser_than_spend_gate";
    let says = "buying it asks for a live subscription, and spending its class, balance, for a live subscription of a paid plan";
    warned(
        program("subscription", "paid_subscription", usd(1, 1)),
        "packs.p",
        code,
        says,
    );
    warned(
        program("none", "subscription", usd(1, 1)),
        "packs.p",
        code,
        "asks for nothing",
    );
    silent(program("paid_subscription", "paid_subscription", usd(1, 1)));
    silent(program("paid_subscription", "subscription", usd(1, 1)));
    silent(program(
        "none",
        "paid_subscription",
        with(usd(1, 1), json!({"gate": "paid_subscription"})),
    ));
    silent(program(
        "none",
        "paid_subscription",
        with(usd(1, 1), json!({"class": "addon"})),
    ));
    let expiring = with(usd(1, 1), json!({"expiry": {"days": 90}}));
    warned(
        program("none", "paid_subscription", expiring),
        "packs.p",
        "pack_expires_before_use",
        "and what they bought expires meanwhile",
    );
    // Where every plan is paid, a subscription is a paid one.
    let paid = with(
        program("subscription", "paid_subscription", usd(1, 1)),
        json!({"plans": {"pro": {"allowance": 5}}}),
    );
    silent(paid);
}

#[test]
fn cycles_that_buyers_do_not_have() {
    let custom = json!({"credits": 1, "minimum": 100, "maximum": 200, "expiry": "cycle_end"});
    let program = json!({"plans": {"pro": {"allowance": 5}}, "custom_amounts": {"USD": custom}});
    let says = "an account without a subscription may buy it";
    warned(
        program.clone(),
        "custom_amounts.USD.expiry",
        "cycle_end_without_cycle",
        says,
    );
    silent(with(program, json!({"gates": {"purchase": "subscription"}})));
}

#[test]
fn classes_that_pay_for_nothing() {
    let operation = |classes: Value| json!({"prices": [{"fixed": 1}], "paid_by": classes});
    let program = |grants: Value| {
        let operations = json!({"x": operation(json!(["plan"])), "y": operation(json!(["balance"]))});
        with(json!({"operations": operations}), grants)
    };
    let addon_pack = json!({"packs": {"p": with(usd(1, 1), json!({"class": "addon"}))}});
    warned(
        program(addon_pack.clone()),
        "packs.p",
        "class_never_pays",
        "grants the class addon, which may pay for no operation: every paid_by names only plan and balance",
    );
    silent(program(json!({"packs": {"p": usd(1, 1)}})));
    silent(addon_pack.clone());
    let open = json!({"x": operation(json!(["plan"])), "y": {"prices": [{"fixed": 1}]}});
    silent(with(addon_pack, json!({"operations": open})));
    let plan = |fields: Value| program(json!({"plans": {"pro": with(json!({"allowance": 5}), fields)}}));
    warned(
        plan(json!({"addon": {"credits": 5}})),
        "plans.pro.addon",
        "class_never_pays",
        "addon",
    );
    let bonus = json!({"bonus": {"credits": 5, "class": "addon"}});
    warned(plan(bonus), "plans.pro.bonus", "class_never_pays", "addon");
    let compensation = json!({"compensation": {"multiplier_max": 1, "class": "addon"}});
    warned(program(compensation), "compensation", "class_never_pays", "addon");
    let only_balance = json!({"x": operation(json!(["balance"]))});
    let plans = json!({"pro": {"allowance": 5}});
    warned(
        json!({"operations": only_balance, "plans": plans}),
        "plans.pro.allowance",
        "class_never_pays",
        "names only balance",
    );
}

#[test]
fn plans_by_themselves() {
    let plan = |fields: Value| json!({"plans": {"pro": fields}});
    let says = "grants 0 credits, opens no gate and sets no cap";
    warned(plan(json!({})), "plans.pro", "plan_without_credits", says);
    silent(plan(json!({"paid": false})));
    silent(plan(json!({"caps": [{"window": "day", "limit": 5}]})));
    silent(with(
        plan(json!({})),
        json!({"gates": {"spend": {"balance": "paid_subscription"}}}),
    ));

    let both = json!({"billing": ["month", "year"]});
    warned(
        plan(with(both.clone(), json!({"allowance": 500}))),
        "plans.pro.allowance",
        "yearly_grants_less",
        "6000 a year to those who pay by the month, and 500 to those who pay for a year at once",
    );
    silent(plan(with(both.clone(), json!({"allowance": 500, "refresh": "month"}))));
    silent(plan(with(
        both.clone(),
        json!({"allowance": {"month": 500, "year": 6000}}),
    )));
    let bonus = |year: i64| json!({"bonus": {"credits": {"month": 5, "year": year}}});
    warned(
        plan(with(both.clone(), bonus(50))),
        "plans.pro.bonus.credits",
        "yearly_grants_less",
        "grants 60 a year",
    );
    silent(plan(with(both, bonus(60))));

    let rollover = |max: i64| plan(json!({"allowance": 500, "rollover": {"max": max, "cycles": 3}}));
    warned(
        rollover(501),
        "plans.pro.rollover.max",
        "rollover_without_effect",
        "501 is never reached: at most the whole allowance, 500, can remain",
    );
    silent(rollover(500));
}

#[test]
fn plans_against_each_other() {
    let plans = |basic: i64, pro: i64| json!({"plans": {"basic": {"rank": 1, "allowance": basic}, "pro": {"rank": 2, "allowance": pro}}});
    warned(
        plans(500, 200),
        "plans.pro.rank",
        "higher_rank_grants_less",
        "the change from basic, of rank 1, an upgrade, though the allowance falls from 6000 a year to 2400",
    );
    silent(plans(200, 200));
    silent(plans(200, 500));
    silent(json!({"plans": {"a": {"allowance": 9}, "b": {"rank": 1, "bonus": {"credits": 5}}}}));
}

#[test]
fn prices_that_nobody_should_pay() {
    let packs = |packs: Value| json!({"packs": packs});
    warned(
        packs(json!({"big": usd(2_100, 1_000), "small": usd(1_000, 500)})),
        "packs.big.price",
        "bigger_pack_is_dearer",
        "1000 credits for 21.00 USD cost more each than the 500 credits of small for 10.00 USD",
    );
    silent(packs(json!({"big": usd(2_000, 1_000), "small": usd(1_000, 500)})));
    warned(
        packs(json!({"cheap": usd(1_000, 500), "same": usd(1_001, 500)})),
        "packs.same.price",
        "bigger_pack_is_dearer",
        "10.01 USD",
    );
    let eur = json!({"price": {"amount": 2_100, "currency": "EUR"}, "credits": 1_000});
    silent(packs(json!({"big": eur, "small": usd(1_000, 500)})));
    let lasting = with(usd(1_000, 500), json!({"expiry": {"days": 30}}));
    silent(packs(json!({"big": usd(2_100, 1_000), "small": lasting})));

    let custom = |credits: i64| {
        let custom = json!({"credits": credits, "minimum": 100, "maximum": 99_500});
        json!({"custom_amounts": {"USD": custom}, "packs": {"a": usd(1_000, 500), "b": usd(2_000, 1_100)}})
    };
    warned(
        custom(56),
        "custom_amounts.USD",
        "custom_rate_beats_packs",
        "20.00 USD buys 1120 credits by it, and 1100 in the best pack, b",
    );
    silent(custom(55));
}

#[test]
fn the_program_of_a_new_tenant_is_silent() {
    assert_eq!(lint(&Program::default()), []);
}
