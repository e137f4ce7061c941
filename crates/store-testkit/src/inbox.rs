//! Webhooks and inbound messages.

use bytes::Bytes;
use serde_json::json;
use waypost_domain::command::MessageType;
use waypost_domain::message::Direction;
use waypost_domain::{Content, CustomerId, MediaId, NumberId, OrgId, Status};
use waypost_engine::ports::{
    Addressed, CustomerFilter, Entry, EntryKey, InboundMessage, Page, Signer,
};

use crate::Harness;
use crate::samples::{START, Stage, at, customer, inbound, message, number_id, org, org_id, phone};

pub async fn webhooks_wait_in_order_until_they_are_closed(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut ids = Vec::new();
    for place in 0..4_u8 {
        let body = Bytes::from(vec![place, 0xFF, 0x00]);
        let signer = Signer::Installation;
        ids.push(stage.store.store_webhook(body, signer, at(place.into())).await.unwrap());
    }
    assert!(ids.is_sorted());
    let stage = stage.reopen(harness).await;
    let open = async |after| {
        let entries = stage.store.open_webhooks(after, 10).await.unwrap();
        entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    let first = &stage.store.open_webhooks(0, 1).await.unwrap()[0];
    assert_eq!((&first.body[..], first.received_at), (&[0, 0xFF, 0][..], START));
    assert_eq!(open(0).await, ids);
    assert_eq!(open(ids[1]).await, ids[2..]);
    stage.store.close_webhooks(vec![ids[0], ids[2]], false).await.unwrap();
    stage.store.close_webhooks(vec![ids[3]], true).await.unwrap();
    stage.store.close_webhooks(vec![ids[3]], true).await.unwrap();
    assert_eq!(open(0).await, [ids[1]]);
    let (body, signer) = (Bytes::from_static(b"{}"), Signer::Installation);
    let newer = stage.store.store_webhook(body, signer, at(9)).await.unwrap();
    assert!(newer > ids[3], "a place is never given twice");
}

pub async fn a_webhook_is_kept_with_its_signer(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let of_other_apps = [vec![number_id()], vec![NumberId::new("a\"b"), number_id()]];
    let mut signers = vec![Signer::Installation];
    signers.extend(of_other_apps.map(Signer::Numbers));
    for signer in signers.clone() {
        stage.store.store_webhook(Bytes::from_static(b"{}"), signer, START).await.unwrap();
    }
    let stage = stage.reopen(harness).await;
    let entries = stage.store.open_webhooks(0, 10).await.unwrap();
    assert_eq!(entries.into_iter().map(|entry| entry.signer).collect::<Vec<_>>(), signers);
}

pub async fn an_inbound_message_makes_the_customer_and_opens_the_window(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let written = inbound(1, "wamid.1");
    assert!(stage.store.record_inbound(written.clone(), at(700)).await.unwrap());
    let stage = stage.reopen(harness).await;
    let message = stage.message(written.id).await;
    assert_eq!(message.direction, Direction::Inbound);
    assert_eq!((message.message_type, message.status), (MessageType::User, Status::Received));
    assert_eq!((message.dialect.as_str(), message.created_at), ("cloud_api", at(700)));
    assert_eq!(message.wamid.as_deref(), Some("wamid.1"));
    assert_eq!(message.content, Content::Inbound(written.content));
    assert_eq!(message.customer_id, Some(CustomerId::new("new-1")));
    let made = stage.store.customer(&org_id(), &CustomerId::new("new-1")).await.unwrap().unwrap();
    assert_eq!((made.name.as_deref(), made.active), (Some("Profile 1"), true));
    assert_eq!((made.phone, made.last_inbound_at), (phone(1), Some(at(500))));
    let recipient =
        stage.store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await.unwrap();
    assert_eq!(recipient.last_inbound_at, Some(at(500)));
}

pub async fn an_inbound_message_finds_the_customer_who_is_known(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("known", 2)).await.unwrap();
    let from_known = inbound(2, "wamid.2");
    assert!(stage.store.record_inbound(from_known.clone(), at(700)).await.unwrap());
    let known = CustomerId::new("known");
    assert_eq!(stage.message(from_known.id).await.customer_id, Some(known.clone()));
    let kept = stage.store.customer(&org_id(), &known).await.unwrap().unwrap();
    assert_eq!((kept.name.as_deref(), kept.last_inbound_at), (Some("Person 2"), Some(at(500))));
    let page = Page { after: None, limit: 10 };
    let all = stage.store.customers(&org_id(), &CustomerFilter::default(), page).await.unwrap();
    assert_eq!(all.data.len(), 1);
}

