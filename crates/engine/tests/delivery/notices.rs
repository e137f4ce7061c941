//! What the upstream tells and the gateway only passes on: to whom it concerns, once, and to nobody
//! else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waypost_domain::directory::Number;
use waypost_domain::event::{Event, EventDetail, EventKind, NoticeDetail};
use waypost_domain::{Failure, NumberId, OrgId, Timestamp};
use waypost_engine::callbacks::NewWebhook;
use waypost_engine::ports::NoticeAbout::{self, Account};
use waypost_engine::ports::{EventFilter, Page, PutMode, Signer, UpstreamEvent, UpstreamNotice};

use crate::callbacks::{hooked, quiet, until};
use crate::rig::{Rig, number, org, phone};

const PAGE: Page = Page { after: None, limit: 100 };
const ORGS: [&str; 3] = ["org-1", "org-2", "org-3"];
/// The business account of all numbers but the fourth.
const OURS: &str = "100000000000002";
/// The account of the fourth.
const ALONE: &str = "100000000000044";
/// The longest value that is kept with an event, in bytes.
const LONGEST: usize = 64 * 1_024;

/// Four numbers: that of the rig and another one are the first organisation's, which others may share,
/// the third is the second's in the same account, and the fourth the third's in an account of its own.
async fn three_orgs() -> Rig {
    let rig = Rig::new().await;
    for id in &ORGS[1..] {
        rig.put_org(org(id), PutMode::Create).await;
    }
    for (place, owner, waba_id) in [(2, "org-1", OURS), (3, "org-2", OURS), (4, "org-3", ALONE)] {
        let one = Number {
            id: NumberId::new(format!("number-{place}")),
            org_id: OrgId::new(owner),
            display_phone: phone(&format!("1555000999{place}")),
            phone_number_id: phone_number_id(place),
            waba_id: waba_id.to_owned(),
            shared: place == 2,
            ..number(1_000)
        };
        rig.engine.put_number(one, PutMode::Create).await.unwrap();
    }
    rig
}

fn phone_number_id(place: usize) -> String {
    format!("10000000000000{place}")
}

fn of_number(place: usize) -> NoticeAbout {
    NoticeAbout::Number(phone_number_id(place))
}

fn of_phone(text: &str) -> NoticeAbout {
    NoticeAbout::Phone(text.to_owned())
}

fn notice(waba_id: &str, field: &str, about: NoticeAbout, value: Value) -> UpstreamEvent {
    let (waba_id, field) = (waba_id.to_owned(), field.to_owned());
    UpstreamEvent::Notice(UpstreamNotice { waba_id, field, value, about, at: None })
}

async fn told(rig: &Rig, org_id: &str) -> Vec<Event> {
    let filter = EventFilter::default();
    let events = rig.engine.store().events(&OrgId::new(org_id), &filter, PAGE).await.unwrap();
    events.data.into_iter().map(|logged| logged.event).collect()
}

fn detail(event: &Event) -> &NoticeDetail {
    let EventDetail::Notice(notice) = &event.detail else { unreachable!("{event:?}") };
    notice
}

#[tokio::test]
async fn those_are_told_whom_it_concerns() {
    let rig = three_orgs().await;
    let second = || Signer::Numbers(vec![NumberId::new("number-3")]);
    let nobody: &[&str] = &[];
    let table = [
        // Of a number: its owner, whoever shares it or has others in the account.
        (OURS, "user_preferences", of_number(2), Signer::Installation, &ORGS[..1]),
        (OURS, "calls", of_number(3), Signer::Installation, &ORGS[1..2]),
        (OURS, "history", of_number(9), Signer::Installation, nobody),
        (OURS, "security", of_phone("+1 (555) 000-9993"), Signer::Installation, &ORGS[1..2]),
        (OURS, "security", of_phone("15550009994"), Signer::Installation, nobody),
        (OURS, "security", of_phone("no number"), Signer::Installation, nobody),
        // Of an account: those with numbers there, where it is sure to be for all of them.
        (OURS, "account_update", Account, Signer::Installation, &ORGS[..2]),
        (OURS, "message_template_quality_update", Account, Signer::Installation, &ORGS[..2]),
        (OURS, "unheard_of_field", Account, Signer::Installation, nobody),
        (ALONE, "unheard_of_field", Account, Signer::Installation, &ORGS[2..]),
        ("1", "account_update", Account, Signer::Installation, nobody),
        ("", "account_update", Account, Signer::Installation, nobody),
        // Another app's webhooks count for its own numbers.
        (OURS, "calls", of_number(3), second(), &ORGS[1..2]),
        (OURS, "calls", of_number(2), second(), nobody),
        (OURS, "security", of_phone("15550009992"), second(), nobody),
        (OURS, "account_update", Account, second(), &ORGS[1..2]),
        (OURS, "unheard_of_field", Account, second(), nobody),
        (ALONE, "account_update", Account, second(), nobody),
    ];
    for (place, (waba_id, field, about, signer, expected)) in table.into_iter().enumerate() {
        let value = json!({"row": place});
        rig.receive_from(signer, vec![notice(waba_id, field, about, value.clone())]).await;
        for org_id in ORGS {
            let events = told(&rig, org_id).await;
            let new = events.iter().filter(|it| detail(it).value.as_ref() == Some(&value));
            let is_expected = expected.contains(&org_id);
            assert_eq!(new.count(), usize::from(is_expected), "row {place}, {org_id}");
        }
    }
}

