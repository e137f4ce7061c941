//! A sandbox on a real socket with a receiver for its webhooks and a clock that the test moves.
//! Shared by the table tests; it asserts nothing about the sandbox itself.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken rig fails the test")]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::{CancellationToken, DropGuard};
use waypost_clock::Clock;
use waypost_sandbox::{FetchedLink, LinkFetcher, Sandbox, SandboxConfig, Seed};

pub(crate) const NUMBER: &str = "100000000000001";
pub(crate) const WABA: &str = "100000000000002";
pub(crate) const OPEN: &str = "15550001111";
pub(crate) const CLOSED: &str = "15550002222";
pub(crate) const SECRET: &str = "sandbox-app-secret";
/// 14 January 2026.
pub(crate) const START_MS: i64 = 1_768_392_000_000;
/// An image as far as its first bytes go.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

/// One POST to the receiver.
pub(crate) struct Hook {
    pub(crate) body: Bytes,
    pub(crate) signature: String,
}

/// Serves links by their last path component.
#[derive(Default)]
pub(crate) struct Links {
    pub(crate) fetched: AtomicUsize,
}

#[async_trait::async_trait]
impl LinkFetcher for Links {
    async fn fetch(&self, url: &str, limit_bytes: u64) -> Result<FetchedLink, String> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let answer = |mime: &str, bytes: &'static [u8]| {
            Ok(FetchedLink { mime_type: Some(mime.into()), bytes: Bytes::from_static(bytes) })
        };
        match url.rsplit('/').next().unwrap_or("") {
            "good.png" => answer("image/png", PNG),
            "page.html" => answer("text/html", b"<html>"),
            "liar.png" => answer("image/png", b"<html>"),
            _ => Err(format!("nothing within {limit_bytes} bytes there")),
        }
    }
}

pub(crate) struct Rig {
    pub(crate) base: String,
    pub(crate) hook_url: String,
    pub(crate) clock: Clock,
    pub(crate) sandbox: Sandbox,
    pub(crate) http: reqwest::Client,
    pub(crate) links: Arc<Links>,
    /// What the receiver answers.
    pub(crate) hook_status: Arc<AtomicU16>,
    hooks: UnboundedReceiver<Hook>,
    waiting: VecDeque<Value>,
    _stop: DropGuard,
}

#[derive(Clone)]
struct Receiver {
    hooks: UnboundedSender<Hook>,
    status: Arc<AtomicU16>,
}

async fn take_hook(State(to): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").map(|v| v.to_str().unwrap().to_owned());
    let hook = Hook { body, signature: signature.unwrap_or_default() };
    let _ = to.hooks.send(hook);
    StatusCode::from_u16(to.status.load(Ordering::SeqCst)).unwrap()
}

