//! What waits for files and for earlier callbacks is told as soon as it may be; and final answers
//! count as answers.

use serde_json::json;
use waypost_engine::callbacks::{DeadCallbacks, Replay};
use waypost_engine::ports::{PutMode, UpstreamEvent};

use crate::callbacks::{ANN, URL, all_made, hooked, listed, quiet, until, written};
use crate::receivers::status;
use crate::rig::{Rig, send_to, text};

const RECEIPTS: &str = "https://receipts.example.com/";

/// A document, whose file is fetched.
fn document(id: &str, rig: &Rig) -> UpstreamEvent {
    let document =
        json!({"type": "document", "document": {"id": id, "filename": format!("{id}.txt")}});
    UpstreamEvent::Inbound(rig.inbound(ANN, format!("wamid.{id}"), document))
}

#[tokio::test]
async fn a_file_is_waited_for_and_what_the_person_wrote_next_too() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let closed = rig.upstream.gate.write().await;
    rig.receive(vec![document("77", &rig)]).await;
    rig.receive(vec![written(ANN, "look at it", &rig), written("15550002222", "hi", &rig)]).await;
    until("the other person", || rig.receivers.count() == 1).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.texts(), ["hi"]);
    drop(closed);
    // The courier looks again when the file has come.
    until("all", || rig.receivers.count() == 3).await;
    let got = rig.receivers.got();
    assert!(got[1].event("file").starts_with("https://waypost.example.com/media/"));
    assert!(got[1].event("file").ends_with(".txt"));
    assert_eq!(got[2].event("text"), "look at it");
}

#[tokio::test]
async fn files_sent_close_together_are_all_told_with_their_addresses() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let closed = rig.upstream.gate.write().await;
    for place in 0..6 {
        rig.receive(vec![document(&format!("7{place}"), &rig)]).await;
    }
    quiet(&rig).await;
    drop(closed);
    until("all", || rig.receivers.count() == 6).await;
    for got in rig.receivers.got() {
        assert!(got.event("file").ends_with(".txt"), "{:?}", got.body);
    }
}

#[tokio::test]
async fn a_file_that_comes_while_an_earlier_callback_is_on_its_way_is_told_after_it() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "plain").await;
    let receiver = rig.receivers.gate(URL);
    let closed = receiver.write().await;
    rig.receive(vec![written(ANN, "one", &rig)]).await;
    until("on its way", || rig.receivers.count() == 1).await;
    let not_fetched = rig.upstream.gate.write().await;
    rig.receive(vec![document("77", &rig), written(ANN, "three", &rig)]).await;
    quiet(&rig).await;
    drop(not_fetched);
    quiet(&rig).await;
    drop(closed);
    until("the rest, at once", || rig.receivers.count() == 3).await;
    assert_eq!(rig.receivers.texts(), ["one", "", "three"]);
    assert!(rig.receivers.got()[1].event("file").ends_with(".txt"));
}

#[tokio::test]
async fn a_final_answer_does_not_make_an_address_be_probed_and_what_it_did_not_take_can_be_replayed()
 {
    const MESSAGES: usize = 24;
    let rig = Rig::new().await;
    let mut number = crate::rig::number(1_000);
    number.default_notify_url = Some(RECEIPTS.to_owned());
    rig.engine.put_number(number, PutMode::Replace).await.unwrap();
    rig.receivers.answer(|_| status(404));
    for _ in 0..MESSAGES {
        let mut ask = send_to("cust-1", text("hello"));
        ask.dialect = "webex_connect";
        rig.engine.send(ask).await.unwrap();
    }
    until("all told", || rig.receivers.count() == MESSAGES).await;
    all_made(&rig).await;
    quiet(&rig).await;
    let org_id = waypost_domain::OrgId::new("org-1");
    assert!(!rig.engine.callback_health(&org_id).await.unwrap()[0].is_only_probed);
    let dead = listed(&rig).await;
    assert!(dead.iter().all(|one| one.is_dead && one.attempts == 1));
    rig.receivers.answer(|_| status(200));
    let replay = async |which| rig.engine.replay(&org_id, Replay::AnyDead(which)).await.unwrap();
    let event_id = Some(dead[3].event_id);
    assert_eq!(replay(DeadCallbacks { event_id, ..DeadCallbacks::default() }).await, 1);
    let server = |url: &str| DeadCallbacks { server: Some(url.to_owned()), ..Default::default() };
    assert_eq!(replay(server("https://other.example.com")).await, 0);
    assert_eq!(replay(server(RECEIPTS)).await, MESSAGES as u64 - 1);
    until("all again", || rig.receivers.count() == 2 * MESSAGES).await;
    all_made(&rig).await;
    assert!(listed(&rig).await.is_empty());
}
