//! Downloads of a tenant's files: redirects, credentials, size limit.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::{
    Credential, Egress, EgressError, Purpose, Timeouts,
    client::build,
    connection::{Answer, BodyReader, exchange},
    planted::Planted,
    timeouts::Deadline,
};

/// Most redirects that a download follows.
pub const MAX_REDIRECTS: usize = 3;

/// A body as it arrives, in pieces of at most 64 KiB. The first error is its last item.
pub type BodyStream = BoxStream<'static, Result<Bytes, EgressError>>;

/// A file to download. Has no `Debug`: the URL's query may hold a secret.
pub struct FetchRequest {
    /// The organisation that wants it. Names whose lookup hangs take only its own share of lookups.
    pub asker: String,
    /// Address as the tenant gave it.
    pub url: String,
    /// Sent to its allowed hosts only, and never across a redirect to another host.
    pub credential: Option<Credential>,
    /// Largest file, in bytes.
    pub limit_bytes: u64,
    /// Time limits.
    pub timeouts: Timeouts,
}

/// A file that the server began to send with status 200 or 203.
pub struct FetchResponse {
    /// `Content-Type` as the server sent it; a claim, not a fact.
    pub content_type: Option<String>,
    /// Announced length in bytes, when the server announced one.
    pub content_length: Option<u64>,
    /// The file; ends with [`EgressError::TooLarge`] once the limit is passed.
    pub body: BodyStream,
}

impl fmt::Debug for FetchResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchResponse")
            .field("content_type", &self.content_type)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// Begins a download. At most [`MAX_REDIRECTS`] redirects are followed, each judged anew.
    ///
    /// # Errors
    /// Any [`EgressError`]; those of the body come with its stream.
    pub async fn get(&self, request: FetchRequest) -> Result<FetchResponse, EgressError> {
        let deadline = Deadline::starting_now(request.timeouts);
        let mut url = self.check_url(&request.url, Purpose::Link)?;
        let mut credential = request.credential.as_ref();
        if let Some(credential) = credential {
            credential.check_host(&url)?;
        }
        for _ in 0..=MAX_REDIRECTS {
            let headers = authorization(credential)?;
            let answer = self.ask(&request.asker, &url, headers, deadline).await?;
            if !is_redirect(answer.status) {
                return accept(answer, request.limit_bytes);
            }
            let next = self.guard.check_redirect(&url, location(&answer.headers)?)?;
            credential = credential.filter(|held| {
                held.survives(&url, &next) || self.guard.planted(Planted::CredentialCrossesHosts)
            });
            url = next;
        }
        Err(EgressError::TooManyRedirects { limit: MAX_REDIRECTS })
    }

    /// Asks over a connection of its own a URL that passed [`Self::check_url`].
    async fn ask(
        &self,
        asker: &str,
        url: &Url,
        headers: HeaderMap,
        deadline: Deadline,
    ) -> Result<Answer, EgressError> {
        let mut request = build(Method::GET, url, headers, Bytes::new())?;
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        let wire = self.wire_to(asker, url, &deadline).await?;
        exchange(wire, request, deadline).await
    }
}

fn authorization(credential: Option<&Credential>) -> Result<HeaderMap, EgressError> {
    let mut headers = HeaderMap::new();
    if let Some(credential) = credential {
        headers.insert(header::AUTHORIZATION, credential.authorization.header()?);
    }
    Ok(headers)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(headers: &HeaderMap) -> Result<&str, EgressError> {
    headers
        .get(header::LOCATION)
        .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
        .filter(|location| !location.is_empty())
        .ok_or(EgressError::RedirectWithoutLocation)
}

fn accept(answer: Answer, limit_bytes: u64) -> Result<FetchResponse, EgressError> {
    if !matches!(answer.status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION) {
        return Err(EgressError::Status(answer.status.as_u16()));
    }
    if is_encoded(&answer.headers) {
        return Err(EgressError::ContentEncoded);
    }
    let content_length = answer.body.announced_bytes();
    if content_length.is_some_and(|length| length > limit_bytes) {
        return Err(EgressError::TooLarge { limit_bytes });
    }
    let content_type = answer
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    Ok(FetchResponse { content_type, content_length, body: limited(answer.body, limit_bytes) })
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn limited(body: BodyReader, limit_bytes: u64) -> BodyStream {
    let start = Some((body, limit_bytes));
    Box::pin(stream::unfold(start, move |state| async move {
        let (mut body, remaining) = state?;
        let piece = match body.next().await? {
            Ok(piece) => piece,
            Err(fault) => return Some((Err(fault), None)),
        };
        match remaining.checked_sub(piece.len() as u64) {
            Some(remaining) => Some((Ok(piece), Some((body, remaining)))),
            None => Some((Err(EgressError::TooLarge { limit_bytes }), None)),
        }
    }))
}
