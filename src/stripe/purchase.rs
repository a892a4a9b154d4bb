//! What an event of Stripe's means for our own row. Pure: the event and the row in, a verdict out.
//!
//! The row says what is credited; the event only says that it was paid. Whatever in the event contradicts the row is kept
//! from the books and shown to support.

use super::event::{CheckoutMode, CheckoutSession, CheckoutStep, PaymentIntent, PaymentIntentStep, PaymentStatus};
use crate::domain::{
    money::Money,
    top_up::{Status, TopUp},
};

/// What is to be done about a top-up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is paid: credit it.
    Credit,
    /// The money is under way.
    Processing,
    /// The payment failed for good.
    Fail(&'static str),
    /// The checkout lapsed.
    Expire,
    /// Nothing changes: why.
    Nothing(&'static str),
    /// It contradicts the row: how.
    Contradiction(String),
}

/// Of a Checkout session's event.
pub(super) fn of_session(step: CheckoutStep, session: &CheckoutSession, row: &TopUp) -> Verdict {
    if session.mode != CheckoutMode::Payment {
        return Verdict::Contradiction("the session is not of mode payment".to_owned());
    }
    if row.checkout_session_id.as_ref().is_some_and(|id| *id != session.id) {
        return Verdict::Contradiction(format!("the top-up's session is another one than {}", session.id));
    }
    let paid = session.amount_subtotal.or(session.amount_total);
    if let Some(how) = contradiction(
        paid.map(|a| (a, false)),
        session.currency.as_deref(),
        session.customer.as_deref(),
        row,
    ) {
        return Verdict::Contradiction(how);
    }
    match (step, &session.payment_status) {
        (CheckoutStep::Completed | CheckoutStep::AsyncPaymentSucceeded, PaymentStatus::Paid) => Verdict::Credit,
        // The payment's failure came first; a checkout that is completed is not opened again.
        (CheckoutStep::Completed, PaymentStatus::Unpaid)
            if row.status == Status::Failed && row.checkout_session_id.is_some() =>
        {
            Verdict::Nothing("the payment failed already")
        }
        (CheckoutStep::Completed, PaymentStatus::Unpaid) => Verdict::Processing,
        (CheckoutStep::AsyncPaymentFailed, _) => Verdict::Fail("the payment failed"),
        (CheckoutStep::Expired, _) => Verdict::Expire,
        (_, status) => Verdict::Contradiction(format!("the session's payment status is {status:?}, not paid")),
    }
}

/// Of a payment intent's event.
pub(super) fn of_intent(step: PaymentIntentStep, intent: &PaymentIntent, row: &TopUp) -> Verdict {
    if row.payment_intent_id.as_ref().is_some_and(|id| *id != intent.id) {
        return Verdict::Contradiction(format!("the top-up's payment intent is another one than {}", intent.id));
    }
    if step == PaymentIntentStep::PaymentFailed {
        // The buyer can try another card in the same checkout.
        return Verdict::Nothing("a try to pay failed; the checkout stays open");
    }
    if row.status == Status::Credited && row.payment_intent_id.is_some() {
        // With a discount less than the price is received; the session's event, which knows the price, has settled it.
        return Verdict::Nothing("credited before");
    }
    // Tax, where the tenant's Stripe adds it, comes on top of the price.
    let received = intent.amount_received.or(intent.amount).map(|a| (a, true));
    match contradiction(received, intent.currency.as_deref(), intent.customer.as_deref(), row) {
        Some(how) => Verdict::Contradiction(how),
        None => Verdict::Credit,
    }
}

/// `paid`: the amount, and whether it may exceed the price.
fn contradiction(
    paid: Option<(i64, bool)>,
    currency: Option<&str>,
    paid_by: Option<&str>,
    row: &TopUp,
) -> Option<String> {
    let Money { amount, currency: ours } = &row.price;
    if !currency.is_some_and(|theirs| theirs.eq_ignore_ascii_case(ours.as_str())) {
        return Some(format!(
            "the currency is {}, the price is in {}",
            currency.unwrap_or("missing"),
            ours.as_str()
        ));
    }
    match paid {
        Some((paid, _)) if paid == amount.get() => {}
        Some((paid, true)) if paid > amount.get() => {}
        Some((paid, _)) => return Some(format!("the amount is {paid}, the price {}", amount.get())),
        None => return Some("the amount is missing".to_owned()),
    }
    match (paid_by, row.stripe_customer.as_deref()) {
        (Some(theirs), Some(ours)) if theirs != ours => Some(format!(
            "the customer is {theirs}, the account's was {ours} at the purchase"
        )),
        _ => None,
    }
}
