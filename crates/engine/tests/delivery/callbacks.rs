//! Events reach whom they are for: in order, again where they must, and never by way of others.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use serde_json::json;
use waypost_domain::callback::Webhook;
use waypost_domain::event::{EventKind, TemplateDetail};
use waypost_domain::message::Notify;
use waypost_domain::retry::RetryClass;
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, Failure, OrgId, WebhookId};
use waypost_engine::callbacks::{NewWebhook, Replay};
use waypost_engine::ports::{
    CallbackFilter, CallbackRecord, CallbackReply, EventFilter, Inbound, Page, PostError, PutMode,
    StatusNotice, UpstreamEvent,
};

use crate::receivers::status;
use crate::rig::{LIVELY, Rig, org, refused, send_to, template, text};

pub(crate) const ANN: &str = "15550001111";
pub(crate) const BEN: &str = "15550002222";
pub(crate) const URL: &str = "https://receiver.example.com/hook";
const ALL: Page = Page { after: None, limit: 1_000 };

fn org_id() -> OrgId {
    OrgId::new("org-1")
}

fn new_webhook(url: &str, shape: &str) -> NewWebhook {
    NewWebhook {
        org_id: org_id(),
        id: None,
        url: url.to_owned(),
        shape: shape.to_owned(),
        number_id: None,
        events: BTreeSet::new(),
        secret: None,
        header: None,
    }
}

pub(crate) async fn hooked(rig: &Rig, url: &str, shape: &str) -> WebhookId {
    rig.engine.create_webhook::<Failure>(new_webhook(url, shape), None).await.unwrap().0.id.clone()
}

pub(crate) fn written(from: &str, body: &str, rig: &Rig) -> UpstreamEvent {
    UpstreamEvent::Inbound(Inbound {
        profile_name: Some("Ann".to_owned()),
        ..rig.inbound(
            from,
            format!("wamid.{body}"),
            json!({"type": "text", "text": {"body": body}}),
        )
    })
}

pub(crate) fn sent_file(id: &str, rig: &Rig) -> UpstreamEvent {
    UpstreamEvent::Inbound(rig.inbound(
        ANN,
        format!("wamid.of-{id}"),
        json!({"type": "document", "document": {"id": id, "filename": "a.txt"}}),
    ))
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(LIVELY, waiting).await.is_ok(), "{what}");
}

/// Waits until so many callbacks are recorded that are still to be made, or will not be.
pub(crate) async fn until_listed(rig: &Rig, callbacks: usize) {
    let waiting = async {
        while listed(rig).await.len() != callbacks {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(LIVELY, waiting).await.is_ok(), "{callbacks} callbacks");
}

/// Gives what should not happen the time to happen: so many rounds behind the store, and a little
/// more than the engine gathers for before each. On a slow machine it takes longer.
pub(crate) async fn quiet(rig: &Rig) {
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(11)).await;
        rig.behind_the_store().await;
    }
}

async fn advance(rig: &Rig, seconds: f64) {
    rig.clock.advance(Duration::from_secs_f64(seconds));
    quiet(rig).await;
}

pub(crate) async fn listed(rig: &Rig) -> Vec<CallbackRecord> {
    let filter = CallbackFilter::default();
    rig.engine.store().callbacks(&org_id(), &filter, ALL).await.unwrap().data
}

/// Waits until nothing is left to be made.
pub(crate) async fn all_made(rig: &Rig) {
    let made = async {
        while rig.engine.callback_totals().await.unwrap().pending > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(LIVELY, made).await.is_ok());
}

async fn webhook(rig: &Rig, id: &WebhookId) -> Webhook {
    (*rig.engine.directory().webhook(&org_id(), id).unwrap()).clone()
}

