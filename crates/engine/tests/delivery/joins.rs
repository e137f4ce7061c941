//! A number that organisations share.

use serde_json::json;
use waypost_domain::command::{Caller, SendMessage};
use waypost_domain::directory::Org;
use waypost_domain::{ErrorKind, OrgId};
use waypost_engine::Ask;
use waypost_engine::ports::{Entry, PutMode, StoreError, UpstreamEvent};

use crate::rig::{Rig, inline, number, org, phone, picture, send_to, text};

const PERSON: &str = "15550007777";

fn guest(join_code: Option<&str>) -> Org {
    Org { join_code: join_code.map(str::to_owned), ..org("org-2") }
}

/// A rig whose number is shared with `org-2`.
async fn shared() -> Rig {
    let rig = Rig::new().await;
    let number = waypost_domain::directory::Number { shared: true, ..number(1_000) };
    rig.engine.put_number(number, PutMode::Replace).await.unwrap();
    rig.put_org(guest(Some("eLIPA1")), PutMode::Create).await;
    rig
}

fn wrote(rig: &Rig, body: &str, wamid: &str) -> UpstreamEvent {
    UpstreamEvent::Inbound(rig.inbound(
        PERSON,
        wamid,
        json!({"type": "text", "text": {"body": body}}),
    ))
}

async fn heard_by(rig: &Rig, org_id: &str) -> Vec<String> {
    let (messages, _) = rig.engine.store().message_page(&OrgId::new(org_id), 0, 10).await.unwrap();
    messages.into_iter().filter_map(|logged| logged.message.wamid).collect()
}

/// A message of an organisation to the person.
fn from_org(org_id: &str, mut ask: Ask<SendMessage>) -> Ask<SendMessage> {
    let org_id = OrgId::new(org_id);
    ask.caller = Caller { org_id: Some(org_id.clone()), ..ask.caller };
    ask.command.org_id = org_id;
    ask.command.recipient = waypost_domain::command::Recipient::Phone(phone(PERSON));
    ask
}

#[tokio::test]
async fn a_person_who_texts_the_code_joins_its_organisation() {
    let rig = shared().await;
    rig.receive(vec![wrote(&rig, "who is there?", "wamid.1")]).await;
    rig.receive(vec![wrote(&rig, " ELIPA1 \n", "wamid.2"), wrote(&rig, "hello", "wamid.3")]).await;
    rig.receive(vec![wrote(&rig, "another code", "wamid.4")]).await;
    assert_eq!(heard_by(&rig, "org-1").await, ["wamid.1"]);
    assert_eq!(heard_by(&rig, "org-2").await, ["wamid.4", "wamid.3", "wamid.2"]);
}

#[tokio::test]
async fn windows_of_a_shared_number_are_each_organisations_own() {
    let rig = shared().await;
    rig.receive(vec![wrote(&rig, "elipa1", "wamid.1")]).await;
    let hello = || send_to("cust-1", text("hello"));
    assert!(rig.engine.send(from_org("org-2", hello())).await.is_ok());
    let owner = rig.engine.send(from_org("org-1", hello())).await.unwrap_err();
    assert_eq!(owner.kind, ErrorKind::WindowClosed);
    // Its files are its own, too.
    let picture = from_org("org-2", send_to("cust-1", picture(inline(crate::rig::PNG))));
    assert!(rig.engine.send(picture).await.unwrap().outcome.result.is_ok());
    assert_eq!(rig.upstream.sent_to(), [PERSON, PERSON]);
}

#[tokio::test]
async fn only_who_has_a_code_sends_by_a_shared_number() {
    let rig = shared().await;
    rig.receive(vec![wrote(&rig, "elipa1", "wamid.1")]).await;
    let by_name = || {
        let mut ask = from_org("org-2", send_to("cust-1", text("hello")));
        ask.command.number = Some("+15550009999".to_owned());
        ask
    };
    assert!(rig.engine.send(by_name()).await.is_ok());
    for code in [None, Some("  ")] {
        rig.put_org(guest(code), PutMode::Replace).await;
        let failure = rig.engine.send(by_name()).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::NumberNotFound);
    }
    rig.put_org(guest(Some("elipa1")), PutMode::Replace).await;
    rig.engine.put_number(number(1_000), PutMode::Replace).await.unwrap();
    let failure = rig.engine.send(by_name()).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::NumberNotFound, "it is shared no more");
}

#[tokio::test]
async fn a_code_on_a_number_that_is_not_shared_is_a_text_like_any_other() {
    let rig = shared().await;
    rig.engine.put_number(number(1_000), PutMode::Replace).await.unwrap();
    rig.receive(vec![wrote(&rig, "elipa1", "wamid.1")]).await;
    assert_eq!(heard_by(&rig, "org-1").await, ["wamid.1"]);
}

#[tokio::test]
async fn a_code_belongs_to_one_organisation() {
    let rig = shared().await;
    let directory = rig.engine.directory();
    let third = Org { join_code: Some(" Elipa1".to_owned()), ..org("org-3") };
    let taken = directory.put(Entry::Org(third.clone()), PutMode::Create).await;
    assert_eq!(taken, Err(StoreError::Conflict("join_code")));
    rig.put_org(guest(Some("ELIPA1")), PutMode::Replace).await;
    rig.put_org(guest(Some("elipa2")), PutMode::Replace).await;
    rig.put_org(third, PutMode::Create).await;
    assert_eq!(directory.org_by_join_code("elipa1"), Some(OrgId::new("org-3")));
    assert_eq!(directory.org_by_join_code(" "), None);
}
