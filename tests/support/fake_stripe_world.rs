//! The fake's memory: accounts with their sessions, intents, charges, events and remembered answers, and the
//! things that can happen to them. No HTTP here; time comes in as an argument.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

use super::ApiFault;
use super::form::{self, Params};
use super::objects::{self, Cause, SessionParams};

/// An answer's status and body.
pub type Reply = (u16, Value);

#[derive(Debug, Default)]
pub struct World {
    pub accounts: HashMap<String, Account>,
    pub post_faults: VecDeque<ApiFault>,
    pub get_faults: VecDeque<ApiFault>,
    pub requests: Vec<super::RecordedRequest>,
    pub now: Option<i64>,
    /// Makes ids differ between two fakes in one process.
    pub tag: String,
    ids_made: u64,
}

/// One Stripe account: what one secret key sees.
#[derive(Debug, Default)]
pub struct Account {
    pub livemode: bool,
    pub sessions: BTreeMap<String, Session>,
    pub intents: BTreeMap<String, Value>,
    pub charges: BTreeMap<String, Value>,
    /// Oldest first.
    pub events: Vec<Value>,
    pub remembered: HashMap<String, Remembered>,
}

#[derive(Debug)]
pub struct Session {
    pub json: Value,
    params: SessionParams,
    cause: Cause,
    line_items: Value,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone)]
pub enum Remembered {
    InProgress,
    Done {
        fingerprint: String,
        reply: Reply,
        request_id: String,
    },
}

/// How a payment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payment {
    Paid,
    /// The session completes `unpaid`; the money is under way.
    Processing,
    Declined,
}

/// A discount and a tax, in minor units, applied at payment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adjustment {
    pub discount: i64,
    pub tax: i64,
}

impl World {
    pub fn new_id(&mut self, prefix: &str) -> String {
        self.ids_made += 1;
        format!("{prefix}{}{:08}", self.tag, self.ids_made)
    }

    /// The account that owns a session; tests name sessions only.
    fn owner_of(&mut self, session_id: &str) -> &mut Account {
        self.accounts
            .values_mut()
            .find(|account| account.sessions.contains_key(session_id))
            .unwrap_or_else(|| panic!("the fake has no session {session_id}"))
    }

    pub fn session(&self, session_id: &str) -> Option<&Session> {
        self.accounts
            .values()
            .find_map(|account| account.sessions.get(session_id))
    }

    pub fn create_session(&mut self, key: &str, params: &Params, now: i64, cause: Cause) -> Result<Value, Value> {
        let params = form::session_params(params, now)?;
        let livemode = self.accounts[key].livemode;
        let id = self.new_id(if livemode { "cs_live_a1" } else { "cs_test_a1" });
        let item_id = self.new_id("li_1");
        let url = format!("https://checkout.stripe.com/c/pay/{id}#fake");
        let json = objects::checkout_session(&id, &url, livemode, now, &params);
        let line_items = objects::line_items(&id, &item_id, &params);
        let session = Session {
            json: json.clone(),
            params,
            cause,
            line_items,
        };
        self.account(key).sessions.insert(id, session);
        Ok(json)
    }

    pub fn account(&mut self, key: &str) -> &mut Account {
        self.accounts
            .get_mut(key)
            .unwrap_or_else(|| panic!("the fake has no account for this key"))
    }

    /// Only when asked: no session of the fake expires by itself.
    pub fn expire_session(&mut self, session_id: &str, now: i64) -> Result<Vec<Value>, Value> {
        let account = self.owner_of(session_id);
        let session = account.sessions.get_mut(session_id).expect("just found");
        if session.json["status"] != "open" {
            let message = "Only Checkout Sessions with a status in [\"open\"] can be expired.";
            return Err(objects::invalid(message, None, None));
        }
        session.json["status"] = json!("expired");
        session.json["url"] = Value::Null;
        let (object, cause) = (session.json.clone(), session.cause.clone());
        Ok(self.record(session_id, now, &cause, vec![("checkout.session.expired", object)]))
    }

    /// The customer confirms an open session.
    pub fn confirm(&mut self, session_id: &str, payment: Payment, adjustment: Adjustment, now: i64) -> Vec<Value> {
        let (intent_id, charge_id) = (self.intent_id(session_id), self.new_id("ch_3"));
        let account = self.owner_of(session_id);
        let livemode = account.livemode;
        let session = account.sessions.get_mut(session_id).expect("just found");
        assert_eq!(session.json["status"], "open", "only an open session can be paid");
        let mut paid_params = session.params.clone();
        adjust(&mut session.json, &mut paid_params, adjustment);
        let mut intent = objects::payment_intent(&intent_id, livemode, now, &paid_params);
        let events = match payment {
            Payment::Paid => {
                objects::complete_session(&mut session.json, &intent_id, "paid");
                let charge = succeed(&mut intent, &charge_id, now);
                vec![
                    ("checkout.session.completed", session.json.clone()),
                    ("payment_intent.succeeded", intent),
                    ("charge.succeeded", charge),
                ]
            }
            Payment::Processing => {
                objects::complete_session(&mut session.json, &intent_id, "unpaid");
                vec![
                    ("checkout.session.completed", session.json.clone()),
                    ("payment_intent.processing", intent),
                ]
            }
            Payment::Declined => {
                session.json["payment_intent"] = json!(intent_id);
                let charge = decline(&mut intent, &charge_id, now);
                vec![("payment_intent.payment_failed", intent), ("charge.failed", charge)]
            }
        };
        let cause = session.cause.clone();
        self.keep(session_id, &events);
        self.record(session_id, now, &cause, events)
    }