pub async fn an_hour_that_is_still_to_come_opens_the_window_from_now(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut written = inbound(1, "wamid.1");
    written.written_at = at(99_999_999_999);
    stage.store.record_inbound(written, at(700)).await.unwrap();
    let recipient =
        stage.store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await.unwrap();
    assert_eq!(recipient.last_inbound_at, Some(at(700)));
    assert_eq!(recipient.customer.unwrap().last_inbound_at, Some(at(700)));
    let mut again = inbound(1, "wamid.2");
    again.written_at = at(99_999_999_999);
    stage.store.record_inbound(again, at(800)).await.unwrap();
    let recipient =
        stage.store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await.unwrap();
    assert_eq!(recipient.last_inbound_at, Some(at(800)));
    assert_eq!(recipient.customer.unwrap().last_inbound_at, Some(at(800)));
}

pub async fn an_inbound_message_is_recorded_once(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    // An outbound message with the same upstream id is another message.
    stage.send(&message(1), "wamid.1").await;
    assert!(stage.store.record_inbound(inbound(1, "wamid.1"), at(1)).await.unwrap());
    for _ in 0..3 {
        let repeated = InboundMessage { written_at: at(900_000), ..inbound(1, "wamid.1") };
        assert!(!stage.store.record_inbound(repeated, at(2)).await.unwrap());
    }
    assert_eq!(stage.list(&waypost_engine::ports::MessageFilter::default()).await.len(), 2);
}

pub async fn an_older_message_does_not_move_the_window_back(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (wamid, written_ms) in [("wamid.1", 5_000), ("wamid.2", 1_000)] {
        let written = InboundMessage { written_at: at(written_ms), ..inbound(1, wamid) };
        stage.store.record_inbound(written, at(6_000)).await.unwrap();
    }
    let recipient =
        stage.store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await.unwrap();
    assert_eq!(recipient.last_inbound_at, Some(at(5_000)));
    assert_eq!(recipient.customer.unwrap().last_inbound_at, Some(at(5_000)));
}

pub async fn a_window_can_be_renewed_without_a_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (renewed_ms, expected_ms) in [(1_000, 1_000), (3_000, 3_000), (2_000, 3_000)] {
        stage.store.renew_window(&org_id(), &number_id(), &phone(1), at(renewed_ms)).await.unwrap();
        let recipient =
            stage.store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await.unwrap();
        assert_eq!(recipient.last_inbound_at, Some(at(expected_ms)));
        assert_eq!(recipient.customer, None);
    }
}

