//! Connections: accepting, TLS, HTTP/1 and /2, and closing those that are silent, that drip, or
//! that do not read what they asked for. Knows no route.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use waypost_planted::{Bug, is_planted};

use crate::client::Peer;
use crate::unread::Unread;

/// Where the certificate in force comes from, asked for each new connection.
pub type TlsSource = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// The largest request head, in bytes: also the buffer in which HTTP/1 reads and writes.
const MAX_HEAD_BYTES: usize = 16 * 1_024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// How much one HTTP/2 stream may send before it is read, in bytes.
const STREAM_WINDOW_BYTES: u32 = 128 * 1_024;
/// How much all streams of one connection may send together before they are read, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 1_024 * 1_024;
/// The largest piece in which replies are written: whoever takes none of them for a while does
/// not read.
const REPLY_PIECE_BYTES: usize = 64 * 1_024;
/// Rest after a failed accept: no file descriptors are left, and some may come back.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// What a connection that was asked to end may still take for it.
const FAREWELL: Duration = Duration::from_secs(1);
/// What requests in flight may take at the end: a synchronous call takes 40 s at most, its wait for
/// a status included.
const SHUTDOWN: Duration = Duration::from_secs(41);
/// Only where a bug is planted: what is never waited for.
const FOREVER: Duration = Duration::from_secs(86_400);

/// What connections are allowed.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// Connections at once; more wait unaccepted.
    pub connections: usize,
    /// How long a connection may go without progress while no request of it is being worked on:
    /// before its first request, between requests, within a head, and while a reply is not read.
    pub idle: Duration,
    /// How long a TLS handshake may take.
    pub tls_handshake: Duration,
    /// How long requests in flight may take at the end.
    pub shutdown: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            idle: Duration::from_secs(11),
            tls_handshake: Duration::from_secs(10),
            shutdown: SHUTDOWN,
        }
    }
}

/// Serves until it is cancelled; then lets what is in flight end, for a while.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsSource>,
    cancel: CancellationToken,
) {
    serve_within(listener, router, tls, cancel, ListenerLimits::default()).await;
}

/// As [`serve`], with other limits.
pub async fn serve_within(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsSource>,
    cancel: CancellationToken,
    limits: ListenerLimits,
) {
    let connections = TaskTracker::new();
    let give_up = CancellationToken::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let server = Server { router, tls, limits, cancel: cancel.clone(), give_up: give_up.clone() };
    let server = Arc::new(server);
    while let Some((stream, peer, place)) = accept(&listener, &places, &cancel).await {
        let server = Arc::clone(&server);
        connections.spawn(async move {
            server.attend(stream, peer).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if timeout(limits.shutdown, connections.wait()).await.is_err() {
        tracing::warn!("requests are still running; their connections are closed");
        give_up.cancel();
        connections.wait().await;
    }
}

/// The next connection; `None` once it is cancelled.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    cancel: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = tokio::select! {
        () = cancel.cancelled() => return None,
        place = Arc::clone(places).acquire_owned() => place.ok()?,
    };
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

struct Server {
    router: Router,
    tls: Option<TlsSource>,
    limits: ListenerLimits,
    cancel: CancellationToken,
    give_up: CancellationToken,
}

impl Server {
    async fn attend(&self, stream: TcpStream, peer: SocketAddr) {
        // Small replies wait for nothing; where it cannot be set, they are merely slower.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            self.converse(stream, peer).await;
            return;
        };
        let handshake = TlsAcceptor::from(tls()).accept(stream);
        match timeout(self.limits.tls_handshake, handshake).await {
            Ok(Ok(stream)) => self.converse(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn converse<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let idle = if is_planted(Bug::HeaderTimerOff) { FOREVER } else { self.limits.idle };
        let pulse = Arc::new(Pulse::new());
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            answer(self.router.clone(), request, Arc::clone(&pulse))
        });
        let builder = protocol(idle);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut ticks = interval((self.limits.idle / 8).min(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut farewell: Option<Instant> = None;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                    return;
                }
                () = self.give_up.cancelled() => return,
                () = self.cancel.cancelled(), if farewell.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    farewell = Some(Instant::now() + self.limits.shutdown);
                }
                _ = ticks.tick() => {
                    if !pulse.is_idle_for(idle) {
                        continue;
                    }
                    if farewell.is_some_and(|until| Instant::now() >= until) {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    let soon = Instant::now() + FAREWELL;
                    farewell = Some(farewell.map_or(soon, |until| until.min(soon)));
                }
            }
        }
    }
}

fn protocol(idle: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(REPLY_PIECE_BYTES)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    builder
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    pulse: Arc<Pulse>,
) -> Result<Response<Body>, Infallible> {
    // HTTP/1 ends a connection whose request was not read to its end; in HTTP/2 it goes on, and must
    // not count as alive for an answer that its client got by dawdling.
    let unread = (request.version() == Version::HTTP_2).then(Unread::default);
    let request = request.map(|body| match &unread {
        Some(unread) => Body::new(unread.watch(body)),
        None => Body::new(body),
    });
    let mut work = Work::begin(&pulse);
    let response = router.oneshot(request).await?;
    work.is_progress = unread.is_none_or(|unread| unread.is_over());
    let is_progress = work.is_progress;
    drop(work);
    Ok(response.map(|body| Body::new(Reply { body, rest: Bytes::new(), pulse, is_progress })))
}

/// Whether a connection gets anywhere.
struct Pulse {
    working: AtomicUsize,
    last: Mutex<Instant>,
}

impl Pulse {
    fn new() -> Self {
        Self { working: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }

    fn beat(&self) {
        *self.last.lock() = Instant::now();
    }

    fn is_idle_for(&self, span: Duration) -> bool {
        self.working.load(Ordering::Acquire) == 0 && self.last.lock().elapsed() >= span
    }
}

/// One request being worked on; what it waits for is our business, not the client's.
struct Work<'a> {
    pulse: &'a Pulse,
    /// Whether its end shows that the client gets anywhere.
    is_progress: bool,
}

impl<'a> Work<'a> {
    fn begin(pulse: &'a Pulse) -> Self {
        pulse.working.fetch_add(1, Ordering::AcqRel);
        Self { pulse, is_progress: true }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.is_progress {
            self.pulse.beat();
        }
        self.pulse.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A reply's body in small pieces, each of which shows that the client reads.
struct Reply {
    body: Body,
    rest: Bytes,
    pulse: Arc<Pulse>,
    is_progress: bool,
}

impl Reply {
    fn note_progress(&self) {
        if self.is_progress {
            self.pulse.beat();
        }
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                return Poll::Pending;
            };
            self.note_progress();
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        self.note_progress();
        let size = self.rest.len().min(REPLY_PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(inner.lower() + rest);
        hint
    }
}
