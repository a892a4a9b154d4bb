//! Subscriptions as they begin: what is granted when, and which anchors they keep.

use super::*;

const PRO: &str = "plans.pro = { allowance = 500 }";

fn anchored(plan: &str, anchor: DateTime<Utc>) -> Subscribe {
    Subscribe {
        anchor: Some(anchor),
        ..subscribing(plan)
    }
}

#[test]
fn a_subscription_grants_its_allowance_until_the_cycle_ends() {
    let now = at("2027-01-15T09:30:00Z");
    let mut books = Books::with_program(now, PRO);
    let (begun, pro) = books.subscribe_as(subscribing("pro"));
    assert_eq!(
        (begun.kind, begun.amount, begun.available_after),
        (Kind::Subscription, 500, 500)
    );
    assert_eq!(moves(&begun), [(LedgerAccount::Issued, LedgerAccount::Plan, 500)]);
    let grant = &begun.new_grants[0];
    assert_eq!((grant.class, grant.origin), (Class::Plan, Origin::Allocation));
    assert_eq!(grant.effective_at, now);
    assert_eq!(grant.expires_at, Some(at("2027-02-15T09:30:00Z")));
    assert_eq!((grant.subscription_id, grant.program_version), (Some(pro), Some(1)));
    let seen = begun.detail.subscription.as_deref().expect("the subscription");
    assert_eq!((seen.status, seen.anchor, seen.started_at), (Status::Active, now, now));
    assert_eq!(seen.billing_cycle, seen.refresh_cycle);
    assert_eq!(books.usage_now().cycle, seen.refresh_cycle, "it is the account's cycle");
}

/// Anchor, time zone, the plan's terms, and where the cycles after begin.
type Anchored = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ANCHORS: [Anchored; 9] = [
    (
        "2027-01-15T09:30:00Z",
        "UTC",
        "",
        &["02-15T09:30", "03-15T09:30", "04-15T09:30"],
    ),
    // Anchors on the 29th, the 30th and the 31st are clamped and come back.
    (
        "2027-01-29T00:00:00Z",
        "UTC",
        "",
        &["02-28T00:00", "03-29T00:00", "04-29T00:00"],
    ),
    ("2028-01-29T00:00:00Z", "UTC", "", &["02-29T00:00", "03-29T00:00"]),
    (
        "2027-01-30T12:00:00Z",
        "UTC",
        "",
        &["02-28T12:00", "03-30T12:00", "04-30T12:00"],
    ),
    (
        "2027-01-31T23:59:59Z",
        "UTC",
        "",
        &["02-28T23:59", "03-31T23:59", "04-30T23:59", "05-31T23:59"],
    ),
    // The 31st of January in Auckland is still the 30th in London; summer time ends there on 2027-04-04.
    (
        "2027-01-30T11:00:00Z",
        "Pacific/Auckland",
        "",
        &["02-27T11:00", "03-30T11:00", "04-29T12:00", "05-30T12:00"],
    ),
    // 08:00 in Berlin is an hour earlier in UTC from 2027-03-28 on.
    (
        "2027-02-28T07:00:00Z",
        "Europe/Berlin",
        "",
        &["03-28T06:00", "04-28T06:00"],
    ),
    // Yearly, on the 29th of February.
    (
        "2028-02-29T00:00:00Z",
        "UTC",
        "billing = \"year\"",
        &[
            "02-28T00:00",
            "02-28T00:00",
            "02-28T00:00",
            "02-29T00:00",
            "02-28T00:00",
        ],
    ),
    // Paid by the year, granted by the month.
    (
        "2027-10-31T00:00:00Z",
        "UTC",
        "billing = \"year\", refresh = \"month\"",
        &[
            "11-30T00:00",
            "12-31T00:00",
            "01-31T00:00",
            "02-29T00:00",
            "03-31T00:00",
        ],
    ),
];

#[test]
fn each_cycle_grants_anew_and_the_last_ends_where_the_next_begins() {
    for (anchor, zone, terms, ends) in ANCHORS {
        let program = format!("timezone = {zone:?}\nplans.pro = {{ allowance = 500, {terms} }}");
        let mut books = Books::with_program(at(anchor), &program);
        let pro = books.subscribe("pro");
        for _ in 0..ends.len() {
            books.now = books.due_at.expect("the next renewal");
            books.run_due();
        }
        let grants = books.allowances(pro);
        assert_eq!(grants.len(), ends.len() + 1);
        for two in grants.windows(2) {
            assert_eq!(two[0].expires_at, Some(two[1].effective_at), "{anchor} {zone} {terms}");
        }
        let seen: Vec<String> = grants[1..]
            .iter()
            .map(|g| g.effective_at.format("%m-%dT%H:%M").to_string())
            .collect();
        assert_eq!(seen, ends, "{anchor} {zone} {terms}");
        assert!(grants.iter().all(|g| g.amount == 500));
        assert_eq!(books.balance().available, 500);
    }
}

