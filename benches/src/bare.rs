//! The bare programs: an echo and a pass-through proxy with nothing in them but the libraries that Waypost uses too.
//!
//! They keep no promise at all; they show what the same machine can do at best.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::post;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

/// As large as what Waypost accepts.
const BODY_MAX_BYTES: usize = 140 * 1024 * 1024;

/// Answers each POST with its body.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn echo() -> Result<()> {
    let router = Router::new()
        .route("/{*path}", post(|body: Bytes| async move { body }))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX_BYTES));
    listen(router).await
}

#[derive(Clone)]
struct Upstream {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

/// Passes every request on to `upstream` and its answer back, both streamed.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn proxy(upstream: SocketAddr) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    listen(Router::new().fallback(pass_on).with_state(Upstream { address: upstream, client })).await
}

async fn pass_on(
    State(upstream): State<Upstream>,
    mut request: Request,
) -> Result<Response, StatusCode> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("http://{}{path}", upstream.address).parse::<Uri>();
    *request.uri_mut() = uri.map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = upstream.client.request(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(answer.map(Body::new))
}

async fn listen(router: Router) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?);
    let listener =
        axum::serve::ListenerExt::tap_io(listener, |stream: &mut tokio::net::TcpStream| {
            // Without it an answer may wait for the acknowledgement of the one before.
            drop(stream.set_nodelay(true));
        });
    Ok(axum::serve(listener, router).await?)
}

/// Tells whoever started us where we listen.
pub(crate) fn announce(address: SocketAddr) {
    println!("{}{address}", crate::process::ANNOUNCEMENT);
}
