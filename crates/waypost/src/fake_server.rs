//! A server for tests of the client commands: it answers what it was told to and keeps what it was
//! asked. Real sockets, no rules of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::generate_simple_self_signed;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use serde_json::Value;
use tokio::net::TcpListener;

/// The address of a server whose certificate nobody trusts.
pub(crate) fn untrusted() -> String {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    let config = Arc::new(config.unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // It ends when the client has seen the certificate.
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            let _ = server.complete_io(&mut stream);
        }
    });
    format!("https://{address}")
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    /// `POST /path?query`.
    pub(crate) line: String,
    /// The bearer token; empty without one.
    pub(crate) bearer: String,
    /// The content type; empty without one.
    pub(crate) content_type: String,
    /// The body as text.
    pub(crate) body: String,
}

type Script = Vec<(String, u16, Value)>;

/// A running server.
pub(crate) struct FakeServer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl FakeServer {
    /// Starts one that answers each `METHOD /path` as told: several answers to the same one after
    /// the other, the last for ever, and 404 to everything else. A string is sent as it is.
    pub(crate) async fn start(script: &[(&str, u16, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let own =
            |(line, status, body): &(&str, u16, Value)| ((*line).to_owned(), *status, body.clone());
        let script = Arc::new(Mutex::new(script.iter().map(own).collect::<Script>()));
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
                let service = service_fn(move |request| {
                    answer(request, Arc::clone(&kept), Arc::clone(&script))
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, received }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub(crate) fn calls(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let bearer = header(AUTHORIZATION).unwrap_or_default();
    let mut received = Received {
        line: format!("{} {}", request.method(), request.uri()),
        bearer: bearer.trim_start_matches("Bearer ").to_owned(),
        content_type: header(CONTENT_TYPE).unwrap_or_default(),
        body: String::new(),
    };
    let wanted = format!("{} {path}", request.method());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    received.body = String::from_utf8(body.to_vec()).unwrap();
    kept.lock().unwrap().push(received);
    let (status, body) = next(&mut script.lock().unwrap(), &wanted);
    Ok(Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap())
}

fn next(script: &mut Script, wanted: &str) -> (u16, String) {
    let mut fitting = script.iter().enumerate().filter(|(_, (line, ..))| line == wanted);
    let Some((place, (_, status, body))) = fitting.next() else { return (404, String::new()) };
    let text = match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let told = (*status, text);
    if fitting.next().is_some() {
        script.remove(place);
    }
    told
}