#[tokio::test]
async fn an_event_says_of_what_number_or_account_it_tells() {
    let rig = three_orgs().await;
    let value = json!({"b": [1, 0.5, null], "a": "ä"});
    rig.receive(vec![
        notice(OURS, "calls", of_number(3), value.clone()),
        notice(OURS, "security", of_phone("15550009993"), value.clone()),
        notice(OURS, "account_update", Account, value.clone()),
    ])
    .await;
    let events = told(&rig, "org-2").await;
    let number = Some(NumberId::new("number-3"));
    let id = Some(phone_number_id(3));
    let expected = [
        ("calls", number.clone(), id.clone()),
        ("security", number, id),
        ("account_update", None, None),
    ];
    assert_eq!(events.len(), expected.len());
    for (event, (field, number_id, phone_number_id)) in events.iter().zip(expected) {
        let (waba_id, field) = (OURS.to_owned(), field.to_owned());
        let value = Some(value.clone());
        assert_eq!(detail(event), &NoticeDetail { waba_id, phone_number_id, field, value });
        assert_eq!((event.kind, &event.number_id), (EventKind::UpstreamNotice, &number_id));
        assert_eq!(event.at, rig.engine.now(), "when it came: the upstream names no time");
    }
}

#[tokio::test]
async fn a_repetition_is_no_second_event_and_something_else_is_one() {
    let rig = three_orgs().await;
    let change = |field: &str, value: u8, at: Option<i64>| {
        let (waba_id, about) = (ALONE.to_owned(), Account);
        let (field, value, at) = (field.to_owned(), json!({"v": value}), at.map(Timestamp));
        UpstreamEvent::Notice(UpstreamNotice { waba_id, field, value, about, at })
    };
    let different = [
        change("account_update", 1, None),
        change("account_update", 2, None),
        change("account_update", 1, Some(1_000)),
        change("account_update", 1, Some(2_000)),
        change("account_alerts", 1, None),
    ];
    for _ in 0..3 {
        rig.receive(different.to_vec()).await;
        for one in &different {
            rig.receive(vec![one.clone(), one.clone()]).await;
        }
        rig.clock.advance(std::time::Duration::from_secs(3_600));
    }
    assert_eq!(told(&rig, "org-3").await.len(), different.len());
}

#[tokio::test]
async fn a_value_that_is_too_long_is_left_out() {
    let rig = three_orgs().await;
    let text = |bytes: usize| json!("x".repeat(bytes - 2));
    for (value, is_kept) in [
        (text(LONGEST), true),
        (text(LONGEST + 1), false),
        (text(LONGEST + 2), false),
        (text(LONGEST + 2), false),
    ] {
        rig.receive(vec![notice(ALONE, "history", of_number(4), value.clone())]).await;
        let events = told(&rig, "org-3").await;
        assert_eq!(detail(events.last().unwrap()).value, is_kept.then_some(value));
    }
    assert_eq!(told(&rig, "org-3").await.len(), 3, "different ones stay different");
}

#[tokio::test]
async fn webhooks_get_it_that_ask_for_it_or_for_all() {
    let rig = three_orgs().await;
    let webhook = async |path: &str, number: Option<&str>, kinds: &[EventKind]| {
        let new = NewWebhook {
            org_id: OrgId::new("org-1"),
            id: None,
            url: format!("https://receiver.example.com/{path}"),
            shape: "plain".to_owned(),
            number_id: number.map(NumberId::new),
            events: kinds.iter().copied().collect::<BTreeSet<_>>(),
            secret: None,
            header: None,
        };
        rig.engine.create_webhook::<Failure>(new, None).await.unwrap();
    };
    hooked(&rig, "https://receiver.example.com/all", "plain").await;
    webhook("asks", None, &[EventKind::UpstreamNotice]).await;
    webhook("other-kinds", None, &[EventKind::TemplateStatus, EventKind::MessageRead]).await;
    webhook("first", Some("number-1"), &[]).await;
    webhook("second", Some("number-2"), &[]).await;
    rig.receive(vec![
        notice(OURS, "calls", of_number(2), json!({})),
        notice(OURS, "account_update", Account, json!({})),
    ])
    .await;
    until("told", || rig.receivers.count() >= 7).await;
    quiet(&rig).await;
    let mut got: Vec<(String, String)> = rig
        .receivers
        .got()
        .iter()
        .map(|got| (got.url.rsplit('/').next().unwrap().to_owned(), got.event("text").to_owned()))
        .collect();
    got.sort();
    let expected = [
        ("all", "account_update"),
        ("all", "calls"),
        ("asks", "account_update"),
        ("asks", "calls"),
        ("first", "account_update"),
        ("second", "account_update"),
        ("second", "calls"),
    ];
    assert_eq!(got, expected.map(|(path, field)| (path.to_owned(), field.to_owned())));
}
