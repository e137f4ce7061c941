//! Reading request bodies: limits kept while reading, slow senders cut off, and a budget for the
//! memory of large JSON bodies. Knows no format.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, BodyStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use waypost_domain::{ErrorKind, Failure};
use waypost_planted::{Bug, is_planted};

/// Bodies up to this size are buffered without asking the budget, in bytes: as many as there may be
/// requests at once take no more than a quarter of it.
const FREE_BYTES: u64 = 16 * 1_024;
/// Bodies beyond this size must come faster and are decoded apart, in bytes.
const LARGE_BYTES: u64 = 256 * 1_024;
/// How many bytes of memory one byte of a large JSON body costs: itself, and what is decoded
/// from it.
const COST_FACTOR: u64 = 2;
/// The budget counts in these units, in bytes.
const UNIT_BYTES: u64 = 1_024;
/// How long a refused request's body is still read and thrown away, so that a client that writes
/// before it reads gets to see the refusal.
const LINGER: Duration = Duration::from_secs(3);
/// How much of it, in bytes.
const LINGER_BYTES: u64 = 256 * 1_024 * 1_024;

/// How slowly a body may come.
#[derive(Clone, Copy, Debug)]
pub struct BodyPace {
    /// The span that is looked at; only waiting for the client counts.
    pub window: Duration,
    /// The least number of bytes in it.
    pub floor_bytes: u64,
    /// The least number of bytes in it for a large body that holds a part of the memory budget, or
    /// a place for which others wait.
    pub budgeted_floor_bytes: u64,
}

impl Default for BodyPace {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(8),
            floor_bytes: 16 * 1_024,
            budgeted_floor_bytes: 256 * 1_024,
        }
    }
}

/// Why a body was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// It is compressed, or encoded otherwise.
    Encoded,
    /// It is longer than allowed.
    TooLarge {
        /// What is allowed, in bytes.
        limit_bytes: u64,
    },
    /// It came too slowly.
    Slow,
    /// The connection broke.
    Broken,
    /// There is no memory for it now.
    NoMemory,
}

impl BodyFault {
    /// Whether the client did not send its body properly: nothing more is expected from it.
    pub(crate) const fn hangs_up(&self) -> bool {
        matches!(self, Self::Slow | Self::Broken)
    }

    /// The failure to answer with. Slow and broken bodies have no reader who waits for an answer.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Encoded => Failure::new(
                ErrorKind::UnsupportedContentType,
                "The header Content-Encoding must not be there: bodies are taken as they are.",
            ),
            Self::TooLarge { limit_bytes } => Failure::new(
                ErrorKind::BodyTooLarge,
                format!("The request's body may have at most {limit_bytes} bytes."),
            ),
            Self::Slow => Failure::new(ErrorKind::InvalidBody, "The body came too slowly."),
            Self::Broken => Failure::new(ErrorKind::InvalidBody, "The body ended too early."),
            Self::NoMemory => {
                let message = "Too many large requests are being read; try again in a moment.";
                Failure::new(ErrorKind::Unavailable, message).retry_after_s(2)
            }
        }
    }
}

fn is_identity(encoding: &HeaderValue) -> bool {
    encoding.as_bytes().eq_ignore_ascii_case(b"identity")
}

/// The declared length of a body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body being read.
pub(crate) struct BodyReader {
    stream: BodyStream<Body>,
    declared_bytes: Option<u64>,
    limit_bytes: u64,
    read_bytes: u64,
    pace: BodyPace,
    floor_bytes: u64,
    /// Whether others wait for what it holds.
    is_hurried: bool,
    waited: Duration,
    window_bytes: u64,
}

