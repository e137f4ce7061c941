//! Webhooks that another app than the installation's has signed count for the numbers that belong to
//! it, and for no others.

use serde_json::json;
use waypost_domain::directory::Number;
use waypost_domain::event::{EventDetail, TemplateDetail};
use waypost_domain::message::Direction;
use waypost_domain::status::Report;
use waypost_domain::{NumberId, OrgId, Status};
use waypost_engine::ports::{
    EventFilter, Inbound, MessageFilter, Page, PutMode, Signer, StatusNotice, UpstreamEvent,
};

use crate::rig::{Rig, number, org, phone, send_to, text};

const PAGE: Page = Page { after: None, limit: 100 };
/// The secret of the other app.
const THEIRS: &str = "their secret";

/// With a second organisation, whose two numbers belong to another app, each in an account of its own.
async fn two_apps() -> Rig {
    let rig = Rig::new().await;
    rig.put_org(org("org-2"), PutMode::Create).await;
    for place in ["2", "3"] {
        let id = format!("number-{place}");
        let sealed = rig.engine.vault().seal(&format!("numbers/{id}/app_secret"), THEIRS);
        let theirs = Number {
            id: NumberId::new(&id),
            org_id: OrgId::new("org-2"),
            display_phone: phone(&format!("1555000999{place}")),
            phone_number_id: place.repeat(15),
            waba_id: format!("waba-{place}"),
            app_secret: Some(sealed),
            ..number(1_000)
        };
        rig.engine.put_number(theirs, PutMode::Create).await.unwrap();
    }
    rig
}

fn ours() -> String {
    number(1).phone_number_id
}

fn theirs() -> String {
    "2".repeat(15)
}

fn written_to(phone_number_id: String, rig: &Rig) -> UpstreamEvent {
    let wamid = format!("wamid.to-{phone_number_id}");
    let message = json!({"type": "text", "text": {"body": "hi"}});
    let inbound = rig.inbound("15550001111", wamid, message);
    UpstreamEvent::Inbound(Inbound { phone_number_id, ..inbound })
}

fn status_of(wamid: &str, phone_number_id: String, report: Report) -> UpstreamEvent {
    UpstreamEvent::Status(StatusNotice {
        phone_number_id,
        wamid: wamid.to_owned(),
        opaque: None,
        report: Some(report),
        at: None,
        failure: None,
        extra: None,
    })
}

fn template_of(waba_id: &str) -> UpstreamEvent {
    let template = TemplateDetail {
        id: "1".to_owned(),
        name: "hello_world".to_owned(),
        language: "en_US".to_owned(),
        status: "PAUSED".to_owned(),
        reason: None,
        waba_id: waba_id.to_owned(),
    };
    UpstreamEvent::Template { template, at: None }
}

fn other_of(waba_id: &str) -> UpstreamEvent {
    UpstreamEvent::Other { waba_id: waba_id.to_owned(), field: "security".to_owned() }
}

fn theirs_only(ids: &[&str]) -> Option<Signer> {
    Some(Signer::Numbers(ids.iter().map(|id| NumberId::new(*id)).collect()))
}

#[tokio::test]
async fn an_app_s_secret_is_good_for_what_is_about_its_own_numbers() {
    let rig = two_apps().await;
    let all = Some(Signer::Installation);
    let account = number(1).waba_id;
    let table = [
        ("secret", vec![written_to(ours(), &rig)], all.clone()),
        ("secret", vec![written_to(theirs(), &rig)], all.clone()),
        ("secret", vec![], all),
        (THEIRS, vec![written_to(theirs(), &rig)], theirs_only(&["number-2"])),
        (THEIRS, vec![status_of("x", theirs(), Report::Read)], theirs_only(&["number-2"])),
        (THEIRS, vec![template_of("waba-3")], theirs_only(&["number-3"])),
        (THEIRS, vec![other_of("waba-3")], theirs_only(&["number-3"])),
        (
            THEIRS,
            vec![written_to(ours(), &rig), template_of("waba-3"), written_to(theirs(), &rig)],
            theirs_only(&["number-2", "number-3"]),
        ),
        (THEIRS, vec![written_to(ours(), &rig)], None),
        (THEIRS, vec![status_of("x", ours(), Report::Read)], None),
        (THEIRS, vec![template_of(&account)], None),
        (THEIRS, vec![other_of(&account), other_of("")], None),
        (THEIRS, vec![], None),
        ("a secret of nobody", vec![written_to(theirs(), &rig)], None),
    ];
    for (place, (secret, events, expected)) in table.into_iter().enumerate() {
        let mut signer = rig.engine.webhook_signer(&rig.webhook(events), secret);
        if let Some(Signer::Numbers(ids)) = &mut signer {
            ids.sort();
        }
        assert_eq!(signer, expected, "row {place}");
    }
}

#[tokio::test]
async fn a_secret_that_was_changed_is_good_for_nothing_any_more() {
    let rig = two_apps().await;
    let two = NumberId::new("number-2");
    let mut changed = Number::clone(&rig.engine.directory().number(&two).unwrap());
    changed.app_secret = Some(rig.engine.vault().seal("numbers/number-2/app_secret", "new"));
    rig.engine.put_number(changed, PutMode::Replace).await.unwrap();
    let body = rig.webhook(vec![written_to(theirs(), &rig)]);
    assert_eq!(rig.engine.webhook_signer(&body, THEIRS), None);
    assert_eq!(rig.engine.webhook_signer(&body, "new"), theirs_only(&["number-2"]));
}

#[tokio::test]
async fn what_the_signer_does_not_speak_for_is_left_out_and_the_rest_is_taken() {
    let rig = two_apps().await;
    let sent = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    let (id, wamid) = (sent.id, sent.result.unwrap().wamid);
    let events = vec![
        written_to(ours(), &rig),
        status_of(&wamid, ours(), Report::Read),
        // Their number, and a message of ours.
        status_of(&wamid, theirs(), Report::Read),
        template_of(&number(1).waba_id),
        template_of("waba-2"),
        written_to(theirs(), &rig),
    ];
    rig.receive_from(theirs_only(&["number-2"]).unwrap(), events.clone()).await;
    assert_eq!((inbound_of("org-1", &rig).await, templates_of("org-1", &rig).await), (0, 0));
    assert_eq!((inbound_of("org-2", &rig).await, templates_of("org-2", &rig).await), (1, 1));
    assert_eq!(rig.stored(id).await.status, Status::Sent);
    rig.receive(events).await;
    assert_eq!((inbound_of("org-1", &rig).await, templates_of("org-1", &rig).await), (1, 1));
    assert_eq!(rig.stored(id).await.status, Status::Read);
}

async fn inbound_of(org_id: &str, rig: &Rig) -> usize {
    let filter = MessageFilter { direction: Some(Direction::Inbound), ..MessageFilter::default() };
    rig.engine.store().messages(&OrgId::new(org_id), &filter, PAGE).await.unwrap().data.len()
}

async fn templates_of(org_id: &str, rig: &Rig) -> usize {
    let filter = EventFilter::default();
    let events = rig.engine.store().events(&OrgId::new(org_id), &filter, PAGE).await.unwrap();
    let templates =
        events.data.iter().filter(|logged| matches!(logged.event.detail, EventDetail::Template(_)));
    templates.count()
}
