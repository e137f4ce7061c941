//! Listens: HTTP/1 and HTTP/2 without TLS, a bounded number of connections, a time limit for
//! headers, and the fault that cuts a connection. What is answered is the router's matter.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::Sandbox;
use crate::call::CutConnection;

/// Connections that are open at the same time; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 4_096;
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open answers may take after the end was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// After an accept failed (no file descriptors, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Sandbox {
    /// Serves [`Sandbox::router`] on `listener` until `cancel`.
    ///
    /// # Errors
    /// None so far; the signature leaves room for a listener that breaks for good.
    pub async fn serve(&self, listener: TcpListener, cancel: CancellationToken) -> io::Result<()> {
        let router = self.router();
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some((stream, place)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let connection = serve_connection(stream, router.clone(), graceful.watcher());
            tokio::spawn(async move {
                connection.await;
                drop(place);
            });
        }
        drop(listener);
        // Event streams never end by themselves, so the wait is short.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await);
        Ok(())
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    // Answers are small: waiting to fill packets only delays them.
    drop(stream.set_nodelay(true));
    Some((stream, place))
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let cut = CancellationToken::new();
    let with_reset = Arc::new(AtomicBool::new(false));
    let service = {
        let (cut, with_reset) = (cut.clone(), Arc::clone(&with_reset));
        hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let (router, cut) = (router.clone(), cut.clone());
            let with_reset = Arc::clone(&with_reset);
            async move {
                let response = router.oneshot(request.map(Body::new)).await;
                let is_cut = response
                    .as_ref()
                    .is_ok_and(|response| response.extensions().get::<CutConnection>().is_some());
                if is_cut {
                    with_reset.store(true, Ordering::Release);
                    cut.cancel();
                    std::future::pending::<()>().await;
                }
                response
            }
        })
    };
    let io = TokioIo::new(Resettable { stream, with_reset });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let connection = watcher.watch(builder.serve_connection(io, service).into_owned());
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        },
        () = cut.cancelled() => {}
    }
}

/// A stream that is reset rather than closed if so asked.
struct Resettable {
    stream: TcpStream,
    with_reset: Arc<AtomicBool>,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.with_reset.load(Ordering::Acquire) {
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
