//! Use cases and the delivery machinery: accept, schedule, pace, send, record.
//!
//! It owns the ports it needs and knows no wire format, no SQL, no HTTP.

mod admission;
mod backup;
mod broadcast;
pub mod callbacks;
mod calls;
mod consents;
mod countdown;
pub mod directory;
mod events;
mod flows;
mod gauges;
mod guards;
mod hour;
mod idempotency;
mod inbound;
mod interventions;
mod joins;
pub mod keys;
mod lanes;
mod media;
mod metrics;
mod numbers;
mod options;
mod outages;
mod outcomes;
mod overdue;
mod overload;
mod pacing;
pub mod panics;
pub mod ports;
mod probes;
mod queue;
mod retention;
mod room;
mod samples;
mod send;
mod submit;
mod templates;
mod token;
mod unknowns;
mod uploads;
pub mod vault;
mod watch;
mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_clock::Clock;
use waypost_domain::callback::CallbackShape;
use waypost_domain::command::Caller;
use waypost_domain::directory::Number;
use waypost_domain::pacing::DEFAULT_RATE_PER_S;
use waypost_domain::{ErrorKind, Failure, MessageId, NumberId, Timestamp};

pub use crate::backup::{Backup, BackupError};
use crate::callbacks::Callbacks;
use crate::calls::Calls;
use crate::countdown::Countdowns;
use crate::directory::Directory;
pub use crate::flows::{FlowChange, FlowDefinition, FlowDraft, MAX_FLOW_JSON_BYTES};
use crate::gauges::Gauges;
pub use crate::gauges::Readings;
use crate::hour::Hour;
use crate::idempotency::KeysInUse;
pub use crate::idempotency::{CreationKey, IdempotencyKey};
pub use crate::interventions::{Sweep, Swept};
use crate::keys::Keys;
pub use crate::lanes::PacingView;
use crate::lanes::{Lane, Lanes};
use crate::media::MediaLibrary;
pub use crate::media::Upload;
use crate::metrics::Metrics;
pub use crate::metrics::MetricsSnapshot;
pub use crate::outages::Outage;
use crate::outages::Outages;
use crate::ports::{
    BlobStore, CallbackAddresses, CallbackPoster, LinkFetcher, Recovered, Store, StoreError,
    Upstream, WebhookCodec,
};
use crate::room::Disk;
use crate::templates::UnknownTemplates;
use crate::token::Tokens;
use crate::unknowns::Resends;
pub use crate::uploads::StoreFile;
use crate::vault::Vault;
use crate::watch::Watch;

/// How often templates are read anew.
const HOUSEKEEPING: Duration = Duration::from_secs(3_600);

/// What the engine is told about the installation. Holds secrets, so it cannot be printed.
#[derive(Clone)]
pub struct Settings {
    /// Whether the upstream is a real one, not the sandbox.
    pub live: bool,
    /// The upstream's name for people, such as `sandbox` or its host.
    pub upstream_name: String,
    /// The upstream token for numbers without their own.
    pub default_token: Option<String>,
    /// The secret with which the upstream signs webhooks.
    pub app_secret: String,
    /// The token with which the upstream verifies the webhook address.
    pub verify_token: String,
    /// Where tenants and the upstream reach this installation.
    pub public_url: String,
    /// Our app's id at the upstream.
    pub app_id: Option<String>,
}

/// The adapters behind the ports.
pub struct Ports {
    /// Where everything but bytes is kept.
    pub store: Arc<dyn Store>,
    /// Where bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// Meta's Cloud API, or the sandbox.
    pub upstream: Arc<dyn Upstream>,
    /// Fetches links with a provider's credential.
    pub links: Arc<dyn LinkFetcher>,
    /// Judges addresses to which tenants want events posted.
    pub callback_addresses: Arc<dyn CallbackAddresses>,
    /// Checks and reads webhooks.
    pub webhooks: Arc<dyn WebhookCodec>,
    /// Posts events to tenants' addresses.
    pub callbacks: Arc<dyn CallbackPoster>,
    /// How events are told.
    pub shapes: &'static [&'static dyn CallbackShape],
}

