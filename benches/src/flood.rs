//! A generator whose requests come by the clock, whatever became of those before.
//!
//! A request that finds no connection free waits for one, as it would at a caller, and the time it waits counts. All
//! runs use the same connections in turns, so that they differ in nothing but the load. One thread and raw sockets:
//! it shall cost as little as it can.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::raw::{self, Reply};
use crate::tally::Tally;
use crate::verdicts::{self, Verdict};

/// Requests that wait for a connection; beyond, they are given up.
const WAITING_MAX: usize = 100_000;
/// How often it is looked which requests have come.
const TICK: Duration = Duration::from_millis(1);
/// How long answers are waited for when no more requests come.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 2_048;

/// Open connections and what is sent over them. Lives in a [`tokio::task::LocalSet`].
pub(crate) struct Flood(Rc<RefCell<State>>);

struct State {
    address: SocketAddr,
    requests: Vec<Bytes>,
    next_request: usize,
    lines: Vec<Line>,
    /// Connections with nothing under way; the one that rested longest is next.
    free: VecDeque<usize>,
    /// When those came that wait for a connection.
    waiting: VecDeque<Instant>,
    began: Instant,
    tally: Tally,
    accepted: Vec<u128>,
    /// Requests of all runs that got no answer.
    unanswered: u64,
}

/// A connection.
#[derive(Default)]
struct Line {
    stream: Option<Rc<TcpStream>>,
    /// When the request came that is under way.
    arrival: Option<Instant>,
}

impl Flood {
    /// Opens so many connections.
    ///
    /// # Errors
    /// When the gateway does not take them.
    pub(crate) async fn open(
        address: SocketAddr,
        connections: usize,
        requests: Vec<Bytes>,
    ) -> Result<Self> {
        let state = Rc::new(RefCell::new(State {
            address,
            requests,
            next_request: 0,
            lines: (0..connections).map(|_| Line::default()).collect(),
            free: VecDeque::new(),
            waiting: VecDeque::new(),
            began: Instant::now(),
            tally: Tally::default(),
            accepted: Vec::new(),
            unanswered: 0,
        }));
        for place in 0..connections {
            let stream = connect(address).await.context("connecting; see also ulimit -n")?;
            state.borrow_mut().opened(place, &stream);
            spawn_local(serve(Rc::clone(&state), place, stream));
        }
        Ok(Self(state))
    }

    /// Lets so many requests come each second, evenly, for a while; waits for the answers.
    pub(crate) async fn run(&self, rate_per_s: f64, span: Duration) -> Tally {
        let began = self.0.borrow_mut().begin();
        let mut come = 0.0;
        loop {
            let now = Instant::now();
            let since = now.duration_since(began).min(span);
            while come < since.as_secs_f64() * rate_per_s {
                come += 1.0;
                self.0.borrow_mut().come(now);
            }
            if since == span {
                break;
            }
            sleep(TICK).await;
        }
        let ended = Instant::now();
        while self.0.borrow().expects_answers() && ended.elapsed() < ANSWERED_WITHIN {
            sleep(TICK).await;
        }
        self.0.borrow_mut().end()
    }

    /// The ids of all messages that were accepted in any run, and how many requests were never answered.
    pub(crate) fn told(&self) -> (Vec<u128>, u64) {
        let state = self.0.borrow();
        (state.accepted.clone(), state.unanswered)
    }
}

impl State {
    fn begin(&mut self) -> Instant {
        self.began = Instant::now();
        self.tally = Tally::default();
        self.began
    }

    /// What still has no answer never gets one, unless it comes late.
    fn end(&mut self) -> Tally {
        let mut tally = std::mem::take(&mut self.tally);
        tally.never_sent += self.waiting.len() as u64;
        self.waiting.clear();
        let open = self.lines.iter_mut().filter_map(|line| line.arrival.take());
        tally.unanswered += open.count() as u64;
        self.unanswered += tally.unanswered;
        tally
    }

    fn expects_answers(&self) -> bool {
        let is_open = |line: &Line| line.stream.is_some();
        let asks = !self.waiting.is_empty() && self.lines.iter().any(is_open);
        asks || self.lines.iter().any(|line| line.arrival.is_some())
    }

    fn come(&mut self, now: Instant) {
        self.tally.offered += 1;
        if self.waiting.len() >= WAITING_MAX {
            self.tally.never_sent += 1;
            return;
        }
        self.waiting.push_back(now);
        self.send();
        self.tally.waited += u64::from(!self.waiting.is_empty());
    }

    /// Sends what waits as long as there are free connections.
    fn send(&mut self) {
        while let Some(arrival) = self.waiting.front().copied() {
            let Some(place) = self.free.pop_front() else { return };
            let request = &self.requests[self.next_request % self.requests.len()];
            let written = self.lines[place].stream.as_ref().map(|stream| stream.try_write(request));
            // A connection that does not take it is broken; whoever reads from it learns that too.
            if matches!(written, Some(Ok(bytes)) if bytes == request.len()) {
                self.waiting.pop_front();
                self.lines[place].arrival = Some(arrival);
                self.next_request += 1;
                self.tally.sent += 1;
            }
        }
    }

