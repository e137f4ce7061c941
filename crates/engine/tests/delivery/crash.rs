//! What a crash leaves, and what the next start makes of it.

use waypost_domain::{ErrorKind, OrgId, Status};
use waypost_engine::ports::{MessageFilter, Page};

use crate::rig::{Rig, broadcast_of, keyed, send_to, text};

#[tokio::test]
async fn an_open_intent_is_unknown_after_a_crash_and_not_resent() {
    let rig = Rig::new().await;
    let engine = rig.engine.clone();
    let gate = std::sync::Arc::clone(&rig.upstream);
    let closed = gate.gate.write().await;
    let caller =
        tokio::spawn(
            async move { engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await },
        );
    rig.saw(1).await;
    // The store's last word before the crash is the intent: copying the folder now is what a
    // kill leaves.
    let rig = rig.copied().await;
    caller.abort();
    drop(closed);
    let page = Page { after: None, limit: 10 };
    let filter = MessageFilter::default();
    let org_id = OrgId::new("org-1");
    let left = rig.engine.store().messages(&org_id, &filter, page).await.unwrap().data;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].status, Status::Unknown);
    assert_eq!(rig.engine.metrics().messages_unknown, 1);
    assert!(rig.upstream.sent_to().is_empty());
    // The caller may repeat with the same key, and gets the present state.
    let again = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.outcome.result.unwrap_err().kind, ErrorKind::OutcomeUnknown);
    assert!(rig.upstream.sent_to().is_empty());
}

#[tokio::test]
async fn a_broadcast_goes_on_after_a_restart() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.engine.sync_templates(&OrgId::new("org-1")).await.unwrap();
    rig.stop.cancel();
    tokio::task::yield_now().await;
    let id = rig.engine.broadcast(broadcast_of("hello_world"), 0).await.unwrap().outcome.id;
    let progress = rig.engine.store().broadcast(&OrgId::new("org-1"), id).await.unwrap().unwrap();
    assert_eq!(progress.by_status, [(Status::Queued, 3)]);
    let rig = rig.restart().await;
    rig.saw(3).await;
}
