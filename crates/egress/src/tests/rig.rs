//! Servers, resolvers and dials of the tests.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    Egress, EgressPolicy, FetchRequest, Resolve, Timeouts,
    address::denied_range,
    connection::{Dial, Wire},
    planted::Planted,
};

/// Loopback addresses that the tests' policy permits: they play the public internet.
pub(super) const PUBLIC: [&str; 2] = ["127.0.0.3", "127.0.0.4"];

/// Who asks, where it does not matter.
pub(super) const ASKER: &str = "org-1";

/// The policy under which exactly [`PUBLIC`] may be reached.
pub(super) fn public_policy() -> EgressPolicy {
    EgressPolicy {
        allow_networks: PUBLIC.map(|address| format!("{address}/32").parse().unwrap()).to_vec(),
        allow_http_callbacks: true,
        allow_http_links: true,
    }
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn fetch_of(url: &str) -> FetchRequest {
    FetchRequest {
        asker: ASKER.to_owned(),
        url: url.to_owned(),
        credential: None,
        limit_bytes: 1024,
        timeouts: Timeouts::default(),
    }
}

/// A client whose names are those of `names`.
pub(super) fn client(names: &[(&str, &[&str])]) -> Egress {
    Egress::new(public_policy(), Arc::new(Names::of(names)))
}

/// Reads a whole download.
pub(super) async fn download(
    egress: &Egress,
    request: FetchRequest,
) -> Result<Vec<u8>, crate::EgressError> {
    use futures_util::TryStreamExt;
    let response = egress.get(request).await?;
    response
        .body
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
}

impl Egress {
    pub(super) fn dialling(mut self, dial: Arc<dyn Dial>) -> Self {
        self.dial = dial;
        self
    }

    pub(super) fn planting(mut self, fault: Option<Planted>) -> Self {
        self.guard.planted = fault;
        self
    }
}

/// A resolver with a fixed table; any other name is at 127.0.0.1.
pub(super) struct Names(HashMap<String, Vec<IpAddr>>);

impl Names {
    pub(super) fn of(table: &[(&str, &[&str])]) -> Self {
        Self(
            table
                .iter()
                .map(|(name, found)| {
                    ((*name).to_owned(), found.iter().map(|address| ip(address)).collect())
                })
                .collect(),
        )
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let private = || vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        Ok(self.0.get(host).cloned().unwrap_or_else(private))
    }
}

/// Dials over TCP and notes every target. What would leave loopback reaches nothing: a
/// private address is played by the canary, a public one refuses.
pub(super) struct NotingDial {
    pub(super) targets: Mutex<Vec<SocketAddr>>,
    canary: SocketAddr,
}

impl NotingDial {
    pub(super) fn with_canary(canary: SocketAddr) -> Arc<Self> {
        Arc::new(Self { targets: Mutex::new(Vec::new()), canary })
    }
}

#[async_trait]
impl Dial for NotingDial {
    async fn dial(&self, target: SocketAddr) -> io::Result<Box<dyn Wire>> {
        self.targets.lock().push(target);
        let place = match target.ip() {
            address if address.is_loopback() => target,
            address if denied_range(address).is_none() && !address.is_ipv6() => {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            _ => self.canary,
        };
        Ok(Box::new(TcpStream::connect(place).await?))
    }
}

/// Listeners on 127.0.0.1, 127.0.0.2 and `[::1]`, all on one port, that nobody may ever reach.
pub(super) struct Canaries {
    pub(super) port: u16,
    hits: Arc<AtomicUsize>,
    listeners: JoinSet<()>,
}

const CANARY_ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "::1"];
const PORT_ATTEMPTS: usize = 50;

impl Canaries {
    pub(super) async fn start() -> Self {
        for _ in 0..PORT_ATTEMPTS {
            if let Some(canaries) = Self::try_start().await {
                return canaries;
            }
        }
        panic!("no port is free on all canary addresses");
    }

    async fn try_start() -> Option<Self> {
        let hits = Arc::new(AtomicUsize::new(0));
        let mut listeners = JoinSet::new();
        let mut port = 0;
        for address in CANARY_ADDRESSES {
            let listener = TcpListener::bind((ip(address), port)).await.ok()?;
            port = listener.local_addr().unwrap().port();
            listeners.spawn(count(listener, Arc::clone(&hits)));
        }
        Some(Self { port, hits, listeners })
    }

    pub(super) fn first(&self) -> SocketAddr {
        (ip(CANARY_ADDRESSES[0]), self.port).into()
    }

    /// Connections seen so far. Knocks at each canary itself, because a canary serves its
    /// connections in turn: once the knock is answered, all earlier ones are counted.
    pub(super) async fn hits(&self) -> usize {
        assert_eq!(self.listeners.len(), CANARY_ADDRESSES.len());
        for address in CANARY_ADDRESSES {
            let mut knock = TcpStream::connect((ip(address), self.port)).await.unwrap();
            knock.read_to_end(&mut Vec::new()).await.unwrap();
            self.hits.fetch_sub(1, Ordering::SeqCst);
        }
        self.hits.load(Ordering::SeqCst)
    }
}

async fn count(listener: TcpListener, hits: Arc<AtomicUsize>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        hits.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(&ok(b"secret")).await;
    }
}

/// A server that notes each request and answers by a function of its head.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl Site {
    pub(super) async fn start(
        address: &str,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip(address), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = serve(stream, &noted, &answer).await;
            }
        });
        Self { address, requests, _server: server }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

/// Answers one request on `stream` and closes it.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    noted: &Mutex<Vec<String>>,
    answer: &(impl Fn(&str) -> Vec<u8> + ?Sized),
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let request = read_request(&mut stream).await?;
    let reply = answer(&request);
    noted.lock().push(request);
    stream.write_all(&reply).await?;
    stream.shutdown().await
}

pub(super) async fn read_request(
    stream: &mut (impl AsyncBufReadExt + Unpin),
) -> io::Result<String> {
    let mut request = String::new();
    let mut body_bytes = 0;
    loop {
        let start = request.len();
        stream.read_line(&mut request).await?;
        let line = request[start..].trim_end().to_ascii_lowercase();
        if let Some(length) = line.strip_prefix("content-length: ") {
            body_bytes = length.parse().map_err(io::Error::other)?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; body_bytes];
    stream.read_exact(&mut body).await?;
    request.push_str(&String::from_utf8_lossy(&body));
    Ok(request)
}

/// A complete answer with status 200.
pub(super) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A redirect to `location`.
pub(super) fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// A dial to an in-memory peer that sends `pieces` at `pace` after the request, then nothing,
/// and holds the connection open. Works under a paused clock.
pub(super) struct Dripping {
    pub(super) pieces: Vec<&'static str>,
    pub(super) pace: Duration,
}

#[async_trait]
impl Dial for Dripping {
    async fn dial(&self, _target: SocketAddr) -> io::Result<Box<dyn Wire>> {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (pieces, pace) = (self.pieces.clone(), self.pace);
        tokio::spawn(async move {
            let mut peer = BufReader::new(theirs);
            read_request(&mut peer).await?;
            for piece in pieces {
                tokio::time::sleep(pace).await;
                peer.write_all(piece.as_bytes()).await?;
            }
            std::future::pending::<io::Result<()>>().await
        });
        Ok(Box::new(ours))
    }
}
