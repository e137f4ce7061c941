//! An engine with one organisation, one number and a scripted upstream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use waypost_clock::Clock;
use waypost_domain::command::{
    Broadcast, Caller, MediaDraft, MessageType, Recipient, SendMessage, Submission, Submit,
};
use waypost_domain::content::{InlineFile, MediaMessage, TemplateMessage};
use waypost_domain::customer::Customer;
use waypost_domain::directory::{MediaProvider, Number, Org};
use waypost_domain::media::{MediaKind, MimeType};
use waypost_domain::message::{Message, MessageHistory};
use waypost_domain::status::Report;
use waypost_domain::template::Template;
use waypost_domain::{
    ApiKeyId, Content, CustomerId, MediaSource, MessageId, NumberId, OrgId, Phone, Status,
    Timestamp,
};
use waypost_engine::ports::{
    CallbackAddresses, CallbackPoster, Entry, FetchedLink, Inbound, LinkCredential, LinkError,
    LinkFetcher, PutMode, Signer, StatusNotice, StoreResult, Upstream, UpstreamEvent, WebhookCodec,
};
use waypost_engine::vault::Vault;
use waypost_engine::{Ask, Engine, IdempotencyKey, Ports, Settings};
use waypost_store_files::FileBlobs;
use waypost_store_sqlite::{MemoryDisk, Moment, Options, SqliteStore, Turns};

use crate::receivers::{Receivers, SHAPES};
pub(crate) use crate::scripted::{ScriptedUpstream, Seen, lost, refused, too_fast};

pub(crate) const NOON: i64 = 1_800_000_000_000;
/// Generous: what would hang without end must fail.
pub(crate) const LIVELY: Duration = Duration::from_secs(120);
/// Gives one file for any link, and remembers what it was asked with.
#[derive(Default)]
pub(crate) struct OneFile {
    pub(crate) asked: Mutex<Vec<(String, Option<String>)>>,
}

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a small picture";

#[async_trait]
impl LinkFetcher for OneFile {
    fn check(&self, url: &str) -> Result<(), LinkError> {
        if url.contains("127.0.0.1") {
            return Err(LinkError::Forbidden("a private address".to_owned()));
        }
        Ok(())
    }

    async fn fetch(
        &self,
        _: &OrgId,
        url: &str,
        credential: Option<LinkCredential>,
        _: u64,
    ) -> Result<FetchedLink, LinkError> {
        let authorization = credential.map(|credential| credential.authorization);
        self.asked.lock().push((url.to_owned(), authorization));
        let body = futures_util::stream::once(async { Ok(Bytes::from_static(PNG)) });
        Ok(FetchedLink { content_type: Some("image/png".to_owned()), body: Box::pin(body) })
    }
}

/// Lets https through, as long as it is not our own.
struct PublicHttps;

impl CallbackAddresses for PublicHttps {
    fn check(&self, url: &str) -> Result<(), String> {
        match url.strip_prefix("https://") {
            Some(rest) if !rest.starts_with("10.") => Ok(()),
            Some(_) => Err("permit it with egress.allow_networks".to_owned()),
            None => Err("permit it with egress.allow_http_callbacks".to_owned()),
        }
    }
}

/// Bodies are events that a test has put here, by number.
#[derive(Default)]
pub(crate) struct ListedEvents(pub(crate) Mutex<Vec<Vec<UpstreamEvent>>>);

impl WebhookCodec for ListedEvents {
    /// A secret is its own signature.
    fn verify(&self, _: &[u8], signature: &str, secrets: &[String]) -> bool {
        secrets.iter().any(|secret| signature == secret)
    }

    fn parse(&self, body: &[u8]) -> Vec<UpstreamEvent> {
        let place: usize = std::str::from_utf8(body).unwrap().parse().unwrap();
        self.0.lock()[place].clone()
    }
}

/// Everybody goes on as they like.
struct NobodyElse;

