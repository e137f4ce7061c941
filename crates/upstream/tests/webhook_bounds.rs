//! How much one webhook may say: far more than Meta's do is not taken apart, and what it says once
//! is not copied to thousands of events where it is long.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use waypost_upstream::webhook::{Event, Unreadable, parse};

/// The most events of a webhook.
const MOST: usize = 10_000;
/// The longest text that is copied to each event, in bytes.
const LONGEST: usize = 1_024;

fn entries(number: usize) -> Value {
    json!({"entry": vec![json!({}); number]})
}

fn changes(number: usize) -> Value {
    json!({"entry": [{"id": "1", "changes": vec![json!({}); number]}]})
}

fn batch(members: &Value) -> Value {
    let mut value = json!({"metadata": {"phone_number_id": "1"}});
    value.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({"entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
}

fn events(webhook: &Value) -> Result<Vec<Event>, Unreadable> {
    parse(webhook.to_string().as_bytes())
}

#[test]
fn a_webhook_says_a_bounded_number_of_things() {
    let status = json!({"id": "wamid.1", "status": "sent"});
    let statuses = |number| batch(&json!({"statuses": vec![status.clone(); number]}));
    let messages = |number| batch(&json!({"messages": vec![json!({}); number]}));
    let errors = |number| batch(&json!({"errors": vec![json!({}); number]}));
    for (what, of) in [
        ("entries", &entries as &dyn Fn(usize) -> Value),
        ("changes", &changes),
        ("statuses", &statuses),
        ("messages", &messages),
        ("errors", &errors),
    ] {
        assert_eq!(events(&of(MOST)).map(|events| events.len()), Ok(MOST), "{what}");
        assert_eq!(events(&of(MOST + 1)), Err(Unreadable::TooMuch), "{what}");
    }
    let mut together = changes(MOST);
    together["entry"].as_array_mut().unwrap().push(json!({}));
    assert_eq!(events(&together), Err(Unreadable::TooMuch));
}

#[test]
fn what_is_copied_to_each_event_is_short() {
    let long = "1".repeat(LONGEST + 1);
    let written = |contact: Value| {
        let message = json!({"id": "wamid.1", "from": "15550001111"});
        let webhook = batch(&json!({"contacts": [contact], "messages": [message]}));
        let events = events(&webhook).unwrap();
        let [Event::Inbound(event)] = &events[..] else { panic!("{events:?}") };
        (**event).clone()
    };
    let contact =
        |text: &str| json!({"profile": {"name": text}, "user_id": text, "identity_key_hash": text});
    let (kept, left) = (written(contact(&long[1..])), written(contact(&long)));
    assert_eq!(kept.profile_name.as_deref(), Some(&long[1..]));
    assert_eq!(kept.user_id.as_deref(), Some(&long[1..]));
    assert_eq!(kept.message["identity_key_hash"], long[1..]);
    assert_eq!((left.profile_name, left.user_id), (None, None));
    assert!(!left.message.to_string().contains(&long), "{}", left.message);
    let number = json!({"metadata": {"phone_number_id": long}, "statuses": [{}, {}]});
    let events = events(&batch(&number)).unwrap();
    assert!(matches!(&events[..], [Event::Other { .. }]), "not one for each status");
    let entry = json!({"entry": [{"id": long, "changes": [{}, {}]}]});
    for event in self::events(&entry).unwrap() {
        assert!(matches!(event, Event::Other { waba_id, .. } if waba_id.is_empty()));
    }
}
