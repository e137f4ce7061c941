//! Memory with large files: one document of 100 MB, and 64 inline images of 5 MB at once.
//!
//! Looks at the peak that the kernel recorded, so nothing is missed between two looks; each measurement has a
//! process of its own, for a peak never falls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::effort::Effort;
use crate::files::{BOUNDARY, JPEG, form, inline_image};
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Body, Connection};
use crate::mock::COUNTS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::tenants::{FASTEST_PER_S, Tenant};

const MIB: usize = 1024 * 1024;
/// The largest document there may be; whole blocks.
const DOCUMENT_BYTES: usize = 100 * MIB;
const BLOCK_BYTES: usize = 64 * 1024;
/// The largest image there may be.
const IMAGE_BYTES: usize = 5 * MIB;
const IMAGES: usize = 64;
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);
const DELIVERED_POLL: Duration = Duration::from_millis(50);

/// Measures and gives the rows.
///
/// # Errors
/// When a file is refused or does not arrive whole.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let (mut growth_mb, mut peak_mb) = (Vec::new(), Vec::new());
    for repetition in 1..=effort.worst_of {
        growth_mb.push(document_growth_bytes(site).await.context("the document")? / 1e6);
        peak_mb.push(images_peak_bytes(site).await.context("the images")? / 1e6);
        println!("memory {repetition}: {growth_mb:.1?} MB, {peak_mb:.1?} MB");
    }
    let worst = |values: &[f64]| values.iter().copied().fold(f64::NAN, f64::max);
    Ok(vec![
        Row::new("100 MB document uploaded and sent, growth", Unit::Mb, worst(&growth_mb))
            .bar(Limit::AtMost(32.0))
            .of(&growth_mb),
        Row::new("64 inline images of 5 MB at once, peak", Unit::Mb, worst(&peak_mb))
            .bar(Limit::AtMost(512.0))
            .of(&peak_mb),
    ])
}

struct Pair {
    // Dropped first: the gateway shall not see its upstream go.
    gateway: Gateway,
    mock: SocketAddr,
    _mock_process: Process,
    tenant: Tenant,
}

/// A gateway that has sent one text, so that what the first send makes is made.
async fn warmed_up(site: &Site) -> Result<Pair> {
    let (mock_process, mock) = Process::start_bare(&["mock"])?;
    let gateway = Gateway::start(site, Upstream::Mock(mock)).await?;
    let tenant = Tenant::add(&gateway, 0, IMAGES, FASTEST_PER_S).await?;
    let text = tenant.send_now(0, &json!({ "type": "text", "text": { "body": "warm" } }));
    http::once(gateway.address, &text).await?.json()?;
    Ok(Pair { gateway, mock, _mock_process: mock_process, tenant })
}

async fn document_growth_bytes(site: &Site) -> Result<f64> {
    let Pair { gateway, mock, tenant, .. } = &warmed_up(site).await?;
    let before = gateway.process.resident_bytes()?;
    let (upload, org_id) = tenant.upload(BOUNDARY);
    let mut connection = Connection::open(gateway.address).await?;
    let answer = connection.send(&upload, document(org_id)).await?.json()?;
    let id = answer["id"].as_str().context("the upload has an id")?;
    let message = json!({ "type": "document", "document": { "id": id, "filename": "large.pdf" } });
    http::once(gateway.address, &tenant.send_later(0, &message)).await?.json()?;
    wait_for(*mock, 2, DOCUMENT_BYTES as u64).await?;
    Ok(gateway.process.peak_resident_bytes()? - before)
}

/// A multipart form with a document that is made block by block while it is sent.
fn document(org_id: &str) -> Body {
    let (head, tail) = form(org_id, "application/pdf", "large.pdf");
    let blocks = (0..DOCUMENT_BYTES / BLOCK_BYTES).map(document_block);
    let parts = std::iter::once(head).chain(blocks).chain([tail]);
    StreamBody::new(futures_util::stream::iter(parts.map(|part| Ok(Frame::data(part))))).boxed()
}

/// The first block has the signature of a PDF; all differ.
fn document_block(number: usize) -> Bytes {
    let mut block = vec![b' '; BLOCK_BYTES];
    let mark = if number == 0 { "%PDF-1.7\n".to_owned() } else { format!("% block {number}\n") };
    block[..mark.len()].copy_from_slice(mark.as_bytes());
    Bytes::from(block)
}

async fn images_peak_bytes(site: &Site) -> Result<f64> {
    let Pair { gateway, mock, tenant, .. } = &warmed_up(site).await?;
    let mut sends = Vec::new();
    for number in 0..IMAGES {
        let call = tenant.send_now(number, &image(number));
        sends.push((Connection::open(gateway.address).await?, call));
    }
    let answers = sends
        .into_iter()
        .map(|(mut connection, call)| async move { connection.call(&call).await?.json() });
    try_join_all(answers).await?;
    wait_for(*mock, IMAGES as u64 + 1, (IMAGES * IMAGE_BYTES) as u64).await?;
    gateway.process.peak_resident_bytes()
}

/// An inline JPEG of its own: equal ones would be stored and uploaded once.
fn image(number: usize) -> Value {
    let mut bytes = vec![0; IMAGE_BYTES];
    bytes[..JPEG.len()].copy_from_slice(&JPEG);
    bytes[8..16].copy_from_slice(&(number as u64).to_be_bytes());
    inline_image(&bytes)
}

/// Until the mock has got so many messages, and so many bytes of media, whole.
async fn wait_for(mock: SocketAddr, messages: u64, media_bytes: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let counts: Value = http::get(mock, COUNTS_PATH).await?.json()?;
        let has = |name: &str| counts[name].as_u64().unwrap_or_default();
        if has("messages") >= messages && has("media_bytes") >= media_bytes {
            return Ok(());
        }
        if began.elapsed() > DELIVERED_WITHIN {
            bail!("the upstream got {counts}, not {messages} messages and {media_bytes} bytes");
        }
        tokio::time::sleep(DELIVERED_POLL).await;
    }
}
