//! The fake's webhook side: signing as Stripe signs (written apart from the service's own code, so that the two
//! check each other), and sending, with everything that can go wrong on the way.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sha2::Sha256;
use tokio::task::JoinSet;

/// A webhook request, ready to be sent: the raw body and its `Stripe-Signature`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub event_id: String,
    pub kind: String,
    pub body: Vec<u8>,
    pub signature: String,
}

impl Delivery {
    /// Any event at all, signed: for forged, old, odd and broken ones. `event` need not be a sensible event.
    pub fn signed(event: &Value, webhook_secrets: &[&str], t: i64) -> Self {
        let body = event.to_string().into_bytes();
        Self {
            event_id: event["id"].as_str().unwrap_or_default().to_owned(),
            kind: event["type"].as_str().unwrap_or_default().to_owned(),
            signature: sign(&body, webhook_secrets, t),
            body,
        }
    }

    /// The same body signed anew: another time, another secret, or two secrets as during a rotation.
    pub fn resigned(&self, webhook_secrets: &[&str], t: i64) -> Self {
        Self {
            signature: sign(&self.body, webhook_secrets, t),
            ..self.clone()
        }
    }

    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// `t=...,v1=...` with one `v1` per secret, as Stripe signs.
pub fn sign(body: &[u8], webhook_secrets: &[&str], t: i64) -> String {
    let mut header = format!("t={t}");
    for secret in webhook_secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
        mac.update(&[t.to_string().as_bytes(), b".", body].concat());
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

/// How a batch of deliveries goes wrong on its way.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPlan {
    duplicates: usize,
    order: Option<Vec<usize>>,
    reversed: bool,
    dropped_kinds: Vec<String>,
    delay: Duration,
    at_once: bool,
}

impl DeliveryPlan {
    /// Each delivery `extra` more times.
    pub fn duplicated(self, extra: usize) -> Self {
        Self {
            duplicates: extra,
            ..self
        }
    }

    /// By index into the deliveries as produced; what is not named is not delivered.
    pub fn in_order(self, order: &[usize]) -> Self {
        Self {
            order: Some(order.to_vec()),
            ..self
        }
    }

    pub fn reversed(self) -> Self {
        Self { reversed: true, ..self }
    }

    /// Never delivers events of this type.
    pub fn without(mut self, kind: &str) -> Self {
        self.dropped_kinds.push(kind.to_owned());
        self
    }

    /// Waits before each delivery (before all of them, when at once).
    pub fn delayed(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// All at the same time, each on its own connection.
    pub fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    /// The deliveries as they will be sent.
    pub fn apply(&self, deliveries: &[Delivery]) -> Vec<Delivery> {
        let order = self.order.clone().unwrap_or_else(|| (0..deliveries.len()).collect());
        let chosen = order.iter().map(|index| &deliveries[*index]);
        let kept = chosen.filter(|delivery| !self.dropped_kinds.contains(&delivery.kind));
        let mut planned: Vec<_> = kept
            .flat_map(|delivery| std::iter::repeat_n(delivery.clone(), 1 + self.duplicates))
            .collect();
        if self.reversed {
            planned.reverse();
        }
        planned
    }
}

/// Delivers according to the plan; the statuses come in the order of [`DeliveryPlan::apply`] (when at once: of
/// arrival). An unreachable service panics.
pub async fn deliver_all(url: &str, deliveries: &[Delivery], plan: &DeliveryPlan) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut under_way = JoinSet::new();
    for delivery in plan.apply(deliveries) {
        let (url, delay) = (url.to_owned(), plan.delay);
        under_way.spawn(async move {
            tokio::time::sleep(delay).await;
            deliver(&url, &delivery).await.expect("the service is reachable").0
        });
        if !plan.at_once {
            statuses.extend(join(&mut under_way).await);
        }
    }
    while let Some(status) = join(&mut under_way).await {
        statuses.push(status);
    }
    statuses
}

async fn join(under_way: &mut JoinSet<u16>) -> Option<u16> {
    under_way
        .join_next()
        .await
        .map(|joined| joined.expect("a delivery does not panic"))
}

/// Posts one delivery as Stripe does. Gives the status and the body of the answer.
pub async fn deliver(url: &str, delivery: &Delivery) -> Result<(u16, String), String> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", &delivery.signature)
        .body(Full::new(Bytes::from(delivery.body.clone())))
        .map_err(|error| error.to_string())?;
    let answer = client.request(request).await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
