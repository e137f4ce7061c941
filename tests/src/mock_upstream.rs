//! A Cloud API that does as it is told: an independent second opinion beside the sandbox, with the
//! ledger of what reached it. It knows no rule of Meta's; what it says is scripted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::wire::{Listening, Reader, Request, response};

/// How often an answer that drips does so.
const DRIP_EVERY: Duration = Duration::from_millis(200);

/// What reached the upstream.
pub type Seen = Request;

/// What it does with a call.
#[derive(Clone, Debug)]
pub enum Deed {
    /// What the real one would do: accept messages and files.
    Accept,
    /// A JSON answer.
    Json(u16, Value),
    /// Meta's error envelope with a code and a status.
    Code(u16, i64),
    /// The same with headers.
    CodeWith(u16, i64, Vec<(&'static str, String)>),
    /// A page of a proxy's.
    Html(u16),
    /// Exactly these bytes, then the end.
    Bytes(Vec<u8>),
    /// The request is read, then the connection is reset.
    Reset,
    /// The message is accepted and written down, then the connection is reset.
    AcceptAndReset,
    /// The request is read and never answered.
    Hang,
    /// These bytes, then a filler for as long as anybody reads.
    Endless(Vec<u8>),
    /// These bytes, then one more now and then for as long as anybody listens.
    Drip(Vec<u8>),
}

type Script = Box<dyn FnMut(&Seen) -> Deed + Send>;

struct Inner {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    accepted: Mutex<Vec<Value>>,
    files: Mutex<HashMap<String, Vec<u8>>>,
    serial: AtomicU64,
}

/// The stand-in; it stops when dropped.
pub struct MockUpstream {
    listening: Listening,
    inner: Arc<Inner>,
}

impl MockUpstream {
    /// Starts one that accepts everything.
    pub async fn start() -> Self {
        let inner = Arc::new(Inner {
            script: Mutex::new(Box::new(|_| Deed::Accept)),
            seen: Mutex::default(),
            accepted: Mutex::default(),
            files: Mutex::default(),
            serial: AtomicU64::new(1),
        });
        let serving = Arc::clone(&inner);
        let listening = Listening::start(move |stream| serve(stream, Arc::clone(&serving))).await;
        Self { listening, inner }
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url("")
    }

    /// From now on each call is judged by `script`.
    pub fn script(&self, script: impl FnMut(&Seen) -> Deed + Send + 'static) {
        *self.inner.script.lock().unwrap() = Box::new(script);
    }

    /// From now on every message call meets `deed`, and everything else is accepted.
    pub fn messages_meet(&self, deed: Deed) {
        self.script(
            move |seen| {
                if seen.path.ends_with("/messages") { deed.clone() } else { Deed::Accept }
            },
        );
    }

    /// Every call that was read whole.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// How many message calls were read whole, accepted or not.
    #[must_use]
    pub fn message_calls(&self) -> usize {
        let seen = self.inner.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.path.ends_with("/messages")).count()
    }

    /// The ledger: each message that was accepted, with its `wamid`, in order.
    #[must_use]
    pub fn ledger(&self) -> Vec<Value> {
        self.inner.accepted.lock().unwrap().clone()
    }

    /// How many messages were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.inner.accepted.lock().unwrap().len()
    }

    /// The body of an upload, as multipart.
    #[must_use]
    pub fn upload(&self, id: &str) -> Option<Vec<u8>> {
        self.inner.files.lock().unwrap().get(id).cloned()
    }
}

async fn serve(mut stream: TcpStream, inner: Arc<Inner>) {
    let mut reader = Reader::default();
    while let Ok(Some(request)) = reader.next(&mut stream).await {
        let deed = (inner.script.lock().unwrap())(&request);
        inner.seen.lock().unwrap().push(request.clone());
        let bytes = match deed {
            Deed::Accept => accepted(&inner, &request),
            Deed::Json(status, body) => json_bytes(status, &[], &body),
            Deed::Code(status, code) => json_bytes(status, &[], &envelope(code)),
            Deed::CodeWith(status, code, headers) => {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                json_bytes(status, &headers, &envelope(code))
            }
            Deed::Html(status) => {
                let page = b"<html><body><h1>Bad Gateway</h1></body></html>";
                response(status, &[("content-type", "text/html")], page)
            }
            Deed::Bytes(bytes) => {
                drop(stream.write_all(&bytes).await);
                return;
            }
            Deed::Reset => return reset(&stream),
            Deed::AcceptAndReset => {
                drop(accepted(&inner, &request));
                return reset(&stream);
            }
            Deed::Hang => std::future::pending().await,
            Deed::Endless(head) => {
                return pour(&mut stream, &head, &[b' '; 65_536], Duration::ZERO).await;
            }
            Deed::Drip(head) => return pour(&mut stream, &head, b" ", DRIP_EVERY).await,
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Writes a beginning, and then a piece again and again until nobody listens any more.
async fn pour(stream: &mut TcpStream, head: &[u8], piece: &[u8], pause: Duration) {
    let mut listens = stream.write_all(head).await.is_ok();
    while listens {
        tokio::time::sleep(pause).await;
        listens = stream.write_all(piece).await.is_ok();
    }
}

fn reset(stream: &TcpStream) {
    stream.set_zero_linger().expect("a socket can be reset");
}

fn json_bytes(status: u16, headers: &[(&str, &str)], body: &Value) -> Vec<u8> {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    response(status, &all, body.to_string().as_bytes())
}

fn envelope(code: i64) -> Value {
    json!({"error": {"message": format!("(#{code}) Told to say so"), "type": "OAuthException",
        "code": code, "error_data": {"messaging_product": "whatsapp", "details": "Told to say so"},
        "fbtrace_id": "Atold"}})
}

fn accepted(inner: &Inner, request: &Request) -> Vec<u8> {
    let edge = request.path.rsplit('/').next().unwrap_or_default();
    let serial = inner.serial.fetch_add(1, Ordering::Relaxed);
    match (request.method.as_str(), edge) {
        ("POST", "messages") => {
            let mut message = request.json();
            let digits = message["to"].as_str().unwrap_or_default().trim_start_matches('+');
            let digits = digits.to_owned();
            let wamid = format!("wamid.MOCK{serial:012}");
            message["wamid"] = wamid.clone().into();
            inner.accepted.lock().unwrap().push(message);
            let answer = json!({"messaging_product": "whatsapp",
                "contacts": [{"input": digits, "wa_id": digits}], "messages": [{"id": wamid}]});
            json_bytes(200, &[], &answer)
        }
        ("POST", "media") => {
            let id = format!("{}", 7_000_000_000_000 + serial);
            inner.files.lock().unwrap().insert(id.clone(), request.body.clone());
            json_bytes(200, &[], &json!({ "id": id }))
        }
        ("GET", "message_templates") => {
            let template = json!({"id": "9001", "name": "hello_world", "language": "en_US",
                "status": "APPROVED", "category": "UTILITY", "components": [
                    {"type": "BODY", "text": "Welcome and congratulations!"}]});
            json_bytes(200, &[], &json!({ "data": [template] }))
        }
        ("POST", _) => json_bytes(200, &[], &json!({"success": true})),
        _ => json_bytes(404, &[], &envelope(100)),
    }
}
