//! A simulator of Meta's WhatsApp Cloud API with a phone in the browser. It answers, refuses,
//! limits, fails and calls back as the real one does (validation, codes, the 24-hour rule,
//! statuses, signed webhooks with retries), on a clock that can be moved.
//!
//! It is for development, tests and demonstrations: it sends nothing to anybody, forgets its
//! messages when the process ends, and shares no code with the client it is tested against.

mod agenda;
mod blocking;
mod call;
mod chat_view;
mod config;
mod control;
mod control_call;
mod entropy;
mod errors;
mod faults;
mod fetching;
mod flow_api;
mod flows;
mod form;
mod handset_api;
mod handset_media;
mod hosts;
mod inbound;
mod inbound_shape;
mod limits;
mod links;
mod log;
mod media;
mod media_kind;
mod media_store;
mod media_view;
mod message_kind;
mod messages;
mod numbers;
mod outbox;
mod page;
mod paging;
mod people;
mod resumable;
mod reviews;
mod routes;
mod serve;
mod state;
mod statuses;
mod subscriptions;
mod tapping;
mod template_api;
mod template_view;
mod templates;
mod uploads;
mod validate;
mod wamid;
mod webhooks;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use waypost_clock::Clock;

pub use config::{APP_ID, FetchedLink, LinkFetcher, SandboxConfig, Seed, SeedNumber, SeedPerson};
pub use control::LEDGER_PAGE_MAX;
pub use control_call::CONTROL_BODY_MAX_BYTES;
pub use faults::{FAULT_LATENCY_MAX_MS, FAULT_RULES_MAX};
pub use fetching::LINK_FETCHES_MAX;
pub use flows::FLOWS_MAX;
pub use form::FORM_FILE_MAX_BYTES;
pub use limits::{Limits, THROUGHPUT_MAX_PER_S, WindowRule};
pub use links::{LINK_CACHE_MS, LINKS_MAX};
pub use log::{LOG_MAX_BYTES, LOG_MAX_MESSAGES};
pub use media_kind::MEDIA_FILE_MAX_BYTES;
pub use media_store::{MEDIA_FILES_MAX, MEDIA_FOLDER_MAX_BYTES, MEDIA_MEMORY_MAX_BYTES};
pub use outbox::{
    WEBHOOK_BATCH_MAX_BYTES, WEBHOOK_BATCH_MAX_UPDATES, WEBHOOK_HELD_MAX_UPDATES,
    WEBHOOK_RETRY_SPAN_MS,
};
pub use people::{CHAT_MESSAGES_MAX, NOT_ON_WHATSAPP, PEOPLE_MAX};
pub use serve::CONNECTIONS_MAX;
pub use state::{DELIVERED_DELAY_MS, SENT_DELAY_MS};
pub use templates::{REVIEW_MS, TEMPLATES_MAX};
pub use uploads::{UPLOAD_HANDLES_MAX, UPLOAD_SESSIONS_MAX};
pub use webhooks::WEBHOOK_POSTS_MAX;

use outbox::AppWebhook;
use state::{State, Wake};
use webhooks::WebhookClient;

/// Uploads that are received into files at the same time; further ones wait.
const UPLOADS_MAX: usize = 16;
/// The same into memory, where each may take a hundred megabytes.
const UPLOADS_IN_MEMORY_MAX: usize = 4;
/// Tasks carried out without letting others at the state.
const TASKS_PER_TURN: usize = 256;

/// The simulator. Clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    wake: Arc<Wake>,
    clock: Clock,
    egress: Arc<dyn LinkFetcher>,
    webhook_client: WebhookClient,
    access_token: Option<String>,
    public_host: Option<String>,
    /// Signs media addresses.
    url_secret: [u8; 32],
    media_folder: Option<PathBuf>,
    uploads: Semaphore,
}

impl Sandbox {
    /// A sandbox with the seed in it. It answers when its [`Sandbox::router`] is served; statuses,
    /// reviews, link fetches and webhooks need [`Sandbox::run_pump`] as well.
    ///
    /// With a `state_dir`, media of an earlier process are found again; when its folder cannot be
    /// made, media are kept in memory.
    #[must_use]
    pub fn new(config: SandboxConfig, clock: Clock) -> Self {
        let app = AppWebhook {
            url: config.webhook_url,
            verify_token: config.verify_token,
            app_secret: config.app_secret,
            with_conversation: true,
            with_user_ids: true,
        };
        let wake = Arc::new(Wake::default());
        let mut state = State::new(config.seed, app, clock.clone(), Arc::clone(&wake));
        let media_folder = config.state_dir.map(|dir| dir.join("media")).filter(|folder| {
            std::fs::create_dir_all(folder)
                .inspect_err(|error| {
                    tracing::warn!(%error, "no folder for the sandbox's media: kept in memory");
                })
                .is_ok()
        });
        if let Some(folder) = &media_folder {
            state.media.load(folder, clock.now_ms());
        }
        let mut url_secret = [0_u8; 32];
        entropy::fill(&mut url_secret);
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            wake,
            clock,
            egress: config.egress,
            webhook_client: WebhookClient::new(),
            access_token: config.access_token,
            public_host: config.public_host,
            url_secret,
            uploads: Semaphore::new(match media_folder {
                Some(_) => UPLOADS_MAX,
                None => UPLOADS_IN_MEMORY_MAX,
            }),
            media_folder,
        }))
    }

    /// The Cloud API, the control plane and the handset page. Under [`Sandbox::serve`] it can also
    /// cut connections; elsewhere such a fault is a 503 without a body.
    pub fn router(&self) -> axum::Router {
        routes::router(self)
    }

    /// Carries out what happens by itself until `cancel`: statuses, reviews, link fetches,
    /// webhooks. Run it once.
    pub async fn run_pump(&self, cancel: CancellationToken) {
        tokio::join!(
            self.run_progress(&cancel),
            webhooks::run(self, &cancel),
            fetching::run(self, &cancel),
        );
    }

    async fn run_progress(&self, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            let woken = self.0.wake.progress.notified();
            let next_ms = self.state().run_due(TASKS_PER_TURN);
            let sleep = async {
                match next_ms {
                    Some(at_ms) => self.0.clock.sleep_until(at_ms).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                () = woken => {}
                () = sleep => tokio::task::yield_now().await,
            }
        }
    }

    /// Where webhooks go from now on, also those that wait.
    pub fn set_webhook_url(&self, url: impl Into<String>) {
        self.state().app.url = Some(url.into());
        self.0.wake.webhooks.notify_one();
    }

    /// Opens the 24-hour window of a person from now on, as if they had just written, without a
    /// webhook; `DELETE /_sandbox/state` opens it again. False if there is no such number or the
    /// phone is malformed.
    pub fn open_window(&self, phone: &str, phone_number_id: &str) -> bool {
        validate::phone_digits(phone)
            .is_some_and(|digits| self.state().renew_window(&digits, phone_number_id))
    }

    /// Replaces the limits that hold (also `POST /_sandbox/limits`).
    pub fn set_limits(&self, limits: Limits) {
        self.state().limits = limits;
    }

    /// The limits that hold.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state().limits.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}
