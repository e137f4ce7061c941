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
use tempfile::TempDir;

use crate::http;
use crate::process::{Ending, Process};
use crate::statuses::APP_SECRET;

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
#[derive(Clone)]
pub(crate) struct Site {
    /// The release binary.
    pub(crate) binary: PathBuf,
    /// Folder for data and logs: on a disk, for in memory a sync costs nothing.
    pub(crate) folder: PathBuf,
    /// A program and its arguments by which the binary is started, for a machine of another kind. Mostly none.
    pub(crate) through: Vec<String>,
    /// How it is ended.
    pub(crate) ending: Ending,
}

impl Site {
    fn command(&self) -> Command {
        let Some((program, args)) = self.through.split_first() else {
            return Command::new(&self.binary);
        };
        let mut command = Command::new(program);
        command.args(args).arg(&self.binary);
        command
    }
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

    /// Ends it, without warning if its site does not say otherwise, and starts it again on the same folder.
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
        let mut command = site.command();
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
                    .env("WAYPOST_WEBHOOK__APP_SECRET", APP_SECRET)
                    .env("WAYPOST_PUBLIC_URL", "https://bench.example.com")
                    .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8")
                    .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true");
            }
        }
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        process.end_by(site.ending);
        wait_until_ready(&mut process, address, began)
            .await
            .with_context(|| format!("its output is in {}", log.display()))?;
        let ready_after = began.elapsed();
        let demo = read_env(&data.path().join("demo.env"))?;
        Ok(Self { process, address, ready_after, demo, data })
    }

    /// The key to the whole management API.
    ///
    /// # Errors
    /// When `demo.env` lacks it.
    pub(crate) fn admin_key(&self) -> Result<&str> {
        let key = self.demo.get("WAYPOST_ADMIN_KEY").context("demo.env has no admin key")?;
        Ok(key)
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
