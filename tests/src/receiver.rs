//! Somebody who takes callbacks: it remembers every post as it came and answers as it is told. And
//! somebody who takes them and never answers. They check nothing by themselves.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait::eventually;
use crate::wire::{Listening, Reader, Request, response};

/// No more calls come, where none came for so long.
const QUIET: Duration = Duration::from_millis(700);

#[derive(Default)]
struct Inner {
    seen: Mutex<Vec<(Instant, Request)>>,
    answers: Mutex<VecDeque<u16>>,
}

/// The receiver; it stops when dropped.
pub struct Receiver {
    listening: Listening,
    inner: Arc<Inner>,
}

impl Receiver {
    /// Starts one that answers 200.
    pub async fn start() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts one at an address where nobody listened so far.
    pub async fn at(address: SocketAddr) -> Self {
        let inner = Arc::new(Inner::default());
        let serving = Arc::clone(&inner);
        let serve = move |stream| serve(stream, Arc::clone(&serving));
        Self { listening: Listening::at(address, serve).await, inner }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.listening.url(path)
    }

    /// The next posts are answered with these statuses, all later ones with 200.
    pub fn answers(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap().extend(statuses);
    }

    /// Every post, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.arrivals().into_iter().map(|(_, post)| post).collect()
    }

    /// Every post with when it came, in order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<(Instant, Request)> {
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

async fn serve(mut stream: TcpStream, inner: Arc<Inner>) {
    let mut reader = Reader::default();
    while let Ok(Some(request)) = reader.next(&mut stream).await {
        let status = inner.answers.lock().unwrap().pop_front().unwrap_or(200);
        inner.seen.lock().unwrap().push((Instant::now(), request));
        if stream.write_all(&response(status, &[], b"")).await.is_err() {
            return;
        }
    }
}

/// Servers at every address of this machine that take calls and never answer. They stop when dropped.
pub struct Hanging {
    listening: Listening,
    calls: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
}

impl Hanging {
    /// Starts them.
    pub async fn start() -> Self {
        let (calls, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (came, went) = (Arc::clone(&calls), Arc::clone(&given_up));
        let serve = move |mut stream: TcpStream| {
            came.fetch_add(1, Ordering::Relaxed);
            let went = Arc::clone(&went);
            async move {
                let mut buffer = [0; 4_096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                went.fetch_add(1, Ordering::Relaxed);
            }
        };
        let listening = Listening::at((Ipv4Addr::UNSPECIFIED, 0).into(), serve).await;
        Self { listening, calls, given_up }
    }

    /// The address of the server with this place, up to 200.
    #[must_use]
    pub fn url(&self, place: u64) -> String {
        format!("http://127.0.0.{}:{}/dlr", place + 10, self.listening.address().port())
    }

    /// Calls that came.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls whose caller gave up.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Waits until all calls that may hang do.
    pub async fn is_full(&self) {
        let (mut before, mut since) = (0, Instant::now());
        eventually("hanging calls", async || {
            let now = self.calls();
            if now != before {
                (before, since) = (now, Instant::now());
            }
            (now > 0 && since.elapsed() > QUIET).then_some(())
        })
        .await;
    }
}
