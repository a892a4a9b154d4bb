//! A key that makes more requests than it may is told so; the others go on.

use std::{num::NonZeroU32, sync::Arc};

use scrip::clock::SystemClock;

use crate::support::{TestService, database};

#[tokio::test]
async fn a_key_over_its_rate_is_answered_429_and_other_keys_go_on() {
    let rate = NonZeroU32::new(5);
    let service = TestService::start_limited(database::shared().await, Arc::new(SystemClock), rate).await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(service.tenant.read.get("/v1/accounts").await);
    }
    let refused = statuses
        .iter()
        .find(|answer| answer.status == 429)
        .expect("30 at once are more than 5 a second");
    assert_eq!((refused.code(), refused.header("retry-after")), ("rate_limited", "1"));
    assert!(statuses.iter().filter(|answer| answer.status == 200).count() >= 5);
    service.tenant.backend.get("/v1/accounts").await.expect(200);
}
