//! A copy of everything at one instant, taken while others write.

use futures_util::StreamExt as _;
use waypost_domain::MediaId;
use waypost_domain::media::MimeType;
use waypost_engine::ports::{MediaRecord, Sha256Hex, Snapshot};

use crate::Harness;
use crate::samples::{START, Stage, at, message, org_id};

fn media(place: u8, content: &str, size: u64) -> MediaRecord {
    MediaRecord {
        id: MediaId::new(format!("10000000000000{place:02}")),
        org_id: org_id(),
        sha256: Sha256Hex::from_stored(content.repeat(64)),
        size,
        mime_type: MimeType::parse("image/png").unwrap(),
        filename: None,
        public_name: format!("unguessable-{place}"),
        created_at: START,
        expires_at: at(1_000),
    }
}

/// All bytes of a copy.
pub async fn bytes_of(snapshot: &dyn Snapshot) -> Vec<u8> {
    let mut stream = snapshot.read().unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

pub async fn a_copy_names_each_content_once_and_in_order(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (place, content, size) in [(1, "b", 2), (2, "a", 1), (3, "b", 2), (4, "c", 3)] {
        stage.store.add_media(media(place, content, size), None).await.unwrap();
    }
    let snapshot = stage.store.snapshot().await.unwrap();
    stage.store.add_media(media(5, "d", 4), None).await.unwrap();
    let content = |text: &str| Sha256Hex::from_stored(text.repeat(64));
    let first = snapshot.contents(None, 2).await.unwrap();
    assert_eq!(first, [(content("a"), 1), (content("b"), 2)]);
    let rest = snapshot.contents(Some(content("b")), 2).await.unwrap();
    assert_eq!(rest, [(content("c"), 3)], "what came later is not in it");
}

pub async fn copies_are_whole_while_others_write(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for last in 0..50 {
        stage.queue(&message(last)).await;
    }
    let writing = async {
        for last in 50..150 {
            stage.queue(&message(last)).await;
        }
    };
    let copying = async {
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let snapshot = stage.store.snapshot().await.unwrap();
            let bytes = bytes_of(&*snapshot).await;
            assert_eq!(bytes.len() as u64, snapshot.size());
            sizes.push(snapshot.size());
        }
        sizes
    };
    let ((), sizes) = tokio::join!(writing, copying);
    assert!(sizes.is_sorted() && sizes[0] > 0);
    assert_eq!(stage.due(at(1)).await.len(), 150);
}

pub async fn a_store_that_was_never_restored_holds_nothing_back(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.queue(&message(1)).await;
    assert_eq!(stage.store.held_back().await.unwrap(), Default::default());
    let resumed = stage.store.resume_held_back(at(1)).await.unwrap();
    assert_eq!(resumed, Default::default());
    stage.store.forget_held_back().await.unwrap();
    assert_eq!(stage.due(at(1)).await.len(), 1);
}
