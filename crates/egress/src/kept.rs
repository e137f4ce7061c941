//! Callbacks to an address that gets many of them: connections are kept open for the next one. A
//! kept connection leads to an address that was checked when it was opened, and only callbacks to
//! the same scheme, host and port go over it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use parking_lot::Mutex;
use tokio::{task::JoinSet, time::Instant};
use url::{Position, Url};

use crate::{
    Egress, EgressError, Phase, PostResponse, Purpose, Timeouts,
    client::build,
    connection::{BodyReader, head_fault, open},
    post::beginning,
    timeouts::Deadline,
};

/// Idle connections to one origin.
const MAX_IDLE_PER_ORIGIN: usize = 8;
/// Idle connections in all.
const MAX_IDLE: usize = 256;
/// How long a connection is used before its name is resolved and checked anew.
const MAX_AGE: Duration = Duration::from_secs(60);
/// How long a connection is kept without a use.
const MAX_IDLE_TIME: Duration = Duration::from_secs(20);

/// How long a connection may take after a reply to show that it stays open.
const READY_WAIT: Duration = Duration::from_millis(5);

/// A connection; dropping it closes it.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    opened: Instant,
    used: Instant,
    _driver: JoinSet<()>,
}

impl Link {
    fn is_fit(&self) -> bool {
        self.sender.is_ready()
            && self.opened.elapsed() < MAX_AGE
            && self.used.elapsed() < MAX_IDLE_TIME
    }
}

/// The idle connections, by origin.
#[derive(Default)]
pub(crate) struct Kept(Mutex<HashMap<String, Vec<Link>>>);

impl Kept {
    fn take(&self, origin: &str) -> Option<Link> {
        let mut idle = self.0.lock();
        let links = idle.get_mut(origin)?;
        let fit = std::iter::from_fn(|| links.pop()).find(Link::is_fit);
        if links.is_empty() {
            idle.remove(origin);
        }
        fit
    }

    fn put(&self, origin: String, link: Link) {
        let mut idle = self.0.lock();
        if idle.values().map(Vec::len).sum::<usize>() >= MAX_IDLE {
            idle.values_mut().for_each(|links| links.retain(Link::is_fit));
            idle.retain(|_, links| !links.is_empty());
        }
        let room = idle.values().map(Vec::len).sum::<usize>() < MAX_IDLE;
        let links = idle.entry(origin).or_default();
        if room && links.len() < MAX_IDLE_PER_ORIGIN {
            links.push(link);
        }
    }
}

impl Egress {
    /// Like [`Self::post`], over a connection that may have been used before and may be used again.
    ///
    /// # Errors
    /// Any [`EgressError`] up to the head of the reply.
    pub async fn post_kept(
        &self,
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
        request.headers_mut().remove(header::CONNECTION);
        while let Some(mut link) = self.kept.take(&origin) {
            match over(&mut link, request, deadline).await {
                Ok(answer) => return Ok(self.finish(origin, link, answer, deadline).await),
                // It was closed meanwhile, and nothing was sent.
                Err(Lost::Unsent(unsent)) => request = *unsent,
                Err(Lost::Failed(error)) => return Err(error),
            }
        }
        let mut link = self.open_link(&url, &deadline).await?;
        match over(&mut link, request, deadline).await {
            Ok(answer) => Ok(self.finish(origin, link, answer, deadline).await),
            Err(Lost::Unsent(_)) => Err(EgressError::Timeout(Phase::Connect)),
            Err(Lost::Failed(error)) => Err(error),
        }
    }

    async fn open_link(&self, url: &Url, deadline: &Deadline) -> Result<Link, EgressError> {
        let wire = self.wire_to(url, deadline).await?;
        let (sender, driver) = open(wire, deadline).await?;
        let now = Instant::now();
        Ok(Link { sender, opened: now, used: now, _driver: driver })
    }

    /// Reads the reply; the connection is kept where the reply ended as it should.
    async fn finish(
        &self,
        origin: String,
        mut link: Link,
        answer: Response<Incoming>,
        deadline: Deadline,
    ) -> PostResponse {
        let (head, incoming) = answer.into_parts();
        let (body, truncated) = beginning(BodyReader::of(incoming, deadline)).await;
        let ready = tokio::time::timeout(READY_WAIT, link.sender.ready());
        if !truncated && ready.await.is_ok_and(|ready| ready.is_ok()) {
            link.used = Instant::now();
            self.kept.put(origin, link);
        }
        PostResponse { status: head.status, headers: head.headers, body, truncated }
    }
}

/// Why there was no answer.
enum Lost {
    /// The request did not leave, and may be sent again.
    Unsent(Box<Request<Full<Bytes>>>),
    /// Anything else.
    Failed(EgressError),
}

async fn over(
    link: &mut Link,
    request: Request<Full<Bytes>>,
    deadline: Deadline,
) -> Result<Response<Incoming>, Lost> {
    let sent = deadline.during(Phase::Head, link.sender.try_send_request(request)).await;
    match sent.map_err(Lost::Failed)? {
        Ok(answer) => Ok(answer),
        Err(mut fault) => match fault.take_message() {
            Some(unsent) => Err(Lost::Unsent(Box::new(unsent))),
            None => Err(Lost::Failed(head_fault(fault.into_error()))),
        },
    }
}
