//! Messages to people whose window is closed.

use std::time::Duration;

use serde_json::json;
use waypost_domain::command::Recipient;
use waypost_domain::content::{Component, Parameter};
use waypost_domain::directory::Org;
use waypost_domain::window::WindowPolicy;
use waypost_domain::{Content, ErrorKind, MessageId, NumberId, OrgId, Status};
use waypost_engine::ports::{PutMode, UpstreamEvent};
use waypost_planted::{Bug, plant};
use waypost_store_sqlite::MemoryDisk;

use crate::rig::{
    Rig, keyed, number, org, phone, picture, send_to, submit_of, template, text, to_phone,
};

/// The window of cust-2 is closed.
const DIGITS: &str = "15550002222";

async fn rig_with(policy: WindowPolicy, fallback: Option<&str>) -> Rig {
    let rig = Rig::timed().await;
    let fallback = fallback.map(str::to_owned);
    let org = Org { window_policy: policy, window_fallback: fallback, ..org("org-1") };
    rig.put_org(org, PutMode::Replace).await;
    rig.approve("reminder", "UTILITY", "Please write to us.");
    rig.approve("carrier", "UTILITY", "We say: {{1}}. Answer if you like.");
    rig.approve("code", "AUTHENTICATION", "Code");
    rig.approve("offer", "MARKETING", "Buy");
    rig.engine.sync_templates(&OrgId::new("org-1")).await.unwrap();
    rig
}

async fn writes(rig: &Rig, digits: &str, wamid: &str) {
    let inbound = rig.inbound(digits, wamid, json!({"type": "text", "text": {"body": "hi"}}));
    rig.receive(vec![UpstreamEvent::Inbound(inbound)]).await;
}

/// What the upstream has seen after a minute.
async fn sent(rig: &Rig) -> Vec<String> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig.texts_seen()
}

async fn enqueue(rig: &Rig, body: &str) -> MessageId {
    rig.engine.enqueue(send_to("cust-2", text(body))).await.unwrap().outcome.id
}