/// One request with who makes it and how.
#[derive(Clone, Debug)]
pub struct Ask<T> {
    /// Who asks.
    pub caller: Caller,
    /// The dialect in which it came.
    pub dialect: &'static str,
    /// The path on which it came: the scope of idempotency keys.
    pub route: &'static str,
    /// The caller's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
    /// How long a second request with the same key waits for the first one.
    pub idempotency_wait: Duration,
    /// Whether it waits also for the first one's unknown outcome, rather than to be told of it.
    pub awaits_unknown: bool,
    /// Whether its key's use with another request is told ahead of faults in sender and content.
    pub conflicts_first: bool,
    /// What is asked.
    pub command: T,
}

impl<T> Ask<T> {
    /// The request without its command, and the command to be used up: the files in it must not
    /// stay in memory until the answer.
    fn part(self) -> (Ask<()>, T) {
        let ask = Ask {
            caller: self.caller,
            dialect: self.dialect,
            route: self.route,
            idempotency: self.idempotency,
            idempotency_wait: self.idempotency_wait,
            awaits_unknown: self.awaits_unknown,
            conflicts_first: self.conflicts_first,
            command: (),
        };
        (ask, self.command)
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The outcome.
    pub outcome: T,
    /// Whether it is the outcome of an earlier request with the same idempotency key.
    pub replayed: bool,
}

impl<T> Answer<T> {
    fn new(outcome: T) -> Self {
        Self { outcome, replayed: false }
    }

    fn replay(outcome: T) -> Self {
        Self { outcome, replayed: true }
    }
}

/// The engine. Clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    store: Arc<dyn Store>,
    upstream: Arc<dyn Upstream>,
    webhooks: Arc<dyn WebhookCodec>,
    callback_addresses: Arc<dyn CallbackAddresses>,
    callbacks: Callbacks,
    directory: Arc<Directory>,
    keys: Keys,
    vault: Vault,
    tokens: Tokens,
    clock: Clock,
    settings: Settings,
    media: MediaLibrary,
    lanes: Lanes,
    new_lanes: mpsc::UnboundedSender<Arc<Lane>>,
    lanes_to_drain: Mutex<Option<mpsc::UnboundedReceiver<Arc<Lane>>>>,
    watch: Watch<MessageId>,
    countdowns: Countdowns,
    unknown_templates: UnknownTemplates,
    keys_in_use: KeysInUse,
    outages: Outages,
    resends: Resends,
    inbox_filled: Notify,
    inbound_files: Semaphore,
    org_removed: Notify,
    metrics: Arc<Metrics>,
    calls: Calls,
    gauges: Gauges,
    hour: Hour,
    store_broken: AtomicBool,
    stopping: CancellationToken,
    /// What callers asked for and may have gone away from.
    callers: TaskTracker,
}