#[tokio::test]
async fn an_event_is_told_once_and_signed() {
    let rig = Rig::new().await;
    let new = NewWebhook { header: Some("X-Token: abc".to_owned()), ..new_webhook(URL, "plain") };
    rig.engine.create_webhook::<Failure>(new, None).await.unwrap();
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("told", || rig.receivers.count() == 1).await;
    all_made(&rig).await;
    let got = &rig.receivers.got()[0];
    assert_eq!((got.event("kind"), got.event("text")), ("message.received", "hello"));
    let id = got.event("id").replace('-', "");
    assert_eq!(got.header("webhook-id"), format!("evt_{id}"));
    assert!(got.header("webhook-signature").starts_with("v1,"));
    assert_eq!((got.header("x-token"), got.header("content-type")), ("abc", "application/json"));
    assert!(listed(&rig).await.is_empty(), "what was delivered is not kept");
}

#[tokio::test]
async fn statuses_are_told_as_they_come_and_never_backwards() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let sent = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap();
    let wamid = sent.outcome.result.unwrap().wamid;
    let status_of = |report| {
        let extra = Some(json!({"pricing": {"billable": true}}));
        UpstreamEvent::Status(StatusNotice { extra, ..rig.notice(&wamid, report) })
    };
    for report in [Report::Read, Report::Delivered, Report::Read, Report::Sent] {
        rig.receive(vec![status_of(report)]).await;
    }
    until("told", || rig.receivers.count() == 2).await;
    quiet(&rig).await;
    let kinds: Vec<String> =
        rig.receivers.got().iter().map(|got| got.event("kind").to_owned()).collect();
    assert_eq!(kinds, ["message.sent", "message.read"]);
    let events = rig.engine.events(&org_id(), &EventFilter::default(), ALL).await.unwrap().data;
    assert_eq!(events.len(), 2);
}

/// The caller sends it anew, and a vendor has one word for both: what the reply said must not
/// overtake what becomes of the second.
#[tokio::test]
async fn what_a_reply_refused_is_told_in_our_own_shape_only() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    hooked(&rig, "https://vendor.example.com/", "plain").await;
    hooked(&rig, "https://own.example.com/", "standard").await;
    let refusal = || refused(ErrorKind::UpstreamUnavailable, RetryClass::Never);
    rig.upstream.next(refusal());
    let sent = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap();
    assert!(sent.outcome.result.is_err());
    rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap().outcome.result.unwrap();
    rig.upstream.next(refusal());
    rig.engine.enqueue(send_to("cust-2", template("hello_world"))).await.unwrap();
    until("told", || rig.receivers.count() >= 5).await;
    quiet(&rig).await;
    let told = |host: &str| -> Vec<String> {
        let all = rig.receivers.got();
        let here = all.iter().filter(|got| got.url.contains(host));
        here.map(|got| format!("{} {}", got.event("person"), got.event("kind"))).collect()
    };
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let (sent, later) = (format!("{ANN} message.sent"), format!("{BEN} message.failed"));
    assert_eq!(sorted(told("vendor")), [sent.clone(), later.clone()]);
    assert_eq!(sorted(told("own")), [format!("{ANN} message.failed"), sent, later]);
}

#[tokio::test]
async fn a_failing_receiver_is_asked_again_by_the_schedule_and_then_no_more() {
    let rig = Rig::new().await;
    let id = hooked(&rig, URL, "plain").await;
    rig.receivers.answer(|_| status(500));
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("first", || rig.receivers.count() == 1).await;
    for (tries, delay_s) in [(1, 5.0), (2, 300.0), (3, 1_800.0)] {
        quiet(&rig).await;
        advance(&rig, delay_s * 0.79).await;
        assert_eq!(rig.receivers.count(), tries, "too early");
        rig.clock.advance(Duration::from_secs_f64(delay_s * 0.42));
        until("again", || rig.receivers.count() == tries + 1).await;
    }
    all_made(&rig).await;
    advance(&rig, 1_000_000.0).await;
    assert_eq!(rig.receivers.count(), 4);
    let dead = listed(&rig).await.remove(0);
    assert_eq!((dead.is_dead, dead.attempts, dead.last_status), (true, 4, Some(500)));
    let ids: HashSet<String> =
        rig.receivers.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 1, "the id is the same at every call");
    let times: HashSet<String> =
        rig.receivers.got().iter().map(|got| got.header("webhook-timestamp").to_owned()).collect();
    assert_eq!(times.len(), 4, "the timestamp is fresh");
    rig.receivers.answer(|_| status(200));
    assert_eq!(rig.engine.replay(&org_id(), Replay::Dead(id.clone())).await.unwrap(), 1);
    until("replayed", || rig.receivers.count() == 5).await;
    all_made(&rig).await;
    assert_eq!(rig.engine.replay(&org_id(), Replay::Dead(id)).await.unwrap(), 0);
}

