//! Connections over real sockets (T22's counted half, part of T24): the slow-loris family is closed
//! in HTTP/1, HTTP/2 and TLS, others are served meanwhile, and what is in flight ends in peace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use waypost_server::{ListenerLimits, TlsSource, serve_within};

/// Much longer than any of the limits here.
const LIVENESS: Duration = Duration::from_secs(90);
const LIMITS: ListenerLimits = ListenerLimits {
    connections: 64,
    idle: Duration::from_millis(400),
    tls_handshake: Duration::from_millis(400),
    shutdown: Duration::from_secs(20),
};
/// Where nothing is to be closed that goes on, however busy the machine is.
const PATIENT: ListenerLimits = ListenerLimits { idle: Duration::from_secs(5), ..LIMITS };

struct Served {
    address: SocketAddr,
    cancel: CancellationToken,
    server: JoinHandle<()>,
}

async fn served(router: Router, tls: Option<TlsSource>) -> Served {
    within(LIMITS, router, tls).await
}

async fn within(limits: ListenerLimits, router: Router, tls: Option<TlsSource>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let server = tokio::spawn(serve_within(listener, router, tls, cancel.clone(), limits));
    Served { address, cancel, server }
}

fn plain() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/large", get(|| async { vec![b'x'; 8 << 20] }))
        .route("/echo", post(|body: Bytes| async move { body }))
}

/// Whether the server ends a connection on which this is written, and then a byte now and then.
async fn is_closed(address: SocketAddr, beginning: &[u8], drip: Option<&[u8]>) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    drop(stream.write_all(beginning).await);
    let ended = async {
        let mut bytes = [0; 1_024];
        loop {
            match timeout(Duration::from_millis(50), stream.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => {}
                Err(_) => {
                    if let Some(drip) = drip
                        && stream.write_all(drip).await.is_err()
                    {
                        return;
                    }
                }
            }
        }
    };
    timeout(LIVENESS, ended).await.is_ok()
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIVENESS, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn silent_and_dripping_connections_are_closed() {
    let served = served(plain(), None).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // A ping in HTTP/2 is no request.
    let ping = b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for (what, beginning, drip) in [
        ("silent", &b""[..], None),
        ("half a head", b"GET / HTTP/1.1\r\nhost: x\r\n", None),
        ("a dripping head", b"GET / HTTP/1.1\r\nx-drip: ", Some(&b"x"[..])),
        ("idle between requests", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", None),
        ("HTTP/2, silent", preface, None),
        ("HTTP/2, settings only", settings, None),
        ("HTTP/2, pings only", settings, Some(ping)),
    ] {
        assert!(is_closed(served.address, beginning, drip).await, "{what}");
    }
    assert!(ask(served.address, GET).await.ends_with("hello"));
}

#[tokio::test]
async fn a_reply_that_is_not_read_does_not_hold_its_connection() {
    let served = served(plain(), None).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // Without reading, the end shows in that writing fails.
    let closed = async {
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(LIVENESS, closed).await.is_ok(), "still open");
}

#[tokio::test]
async fn a_large_reply_that_is_read_comes_whole() {
    let served = within(PATIENT, plain(), None).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut size = 0;
    loop {
        let mut some = Vec::new();
        match (&mut stream).take(256 * 1_024).read_to_end(&mut some).await.unwrap() {
            0 => break,
            read => size += read,
        }
        // Slower than the idle limit as a whole, of which these are 32 parts, yet never idle for so
        // long.
        sleep(PATIENT.idle / 30).await;
    }
    assert!(size > 8 << 20, "{size}");
}

#[tokio::test]
async fn a_request_being_worked_on_may_take_its_time() {
    let slow = || async {
        sleep(LIMITS.idle * 4).await;
        "slow"
    };
    let served = served(Router::new().route("/", get(slow)), None).await;
    assert!(ask(served.address, GET).await.ends_with("slow"));
}

fn certificate() -> TlsSource {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    Arc::new(move || Arc::clone(&config))
}

#[tokio::test]
async fn a_stalled_tls_handshake_is_cut_off() {
    let served = served(plain(), Some(certificate())).await;
    for beginning in [&b""[..], b"\x16\x03\x01\x02\0\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        assert!(is_closed(served.address, beginning, None).await);
    }
    assert!(is_closed(served.address, b"\x16\x03\x01\x3f\xff\x01\0\x3f\xfb", Some(b"\0")).await);
}

#[tokio::test]
async fn more_connections_than_places_wait_and_are_served() {
    let served = served(plain(), None).await;
    let mut silent = Vec::new();
    for _ in 0..LIMITS.connections * 2 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert!(ask(served.address, GET).await.ends_with("hello"));
}

#[tokio::test]
async fn http_2_is_spoken_without_tls() {
    let served = within(PATIENT, plain(), None).await;
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut sender, connection) = handshake.await.unwrap();
    let ended = tokio::spawn(connection);
    let request = http::Request::get("http://x/large").body(Empty::<Bytes>::new()).unwrap();
    let body = sender.send_request(request).await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 8 << 20);
    // It is closed once it idles, with the client's library answering all that belongs to that.
    assert!(timeout(LIVENESS, ended).await.is_ok());
    drop(sender);
}

