//! The story of a purchase, for those who see Scrip for the first time: `cargo run --example purchase_story`.
//!
//! It starts the service on a fresh embedded Postgres, puts the tests' fake Stripe where Stripe would be, and goes through
//! everything once: a tenant and its keys, the program, a plan's allowance and an add-on, a purchase at the checkout, its
//! webhooks (twice), spends, a refusal, a retry, a refund, and the proof that the books agree. Every call is shown as it goes
//! over the wire, and every number is checked: the exit code is 0 only if all was as told.
//!
//! `--url` tells it to a service that runs already. That one must look for Stripe where the story's fake is:
//!
//! ```text
//! STRIPE_API_BASE=http://127.0.0.1:12111 cargo run
//! cargo run --example purchase_story -- --url http://127.0.0.1:8080 --operator-key <key> --fake-stripe-port 12111
//! ```

mod relay;
mod service;
mod story;
mod told;

#[allow(dead_code, reason = "the tests' client; the story uses a part of it")]
#[path = "../../tests/support/client.rs"]
mod client;
#[path = "../../tests/support/fake_stripe.rs"]
mod fake_stripe;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use fake_stripe::FakeStripe;
use service::{OPERATOR_KEY, Service};
use tokio::task::LocalSet;
use told::Teller;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

#[derive(Parser)]
#[command(about = "Plays a whole purchase against Scrip and a fake Stripe, and checks every number on the way.")]
struct Args {
    /// Tell it to this running service, instead of starting one; it needs the two options below
    #[arg(long, requires = "operator_key", requires = "fake_stripe_port")]
    url: Option<String>,
    /// The running service's SCRIP_OPERATOR_KEY
    #[arg(long)]
    operator_key: Option<String>,
    /// Where the fake Stripe listens; the running service's STRIPE_API_BASE is http://127.0.0.1:<port>
    #[arg(long)]
    fake_stripe_port: Option<u16>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe story went wrong: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let stripe = Arc::new(FakeStripe::start().await);
    let stripe_url = match args.fake_stripe_port {
        Some(port) => relay::open(port, stripe.base_url()).await?,
        None => stripe.base_url().to_owned(),
    };
    let from = match args.url {
        Some(url) => {
            let from = Instant::now();
            let operator_key = args.operator_key.unwrap_or_default();
            println!("Scrip runs at    {url}");
            println!("The fake Stripe  {stripe_url}");
            let mut teller = Teller::default();
            story::tell(&mut teller, url.trim_end_matches('/'), &operator_key, &stripe).await?;
            teller.say("\nThe service goes on running; `scrip verify` beside it proves the books.");
            from
        }
        None => {
            let binary = service::built_binary().await?;
            let from = Instant::now();
            with_own_service(binary, stripe, &stripe_url).await?;
            from
        }
    };
    println!("\nAll of it was as told, in {:.1} s.", from.elapsed().as_secs_f32());
    Ok(())
}

/// Whatever comes of the story, the service is stopped and its directory removed.
async fn with_own_service(binary: PathBuf, stripe: Arc<FakeStripe>, stripe_url: &str) -> Result<()> {
    let mut service = Service::start(binary, stripe_url).await?;
    println!("Scrip runs at    {}", service.url);
    println!("  its program    {}", service.binary.display());
    println!("  its data       {} (removed at the end)", service.home.display());
    println!("The fake Stripe  {stripe_url}");
    let url = service.url.clone();
    // In a task of its own: a panic in the fake ends the story, not the tidying up.
    let tasks = LocalSet::new();
    let told = tasks.spawn_local(async move {
        let mut teller = Teller::default();
        let slug = story::tell(&mut teller, &url, OPERATOR_KEY, &stripe).await?;
        Ok::<_, Error>((teller, slug))
    });
    let told = tokio::select! {
        told = tasks.run_until(told) => told.map_err(Error::from).and_then(|told| told),
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    let result = match told {
        Ok((teller, slug)) => story::prove(teller, &mut service, &slug).await,
        Err(error) => Err(format!("{error}\n{}", service.log_tail()).into()),
    };
    let removed = service.remove().await;
    result.and(removed)
}