#[tokio::test]
async fn retry_after_counts_where_it_is_later() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    rig.receivers
        .answer(|_| Ok(CallbackReply { status: 429, retry_after: Some("120".to_owned()) }));
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("first", || rig.receivers.count() == 1).await;
    quiet(&rig).await;
    advance(&rig, 119.0).await;
    assert_eq!(rig.receivers.count(), 1);
    rig.clock.advance(Duration::from_secs(2));
    until("again", || rig.receivers.count() == 2).await;
}

#[tokio::test]
async fn an_address_that_says_gone_is_switched_off() {
    let rig = Rig::new().await;
    let id = hooked(&rig, URL, "plain").await;
    rig.receivers.answer(|_| status(410));
    rig.receive(vec![written(ANN, "one", &rig)]).await;
    until("gone", || rig.engine.directory().webhooks(&org_id())[0].disabled.is_some()).await;
    all_made(&rig).await;
    rig.receive(vec![written(ANN, "two", &rig)]).await;
    advance(&rig, 100_000.0).await;
    assert_eq!(rig.receivers.count(), 1);
    let mut off = webhook(&rig, &id).await;
    assert!(off.disabled.take().unwrap().contains("410"));
    assert!(rig.engine.replay(&org_id(), Replay::Dead(id.clone())).await.is_err());
    rig.receivers.answer(|_| status(200));
    rig.engine.change_webhook(move || Ok::<_, Failure>(off)).await.unwrap();
    let since = rig.engine.now().plus_ms(-1_000_000_000);
    let span = Replay::Span { webhook_id: id, since, until: None };
    assert_eq!(rig.engine.replay(&org_id(), span).await.unwrap(), 2);
    until("both", || rig.receivers.count() == 3).await;
    assert_eq!(rig.receivers.texts(), ["one", "one", "two"]);
}

#[tokio::test]
async fn a_person_is_told_of_in_order_and_waits_for_one_repetition_at_most() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    rig.receivers.answer(|got| status(if got.event("text") == "one" { 500 } else { 200 }));
    rig.receive(vec![written(ANN, "one", &rig)]).await;
    until("one", || rig.receivers.count() == 1).await;
    rig.receive(vec![written(ANN, "two", &rig), written(BEN, "three", &rig)]).await;
    until("three", || rig.receivers.count() == 2).await;
    rig.receive(vec![written(ANN, "four", &rig)]).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.texts(), ["one", "three"]);
    rig.clock.advance(Duration::from_secs(6));
    until("the rest", || rig.receivers.count() == 5).await;
    assert_eq!(rig.receivers.texts(), ["one", "three", "one", "two", "four"]);
}

#[tokio::test]
async fn what_is_in_memory_already_waits_for_a_first_failure_too() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let mut first = true;
    rig.receivers.answer(move |_| status(if std::mem::take(&mut first) { 500 } else { 200 }));
    let gate = rig.receivers.gate(URL);
    let closed = gate.write().await;
    let many: Vec<String> = (0..20).map(|place| format!("{place:02}")).collect();
    rig.receive(many.iter().map(|body| written(ANN, body, &rig)).collect()).await;
    until("first", || rig.receivers.count() == 1).await;
    quiet(&rig).await;
    drop(closed);
    quiet(&rig).await;
    assert_eq!(rig.receivers.count(), 1, "the others wait");
    rig.clock.advance(Duration::from_secs(6));
    until("all", || rig.receivers.count() == 21).await;
    assert_eq!(rig.receivers.texts()[1..], many);
}

