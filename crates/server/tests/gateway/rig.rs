//! A router to call, and keys to call it with.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use waypost_clock::Clock;
use waypost_domain::Timestamp;
use waypost_domain::command::Receipt;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::template::Template;
use waypost_domain::{ErrorKind, Failure, OrgId};
use waypost_engine::keys::hash_secret;
use waypost_engine::ports::{
    Account, BlobStore, BlobStream, CallError, CallbackAddresses, CallbackPost, CallbackPoster,
    CallbackReply, DownloadedMedia, FetchedLink, FlowPreview, FlowUpstream, LinkCredential,
    LinkError, LinkFetcher, NumberInfo, OutgoingMessage, PostError, Sample, SendOutcome, Upstream,
    UpstreamEvent, UpstreamFlow, WebhookCodec,
};
use waypost_engine::vault::Vault;
use waypost_engine::{Engine, Ports, Settings};
use waypost_server::{Limits, ServerConfig, router};
use waypost_store_files::FileBlobs;
use waypost_store_sqlite::{Options, SqliteStore};

/// The installation's own key.
pub(crate) const ADMIN: &str = "the-installation-s-own-key";
/// When the tests' clock stands.
const NOON: i64 = 1_800_000_000_000;
/// A webhook body whose check panics.
pub(crate) const PANIC: &[u8] = b"panic";

/// A template whose look-up panics.
pub(crate) const TEMPLATE_THAT_PANICS: &str = "panic";

/// A token that reaches no number.
pub(crate) const FOREIGN_TOKEN: &str = "a-foreign-token";

struct Agreeable;

#[async_trait]
impl Upstream for Agreeable {
    async fn send(&self, _: &Account, message: &OutgoingMessage<'_>) -> SendOutcome {
        let wamid = format!("wamid.{}", message.attempt_token);
        SendOutcome::Sent(Receipt { wamid, wa_id: message.to.digits().to_owned() })
    }

    async fn upload(
        &self,
        _: &Account,
        _: &MimeType,
        _: &str,
        _: u64,
        _: BlobStream,
    ) -> Result<String, CallError> {
        Ok("upstream-media-1".to_owned())
    }

    async fn upload_sample(&self, _: &Account, _: &str, _: Sample) -> Result<String, CallError> {
        Ok("4:sample".to_owned())
    }

    async fn download(&self, _: &Account, _: &str, _: u64) -> Result<DownloadedMedia, CallError> {
        let nothing = futures_util::stream::empty();
        Ok(DownloadedMedia { mime_type: "text/plain".to_owned(), body: Box::pin(nothing) })
    }