#[async_trait]
impl Turns for NobodyElse {
    async fn turn(&self, _: Moment) -> StoreResult<()> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// The engine and what stands around it.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) upstream: Arc<ScriptedUpstream>,
    pub(crate) links: Arc<OneFile>,
    pub(crate) events: Arc<ListedEvents>,
    pub(crate) receivers: Arc<Receivers>,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    folder: Arc<TempDir>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(&Options::default()).await
    }

    /// What the upstream has seen, in order: the bodies of texts, the names of templates.
    pub(crate) fn texts_seen(&self) -> Vec<String> {
        let told = |content: &Content<_>| match content {
            Content::Text { body, .. } => body.clone(),
            Content::Template(template) => template.name.clone(),
            other => other.type_name().to_owned(),
        };
        self.upstream.seen.lock().iter().map(|seen| told(&seen.content)).collect()
    }

    pub(crate) async fn with(options: &Options) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let rig = Self::over(folder, Clock::manual(NOON), options).await;
        rig.furnish().await;
        rig
    }

    async fn on(folder: Arc<TempDir>, clock: Clock) -> Self {
        Self::over(folder, clock, &Options::default()).await
    }

    /// One whose clock goes with the runtime's timers, which are to be paused, and whose store has
    /// no threads that they would not wait for.
    pub(crate) async fn timed() -> Self {
        Self::timed_on(&MemoryDisk::new().unwrap()).await
    }

    /// [`Rig::timed`], with a say in how the store's jobs go.
    pub(crate) async fn timed_with(turns: Arc<dyn Turns>) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = SqliteStore::in_memory(&MemoryDisk::new().unwrap(), turns).unwrap();
        let rig = Self::around(folder, Clock::of_runtime(NOON), store).await;
        rig.furnish().await;
        rig
    }

    pub(crate) async fn timed_on(disk: &MemoryDisk) -> Self {
        let rig = Self::over_memory(disk, Clock::of_runtime(NOON)).await;
        rig.furnish().await;
        rig
    }

    pub(crate) async fn over_memory(disk: &MemoryDisk, clock: Clock) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = SqliteStore::in_memory(disk, Arc::new(NobodyElse)).unwrap();
        Self::around(folder, clock, store).await
    }

    async fn over(folder: Arc<TempDir>, clock: Clock, options: &Options) -> Self {
        let store = SqliteStore::open(&folder.path().join("waypost.db"), options).unwrap();
        Self::around(folder, clock, store).await
    }

    async fn around(folder: Arc<TempDir>, clock: Clock, store: SqliteStore) -> Self {
        let upstream = Arc::new(ScriptedUpstream::default());
        let links = Arc::new(OneFile::default());
        let events = Arc::new(ListedEvents::default());
        let receivers = Arc::new(Receivers::default());
        let ports = Ports {
            store: Arc::new(store),
            blobs: Arc::new(FileBlobs::open(folder.path().join("media")).unwrap()),
            upstream: Arc::clone(&upstream) as Arc<dyn Upstream>,
            links: Arc::clone(&links) as Arc<dyn LinkFetcher>,
            callback_addresses: Arc::new(PublicHttps),
            webhooks: Arc::clone(&events) as Arc<dyn WebhookCodec>,
            callbacks: Arc::clone(&receivers) as Arc<dyn CallbackPoster>,
            shapes: SHAPES,
        };
        let settings = Settings {
            live: false,
            upstream_name: "script".to_owned(),
            default_token: Some("token".to_owned()),
            app_secret: "secret".to_owned(),
            verify_token: "verify".to_owned(),
            public_url: "https://waypost.example.com".to_owned(),
            app_id: Some("app-1".to_owned()),
        };
        let vault = Vault::new([7; 32]);
        let (engine, _) = Engine::start(ports, settings, vault, clock.clone()).await.unwrap();
        let stop = CancellationToken::new();
        let running = engine.clone();
        let cancel = stop.clone();
        tokio::spawn(async move { running.run(cancel).await });
        Self { engine, upstream, links, events, receivers, clock, stop, folder }
    }

    /// Ends this engine as a crash would and starts another on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { engine, stop, folder, clock, upstream, .. } = self;
        stop.cancel();
        drop(upstream);
        let store = Arc::downgrade(engine.store());
        drop(engine);
        turns_until("the engine lets go of its store", || store.strong_count() == 0).await;
        Self::on(folder, clock).await
    }

    /// Starts another engine on a copy of the folder as it is now: what a kill would leave.
    pub(crate) async fn copied(&self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for name in ["waypost.db", "waypost.db-wal"] {
            let from = self.folder.path().join(name);
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        Self::on(Arc::new(copy), self.clock.clone()).await
    }

    async fn furnish(&self) {
        self.put_org(org("org-1"), PutMode::Create).await;
        self.engine.put_number(number(1_000), PutMode::Create).await.unwrap();
        for (place, digits) in (1..).zip(["15550001111", "15550002222", "15550003333"]) {
            self.add_customer(place, digits).await;
        }
        self.open_window("15550001111").await;
    }

    pub(crate) async fn put_org(&self, org: Org, mode: PutMode) {
        self.engine.directory().put(Entry::Org(org), mode).await.unwrap();
    }

    pub(crate) async fn add_customer(&self, place: i64, digits: &str) {
        let customer = Customer {
            org_id: OrgId::new("org-1"),
            id: CustomerId::new(format!("cust-{place}")),
            phone: phone(digits),
            name: None,
            tags: Vec::new(),
            consent: None,
            active: true,
            created_at: self.engine.now().plus_ms(place),
            last_inbound_at: None,
        };
        self.engine.store().create_customer(customer).await.unwrap();
    }

    pub(crate) async fn open_window(&self, digits: &str) {
        let (org_id, number_id) = (OrgId::new("org-1"), NumberId::new("number-1"));
        let now = self.engine.now();
        let phone = phone(digits);
        self.engine.store().renew_window(&org_id, &number_id, &phone, now).await.unwrap();
    }

    pub(crate) fn approve_template(&self, name: &str) {
        self.upstream.templates.lock().push(Template {
            id: "500".to_owned(),
            waba_id: "100000000000002".to_owned(),
            name: name.to_owned(),
            language: "en".to_owned(),
            status: "APPROVED".to_owned(),
            category: "UTILITY".to_owned(),
            parameter_format: None,
            components: vec![serde_json::json!({"type": "BODY", "text": "Hello"})],
            synced_at: self.engine.now(),
        });
    }

    pub(crate) fn approve(&self, name: &str, category: &str, body: &str) {
        self.approve_template(name);
        let mut templates = self.upstream.templates.lock();
        let template = templates.last_mut().unwrap();
        category.clone_into(&mut template.category);
        template.components = vec![serde_json::json!({"type": "BODY", "text": body})];
    }

    pub(crate) async fn add_provider(&self, name: &str, token: &str) {
        let place = format!("providers/org-1/{name}");
        let provider = MediaProvider {
            org_id: OrgId::new("org-1"),
            id: waypost_domain::ProviderId::new(name),
            allowed_hosts: vec!["files.example.com".to_owned()],
            scheme: waypost_domain::directory::ProviderScheme::Bearer,
            secret: self.engine.vault().seal(&place, token),
            created_at: self.engine.now(),
        };
        self.engine.directory().put(Entry::Provider(provider), PutMode::Create).await.unwrap();
    }

    pub(crate) async fn stored(&self, id: MessageId) -> Message {
        self.history(id).await.message
    }

    pub(crate) async fn history(&self, id: MessageId) -> MessageHistory {
        self.engine.store().message(&OrgId::new("org-1"), id).await.unwrap().unwrap()
    }

    /// Waits, while time passes, until a message has an outcome; an hour at most.
    pub(crate) async fn ended(&self, id: MessageId) -> MessageHistory {
        let mut history = self.history(id).await;
        for _ in 0..3_600 {
            if !matches!(history.message.status, Status::Queued | Status::Sending) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            history = self.history(id).await;
        }
        history
    }

    /// Waits until so many messages have failed.
    pub(crate) async fn failed(&self, messages: u64) {
        turns_until("failed", || self.engine.metrics().messages_failed >= messages).await;
    }

    /// Waits until the upstream has seen so many messages.
    pub(crate) async fn saw(&self, messages: usize) {
        turns_until("sent", || self.upstream.seen.lock().len() >= messages).await;
    }

    /// What a person sends to the first number now: a message object with its type.
    pub(crate) fn inbound(&self, from: &str, wamid: impl Into<String>, message: Value) -> Inbound {
        Inbound {
            phone_number_id: "100000000000001".to_owned(),
            phone: Some(phone(from)),
            user_id: None,
            profile_name: None,
            wamid: wamid.into(),
            kind: message["type"].as_str().unwrap().to_owned(),
            message,
            written_at: Some(self.engine.now()),
        }
    }

    /// What the first number's upstream reports of a message now.
    pub(crate) fn notice(&self, wamid: &str, report: Report) -> StatusNotice {
        StatusNotice {
            phone_number_id: "100000000000001".to_owned(),
            wamid: wamid.to_owned(),
            opaque: None,
            report: Some(report),
            at: Some(self.engine.now()),
            failure: None,
            extra: None,
        }
    }

    /// Gives a webhook whose events are these, and waits until they are worked off.
    pub(crate) async fn receive(&self, events: Vec<UpstreamEvent>) {
        self.receive_from(Signer::Installation, events).await;
    }

    /// The body of a webhook whose events are these.
    pub(crate) fn webhook(&self, events: Vec<UpstreamEvent>) -> Bytes {
        let mut listed = self.events.0.lock();
        listed.push(events);
        Bytes::from((listed.len() - 1).to_string())
    }

    pub(crate) async fn receive_from(&self, signer: Signer, events: Vec<UpstreamEvent>) {
        self.engine.receive_webhook(self.webhook(events), signer).await.unwrap();
        let began = Instant::now();
        while !self.engine.store().open_webhooks(0, 1).await.unwrap().is_empty() {
            assert!(began.elapsed() < LIVELY, "the webhook is not worked off");
            tokio::task::yield_now().await;
        }
    }

    /// Lets the store do what was asked of it before: stands behind that in each of the queues of
    /// those who write and who read for the engine.
    pub(crate) async fn behind_the_store(&self) {
        let store = self.engine.store();
        store.delete_customer(&OrgId::new("org-1"), &CustomerId::new("nobody")).await.unwrap();
        store.event_heads(i64::MAX, 1).await.unwrap();
        store.open_webhooks(0, 1).await.unwrap();
    }
}