#[tokio::test]
async fn a_slow_receiver_delays_nobody_else() {
    let rig = Rig::new().await;
    hooked(&rig, "https://slow.example.com/", "plain").await;
    hooked(&rig, URL, "plain").await;
    let gate = rig.receivers.gate("https://slow.example.com/");
    let closed = gate.write().await;
    for place in 0..40 {
        let from = format!("1555000{place:04}");
        rig.receive(vec![written(&from, &format!("to {place}"), &rig)]).await;
    }
    until("the other has all", || rig.receivers.count_at(URL) == 40).await;
    assert!(rig.receivers.count_at("https://slow.example.com/") <= 8);
    drop(closed);
    until("the slow one too", || rig.receivers.count_at("https://slow.example.com/") == 40).await;
}

#[tokio::test]
async fn what_a_crash_caught_between_recording_and_posting_is_posted_under_the_same_id() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let gate = rig.receivers.gate(URL);
    let closed = gate.write().await;
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("in flight", || rig.receivers.count() == 1).await;
    let after = rig.copied().await;
    until("posted again", || after.receivers.count() == 1).await;
    let (before, again) = (&rig.receivers.got()[0], &after.receivers.got()[0]);
    assert_eq!(before.header("webhook-id"), again.header("webhook-id"));
    drop(closed);
}

#[tokio::test]
async fn what_happens_while_nobody_reads_the_log_is_told_after_the_next_start() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    rig.receive(vec![written(ANN, "before", &rig)]).await;
    until("before", || rig.receivers.count() == 1).await;
    all_made(&rig).await;
    let mut rig = rig;
    for round in 0..3 {
        rig.stop.cancel();
        quiet(&rig).await;
        for place in 0..50 {
            let inbound = written(ANN, &format!("{round}-{place:02}"), &rig);
            let UpstreamEvent::Inbound(inbound) = inbound else { unreachable!() };
            record(&rig, inbound).await;
        }
        rig = rig.restart().await;
        until("all of it", || rig.receivers.count() == 50).await;
        all_made(&rig).await;
        assert!(rig.receivers.texts().is_sorted());
    }
}

async fn record(rig: &Rig, inbound: Inbound) {
    let message = waypost_engine::ports::InboundMessage {
        id: waypost_domain::MessageId(uuid::Uuid::now_v7()),
        org_id: org_id(),
        addressed: waypost_engine::ports::Addressed::Named,
        number_id: waypost_domain::NumberId::new("number-1"),
        phone: inbound.phone.unwrap(),
        user_id: None,
        profile_name: None,
        new_customer_id: waypost_domain::CustomerId::new("unused"),
        wamid: inbound.wamid,
        content: waypost_domain::content::InboundContent {
            kind: inbound.kind,
            message: inbound.message,
            media: None,
        },
        written_at: rig.engine.now(),
    };
    assert!(rig.engine.store().record_inbound(message, rig.engine.now()).await.unwrap());
}

