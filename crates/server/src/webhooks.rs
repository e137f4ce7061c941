//! The upstream's webhooks: the handshake, and events that are checked over their raw bytes before
//! anything reads them and are durable before they are answered. Their capacity is their own, so
//! that tenants cannot crowd them out, and who cannot sign takes no part of storing's.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use subtle::ConstantTimeEq as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::App;
use crate::bodies::{BodyFault, BodyReader, MemoryShare, content_length, off_thread};
use crate::client::{Client, Peer};
use crate::doors::Door;
use crate::metrics::Refused;
use crate::problem::Problem;

/// The largest event body, in bytes.
const MAX_BODY_BYTES: u64 = 4 * 1_024 * 1_024;
/// The longest challenge that is echoed, in bytes.
const MAX_CHALLENGE_BYTES: usize = 256;
/// The header with the signature over the raw body.
const SIGNATURE: &str = "x-hub-signature-256";

/// Answers the handshake: `GET /webhooks/meta?hub.mode=subscribe&…`.
pub(crate) async fn answer_handshake(State(app): State<App>, uri: Uri) -> Response {
    let query = Handshake::read(uri.query().unwrap_or_default());
    match query.challenge_for(&app.engine.settings().verify_token) {
        Some(challenge) => {
            let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
            (plain, challenge).into_response()
        }
        None => {
            let detail = "hub.mode must be subscribe and hub.verify_token this installation's.";
            Problem::new(StatusCode::FORBIDDEN, "handshake_refused", detail).into_response()
        }
    }
}

#[derive(Default)]
struct Handshake {
    mode: String,
    verify_token: String,
    challenge: String,
}

impl Handshake {
    fn read(query: &str) -> Self {
        let mut handshake = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "hub.mode" => handshake.mode = value.into_owned(),
                "hub.verify_token" => handshake.verify_token = value.into_owned(),
                "hub.challenge" => handshake.challenge = value.into_owned(),
                _ => {}
            }
        }
        handshake
    }

    fn challenge_for(self, verify_token: &str) -> Option<String> {
        let token_fits = self.verify_token.as_bytes().ct_eq(verify_token.as_bytes());
        let valid = !verify_token.is_empty()
            && bool::from(token_fits)
            && self.mode == "subscribe"
            && self.challenge.len() <= MAX_CHALLENGE_BYTES;
        valid.then_some(self.challenge)
    }
}

/// Takes events: `POST /webhooks/meta`.
pub(crate) async fn receive_events(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let signature = signature(headers).ok_or_else(|| not_signed(headers))?.to_owned();
    let peer = parts.extensions.get::<Peer>().copied();
    let door = app.webhook_doors.of(Client::of(peer, headers, &app.trusted_proxies).ip);
    let _place = place(&app, &door.places).await?;
    let (body, share) = read_body(&app, door, headers, body).await?;
    let body = Bytes::from(body);
    let (engine, signed) = (app.engine.clone(), body.clone());
    let find_signer = move || engine.webhook_signer(&signed, &signature);
    let signer = off_thread(share.is_large(), find_signer).await?;
    let signer = signer.ok_or_else(|| not_signed(headers))?;
    let _storing = place(&app, &app.webhook_places).await?;
    app.engine.receive_webhook(body, signer).await?;
    Ok(StatusCode::OK)
}

/// A place for one more; who would come later still would only repeat it.
async fn place<'a>(app: &App, places: &'a Semaphore) -> Result<SemaphorePermit<'a>, Problem> {
    let free = timeout(app.limits.webhook_wait, places.acquire()).await;
    free.ok().and_then(Result::ok).ok_or_else(|| {
        note_refused(app);
        Problem::unavailable("Too many webhooks are being stored; send this one again.")
    })
}

fn note_refused(app: &App) {
    app.metrics.count_refused(Refused::Webhooks);
    app.engine.note_refused_webhook();
}

async fn read_body(
    app: &App,
    door: &Door,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Vec<u8>, MemoryShare), Problem> {
    let reader = BodyReader::new(headers, body, MAX_BODY_BYTES, app.limits.body_pace)?;
    let read = timeout(app.limits.webhook_body, reader.read_whole(&door.memory)).await;
    let read = read.unwrap_or(Err(BodyFault::Slow));
    if matches!(read, Err(BodyFault::NoMemory)) {
        note_refused(app);
    }
    Ok(read?)
}

/// The only signature: several could be read differently by different readers.
fn signature(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(SIGNATURE).iter();
    let only = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(only)
}

fn not_signed(headers: &HeaderMap) -> Problem {
    let bytes = content_length(headers);
    tracing::warn!(bytes, "a webhook with a missing or wrong signature");
    let detail = "X-Hub-Signature-256 must be the signature of exactly these bytes.";
    Problem::new(StatusCode::UNAUTHORIZED, "signature_invalid", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_wants_the_right_token() {
        let right = "hub.mode=subscribe&hub.verify_token=s%2Bcret&hub.challenge=1158201444";
        let answer = |query: &str| Handshake::read(query).challenge_for("s+cret");
        assert_eq!(answer(right).as_deref(), Some("1158201444"));
        for wrong in [
            "",
            "hub.mode=subscribe&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=s%2Bcre&hub.challenge=1",
            "hub.mode=unsubscribe&hub.verify_token=s%2Bcret&hub.challenge=1",
        ] {
            assert_eq!(answer(wrong), None, "{wrong}");
        }
        let long = format!("{right}{}", "1".repeat(MAX_CHALLENGE_BYTES));
        assert_eq!(answer(&long), None);
        assert_eq!(Handshake::read("hub.mode=subscribe").challenge_for(""), None);
    }

    #[test]
    fn one_signature_header_is_wanted() {
        let mut headers = HeaderMap::new();
        assert_eq!(signature(&headers), None);
        headers.insert(SIGNATURE, http::HeaderValue::from_bytes(b"\xFF").unwrap());
        assert_eq!(signature(&headers), None);
        headers.insert(SIGNATURE, "sha256=aa".parse().unwrap());
        assert_eq!(signature(&headers), Some("sha256=aa"));
        headers.append(SIGNATURE, "sha256=aa".parse().unwrap());
        assert_eq!(signature(&headers), None);
    }
}
