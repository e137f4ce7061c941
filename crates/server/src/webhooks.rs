//! The upstream's webhooks: the handshake, and events that are checked over their raw bytes before
//! anything reads them and are durable before they are answered. Their capacity is their own, so
//! that tenants cannot crowd them out.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use subtle::ConstantTimeEq as _;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use crate::App;
use crate::bodies::BodyReader;
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
    let _place = place(&app).await?;
    let (parts, body) = request.into_parts();
    let body = read_body(&app, &parts.headers, body).await?;
    let signatures = signatures(&parts.headers);
    let Some(signer) = app.engine.webhook_signer(&body, &signatures) else {
        tracing::warn!(bytes = body.len(), "a webhook with a missing or wrong signature");
        let detail = "X-Hub-Signature-256 must be the signature of exactly these bytes.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "signature_invalid", detail));
    };
    app.engine.receive_webhook(body, signer).await?;
    Ok(StatusCode::OK)
}

/// A place for one more; who would come later still would only repeat it.
async fn place(app: &App) -> Result<SemaphorePermit<'_>, Problem> {
    let free = timeout(app.limits.webhook_wait, app.webhook_places.acquire()).await;
    free.ok().and_then(Result::ok).ok_or_else(|| {
        app.metrics.count_refused(Refused::Webhooks);
        app.engine.note_refused_webhook();
        Problem::unavailable("Too many webhooks are being stored; send this one again.")
    })
}

async fn read_body(
    app: &App,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Bytes, Problem> {
    let mut reader = BodyReader::new(headers, body, MAX_BODY_BYTES, app.limits.body_pace)?;
    let mut whole = Vec::new();
    while let Some(data) = reader.next().await? {
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// The values of all signature headers. One that is not text counts as empty: it is still one.
fn signatures(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all(SIGNATURE).iter().map(|value| value.to_str().unwrap_or_default()).collect()
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
    fn every_signature_header_is_looked_at() {
        let mut headers = HeaderMap::new();
        assert!(signatures(&headers).is_empty());
        headers.append(SIGNATURE, "sha256=aa".parse().unwrap());
        headers.append(SIGNATURE, http::HeaderValue::from_bytes(b"\xFF").unwrap());
        assert_eq!(signatures(&headers), ["sha256=aa", ""]);
    }
}
