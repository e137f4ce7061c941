//! Files to and from the upstream, streamed: never more than a few chunks in memory.

use std::io;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};
use url::Url;
use waypost_domain::media::{MimeType, clean_filename};
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::ports::{Account, BlobStream, CallError, DownloadedMedia};

use crate::body::OutgoingBody;
use crate::client::{CloudApi, MAX_REPLY_BYTES, finish, segment};
use crate::form::Form;
use crate::reply::{id_text, integer};
use crate::transport::{Broken, Reply, describe};

/// The slowest transfer that is waited for, in bytes per second.
const SLOWEST_BYTES_PER_S: u64 = 50 * 1_024;
/// Media URLs live five minutes and answer 404 afterwards: so often one is asked for.
const URL_TRIES: usize = 2;

impl CloudApi {
    pub(crate) async fn upload_file(
        &self,
        account: &Account,
        mime_type: &MimeType,
        filename: &str,
        size: u64,
        file: BlobStream,
    ) -> Result<String, CallError> {
        let extension = mime_type.extension();
        let name = clean_filename(filename).unwrap_or_else(|| format!("file.{extension}"));
        let form = Form::new()
            .field("messaging_product", "whatsapp")
            .field("type", mime_type.as_str())
            .file(mime_type.as_str(), &name);
        let path = format!("/{}/media", segment(&account.phone_number_id));
        let reply = self.post_form(account, &path, form, file, size).await?;
        id_text(&reply["id"]).ok_or_else(|| {
            let message = "The upstream took the file and gave no id for it.";
            CallError {
                failure: Failure::new(ErrorKind::UpstreamError, message),
                class: RetryClass::BackOffFew,
            }
        })
    }

    pub(crate) async fn download_file(
        &self,
        account: &Account,
        media_id: &str,
        limit_bytes: u64,
    ) -> Result<DownloadedMedia, CallError> {
        for _ in 0..URL_TRIES {
            let place = self.media_place(account, media_id).await?;
            let size = integer(&place["file_size"]).and_then(|size| u64::try_from(size).ok());
            check_size(size, limit_bytes)?;
            let url = self.checked_url(&place)?;
            let deadline = self.transfer_deadline(size.unwrap_or(limit_bytes).min(limit_bytes));
            let response = self.open_file(account, &url, deadline).await?;
            if response.status() == StatusCode::NOT_FOUND {
                continue;
            }
            let response = self.check_file(account, response).await?;
            check_size(content_length(&response), limit_bytes)?;
            let mime_type = place["mime_type"].as_str().map(str::to_owned);
            let mime_type = mime_type.or_else(|| content_type(&response));
            return Ok(DownloadedMedia {
                mime_type: mime_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
                body: checked(
                    bounded(response.into_body(), limit_bytes, deadline, self.config.call_timeout),
                    place["sha256"].as_str().map(str::to_owned),
                ),
            });
        }
        Err(missing())
    }

    async fn media_place(&self, account: &Account, media_id: &str) -> Result<Value, CallError> {
        let number = segment(&account.phone_number_id);
        let path = format!("/{}?phone_number_id={number}", segment(media_id));
        let place = self.call(account, Method::GET, &path, None, MAX_REPLY_BYTES).await;
        place.map_err(|error| {
            let fault = error.failure.upstream.as_ref();
            let is_unknown = fault.is_some_and(|fault| {
                (fault.code, fault.subcode) == (Some(100), Some(33))
                    || (fault.code, fault.http_status) == (None, Some(404))
            });
            if is_unknown { missing() } else { error }
        })
    }

    /// The file's URL, where the token may be shown to its host.
    fn checked_url(&self, place: &Value) -> Result<Url, CallError> {
        let url = place["url"].as_str().and_then(|url| Url::parse(url).ok());
        url.filter(|url| self.gives_files(url)).ok_or_else(|| {
            let message = "The upstream gave a file's address at a host that may not see the \
                token; it was not called.";
            CallError {
                failure: Failure::new(ErrorKind::UpstreamError, message),
                class: RetryClass::Never,
            }
        })
    }