impl Engine {
    /// Reads the directory and closes what a crash left open. Nothing runs yet.
    ///
    /// # Errors
    /// What the store says.
    pub async fn start(
        ports: Ports,
        settings: Settings,
        vault: Vault,
        clock: Clock,
    ) -> Result<(Self, Recovered), StoreError> {
        let now = Timestamp(clock.now_ms());
        let hour = Hour::at_start(&*ports.store, now).await;
        let recovered = ports.store.recover(now).await?;
        let directory = Arc::new(Directory::load(Arc::clone(&ports.store)).await?);
        let metrics = Arc::new(Metrics::default());
        let media = MediaLibrary {
            store: Arc::clone(&ports.store),
            blobs: ports.blobs,
            upstream: Arc::clone(&ports.upstream),
            links: ports.links,
            directory: Arc::clone(&directory),
            vault: vault.clone(),
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
            public_prefix: settings.public_url.trim_end_matches('/').to_owned(),
            uploading: Mutex::default(),
            removing: tokio::sync::RwLock::new(()),
            backup: Arc::new(Semaphore::new(1)),
        };
        let (new_lanes, lanes_to_drain) = mpsc::unbounded_channel();
        let engine = Self(Arc::new(Parts {
            store: ports.store,
            upstream: ports.upstream,
            webhooks: ports.webhooks,
            callback_addresses: ports.callback_addresses,
            callbacks: Callbacks::new(ports.shapes, ports.callbacks),
            keys: Keys::new(Arc::clone(&directory), clock.clone()),
            directory,
            tokens: Tokens::new(&vault),
            vault,
            clock,
            settings,
            media,
            lanes: Lanes::default(),
            new_lanes,
            lanes_to_drain: Mutex::new(Some(lanes_to_drain)),
            watch: Watch::new(),
            countdowns: Countdowns::default(),
            unknown_templates: UnknownTemplates::default(),
            keys_in_use: KeysInUse::default(),
            outages: Outages::default(),
            resends: Resends::default(),
            inbox_filled: Notify::new(),
            inbound_files: Semaphore::new(inbound::FILES_AT_ONCE),
            org_removed: Notify::new(),
            metrics,
            calls: Calls::default(),
            gauges: Gauges::default(),
            hour,
            store_broken: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            callers: TaskTracker::new(),
        }));
        recovered.unknown.iter().for_each(|lost| engine.tell_lost(lost));
        Ok((engine, recovered))
    }

