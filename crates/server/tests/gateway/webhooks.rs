//! Webhooks of those who cannot sign: they are read within bounds, and take nothing from what the
//! upstream needs.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use waypost_server::{BodyPace, Limits};

use crate::rig::Rig;

/// The largest webhook, in bytes.
const LARGEST: usize = 4 << 20;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3_600);

fn webhook(signatures: &[&str], declared: Option<usize>, body: Body) -> Request<Body> {
    let mut request = Request::post("/webhooks/meta").header("host", "waypost");
    for signature in signatures {
        request = request.header("x-hub-signature-256", *signature);
    }
    if let Some(bytes) = declared {
        request = request.header("content-length", bytes);
    }
    request.body(body).unwrap()
}

/// A body that neither comes nor ends, and tells when somebody waits for it.
fn silent() -> (Body, oneshot::Receiver<()>) {
    let (tell, waited_for) = oneshot::channel();
    let first = stream::once(async move {
        let _ = tell.send(());
        Ok::<_, Infallible>(Bytes::new())
    });
    (Body::from_stream(first.chain(stream::pending())), waited_for)
}

#[tokio::test]
async fn what_nobody_signed_is_refused_before_it_has_come() {
    let rig = Rig::new().await;
    for signatures in [&[][..], &["right", "right"]] {
        let (body, _waited_for) = silent();
        let answer = rig.call(webhook(signatures, Some(LARGEST), body)).await.expect(401);
        assert_eq!(answer.json()["code"], "signature_invalid");
    }
}

#[tokio::test]
async fn a_body_has_only_so_long_to_come() {
    // Of any pace.
    let body_pace = BodyPace { floor_bytes: 0, budgeted_floor_bytes: 0, ..BodyPace::default() };
    let webhook_body = Duration::from_millis(50);
    let rig = Rig::within(Limits { body_pace, webhook_body, ..Limits::default() }).await;
    let (body, _waited_for) = silent();
    rig.call(webhook(&["wrong"], None, body)).await.expect(408);
}

#[tokio::test]
async fn who_is_still_being_read_takes_nothing_but_places_at_the_door() {
    let limits = Limits {
        webhook_requests: 2,
        webhook_wait: Duration::from_millis(50),
        webhook_memory_bytes: 2 * LARGEST as u64,
        webhook_body: LONG,
        body_pace: BodyPace { window: LONG, ..BodyPace::default() },
        ..Limits::default()
    };
    let rig = Rig::within(limits).await;
    let mut held = JoinSet::new();
    let (body, waited_for) = silent();
    held.spawn(rig.router.clone().oneshot(webhook(&["wrong"], Some(LARGEST), body)));
    waited_for.await.unwrap();
    let signed = |size| webhook(&["right"], Some(size), Body::from(vec![b'x'; size]));
    let answer = rig.call(signed(LARGEST)).await.expect(503);
    assert!(answer.header("retry-after").is_some(), "there is no memory for it now");
    rig.call(signed(16 << 10)).await.expect(200);
    let (body, waited_for) = silent();
    held.spawn(rig.router.clone().oneshot(webhook(&["wrong"], None, body)));
    waited_for.await.unwrap();
    rig.call(signed(1)).await.expect(503);
    let metrics = rig.get("/metrics").await.expect(200).text();
    let refused = r#"waypost_requests_refused_total{reason="webhooks"} 2"#;
    assert!(metrics.contains(refused), "{metrics}");
    held.shutdown().await;
    rig.call(signed(LARGEST)).await.expect(200);
}
