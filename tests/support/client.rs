//! A small client of the API.

use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

type Bytes = axum::body::Bytes;

/// A key to call with; the empty one sends no Authorization header.
#[derive(Debug, Clone, Default)]
pub struct Key(pub String);

/// An answer, with its body as JSON if it is.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// The `code` of a refusal; empty if there is none.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self.json
    }
}

/// Calls a service at `url` with one key. Cloning is cheap and shares the connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    pub url: String,
    pub key: Key,
}

impl Client {
    pub fn new(url: impl Into<String>, key: Key) -> Self {
        Self {
            http: HyperClient::builder(TokioExecutor::new()).build_http(),
            url: url.into(),
            key,
        }
    }

    pub fn with_key(&self, key: &Key) -> Self {
        Self {
            key: key.clone(),
            ..self.clone()
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[], body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    /// With an Idempotency-Key that was never used.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, &fresh_key(), body).await
    }

    pub async fn post_with(&self, path: &str, idempotency_key: &str, body: Value) -> Answer {
        self.send("POST", path, &[("idempotency-key", idempotency_key)], body.to_string())
            .await
    }

    #[track_caller]
    pub fn send<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        headers: &'a [(&'a str, &'a str)],
        body: impl Into<Bytes>,
    ) -> impl Future<Output = Answer> + 'a {
        let body = body.into();
        let sent = self.try_send(method, path, headers, body);
        async move { sent.await.unwrap_or_else(|error| panic!("{method} {path}: {error}")) }
    }

    /// An error is one of transport: the service went away.
    pub fn try_send<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        headers: &'a [(&'a str, &'a str)],
        body: impl Into<Bytes>,
    ) -> impl Future<Output = Result<Answer, String>> + 'a {
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if !self.key.0.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key.0));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string());
        async move {
            let response = self
                .http
                .request(request?)
                .await
                .map_err(|error| format!("{error:?}"))?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes = response
                .into_body()
                .collect()
                .await
                .map_err(|error| error.to_string())?
                .to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let json = serde_json::from_str(&text).unwrap_or(Value::Null);
            Ok(Answer {
                status,
                headers,
                text,
                json,
            })
        }
    }
}

/// An idempotency key that was never used, in this run or another.
pub fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let random: String = scrip::random::bytes::<8>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("test-{random}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
