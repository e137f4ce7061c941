//! Callbacks: events posted to a tenant's endpoint, over a connection that may have been used before
//! and may be used again. No redirect is followed.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use url::Position;

use crate::{
    Egress, EgressError, Phase, Purpose, Timeouts,
    client::build,
    connection::BodyReader,
    kept::{Link, Lost},
    timeouts::Deadline,
};

/// How much of an endpoint's reply is kept, in bytes.
pub const MAX_REPLY_BYTES: usize = 64 * 1024;

/// An endpoint's reply, whatever its status. `Debug` shows no content.
pub struct PostResponse {
    /// Status; a redirect is reported, not followed.
    pub status: StatusCode,
    /// Headers, at most 16 KiB of them.
    pub headers: HeaderMap,
    /// The body's first [`MAX_REPLY_BYTES`].
    pub body: Bytes,
    /// Whether the body was longer, broke off, or did not end in time. The status stands all
    /// the same: the endpoint had the whole request when it sent it.
    pub truncated: bool,
}

impl fmt::Debug for PostResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostResponse")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// Posts `body` with `headers` (`Content-Type`, signatures) for `asker` (an organisation) and
    /// reads the reply, all within `timeout`.
    ///
    /// # Errors
    /// Any [`EgressError`] up to the head of the reply.
    pub async fn post(
        &self,
        asker: &str,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<PostResponse, EgressError> {
        let limits = Timeouts { head: timeout, total: timeout, ..Timeouts::default() };
        let deadline = Deadline::starting_now(limits);
        let url = self.check_url(url, Purpose::Callback)?;
        let origin = url[..Position::BeforePath].to_owned();
        let mut request = build(Method::POST, &url, headers, body)?;
        while let Some(mut link) = self.kept.take(&origin) {
            match link.send(request, &deadline).await {
                Ok(answer) => return Ok(self.finish(origin, link, answer, deadline).await),
                // It was closed meanwhile, and nothing was sent.
                Err(Lost::Unsent(unsent)) => request = *unsent,
                Err(Lost::Failed(error)) => return Err(error),
            }
        }
        let mut link = Link::over(self.wire_to(asker, &url, &deadline).await?, &deadline).await?;
        match link.send(request, &deadline).await {
            Ok(answer) => Ok(self.finish(origin, link, answer, deadline).await),
            Err(Lost::Unsent(_)) => Err(EgressError::Timeout(Phase::Connect)),
            Err(Lost::Failed(error)) => Err(error),
        }
    }

    /// Reads the reply; the connection is kept where the reply ended as it should.
    async fn finish(
        &self,
        origin: String,
        link: Link,
        answer: Response<Incoming>,
        deadline: Deadline,
    ) -> PostResponse {
        let (head, incoming) = answer.into_parts();
        let (body, truncated) = beginning(BodyReader::of(incoming, deadline)).await;
        if !truncated {
            self.kept.keep(origin, link).await;
        }
        PostResponse { status: head.status, headers: head.headers, body, truncated }
    }
}

async fn beginning(mut reader: BodyReader) -> (Bytes, bool) {
    let mut kept = BytesMut::new();
    while let Some(piece) = reader.next().await {
        let Ok(mut piece) = piece else {
            return (kept.freeze(), true);
        };
        let room = MAX_REPLY_BYTES - kept.len();
        let longer = piece.len() > room;
        piece.truncate(room);
        kept.extend_from_slice(&piece);
        if longer {
            return (kept.freeze(), true);
        }
    }
    (kept.freeze(), false)
}
