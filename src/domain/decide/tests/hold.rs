//! Holds: placed, captured, voided, and refused by name.

use super::*;
use crate::domain::hold;
use LedgerAccount::{Consumed, Held, Plan};

/// 40 of a plan and 20 of a balance, of which 50 are held.
fn held() -> (Books, [GrantId; 2], Transaction) {
    let mut books = Books::new(jan(1));
    let grants = [
        books.grant(credits(Class::Plan, 40)),
        books.grant(credits(Class::Balance, 20)),
    ];
    let hold = books.hold(50);
    (books, grants, hold)
}

#[test]
fn a_hold_sets_exact_credits_on_exact_grants_aside() {
    let (books, [plan, balance], hold) = held();
    assert_eq!((hold.kind, hold.amount, hold.available_after), (Kind::Hold, 50, 10));
    assert_eq!(pairs(hold.drawn()), [(plan, 40), (balance, 10)]);
    assert_eq!(moves(&hold), [(Plan, Held, 40), (LedgerAccount::Balance, Held, 10)]);
    let kept = books.held(&hold);
    assert_eq!(pairs(kept.drawdown.clone()), [(plan, 40), (balance, 10)]);
    assert_eq!((kept.status, kept.amount, kept.captured), (hold::Status::Held, 50, 0));
    assert_eq!(
        (kept.created_at, kept.expires_at),
        (jan(1), jan(1) + Duration::minutes(15))
    );
    assert_eq!((books.balance().available, books.balance().held), (10, 50));
    assert_eq!(books.used(), 0, "nothing is used before it is captured");
}

#[test]
fn what_is_held_is_neither_spent_nor_held_again() {
    let (mut books, [plan, balance], _) = held();
    assert_eq!(books.try_spend(spending(11)), Err(insufficient(11, 10)));
    assert_eq!(books.post(Action::PlaceHold(holding(11))), Err(insufficient(11, 10)));
    assert_eq!(pairs(books.spend(4).drawn()), [(balance, 4)]);
    assert_eq!(pairs(books.hold(6).drawn()), [(balance, 6)]);
    assert_eq!((books.remaining(plan), books.remaining(balance)), (40, 16));
    assert_eq!(books.balance().held, 56);
}

#[test]
fn a_capture_of_the_whole_spends_it() {
    let (mut books, [plan, balance], hold) = held();
    let spend = books.capture(&hold, None).expect("it is captured");
    assert_eq!((spend.kind, spend.amount, spend.available_after), (Kind::Spend, 50, 10));
    assert_eq!(pairs(spend.drawn()), [(plan, 40), (balance, 10)]);
    assert_eq!(
        moves(&spend),
        [
            (Held, Plan, 40),
            (Held, LedgerAccount::Balance, 10),
            (Plan, Consumed, 40),
            (LedgerAccount::Balance, Consumed, 10)
        ]
    );
    assert_eq!(spend.subject, Some(hold.id.0));
    let kept = books.held(&hold);
    assert_eq!((kept.status, kept.captured), (hold::Status::Captured, 50));
    assert_eq!(kept.closed_at, Some(jan(1)));
    assert_eq!((books.balance().held, books.used()), (0, 50));
}

#[test]
fn a_capture_of_a_part_gives_the_rest_back() {
    let (mut books, [plan, balance], hold) = held();
    let spend = books.capture(&hold, Some(30)).expect("it is captured");
    assert_eq!((spend.amount, spend.available_after), (30, 30));
    assert_eq!(pairs(spend.drawn()), [(plan, 30)], "in the order in which it was held");
    assert_eq!((books.remaining(plan), books.remaining(balance)), (10, 20));
    assert_eq!((books.held(&hold).captured, books.used()), (30, 30));
    assert_eq!(books.spend(30).available_after, 0);
}

