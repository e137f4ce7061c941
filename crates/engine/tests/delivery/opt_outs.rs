//! A no that is recorded after messages were accepted: none of them is attempted any more.

use std::time::Duration;

use serde_json::json;
use waypost_domain::customer::ConsentOrigin;
use waypost_domain::directory::Org;
use waypost_domain::manage::ConsentEntry;
use waypost_domain::message::BroadcastState;
use waypost_domain::retry::RetryClass;
use waypost_domain::window::WindowPolicy;
use waypost_domain::{ErrorKind, MessageId, OrgId, Status};
use waypost_engine::ports::{Inbound, MessageFilter, Page, PutMode, UpstreamEvent};

use crate::rig::{
    Rig, broadcast_of, lost, number, org, phone, refused, send_to, submit_of, template, text,
    to_phone,
};

/// Cust-1, whose window is open.
const DIGITS: &str = "15550001111";

async fn rig_with(policy: WindowPolicy) -> Rig {
    let rig = Rig::timed().await;
    rig.put_org(Org { window_policy: policy, ..org("org-1") }, PutMode::Replace).await;
    rig.approve_template("hello_world");
    rig.engine.sync_templates(&OrgId::new("org-1")).await.unwrap();
    rig
}

async fn opt_out(rig: &Rig, digits: &str) {
    let no =
        ConsentEntry { phone: phone(digits), opted_in: false, origin: ConsentOrigin::default() };
    rig.engine.record_consents(&OrgId::new("org-1"), vec![no]).await.unwrap();
}

async fn writes(rig: &Rig, digits: &str) {
    let inbound = Inbound {
        phone_number_id: "100000000000001".to_owned(),
        phone: Some(phone(digits)),
        user_id: None,
        profile_name: None,
        wamid: "wamid.in".to_owned(),
        kind: "text".to_owned(),
        message: json!({"type": "text", "text": {"body": "hi"}}),
        written_at: Some(rig.engine.now()),
    };
    rig.receive(vec![UpstreamEvent::Inbound(inbound)]).await;
}

async fn enqueue(rig: &Rig, customer: &str, body: &str) -> MessageId {
    rig.engine.enqueue(send_to(customer, text(body))).await.unwrap().outcome.id
}

async fn minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
}

/// The message has failed because of the no, after so many attempts of anything.
async fn assert_blocked(rig: &Rig, id: MessageId, attempts: usize) {
    minutes(10).await;
    assert_eq!(rig.upstream.seen.lock().len(), attempts, "calls");
    let ended = rig.stored(id).await;
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(ended.failure.unwrap().kind, ErrorKind::RecipientBlocked);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_is_not_sent_to_who_opts_out() {
    for (policy, is_template) in [
        (WindowPolicy::Refuse, false),
        (WindowPolicy::Forward, false),
        (WindowPolicy::Refuse, true),
    ] {
        let rig = rig_with(policy).await;
        rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
        for place in 0..3 {
            enqueue(&rig, "cust-1", &format!("before {place}")).await;
        }
        let content = if is_template { template("hello_world") } else { text("last") };
        let last = submit_of(vec![to_phone(DIGITS, content)]);
        let last = rig.engine.submit(last, &[]).await.unwrap().outcome[0];
        rig.saw(1).await;
        let seen = rig.upstream.seen.lock().len();
        opt_out(&rig, DIGITS).await;
        assert_blocked(&rig, last, seen).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_not_tried_again_with_who_opts_out() {
    let rig = rig_with(WindowPolicy::Refuse).await;
    rig.upstream.next(refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOff));
    let id = enqueue(&rig, "cust-1", "again").await;
    rig.saw(1).await;
    opt_out(&rig, DIGITS).await;
    assert_blocked(&rig, id, 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_not_let_go_to_who_opts_out_and_then_writes() {
    let rig = rig_with(WindowPolicy::Hold).await;
    let id = enqueue(&rig, "cust-2", "held").await;
    opt_out(&rig, "15550002222").await;
    writes(&rig, "15550002222").await;
    assert_blocked(&rig, id, 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_for_who_opts_out_ends_then_and_not_at_its_end() {
    let rig = rig_with(WindowPolicy::Hold).await;
    let held = enqueue(&rig, "cust-2", "held").await;
    let anothers = enqueue(&rig, "cust-3", "held").await;
    opt_out(&rig, "15550002222").await;
    assert_blocked(&rig, held, 0).await;
    assert_eq!(rig.stored(anothers).await.status, Status::Queued);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_to_its_end_for_who_must_opt_in_is_told_so() {
    let rig = rig_with(WindowPolicy::Hold).await;
    let held = enqueue(&rig, "cust-2", "held").await;
    let strict = Org { window_policy: WindowPolicy::Hold, strict_opt_in: true, ..org("org-1") };
    rig.put_org(strict, PutMode::Replace).await;
    minutes(24 * 60).await;
    assert_blocked(&rig, held, 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_stays_unknown_and_is_not_sent_again_to_who_opts_out() {
    let rig = rig_with(WindowPolicy::Refuse).await;
    rig.upstream.next(lost());
    let id = enqueue(&rig, "cust-1", "lost").await;
    rig.saw(1).await;
    opt_out(&rig, DIGITS).await;
    minutes(10).await;
    assert_eq!(rig.upstream.seen.lock().len(), 1);
    let ended = rig.stored(id).await;
    assert_eq!((ended.status, ended.resend_at), (Status::Unknown, None));
    let why = ended.failure.unwrap();
    assert_eq!(why.kind, ErrorKind::OutcomeUnknown);
    assert!(why.message.contains("opted out"), "{}", why.message);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_goes_on_without_who_opts_out_meanwhile() {
    let rig = rig_with(WindowPolicy::Refuse).await;
    rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
    let org_id = OrgId::new("org-1");
    let id = rig.engine.broadcast(broadcast_of("hello_world"), 0).await.unwrap().outcome.id;
    let set = async |state| {
        rig.engine.set_broadcast_state(&org_id, id, state).await.unwrap();
    };
    rig.saw(1).await;
    set(BroadcastState::Paused).await;
    let seen = rig.upstream.seen.lock().len();
    opt_out(&rig, "15550003333").await;
    set(BroadcastState::Running).await;
    let members = MessageFilter { broadcast_id: Some(id), ..MessageFilter::default() };
    let members = rig.engine.store().messages(&org_id, &members, Page { after: None, limit: 3 });
    let last = members.await.unwrap().data[2].id;
    assert!(seen < 3);
    assert_blocked(&rig, last, 2).await;
}
