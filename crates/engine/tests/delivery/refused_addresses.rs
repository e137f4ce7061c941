//! Addresses of requests that may not be called: what shows it, and what becomes of what was to be told
//! there once they may.

use waypost_domain::status::Report;
use waypost_domain::{MessageId, OrgId};
use waypost_engine::callbacks::{DeadCallbacks, Replay};
use waypost_engine::ports::{CallbackReply, PostError, UpstreamEvent};

use crate::callbacks::{all_made, listed, quiet, send_with_notify, until};
use crate::receivers::status;
use crate::rig::Rig;

const INTERNAL: &str = "https://internal.example.com/";

fn refuse() -> Result<CallbackReply, PostError> {
    Err(PostError::Refused("private; see egress.allow_networks".to_owned()))
}

/// Why nothing is posted to the address of a message, as the message shows it.
async fn refusal(rig: &Rig, id: MessageId) -> Option<String> {
    rig.stored(id).await.options.notify.unwrap().refusal().map(str::to_owned)
}

async fn report(rig: &Rig, id: MessageId, report: Report) {
    let wamid = rig.stored(id).await.wamid.unwrap();
    rig.receive(vec![UpstreamEvent::Status(rig.notice(&wamid, report))]).await;
}

async fn replay(rig: &Rig) -> u64 {
    let server = Some(INTERNAL.to_owned());
    let which = DeadCallbacks { server, ..DeadCallbacks::default() };
    rig.engine.replay(&OrgId::new("org-1"), Replay::AnyDead(which)).await.unwrap()
}

/// Waits for the answer to so many calls.
async fn called(rig: &Rig, calls: usize) {
    until("called", || rig.receivers.count() == calls).await;
    all_made(rig).await;
}

#[tokio::test]
async fn a_refused_address_is_noted_on_the_message_until_it_may_be_called() {
    let rig = Rig::new().await;
    rig.receivers.answer(|_| refuse());
    let id = send_with_notify(&rig, "cust-1", INTERNAL).await;
    called(&rig, 1).await;
    assert!(refusal(&rig, id).await.unwrap().contains("egress.allow_networks"));
    assert!(listed(&rig).await[0].is_dead);
    rig.receivers.answer(|_| status(200));
    report(&rig, id, Report::Delivered).await;
    called(&rig, 2).await;
    assert_eq!(refusal(&rig, id).await, None, "it was called");
}

#[tokio::test]
async fn what_was_not_told_to_a_refused_address_is_told_by_a_replay() {
    let rig = Rig::new().await;
    rig.receivers.answer(|_| refuse());
    let id = send_with_notify(&rig, "cust-1", INTERNAL).await;
    called(&rig, 1).await;
    report(&rig, id, Report::Delivered).await;
    called(&rig, 2).await;
    assert_eq!(listed(&rig).await.iter().filter(|one| one.is_dead).count(), 2);
    assert_eq!(replay(&rig).await, 2);
    called(&rig, 4).await;
    let dead = listed(&rig).await;
    assert_eq!(dead.len(), 2, "nothing is lost while it may not be called");
    assert!(dead.iter().all(|one| one.last_error.as_ref().unwrap().contains("allow_networks")));
    rig.receivers.answer(|_| status(200));
    assert_eq!(replay(&rig).await, 2);
    called(&rig, 6).await;
    let got = rig.receivers.got();
    let told: Vec<&str> = got[4..].iter().map(|got| got.event("kind")).collect();
    assert_eq!(told, ["message.sent", "message.delivered"]);
    assert!(listed(&rig).await.is_empty());
    assert_eq!(refusal(&rig, id).await, None);
}

#[tokio::test]
async fn what_was_refused_when_the_message_came_is_never_called() {
    let rig = Rig::new().await;
    let id = send_with_notify(&rig, "cust-1", "http://asked.example.com/").await;
    report(&rig, id, Report::Delivered).await;
    quiet(&rig).await;
    assert_eq!((rig.receivers.count(), listed(&rig).await.len()), (0, 0));
    assert!(refusal(&rig, id).await.unwrap().contains("egress.allow_http_callbacks"));
}
