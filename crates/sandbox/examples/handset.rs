//! The sandbox alone with its demo, for work on the handset page: `cargo run -p waypost-sandbox
//! --example handset` and look at <http://127.0.0.1:8099>. Media links are not fetched.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use waypost_clock::Clock;
use waypost_sandbox::{FetchedLink, LinkFetcher, Sandbox, SandboxConfig, Seed};

/// Where the page is.
const ADDRESS: &str = "127.0.0.1:8099";

struct NoLinks;

#[async_trait::async_trait]
impl LinkFetcher for NoLinks {
    async fn fetch(&self, _url: &str, _limit_bytes: u64) -> Result<FetchedLink, String> {
        Err("links are not fetched here".into())
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let config = SandboxConfig {
        webhook_url: None,
        verify_token: String::new(),
        app_secret: String::new(),
        access_token: None,
        public_host: None,
        egress: Arc::new(NoLinks),
        seed: Seed::demo(),
        state_dir: None,
    };
    let sandbox = Sandbox::new(config, Clock::system());
    let cancel = CancellationToken::new();
    let listener = TcpListener::bind(ADDRESS).await?;
    let pump = sandbox.clone();
    let until = cancel.clone();
    tokio::spawn(async move { pump.run_pump(until).await });
    sandbox.serve(listener, cancel).await
}
