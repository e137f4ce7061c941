//! An upstream that accepts everything without delay: Meta's success bodies with fresh ids, and nothing else.
//!
//! It judges nothing, remembers only how much came, and sends no webhooks. What Meta would refuse, the sandbox refuses.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Where the counts can be read.
pub(crate) const COUNTS_PATH: &str = "/counts";

#[derive(Default)]
struct Counts {
    messages: AtomicU64,
    media: AtomicU64,
    media_bytes: AtomicU64,
}

/// Serves until it is ended.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn serve() -> Result<()> {
    let counts = Arc::new(Counts::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::bare::announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let counts = Arc::clone(&counts);
                async move { Ok::<_, Infallible>(answer(request, &counts).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no fault of the mock.
            drop(connection.await);
        });
    }
}

async fn answer(request: Request<Incoming>, counts: &Counts) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/messages") {
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let number = counts.messages.fetch_add(1, Ordering::Relaxed);
        return json(accepted(&body.unwrap_or_default(), number));
    }
    if path.ends_with("/media") {
        let bytes = drain(request.into_body()).await;
        counts.media_bytes.fetch_add(bytes, Ordering::Relaxed);
        let number = counts.media.fetch_add(1, Ordering::Relaxed);
        return json(format!(r#"{{"id":"{}"}}"#, 1_000_000_000_000_000 + number));
    }
    if path == COUNTS_PATH {
        let [messages, media, media_bytes] = [&counts.messages, &counts.media, &counts.media_bytes]
            .map(|count| count.load(Ordering::Relaxed));
        return json(format!(
            r#"{{"messages":{messages},"media":{media},"media_bytes":{media_bytes}}}"#
        ));
    }
    json(r#"{"data":[]}"#.to_owned())
}

/// Reads a body to its end without keeping it; its length in bytes.
async fn drain(mut body: Incoming) -> u64 {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    bytes
}

fn accepted(body: &[u8], number: u64) -> String {
    let to = receiver(body);
    let wamid = wamid(to, number);
    format!(
        r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"{to}","wa_id":"{to}"}}],"messages":[{{"id":"{wamid}"}}]}}"#
    )
}

/// The digits behind `"to":"`, found without parsing: the mock shall cost as little as it can.
fn receiver(body: &[u8]) -> &str {
    const KEY: &[u8] = b"\"to\":\"";
    let start = body.windows(KEY.len()).position(|window| window == KEY).map(|at| at + KEY.len());
    let rest = start.map_or(&[][..], |start| &body[start..]);
    let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(0);
    let digits = std::str::from_utf8(&rest[..end]).unwrap_or_default();
    digits.trim_start_matches('+')
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
            serde_json::from_str(&accepted(br#"{"to":"15550001111"}"#, 7)).unwrap();
        assert_eq!(answer["messages"][0]["id"], wamid("15550001111", 7));
        assert_eq!(answer["contacts"][0]["wa_id"], "15550001111");
    }
}
