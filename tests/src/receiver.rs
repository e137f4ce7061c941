//! Somebody who takes callbacks: it remembers every post as it came and answers as it is told. It
//! checks nothing by itself.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::wait::eventually;
use crate::wire::{Reader, Request, response};

#[derive(Default)]
struct Inner {
    seen: Mutex<Vec<Request>>,
    answers: Mutex<VecDeque<u16>>,
}

/// The receiver; it stops when dropped.
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
    accepting: AbortHandle,
}

impl Receiver {
    /// Starts one that answers 200.
    pub async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("there is a free port"))
    }

    /// Starts one at an address where nobody listened so far.
    pub async fn at(address: SocketAddr) -> Self {
        Self::on(TcpListener::bind(address).await.expect("the address is still free"))
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let inner = Arc::new(Inner::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&inner))).abort_handle();
        Self { address, inner, accepting }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next posts are answered with these statuses, all later ones with 200.
    pub fn answers(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap().extend(statuses);
    }

    /// Every post, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// How many posts have come.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// The posts whose body is such, in order.
    #[must_use]
    pub fn such(&self, is_such: impl Fn(&Value) -> bool) -> Vec<Request> {
        self.seen().into_iter().filter(|post| is_such(&post.json())).collect()
    }

    /// The first post whose body is such, once it has come.
    pub async fn first(&self, what: &str, is_such: impl Fn(&Value) -> bool) -> Request {
        eventually(what, async || self.such(&is_such).into_iter().next()).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&inner)));
    }
}

async fn serve(mut stream: TcpStream, inner: Arc<Inner>) {
    let mut reader = Reader::default();
    while let Ok(Some(request)) = reader.next(&mut stream).await {
        let status = inner.answers.lock().unwrap().pop_front().unwrap_or(200);
        inner.seen.lock().unwrap().push(request);
        if stream.write_all(&response(status, &[], b"")).await.is_err() {
            return;
        }
    }
}
