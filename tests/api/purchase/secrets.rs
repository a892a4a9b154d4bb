//! Secrets are readable nowhere: not in the database, not in an answer.

use serde_json::json;
use sqlx::AssertSqlSafe;

use super::Shop;
use crate::support::client::fresh_key;

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn secrets_stand_nowhere_in_the_database_and_in_no_answer() {
    let shop = Shop::open().await;
    let tenant = shop.tenant();
    let (secret_key, webhook_secret) = (
        format!("{}_anew", shop.secret_key),
        format!("{}_anew", shop.webhook_secret),
    );
    shop.service.stripe.add_account(&secret_key);
    let settings = json!({"secret_key": secret_key, "webhook_secrets": [webhook_secret], "livemode": false});
    let key = fresh_key();
    let headers = [("idempotency-key", key.as_str())];
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(
            tenant
                .admin
                .send("PUT", "/v1/stripe", &headers, settings.to_string())
                .await,
        );
    }
    assert_eq!(answers[1].header("idempotent-replayed"), "true");
    assert_eq!(answers[0].text, answers[1].text);
    answers.push(shop.try_buy("small", &fresh_key()).await);
    assert_eq!(answers[2].status, 201);
    shop.service.stripe.remove_account(&secret_key);
    answers.push(shop.try_buy("small", &fresh_key()).await);
    assert_eq!(answers[3].status, 502);
    answers.push(tenant.admin.get("/v1/stripe").await);
    answers.push(tenant.support.get("/v1/admin/stripe_events").await);
    for (field, value) in [
        ("secret_key", json!(format!("pk {secret_key}"))),
        ("webhook_secrets", json!([webhook_secret, "x", "y"])),
        ("webhook_secrets", json!(webhook_secret)),
    ] {
        let mut wrong = settings.clone();
        wrong[field] = value;
        answers.push(tenant.admin.put("/v1/stripe", wrong).await);
        assert_eq!(answers.last().map(|answer| answer.status), Some(422));
    }
    for answer in &answers {
        for secret in [&shop.secret_key, &shop.webhook_secret] {
            assert!(!answer.text.contains(secret.as_str()), "{}", answer.text);
        }
    }

    let mut owner = shop.service.owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'",
    )
    .fetch_all(&mut owner)
    .await
    .expect("the tables are listed");
    assert!(tables.iter().any(|table| table == "stripe_settings"), "{tables:?}");
    let id: uuid::Uuid = tenant.id.parse().expect("a UUID");
    let mut seen = 0;
    for table in tables {
        let query = AssertSqlSafe(format!("SELECT t::text FROM {table} t WHERE tenant_id = $1"));
        let rows: Vec<String> = sqlx::query_scalar(query)
            .bind(id)
            .fetch_all(&mut owner)
            .await
            .expect("the rows are read");
        for row in rows {
            seen += 1;
            for secret in [&shop.secret_key, &shop.webhook_secret, &tenant.backend.key.0] {
                assert!(
                    !row.contains(secret.as_str()) && !row.contains(&hex(secret)),
                    "{table}: {row}"
                );
            }
        }
    }
    assert!(seen > 5, "{seen} rows were looked at");
}
