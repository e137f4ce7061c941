//! A Cloud API for whole campaigns: it accepts messages at volume, writes down each, reports what
//! became of them by signed webhooks, again until they are taken, can be down, and can fall silent
//! exactly between accepting and answering. It knows no rule of Meta's and shares nothing with the
//! sandbox.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::chance::Chance;
use crate::client::{Reply, http};
use crate::fixture::WABA_ID;
use crate::signing::signature;
use crate::waypost::APP_SECRET;
use crate::wire::{Listening, Reader, Request, response};

/// Statuses in one webhook.
const STATUSES_TOGETHER: usize = 100;
/// Rest before a webhook that was not taken is sent again.
const WEBHOOK_REST: Duration = Duration::from_millis(20);

/// A message that was accepted.
#[derive(Clone, Debug)]
pub struct Carried {
    /// To whom, and what it says.
    pub key: String,
    /// Its id.
    pub wamid: String,
    /// The value that came with it and goes back in statuses.
    pub opaque: String,
    /// When it came.
    pub at: Instant,
}

/// A status with the number whose message it is about.
type Told = (String, Value);

struct Inner {
    carried: Mutex<Vec<Carried>>,
    untold: Mutex<VecDeque<Told>>,
    is_down: AtomicBool,
    refused: Mutex<Vec<String>>,
    more: Notify,
    webhook: Mutex<Option<String>>,
    tells: AtomicBool,
    to_hold: AtomicUsize,
    held: AtomicUsize,
    latency_ms: Range<u64>,
    chance: Mutex<Chance>,
    serial: AtomicU64,
}

/// The stand-in; it stops when dropped.
pub struct Carrier {
    listening: Listening,
    inner: Arc<Inner>,
    telling: AbortHandle,
}

impl Carrier {
    /// Starts one that answers within so many milliseconds.
    pub async fn start(latency_ms: Range<u64>, seed: u64) -> Self {
        let inner = Arc::new(Inner {
            carried: Mutex::default(),
            untold: Mutex::default(),
            is_down: AtomicBool::new(false),
            refused: Mutex::default(),
            more: Notify::new(),
            webhook: Mutex::default(),
            tells: AtomicBool::new(true),
            to_hold: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            latency_ms,
            chance: Mutex::new(Chance::seeded(seed)),
            serial: AtomicU64::new(1),
        });
        let serving = Arc::clone(&inner);
        let listening = Listening::start(move |stream| serve(stream, Arc::clone(&serving))).await;
        let telling = tokio::spawn(tell(Arc::clone(&inner))).abort_handle();
        Self { listening, inner, telling }
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url("")
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Where webhooks go from now on: the gateway at this address.
    pub fn tell(&self, gateway: &str) {
        *self.inner.webhook.lock().unwrap() = Some(format!("{gateway}/webhooks/meta"));
        self.inner.more.notify_one();
    }

    /// Whether statuses go out. What is held back goes out later.
    pub fn tells(&self, tells: bool) {
        self.inner.tells.store(tells, Ordering::SeqCst);
        self.inner.more.notify_one();
    }

    /// Whether messages are refused from now on, with an error that says that it is down.
    pub fn is_down(&self, is_down: bool) {
        self.inner.is_down.store(is_down, Ordering::SeqCst);
    }

    /// The keys of messages that were refused, in order, each as often as it came.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.inner.refused.lock().unwrap().clone()
    }

    /// Every message that was accepted, in order.
    #[must_use]
    pub fn carried(&self) -> Vec<Carried> {
        self.inner.carried.lock().unwrap().clone()
    }

    /// How many messages were accepted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.carried.lock().unwrap().len()
    }

    /// How many statuses have not been taken yet.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.inner.untold.lock().unwrap().len()
    }

    /// The next messages are accepted and never answered.
    pub fn hold(&self, count: usize) {
        self.inner.held.store(0, Ordering::SeqCst);
        self.inner.to_hold.store(count, Ordering::SeqCst);
    }

    /// How many messages were accepted and are being kept without an answer.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner.held.load(Ordering::SeqCst)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

