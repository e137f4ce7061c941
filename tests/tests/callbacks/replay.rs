//! Making callbacks again: of a span, of one event.

use serde_json::json;

use crate::rig::{Callee, Org, id, texts};

const ANN: &str = "15550001111";

#[tokio::test]
async fn a_span_and_one_event_are_told_again_under_their_ids() {
    let org = Org::start().await;
    let (callee, other) = (Callee::fine().await, Callee::fine().await);
    org.hears("crm", &callee.url()).await;
    org.hears("other", &other.url()).await;
    let sandbox = org.waypost.sandbox();
    for (serial, said) in ["one", "two", "three"].into_iter().enumerate() {
        sandbox.writes(ANN, said).await;
        callee.posts(serial + 1).await;
        sandbox.advance(3_600).await;
    }
    let first = callee.posts(3).await;
    // What is still to be made is not made twice.
    org.nothing_left().await;
    let listed = org.api.all(&org.at("events?kind=message.received")).await;
    let at = |place: usize| listed[place]["timestamp"].clone();
    let event = |place: usize| listed[place]["id"].clone();
    let span = json!({"since": at(1), "until": at(2)});
    assert_eq!(org.replay("crm", span).await, 1);
    assert_eq!(texts(&callee.posts(4).await)[3], "two");
    org.nothing_left().await;
    assert_eq!(org.replay("crm", json!({"since": at(0)})).await, 3);
    assert_eq!(texts(&callee.posts(7).await)[4..], ["one", "two", "three"]);
    org.nothing_left().await;
    assert_eq!(org.replay("crm", json!({"event_id": event(2)})).await, 1);
    let posts = callee.posts(8).await;
    org.nothing_left().await;
    assert_eq!(texts(&posts)[7], "three");
    assert_eq!(id(&posts[7]), id(&first[2]));
    assert_eq!(posts[7].body, first[2].body);
    assert_eq!(posts[7].json()["id"], event(2));
    assert_eq!(other.seen().len(), 3, "only the webhook that asked");
    let path = org.at("webhooks/crm/replay");
    for (wrong, field) in [
        (json!({}), "dead"),
        (json!({"dead": true, "event_id": event(0)}), "dead"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"event_id": "x"}), "event_id"),
        (json!({"event_id": "evt_01890000000070008000000000000000"}), "event_id"),
    ] {
        let refused = org.api.post(&path, &wrong).await.expect(400).json();
        assert_eq!(refused["errors"][0]["field"], field, "{wrong}: {refused}");
    }
}
