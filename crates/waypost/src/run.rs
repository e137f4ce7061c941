//! The composition root: builds the gateway from a configuration, runs it, and stops it in order.
//! Nothing is decided here but what is connected to what.

mod announce;
mod callbacks;
mod demo;
mod links;
mod notify;
mod secrets;

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use waypost_clock::Clock;
use waypost_engine::ports::Recovered;
use waypost_engine::vault::Vault;
use waypost_engine::{Engine, Ports, Settings};
use waypost_planted::{Bug, is_planted};
use waypost_sandbox::{Sandbox, SandboxConfig, Seed};
use waypost_server::{ServerConfig, TlsSource};
use waypost_store_files::FileBlobs;
use waypost_store_sqlite::{Options, SqliteStore};
use waypost_upstream::{CloudApi, UpstreamConfig, webhook};

use crate::cli::SandboxArgs;
use crate::config::{Config, Demo, TlsFiles, UpstreamTarget};
use crate::data_dir::{DataDir, SANDBOX};
use crate::sandbox_clock;
use crate::tls::Certificate;

use self::announce::Started;
use self::callbacks::Posts;
use self::links::Links;
use self::secrets::Secrets;
pub(crate) use self::secrets::{VAULT_CHECK, fits};

/// The sandbox takes any token; this one says in its log whose calls they are.
const SANDBOX_TOKEN: &str = "waypost-sandbox";
/// Connections that may wait to be accepted. So many callers come at once where a proxy in front was
/// restarted, and whom the system turns away tries again only after a second; it allows fewer where
/// `net.core.somaxconn` says so.
const BACKLOG: u32 = 4_096;
/// Longest that a stop waits for what is on its way; beyond, the next start closes it.
const STOP_LIMIT: Duration = Duration::from_secs(45);
/// The same of the sandbox, which keeps nothing.
const SANDBOX_STOP_LIMIT: Duration = Duration::from_secs(2);

/// Runs the gateway until it is told to stop.
pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    let began = Instant::now();
    let signals = StopSignals::listen()?;
    let gateway = Gateway::build(&config).await?;
    gateway.run(&config, began, signals).await
}

/// Where the two listeners are reached.
struct Urls {
    gateway: String,
    sandbox: Option<String>,
}

impl Urls {
    fn of(
        config: &Config,
        gateway: &TcpListener,
        sandbox: Option<&TcpListener>,
    ) -> io::Result<Self> {
        let sandbox = sandbox.map(TcpListener::local_addr).transpose()?;
        Ok(Self {
            gateway: config.local_url(gateway.local_addr()?),
            sandbox: sandbox.map(|address| crate::config::local_url("http", address)),
        })
    }
}

/// A gateway that listens and has not begun to answer.
struct Gateway {
    engine: Engine,
    folder: DataDir,
    listener: TcpListener,
    secrets: Secrets,
    urls: Urls,
    sandbox: Option<(Sandbox, TcpListener)>,
    /// Why database or media folder take no more writes.
    broken: [watch::Receiver<Option<String>>; 2],
}

