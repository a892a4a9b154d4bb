//! The story itself: what is asked for, and what must come of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::client::{Answer, Client, Key};
use crate::fake_stripe::{Delivery, FakeStripe, deliver};
use crate::service::{Service, wait_for};
use crate::told::{Call, Figures, Line, Teller, check, get, number};

const SECRET_KEY: &str = "sk_test_story";
const WEBHOOK_SECRET: &str = "whsec_story";
/// How long the inbox may take to work off an event.
const INBOX: Duration = Duration::from_secs(60);

/// What the chapters share.
struct Cast<'a> {
    teller: &'a mut Teller,
    url: &'a str,
    stripe: &'a FakeStripe,
    admin: Client,
    backend: Client,
    support: Client,
    /// Entries of alice's that were shown already.
    known: usize,
}

/// Tells it up to the trial balance, and returns the tenant's slug.
pub async fn tell(teller: &mut Teller, url: &str, operator_key: &str, stripe: &FakeStripe) -> Result<String> {
    let random: String = scrip::random::bytes::<3>().iter().map(|b| format!("{b:02x}")).collect();
    let slug = format!("acme-{random}");
    let operator = Client::new(url, Key(operator_key.to_owned()));
    teller.chapter("A company gets its own books, and keys for its people and programs");
    let (admin, backend, support) = make_tenant(teller, &operator, &slug).await?;
    let mut cast = Cast {
        teller,
        url,
        stripe,
        admin,
        backend,
        support,
        known: 0,
    };
    let webhook_url = cast.set_up().await?;
    cast.grant().await?;
    cast.buy(&webhook_url).await?;
    let spend_id = cast.spend().await?;
    cast.refund(&spend_id).await?;
    cast.balance_the_books().await?;
    Ok(slug)
}

async fn make_tenant(teller: &Teller, operator: &Client, slug: &str) -> Result<(Client, Client, Client)> {
    let made = teller
        .call(Call {
            client: operator,
            method: "POST",
            path: "/v1/tenants",
            key: None,
            body: Some(json!({"slug": slug, "name": "Acme", "mode": "sandbox"})),
            status: 201,
            show: &["id", "slug", "mode", "admin_key"],
        })
        .await?;
    let with = |key: &Value| operator.with_key(&Key(key.as_str().unwrap_or_default().to_owned()));
    let admin = with(&made.json["admin_key"]);
    let mut clients = Vec::new();
    for (role, name) in [("backend", "Acme's product"), ("support", "Sam from support")] {
        let made = teller
            .call(Call {
                client: &admin,
                method: "POST",
                path: "/v1/api_keys",
                key: None,
                body: Some(json!({"role": role, "name": name})),
                status: 201,
                show: &["role", "name", "key"],
            })
            .await?;
        clients.push(with(&made.json["key"]));
    }
    match <[Client; 2]>::try_from(clients) {
        Ok([backend, support]) => Ok((admin, backend, support)),
        Err(_) => Err("two keys were to be made".into()),
    }
}