#[tokio::test]
async fn what_is_in_flight_ends_before_the_server_does() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, released) = (Arc::clone(&begun), Arc::clone(&go_on));
    let handler = move || {
        let (seen, released) = (Arc::clone(&seen), Arc::clone(&released));
        async move {
            seen.notify_one();
            released.notified().await;
            "done"
        }
    };
    let served = served(Router::new().route("/", get(handler)), None).await;
    let address = served.address;
    let asking = tokio::spawn(async move { ask(address, GET).await });
    begun.notified().await;
    served.cancel.cancel();
    // No more are taken once the listener is gone.
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIVENESS, refused).await.unwrap();
    assert!(!served.server.is_finished());
    go_on.notify_one();
    assert!(asking.await.unwrap().ends_with("done"));
    timeout(LIVENESS, served.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn heads_have_a_limit() {
    let served = within(PATIENT, plain(), None).await;
    let fits = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n",
        "y".repeat(8_192)
    );
    assert!(ask(served.address, &fits).await.starts_with("HTTP/1.1 200"));
    for long in [
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(17 * 1_024)),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(17 * 1_024)),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200)),
    ] {
        let answer = ask(served.address, &long).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn malformed_http_is_refused() {
    let served = served(plain(), None).await;
    let echo = "POST /echo HTTP/1.1\r\nhost: x\r\n";
    for request in [
        format!("{echo}content-length: 4\r\ncontent-length: 5\r\n\r\nabcd"),
        format!("{echo}content-length: -1\r\n\r\n"),
        format!("{echo}content-length: 99999999999999999999999\r\n\r\n"),
        format!("{echo}transfer-encoding: xchunked\r\n\r\nabc"),
        format!("{echo}transfer-encoding: chunked\r\n\r\nzz\r\nnot hex\r\n"),
        format!("{echo}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n"),
        format!("{echo}x-folded: a\r\n b\r\n\r\n"),
        format!("{echo}x-nul: a\0b\r\n\r\n"),
        format!("{echo}bad name: a\r\n\r\n"),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET /\u{7f} HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(LIVENESS, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{request:?} is neither answered nor closed");
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert!(line.is_empty() || line.starts_with("HTTP/1.1 4"), "{line} to {request:?}");
    }
}

#[tokio::test]
async fn a_request_names_one_host_and_one_caller_or_is_refused_and_counted() {
    let rig = crate::rig::Rig::new().await;
    let served = within(PATIENT, rig.router.clone(), None).await;
    for (version, headers, status) in [
        ("1.1", "host: x\r\n", "200"),
        ("1.1", "", "400"),
        ("1.1", "host: x\r\nHost: x\r\n", "400"),
        ("1.0", "", "200"),
        ("1.0", "host: x\r\nhost: y\r\n", "400"),
        ("1.1", "host: x\r\nauthorization: Bearer a\r\nauthorization: Bearer a\r\n", "200"),
        ("1.1", "host: x\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n", "400"),
    ] {
        let request = format!("GET /healthz HTTP/{version}\r\nconnection: close\r\n{headers}\r\n");
        let answer = ask(served.address, &request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request:?}: {answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
    }
    // Where a request is counted, its line is written.
    let metrics = rig.get("/metrics").await.expect(200).text();
    let counted = |status: u16| {
        let route = format!(r#"{{method="GET",route="/healthz",status="{status}"}}"#);
        let line = format!("waypost_http_requests_total{route} ");
        metrics.lines().find_map(|it| it.strip_prefix(&line)).map(str::to_owned)
    };
    assert_eq!(
        (counted(200).as_deref(), counted(400).as_deref()),
        (Some("3"), Some("4")),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_hide_the_refusal() {
    let rig = crate::rig::Rig::new().await;
    let served = within(PATIENT, rig.router.clone(), None).await;
    let size = 4 << 20;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!(
        "POST /whatsapp/messages/send HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A client that writes all before it reads.
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    let mut answer = String::new();
    timeout(LIVENESS, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_dripping_body_of_a_real_request_is_cut_off() {
    let rig = crate::rig::Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let key = rig.key("org-1", &["messages:send"]).await;
    let served = served(rig.router.clone(), None).await;
    let beginning = format!(
        "POST /whatsapp/messages/send HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: 100000\r\n\r\n{{"
    );
    assert!(is_closed(served.address, beginning.as_bytes(), Some(b"x")).await);
}
