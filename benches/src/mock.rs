//! An upstream that accepts everything, as soon as it is told to: Meta's success bodies with fresh ids, and nothing else.
//!
//! It judges nothing and remembers only how much came. What Meta would refuse, the sandbox refuses. On demand it
//! reports statuses ([`crate::statuses`]); callbacks come to it as well ([`crate::receiver`]), so that one clock
//! tells how long they took.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::receiver::{self, Receiver};
use crate::scan::text_of;
use crate::statuses::{self, Statuses};

/// The name of the only template, which takes no values.
pub(crate) const TEMPLATE: &str = "bench_notice";
/// Where the counts can be read.
pub(crate) const COUNTS_PATH: &str = "/counts";
/// Where it can be read what each number has sent.
pub(crate) const NUMBERS_PATH: &str = "/numbers";

#[derive(Default)]
struct Mock {
    messages: AtomicU64,
    media: AtomicU64,
    media_bytes: AtomicU64,
    /// Messages by phone-number id.
    numbers: Mutex<HashMap<String, u64>>,
    receiver: Arc<Receiver>,
    statuses: Statuses,
}

/// Serves until it is ended.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn serve(delay: Duration) -> Result<()> {
    let mock = Arc::new(Mock::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::bare::announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mock = Arc::clone(&mock);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let mock = Arc::clone(&mock);
                async move {
                    let response = answer(request, &mock).await;
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no fault of the mock.
            drop(connection.await);
        });
    }
}

async fn answer(request: Request<Incoming>, mock: &Mock) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/messages") {
        let body = whole(request).await;
        let number = mock.messages.fetch_add(1, Ordering::Relaxed);
        mock.note_number(&path);
        let to = receiver(&body);
        let wamid = wamid(to, number);
        mock.statuses.accepted(&mock.receiver, &path, to, &wamid);
        return json(accepted(to, &wamid));
    }
    if path.ends_with("/media") {
        let bytes = drain(request.into_body()).await;
        mock.media_bytes.fetch_add(bytes, Ordering::Relaxed);
        let number = mock.media.fetch_add(1, Ordering::Relaxed);
        return json(format!(r#"{{"id":"{}"}}"#, 1_000_000_000_000_000 + number));
    }
    if path.ends_with("/message_templates") {
        return json(templates());
    }
    match path.as_str() {
        receiver::CALLBACKS_PATH => {
            mock.receiver.receive(&whole(request).await).await;
            json(String::new())
        }
        receiver::HOLD_PATH => json(mock.receiver.hold(true)),
        receiver::OPEN_PATH => json(mock.receiver.hold(false)),
        receiver::LAGS_PATH => json(mock.receiver.take_lags_ms()),
        statuses::REPORT_PATH => {
            json(mock.statuses.report_to(&mock.receiver, &whole(request).await))
        }
        COUNTS_PATH => json(mock.counts()),
        NUMBERS_PATH => json(mock.by_number()),
        _ => json(r#"{"data":[]}"#.to_owned()),
    }
}

impl Mock {
    /// Counts a message for the number in its path, `/version/number/messages`.
    fn note_number(&self, path: &str) {
        let Some(number) = path.rsplit('/').nth(1) else { return };
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        match numbers.get_mut(number) {
            Some(count) => *count += 1,
            None => drop(numbers.insert(number.to_owned(), 1)),
        }
    }

    fn by_number(&self) -> String {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!(*numbers).to_string()
    }

    fn counts(&self) -> String {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        serde_json::json!({
            "messages": count(&self.messages),
            "media": count(&self.media),
            "media_bytes": count(&self.media_bytes),
            "callbacks": self.receiver.received(),
            "statuses_refused": self.statuses.refused(),
        })
        .to_string()
    }
}

async fn whole(request: Request<Incoming>) -> Bytes {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    body.unwrap_or_default()
}

/// Reads a body to its end without keeping it; its length in bytes.
async fn drain(mut body: Incoming) -> u64 {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    bytes
}

fn accepted(to: &str, wamid: &str) -> String {
    format!(
        r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"{to}","wa_id":"{to}"}}],"messages":[{{"id":"{wamid}"}}]}}"#
    )
}

/// The list of templates: a notice, for marketing has limits of its own.
fn templates() -> String {
    let body = serde_json::json!({ "type": "BODY", "text": "Your order is on its way." });
    serde_json::json!({ "data": [{
        "id": "400000000000000",
        "name": TEMPLATE,
        "language": "en_US",
        "status": "APPROVED",
        "category": "UTILITY",
        "components": [body],
    }] })
    .to_string()
}

/// The digits behind `"to":"`.
fn receiver(body: &[u8]) -> &str {
    text_of(body, b"\"to\":\"").trim_start_matches('+')
}

/// An id of the shape that Meta's have.
fn wamid(to: &str, number: u64) -> String {
    let mut bytes = vec![0x1C, 0x18, u8::try_from(to.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(to.as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, 0x11, 0x18, 18]);
    bytes.extend_from_slice(format!("{number:018X}").as_bytes());
    bytes.push(0);
    format!("wamid.{}", STANDARD.encode(bytes))
}

fn json(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let value = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    response
}

#[cfg(test)]
mod tests {
    use super::{accepted, receiver, wamid};

    #[test]
    fn finds_the_receiver_of_a_message() {
        for (body, to) in [
            (r#"{"messaging_product":"whatsapp","to":"15550001111","type":"text"}"#, "15550001111"),
            (r#"{"to":"+15550001111"}"#, "15550001111"),
            (r#"{"to":"155"#, ""),
            ("{}", ""),
        ] {
            assert_eq!(receiver(body.as_bytes()), to, "{body}");
        }
    }

    #[test]
    fn gives_each_message_an_id_of_its_own() {
        assert_ne!(wamid("15550001111", 1), wamid("15550001111", 2));
        let answer: serde_json::Value =
            serde_json::from_str(&accepted("15550001111", &wamid("15550001111", 7))).unwrap();
        assert_eq!(answer["messages"][0]["id"], wamid("15550001111", 7));
        assert_eq!(answer["contacts"][0]["wa_id"], "15550001111");
    }
}