pub async fn inbound_files_are_fetched_once(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut picture = inbound(1, "wamid.1");
    picture.content.kind = "image".to_owned();
    picture.content.message = json!({"type": "image", "image": {"id": "77", "sha256": "x"}});
    let mut lost = picture.clone();
    lost.id = crate::samples::new_message_id();
    lost.wamid = "wamid.2".to_owned();
    for inbound in [&picture, &lost, &inbound(1, "wamid.3")] {
        stage.store.record_inbound(inbound.clone(), at(700)).await.unwrap();
    }
    let open = async |written_after_ms, after, limit| {
        let written_after = at(written_after_ms);
        let number = number_id();
        stage.store.inbound_without_media(&number, written_after, after, limit).await.unwrap()
    };
    let first = open(0, 0, 1).await.remove(0);
    assert_eq!((first.org_id, first.number_id), (org_id(), number_id()));
    assert_eq!((first.message_id, &first.content), (picture.id, &picture.content));
    let behind = open(0, first.place, 10).await;
    assert_eq!(behind.iter().map(|file| file.message_id).collect::<Vec<_>>(), [lost.id]);
    assert!(open(0, behind[0].place, 10).await.is_empty());
    assert!(open(500, 0, 10).await.is_empty(), "too old to be there any more");
    let other = NumberId::new("another");
    let of_another = stage.store.inbound_without_media(&other, at(0), 0, 10).await.unwrap();
    assert!(of_another.is_empty(), "sent to another number");
    let file = MediaId::new("1000000000000001");
    stage.store.attach_inbound_media(picture.id, Some(file.clone())).await.unwrap();
    stage.store.attach_inbound_media(lost.id, None).await.unwrap();
    assert!(open(0, 0, 10).await.is_empty());
    let Content::Inbound(stored) = stage.message(picture.id).await.content else {
        panic!("an inbound message stays one");
    };
    assert_eq!((stored.media, stored.message), (Some(file), picture.content.message));
}

pub async fn a_person_is_heard_by_the_organisation_last_joined(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let guest = OrgId::new("guest");
    stage.put(Entry::Org(org("guest"))).await;
    let joined = async || stage.store.joined_org(&number_id(), &phone(1)).await;
    assert_eq!(joined().await.unwrap(), None);
    let join = |wamid| InboundMessage {
        org_id: guest.clone(),
        addressed: Addressed::Joining,
        ..inbound(1, wamid)
    };
    let to_joined = |wamid| InboundMessage { addressed: Addressed::Joined, ..inbound(1, wamid) };
    let back = InboundMessage { addressed: Addressed::Joining, ..inbound(1, "wamid.4") };
    let of_another = InboundMessage { addressed: Addressed::Joined, ..inbound(2, "wamid.6") };
    for (written, org_id) in [
        (to_joined("wamid.1"), org_id()),
        (join("wamid.2"), guest.clone()),
        (to_joined("wamid.3"), guest.clone()),
        (back, org_id()),
        (to_joined("wamid.5"), org_id()),
        (of_another, org_id()),
    ] {
        assert!(stage.store.record_inbound(written.clone(), at(700)).await.unwrap());
        let found = stage.store.message(&org_id, written.id).await.unwrap();
        assert!(found.is_some(), "{} is recorded for {org_id}", written.wamid);
    }
    // The same message again joins nobody.
    assert!(!stage.store.record_inbound(join("wamid.2"), at(800)).await.unwrap());
    assert_eq!(joined().await.unwrap(), Some(org_id()));
    for org_id in [org_id(), guest.clone()] {
        let recipient =
            stage.store.recipient_by_phone(&org_id, &phone(1), &number_id()).await.unwrap();
        assert_eq!(recipient.last_inbound_at, Some(at(500)));
        assert!(recipient.customer.is_some());
    }
    let never = stage.store.recipient_by_phone(&guest, &phone(2), &number_id()).await.unwrap();
    assert_eq!((never.last_inbound_at, never.customer), (None, None));
}

pub async fn who_joined_a_removed_organisation_is_heard_by_the_owner(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("guest"))).await;
    let guest = OrgId::new("guest");
    let join = InboundMessage {
        org_id: guest.clone(),
        addressed: Addressed::Joining,
        ..inbound(1, "wamid.1")
    };
    assert!(stage.store.record_inbound(join, at(700)).await.unwrap());
    assert_eq!(stage.store.joined_org(&number_id(), &phone(1)).await, Ok(Some(guest.clone())));
    assert!(stage.store.remove_entry(EntryKey::Org(guest)).await.unwrap());
    assert_eq!(stage.store.joined_org(&number_id(), &phone(1)).await, Ok(None));
    let next = InboundMessage { addressed: Addressed::Joined, ..inbound(1, "wamid.2") };
    assert!(stage.store.record_inbound(next.clone(), at(700)).await.unwrap());
    assert_eq!(stage.message(next.id).await.org_id, org_id());
}