impl Cast<'_> {
    async fn put(&self, client: &Client, path: &str, body: Value, status: u16, show: &[&str]) -> Result<Answer> {
        let call = Call {
            client,
            method: "PUT",
            path,
            key: None,
            body: Some(body),
            status,
            show,
        };
        self.teller.call(call).await
    }

    /// A write that moves credits: it carries a key, so that sending it again is safe.
    async fn post(&self, path: &str, key: &str, body: Value, status: u16, show: &[&str]) -> Result<Answer> {
        let call = Call {
            client: &self.backend,
            method: "POST",
            path,
            key: Some(key),
            body: Some(body),
            status,
            show,
        };
        self.teller.call(call).await
    }

    async fn alice(&mut self, plan: i64, addon: i64, balance: i64, used: i64, new: &[Line<'_>]) -> Result<()> {
        let expected = Figures {
            plan,
            addon,
            balance,
            used,
        };
        self.teller
            .look(&self.backend, "alice", &mut self.known, expected, new)
            .await
    }

    /// Returns where Stripe is to send its events.
    async fn set_up(&mut self) -> Result<String> {
        self.teller.chapter("What it sells");
        let program = json!({
            "unit": {"name": "credits"},
            "plans": {"pro": {"allowance": 100, "interval": "month"}},
            "packs": {"small": {"credits": 300, "price": {"amount": 1000, "currency": "USD"}, "class": "balance",
                                "expiry": "never"}},
        });
        let put = self.put(&self.admin, "/v1/program", program, 200, &["version"]).await?;
        check("the program's version", number(&put.json["version"]), 1)?;

        self.teller.chapter("Its Stripe account (the fake one)");
        self.stripe.add_account(SECRET_KEY);
        let settings = json!({"secret_key": SECRET_KEY, "webhook_secrets": [WEBHOOK_SECRET], "livemode": false});
        let put = self
            .put(&self.admin, "/v1/stripe", settings, 200, &["webhook_url"])
            .await?;
        let endpoint_id = put.json["endpoint_id"].as_str().unwrap_or_default();
        // Not `webhook_url`: a running service may be known to the world by another address than here.
        let webhook_url = format!("{}/v1/stripe/webhooks/{endpoint_id}", self.url);

        self.teller.chapter("A customer");
        let profile = json!({"name": "Alice", "email": "alice@example.com"});
        self.put(
            &self.backend,
            "/v1/accounts/alice",
            profile,
            201,
            &["id", "name", "email"],
        )
        .await?;
        self.alice(0, 0, 0, 0, &[]).await?;
        Ok(webhook_url)
    }

    async fn grant(&mut self) -> Result<()> {
        self.teller
            .chapter("Her plan's allowance for this month, and an add-on that she keeps");
        let show = ["id", "class", "origin", "amount", "expires_at"];
        let plan = json!({"plan": "pro"});
        let granted = self
            .post("/v1/accounts/alice/grants", "alice-pro-1", plan, 201, &show)
            .await?;
        check("the plan's end", granted.json["expires_at"].is_string(), true)?;
        let addon = json!({"class": "addon", "origin": "addon_units", "amount": 50});
        self.post("/v1/accounts/alice/grants", "alice-addon-1", addon, 201, &show)
            .await?;
        let new = [("grant", "issued", "plan", 100), ("grant", "issued", "addon", 50)];
        self.alice(100, 50, 0, 0, &new).await
    }

    async fn buy(&mut self, webhook_url: &str) -> Result<()> {
        self.teller.chapter("She wants more: the product asks for a checkout");
        let top_up = json!({"pack": "small", "mode": "checkout", "success_url": "https://acme.example/thanks",
                            "cancel_url": "https://acme.example/credits"});
        let show = ["id", "status", "price", "credits", "checkout_url"];
        let bought = self
            .post("/v1/accounts/alice/top_ups", "alice-buys-1", top_up, 201, &show)
            .await?;
        let top_up_path = format!("/v1/top_ups/{}", bought.json["id"].as_str().unwrap_or_default());
        let session = self.stripe.session_ids(SECRET_KEY).pop().ok_or("no session was made")?;
        let asked = self.stripe.requests();
        let [request] = asked.as_slice() else {
            return Err(format!("Stripe was asked {} times, not once", asked.len()).into());
        };
        let key = request.idempotency_key.as_deref().unwrap_or_default();
        self.teller.say(&format!(
            "\n  Stripe was asked once, {} {}, with the key of Scrip's own row:\n  {key}",
            request.method, request.path
        ));
        self.teller.say("  Nothing is credited before it is paid.");
        self.alice(100, 50, 0, 0, &[]).await?;

        self.teller
            .chapter("She pays at Stripe, and Stripe says so: three signed events about one purchase");
        let deliveries = self.stripe.pay(&session, WEBHOOK_SECRET);
        self.deliver(webhook_url, &deliveries).await?;
        let credited = wait_for("the top-up is credited", INBOX, async || {
            let top_up = get(&self.backend, &top_up_path).await?;
            Ok((top_up["status"] == "credited").then_some(top_up))
        })
        .await?;
        check("the credits bought", number(&credited["credits"]), 300)?;
        self.alice(100, 50, 300, 0, &[("top_up", "issued", "balance", 300)])
            .await?;

        self.teller
            .chapter("Stripe sends them all again, as it does now and then");
        self.deliver(webhook_url, &deliveries).await?;
        self.show_inbox().await?;
        self.alice(100, 50, 300, 0, &[]).await
    }

    async fn deliver(&self, webhook_url: &str, deliveries: &[Delivery]) -> Result<()> {
        let path = webhook_url.strip_prefix(self.url).unwrap_or(webhook_url);
        let path = format!("{}…", &path[..path.len().min(29)]);
        self.teller.say("");
        for delivery in deliveries {
            let (status, body) = deliver(webhook_url, delivery).await?;
            self.teller
                .say(&format!("POST {path}  {:<28} → {status} {body}", delivery.kind));
            check("the webhook's status", status, 200)?;
        }
        Ok(())
    }

    /// What became of the events, as support sees it.
    async fn show_inbox(&self) -> Result<()> {
        let events = wait_for("the events are worked off", INBOX, async || {
            let events = get(&self.support, "/v1/admin/stripe_events").await?;
            let events = events["data"].as_array().cloned().unwrap_or_default();
            Ok(events.iter().all(|event| event["state"] != "pending").then_some(events))
        })
        .await?;
        self.teller
            .say("\n  The inbox, as support sees it: each event once, one credit");
        for event in &events {
            let text = |field: &str| event[field].as_str().unwrap_or_default();
            let note = event["note"].as_str().unwrap_or("credited");
            self.teller
                .say(&format!("    {:<28} {:<8} {note}", text("type"), text("state")));
        }
        let states: Vec<&str> = events.iter().filter_map(|event| event["state"].as_str()).collect();
        check("the events' states", states, vec!["done", "done", "ignored"])
    }

    /// Returns the id of the spend that crosses all classes.
    async fn spend(&mut self) -> Result<String> {
        let path = "/v1/accounts/alice/spends";
        let show = ["id", "amount", "drawdown", "available_after"];
        self.teller
            .chapter("She works: 30 credits, and 150 that cross plan, add-on and what she bought");
        let render = json!({"amount": 30, "operation": "render"});
        self.post(path, "job-1", render, 201, &show).await?;
        self.alice(70, 50, 300, 30, &[("spend", "plan", "consumed", 30)])
            .await?;
        let film = json!({"amount": 150, "operation": "film", "member": "alice"});
        let first = self.post(path, "job-2", film.clone(), 201, &show).await?;
        check("available after", number(&first.json["available_after"]), 270)?;
        let crossing = [
            ("spend", "plan", "consumed", 70),
            ("spend", "addon", "consumed", 50),
            ("spend", "balance", "consumed", 30),
        ];
        self.alice(0, 0, 270, 180, &crossing).await?;

        self.teller
            .chapter("One credit more than she has: refused, with the numbers that decided it");
        let show_refusal = ["status", "code", "detail", "needed", "available"];
        let refused = self
            .post(path, "job-3", json!({"amount": 271}), 402, &show_refusal)
            .await?;
        check("needed", number(&refused.json["needed"]), 271)?;
        check("available", number(&refused.json["available"]), 270)?;
        self.alice(0, 0, 270, 180, &[]).await?;

        self.teller
            .chapter("The network broke, so the product sends job 2 again: the same answer, nothing more taken");
        let again = self.post(path, "job-2", film, 201, &show).await?;
        check("Idempotent-Replayed", again.header("idempotent-replayed"), "true")?;
        check("the answer", &again.text, &first.text)?;
        self.teller
            .say("  The same key with another body is a mistake, and is told so.");
        let other = json!({"amount": 151, "operation": "film"});
        let reused = self
            .post(path, "job-2", other, 422, &["status", "code", "detail"])
            .await?;
        check("the code", reused.code(), "idempotency_key_reused")?;
        self.alice(0, 0, 270, 180, &[]).await?;
        Ok(first.json["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn refund(&mut self, spend_id: &str) -> Result<()> {
        self.teller
            .chapter("Half of job 2 failed: 60 go back, to the grants that were drawn last");
        let path = format!("/v1/spends/{spend_id}/refunds");
        let body = json!({"amount": 60, "reason": "the second half failed"});
        let show = ["amount", "refunded_total", "credited", "available_after"];
        let refunded = self.post(&path, "job-2-refund", body, 201, &show).await?;
        check("refunded so far", number(&refunded.json["refunded_total"]), 60)?;
        let back = [
            ("refund", "consumed", "balance", 30),
            ("refund", "consumed", "addon", 30),
        ];
        self.alice(0, 30, 300, 120, &back).await
    }

    async fn balance_the_books(&mut self) -> Result<()> {
        self.teller.chapter("The books");
        self.teller.books(&self.backend, "alice", 9).await?;
        let trial = get(&self.admin, "/v1/ledger/trial_balance").await?;
        let say = |text: &str| self.teller.say(text);
        say("\n  GET /v1/ledger/trial_balance");
        say("    ledger account    debits   credits   balance");
        let mut found = Vec::new();
        for account in trial["accounts"].as_array().into_iter().flatten() {
            let name = account["account"].as_str().unwrap_or_default();
            let of = |field: &str| number(&account[field]);
            found.push((name, of("debits"), of("credits"), of("balance")));
        }
        let row = |(name, debits, credits, balance): (&str, i64, i64, i64)| {
            say(&format!("    {name:<14} {debits:>9} {credits:>9} {balance:>9}"));
        };
        found.iter().copied().for_each(row);
        let sum = |column: fn(&(&str, i64, i64, i64)) -> i64| found.iter().map(column).sum::<i64>();
        row(("sum", sum(|row| row.1), sum(|row| row.2), number(&trial["sum"])));
        let expected = vec![
            ("plan", 100, 100, 0),
            ("addon", 50, 80, 30),
            ("balance", 30, 330, 300),
            ("issued", 450, 0, -450),
            ("consumed", 60, 180, 120),
        ];
        check("the trial balance", found, expected)?;
        check("its sum", number(&trial["sum"]), 0)
    }
}

/// Stops the service, and has the program prove what is left on disk.
pub async fn prove(mut teller: Teller, service: &mut Service, slug: &str) -> Result<()> {
    teller.chapter("The service is stopped, and the books are proved from what is on disk");
    let status = service.stop().await?;
    teller.say(&format!("\nkill -TERM  → {status}"));
    check("the service's end", status.success(), true)?;
    let (code, said) = service.command(&["verify", "--tenant", slug]).await?;
    teller.say(&format!(
        "scrip verify --tenant {slug}  → exit status: {}\n  {said}",
        code.unwrap_or(-1)
    ));
    check("verify's exit code", code, Some(0))
}