#[test]
fn one_whose_anchor_has_passed_is_in_the_middle_of_its_cycles() {
    for (terms, cycle_end, billing) in [
        ("", "2027-03-31", ("2027-02-28", "2027-03-31")),
        ("billing = \"year\"", "2028-01-31", ("2027-01-31", "2028-01-31")),
        (
            "billing = \"year\", refresh = \"month\"",
            "2027-03-31",
            ("2027-01-31", "2028-01-31"),
        ),
    ] {
        let mut books = Books::with_program(on("2027-03-20"), &format!("plans.pro = {{ allowance = 500, {terms} }}"));
        let (begun, pro) = books.subscribe_as(anchored("pro", on("2027-01-31")));
        let grant = &begun.new_grants[0];
        assert_eq!((begun.amount, grant.effective_at), (500, on("2027-03-20")), "{terms}");
        assert_eq!(grant.expires_at, Some(on(cycle_end)), "{terms}");
        let paid = books.subscription(pro).billing_cycle().expect("a cycle");
        assert_eq!((paid.starts_at, paid.ends_at), (on(billing.0), on(billing.1)));
        books.now = on(cycle_end);
        books.run_due();
        assert_eq!(books.allowances(pro).len(), 2, "{terms}");
    }
}

#[test]
fn an_anchor_at_a_cycles_very_start_begins_that_cycle() {
    for (now, expected) in [
        (on("2027-02-28") - TICK, "2027-02-28"),
        (on("2027-02-28"), "2027-03-31"),
        (on("2027-01-31"), "2027-02-28"),
    ] {
        let mut books = Books::with_program(now, PRO);
        let (begun, _) = books.subscribe_as(anchored("pro", on("2027-01-31")));
        assert_eq!(begun.new_grants[0].expires_at, Some(on(expected)), "{now}");
    }
}

#[test]
fn one_whose_anchor_lies_ahead_begins_there() {
    let mut books = Books::with_program(jan(1), PRO);
    let (begun, pro) = books.subscribe_as(anchored("pro", jan(31)));
    assert_eq!((begun.amount, begun.new_grants.len()), (0, 0));
    let seen = begun.detail.subscription.as_deref().expect("the subscription");
    assert_eq!((seen.status, seen.started_at), (Status::Scheduled, jan(31)));
    assert_eq!((seen.billing_cycle, seen.refresh_cycle), (None, None));
    assert_eq!(books.due_at, Some(jan(31)));
    books.now = jan(31) - TICK;
    assert_eq!(books.balance().available, 0);
    books.now = jan(31);
    assert_eq!(books.balance().available, 500);
    books.run_due();
    let grant = books.allowances(pro)[0];
    assert_eq!(
        (grant.effective_at, grant.expires_at),
        (jan(31), Some(on("2027-02-28")))
    );
    assert_eq!(books.subscription(pro).status(books.now), Status::Active);
    books.now = on("2027-03-31");
    books.run_due();
    assert_eq!(books.allowances(pro).len(), 3);
}

#[test]
fn several_add_up_and_each_refreshes_its_own_grants_alone() {
    let legacy = "plans.tier3 = { allowance = 167 }\nplans.tier2 = { allowance = 100 }";
    let mut books = Books::with_program(jan(5), legacy);
    let first = books.subscribe("tier3");
    books.now = jan(20);
    let second = books.subscribe("tier2");
    assert_eq!(books.balance().available, 267);
    books.now = jan(30);
    assert_eq!(books.spend(17).available_after, 250);
    // The first is refreshed on the 5th, the second on the 20th.
    books.now = on("2027-02-05");
    assert_eq!(books.balance().available, 267);
    let drawn = pairs(books.spend(200).drawn());
    let newest = |books: &Books, id| books.allowances(id).last().expect("a grant").id;
    assert_eq!(
        drawn,
        [(newest(&books, second), 100), (newest(&books, first), 100)],
        "what ends first pays first"
    );
    books.now = on("2027-02-20");
    books.run_due();
    assert_eq!(books.remaining(newest(&books, first)), 67);
    assert_eq!(books.remaining(newest(&books, second)), 100);
    assert_eq!((books.allowances(first).len(), books.allowances(second).len()), (2, 2));
}

#[test]
fn the_same_plan_twice_is_two_subscriptions() {
    let mut books = Books::with_program(jan(1), PRO);
    let ids = [books.subscribe("pro"), books.subscribe("pro")];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(books.balance().available, 1_000);
    let before = books.posted.len();
    books.now = jan(32);
    books.run_due();
    let subjects: Vec<_> = books.posted[before..]
        .iter()
        .filter(|t| t.kind == Kind::Renewal)
        .map(|t| t.subject)
        .collect();
    assert_eq!(subjects, ids.map(|id| Some(id.0)), "the one that began first is first");
    assert_eq!(books.balance().available, 1_000);
}