impl Gateway {
    async fn build(config: &Config) -> anyhow::Result<Self> {
        let forced = config.demo == Demo::Forced;
        let folder = DataDir::open(&config.data_dir, &config.upstream.target, forced)?;
        let vault = Vault::new(folder.master_key(&config.master_key_file)?);
        folder.require_database(&config.database_file)?;
        let store = Arc::new(SqliteStore::open(&config.database_file, &Options::default())?);
        secrets::check_master_key(&store, &vault).await?;
        let blobs = FileBlobs::open(config.data_dir.join("media"))?;
        let broken = [store.broken(), blobs.broken()];
        let listener = listen(config.listen, "listen")?;
        let listen_for_sandbox = |address| listen(address, "sandbox.listen");
        let sandbox_listener = config.sandbox_listen.map(listen_for_sandbox).transpose()?;
        let urls = Urls::of(config, &listener, sandbox_listener.as_ref())?;
        let secrets = secrets::settle(config, &folder, &store, &vault, &urls).await?;
        let clock = open_clock(config)?;
        let links = Links::new(&config.egress);
        let sandbox = sandbox_listener
            .map(|listener| (sandbox_of(config, &secrets, &links, &urls, &clock), listener));
        let upstream_url = upstream_url(config, &urls)?;
        let upstream = UpstreamConfig::new(upstream_url, config.upstream.version.as_str());
        let ports = Ports {
            store,
            blobs: Arc::new(blobs),
            upstream: Arc::new(CloudApi::new(upstream)?),
            callback_addresses: Arc::new(links.clone()),
            callbacks: Arc::new(Posts::new(links.egress())),
            links: Arc::new(links),
            webhooks: Arc::new(webhook::Codec),
            shapes: waypost_dialects::SHAPES,
        };
        let settings = settings(config, &secrets, listener.local_addr()?);
        let (engine, recovered) = Engine::start(ports, settings, vault, clock).await?;
        tell_recovered(&recovered);
        engine.keys().set_admin(secrets.admin_sha256.clone());
        Ok(Self { engine, folder, listener, secrets, urls, sandbox, broken })
    }

    async fn run(
        self,
        config: &Config,
        began: Instant,
        signals: StopSignals,
    ) -> anyhow::Result<()> {
        let (cancel, stop_sandbox) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        if let Some((sandbox, listener)) = self.sandbox {
            begin_sandbox(&sandbox, listener, &tasks, &stop_sandbox);
        }
        let demo = if has_demo(config, &self.folder) {
            let (engine, folder) = (&self.engine, &self.folder);
            Some(demo::keep_up(engine, folder, &self.secrets, &self.urls).await?)
        } else {
            None
        };
        self.folder.finish_first_start()?;
        let engine = self.engine;
        let working = tokio::spawn({
            let (engine, cancel) = (engine.clone(), cancel.clone());
            async move { engine.run(cancel).await }
        });
        let router = waypost_server::router(engine.clone(), server_config(config));
        let tls = config.tls.as_ref().map(tls_source).transpose()?;
        let serving =
            tokio::spawn(waypost_server::serve(self.listener, router, tls, cancel.clone()));
        if !engine.settings().live {
            // The sandbox's templates are there from the start, like those of a real account.
            let engine = engine.clone();
            tasks.spawn(async move { engine.sync_all_templates().await });
        }
        announce_start(config, &self.urls, &engine, demo.as_ref(), began.elapsed());
        notify::ready();
        let ended = stopped(signals, disk_failed(self.broken)).await;
        if is_planted(Bug::StopAtOnce) {
            return ended;
        }
        notify::stopping();
        cancel.cancel();
        drained(&engine, serving, working).await;
        // It answers until the last call has its outcome.
        end_sandbox(&tasks, &stop_sandbox).await;
        ended
    }
}

fn open_clock(config: &Config) -> anyhow::Result<Clock> {
    match &config.upstream.target {
        UpstreamTarget::Sandbox => sandbox_clock::open(&config.data_dir.join(SANDBOX)),
        // Whatever a sandbox did to its time: Meta has the machine's hour.
        UpstreamTarget::Real(_) => Ok(Clock::system()),
    }
}

/// The built-in sandbox; it posts its webhooks to the gateway.
fn sandbox_of(
    config: &Config,
    secrets: &Secrets,
    links: &Links,
    urls: &Urls,
    clock: &Clock,
) -> Sandbox {
    let sandbox = SandboxConfig {
        webhook_url: Some(format!("{}/webhooks/meta", urls.gateway)),
        verify_token: secrets.verify_token.clone(),
        app_secret: secrets.app_secret.clone(),
        access_token: None,
        public_host: config.public_host(),
        egress: Arc::new(links.clone()),
        seed: Seed::demo(),
        state_dir: Some(config.data_dir.join(SANDBOX)),
    };
    Sandbox::new(sandbox, clock.clone())
}