impl BodyReader {
    /// Begins to read. An encoding, or a declared length beyond the limit, is refused before anything
    /// is read.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: Body,
        limit_bytes: u64,
        pace: BodyPace,
    ) -> Result<Self, BodyFault> {
        let limit_bytes = if is_planted(Bug::BodiesUnbounded) { u64::MAX } else { limit_bytes };
        if !headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
            return Err(BodyFault::Encoded);
        }
        let declared_bytes = content_length(headers);
        if declared_bytes.is_some_and(|bytes| bytes > limit_bytes) {
            return Err(BodyFault::TooLarge { limit_bytes });
        }
        Ok(Self {
            stream: BodyStream::new(body),
            declared_bytes,
            limit_bytes,
            read_bytes: 0,
            pace,
            floor_bytes: pace.floor_bytes,
            is_hurried: false,
            waited: Duration::ZERO,
            window_bytes: 0,
        })
    }

    /// One that holds a place for which others wait: beyond [`LARGE_BYTES`] it must come as fast as
    /// what holds a part of the memory budget.
    pub(crate) fn hurried(self) -> Self {
        Self { is_hurried: true, ..self }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyFault> {
        loop {
            let left = self.pace.window.saturating_sub(self.waited);
            let began = Instant::now();
            let frame = match timeout(left, self.stream.next()).await {
                Ok(Some(frame)) => frame.map_err(|_| BodyFault::Broken)?,
                Ok(None) => return Ok(None),
                Err(_) => {
                    self.close_window()?;
                    continue;
                }
            };
            self.waited += began.elapsed();
            let Ok(data) = frame.into_data() else { continue };
            let bytes = data.len() as u64;
            self.window_bytes += bytes;
            self.read_bytes += bytes;
            if self.read_bytes > self.limit_bytes {
                return Err(BodyFault::TooLarge { limit_bytes: self.limit_bytes });
            }
            if self.waited >= self.pace.window {
                self.close_window()?;
            }
            return Ok(Some(data));
        }
    }

    fn close_window(&mut self) -> Result<(), BodyFault> {
        let size = self.declared_bytes.unwrap_or(self.read_bytes);
        let hurries = self.is_hurried && size > LARGE_BYTES;
        let floor_bytes = if hurries { self.pace.budgeted_floor_bytes } else { self.floor_bytes };
        if self.window_bytes < floor_bytes {
            return Err(BodyFault::Slow);
        }
        self.window_bytes = 0;
        self.waited = Duration::ZERO;
        Ok(())
    }

    /// Reads the whole body. What is larger than [`FREE_BYTES`] waits for its share of the
    /// memory budget and holds it as long as the share lives.
    pub(crate) async fn read_whole(
        mut self,
        memory: &BodyMemory,
    ) -> Result<(Vec<u8>, MemoryShare), BodyFault> {
        let mut share = memory.share();
        if let Some(declared) = self.declared_bytes {
            self.reserve(&mut share, declared).await?;
        }
        let known = usize::try_from(self.declared_bytes.unwrap_or(0)).unwrap_or(0);
        let mut whole = Vec::with_capacity(known);
        while let Some(data) = self.next().await? {
            let needed = (whole.len() + data.len()) as u64;
            if needed > share.covered_bytes() {
                // Twice as much at a time, as the buffer grows too.
                self.reserve(&mut share, needed.saturating_mul(2).min(self.limit_bytes)).await?;
            }
            whole.extend_from_slice(&data);
        }
        Ok((whole, share))
    }

    async fn reserve(&mut self, share: &mut MemoryShare, bytes: u64) -> Result<(), BodyFault> {
        share.cover(bytes).await?;
        if bytes > LARGE_BYTES {
            self.floor_bytes = self.pace.budgeted_floor_bytes;
        }
        Ok(())
    }
}

/// The memory that large JSON bodies may take together.
pub(crate) struct BodyMemory {
    units: Arc<Semaphore>,
    wait: Duration,
}

impl BodyMemory {
    /// A budget of so many bytes; whoever finds it used up waits so long.
    pub(crate) fn new(total_bytes: u64, wait: Duration) -> Self {
        let units = usize::try_from(total_bytes / UNIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), wait }
    }

    fn share(&self) -> MemoryShare {
        MemoryShare { units: Arc::clone(&self.units), wait: self.wait, held: None }
    }
}

/// One body's part of the budget, given back when it is dropped.
pub(crate) struct MemoryShare {
    units: Arc<Semaphore>,
    wait: Duration,
    held: Option<OwnedSemaphorePermit>,
}

impl MemoryShare {
    fn held_units(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.num_permits() as u64)
    }

    fn covered_bytes(&self) -> u64 {
        (self.held_units() * UNIT_BYTES / COST_FACTOR).max(FREE_BYTES)
    }

    async fn cover(&mut self, bytes: u64) -> Result<(), BodyFault> {
        if bytes <= self.covered_bytes() {
            return Ok(());
        }
        let wanted = bytes.saturating_mul(COST_FACTOR).div_ceil(UNIT_BYTES);
        let missing = u32::try_from(wanted.saturating_sub(self.held_units()))
            .map_err(|_| BodyFault::NoMemory)?;
        let more = timeout(self.wait, Arc::clone(&self.units).acquire_many_owned(missing));
        let more = more.await.map_err(|_| BodyFault::NoMemory)?.map_err(|_| BodyFault::NoMemory)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            held @ None => *held = Some(more),
        }
        Ok(())
    }

    /// Whether it belongs to a large body.
    pub(crate) fn is_large(&self) -> bool {
        self.covered_bytes() > LARGE_BYTES
    }

    /// Gives back what a smaller need leaves over: the body is gone, what was decoded stays.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let needed = bytes.div_ceil(UNIT_BYTES);
        let spare = self.held_units().saturating_sub(needed);
        if let Some(held) = &mut self.held {
            drop(held.split(usize::try_from(spare).unwrap_or(usize::MAX)));
        }
    }
}

/// Runs what takes long on a thread that may take long.
pub(crate) async fn off_thread<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if !long {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "reading a request ended unexpectedly");
        Failure::new(ErrorKind::Unavailable, "The request could not be read.")
    })
}

/// A request's body that is read to its end, within bounds, after nobody wants it any more: a
/// client that only reads after it has written everything still gets the refusal. For HTTP/1.
pub(crate) struct Lingering {
    body: Option<Body>,
}

