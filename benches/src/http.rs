//! One HTTP/1.1 connection to a server on this machine.
//!
//! Neither pools nor retries: a benchmark that needs either measures something else.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A body that is sent.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// A body that is in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// A body of pieces that are in memory: a large one is sent without being copied together.
pub(crate) fn pieces(pieces: impl Into<VecDeque<Bytes>>) -> Body {
    Pieces(pieces.into()).boxed()
}

struct Pieces(VecDeque<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // Told, so that the request has a length, as what clients send that have the whole file.
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// A request that can be sent any number of times.
#[derive(Clone)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// Header names and values.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub(crate) body: Bytes,
}

impl Call {
    /// A POST of JSON.
    pub(crate) fn post_json(path: &str, credential: (&'static str, &str), body: &Value) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                (credential.0, credential.1.to_owned()),
            ],
            body: Bytes::from(body.to_string()),
        }
    }
}

/// An answer, read to its end.
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Whether it says when to come back.
    pub(crate) says_when: bool,
    /// The whole body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON of a 2xx answer.
    ///
    /// # Errors
    /// When the status is another or the body is no JSON; shows the body.
    pub(crate) fn json(&self) -> Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("answered {}: {}", self.status, self.excerpt());
        }
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.excerpt()))
    }

    /// The beginning of the body, to be shown.
    pub(crate) fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(300)]).into_owned()
    }
}

/// An open connection.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Body>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // How it ended shows in the call that was on its way.
            drop(connection.await);
        });
        Ok(Self { address, sender })
    }

    /// Sends `call` and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn call(&mut self, call: &Call) -> Result<Answer> {
        self.send(call, full(call.body.clone())).await
    }

    /// Sends `call` with another body than its own.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn send(&mut self, call: &Call, body: Body) -> Result<Answer> {
        let response = self.respond(call, body).await?;
        let status = response.status().as_u16();
        let says_when = response.headers().contains_key(hyper::header::RETRY_AFTER);
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, says_when, body })
    }

    /// The same, but of the answer's body only the first piece is kept: putting a large one together would be work
    /// that no server is to be blamed for.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn skim(&mut self, call: &Call, body: Body) -> Result<Answer> {
        let response = self.respond(call, body).await?;
        let status = response.status().as_u16();
        let says_when = response.headers().contains_key(hyper::header::RETRY_AFTER);
        let mut incoming = response.into_body();
        let mut first = Bytes::new();
        while let Some(frame) = incoming.frame().await {
            if let (true, Ok(data)) = (first.is_empty(), frame?.into_data()) {
                first = data;
            }
        }
        Ok(Answer { status, says_when, body: first })
    }

    async fn respond(&mut self, call: &Call, body: Body) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(call.method.clone()).uri(&call.path);
        request = request.header("host", self.address.to_string());
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        self.sender.ready().await?;
        Ok(self.sender.send_request(request.body(body)?).await?)
    }
}

/// One call on a connection of its own.
///
/// # Errors
/// When it cannot connect or the connection breaks.
pub(crate) async fn once(address: SocketAddr, call: &Call) -> Result<Answer> {
    Connection::open(address).await?.call(call).await
}

/// A GET on a connection of its own.
///
/// # Errors
/// When it cannot connect or the connection breaks.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    let call = Call {
        method: Method::GET,
        path: path.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
    };
    once(address, &call).await
}
