//! Records of media and the upstream's copies.

use waypost_domain::media::MimeType;
use waypost_domain::{MediaId, NumberId, OrgId};
use waypost_engine::ports::{
    Accepted, Entry, IdempotentTarget, MediaRecord, Page, Sha256Hex, StoreError, UpstreamCopy,
};

use crate::Harness;
use crate::samples::{ORG, START, Stage, at, claim, number, number_id, org, org_id};

fn record(place: u8, content: &str) -> MediaRecord {
    MediaRecord {
        id: MediaId::new(format!("10000000000000{place:02}")),
        org_id: org_id(),
        sha256: Sha256Hex::from_stored(content.repeat(64)),
        size: 5_000_000_000,
        mime_type: MimeType::parse("image/png").unwrap(),
        filename: Some("ü.png".to_owned()),
        public_name: format!("unguessable-{place}"),
        created_at: START,
        expires_at: at(1_000),
    }
}

pub async fn a_file_is_found_by_id_and_by_public_name_until_it_expires(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    let file = record(1, "a");
    assert_eq!(stage.store.add_media(file.clone(), None).await, Ok(Accepted::New));
    let stage = stage.reopen(harness).await;
    for (now, found) in [(at(999), true), (at(1_000), false)] {
        let expected = found.then(|| file.clone());
        assert_eq!(stage.store.media(&org_id(), &file.id, now).await.unwrap(), expected);
        let by_name = stage.store.media_by_public_name(&file.public_name, now).await.unwrap();
        assert_eq!(by_name, expected);
        let expired = stage.store.expired_media(now, 10).await.unwrap();
        assert_eq!(expired.contains(&(org_id(), file.id.clone())), !found);
    }
    assert_eq!(stage.store.media(&OrgId::new("other"), &file.id, START).await.unwrap(), None);
    assert_eq!(stage.store.media_by_public_name("guess", START).await.unwrap(), None);
    let twin = MediaRecord { public_name: "another".to_owned(), ..file.clone() };
    assert_eq!(stage.store.add_media(twin, None).await, Err(StoreError::Conflict("id")));
}

pub async fn files_are_listed_in_the_order_of_upload(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for place in [3, 1, 2] {
        stage.store.add_media(record(place, "a"), None).await.unwrap();
    }
    let page = Page { after: None, limit: 2 };
    let first = stage.store.media_list(&org_id(), page).await.unwrap();
    assert_eq!(first.data, [record(3, "a"), record(1, "a")]);
    let rest = Page { after: first.next, limit: 2 };
    let second = stage.store.media_list(&org_id(), rest).await.unwrap();
    assert_eq!((second.data, second.next), (vec![record(2, "a")], None));
}

pub async fn the_last_record_of_a_content_tells_so(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    let foreign = MediaRecord { org_id: OrgId::new("other"), ..record(3, "a") };
    for file in [record(1, "a"), record(2, "b"), foreign.clone()] {
        stage.store.add_media(file, None).await.unwrap();
    }
    let delete = async |org: &OrgId, id: MediaId| stage.store.delete_media(org, &id).await.unwrap();
    assert_eq!(delete(&org_id(), foreign.id.clone()).await, None, "it is another's");
    assert_eq!(delete(&org_id(), record(1, "a").id).await, Some((record(1, "a"), false)));
    assert_eq!(delete(&org_id(), record(1, "a").id).await, None);
    assert_eq!(delete(&org_id(), record(2, "b").id).await, Some((record(2, "b"), true)));
    assert_eq!(delete(&foreign.org_id, foreign.id.clone()).await, Some((foreign.clone(), true)));
}

pub async fn an_upload_is_claimed_like_a_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = stage.store.add_media(record(1, "a"), Some(claim("k", 1))).await.unwrap();
    assert_eq!(first, Accepted::New);
    let again = stage.store.add_media(record(2, "a"), Some(claim("k", 1))).await.unwrap();
    let target = IdempotentTarget::Media(record(1, "a").id);
    assert_eq!(again, Accepted::Replay { fingerprint: [1; 32], target });
    let page = Page { after: None, limit: 9 };
    assert_eq!(stage.store.media_list(&org_id(), page).await.unwrap().data.len(), 1);
}

pub async fn the_upstreams_copy_is_per_content_type_and_number(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let other = NumberId::new("100000000000002");
    stage.put(Entry::Number(number(other.as_str(), ORG))).await;
    let content = Sha256Hex::from_stored("a".repeat(64));
    let png = MimeType::parse("image/png").unwrap();
    let webp = MimeType::parse("image/webp").unwrap();
    let copy = |id: &str| UpstreamCopy { upstream_id: id.to_owned(), expires_at: at(1_000) };
    for id in ["first", "second"] {
        stage.store.put_upstream_copy(&content, &png, &number_id(), copy(id)).await.unwrap();
    }
    let find = async |mime: &MimeType, number: &NumberId, now_ms| {
        let found = stage.store.upstream_copy(&content, mime, number, at(now_ms)).await.unwrap();
        found.map(|copy| copy.upstream_id)
    };
    assert_eq!(find(&png, &number_id(), 999).await.as_deref(), Some("second"));
    assert_eq!(find(&png, &number_id(), 1_000).await, None, "it can be sent no more");
    assert_eq!(find(&webp, &number_id(), 0).await, None);
    assert_eq!(find(&png, &other, 0).await, None);
    stage.store.forget_upstream_copy(&content, &other).await.unwrap();
    assert!(find(&png, &number_id(), 0).await.is_some());
    stage.store.forget_upstream_copy(&content, &number_id()).await.unwrap();
    assert_eq!(find(&png, &number_id(), 0).await, None);
}