    async fn templates(
        &self,
        account: &Account,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Template>, CallError> {
        assert_ne!(name, Some(TEMPLATE_THAT_PANICS), "as a test asked for");
        Ok(vec![Template {
            id: "500".to_owned(),
            waba_id: account.waba_id.clone(),
            name: "hello_world".to_owned(),
            language: "en".to_owned(),
            status: "APPROVED".to_owned(),
            category: "UTILITY".to_owned(),
            parameter_format: None,
            components: vec![json!({"type": "BODY", "text": "Hello"})],
            synced_at: now,
        }])
    }

    async fn create_template(&self, _: &Account, _: &Value) -> Result<Value, CallError> {
        Ok(json!({"id": "501", "status": "PENDING"}))
    }

    async fn edit_template(&self, _: &Account, _: &str, _: &Value) -> Result<(), CallError> {
        Ok(())
    }

    async fn delete_template(
        &self,
        _: &Account,
        _: &str,
        _: Option<&str>,
    ) -> Result<(), CallError> {
        Ok(())
    }

    async fn register(&self, _: &Account, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn subscribe(&self, _: &Account) -> Result<(), CallError> {
        Ok(())
    }

    async fn number_info(&self, account: &Account) -> Result<NumberInfo, CallError> {
        if account.access_token == FOREIGN_TOKEN {
            let failure = Failure::new(ErrorKind::UpstreamAuth, "This token does not reach it.");
            return Err(CallError { failure, class: RetryClass::Never });
        }
        Ok(NumberInfo::default())
    }
}

#[async_trait]
impl FlowUpstream for Agreeable {
    async fn create_flow(&self, _: &Account, _: &str, _: &[String]) -> Result<String, CallError> {
        Ok("700".to_owned())
    }

    async fn change_flow(
        &self,
        _: &Account,
        _: &str,
        _: Option<&str>,
        _: Option<&[String]>,
    ) -> Result<(), CallError> {
        Ok(())
    }

    async fn define_flow(&self, _: &Account, _: &str, _: Bytes) -> Result<(), CallError> {
        Ok(())
    }

    async fn publish_flow(&self, _: &Account, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn delete_flow(&self, _: &Account, _: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn read_flow(&self, _: &Account, id: &str) -> Result<UpstreamFlow, CallError> {
        Ok(UpstreamFlow {
            id: id.to_owned(),
            name: "survey".to_owned(),
            status: "DRAFT".to_owned(),
            categories: vec!["OTHER".to_owned()],
        })
    }

    async fn flow_preview(&self, _: &Account, _: &str) -> Result<FlowPreview, CallError> {
        let url = "https://preview.example.com/700".to_owned();
        Ok(FlowPreview { url, expires_at: "2027-02-14T06:59:53+0000".to_owned() })
    }

    async fn flows(&self, _: &Account) -> Result<Vec<UpstreamFlow>, CallError> {
        Ok(Vec::new())
    }
}

struct NoLinks;

#[async_trait]
impl LinkFetcher for NoLinks {
    fn check(&self, _: &str) -> Result<(), LinkError> {
        Ok(())
    }

    async fn fetch(
        &self,
        _: &OrgId,
        _: &str,
        _: Option<LinkCredential>,
        _: u64,
    ) -> Result<FetchedLink, LinkError> {
        Err(LinkError::Failed("there is nothing behind links here".to_owned()))
    }
}

/// Takes the signature `right`; events mean nothing.
struct AnyAddress;

impl CallbackAddresses for AnyAddress {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

struct NoEvents;

impl WebhookCodec for NoEvents {
    fn verify(&self, body: &[u8], signature: &str, _: &[String]) -> bool {
        assert_ne!(body, PANIC, "as a test asked for");
        signature == "right"
    }

    fn parse(&self, _: &[u8]) -> Vec<UpstreamEvent> {
        Vec::new()
    }
}

/// Reaches nobody.
struct NoPosts;

#[async_trait]
impl CallbackPoster for NoPosts {
    async fn post(&self, _: CallbackPost) -> Result<CallbackReply, PostError> {
        Err(PostError::Failed("nobody is reached".to_owned()))
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// The router and what stands around it.
pub(crate) struct Rig {
    pub(crate) router: Router,
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    _folder: TempDir,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::within(Limits::default()).await
    }

    /// One with other limits.
    pub(crate) async fn within(limits: Limits) -> Self {
        Self::with(limits, |blobs| Arc::new(blobs)).await
    }

    /// One whose files go through something else.
    pub(crate) async fn with(
        limits: Limits,
        wrap: impl FnOnce(FileBlobs) -> Arc<dyn BlobStore>,
    ) -> Self {
        Self::start(limits, false, wrap).await
    }

    /// One whose upstream is real: numbers may have tokens of their own.
    pub(crate) async fn live() -> Self {
        Self::start(Limits::default(), true, |blobs| Arc::new(blobs)).await
    }

    async fn start(
        limits: Limits,
        live: bool,
        wrap: impl FnOnce(FileBlobs) -> Arc<dyn BlobStore>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("waypost.db");
        let store = SqliteStore::open(&database, &Options::default()).unwrap();
        let ports = Ports {
            store: Arc::new(store),
            blobs: wrap(FileBlobs::open(folder.path().join("media")).unwrap()),
            upstream: Arc::new(Agreeable),
            links: Arc::new(NoLinks),
            callback_addresses: Arc::new(AnyAddress),
            webhooks: Arc::new(NoEvents),
            callbacks: Arc::new(NoPosts),
            shapes: waypost_dialects::SHAPES,
        };
        let settings = Settings {
            live,
            upstream_name: "agreeable".to_owned(),
            default_token: Some("token".to_owned()),
            app_secret: "secret".to_owned(),
            verify_token: "verify".to_owned(),
            public_url: "https://waypost.example.com".to_owned(),
            app_id: None,
        };
        let clock = Clock::manual(NOON);
        let vault = Vault::new([7; 32]);
        let (engine, _) = Engine::start(ports, settings, vault, clock.clone()).await.unwrap();
        engine.keys().set_admin(hash_secret(ADMIN));
        let config = ServerConfig { limits, ..ServerConfig::default() };
        let router = router(engine.clone(), config);
        Self { router, engine, clock, _folder: folder }
    }

    /// Sends a request as it is, but for the host that it must name.
    pub(crate) async fn call(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("waypost"));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends JSON with a bearer key.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.call(request.body(body).unwrap()).await
    }

    /// Makes something below `/waypost/v1` with the installation's key.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let path = format!("/waypost/v1{path}");
        let answer = self.ask(Method::POST, &path, Some(ADMIN), Some(body)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Some(ADMIN), None).await
    }

    /// An organisation with a user, a number and two customers.
    pub(crate) async fn furnish(&self, org: &str, number: &str) {
        self.make("/orgs", json!({"id": org, "name": org, "window_policy": "forward"})).await;
        self.make(&format!("/orgs/{org}/users"), json!({"id": "u-1"})).await;
        let body = json!({"id": number, "display_phone": "15550009999",
            "phone_number_id": number, "waba_id": format!("waba-{number}")});
        self.make(&format!("/orgs/{org}/numbers"), body).await;
        for (id, phone) in [("c-1", "15550001111"), ("c-2", "15550002222")] {
            let path = format!("/orgs/{org}/customers");
            self.make(&path, json!({"id": id, "phone": phone, "opt_in": true})).await;
        }
    }

    /// A key of an organisation.
    pub(crate) async fn key(&self, org: &str, scopes: &[&str]) -> String {
        let path = format!("/orgs/{org}/api-keys");
        let made = self.make(&path, json!({ "scopes": scopes })).await;
        made["secret"].as_str().unwrap().to_owned()
    }
}
