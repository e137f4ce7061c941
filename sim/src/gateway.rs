//! One process of the gateway: the real engine over the real store's jobs, on a runtime of its own
//! whose timers pass only while everybody waits. Dropping the runtime is the crash.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waypost_clock::Clock;
use waypost_domain::callback::Webhook;
use waypost_domain::{NumberId, WebhookId};
use waypost_engine::callbacks::NewWebhook;
use waypost_engine::ports::{DirectoryStore as _, Entry, PutMode};
use waypost_engine::vault::Vault;
use waypost_engine::{Engine, Ports, Settings};
use waypost_store_sqlite::{MemoryDisk, SqliteStore};

use crate::furniture::{number, org, org_id, phone};
use crate::news;
use crate::plan::PEOPLE;
use crate::store::Store;
use crate::surroundings::{Numbered, Receiver, SHAPES, Steps, Without};
use crate::upstream::Simulated;
use crate::world::World;

/// How long a stop in order may take. Longer than the upstream ever keeps one waiting.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Gateway {
    /// Starts it on the world's disk.
    pub(crate) async fn start(world: &Arc<World>) -> Self {
        let clock = Clock::of_runtime(world.state().wall_ms);
        let steps = Arc::new(Steps(Arc::clone(world)));
        let sqlite = SqliteStore::in_memory(&world.disk, steps).expect("the layout is ours");
        let store = Store::new(sqlite, clock.clone());
        let upstream = Simulated { world: Arc::clone(world), store: store.clone() };
        let ports = Ports {
            store: Arc::clone(&store.sqlite) as _,
            blobs: Arc::new(Without),
            upstream: Arc::new(upstream),
            links: Arc::new(Without),
            callback_addresses: Arc::new(Without),
            webhooks: Arc::new(Numbered(Arc::clone(world))),
            callbacks: Arc::new(Receiver(Arc::clone(world))),
            shapes: SHAPES,
        };
        let started = Engine::start(ports, settings(), Vault::new([7; 32]), clock.clone()).await;
        let engine = started.expect("the disk has room at a start").0;
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        tokio::spawn(news::bring(Arc::clone(world), engine.clone()));
        Self { engine, store, clock, stop, running }
    }

    /// Stops it as a signal would; `false` where it does not end.
    pub(crate) async fn stop(self) -> bool {
        self.engine.finish().await;
        self.stop.cancel();
        tokio::time::timeout(STOP_LIMIT, self.running).await.is_ok()
    }
}

fn settings() -> Settings {
    Settings {
        live: false,
        upstream_name: "simulation".to_owned(),
        default_token: Some("token".to_owned()),
        app_secret: "secret".to_owned(),
        verify_token: "verify".to_owned(),
        public_url: "https://waypost.example.com".to_owned(),
        app_id: None,
    }
}

/// Makes the directory that every sequence begins with: an organisation with a number, a template
/// and a receiver of callbacks; people with open windows, and one who never wrote.
pub(crate) async fn furnish(world: &Arc<World>) {
    let gateway = Gateway::start(world).await;
    let engine = &gateway.engine;
    let done = async {
        engine.directory().put(Entry::Org(org(world.setup)), PutMode::Create).await?;
        engine.put_number(number(), PutMode::Create).await?;
        engine.sync_templates(&org_id()).await?;
        let webhook = NewWebhook {
            org_id: org_id(),
            id: Some(WebhookId::new("webhook-1")),
            url: "https://receiver.example.com/events".to_owned(),
            shape: "standard".to_owned(),
            number_id: None,
            events: std::collections::BTreeSet::new(),
            secret: Some("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=".to_owned()),
            header: None,
        };
        let (made, _) = engine.create_webhook::<waypost_domain::Failure>(webhook, None).await?;
        // Nobody checks signatures here, and making them would take a tenth of the time.
        let unsigned = Webhook { secrets: Vec::new(), ..(*made).clone() };
        engine.change_webhook(move || Ok::<_, waypost_domain::Failure>(unsigned)).await?;
        for person in 1..PEOPLE {
            let (number_id, now) = (NumberId::new("number-1"), engine.now());
            let phone = phone(person);
            engine.store().renew_window(&org_id(), &number_id, &phone, now).await?;
        }
        Ok::<_, waypost_domain::Failure>(())
    };
    done.await.expect("a new directory takes all of it");
    assert!(gateway.stop().await, "nothing is under way");
}

/// Gives the organisation a sequence's policies, before any process runs.
pub(crate) async fn settle_policies(disk: &MemoryDisk, world: &Arc<World>) {
    let steps = Arc::new(Steps(Arc::clone(world)));
    let store = SqliteStore::in_memory(disk, steps).expect("the layout is ours");
    let put = store.put_entry(Entry::Org(org(world.setup)), PutMode::Replace);
    world.audit(put).await.expect("the organisation exists");
}