/// Waits until it is so while others have their turns; a paused runtime's time does not pass.
async fn turns_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIVELY, "{what}");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn org(id: &str) -> Org {
    Org {
        id: OrgId::new(id),
        name: "Org".to_owned(),
        time_zone: waypost_domain::Zone::default(),
        default_language: None,
        window_policy: waypost_domain::window::WindowPolicy::Refuse,
        window_fallback: None,
        unknown_policy: waypost_domain::directory::UnknownPolicy::HoldThenResend,
        strict_opt_in: false,
        broadcast_audience: waypost_domain::directory::BroadcastAudience::All,
        join_code: None,
        wire_offsets: std::collections::BTreeMap::new(),
        message_retention_days: None,
        media_retention_days: 30,
        created_at: Timestamp(NOON),
    }
}

/// The organisation's number, at this pace.
pub(crate) fn number(throughput_per_s: u32) -> Number {
    Number {
        id: NumberId::new("number-1"),
        org_id: OrgId::new("org-1"),
        display_phone: phone("15550009999"),
        phone_number_id: "100000000000001".to_owned(),
        waba_id: "100000000000002".to_owned(),
        access_token: None,
        app_secret: None,
        throughput_per_s,
        daily_limit: None,
        app_id: None,
        source_id: None,
        aliases: Vec::new(),
        default_notify_url: None,
        notify_auth: std::collections::BTreeMap::new(),
        errors_as_200: false,
        shared: false,
        registered: true,
        // Added long ago: a window without history counts as closed.
        created_at: Timestamp(0),
    }
}

