//! Spends: what may be drawn, how much, and what is said of it.

use super::*;

#[test]
fn a_grant_is_spendable_from_its_start_until_just_before_its_end() {
    let (start, end) = (jan(10), jan(20));
    for (now, available) in [
        (start - TICK, 0),
        (start, 10),
        (end - TICK, 10),
        (end, 0),
        (end + TICK, 0),
    ] {
        let mut books = Books::new(jan(1));
        books.grant(GrantCredits {
            effective_at: Some(start),
            expires_at: Some(end),
            ..credits(Class::Plan, 10)
        });
        books.now = now;
        assert_eq!(books.balance().available, available, "{now}");
        let spent = books.try_spend(spending(10));
        if available == 10 {
            assert_eq!(spent.expect("it is spent").available_after, 0, "{now}");
        } else {
            assert_eq!(spent, Err(insufficient(10, 0)), "{now}");
        }
    }
}

#[test]
fn a_spend_takes_all_or_nothing() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(credits(Class::Plan, 40));
    let balance = books.grant(credits(Class::Balance, 20));
    let before = books.posted.len();
    assert_eq!(books.try_spend(spending(61)), Err(insufficient(61, 60)));
    assert_eq!((books.posted.len(), books.balance().available), (before, 60));

    let spend = books.spend(60);
    assert_eq!(pairs(spend.drawn()), [(plan, 40), (balance, 20)]);
    assert_eq!((spend.kind, spend.amount, spend.available_after), (Kind::Spend, 60, 0));
    assert_eq!(
        moves(&spend),
        [
            (LedgerAccount::Plan, LedgerAccount::Consumed, 40),
            (LedgerAccount::Balance, LedgerAccount::Consumed, 20)
        ]
    );
    assert_eq!(books.try_spend(spending(1)), Err(insufficient(1, 0)));
}

#[test]
fn a_spend_draws_no_further_than_it_must() {
    let mut books = Books::new(jan(1));
    let plan = books.grant(credits(Class::Plan, 40));
    let addon = books.grant(credits(Class::Addon, 20));
    assert_eq!(pairs(books.spend(40).drawn()), [(plan, 40)]);
    let spend = books.spend(1);
    assert_eq!((pairs(spend.drawn()), spend.available_after), (vec![(addon, 1)], 19));
    assert_eq!(books.remaining(plan), 0);
}

#[test]
fn a_partial_spend_takes_what_there_is() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 30));
    let enough = books.try_spend(partial(10)).expect("there is enough");
    assert_eq!((enough.amount, enough.detail.requested), (10, Some(10)));
    let rest = books.try_spend(partial(50)).expect("there is some");
    assert_eq!(
        (rest.amount, rest.detail.requested, rest.available_after),
        (20, Some(50), 0)
    );
    assert_eq!(books.try_spend(partial(50)), Err(insufficient(50, 0)));
}

#[test]
fn a_whole_spend_does_not_say_what_was_requested() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 30));
    assert_eq!(books.spend(10).detail.requested, None);
}

#[test]
fn a_restricted_grant_pays_for_its_operations_alone() {
    let mut books = Books::new(jan(1));
    let images = books.grant(GrantCredits {
        applies_to: Some(vec!["image".to_owned(), "video".to_owned()]),
        ..credits(Class::Plan, 10)
    });
    let all = books.grant(credits(Class::Balance, 5));
    for operation in [None, Some("chat"), Some("imag"), Some("Image"), Some("")] {
        assert_eq!(
            books.try_spend(spending_on(operation, 6)),
            Err(insufficient(6, 5)),
            "{operation:?}"
        );
    }
    let video = books.try_spend(spending_on(Some("video"), 4)).expect("it applies");
    assert_eq!(pairs(video.drawn()), [(images, 4)]);
    assert_eq!(video.detail.operation.as_deref(), Some("video"));
    let image = books.try_spend(spending_on(Some("image"), 8)).expect("both together");
    assert_eq!(pairs(image.drawn()), [(images, 6), (all, 2)]);
    assert_eq!(
        books
            .try_spend(spending_on(None, 3))
            .expect("it is spent")
            .available_after,
        0
    );
}

#[test]
fn what_a_spend_leaves_counts_restricted_grants_and_no_later_ones() {
    let mut books = Books::new(jan(1));
    books.grant(GrantCredits {
        applies_to: Some(vec!["image".to_owned()]),
        ..credits(Class::Plan, 10)
    });
    books.grant(credits(Class::Balance, 5));
    books.grant(GrantCredits {
        effective_at: Some(jan(2)),
        ..credits(Class::Balance, 1000)
    });
    assert_eq!(books.spend(3).available_after, 12);
}

#[test]
fn a_spend_remembers_what_the_caller_said() {
    let mut books = Books::new(jan(1));
    books.grant(credits(Class::Plan, 30));
    let metadata = serde_json::json!({"job": 7}).as_object().cloned();
    let spend = books
        .try_spend(SpendCredits {
            charge: Charge {
                operation: Some("image".to_owned()),
                member: Some("ann".to_owned()),
                ..charge(3)
            },
            metadata: metadata.clone(),
            ..spending(3)
        })
        .expect("it is spent");
    assert_eq!(spend.detail.member.as_deref(), Some("ann"));
    assert_eq!(spend.detail.metadata, metadata);
    assert_eq!((spend.created_at, spend.effective_at), (jan(1), jan(1)));
}