#[test]
fn a_capture_of_more_must_be_allowed_and_be_there() {
    let (mut books, [plan, balance], hold) = held();
    let exceeds = Rejection::CaptureExceedsHold {
        held: 50,
        requested: 55,
    };
    assert_eq!(books.capture(&hold, Some(55)), Err(exceeds));
    // The 11 above the 50 find 10.
    assert_eq!(books.capture_over(&hold, 61), Err(insufficient(11, 10)));
    assert_eq!(books.held(&hold).status, hold::Status::Held, "a refusal leaves it open");
    let spend = books.capture_over(&hold, 55).expect("it is captured");
    assert_eq!((spend.amount, spend.available_after), (55, 5));
    assert_eq!(pairs(spend.drawn()), [(plan, 40), (balance, 10), (balance, 5)]);
    assert_eq!((books.held(&hold).captured, books.used()), (55, 55));
}

#[test]
fn what_is_captured_over_the_hold_follows_the_spending_order_of_now() {
    let mut books = Books::new(jan(1));
    let balance = books.grant(credits(Class::Balance, 20));
    let hold = books.hold(10);
    let plan = books.grant(credits(Class::Plan, 4));
    let spend = books.capture_over(&hold, 17).expect("it is captured");
    assert_eq!(pairs(spend.drawn()), [(balance, 10), (plan, 4), (balance, 3)]);
}

#[test]
fn a_void_gives_all_back() {
    let (mut books, [plan, balance], hold) = held();
    let void = books.void(&hold).expect("it is voided");
    assert_eq!((void.kind, void.amount, void.available_after), (Kind::Void, 50, 60));
    assert_eq!(pairs(void.returned()), [(plan, 40), (balance, 10)]);
    assert_eq!(void.subject, Some(hold.id.0));
    assert_eq!(books.held(&hold).status, hold::Status::Voided);
    assert_eq!((books.balance().held, books.used()), (0, 0));
}

#[test]
fn what_is_closed_is_neither_captured_nor_voided_again() {
    let (mut books, _, hold) = held();
    books.capture(&hold, Some(30)).expect("it is captured");
    let captured = Rejection::HoldAlreadyCaptured {
        hold_id: hold.id,
        captured: 30,
    };
    assert_eq!(books.capture(&hold, Some(1)), Err(captured.clone()));
    assert_eq!(books.void(&hold), Err(captured));

    let (mut books, _, hold) = held();
    books.void(&hold).expect("it is voided");
    let voided = Rejection::HoldAlreadyVoided { hold_id: hold.id };
    assert_eq!(books.capture(&hold, None), Err(voided.clone()));
    assert_eq!(books.void(&hold), Err(voided));

    let spend = books.spend(1);
    let unknown = Rejection::HoldNotFound { hold_id: spend.id };
    assert_eq!(books.capture(&spend, None), Err(unknown.clone()));
    assert_eq!(books.void(&spend), Err(unknown));
}

#[test]
fn a_hold_frees_itself_at_its_deadline_and_not_before() {
    let deadline = jan(1) + Duration::minutes(15);
    let (mut books, _, hold) = held();
    books.now = deadline - TICK;
    assert_eq!(books.balance().held, 50);
    assert!(books.capture(&hold, None).is_ok());

    let (mut books, _, hold) = held();
    books.now = deadline;
    assert_eq!((books.balance().available, books.balance().held), (60, 0));
    let expired = Rejection::HoldExpired {
        hold_id: hold.id,
        expired_at: deadline,
    };
    assert_eq!(books.capture(&hold, None), Err(expired.clone()));
    assert_eq!(books.void(&hold), Err(expired.clone()));
    // Whoever comes first posts it, dated right, and once.
    books.now = jan(3);
    let before = books.posted.len();
    books.spend(60);
    books.run_due();
    assert_eq!(
        books.since(before),
        [(Kind::HoldExpiry, 50, deadline), (Kind::Spend, 60, jan(3))]
    );
    assert_eq!(books.posted[before].created_at, jan(3));
    assert_eq!(books.posted[before].subject, Some(hold.id.0));
    assert_eq!(books.held(&hold).status, hold::Status::Expired);
    assert_eq!(books.capture(&hold, None), Err(expired));
}