pub(crate) fn phone(digits: &str) -> Phone {
    Phone::parse(digits).unwrap()
}

pub(crate) fn text(body: &str) -> Content<MediaDraft> {
    Content::Text { body: body.to_owned(), preview_url: false }
}

pub(crate) fn picture(source: MediaSource) -> Content<MediaDraft> {
    let name = if matches!(source, MediaSource::Link { .. }) { "link" } else { "id" };
    let field = format!("message.image.{name}");
    Content::Media(MediaMessage {
        kind: MediaKind::Image,
        media: MediaDraft { kind: MediaKind::Image, source, field },
        caption: None,
        filename: None,
        voice: false,
    })
}

pub(crate) fn inline(bytes: &[u8]) -> MediaSource {
    MediaSource::Inline(InlineFile {
        bytes: bytes.to_vec(),
        mime_type: MimeType::parse("image/png").unwrap(),
        name: Some("logo.png".to_owned()),
    })
}

pub(crate) fn ask<T>(command: T) -> Ask<T> {
    Ask {
        caller: Caller {
            key_id: ApiKeyId::new("key"),
            org_id: Some(OrgId::new("org-1")),
            sends_as: MessageType::Human,
        },
        dialect: "replyhero",
        route: "/whatsapp/messages/send",
        idempotency: None,
        idempotency_wait: Duration::from_secs(1),
        awaits_unknown: false,
        conflicts_first: false,
        command,
    }
}

pub(crate) fn send_to(customer: &str, content: Content<MediaDraft>) -> Ask<SendMessage> {
    ask(SendMessage {
        session_id: Some("chat-1".to_owned()),
        ..SendMessage::new(
            OrgId::new("org-1"),
            Recipient::Customer(CustomerId::new(customer)),
            content,
        )
    })
}

pub(crate) fn keyed<T>(mut ask: Ask<T>, key: &str, fingerprint: u8) -> Ask<T> {
    let key = key.to_owned();
    ask.idempotency = Some(IdempotencyKey { key, fingerprint: [fingerprint; 32] });
    ask
}

pub(crate) fn broadcast_of(template: &str) -> Ask<Broadcast> {
    ask(Broadcast {
        org_id: OrgId::new("org-1"),
        user_id: None,
        number: None,
        session_id: None,
        template: TemplateMessage {
            name: template.to_owned(),
            language: None,
            components: Vec::new(),
        },
    })
}

/// One message of a request to be sent later.
pub(crate) fn to_phone(digits: &str, content: Content<MediaDraft>) -> Submission {
    let recipient = Recipient::Phone(phone(digits));
    let send = SendMessage::new(OrgId::new("org-1"), recipient, content);
    Submission { send, doomed: None, tells_all_later: false }
}

pub(crate) fn submit_of(messages: Vec<Submission>) -> Ask<Submit> {
    ask(Submit { org_id: OrgId::new("org-1"), messages })
}

pub(crate) fn template(name: &str) -> Content<MediaDraft> {
    Content::Template(TemplateMessage {
        name: name.to_owned(),
        language: None,
        components: Vec::new(),
    })
}
