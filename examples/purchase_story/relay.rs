//! A second address for the fake Stripe. It listens wherever there is room, but a service that runs already had to be told
//! where Stripe is when it was started; so connections to a port of the caller's choice are handed on.

use std::net::Ipv4Addr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::Result;

/// Listens on `port` for as long as the program runs, and returns the address to use instead of `base_url`.
pub async fn open(port: u16, base_url: &str) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("the fake Stripe can't listen on port {port}: {error}"))?;
    let fake = base_url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut theirs, _)) = listener.accept().await {
            let fake = fake.clone();
            tokio::spawn(async move {
                if let Ok(mut ours) = TcpStream::connect(fake).await {
                    // An error here is a caller that hung up: the service notices by itself.
                    let _ = copy_bidirectional(&mut theirs, &mut ours).await;
                }
            });
        }
    });
    Ok(format!("http://127.0.0.1:{port}"))
}
