//! Messages whose callers waited for the answer, when they are sent again: with what was settled for
//! them when they were accepted.

use std::time::Duration;

use waypost_domain::directory::UnknownPolicy;
use waypost_domain::retry::RetryClass;
use waypost_domain::window::WindowPolicy;
use waypost_domain::{ErrorKind, Failure, MessageId, OrgId, Status, UpstreamFault};
use waypost_engine::ports::{CallError, PutMode, SendOutcome};

use crate::rig::{Rig, org, send_to, template, text};
use crate::scripted::{lost, refused};

fn org_id() -> OrgId {
    OrgId::new("org-1")
}

/// A send that the upstream refuses so.
async fn refused_send(
    rig: &Rig,
    content: &str,
    is_template: bool,
    refusal: SendOutcome,
) -> MessageId {
    rig.upstream.next(refusal);
    let content = if is_template { template(content) } else { text(content) };
    let sent = rig.engine.send(send_to("cust-1", content)).await.unwrap().outcome;
    assert!(sent.result.is_err());
    sent.id
}

fn bad() -> SendOutcome {
    refused(ErrorKind::RejectedByUpstream, RetryClass::Never)
}

async fn retry(rig: &Rig, id: MessageId) {
    assert!(rig.engine.retry_message(&org_id(), id).await.unwrap());
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_sent_twice_is_not_sent_again_after_a_retry_either() {
    let rig = Rig::timed().await;
    rig.approve("code", "AUTHENTICATION", "Code");
    let code = refused_send(&rig, "code", true, bad()).await;
    let never = waypost_domain::directory::Org {
        unknown_policy: UnknownPolicy::NeverResend,
        ..org("org-1")
    };
    rig.put_org(never, PutMode::Replace).await;
    let reply = refused_send(&rig, "hello", false, bad()).await;
    for id in [code, reply] {
        rig.upstream.next(lost());
        retry(&rig, id).await;
        let stored = rig.stored(id).await;
        assert_eq!((stored.status, stored.resend_at), (Status::Unknown, None));
    }
}

#[tokio::test(start_paused = true)]
async fn marketing_that_is_sent_again_keeps_the_cap_of_its_person() {
    let rig = Rig::timed().await;
    rig.approve("offer", "MARKETING", "Buy");
    let fault = UpstreamFault { code: Some(131_049), ..UpstreamFault::default() };
    let failure = Failure::new(ErrorKind::RejectedByUpstream, "had enough").with_upstream(fault);
    let cap = SendOutcome::Refused(CallError { failure, class: RetryClass::Later });
    let id = refused_send(&rig, "offer", true, cap).await;
    assert_eq!(rig.engine.pacing()[0].capped_people, 1);
    retry(&rig, id).await;
    assert_eq!(rig.upstream.seen.lock().len(), 1, "its person gets no marketing for a day");
    assert_eq!(rig.stored(id).await.status, Status::Queued);
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_again_gets_a_day_and_is_held_where_the_window_is_closed() {
    let rig = Rig::timed().await;
    let holding =
        waypost_domain::directory::Org { window_policy: WindowPolicy::Hold, ..org("org-1") };
    rig.put_org(holding, PutMode::Replace).await;
    let id = refused_send(&rig, "hello", false, bad()).await;
    assert_eq!(rig.stored(id).await.options.expires_at, None, "who waits names no end");
    rig.clock.advance(Duration::from_secs(2 * 86_400));
    retry(&rig, id).await;
    let stored = rig.stored(id).await;
    assert_eq!(stored.status, Status::Queued, "{:?}", stored.failure);
    assert!(stored.options.expires_at > Some(rig.engine.now()));
}

#[tokio::test(start_paused = true)]
async fn marketing_that_is_held_back_is_told_to_who_waits() {
    let rig = Rig::timed().await;
    rig.approve("offer", "MARKETING", "Buy");
    rig.approve("code", "AUTHENTICATION", "Code");
    let fault = UpstreamFault { code: Some(131_048), ..UpstreamFault::default() };
    let failure = Failure::new(ErrorKind::RejectedByUpstream, "spam").with_upstream(fault);
    let held = SendOutcome::Refused(CallError { failure, class: RetryClass::Later });
    refused_send(&rig, "offer", true, held).await;
    let refusal = rig.engine.send(send_to("cust-1", template("offer"))).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::RateLimited);
    assert!(refusal.retry_after_s.is_some_and(|seconds| seconds > 3_000));
    let code = rig.engine.send(send_to("cust-1", template("code"))).await.unwrap();
    assert!(code.outcome.result.is_ok(), "one-time passwords go");
}