async fn serve(mut stream: TcpStream, inner: Arc<Inner>) {
    let mut reader = Reader::default();
    while let Ok(Some(request)) = reader.next(&mut stream).await {
        let Some((status, answer)) = inner.answer(&request) else {
            inner.held.fetch_add(1, Ordering::SeqCst);
            // Until the other side is gone.
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
            return;
        };
        let span_ms = inner.chance.lock().unwrap().within(inner.latency_ms.clone());
        tokio::time::sleep(Duration::from_millis(span_ms)).await;
        let answer = answer.to_string().into_bytes();
        let bytes = response(status, &[("content-type", "application/json")], &answer);
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

impl Inner {
    /// A status with a body; `None` where nothing is to be answered.
    fn answer(&self, request: &Request) -> Option<(u16, Value)> {
        let mut edges = request.path.rsplit('/');
        let (edge, owner) = (edges.next().unwrap_or_default(), edges.next().unwrap_or_default());
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let answer = match (request.method.as_str(), edge) {
            ("POST", "messages") if self.is_down.load(Ordering::SeqCst) => {
                self.refused.lock().unwrap().push(key_of(&request.json()));
                return Some((503, down()));
            }
            ("POST", "messages") => self.accept_message(owner, &request.json(), serial)?,
            ("POST", "media") => json!({"id": (7_000_000_000_000 + serial).to_string()}),
            ("GET", _) => json!({"data": []}),
            _ => json!({"success": true}),
        };
        Some((200, answer))
    }

    fn accept_message(&self, number: &str, message: &Value, serial: u64) -> Option<Value> {
        let key = key_of(message);
        let digits = key.split('|').next().unwrap_or_default().to_owned();
        let wamid = format!("wamid.CARRIED{serial:010}");
        let opaque = message["biz_opaque_callback_data"].as_str().unwrap_or_default().to_owned();
        let told = [("sent", 1), ("delivered", 2)].map(|(status, second)| {
            let told = json!({"id": wamid, "status": status, "recipient_id": digits,
                "timestamp": (1_700_000_000 + second).to_string(),
                "biz_opaque_callback_data": opaque});
            (number.to_owned(), told)
        });
        let carried = Carried { key, wamid: wamid.clone(), opaque, at: Instant::now() };
        self.carried.lock().unwrap().push(carried);
        self.untold.lock().unwrap().extend(told);
        self.more.notify_one();
        let holds = |left: usize| left.checked_sub(1);
        if self.to_hold.fetch_update(Ordering::SeqCst, Ordering::SeqCst, holds).is_ok() {
            return None;
        }
        Some(json!({"messaging_product": "whatsapp",
            "contacts": [{"input": digits, "wa_id": digits}], "messages": [{"id": wamid}]}))
    }
}

impl Inner {
    /// The statuses that go out next: of one number, which comes with them.
    fn next_statuses(&self) -> (String, Vec<Value>) {
        let untold = self.untold.lock().unwrap();
        let number = untold.front().map(|(number, _)| number.clone()).unwrap_or_default();
        let next = untold.iter().take(STATUSES_TOGETHER).take_while(|(of, _)| *of == number);
        let next = next.map(|(_, status)| status.clone()).collect();
        (number, next)
    }
}

/// What the Cloud API says while it is down.
fn down() -> Value {
    json!({"error": {"message": "(#131016) Service unavailable", "type": "OAuthException",
        "code": 131_016, "error_data": {"messaging_product": "whatsapp", "details": "Down."}}})
}

/// To whom a message goes and what it says: what makes it this one, whoever carries it.
#[must_use]
pub fn key_of(message: &Value) -> String {
    let digits = message["to"].as_str().unwrap_or_default().trim_start_matches('+');
    format!("{digits}|{}", said(message))
}

/// The text of a message, or its caption.
#[must_use]
pub fn said(message: &Value) -> String {
    let kind = message["type"].as_str().unwrap_or("text");
    let part = &message[kind];
    let words = part["body"].as_str().or_else(|| part["caption"].as_str());
    words.unwrap_or_default().to_owned()
}

/// Sends statuses out, in order, each webhook until it is taken.
async fn tell(inner: Arc<Inner>) {
    let client = http();
    loop {
        let (number, together) = inner.next_statuses();
        let url = inner.webhook.lock().unwrap().clone();
        let (false, true, Some(url)) =
            (together.is_empty(), inner.tells.load(Ordering::SeqCst), url)
        else {
            inner.more.notified().await;
            continue;
        };
        let count = together.len();
        let value = json!({"messaging_product": "whatsapp", "statuses": together,
            "metadata": {"display_phone_number": "15550009999", "phone_number_id": number}});
        if post(&client, &url, value).await {
            inner.untold.lock().unwrap().drain(..count);
        } else {
            tokio::time::sleep(WEBHOOK_REST).await;
        }
    }
}

async fn post(client: &reqwest::Client, url: &str, value: Value) -> bool {
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID,
        "changes": [{"field": "messages", "value": value}]}]});
    let body = body.to_string().into_bytes();
    let request = client.post(url).timeout(Duration::from_secs(10));
    let request = request.header("X-Hub-Signature-256", signature(APP_SECRET, &body));
    Reply::attempt(request.body(body)).await.is_ok_and(|reply| reply.status == 200)
}
