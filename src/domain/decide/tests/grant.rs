//! Grants: their life, and the limits of an account.

use super::*;
use crate::domain::{credits::CREDITS_MAX, decide::GRANTS_OPEN_MAX};

#[test]
fn a_grant_is_as_it_was_ordered() {
    let mut books = Books::new(jan(1));
    books.put_program(7, "");
    let ordered = GrantCredits {
        origin: Origin::Import,
        expires_at: Some(jan(31)),
        priority: -5,
        applies_to: Some(vec!["image".to_owned()]),
        paid: Some(money(500)),
        reason: Some("moved over".to_owned()),
        ..credits(Class::Addon, 25)
    };
    let transaction = books.post(Action::Grant(ordered)).expect("it is granted");
    let grant = &transaction.new_grants[0];
    assert_eq!(
        (grant.class, grant.origin, grant.priority),
        (Class::Addon, Origin::Import, -5)
    );
    assert_eq!((grant.amount, grant.remaining), (25, 25));
    assert_eq!((grant.effective_at, grant.expires_at), (jan(1), Some(jan(31))));
    assert_eq!(grant.applies_to, Some(vec!["image".to_owned()]));
    assert_eq!((grant.paid.clone(), grant.program_version), (Some(money(500)), Some(7)));
    assert_eq!(grant.transaction_id, transaction.id);
    assert_eq!((transaction.kind, transaction.amount), (Kind::Grant, 25));
    assert_eq!(transaction.reason.as_deref(), Some("moved over"));
    assert_eq!(transaction.available_after, 25);
    assert_eq!(moves(&transaction), [(LedgerAccount::Issued, LedgerAccount::Addon, 25)]);
}

#[test]
fn a_grant_ends_after_it_begins() {
    let mut books = Books::new(jan(10));
    for (effective_at, expires_at) in [
        (None, jan(10)),
        (None, jan(9)),
        (Some(jan(20)), jan(20)),
        (Some(jan(20)), jan(19)),
    ] {
        let refused = books.post(Action::Grant(GrantCredits {
            effective_at,
            expires_at: Some(expires_at),
            ..credits(Class::Plan, 1)
        }));
        let effective_at = effective_at.unwrap_or(jan(10));
        let expected = Rejection::GrantWithoutLife {
            effective_at,
            expires_at,
        };
        assert_eq!(refused, Err(expected));
    }
    books.grant(GrantCredits {
        expires_at: Some(jan(10) + TICK),
        ..credits(Class::Plan, 1)
    });
    assert_eq!(books.balance().available, 1);
}

#[test]
fn a_grant_of_the_future_and_one_of_the_past_are_not_available() {
    let mut books = Books::new(jan(10));
    let later = books.post(Action::Grant(GrantCredits {
        effective_at: Some(jan(11)),
        ..credits(Class::Plan, 5)
    }));
    assert_eq!(later.expect("it is granted").available_after, 0);
    let over = books.post(Action::Grant(GrantCredits {
        effective_at: Some(jan(1)),
        expires_at: Some(jan(10)),
        ..credits(Class::Plan, 7)
    }));
    assert_eq!(over.expect("it is granted").available_after, 0);
    books.now = jan(11);
    assert_eq!(books.spend(5).available_after, 0);
}

#[test]
fn an_account_holds_no_more_than_a_json_number() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, CREDITS_MAX - 10));
    let refused = books.post(Action::Grant(credits(Class::Balance, 11)));
    let expected = Rejection::AccountFull {
        would_hold: CREDITS_MAX + 1,
        limit: CREDITS_MAX,
    };
    assert_eq!(refused, Err(expected));
    books.grant(credits(Class::Balance, 10));
    assert_eq!(books.balance().available, CREDITS_MAX);

    // What a refund would bring back beyond the limit waits until there is room.
    let spend = books.spend(20);
    let filled = books.grant(credits(Class::Balance, 20));
    assert!(matches!(
        books.try_refund(&spend, Some(1)),
        Err(Rejection::AccountFull { .. })
    ));
    books.revoke(filled).expect("it is revoked");
    assert_eq!(books.refund(&spend, 20).available_after, CREDITS_MAX);
}