impl Lingering {
    /// Wraps a body.
    pub(crate) fn new(body: Body) -> Self {
        Self { body: Some(body) }
    }
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(LINGER, discard(body)));
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > LINGER_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    /// A pace that tests can wait for.
    const PACE: BodyPace = BodyPace {
        window: Duration::from_millis(200),
        floor_bytes: 4_096,
        budgeted_floor_bytes: 4_096,
    };

    fn reader(body: Body, declared: Option<u64>, limit_bytes: u64) -> BodyReader {
        let mut headers = HeaderMap::new();
        if let Some(declared) = declared {
            headers.insert(CONTENT_LENGTH, declared.into());
        }
        BodyReader::new(&headers, body, limit_bytes, PACE).unwrap()
    }

    fn memory(total_bytes: u64) -> BodyMemory {
        BodyMemory::new(total_bytes, Duration::from_millis(20))
    }

    /// How reading ends, which it must long before this gives up.
    async fn fault_of(reader: BodyReader) -> Option<BodyFault> {
        let memory = memory(0);
        let read = timeout(Duration::from_secs(20), reader.read_whole(&memory));
        read.await.expect("it ends").err()
    }

    /// A body of `chunks` pieces of `size` bytes, one every `every`.
    fn dripping(chunks: usize, size: usize, every: Duration) -> Body {
        let pieces = stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(every).await;
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; size]))
        });
        Body::from_stream(pieces)
    }

    #[tokio::test]
    async fn a_declared_length_beyond_the_limit_is_refused_unread() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, 11.into());
        let refused = BodyReader::new(&headers, Body::empty(), 10, BodyPace::default()).err();
        assert_eq!(refused, Some(BodyFault::TooLarge { limit_bytes: 10 }));
    }

    #[tokio::test]
    async fn an_undeclared_length_is_kept_within_the_limit() {
        let body = || dripping(3, 4, Duration::ZERO);
        let (whole, _) = reader(body(), None, 12).read_whole(&memory(0)).await.unwrap();
        assert_eq!(whole.len(), 12);
        let refused = reader(body(), None, 11).read_whole(&memory(0)).await.err();
        assert_eq!(refused, Some(BodyFault::TooLarge { limit_bytes: 11 }));
    }

    #[tokio::test]
    async fn dripping_and_silent_bodies_are_cut_off() {
        let drip = dripping(usize::MAX, 1, Duration::from_millis(10));
        let refused = fault_of(reader(drip, None, 1 << 20)).await;
        assert_eq!(refused, Some(BodyFault::Slow));
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let refused = fault_of(reader(silent, None, 1 << 20)).await;
        assert_eq!(refused, Some(BodyFault::Slow));
        let steady = dripping(100, 8_192, Duration::from_millis(5));
        let (whole, _) = reader(steady, None, 1 << 20).read_whole(&memory(4 << 20)).await.unwrap();
        assert_eq!(whole.len(), 100 * 8_192);
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_a_place_must_come_faster_once_it_is_large() {
        let pace = BodyPace { budgeted_floor_bytes: 1 << 20, ..PACE };
        let slow = |pieces| {
            let body = dripping(pieces, 8_192, Duration::from_millis(50));
            BodyReader { pace, ..reader(body, None, 1 << 30) }
        };
        let end = async |mut reader: BodyReader| loop {
            match reader.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(fault) => return Some(fault),
            }
        };
        assert_eq!(end(slow(30).hurried()).await, None);
        assert_eq!(end(slow(100)).await, None);
        assert_eq!(end(slow(100).hurried()).await, Some(BodyFault::Slow));
        let declared = BodyReader { declared_bytes: Some(1 << 20), ..slow(30) };
        assert_eq!(end(declared.hurried()).await, Some(BodyFault::Slow));
    }

    #[tokio::test]
    async fn large_bodies_share_a_budget_and_wait_for_it_in_vain_only_so_long() {
        let memory = memory(4 << 20);
        let big = || Body::from(vec![b'x'; 2 << 20]);
        let read = |body| reader(body, Some(2 << 20), 8 << 20).read_whole(&memory);
        let (_, first) = read(big()).await.unwrap();
        assert_eq!(read(big()).await.err(), Some(BodyFault::NoMemory));
        let undeclared = reader(dripping(2, 1 << 20, Duration::ZERO), None, 8 << 20);
        assert_eq!(undeclared.read_whole(&memory).await.err(), Some(BodyFault::NoMemory));
        let small = reader(Body::from("x"), Some(1), 8 << 20).read_whole(&memory).await;
        assert!(small.is_ok(), "small bodies need no share");
        drop(first);
        let (_, mut second) = read(big()).await.unwrap();
        second.shrink_to(1 << 20);
        assert_eq!(memory.units.available_permits(), 3 << 10);
        drop(second);
        assert_eq!(memory.units.available_permits(), 4 << 10);
    }

    #[tokio::test]
    async fn an_unwanted_body_is_read_away() {
        let (seen, mut all_read) = tokio::sync::mpsc::channel::<()>(1);
        let pieces = stream::iter(0..5).then(move |_| {
            let _held = seen.clone();
            async { Ok::<_, Infallible>(Bytes::from_static(b"piece")) }
        });
        drop(Lingering::new(Body::from_stream(pieces)));
        assert_eq!(all_read.recv().await, None, "the stream was read to its end and dropped");
    }
}