#[tokio::test]
async fn while_a_receiver_is_down_it_is_only_probed_and_then_gets_everything() {
    const EVENTS: usize = 1_000;
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    rig.receivers.answer(|_| Err(PostError::Failed("no connection".to_owned())));
    for round in 0..EVENTS / 50 {
        let some = (0..50).map(|place| {
            let from = format!("1555{:07}", round * 50 + place);
            written(&from, &format!("{round}-{place}"), &rig)
        });
        rig.receive(some.collect()).await;
    }
    until("open", || rig.receivers.count() >= 10).await;
    quiet(&rig).await;
    // Ten minutes, in steps of ten seconds.
    for _ in 0..60 {
        rig.clock.advance(Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
        rig.behind_the_store().await;
    }
    let asked = rig.receivers.count();
    assert!((10..EVENTS / 10).contains(&asked), "{asked} calls to a receiver that is down");
    assert!(rig.engine.callback_health(&org_id()).await.unwrap()[0].is_only_probed);
    rig.receivers.answer(|_| status(200));
    rig.clock.advance(Duration::from_secs(31));
    until("all", || rig.receivers.count() == asked + EVENTS).await;
    // Those that were tried wait for their schedule.
    rig.clock.advance(Duration::from_secs(400));
    all_made(&rig).await;
    let told: HashSet<String> = rig.receivers.got()[asked..]
        .iter()
        .map(|got| got.header("webhook-id").to_owned())
        .collect();
    assert_eq!(told.len(), EVENTS);
}

#[tokio::test]
async fn a_request_may_name_an_address_of_its_own() {
    let rig = Rig::new().await;
    send_with_notify(&rig, "cust-1", "https://asked.example.com/a?b=1").await;
    until("told", || rig.receivers.count() == 1).await;
    let got = &rig.receivers.got()[0];
    assert_eq!(
        (got.url.as_str(), got.event("kind")),
        ("https://asked.example.com/a?b=1", "message.sent")
    );
    assert_eq!(got.header("authorization"), "Bearer asked");
}

#[tokio::test]
async fn gone_does_not_end_an_address_that_a_request_named() {
    let rig = Rig::new().await;
    rig.receivers.answer(|_| status(410));
    send_with_notify(&rig, "cust-1", "https://asked.example.com/").await;
    until("first", || rig.receivers.count() == 1).await;
    for tries in 2..=4 {
        quiet(&rig).await;
        advance(&rig, 59.9).await;
        assert_eq!(rig.receivers.count(), tries - 1, "the interval is fixed");
        rig.clock.advance(Duration::from_millis(200));
        until("again", || rig.receivers.count() == tries).await;
    }
    all_made(&rig).await;
    assert!(listed(&rig).await[0].is_dead);
}

pub(crate) async fn send_with_notify(
    rig: &Rig,
    customer: &str,
    url: &str,
) -> waypost_domain::MessageId {
    let mut number = crate::rig::number(1_000);
    let sealed = rig.engine.vault().seal("numbers/number-1/notify_auth/mine", "Bearer asked");
    number.notify_auth.insert("mine".to_owned(), sealed);
    rig.engine.put_number(number, PutMode::Replace).await.unwrap();
    let mut ask = send_to(customer, text("hello"));
    ask.dialect = "webex_connect";
    ask.command.options.notify = Some(Notify::new(url, Some("mine".to_owned())));
    rig.engine.send(ask).await.unwrap().outcome.id
}

#[tokio::test]
async fn a_number_may_have_an_address_for_receipts() {
    let rig = Rig::new().await;
    let mut number = crate::rig::number(1_000);
    number.default_notify_url = Some("https://receipts.example.com/".to_owned());
    rig.engine.put_number(number, PutMode::Replace).await.unwrap();
    rig.engine.send(send_to("cust-1", text("other dialect"))).await.unwrap();
    let mut ask = send_to("cust-1", text("hello"));
    ask.dialect = "webex_connect";
    rig.engine.send(ask).await.unwrap();
    until("told", || rig.receivers.count() == 1).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.count_at("https://receipts.example.com/"), 1);
}

#[tokio::test]
async fn a_file_that_does_not_come_is_waited_for_a_minute() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let closed = rig.upstream.gate.write().await;
    rig.receive(vec![sent_file("77", &rig)]).await;
    quiet(&rig).await;
    advance(&rig, 59.0).await;
    assert_eq!(rig.receivers.count(), 0);
    rig.clock.advance(Duration::from_secs(2));
    until("without it", || rig.receivers.count() == 1).await;
    assert_eq!(rig.receivers.got()[0].event("file"), "");
    drop(closed);
}

#[tokio::test]
async fn webhooks_are_told_what_they_asked_for() {
    let rig = Rig::new().await;
    let only = NewWebhook {
        events: BTreeSet::from([EventKind::TemplateStatus]),
        number_id: Some(waypost_domain::NumberId::new("number-1")),
        ..new_webhook(URL, "plain")
    };
    rig.engine.create_webhook::<Failure>(only, None).await.unwrap();
    rig.put_org(org("org-2"), PutMode::Create).await;
    let foreign = NewWebhook {
        org_id: OrgId::new("org-2"),
        ..new_webhook("https://foreign.example.com/", "plain")
    };
    rig.engine.create_webhook::<Failure>(foreign, None).await.unwrap();
    let template = TemplateDetail {
        id: "500".to_owned(),
        name: "hello".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        reason: None,
        waba_id: "100000000000002".to_owned(),
    };
    let at = Some(rig.engine.now());
    let template = UpstreamEvent::Template { template, at };
    rig.receive(vec![written(ANN, "hello", &rig), template.clone()]).await;
    until("told", || rig.receivers.count() == 1).await;
    // The upstream repeats it: the same time, received later.
    rig.clock.advance(Duration::from_secs(10));
    rig.receive(vec![template]).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.texts(), ["APPROVED"]);
}