    fn opened(&mut self, place: usize, stream: &Rc<TcpStream>) {
        self.lines[place].stream = Some(Rc::clone(stream));
        self.free.push_back(place);
        self.send();
    }

    fn answered(&mut self, place: usize, reply: &Reply<'_>) {
        let now = Instant::now();
        let verdict = verdicts::of(reply);
        if let Some(arrival) = self.lines[place].arrival.take() {
            let took = now.duration_since(arrival);
            self.tally.note(verdict, reply, took, now.duration_since(self.began));
        } else {
            // It comes after the end of the run in which it was counted as missing.
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        if let Verdict::Accepted(id) = verdict {
            self.accepted.push(id);
        }
        self.free.push_back(place);
        self.send();
    }

    fn closed(&mut self, place: usize) {
        self.free.retain(|free| *free != place);
        let line = std::mem::take(&mut self.lines[place]);
        if line.arrival.is_some() {
            self.tally.unanswered += 1;
        }
    }
}

async fn connect(address: SocketAddr) -> Result<Rc<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Rc::new(stream))
}

/// Reads answers from a connection; opens another one when it is closed, as long as somebody listens.
async fn serve(state: Rc<RefCell<State>>, place: usize, mut stream: Rc<TcpStream>) {
    loop {
        // How it ended shows in the request that was under way.
        drop(read_answers(&state, place, &stream).await);
        state.borrow_mut().closed(place);
        let address = state.borrow().address;
        let Ok(another) = connect(address).await else { return };
        state.borrow_mut().opened(place, &another);
        stream = another;
    }
}

async fn read_answers(state: &RefCell<State>, place: usize, stream: &TcpStream) -> Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        stream.readable().await?;
        buffer.reserve(READ_BYTES);
        match stream.try_read_buf(&mut buffer) {
            Ok(0) => bail!("closed"),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        while let Some(reply) = raw::reply(&buffer)? {
            state.borrow_mut().answered(place, &reply);
            let length = reply.length;
            buffer.advance(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::{LocalSet, spawn_local};

    use super::Flood;
    use crate::tally::Tally;

    const REQUEST: &str = "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
    const ID: &str = "0b8f1d52-7c0e-7a57-9a3c-2f1d5e6a7bc0";
    const CONNECTIONS: usize = 4;
    const SPAN: Duration = Duration::from_millis(200);

    #[derive(Clone, Copy)]
    enum Server {
        Accepts,
        Refuses,
        Silent,
        /// Closes each connection when something comes.
        Closes,
    }

    async fn answer(mut stream: TcpStream, server: Server) {
        let mut buffer = [0; REQUEST.len()];
        while stream.read_exact(&mut buffer).await.is_ok() {
            let (status, body) = match server {
                Server::Silent => pending().await,
                Server::Closes => return,
                Server::Accepts => {
                    ("200 OK", format!(r#"{{"response":[{{"code":"1001","transid":"{ID}"}}]}}"#))
                }
                Server::Refuses => {
                    ("503 No\r\nretry-after: 1", r#"{"response":{"code":"7006"}}"#.to_owned())
                }
            };
            let length = body.len();
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    }

    /// What comes of a run against such a server, and how many messages were accepted.
    async fn run(server: Server, rate_per_s: f64) -> (Tally, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        LocalSet::new()
            .run_until(async {
                spawn_local(async move {
                    loop {
                        spawn_local(answer(listener.accept().await.unwrap().0, server));
                    }
                });
                let requests = vec![Bytes::from_static(REQUEST.as_bytes())];
                let flood = Flood::open(address, CONNECTIONS, requests).await.unwrap();
                let tally = flood.run(rate_per_s, SPAN).await;
                (tally, flood.told().0.len())
            })
            .await
    }

    /// Every request that came must be in one of the counts.
    fn must_add_up(tally: &Tally) {
        let answered = (tally.accepted_ms.len() + tally.refused_ms.len()) as u64 + tally.wrong;
        assert_eq!(tally.sent, answered + tally.unanswered, "{}", tally.line());
        assert_eq!(tally.offered, tally.sent + tally.never_sent, "{}", tally.line());
    }

    #[tokio::test]
    async fn offers_by_the_clock_and_counts_every_answer() {
        for (server, accepts) in [(Server::Accepts, true), (Server::Refuses, false)] {
            let (tally, ids) = run(server, 1_000.0).await;
            must_add_up(&tally);
            assert_eq!(tally.offered, 200);
            let expected = if accepts { (200, 0) } else { (0, 200) };
            assert_eq!((tally.accepted_ms.len(), tally.refused_ms.len()), expected);
            assert_eq!(ids, tally.accepted_ms.len());
        }
    }

    #[tokio::test]
    async fn offers_as_much_to_a_server_that_is_silent() {
        let (tally, ids) = run(Server::Silent, 1_000.0).await;
        must_add_up(&tally);
        assert_eq!((tally.offered, tally.sent, ids), (200, CONNECTIONS as u64, 0));
        assert_eq!((tally.never_sent, tally.unanswered), (196, CONNECTIONS as u64));
    }

    #[tokio::test]
    async fn counts_what_a_closed_connection_leaves_unanswered() {
        let (tally, _) = run(Server::Closes, 100.0).await;
        must_add_up(&tally);
        assert_eq!((tally.offered, tally.unanswered), (20, 20));
    }
}
