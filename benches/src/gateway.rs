//! Waypost as it is measured: the release binary on a folder of its own, with everything on.
//!
//! Knows of Waypost what a caller knows: flags, variables, `demo.env` and paths.

use std::collections::HashMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{self, Call};
use crate::process::Process;

const READY_WITHIN: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_micros(500);

/// Where Waypost's messages go.
#[derive(Clone, Copy)]
pub(crate) enum Upstream {
    /// Into the built-in sandbox.
    Sandbox,
    /// To a mock at this address.
    Mock(SocketAddr),
}

/// What is needed to start one.
pub(crate) struct Site {
    /// The release binary.
    pub(crate) binary: PathBuf,
    /// Folder for data and logs: on a disk, for in memory a sync costs nothing.
    pub(crate) folder: PathBuf,
}

/// A running Waypost; ended when dropped.
pub(crate) struct Gateway {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    pub(crate) ready_after: Duration,
    demo: HashMap<String, String>,
    data: TempDir,
}

impl Gateway {
    /// Starts on an empty folder and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn start(site: &Site, upstream: Upstream) -> Result<Self> {
        let data = TempDir::with_prefix_in("data-", &site.folder)?;
        Self::start_on(site, upstream, data).await
    }

    /// Ends it without warning and starts it again on the same folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn start_again(self, site: &Site, upstream: Upstream) -> Result<Self> {
        let Self { process, data, .. } = self;
        drop(process);
        Self::start_on(site, upstream, data).await
    }

    async fn start_on(site: &Site, upstream: Upstream, data: TempDir) -> Result<Self> {
        let [address, sandbox] = free_addresses()?;
        let log = site.folder.join("waypost.log");
        let mut command = Command::new(&site.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WAYPOST_") {
                command.env_remove(name);
            }
        }
        command.current_dir(data.path()).arg("--data-dir").arg(data.path());
        command.args(["--listen", &address.to_string()]);
        match upstream {
            Upstream::Sandbox => {
                command.args(["--sandbox-listen", &sandbox.to_string()]);
            }
            Upstream::Mock(mock) => {
                command
                    .arg("--demo")
                    .env("WAYPOST_UPSTREAM__BASE_URL", format!("http://{mock}"))
                    .env("WAYPOST_UPSTREAM__ACCESS_TOKEN", "bench-token")
                    .env("WAYPOST_WEBHOOK__APP_SECRET", "bench-app-secret")
                    .env("WAYPOST_PUBLIC_URL", "https://bench.example.com");
            }
        }
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        wait_until_ready(&mut process, address, began)
            .await
            .with_context(|| format!("its output is in {}", log.display()))?;
        let ready_after = began.elapsed();
        let demo = read_env(&data.path().join("demo.env"))?;
        Ok(Self { process, address, ready_after, demo, data })
    }

    /// A value of `demo.env`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn demo(&self, name: &str) -> Result<&str> {
        self.demo.get(name).map(String::as_str).with_context(|| format!("demo.env has no {name}"))
    }

    /// A send in ReplyHero's dialect: answered when the upstream has accepted it.
    ///
    /// # Errors
    /// When `demo.env` lacks something.
    pub(crate) fn send_now(&self, message: &Value) -> Result<Call> {
        let body = json!({
            "message": message,
            "sessionId": "bench",
            "customerId": self.demo("WAYPOST_CUSTOMER_ID")?,
            "userId": self.demo("WAYPOST_USER_ID")?,
            "orgId": self.demo("WAYPOST_ORG_ID")?,
        });
        let key = ("x-api-key", self.demo("WAYPOST_API_KEY")?);
        Ok(Call::post_json("/whatsapp/messages/send", key, &body))
    }

    /// A send in the management API: answered when it is durable.
    ///
    /// # Errors
    /// When `demo.env` lacks something.
    pub(crate) fn send_later(&self, number: &str, message: &Value) -> Result<Call> {
        let mut body = message.clone();
        body["number"] = json!(number);
        body["to"] = json!(self.demo("WAYPOST_CUSTOMER_PHONE")?);
        let path = format!("/waypost/v1/orgs/{}/messages", self.demo("WAYPOST_ORG_ID")?);
        Ok(Call::post_json(&path, ("authorization", &self.admin()?), &body))
    }

    /// Lets the demo number send at this pace; gives its id.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn set_pace(&self, per_s: u32) -> Result<String> {
        let path = format!("/waypost/v1/orgs/{}/numbers", self.demo("WAYPOST_ORG_ID")?);
        let admin = self.admin()?;
        let mut call = Call::post_json(&path, ("authorization", &admin), &Value::Null);
        call.method = Method::GET;
        call.body = bytes::Bytes::new();
        let numbers = http::once(self.address, &call).await?.json()?;
        let id = numbers["data"][0]["id"].as_str().context("the demo has a number")?.to_owned();
        let change = json!({ "throughput_per_s": per_s });
        let mut call = Call::post_json(&format!("{path}/{id}"), ("authorization", &admin), &change);
        call.method = Method::PATCH;
        let changed = http::once(self.address, &call).await?.json()?;
        if changed["throughput_per_s"] != per_s {
            bail!("the pace is still {}", changed["throughput_per_s"]);
        }
        Ok(id)
    }

    fn admin(&self) -> Result<String> {
        Ok(format!("Bearer {}", self.demo("WAYPOST_ADMIN_KEY")?))
    }
}

async fn wait_until_ready(
    process: &mut Process,
    address: SocketAddr,
    began: Instant,
) -> Result<()> {
    while began.elapsed() < READY_WITHIN {
        process.must_run()?;
        if http::get(address, "/readyz").await.is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        tokio::time::sleep(READY_POLL).await;
    }
    bail!("not ready within {} s", READY_WITHIN.as_secs())
}

/// Two loopback addresses that were free a moment ago.
fn free_addresses() -> Result<[SocketAddr; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?, second.local_addr()?])
}

/// The assignments of a file that a shell can source.
fn read_env(path: &Path) -> Result<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let pairs = text.lines().filter_map(|line| line.trim_start_matches("export ").split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
        .collect())
}