#[tokio::test]
async fn one_event_is_replayed_to_one_webhook_and_followers_get_it_once() {
    let rig = Rig::new().await;
    let first = hooked(&rig, URL, "plain").await;
    hooked(&rig, "https://second.example.com/", "plain").await;
    let start = rig.engine.last_event().await.unwrap();
    let engine = rig.engine.clone();
    let following =
        tokio::spawn(async move { engine.follow_events(&org_id(), start, LIVELY).await });
    quiet(&rig).await;
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("both", || rig.receivers.count() == 2).await;
    all_made(&rig).await;
    let followed = following.await.unwrap().unwrap();
    assert_eq!(followed.len(), 1);
    let id = followed[0].event.id;
    assert_eq!(rig.engine.event(&org_id(), id).await.unwrap().unwrap().event, followed[0].event);
    assert_eq!(rig.engine.event(&OrgId::new("org-2"), id).await.unwrap(), None);
    let again = Replay::Event(id, Some(first));
    assert_eq!(rig.engine.replay(&org_id(), again).await.unwrap(), 1);
    until("again", || rig.receivers.count_at(URL) == 2).await;
    let again = Replay::Event(id, None);
    assert_eq!(rig.engine.replay(&org_id(), again).await.unwrap(), 2);
    until("again", || rig.receivers.count() == 5).await;
}

#[tokio::test]
async fn secrets_rotate_with_overlap() {
    let rig = Rig::new().await;
    let id = hooked(&rig, URL, "plain").await;
    rig.clock.advance(Duration::from_secs(1));
    rig.engine.rotate_webhook_secret(&org_id(), &id, None, 3_600).await.unwrap();
    rig.receive(vec![written(ANN, "one", &rig)]).await;
    until("one", || rig.receivers.count() == 1).await;
    rig.clock.advance(Duration::from_secs(3_601));
    rig.receive(vec![written(ANN, "two", &rig)]).await;
    until("two", || rig.receivers.count() == 2).await;
    let signatures: Vec<usize> = rig
        .receivers
        .got()
        .iter()
        .map(|got| got.header("webhook-signature").split(' ').count())
        .collect();
    assert_eq!(signatures, [2, 1]);
}

#[tokio::test]
async fn an_address_is_checked_before_it_is_kept_and_can_be_tried() {
    let rig = Rig::new().await;
    for (new, field) in [
        (new_webhook("http://127.0.0.1/", "plain"), "url"),
        (new_webhook(URL, "unheard_of"), "shape"),
    ] {
        let refused = rig.engine.create_webhook::<Failure>(new, None).await.unwrap_err();
        assert_eq!(refused.field.as_deref(), Some(field));
    }
    let id = hooked(&rig, URL, "plain").await;
    rig.receivers.answer(|_| status(418));
    let tested = rig.engine.test_webhook(&org_id(), &id).await.unwrap();
    assert_eq!(tested.status, Some(418));
    assert!(listed(&rig).await.is_empty());
}

#[tokio::test]
async fn a_trial_tells_of_what_the_address_takes() {
    let rig = Rig::new().await;
    let all = EventKind::ALL.map(|kind| (BTreeSet::from([kind]), kind));
    let everything = (BTreeSet::new(), EventKind::MessageDelivered);
    for (events, kind) in all.into_iter().chain([everything]) {
        let new = NewWebhook { events, ..new_webhook(URL, "plain") };
        let id = rig.engine.create_webhook::<Failure>(new, None).await.unwrap().0.id.clone();
        rig.engine.test_webhook(&org_id(), &id).await.unwrap();
        assert_eq!(rig.receivers.got().last().unwrap().event("kind"), kind.as_str());
    }
}
