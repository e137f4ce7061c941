//! Fields that the gateway does not act on: what of them is told to the engine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use waypost_domain::Timestamp;
use waypost_engine::ports::NoticeAbout::{self, Account};
use waypost_engine::ports::{UpstreamEvent, UpstreamNotice, WebhookCodec as _};
use waypost_upstream::webhook::Codec;

fn recorded(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks");
    serde_json::from_slice(&fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

fn told(webhook: &Value) -> Vec<UpstreamEvent> {
    Codec.parse(webhook.to_string().as_bytes())
}

fn number() -> NoticeAbout {
    NoticeAbout::Number("100000000000001".to_owned())
}

fn phone() -> NoticeAbout {
    NoticeAbout::Phone("15550009999".to_owned())
}

#[test]
fn a_field_is_passed_on_as_it_came() {
    for (field, about, has_time) in [
        ("user_preferences", number(), false),
        ("history", number(), false),
        ("smb_message_echoes", number(), false),
        ("calls", number(), false),
        ("phone_number_quality_update", phone(), true),
        ("security", phone(), true),
        ("account_update", Account, true),
        ("message_template_quality_update", Account, true),
        ("unheard_of_field", Account, true),
    ] {
        let webhook = recorded(field);
        let expected = UpstreamEvent::Notice(UpstreamNotice {
            waba_id: "100000000000002".to_owned(),
            field: field.to_owned(),
            value: webhook["entry"][0]["changes"][0]["value"].clone(),
            about,
            at: has_time.then_some(Timestamp(1_768_392_100_000)),
        });
        assert_eq!(told(&webhook), [expected], "{field}");
    }
}

#[test]
fn what_names_no_field_or_says_nothing_is_not_passed_on() {
    let longest = "f".repeat(64);
    let beyond = "f".repeat(65);
    for (change, is_told) in [
        (json!({"field": longest, "value": {}}), true),
        (json!({"field": "x", "value": "text"}), true),
        (json!({"field": "x", "value": {"metadata": 7, "display_phone_number": {}}}), true),
        (json!({"field": beyond, "value": {}}), false),
        (json!({"field": "", "value": {}}), false),
        (json!({"field": 7, "value": {}}), false),
        (json!({"field": "x", "value": null}), false),
        (json!({"field": "x"}), false),
        (json!({"field": "messages", "value": {}}), false),
        (json!({"field": "message_template_status_update", "value": {}}), false),
    ] {
        let events = told(&json!({"entry": [{"id": "1", "changes": [change]}]}));
        assert_eq!(matches!(&events[..], [UpstreamEvent::Notice(_)]), is_told, "{events:?}");
        assert_eq!(matches!(&events[..], [UpstreamEvent::Other { .. }]), !is_told, "{events:?}");
    }
}