fn upstream_url(config: &Config, urls: &Urls) -> anyhow::Result<Url> {
    match (&config.upstream.target, &urls.sandbox) {
        (UpstreamTarget::Real(url), _) => Ok(url.clone()),
        (UpstreamTarget::Sandbox, Some(url)) => Ok(url.parse()?),
        (UpstreamTarget::Sandbox, None) => bail!("the sandbox is the upstream and is off"),
    }
}

fn tell_recovered(recovered: &Recovered) {
    let (unknown, queued) = (recovered.unknown.len(), recovered.queued);
    if unknown > 0 || queued > 0 {
        tracing::warn!(unknown, queued, "messages left over from the last run");
    }
}

/// Waits until callers have their answers and calls their outcomes.
async fn drained(engine: &Engine, serving: JoinHandle<()>, working: JoinHandle<()>) {
    let drained = async {
        let _ = serving.await;
        let _ = working.await;
        engine.finish().await;
    };
    if tokio::time::timeout(STOP_LIMIT, drained).await.is_err() {
        tracing::warn!("stopped before everything on its way had an outcome");
    }
}

fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let listen = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart does not wait for the connections of the last run to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
        let remedy = listen_remedy(error.kind());
        anyhow!("cannot listen on {address} (setting {setting}): {error}{remedy}")
    })
}

fn listen_remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            "; is another process using it? Choose another with --listen or --sandbox-listen"
        }
        io::ErrorKind::AddrNotAvailable => "; it is no address of this machine",
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs the capability CAP_NET_BIND_SERVICE (AmbientCapabilities in \
             the unit): give it, or choose a port above 1023"
        }
        _ => "",
    }
}

/// The certificate, read anew when its files change.
fn tls_source(files: &TlsFiles) -> anyhow::Result<TlsSource> {
    let certificate = Certificate::load(files)?;
    let server_config = certificate.server_config()?;
    tokio::spawn(async move { certificate.reload_on_change().await });
    Ok(Arc::new(move || Arc::clone(&server_config)))
}

fn settings(config: &Config, secrets: &Secrets, bound: SocketAddr) -> Settings {
    let live = matches!(config.upstream.target, UpstreamTarget::Real(_));
    let token = config.upstream.access_token.as_ref().map(|token| token.expose().to_owned());
    let app_id = config.upstream.app_id.clone();
    Settings {
        live,
        upstream_name: config.upstream.target.name(),
        default_token: token.or_else(|| (!live).then(|| SANDBOX_TOKEN.to_owned())),
        app_secret: secrets.app_secret.clone(),
        verify_token: secrets.verify_token.clone(),
        public_url: config.public_url(bound),
        app_id: app_id.or_else(|| (!live).then(|| waypost_sandbox::APP_ID.to_owned())),
    }
}

fn server_config(config: &Config) -> ServerConfig {
    ServerConfig { trusted_proxies: config.trusted_proxies.clone(), ..ServerConfig::default() }
}

fn has_demo(config: &Config, folder: &DataDir) -> bool {
    let existing = folder.path().join(crate::data_dir::DEMO_ENV).exists();
    match config.demo {
        Demo::Forced => true,
        Demo::OnEmptyFolder => folder.is_first_start() || existing,
        Demo::Off => false,
    }
}

/// The gateway renews its windows at each start; the sandbox must agree with it.
fn open_sandbox_windows(sandbox: &Sandbox) {
    let seed = Seed::demo();
    for number in &seed.numbers {
        for person in &seed.people {
            sandbox.open_window(&person.phone, &number.phone_number_id);
        }
    }
}

