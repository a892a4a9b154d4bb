//! A service in this process, with a tenant of its own for the test.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use scrip::{
    clock::{Clock, SystemClock},
    http::router,
    secrets::EncryptionKey,
    service::{Parts, Service},
    storage::Db,
    stripe::gateway::{AsyncStripeGateway, GatewaySettings},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    client::{Answer, Client, Key},
    database,
    fake_stripe::FakeStripe,
};

pub const OPERATOR_KEY: &str = "the-operator-key-of-the-tests";

/// A service, and the keys of one tenant of it.
pub struct TestService {
    pub url: String,
    pub database: PgConnectOptions,
    pub db: Db,
    pub stripe: FakeStripe,
    pub operator: Client,
    pub tenant: Tenant,
}

/// A tenant with a client a role.
pub struct Tenant {
    pub id: String,
    pub slug: String,
    pub admin: Client,
    pub backend: Client,
    pub support: Client,
    pub read: Client,
}

impl TestService {
    pub async fn start() -> Self {
        Self::start_with(database::shared().await, Arc::new(SystemClock)).await
    }

    /// Its parts end with the test's runtime; nothing is left behind but the tenant's rows.
    pub async fn start_with(database: PgConnectOptions, clock: Arc<dyn Clock>) -> Self {
        Self::start_limited(database, clock, None).await
    }

    pub async fn start_limited(
        database: PgConnectOptions,
        clock: Arc<dyn Clock>,
        rate_limit: Option<std::num::NonZeroU32>,
    ) -> Self {
        let stripe = FakeStripe::start().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let settings = GatewaySettings {
            attempt_timeout: std::time::Duration::from_secs(2),
            attempts_max: 2,
            backoff: std::time::Duration::from_millis(10),
        };
        let service = Service::start(Parts {
            database: database.clone(),
            operator_key: OPERATOR_KEY.into(),
            encryption_key: EncryptionKey::generate().expect("random bytes"),
            public_url: url.clone(),
            lanes: 2,
            rate_limit,
            clock,
            gateway: Arc::new(AsyncStripeGateway::with_settings(stripe.base_url(), settings)),
            // Not installed: a process holds one recorder, and many services run in this one.
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        });
        let db = service.state.db.clone();
        let app = router(service.state.clone());
        tokio::spawn(async move {
            let _parts = service;
            axum::serve(listener, app).await
        });
        let operator = Client::new(&url, Key(OPERATOR_KEY.to_owned()));
        let tenant = Tenant::make(&operator).await;
        Self {
            url,
            database,
            db,
            stripe,
            operator,
            tenant,
        }
    }

    /// A connection as the owner of the tables, past every fence.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect_with(&self.database)
            .await
            .expect("the database answers")
    }

    /// Nothing in this tenant's books disagrees.
    pub async fn assert_books_agree(&self, tenant: &Tenant) {
        let id = scrip::domain::ids::TenantId(tenant.id.parse().expect("a UUID"));
        let mut scope = self.db.snapshot(id).await.expect("a snapshot");
        let differences = scrip::storage::verify::differences(&mut scope, id)
            .await
            .expect("the books are read");
        assert_eq!(differences, []);
    }
}

impl Tenant {
    pub async fn make(operator: &Client) -> Self {
        let slug = format!("t-{}", super::client::fresh_key().replace("test-", ""));
        let made = operator
            .post(
                "/v1/tenants",
                json!({"slug": slug, "name": "A tenant of the tests", "mode": "sandbox"}),
            )
            .await
            .expect(201);
        let key = |value: &Value| Key(value.as_str().expect("a key").to_owned());
        let admin = operator.with_key(&key(&made["admin_key"]));
        let mut clients = Vec::new();
        for (role, name) in [("backend", "backend"), ("support", "Sam"), ("read", "reporting")] {
            let made = admin
                .post("/v1/api_keys", json!({"role": role, "name": name}))
                .await
                .expect(201);
            clients.push(admin.with_key(&key(&made["key"])));
        }
        let [backend, support, read] = clients.try_into().expect("three clients");
        Self {
            id: made["id"].as_str().expect("an id").to_owned(),
            slug,
            admin,
            backend,
            support,
            read,
        }
    }

    /// An account with nothing in it.
    pub async fn account(&self, id: &str) {
        self.backend
            .put(&format!("/v1/accounts/{id}"), json!({}))
            .await
            .expect(201);
    }

    /// Grants credits and returns the grant.
    pub async fn grant(&self, account: &str, grant: Value) -> Value {
        self.backend
            .post(&format!("/v1/accounts/{account}/grants"), grant)
            .await
            .expect(201)
    }

    pub async fn spend(&self, account: &str, spend: Value) -> Answer {
        self.backend
            .post(&format!("/v1/accounts/{account}/spends"), spend)
            .await
    }

    pub async fn balance(&self, account: &str) -> Value {
        self.backend
            .get(&format!("/v1/accounts/{account}/balance"))
            .await
            .expect(200)
    }

    /// Connects the tenant to the fake Stripe and returns the URL for its events.
    pub async fn connect_stripe(&self, stripe: &FakeStripe, secret_key: &str, webhook_secret: &str) -> String {
        stripe.add_account(secret_key);
        let settings = json!({"secret_key": secret_key, "webhook_secrets": [webhook_secret], "livemode": false});
        let answer = self.admin.put("/v1/stripe", settings).await.expect(200);
        answer["webhook_url"].as_str().expect("a URL").to_owned()
    }
}