/// What is wrong where messages are held, the person writes, and the process starts anew between.
async fn held_and_let_go() -> Vec<String> {
    let disk = MemoryDisk::new().unwrap();
    let rig = Rig::timed_on(&disk).await;
    let held = Org { window_policy: WindowPolicy::Hold, ..org("org-1") };
    rig.put_org(held, PutMode::Replace).await;
    let first = enqueue(&rig, "first").await;
    let second = to_phone(DIGITS, text("second"));
    rig.engine.submit(submit_of(vec![second]), &[]).await.unwrap();
    let mut wrong = Vec::new();
    if !sent(&rig).await.is_empty() {
        wrong.push("sent while the window was closed".to_owned());
    }
    rig.stop.cancel();
    let now_ms = rig.clock.now_ms();
    drop(rig);
    let rig = Rig::over_memory(&disk, waypost_clock::Clock::of_runtime(now_ms)).await;
    writes(&rig, DIGITS, "wamid.in").await;
    enqueue(&rig, "third").await;
    let sent = sent(&rig).await;
    if sent != ["first", "second", "third"] {
        wrong.push(format!("sent {sent:?}"));
    }
    if rig.stored(first).await.status != Status::Sent {
        wrong.push("the first was not sent".to_owned());
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_in_order_when_the_person_writes_also_after_a_restart() {
    assert_eq!(held_and_let_go().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn control_a_hold_that_forgets_is_seen() {
    plant(Some(Bug::HoldForgets));
    assert_eq!(held_and_let_go().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_given_up_at_its_end() {
    let rig = rig_with(WindowPolicy::Hold, None).await;
    let id = enqueue(&rig, "never read").await;
    tokio::time::sleep(Duration::from_secs(86_300)).await;
    assert_eq!(rig.stored(id).await.status, Status::Queued);
    assert_eq!(rig.engine.store().held().await.unwrap().0, 1);
    tokio::time::sleep(Duration::from_secs(200)).await;
    let given_up = rig.stored(id).await;
    assert_eq!(given_up.status, Status::Failed);
    let failure = given_up.failure.unwrap();
    assert_eq!(failure.kind, ErrorKind::WindowClosed);
    let window = failure.window.expect("it says what would do");
    assert_eq!((window.since, window.templates.len()), (None, 3));
    assert_eq!(rig.engine.store().held().await.unwrap().0, 0);
    writes(&rig, DIGITS, "wamid.in").await;
    assert!(sent(&rig).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_is_refused_and_told_what_would_do() {
    for policy in [WindowPolicy::Refuse, WindowPolicy::Hold] {
        let rig = rig_with(policy, None).await;
        let failure = rig.engine.send(send_to("cust-2", text("hi"))).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::WindowClosed);
        let window = failure.window.unwrap();
        assert_eq!((window.number_id.as_str(), window.since), ("number-1", None));
        let names: Vec<&str> = window.templates.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["carrier", "reminder", "offer"], "notices first, no passwords");
        assert!(failure.message.contains("carrier"), "{}", failure.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_since_when_the_window_is_closed() {
    let rig = rig_with(WindowPolicy::Refuse, None).await;
    rig.open_window(DIGITS).await;
    let closes_at = rig.engine.now().plus_ms(86_400_000);
    tokio::time::sleep(Duration::from_secs(90_000)).await;
    let failure = rig.engine.enqueue(send_to("cust-2", text("hi"))).await.unwrap_err();
    assert_eq!(failure.window.unwrap().since, Some(closes_at));
    let accepted = rig.engine.submit(submit_of(vec![to_phone(DIGITS, text("hi"))]), &[]).await;
    let failed = rig.stored(accepted.unwrap().outcome[0]).await;
    assert_eq!(failed.failure.unwrap().window.unwrap().since, Some(closes_at));
}

#[tokio::test(start_paused = true)]
async fn a_template_with_one_value_goes_in_the_texts_place() {
    let rig = rig_with(WindowPolicy::Refuse, Some("carrier")).await;
    let id = enqueue(&rig, "your order\nis here").await;
    let waited = rig.engine.send(send_to("cust-2", text("and now"))).await.unwrap().outcome;
    assert!(waited.result.is_ok());
    assert_eq!(sent(&rig).await, ["carrier", "carrier"]);
    let Content::Template(carried) = rig.stored(id).await.content else { unreachable!() };
    let text = Parameter::Text { text: "your order is here".to_owned(), name: None };
    assert_eq!(carried.components, [Component::new("body", vec![text])]);
    let picture = picture(crate::rig::inline(crate::rig::PNG));
    let refused = rig.engine.enqueue(send_to("cust-2", picture)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WindowClosed, "a file cannot be carried");
}

#[tokio::test(start_paused = true)]
async fn a_template_without_values_goes_ahead_once_and_the_texts_follow() {
    let rig = rig_with(WindowPolicy::Hold, Some("reminder")).await;
    enqueue(&rig, "one").await;
    let again = keyed(send_to("cust-2", text("two")), "key", 1);
    let second = rig.engine.enqueue(again.clone()).await.unwrap().outcome.id;
    let replayed = rig.engine.enqueue(again).await.unwrap();
    assert_eq!((replayed.replayed, replayed.outcome.id), (true, second));
    assert_eq!(sent(&rig).await, ["reminder"]);
    writes(&rig, DIGITS, "wamid.in").await;
    assert_eq!(sent(&rig).await, ["reminder", "one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_may_name_its_own_fallback() {
    let rig = rig_with(WindowPolicy::Refuse, Some("no_such_template")).await;
    let refused = rig.engine.enqueue(send_to("cust-2", text("hi"))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WindowClosed, "a template that cannot be sent is none");
    let mut own = to_phone(DIGITS, text("hi"));
    own.send.options.fallback_template = Some("carrier".to_owned());
    rig.engine.submit(submit_of(vec![own]), &[]).await.unwrap();
    let mut open = send_to("cust-1", text("open"));
    open.command.options.fallback_template = Some("carrier".to_owned());
    rig.engine.enqueue(open).await.unwrap();
    assert_eq!(sent(&rig).await, ["carrier", "open"], "an open window needs none");
}

#[tokio::test(start_paused = true)]
async fn templates_and_forwarded_messages_need_no_window() {
    let rig = rig_with(WindowPolicy::Forward, Some("carrier")).await;
    enqueue(&rig, "as it is").await;
    rig.engine.enqueue(send_to("cust-2", template("offer"))).await.unwrap();
    let mut to_stranger = send_to("cust-2", template("reminder"));
    to_stranger.command.recipient = Recipient::Phone(phone("15550008888"));
    rig.engine.enqueue(to_stranger).await.unwrap();
    let mut sent = sent(&rig).await;
    sent.sort_unstable();
    assert_eq!(sent, ["as it is", "offer", "reminder"]);
}

/// Four messages, a second after each other; the window closes before the last one's turn.
async fn overtaken_by_the_end(policy: WindowPolicy) -> (Rig, MessageId) {
    let rig = rig_with(policy, None).await;
    rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
    let wrote_at = rig.engine.now().plus_ms(2_500 - 86_400_000);
    let (org_id, number_id) = (OrgId::new("org-1"), NumberId::new("number-1"));
    rig.engine.store().renew_window(&org_id, &number_id, &phone(DIGITS), wrote_at).await.unwrap();
    for body in ["one", "two", "three"] {
        enqueue(&rig, body).await;
    }
    let last = enqueue(&rig, "four").await;
    (rig, last)
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_before_a_messages_turn_counts_as_closed() {
    for (policy, reached, status) in [
        (WindowPolicy::Refuse, 3, Status::Failed),
        (WindowPolicy::Forward, 4, Status::Sent),
        (WindowPolicy::Hold, 3, Status::Queued),
    ] {
        let (rig, last) = overtaken_by_the_end(policy).await;
        assert_eq!(sent(&rig).await.len(), reached, "{policy:?}");
        let last = rig.stored(last).await;
        assert_eq!(last.status, status, "{policy:?}");
        if status == Status::Failed {
            let failure = last.failure.unwrap();
            assert_eq!(failure.kind, ErrorKind::WindowClosed);
            assert!(failure.window.unwrap().since.is_some(), "it says since when");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_at_its_turn_goes_when_the_person_writes_or_ends() {
    for writes_again in [true, false] {
        let (rig, last) = overtaken_by_the_end(WindowPolicy::Hold).await;
        assert_eq!(sent(&rig).await, ["one", "two", "three"]);
        assert_eq!(rig.engine.store().held().await.unwrap().0, 1);
        if writes_again {
            writes(&rig, DIGITS, "wamid.in").await;
            assert_eq!(sent(&rig).await, ["one", "two", "three", "four"]);
        } else {
            tokio::time::sleep(Duration::from_secs(86_400)).await;
            let given_up = rig.stored(last).await;
            assert_eq!(given_up.failure.unwrap().kind, ErrorKind::WindowClosed);
        }
        assert_eq!(rig.engine.store().held().await.unwrap().0, 0);
    }
}