    async fn open_file(
        &self,
        account: &Account,
        url: &Url,
        deadline: Instant,
    ) -> Result<Response<Incoming>, CallError> {
        let request = Self::request(account, &Method::GET, url.as_str())?;
        let request = finish(request, OutgoingBody::bytes(Bytes::new()))?;
        let deadline = deadline.min(self.deadline());
        self.transport.open(request, deadline).await.map_err(Broken::into_call_error)
    }

    /// Only 200 gives a file; a redirect is an error like any other.
    async fn check_file(
        &self,
        account: &Account,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, CallError> {
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let reply = Reply::read(response, self.deadline(), MAX_REPLY_BYTES).await;
        let fault = reply.json().and_then(|body| reply.fault(&body, &account.access_token));
        Err(match fault {
            Some(fault) => reply.call_error(fault),
            None => reply.plain_refusal().unwrap_or_else(|| reply.unreadable()),
        })
    }

    pub(crate) fn transfer_deadline(&self, size: u64) -> Instant {
        self.deadline() + Duration::from_secs(size / SLOWEST_BYTES_PER_S)
    }
}

fn missing() -> CallError {
    let message = "WhatsApp does not have this file any more.";
    CallError { failure: Failure::new(ErrorKind::MediaNotFound, message), class: RetryClass::Never }
}

fn check_size(size: Option<u64>, limit_bytes: u64) -> Result<(), CallError> {
    if size.is_none_or(|size| size <= limit_bytes) {
        return Ok(());
    }
    let message = format!("The file is larger than {limit_bytes} bytes.");
    Err(CallError {
        failure: Failure::new(ErrorKind::MediaTooLarge, message),
        class: RetryClass::Never,
    })
}

fn content_length(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn content_type(response: &Response<Incoming>) -> Option<String> {
    response.headers().get(CONTENT_TYPE)?.to_str().ok().map(str::to_owned)
}

/// A body that fails once it is longer than allowed, stalls, or takes too long as a whole.
fn bounded(body: Incoming, limit_bytes: u64, deadline: Instant, stall: Duration) -> BlobStream {
    Box::pin(stream::try_unfold((body, limit_bytes), move |(mut body, left)| async move {
        loop {
            let patience = deadline.min(Instant::now() + stall);
            let Some(frame) = timeout_at(patience, body.frame()).await? else { return Ok(None) };
            let frame = frame.map_err(|error| io::Error::other(describe(&error)))?;
            let Ok(chunk) = frame.into_data() else { continue };
            let Some(left) = left.checked_sub(chunk.len() as u64) else {
                return Err(io::Error::other("the file is larger than allowed"));
            };
            return Ok(Some((chunk, (body, left))));
        }
    }))
}

/// A body that fails at its end where it is not what the upstream said.
fn checked(body: BlobStream, sha256: Option<String>) -> BlobStream {
    let Some(told) = sha256 else { return body };
    let start = (body, Sha256::new(), told);
    Box::pin(stream::try_unfold(start, |(mut body, mut hash, told)| async move {
        if let Some(chunk) = body.try_next().await? {
            hash.update(&chunk);
            return Ok(Some((chunk, (body, hash, told))));
        }
        if contradicts(&told, &hash.finalize()) {
            return Err(io::Error::other("it is not the file whose SHA-256 WhatsApp gives"));
        }
        Ok(None)
    }))
}

/// Whether `told` is the SHA-256 of something else, in hex or in base64: both occur. Of any other form
/// nobody knows what it says.
fn contradicts(told: &str, digest: &[u8]) -> bool {
    const HEX_CHARS: usize = 64;
    const BASE64_CHARS: usize = 44;
    match told.len() {
        HEX_CHARS => {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            !told.eq_ignore_ascii_case(&hex)
        }
        BASE64_CHARS => told != BASE64_STANDARD.encode(digest),
        _ => false,
    }
}