#[test]
fn what_has_expired_makes_room() {
    let mut books = Books::new(jan(1));
    books.grant(GrantCredits {
        expires_at: Some(jan(2)),
        ..credits(Class::Plan, CREDITS_MAX)
    });
    books.now = jan(2) - TICK;
    assert!(books.post(Action::Grant(credits(Class::Plan, 1))).is_err());
    books.now = jan(2);
    books.grant(credits(Class::Plan, 1));
    assert_eq!(books.balance().available, 1);
}

#[test]
fn an_account_has_at_most_ten_thousand_open_grants() {
    let mut books = Books::new(jan(1));
    let first = books.grant(credits(Class::Plan, 1));
    let model = books.grants[0].clone();
    // Put there directly: the check after each posting looks at every grant.
    let more = (1..GRANTS_OPEN_MAX).map(|n| Grant {
        id: GrantId(Uuid::from_u128(1_000_000 + n as u128)),
        ..model.clone()
    });
    let mut state = books.load(&Action::Grant(credits(Class::Plan, 1)));
    state.grants.extend(more);
    let mut context = Context {
        now: jan(1),
        booked_at: jan(1),
        program: books.programs.current().0,
        program_version: None,
        ids: &mut Counted(500),
    };
    let grant = Command {
        actor: None,
        idempotency: None,
        dry_run: false,
        action: Action::Grant(credits(Class::Plan, 1)),
    };
    let expected = Rejection::TooManyGrants {
        open: 10_000,
        limit: 10_000,
    };
    assert_eq!(decide(&state, &grant, &mut context), Err(expected));
    let spend = Command {
        action: Action::Spend(spending(1)),
        ..grant.clone()
    };
    let spend = decide(&state, &spend, &mut context).expect("a spend makes no grant");
    assert_eq!(pairs(spend.drawn()), [(first, 1)]);
    state.apply(&spend, jan(1));
    assert!(decide(&state, &grant, &mut context).is_ok(), "one was drained");
}

#[test]
fn a_plans_grant_is_one_cycle_of_it() {
    let toml = "plans.pro = { allowance = 500 }\nplans.team = { allowance = 6000, interval = \"year\" }";
    let now = at("2028-01-31T09:30:00Z");
    let mut books = Books::with_program(now, toml);
    let of = |plan: &str, effective_at| {
        Action::GrantPlan(GrantPlan {
            plan: plan.to_owned(),
            effective_at,
            priority: 2,
            applies_to: None,
            paid: None,
            reason: None,
        })
    };
    for (plan, effective_at, allowance, end) in [
        ("pro", None, 500, "2028-02-29T09:30:00Z"),
        ("team", None, 6000, "2029-01-31T09:30:00Z"),
        ("pro", Some(at("2028-03-31T00:00:00Z")), 500, "2028-04-30T00:00:00Z"),
        ("team", Some(at("2028-02-29T00:00:00Z")), 6000, "2029-02-28T00:00:00Z"),
    ] {
        let granted = books.post(of(plan, effective_at)).expect("it is granted");
        let grant = &granted.new_grants[0];
        assert_eq!((grant.class, grant.origin), (Class::Plan, Origin::Allocation));
        assert_eq!(
            (grant.amount, grant.priority, grant.program_version),
            (allowance, 2, Some(1))
        );
        assert_eq!(grant.effective_at, effective_at.unwrap_or(now));
        assert_eq!(grant.expires_at, Some(at(end)), "{plan}");
    }
    let unknown = Rejection::UnknownPlan {
        plan: "gold".to_owned(),
    };
    assert_eq!(books.post(of("gold", None)), Err(unknown));
}
