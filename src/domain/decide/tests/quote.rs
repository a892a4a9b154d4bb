//! Quotes: price, drawdown and room in the caps, honoured for a while.

use super::*;
use crate::domain::quote::Quote;

const V1: &str = "operations.image = { prices = [{ fixed = 5 }] }";
const V2: &str = "operations.image = { prices = [{ fixed = 8 }] }";

fn image() -> Charge {
    Charge {
        operation: Some("image".to_owned()),
        ..Charge::default()
    }
}

fn with(quote: &Quote) -> SpendCredits {
    charging(Charge {
        quote_id: Some(quote.id),
        ..Charge::default()
    })
}

fn books(program: &str) -> Books {
    let mut books = Books::with_program(jan(1), program);
    books.grant(credits(Class::Balance, 100));
    books
}

#[test]
fn a_quote_says_the_price_who_would_pay_and_where_the_caps_stand() {
    let mut books = books(&format!(
        "{V1}\ncaps = [{{ window = \"day\", limit = 75 }}]\nquotes.expires_in_s = 60"
    ));
    books.spend(10);
    let quote = books.quote(&image()).expect("a quote");
    assert_eq!(
        (quote.amount, quote.affordable, quote.program_version),
        (5, true, Some(1))
    );
    assert_eq!(pairs(quote.drawdown.clone()), [(books.grants[0].id, 5)]);
    assert_eq!(
        (quote.caps[0].limit, quote.caps[0].used, quote.caps[0].resets_at),
        (75, 10, jan(2))
    );
    assert_eq!(quote.expires_at, jan(1) + Duration::seconds(60));
    assert_eq!(books.balance().held, 0, "nothing is set aside");
}

#[test]
fn a_quoted_price_is_kept_when_the_program_changes() {
    let mut books = books(V1);
    let [first, second] = [0, 1].map(|_| books.quote(&image()).expect("a quote"));
    books.now += Duration::minutes(4);
    books.put_program(2, V2);
    let spend = books.try_spend(with(&first)).expect("it is honoured");
    assert_eq!((spend.amount, spend.detail.quote_id), (5, Some(first.id)));
    assert_eq!(spend.detail.operation.as_deref(), Some("image"));
    let hold = PlaceHold {
        charge: with(&second).charge,
        ..holding(1)
    };
    assert_eq!(books.post(Action::PlaceHold(hold)).expect("it is honoured").amount, 5);
    assert_eq!(books.try_spend(charging(image())).expect("the new price").amount, 8);
    // Even when the operation is gone.
    let third = books.quote(&image()).expect("a quote");
    books.put_program(3, "");
    assert_eq!(books.try_spend(with(&third)).expect("it is honoured").amount, 8);
}

#[test]
fn the_quoted_grants_pay_as_long_as_they_can_else_the_spending_order() {
    for (drained, expected) in [(0, "quoted"), (95, "quoted"), (96, "order"), (100, "order")] {
        let mut books = books(V1);
        let balance = books.grants[0].id;
        let quote = books.quote(&image()).expect("a quote");
        books.spend(drained.max(1));
        // It would pay first.
        let plan = books.grant(credits(Class::Plan, 50));
        let spend = books.try_spend(with(&quote)).expect("it is honoured");
        let payer = if expected == "quoted" { balance } else { plan };
        assert_eq!(pairs(spend.drawn()), [(payer, 5)], "{drained}");
    }
}

#[test]
fn a_quoted_grant_that_expired_pays_no_more() {
    let mut books = Books::with_program(jan(1), V1);
    books.grant(ending(Class::Plan, 50, jan(1) + Duration::minutes(2)));
    let balance = books.grant(credits(Class::Balance, 50));
    let quote = books.quote(&image()).expect("a quote");
    books.now += Duration::minutes(2);
    let spend = books.try_spend(with(&quote)).expect("it is honoured");
    assert_eq!(pairs(spend.drawn()), [(balance, 5)]);
}

#[test]
fn a_quote_is_no_promise_of_credits() {
    let mut books = books(V1);
    let quote = books.quote(&image()).expect("a quote");
    books.spend(98);
    assert_eq!(books.try_spend(with(&quote)), Err(insufficient(5, 2)));
    // Refused, it is not used up.
    books.grant(credits(Class::Balance, 3));
    assert_eq!(
        books.try_spend(with(&quote)).expect("it is honoured").available_after,
        0
    );
}

#[test]
fn a_cap_that_had_room_when_it_was_quoted_does_not_bar_it() {
    let capped = format!("{V1}\ncaps = [{{ window = \"day\", limit = 10 }}]");
    let mut books = books(&capped);
    let quote = books.quote(&image()).expect("a quote");
    books.spend(10);
    assert_eq!(books.try_spend(with(&quote)).expect("it is honoured").amount, 5);
    // It counts all the same, and one without room when it was quoted is barred.
    let late = books.quote(&image()).expect("a quote");
    assert_eq!((late.affordable, late.caps[0].used), (false, 15));
    assert!(matches!(
        books.try_spend(with(&late)),
        Err(Rejection::CapExceeded { used: 15, .. })
    ));
    books.now = jan(2) - Duration::minutes(1);
    let late = books.quote(&image()).expect("a quote");
    books.now = jan(2);
    assert_eq!(books.try_spend(with(&late)).expect("a new day").amount, 5);
}

