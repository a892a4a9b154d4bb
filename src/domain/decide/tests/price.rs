//! What spends and holds cost: an amount, or the price of an operation.

use super::*;
use crate::domain::program::{Operation, Wanted};

const PRICES: &str = "operations.image = { prices = [{ fixed = 5 }] }
    operations.second = { prices = [{ per = { quantity = { credits = 3 } } }] }
    operations.training = { prices = [{ fixed = 100 }], paid_by = [\"addon\", \"balance\"] }";

fn on_operation(operation: &str) -> Charge {
    Charge {
        operation: Some(operation.to_owned()),
        ..Charge::default()
    }
}

fn many(operation: &str, quantity: i64) -> Charge {
    Charge {
        wanted: Some(Wanted {
            quantity,
            ..Wanted::one()
        }),
        ..on_operation(operation)
    }
}

fn books() -> Books {
    let mut books = Books::with_program(jan(1), PRICES);
    let without_price = Operation {
        name: None,
        prices: Vec::new(),
        paid_by: None,
    };
    let operations = &mut books.versions[0].program.operations;
    operations.insert("free_text".to_owned(), without_price);
    books.programs = ProgramHistory::new(books.versions.clone());
    books.grant(credits(Class::Plan, 200));
    books.grant(credits(Class::Balance, 150));
    books
}

#[test]
fn a_spend_without_an_amount_costs_what_its_operation_does() {
    let mut books = books();
    for (charge, price, quantity) in [
        (on_operation("image"), 5, None),
        (on_operation("second"), 3, None),
        (many("second", 20), 60, Some(20)),
    ] {
        let spend = books.try_spend(charging(charge.clone())).expect("it is spent");
        assert_eq!(spend.amount, price, "{charge:?}");
        // That one is wanted goes without saying.
        let wanted = spend.detail.wanted.map(|wanted| wanted.quantity);
        assert_eq!((wanted, spend.detail.operation), (quantity, charge.operation));
    }
    let hold = PlaceHold {
        charge: many("second", 10),
        ..holding(1)
    };
    assert_eq!(books.post(Action::PlaceHold(hold)).expect("it is held").amount, 30);
}

#[test]
fn an_amount_goes_before_the_price() {
    let mut books = books();
    let spend = books.try_spend(spending_on(Some("image"), 2)).expect("it is spent");
    assert_eq!((spend.amount, spend.detail.wanted), (2, None));
    let unknown = books.try_spend(spending_on(Some("poem"), 2)).expect("it is spent");
    assert_eq!(unknown.detail.operation.as_deref(), Some("poem"));
}

#[test]
fn what_has_no_price_needs_an_amount() {
    let mut books = books();
    for operation in ["poem", "Image", ""] {
        let refused = Rejection::UnknownOperation {
            operation: operation.to_owned(),
        };
        assert_eq!(books.try_spend(charging(on_operation(operation))), Err(refused));
    }
    let refused = books
        .try_spend(charging(on_operation("free_text")))
        .expect_err("no price");
    assert_eq!(refused.code(), "no_price");
    assert!(matches!(refused, Rejection::Unpriced { operation, .. } if operation == "free_text"));
    assert!(books.try_spend(spending_on(Some("free_text"), 7)).is_ok());
}

#[test]
fn an_operation_may_be_paid_by_some_classes_alone() {
    let mut books = books();
    let balance = books.grants[1].id;
    let spend = books
        .try_spend(charging(on_operation("training")))
        .expect("it is spent");
    assert_eq!(pairs(spend.drawn()), [(balance, 100)], "the plan has 200");
    assert_eq!(
        books.try_spend(charging(on_operation("training"))),
        Err(insufficient(100, 50))
    );
    // An amount changes nothing about who pays.
    assert_eq!(
        books.try_spend(spending_on(Some("training"), 51)),
        Err(insufficient(51, 50))
    );
    let hold = PlaceHold {
        charge: spending_on(Some("training"), 10).charge,
        ..holding(10)
    };
    let hold = books.post(Action::PlaceHold(hold)).expect("it is held");
    assert_eq!(books.capture_over(&hold, 51), Err(insufficient(41, 40)));
    assert_eq!(
        pairs(books.capture_over(&hold, 50).expect("50").drawn()),
        [(balance, 10), (balance, 40)]
    );
}

#[test]
fn the_price_is_that_of_the_program_in_force() {
    let mut books = books();
    books.now = jan(2);
    books.put_program(2, "operations.image = { prices = [{ fixed = 8 }] }");
    assert_eq!(books.try_spend(charging(on_operation("image"))).expect("8").amount, 8);
}
