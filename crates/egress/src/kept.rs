//! Connections that are kept open for the next callback to the same scheme, host and port. Each
//! leads to an address that was checked when it was opened; which URL may be called over it is
//! not decided here.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use parking_lot::Mutex;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    EgressError, Phase,
    connection::{Wire, head_fault, open},
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
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    opened: Instant,
    used: Instant,
    _driver: JoinSet<()>,
}

/// Why there was no answer.
pub(crate) enum Lost {
    /// The request did not leave, and may be sent again.
    Unsent(Box<Request<Full<Bytes>>>),
    /// Anything else.
    Failed(EgressError),
}

impl Link {
    /// Begins to speak HTTP over a connection that was just opened.
    pub(crate) async fn over(
        wire: Box<dyn Wire>,
        deadline: &Deadline,
    ) -> Result<Self, EgressError> {
        let (sender, driver) = open(wire, deadline).await?;
        let now = Instant::now();
        Ok(Self { sender, opened: now, used: now, _driver: driver })
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: &Deadline,
    ) -> Result<Response<Incoming>, Lost> {
        let sent = deadline.during(Phase::Head, self.sender.try_send_request(request)).await;
        sent.map_err(Lost::Failed)?.map_err(|mut fault| match fault.take_message() {
            Some(unsent) => Lost::Unsent(Box::new(unsent)),
            None => Lost::Failed(head_fault(fault.into_error())),
        })
    }

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
    /// The idle connection to `origin` that was used last.
    pub(crate) fn take(&self, origin: &str) -> Option<Link> {
        let mut idle = self.0.lock();
        let links = idle.get_mut(origin)?;
        let fit = std::iter::from_fn(|| links.pop()).find(Link::is_fit);
        if links.is_empty() {
            idle.remove(origin);
        }
        fit
    }

    /// Keeps a connection whose last answer was read to its end, if it stays open.
    pub(crate) async fn keep(&self, origin: String, mut link: Link) {
        let ready = tokio::time::timeout(READY_WAIT, link.sender.ready());
        if ready.await.is_ok_and(|ready| ready.is_ok()) {
            link.used = Instant::now();
            self.put(origin, link);
        }
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