#[test]
fn a_members_cap_that_was_not_asked_when_it_was_quoted_is_asked_when_it_is_spent() {
    let capped = format!("{V1}\ncaps = [{{ window = \"day\", limit = 10, per = \"member\" }}]");
    let mut books = books(&capped);
    books.try_spend(spending_by("ann", 10)).expect("it fits");
    let anyones = books.quote(&image()).expect("a quote");
    let anns = SpendCredits {
        charge: Charge {
            member: Some("ann".to_owned()),
            ..with(&anyones).charge
        },
        ..with(&anyones)
    };
    let refused = books.try_spend(anns);
    assert!(
        matches!(refused, Err(Rejection::CapExceeded { used: 10, .. })),
        "{refused:?}"
    );
}

#[test]
fn a_quote_that_could_not_be_afforded_keeps_its_price_alone() {
    let mut books = Books::with_program(jan(1), V1);
    let plan = books.grant(credits(Class::Plan, 2));
    let quote = books.quote(&image()).expect("a quote");
    assert!(!quote.affordable);
    assert_eq!(pairs(quote.drawdown.clone()), [(plan, 2)]);
    books.put_program(2, V2);
    let balance = books.grant(credits(Class::Balance, 50));
    let spend = books.try_spend(with(&quote)).expect("it is honoured");
    assert_eq!(pairs(spend.drawn()), [(plan, 2), (balance, 3)]);
}

#[test]
fn a_quote_lapses() {
    let mut books = books(V1);
    let quote = books.quote(&image()).expect("a quote");
    let end = jan(1) + Duration::minutes(5);
    books.now = end;
    let lapsed = Rejection::QuoteExpired {
        quote_id: quote.id,
        expired_at: end,
    };
    assert_eq!(books.try_spend(with(&quote)), Err(lapsed));
    books.now = end - TICK;
    assert!(books.try_spend(with(&quote)).is_ok());
}

#[test]
fn a_quote_is_used_once() {
    let mut books = books(V1);
    let quote = books.quote(&image()).expect("a quote");
    let spend = books.try_spend(with(&quote)).expect("it is honoured");
    let used = Rejection::QuoteAlreadyUsed {
        quote_id: quote.id,
        used_by: spend.id,
    };
    assert_eq!(books.try_spend(with(&quote)), Err(used.clone()));
    let hold = PlaceHold {
        charge: with(&quote).charge,
        ..holding(1)
    };
    assert_eq!(books.post(Action::PlaceHold(hold)), Err(used));
    let unknown = QuoteId(Uuid::from_u128(404));
    let charge = Charge {
        quote_id: Some(unknown),
        ..Charge::default()
    };
    assert_eq!(
        books.try_spend(charging(charge)),
        Err(Rejection::QuoteNotFound { quote_id: unknown })
    );
}

#[test]
fn a_quote_is_for_what_was_quoted() {
    let mut books = books(V1);
    let asked = Charge {
        member: Some("ann".to_owned()),
        ..image()
    };
    let quote = books.quote(&asked).expect("a quote");
    let base = with(&quote).charge;
    let differs = Rejection::QuoteDiffers {
        quote_id: quote.id,
        quoted_amount: 5,
    };
    for other in [
        Charge {
            amount: Some(amount(4)),
            ..base.clone()
        },
        Charge {
            operation: Some("video".to_owned()),
            ..base.clone()
        },
        Charge {
            member: Some("bob".to_owned()),
            ..base.clone()
        },
    ] {
        assert_eq!(books.try_spend(charging(other)), Err(differs.clone()));
    }
    let repeated = Charge {
        amount: Some(amount(5)),
        quote_id: base.quote_id,
        ..asked
    };
    let spend = books.try_spend(charging(repeated)).expect("it is the same");
    assert_eq!(spend.detail.member.as_deref(), Some("ann"));
}

#[test]
fn an_amount_can_be_quoted_too() {
    let mut books = books(V1);
    let quote = books.quote(&charge(30)).expect("a quote");
    assert_eq!((quote.amount, quote.operation.clone()), (30, None));
    let spend = books.try_spend(with(&quote)).expect("it is honoured");
    assert_eq!((spend.amount, spend.available_after), (30, 70));
    assert!(matches!(
        books.quote(&Charge::default()),
        Err(Rejection::UnknownOperation { .. })
    ));
}

#[test]
fn a_quote_sees_what_fell_due() {
    let mut books = Books::with_program(jan(1), "plans.pro = { allowance = 500 }");
    books.subscribe("pro");
    books.spend(500);
    books.now = jan(32);
    let quote = books.quote(&charge(400)).expect("a quote");
    let renewed = books.grants.last().expect("a grant").id;
    assert_eq!(pairs(quote.drawdown.clone()), [(renewed, 400)]);
    let spend = books.try_spend(with(&quote)).expect("it is honoured");
    assert_eq!(pairs(spend.drawn()), [(renewed, 400)]);
}