    /// The money of an unpaid, completed session arrives, or does not.
    pub fn settle(&mut self, session_id: &str, arrives: bool, now: i64) -> Vec<Value> {
        let charge_id = self.new_id("py_3");
        let account = self.owner_of(session_id);
        let session = account.sessions.get_mut(session_id).expect("just found");
        assert_eq!(
            session.json["status"], "complete",
            "only a completed session settles later"
        );
        assert_eq!(session.json["payment_status"], "unpaid", "this session is paid already");
        let intent_id = session.json["payment_intent"].as_str().unwrap_or_default().to_owned();
        let mut intent = account.intents[&intent_id].clone();
        let events = if arrives {
            session.json["payment_status"] = json!("paid");
            let charge = succeed(&mut intent, &charge_id, now);
            vec![
                ("checkout.session.async_payment_succeeded", session.json.clone()),
                ("payment_intent.succeeded", intent),
                ("charge.succeeded", charge),
            ]
        } else {
            let message = "The payment attempt failed.";
            objects::fail_intent(&mut intent, "payment_intent_payment_attempt_failed", None, message);
            vec![
                ("checkout.session.async_payment_failed", session.json.clone()),
                ("payment_intent.payment_failed", intent),
            ]
        };
        let cause = session.cause.clone();
        self.keep(session_id, &events);
        self.record(session_id, now, &cause, events)
    }

    /// A declined session keeps its intent for the next card.
    fn intent_id(&mut self, session_id: &str) -> String {
        let known = self
            .session(session_id)
            .and_then(|session| session.json["payment_intent"].as_str());
        match known.map(str::to_owned) {
            Some(id) => id,
            None => self.new_id("pi_3"),
        }
    }

    /// Remembers the intents and charges that events speak of, so that they can be fetched.
    fn keep(&mut self, session_id: &str, events: &[(&str, Value)]) {
        let account = self.owner_of(session_id);
        for (_, object) in events {
            let id = object["id"].as_str().unwrap_or_default().to_owned();
            match object["object"].as_str() {
                Some("payment_intent") => account.intents.insert(id, object.clone()),
                Some("charge") => account.charges.insert(id, object.clone()),
                _ => None,
            };
        }
    }

    fn record(&mut self, session_id: &str, now: i64, cause: &Cause, events: Vec<(&str, Value)>) -> Vec<Value> {
        let ids: Vec<_> = events.iter().map(|_| self.new_id("evt_1")).collect();
        let account = self.owner_of(session_id);
        let made = ids.iter().zip(&events);
        let made: Vec<_> = made
            .map(|(id, (kind, object))| objects::event(id, kind, account.livemode, now, object, cause))
            .collect();
        account.events.extend(made.iter().cloned());
        made
    }
}

impl Session {
    /// As `GET` shows it, with what `expand` asks for.
    pub fn expanded(&self, intents: &BTreeMap<String, Value>, expand: &[&String]) -> Value {
        let mut json = self.json.clone();
        if expand.iter().any(|name| *name == "line_items") {
            json["line_items"] = self.line_items.clone();
        }
        let intent = json["payment_intent"].as_str().and_then(|id| intents.get(id));
        if let Some(intent) = intent.filter(|_| expand.iter().any(|name| *name == "payment_intent")) {
            json["payment_intent"] = intent.clone();
        }
        json
    }

    pub fn line_items(&self) -> &Value {
        &self.line_items
    }
}

fn succeed(intent: &mut Value, charge_id: &str, now: i64) -> Value {
    intent["status"] = json!("succeeded");
    intent["amount_received"] = intent["amount"].clone();
    intent["latest_charge"] = json!(charge_id);
    objects::charge(charge_id, intent, now, None)
}

fn decline(intent: &mut Value, charge_id: &str, now: i64) -> Value {
    objects::fail_intent(
        intent,
        "card_declined",
        Some("generic_decline"),
        "Your card was declined.",
    );
    intent["latest_charge"] = json!(charge_id);
    objects::charge(charge_id, intent, now, Some("card_declined"))
}

fn adjust(session: &mut Value, params: &mut SessionParams, adjustment: Adjustment) {
    let total = params.total() - adjustment.discount + adjustment.tax;
    session["amount_total"] = json!(total);
    session["total_details"] =
        json!({"amount_discount": adjustment.discount, "amount_shipping": 0, "amount_tax": adjustment.tax});
    (params.amount, params.quantity) = (total, 1);
}
