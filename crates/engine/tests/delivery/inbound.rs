//! What people write.

use serde_json::json;
use waypost_domain::directory::Number;
use waypost_domain::message::Direction;
use waypost_domain::{ErrorKind, NumberId, OrgId};
use waypost_engine::ports::{
    CustomerFilter, EntryKey, Inbound, MessageFilter, Page, PutMode, UpstreamEvent,
};

use crate::rig::{LIVELY, Rig, number, phone, send_to, text};
use crate::scripted::ENDLESS;

/// The upstream's id of a number beside the first.
const OTHER_NUMBER: &str = "100000000000003";

fn written(from: &str, wamid: &str, rig: &Rig) -> UpstreamEvent {
    UpstreamEvent::Inbound(Inbound {
        profile_name: Some("Ann".to_owned()),
        ..rig.inbound(from, wamid, json!({"type": "text", "text": {"body": "hi"}}))
    })
}

async fn inbound_count(rig: &Rig) -> usize {
    let filter = MessageFilter { direction: Some(Direction::Inbound), ..MessageFilter::default() };
    let page = Page { after: None, limit: 100 };
    rig.engine.store().messages(&OrgId::new("org-1"), &filter, page).await.unwrap().data.len()
}

#[tokio::test]
async fn a_message_opens_the_window() {
    let rig = Rig::new().await;
    let closed = rig.engine.send(send_to("cust-2", text("hello"))).await.unwrap_err();
    assert_eq!(closed.kind, ErrorKind::WindowClosed);
    rig.receive(vec![written("15550002222", "wamid.in1", &rig)]).await;
    assert!(rig.engine.send(send_to("cust-2", text("hello"))).await.is_ok());
    rig.clock.advance(std::time::Duration::from_secs(86_400));
    let closed = rig.engine.send(send_to("cust-2", text("hello"))).await.unwrap_err();
    assert_eq!(closed.kind, ErrorKind::WindowClosed);
}

#[tokio::test]
async fn the_same_message_twice_is_one() {
    let rig = Rig::new().await;
    let event = written("15550002222", "wamid.in1", &rig);
    rig.receive(vec![event.clone(), event.clone()]).await;
    rig.receive(vec![event]).await;
    assert_eq!(inbound_count(&rig).await, 1);
}

#[tokio::test]
async fn somebody_unknown_becomes_a_customer() {
    let rig = Rig::new().await;
    rig.receive(vec![written("15550007777", "wamid.in1", &rig)]).await;
    let filter = CustomerFilter { phone: Some(phone("15550007777")), ..CustomerFilter::default() };
    let page = Page { after: None, limit: 10 };
    let found =
        rig.engine.store().customers(&OrgId::new("org-1"), &filter, page).await.unwrap().data;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name.as_deref(), Some("Ann"));
}

#[tokio::test]
async fn files_that_people_send_are_kept() {
    // Meta lets people send documents of every type, and businesses of some.
    for (id, mime_type) in [("77", "text/plain"), ("7.zip", "application/octet-stream")] {
        let rig = Rig::new().await;
        rig.receive(vec![document(id, &rig)]).await;
        let org_id = OrgId::new("org-1");
        let page = Page { after: None, limit: 10 };
        let kept = async {
            while rig.engine.store().media_list(&org_id, page).await.unwrap().data.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(LIVELY, kept).await.is_ok(), "{id}");
        let files = rig.engine.store().media_list(&org_id, page).await.unwrap().data;
        assert_eq!(files[0].filename.as_deref(), Some("a.txt"));
        assert_eq!(files[0].mime_type.as_str(), mime_type);
        assert_eq!(files[0].size, format!("bytes of {id}").len() as u64);
    }
}

fn document(id: &str, rig: &Rig) -> UpstreamEvent {
    document_to("100000000000001", id, rig)
}

fn document_to(phone_number_id: &str, id: &str, rig: &Rig) -> UpstreamEvent {
    UpstreamEvent::Inbound(Inbound {
        phone_number_id: phone_number_id.to_owned(),
        ..rig.inbound(
            "15550001111",
            format!("wamid.of-{id}"),
            json!({"type": "document", "document": {"id": id, "filename": "a.txt"}}),
        )
    })
}

#[tokio::test]
async fn many_files_at_once_are_all_kept() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    for id in 0..50 {
        rig.receive(vec![document(&id.to_string(), &rig)]).await;
    }
    drop(closed);
    let all = async {
        while rig.engine.metrics().media_stored < 50 {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(LIVELY, all).await;
    assert!(done.is_ok(), "{} of 50", rig.engine.metrics().media_stored);
}

async fn add_other_number(rig: &Rig) {
    let number = Number {
        id: NumberId::new("number-2"),
        phone_number_id: OTHER_NUMBER.to_owned(),
        display_phone: phone("15550009998"),
        ..number(1_000)
    };
    rig.engine.put_number(number, PutMode::Create).await.unwrap();
}

#[tokio::test]
async fn files_that_are_refused_hold_up_no_other() {
    for (kind, of_whom) in [
        (ErrorKind::UpstreamAuth, OTHER_NUMBER),
        (ErrorKind::RateLimited, OTHER_NUMBER),
        (ErrorKind::UpstreamUnavailable, "100000000000001"),
        (ErrorKind::MediaRejected, "100000000000001"),
    ] {
        let rig = Rig::new().await;
        add_other_number(&rig).await;
        let closed = rig.upstream.gate.write().await;
        for id in 0..40 {
            rig.upstream.refused_files.lock().insert(id.to_string(), kind);
            rig.receive(vec![document(&id.to_string(), &rig)]).await;
        }
        let to = |id: &str| document_to(of_whom, id, &rig);
        rig.receive(vec![to("good")]).await;
        drop(closed);
        for (stored, late) in [(1, "late"), (2, "later")] {
            let kept = async {
                while rig.engine.metrics().media_stored < stored {
                    tokio::task::yield_now().await;
                }
            };
            let done = tokio::time::timeout(LIVELY, kept).await;
            assert!(done.is_ok(), "{kind:?}: {stored}");
            rig.receive(vec![to(late)]).await;
        }
    }
}

#[tokio::test]
async fn files_that_are_slow_hold_up_no_other() {
    for (slow, of_whom) in [(1, "100000000000001"), (70, OTHER_NUMBER)] {
        let rig = Rig::new().await;
        add_other_number(&rig).await;
        for id in 0..slow {
            rig.receive(vec![document(&format!("{ENDLESS}-{id}"), &rig)]).await;
        }
        for id in 0..20 {
            rig.receive(vec![document_to(of_whom, &id.to_string(), &rig)]).await;
        }
        let all = async {
            while rig.engine.metrics().media_stored < 20 {
                tokio::task::yield_now().await;
            }
        };
        let done = tokio::time::timeout(LIVELY, all).await;
        assert!(done.is_ok(), "behind {slow}: {} of 20", rig.engine.metrics().media_stored);
    }
}

#[tokio::test]
async fn a_webhook_that_cannot_be_applied_holds_up_none_behind_it() {
    let rig = Rig::new().await;
    // As in the middle of a removal: the organisation is in memory and no longer in the store.
    let org = EntryKey::Org(OrgId::new("org-1"));
    assert!(rig.engine.store().remove_entry(org).await.unwrap());
    let applied = rig.receive(vec![written("15550007777", "wamid.in1", &rig)]);
    let done = tokio::time::timeout(LIVELY, applied).await;
    assert!(done.is_ok(), "the inbox goes on");
}