    /// Runs everything that happens without a caller, until it is cancelled; then waits until
    /// what is on its way to the upstream has its outcome. Call once.
    pub async fn run(&self, cancel: CancellationToken) {
        let Some(mut lanes) = self.0.lanes_to_drain.lock().take() else { return };
        let tasks = TaskTracker::new();
        self.keep(&tasks, &cancel, Self::work_off_inbox);
        self.keep(&tasks, &cancel, Self::dispatch_events);
        self.keep(&tasks, &cancel, Self::deliver_callbacks);
        self.keep(&tasks, &cancel, Self::keep_house);
        self.keep(&tasks, &cancel, Self::learn_limits);
        self.keep(&tasks, &cancel, Self::retain);
        self.keep(&tasks, &cancel, |engine, cancel| engine.await_room(Disk::Database, cancel));
        self.keep(&tasks, &cancel, |engine, cancel| engine.await_room(Disk::Files, cancel));
        self.keep(&tasks, &cancel, Self::record_calls);
        self.keep(&tasks, &cancel, Self::tell_overdue);
        self.keep(&tasks, &cancel, Self::resend_unknown);
        tasks.spawn(self.clone().drain_removed_numbers());
        for number in self.directory().all_numbers() {
            self.lane(&number);
        }
        self.remember_caps().await;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                lane = lanes.recv() => match lane {
                    Some(lane) => {
                        self.keep_fetching_files(&lane, &tasks, &cancel);
                        let attempts = tasks.clone();
                        self.keep(&tasks, &cancel, move |engine, cancel| {
                            engine.drain(Arc::clone(&lane), attempts.clone(), cancel)
                        });
                    }
                    None => break,
                },
            }
        }
        self.0.stopping.cancel();
        tasks.close();
        tasks.wait().await;
        self.countdowns().stop();
    }

    /// Waits until everything that callers asked for has its outcome, whether or not they still
    /// wait for it. Call after the last request was taken.
    pub async fn finish(&self) {
        self.0.callers.close();
        self.0.callers.wait().await;
        self.directory().finish().await;
        self.record_gathered_calls().await;
    }

    async fn keep_house(self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(HOUSEKEEPING) => {}
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = self.sync_all_templates() => {}
            }
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The callers' keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The store, for reading lists and managing customers.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Seals and opens secrets.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The clock's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.clock.now_ms())
    }

    /// The hour of the machine's wall clock: only for what others compare with their own clocks.
    #[must_use]
    pub fn wall_now(&self) -> Timestamp {
        Timestamp(self.0.clock.wall_ms())
    }

    /// What the engine was told about the installation.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What was counted since the start.
    #[must_use]
    pub fn metrics(&self) -> MetricsSnapshot {
        self.0.metrics.snapshot()
    }

    /// Whether the engine can do its work.
    ///
    /// # Errors
    /// Why it cannot, for an operator.
    pub fn is_ready(&self) -> Result<(), String> {
        if self.0.store_broken.load(Ordering::Acquire) {
            return Err("the store failed; see the log, mend the disk and start again".to_owned());
        }
        if *self.store().full().borrow() {
            return Err("the disk is full; make room".to_owned());
        }
        if *self.media_library().blobs.full().borrow() {
            return Err("the disk of the media folder is full; make room".to_owned());
        }
        Ok(())
    }

    /// Whether [`Engine::run`] was cancelled: who follows events is to come again elsewhere.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// Remembers that the store is beyond repair in this process.
    pub fn note_store_error(&self, error: &StoreError) {
        if matches!(error, StoreError::Broken(_)) {
            self.0.store_broken.store(true, Ordering::Release);
        }
    }

    pub(crate) fn lane(&self, number: &Number) -> Arc<Lane> {
        let (lane, new) = self.0.lanes.lane(&number.id, number.throughput_per_s);
        if new {
            lane.guards.set_daily_limit(number.daily_limit);
            self.drain_lane(&lane);
        }
        lane
    }

    /// A lane for a number that is there no more.
    pub(crate) fn lane_of_removed(&self, number_id: &NumberId) {
        let (lane, new) = self.0.lanes.lane(number_id, DEFAULT_RATE_PER_S);
        if new {
            self.drain_lane(&lane);
        }
    }

    fn drain_lane(&self, lane: &Arc<Lane>) {
        // Nobody receives once the engine has stopped: then nothing is drained any more.
        let _ = self.0.new_lanes.send(Arc::clone(lane));
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }

    fn upstream(&self) -> &Arc<dyn Upstream> {
        &self.0.upstream
    }

    fn webhook_codec(&self) -> &Arc<dyn WebhookCodec> {
        &self.0.webhooks
    }

    fn callback_addresses(&self) -> &dyn CallbackAddresses {
        &*self.0.callback_addresses
    }

    fn callbacks(&self) -> &Callbacks {
        &self.0.callbacks
    }

    fn media_library(&self) -> &MediaLibrary {
        &self.0.media
    }

    fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    fn watch(&self) -> &Watch<MessageId> {
        &self.0.watch
    }

    fn countdowns(&self) -> &Countdowns {
        &self.0.countdowns
    }

    fn unknown_templates(&self) -> &UnknownTemplates {
        &self.0.unknown_templates
    }

    fn keys_in_use(&self) -> &KeysInUse {
        &self.0.keys_in_use
    }

    fn outages(&self) -> &Outages {
        &self.0.outages
    }

    fn resends(&self) -> &Resends {
        &self.0.resends
    }

    fn inbox_filled(&self) -> &Notify {
        &self.0.inbox_filled
    }

    fn inbound_files(&self) -> &Semaphore {
        &self.0.inbound_files
    }

    fn org_removed(&self) -> &Notify {
        &self.0.org_removed
    }

    fn calls(&self) -> &Calls {
        &self.0.calls
    }

    fn gauges(&self) -> &Gauges {
        &self.0.gauges
    }

    fn hour(&self) -> &Hour {
        &self.0.hour
    }

    fn count(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Runs something to its end even if who waits for it goes away. It is boxed at once: as large
    /// as such work is, moving it about would cost more than the rest.
    fn detached<T: Send + 'static, E: From<Failure> + Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static {
        let running = self.0.callers.spawn(Box::pin(work));
        async move {
            running.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a request's task ended unexpectedly");
                let message = "The request could not be completed.";
                Err(Failure::new(ErrorKind::Unavailable, message).into())
            })
        }
    }
}
