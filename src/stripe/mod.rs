//! Stripe: its webhooks coming in, and the calls that go out.
//!
//! An event is verified (`signature`), kept in the inbox, and answered at once; `inbox` works it off: it reads what the
//! event says (`event`), compares it with our own row (`purchase`), and sends the credit down the one write path, where
//! the event is finished in the posting's own transaction. `gateway` asks Stripe for checkouts.

pub mod event;
pub mod gateway;
pub mod inbox;
mod purchase;
pub mod settings;
pub mod signature;
