//! What people said about being written to.

use serde_json::json;
use waypost_domain::command::Recipient;
use waypost_domain::customer::ConsentOrigin;
use waypost_domain::directory::Org;
use waypost_domain::manage::ConsentEntry;
use waypost_domain::{ErrorKind, OrgId, Phone};
use waypost_engine::ports::{Inbound, PutMode, UpstreamEvent};

use crate::rig::{Rig, broadcast_of, org, phone, send_to, template};

fn says(digits: &str, opted_in: bool) -> ConsentEntry {
    let origin = ConsentOrigin { source: Some("WEB".to_owned()), ..ConsentOrigin::default() };
    ConsentEntry { phone: phone(digits), opted_in, origin }
}

fn written(rig: &Rig, digits: &str, user_id: Option<Phone>, wamid: &str) -> UpstreamEvent {
    UpstreamEvent::Inbound(Inbound {
        user_id,
        ..rig.inbound(digits, wamid, json!({"type": "text", "text": {"body": "hi"}}))
    })
}

#[tokio::test]
async fn a_no_counts_by_whatever_name_its_person_is_written_to() {
    let (number, id) = (phone("15550002222"), Phone::business_scoped("US.1349ab").unwrap());
    for said_as in [&number, &id] {
        let rig = Rig::new().await;
        rig.approve_template("hello_world");
        rig.receive(vec![written(&rig, number.digits(), Some(id.clone()), "wamid.in")]).await;
        let no = ConsentEntry { phone: said_as.clone(), ..says(number.digits(), false) };
        assert!(rig.engine.record_consents(&OrgId::new("org-1"), vec![no]).await.unwrap());
        for name in [&number, &id] {
            let mut ask = send_to("cust-2", template("hello_world"));
            ask.command.recipient = Recipient::Phone(name.clone());
            let blocked = rig.engine.send(ask).await.unwrap_err();
            assert_eq!(blocked.kind, ErrorKind::RecipientBlocked, "{said_as:?} {name:?}");
        }
        let reached = rig.engine.broadcast(broadcast_of("hello_world"), 60).await.unwrap();
        assert_eq!(reached.outcome.deliveries.len(), 2, "{said_as:?}: all but one");
    }
}

#[tokio::test]
async fn a_word_is_found_by_number_and_counts_from_then_on() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let org_id = OrgId::new("org-1");
    let record = async |entries| rig.engine.record_consents(&org_id, entries).await.unwrap();
    let find = async |digits| rig.engine.find_consent(&org_id, &phone(digits)).await.unwrap();
    assert_eq!(find("15550001111").await, None);
    assert!(record(vec![says("15550001111", true), says("15550006666", true)]).await);
    assert!(!record(vec![says("15550006666", true), says("15550001111", true)]).await);
    let found = find("15550006666").await.unwrap();
    assert_eq!((found.opted_in, found.at), (true, rig.engine.now()));
    assert_eq!(found.origin.source.as_deref(), Some("WEB"));
    assert!(rig.engine.send(send_to("cust-1", template("hello_world"))).await.is_ok());
    assert!(record(vec![says("15550001111", false)]).await);
    let blocked = rig.engine.send(send_to("cust-1", template("hello_world"))).await.unwrap_err();
    assert_eq!(blocked.kind, ErrorKind::RecipientBlocked);
    assert!(!find("15550001111").await.unwrap().opted_in);
}

#[tokio::test]
async fn where_a_yes_is_demanded_to_have_written_is_one() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.put_org(Org { strict_opt_in: true, ..org("org-1") }, PutMode::Replace).await;
    let blocked = rig.engine.send(send_to("cust-2", template("hello_world"))).await.unwrap_err();
    assert_eq!(blocked.kind, ErrorKind::RecipientBlocked);
    let no = vec![says("15550003333", false)];
    assert!(rig.engine.record_consents(&OrgId::new("org-1"), no).await.unwrap());
    for (place, digits) in ["15550002222", "15550003333"].into_iter().enumerate() {
        rig.receive(vec![written(&rig, digits, None, &format!("wamid.in{place}"))]).await;
    }
    assert!(rig.engine.send(send_to("cust-2", template("hello_world"))).await.is_ok());
    let blocked = rig.engine.send(send_to("cust-3", template("hello_world"))).await.unwrap_err();
    assert_eq!(blocked.kind, ErrorKind::RecipientBlocked, "a no is not taken back by writing");
    let reached = rig.engine.broadcast(broadcast_of("hello_world"), 60).await.unwrap().outcome;
    let reached: Vec<&str> =
        reached.deliveries.iter().map(|delivery| delivery.phone.digits()).collect();
    assert_eq!(reached, ["15550002222"]);
}