async fn verify(Query(query): Query<HashMap<String, String>>) -> (StatusCode, String) {
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    if get("hub.mode") == "subscribe" && get("hub.verify_token") == "right" {
        (StatusCode::OK, get("hub.challenge"))
    } else {
        (StatusCode::FORBIDDEN, String::new())
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_in(None).await
    }

    pub(crate) async fn start_in(state_dir: Option<PathBuf>) -> Self {
        let (sender, hooks) = unbounded_channel();
        let hook_status = Arc::new(AtomicU16::new(200));
        let receiver = Receiver { hooks: sender, status: Arc::clone(&hook_status) };
        let (listener, address) = listen().await;
        let routes = Router::new().route("/hook", get(verify).post(take_hook));
        tokio::spawn(axum::serve(listener, routes.with_state(receiver)).into_future());
        let hook_url = format!("http://{address}/hook");

        let mut seed = Seed::demo();
        seed.people[0].window_open = true;
        let links = Arc::new(Links::default());
        let clock = Clock::manual(START_MS);
        let config = SandboxConfig {
            webhook_url: Some(hook_url.clone()),
            verify_token: "right".into(),
            app_secret: SECRET.into(),
            access_token: Some("token".into()),
            public_host: Some("wa.example.com".into()),
            egress: Arc::clone(&links) as Arc<dyn LinkFetcher>,
            seed,
            state_dir,
        };
        let sandbox = Sandbox::new(config, clock.clone());
        let cancel = CancellationToken::new();
        let (listener, address) = listen().await;
        let (server, pump) = (sandbox.clone(), sandbox.clone());
        let (stop_server, stop_pump) = (cancel.clone(), cancel.clone());
        tokio::spawn(async move { server.serve(listener, stop_server).await });
        tokio::spawn(async move { pump.run_pump(stop_pump).await });
        Self {
            base: format!("http://{address}"),
            hook_url,
            clock,
            sandbox,
            http: reqwest::Client::new(),
            links,
            hook_status,
            hooks,
            waiting: VecDeque::new(),
            _stop: cancel.drop_guard(),
        }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth("token")
    }

    /// Posts to the Cloud API; status and body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.call(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.call(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.call(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Sends a message from the demo number.
    pub(crate) async fn send(&self, body: &Value) -> (u16, Value) {
        self.post(&format!("/v25.0/{NUMBER}/messages"), body).await
    }

    /// Sends one that must be accepted; its wamid.
    pub(crate) async fn sent(&self, body: &Value) -> String {
        let (status, answer) = self.send(body).await;
        assert_eq!(status, 200, "{answer}");
        answer["messages"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A control call that must succeed.
    pub(crate) async fn control(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(&format!("/_sandbox/{path}"), body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The next POST to the receiver, moving the clock in small steps until it comes.
    pub(crate) async fn next_hook(&mut self) -> Hook {
        for _ in 0..500 {
            let waited = tokio::time::timeout(Duration::from_millis(20), self.hooks.recv());
            if let Ok(Some(hook)) = waited.await {
                return hook;
            }
            self.clock.advance(Duration::from_millis(50));
        }
        panic!("no webhook came");
    }

    /// The next update (`field` and `value`) that `wanted` likes; others are skipped.
    pub(crate) async fn update(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            while let Some(update) = self.waiting.pop_front() {
                if wanted(&update) {
                    return update;
                }
            }
            let hook = self.next_hook().await;
            let body: Value = serde_json::from_slice(&hook.body).unwrap();
            for entry in body["entry"].as_array().unwrap() {
                self.waiting.extend(entry["changes"].as_array().unwrap().iter().cloned());
            }
        }
    }

    /// The next status of a message.
    pub(crate) async fn status_of(&mut self, wamid: &str) -> Value {
        let is_it = |update: &Value| update["value"]["statuses"][0]["id"] == *wamid;
        self.update(is_it).await["value"]["statuses"][0].clone()
    }

    /// The names of the statuses in the ledger.
    pub(crate) async fn ledger_statuses(&self, wamid: &str) -> Vec<String> {
        let (_, page) = self.get("/_sandbox/messages").await;
        let rows = page["data"].as_array().unwrap();
        let row = rows.iter().find(|row| row["wamid"] == *wamid).unwrap();
        let names = row["statuses"].as_array().unwrap().iter();
        names.map(|status| status["status"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn upload(
        &self,
        bytes: &'static [u8],
        part: &str,
        kind: Option<&str>,
    ) -> (u16, Value) {
        let file = reqwest::multipart::Part::bytes(bytes).file_name("a").mime_str(part).unwrap();
        let mut form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp");
        form = form.part("file", file);
        if let Some(kind) = kind {
            form = form.text("type", kind.to_owned());
        }
        let request = self.call(Method::POST, &format!("/v25.0/{NUMBER}/media")).multipart(form);
        answer(request.send().await.unwrap()).await
    }
}

pub(crate) async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

/// A message object of a type.
pub(crate) fn message(to: &str, kind: &str, content: Value) -> Value {
    let mut body = json!({"messaging_product": "whatsapp", "to": to, "type": kind});
    body[kind] = content;
    body
}

pub(crate) fn text(to: &str) -> Value {
    message(to, "text", json!({"body": "hi"}))
}

pub(crate) fn hello_world(to: &str) -> Value {
    message(to, "template", json!({"name": "hello_world", "language": {"code": "en_US"}}))
}

/// Asserts status, code and the envelope of an error.
#[track_caller]
pub(crate) fn refused(answer: &(u16, Value), status: u16, code: i64) {
    let (got, body) = answer;
    assert_eq!((*got, body["error"]["code"].as_i64()), (status, Some(code)), "{body}");
    assert!(body["error"]["fbtrace_id"].as_str().is_some_and(|id| id.len() == 23), "{body}");
    assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string(), "{body}");
}