fn announce_start(
    config: &Config,
    urls: &Urls,
    engine: &Engine,
    demo: Option<&crate::data_dir::Variables>,
    took: Duration,
) {
    let upstream = &engine.settings().upstream_name;
    tracing::info!(
        gateway = urls.gateway,
        sandbox = urls.sandbox,
        upstream,
        version = env!("CARGO_PKG_VERSION"),
        ms = took.as_millis(),
        "ready"
    );
    // Where logs are collected, what to paste is of no use.
    if io::stdout().is_terminal() || demo.is_some() {
        announce::announce(&Started {
            gateway: &urls.gateway,
            sandbox: urls.sandbox.as_deref(),
            upstream,
            data_dir: &config.data_dir,
            demo,
            took,
        });
    }
}

/// The signals to stop, listened to before anybody can know that there is a process to stop: until
/// then they would end it in the middle of whatever it does.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }
}

/// Waits until a disk has failed; tells why.
async fn disk_failed([mut database, mut media]: [watch::Receiver<Option<String>>; 2]) -> String {
    let failed = tokio::select! {
        failed = database.wait_for(Option::is_some) => failed,
        failed = media.wait_for(Option::is_some) => failed,
    };
    failed.ok().and_then(|why| why.clone()).unwrap_or_default()
}

/// Waits for a signal to stop, or for a disk to fail.
async fn stopped(
    mut signals: StopSignals,
    disk_failed: impl Future<Output = String>,
) -> anyhow::Result<()> {
    tokio::select! {
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
        why = disk_failed => {
            return Err(anyhow!(
                "the disk failed, and nothing more is accepted ({why}). \
                 What was acknowledged is on it; mend the disk and start again"
            ));
        }
    }
    tracing::info!("stopping");
    Ok(())
}

/// Runs the sandbox alone until it is told to stop.
pub(crate) async fn sandbox(config: Config, args: SandboxArgs) -> anyhow::Result<()> {
    let signals = StopSignals::listen()?;
    let address = config.sandbox_listen.context("the sandbox is switched off (sandbox.enabled)")?;
    let listener = listen(address, "sandbox.listen")?;
    let url = crate::config::local_url("http", listener.local_addr()?);
    let secret = |set: &Option<crate::config::Secret>, otherwise: &str| {
        set.as_ref().map_or_else(|| otherwise.to_owned(), |secret| secret.expose().to_owned())
    };
    let sandbox = Sandbox::new(
        SandboxConfig {
            webhook_url: args.webhook_url.clone(),
            verify_token: secret(&config.webhook_verify_token, "verify-token"),
            app_secret: secret(&config.webhook_app_secret, "app-secret"),
            access_token: None,
            public_host: config.public_host(),
            egress: Arc::new(Links::new(&config.egress)),
            seed: Seed::demo(),
            state_dir: None,
        },
        Clock::system(),
    );
    let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
    begin_sandbox(&sandbox, listener, &tasks, &cancel);
    announce_sandbox(&url);
    stopped(signals, std::future::pending()).await?;
    end_sandbox(&tasks, &cancel).await;
    Ok(())
}

/// Lets a sandbox answer and post its webhooks, until it is cancelled.
fn begin_sandbox(
    sandbox: &Sandbox,
    listener: TcpListener,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    open_sandbox_windows(sandbox);
    let (pump, stop) = (sandbox.clone(), cancel.clone());
    tasks.spawn(async move { pump.run_pump(stop).await });
    let (server, stop) = (sandbox.clone(), cancel.clone());
    tasks.spawn(async move { server.serve(listener, stop).await });
}

async fn end_sandbox(tasks: &TaskTracker, cancel: &CancellationToken) {
    cancel.cancel();
    tasks.close();
    let _ = tokio::time::timeout(SANDBOX_STOP_LIMIT, tasks.wait()).await;
}

#[allow(clippy::print_stdout, reason = "the command line speaks to the terminal")]
fn announce_sandbox(url: &str) {
    println!(
        "\nThe sandbox is ready: a simulator of Meta's Cloud API; nothing reaches a real phone.\n\n  \
         Cloud API  {url}/v23.0/100000000000001/messages (any bearer token)\n  Handset    {url}/\n"
    );
}