#[test]
fn a_bonus_comes_with_every_payment() {
    let bonus = |terms: &str| {
        format!(
            "plans.pro = {{ allowance = {{ month = 500, year = 6000 }}, billing = [\"month\", \"year\"],
                bonus = {{ credits = {{ month = 100, year = 1500 }} }}, {terms} }}"
        )
    };
    for (terms, interval, at_start, monthly, yearly) in [
        ("", Interval::Month, [500, 100], &[500, 100][..], &[500, 100][..]),
        ("", Interval::Year, [6000, 1500], &[], &[6000, 1500]),
        (
            "refresh = \"month\"",
            Interval::Year,
            [6000, 1500],
            &[6000],
            &[6000, 1500],
        ),
    ] {
        let mut books = Books::with_program(jan(1), &bonus(terms));
        let (begun, _) = books.subscribe_as(Subscribe {
            interval: Some(interval),
            ..subscribing("pro")
        });
        assert_eq!(
            granted(&begun),
            [(Origin::Allocation, at_start[0]), (Origin::Bonus, at_start[1])]
        );
        let grant = &begun.new_grants[1];
        assert_eq!((grant.class, grant.expires_at), (Class::Balance, None));
        let renewed = |books: &mut Books, now: &str| -> Vec<i64> {
            books.now = on(now);
            books.run_due();
            let last = books.posted.last().expect("something");
            let is_todays = last.kind == Kind::Renewal && last.effective_at == on(now);
            granted(last)
                .iter()
                .filter(|_| is_todays)
                .map(|(_, amount)| *amount)
                .collect()
        };
        assert_eq!(renewed(&mut books, "2027-02-01"), monthly, "{terms} {interval:?}");
        assert_eq!(renewed(&mut books, "2028-01-01"), yearly, "{terms} {interval:?}");
    }
}

#[test]
fn a_bonus_has_its_own_class_and_end() {
    for (terms, end) in [
        ("expiry = \"cycle_end\", class = \"addon\"", Some(on("2028-01-31"))),
        ("expiry = { days = 10 }, class = \"addon\"", Some(on("2027-02-10"))),
        ("expiry = { months = 1 }, class = \"addon\"", Some(on("2027-02-28"))),
    ] {
        let plan = format!(
            "plans.pro = {{ allowance = 5, billing = \"year\", refresh = \"month\", bonus = {{ credits = 70, {terms} }} }}"
        );
        let mut books = Books::with_program(on("2027-01-31"), &plan);
        let (begun, _) = books.subscribe_as(subscribing("pro"));
        let bonus = &begun.new_grants[1];
        assert_eq!((bonus.class, bonus.amount, bonus.expires_at), (Class::Addon, 70, end));
    }
}

#[test]
fn what_cannot_be_subscribed_to_is_refused_by_name() {
    let program = "plans.pro = { allowance = 5, addon = { credits = 60, units_max = 10 } }
        plans.plain = { allowance = 5 }
        plans.card = { allowance = 5, renewal = \"stripe\" }";
    let mut books = Books::with_program(jan(1), program);
    let plan = |name: &str| name.to_owned();
    let yearly = Subscribe {
        interval: Some(Interval::Year),
        ..subscribing("pro")
    };
    let with_units = |name: &str, units| Subscribe {
        units,
        ..subscribing(name)
    };
    for (new, refused) in [
        (subscribing("gold"), Rejection::UnknownPlan { plan: plan("gold") }),
        (
            subscribing("card"),
            Rejection::PlanRenewedByStripe { plan: plan("card") },
        ),
        (
            yearly,
            Rejection::UnknownInterval {
                plan: plan("pro"),
                interval: Interval::Year,
            },
        ),
        (
            with_units("plain", 1),
            Rejection::UnitsNotOffered { plan: plan("plain") },
        ),
        (
            with_units("pro", 11),
            Rejection::TooManyUnits {
                plan: plan("pro"),
                requested: 11,
                limit: 10,
            },
        ),
    ] {
        assert_eq!(books.post(Action::Subscribe(new)), Err(refused));
    }
    assert!(books.posted.is_empty());
}

#[test]
fn an_account_has_at_most_a_hundred_live_subscriptions() {
    let mut books = Books::with_program(jan(1), "plans.pro = {}");
    let ids: Vec<SubscriptionId> = (0..100).map(|_| books.subscribe("pro")).collect();
    let refused = Rejection::TooManySubscriptions { live: 100, limit: 100 };
    assert_eq!(books.post(Action::Subscribe(subscribing("pro"))), Err(refused));
    books.change(cancelling(ids[0], true));
    books.now = jan(32);
    books.subscribe("pro");
}
