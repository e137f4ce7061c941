//! What must not hold up who has nothing to do with it: addresses that are down, deleted messages.

use std::time::Duration;

use waypost_domain::OrgId;
use waypost_engine::ports::PostError;

use crate::callbacks::{ANN, hooked, quiet, until, written};
use crate::receivers::status;
use crate::rig::Rig;

fn org_id() -> OrgId {
    OrgId::new("org-1")
}

#[tokio::test]
async fn addresses_that_are_down_take_nobodys_place() {
    /// As many as an organisation's addresses are worked for at the same time.
    const DOWN: usize = 128;
    const UP: &str = "https://up.example.com/";
    let rig = Rig::new().await;
    for place in 0..DOWN {
        hooked(&rig, &format!("https://down-{place}.example.com/"), "plain").await;
    }
    rig.receivers.answer(|got| match got.url.as_str() {
        UP => status(200),
        _ => Err(PostError::Failed("no connection".to_owned())),
    });
    let people = |count| (0..count).map(|place| format!("1555{place:07}"));
    rig.receive(people(12).map(|from| written(&from, &from, &rig)).collect()).await;
    until("all are only probed", || rig.receivers.count() >= 10 * DOWN).await;
    quiet(&rig).await;
    hooked(&rig, UP, "plain").await;
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("told", || rig.receivers.count_at(UP) == 1).await;
}

#[tokio::test]
async fn who_follows_passes_what_tells_of_deleted_messages() {
    let rig = Rig::new().await;
    for round in 0..3 {
        let some = (0..50).map(|place| format!("1555{:07}", round * 50 + place));
        rig.receive(some.map(|from| written(&from, &from, &rig)).collect()).await;
    }
    let store = rig.engine.store();
    let mut after = Some(0);
    while let Some(place) = after {
        let before = rig.engine.now().plus_ms(1);
        after = store.prune_messages(&org_id(), before, place).await.unwrap().next;
    }
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    let found = rig.engine.follow_events(&org_id(), 0, Duration::from_secs(1)).await.unwrap();
    assert_eq!(found.len(), 2, "the last one, which stays, and the new one");
}