#[test]
fn a_hold_lasts_as_it_asks_within_the_programs_limit() {
    let asking = |expires_in_s| PlaceHold {
        expires_in_s,
        ..holding(1)
    };
    for (program, asks, lasts) in [
        ("", None, Ok(900)),
        ("", Some(604_800), Ok(604_800)),
        ("", Some(604_801), Err((604_801, 604_800))),
        ("holds = { expires_in_s = 60, expires_in_s_max = 3600 }", None, Ok(60)),
        ("holds = { expires_in_s = 60, expires_in_s_max = 3600 }", Some(1), Ok(1)),
        (
            "holds = { expires_in_s = 60, expires_in_s_max = 3600 }",
            Some(3601),
            Err((3601, 3600)),
        ),
    ] {
        let mut books = Books::with_program(jan(1), program);
        books.grant(credits(Class::Plan, 10));
        let placed = books.post(Action::PlaceHold(asking(asks)));
        let seen = placed.map(|hold| (books.held(&hold).expires_at - jan(1)).num_seconds());
        let expected = lasts.map_err(|(requested, limit)| Rejection::HoldTooLong { requested, limit });
        assert_eq!(seen, expected, "{program} {asks:?}");
    }
}

#[test]
fn a_partial_hold_holds_what_there_is() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 30));
    let some = PlaceHold {
        partial: true,
        ..holding(50)
    };
    let hold = books.post(Action::PlaceHold(some.clone())).expect("it is held");
    assert_eq!((hold.amount, hold.detail.requested), (30, Some(50)));
    assert_eq!(books.post(Action::PlaceHold(some)), Err(insufficient(50, 0)));
    assert_eq!(books.capture(&hold, None).expect("it is captured").amount, 30);
}

#[test]
fn two_holds_on_a_grant_are_freed_each_by_itself() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(credits(Class::Plan, 30));
    let (first, second) = (books.hold(10), books.hold(15));
    assert_eq!(books.void(&first).expect("it is voided").available_after, 15);
    assert_eq!(books.balance().held, 15);
    books.capture(&second, Some(5)).expect("it is captured");
    assert_eq!((books.remaining(plan), books.balance().held), (25, 0));
}

#[test]
fn a_revocation_leaves_what_is_held() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(credits(Class::Plan, 50));
    let hold = books.hold(30);
    let revoked = books.revoke(plan).expect("20 are free");
    assert_eq!((revoked.amount, revoked.available_after), (20, 0));
    let refused = Rejection::GrantHeld {
        grant_id: plan,
        held: 30,
    };
    assert_eq!(books.revoke(plan), Err(refused));
    // What was not needed is the account's again, and can be revoked in its turn.
    books.capture(&hold, Some(12)).expect("it is captured");
    assert_eq!(books.balance().available, 18);
    assert_eq!(books.revoke(plan).expect("18 are free").amount, 18);
}

#[test]
fn a_capture_keeps_what_the_hold_was_for() {
    let mut books = Books::new(jan(1));
    let images = books.grant(GrantCredits {
        applies_to: Some(vec!["image".to_owned()]),
        ..credits(Class::Plan, 10)
    });
    books.grant(credits(Class::Balance, 10));
    let placed = PlaceHold {
        charge: Charge {
            operation: Some("image".to_owned()),
            member: Some("ann".to_owned()),
            ..charge(6)
        },
        ..holding(6)
    };
    let hold = books.post(Action::PlaceHold(placed)).expect("it is held");
    assert_eq!(pairs(hold.drawn()), [(images, 6)]);
    let spend = books.capture_over(&hold, 9).expect("it is captured");
    assert_eq!(pairs(spend.drawn()), [(images, 6), (images, 3)]);
    let detail = &spend.detail;
    assert_eq!(
        (detail.operation.as_deref(), detail.member.as_deref()),
        (Some("image"), Some("ann"))
    );
}

#[test]
fn a_captured_spend_is_refunded_like_any_other() {
    let (mut books, [plan, balance], hold) = held();
    let spend = books.capture_over(&hold, 55).expect("it is captured");
    assert_eq!(pairs(books.refund(&spend, 7).returned()), [(balance, 5), (balance, 2)]);
    let rest = books.try_refund(&spend, None).expect("48 are left");
    assert_eq!(pairs(rest.returned()), [(balance, 8), (plan, 40)]);
    assert_eq!((rest.available_after, books.used()), (60, 0));
}
