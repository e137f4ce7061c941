//! Every type of message, and every way to get one wrong.

use super::super::input::read_value;
use super::*;
use serde_json::json;
use waypost_domain::content::MediaSource;
use waypost_domain::message::{Notify, Priority};
use waypost_domain::unknown::UnknownPolicy;

const NOON: Timestamp = Timestamp(1_800_000_000_000);

fn read(mut value: Value) -> Result<SendMessage, Problem> {
    if value.get("to").is_none() && value.get("customer_id").is_none() {
        value["to"] = json!("+1 555 000 1111");
    }
    read_value::<MessageInput>(value)?.into_command(&OrgId::new("org-1"), NOON)
}

fn fault(value: Value) -> String {
    let shown = value.to_string();
    match read(value) {
        Ok(_) => panic!("was taken: {shown}"),
        Err(problem) => problem.errors()[0].field.clone(),
    }
}

#[test]
fn every_type_of_message_can_be_sent() {
    for (value, type_name) in [
        (json!({"type":"text","text":{"body":"hi","preview_url":true}}), "text"),
        (json!({"type":"image","image":{"id":"1000000000000042","caption":"c"}}), "image"),
        (json!({"type":"video","video":{"link":"https://files.example.com/a.mp4"}}), "video"),
        (json!({"type":"audio","audio":{"id":"1","voice":true}}), "audio"),
        (json!({"type":"document","document":{"id":"1","filename":"../a.pdf"}}), "document"),
        (json!({"type":"sticker","sticker":{"id":"1"}}), "sticker"),
        (json!({"type":"location","location":{"latitude":3.1,"longitude":-101}}), "location"),
        (
            json!({"type":"contacts","contacts":[{"name":{"formatted_name":"J","first_name":"J"}}]}),
            "contacts",
        ),
        (
            json!({"type":"interactive","interactive":{"type":"location_request_message",
                "body":{"text":"Where?"},"action":{"name":"send_location"}}}),
            "interactive",
        ),
        (json!({"type":"reaction","reaction":{"message_id":"wamid.1","emoji":""}}), "reaction"),
        (
            json!({"type":"template","template":{"name":"hello","language":{"code":"en"}}}),
            "template",
        ),
    ] {
        let command = read(value).unwrap();
        assert_eq!(command.content.type_name(), type_name);
    }
}

#[test]
fn the_envelope_says_who_and_by_which_number() {
    let command = read(json!({"type":"text","text":{"body":"hi"},"to":"15550001111",
        "number":"15550002222","user_id":"u-1","session_id":"s-1",
        "biz_opaque_callback_data":"mine","messaging_product":"whatsapp",
        "recipient_type":"individual"}))
    .unwrap();
    assert_eq!(command.recipient, Recipient::Phone(Phone::parse("15550001111").unwrap()));
    assert_eq!(command.number.as_deref(), Some("15550002222"));
    assert_eq!(command.reference.as_deref(), Some("mine"));
    let by_id = read(json!({"type":"text","text":{"body":"hi"},"customer_id":"c-1"})).unwrap();
    assert_eq!(by_id.recipient, Recipient::Customer(CustomerId::new("c-1")));
}

#[test]
fn a_document_keeps_its_cleaned_name_and_its_place() {
    let value = json!({"type":"document",
        "document":{"link":"https://files.example.com/a","provider":"files","filename":"../a.pdf"}});
    let Content::Media(message) = read(value).unwrap().content else { panic!("a file") };
    assert_eq!(message.filename.as_deref(), Some("a.pdf"));
    assert_eq!(message.media.field, "document.link");
    let provider = Some("files".to_owned());
    let url = "https://files.example.com/a".to_owned();
    assert_eq!(message.media.source, MediaSource::Link { url, provider });
}

#[test]
fn refuses_with_the_path_of_the_field() {
    let long = |count: usize| "ü".repeat(count);
    for (value, field) in [
        (json!({}), "type"),
        (json!({"type":"poll"}), "type"),
        (json!({"type":"text"}), "text"),
        (json!({"type":"text","text":{}}), "text.body"),
        (json!({"type":"text","text":{"body":5}}), "text.body"),
        (json!({"type":"text","text":{"body":" "}}), "text.body"),
        (json!({"type":"text","text":{"body":long(4_097)}}), "text.body"),
        (json!({"type":"text","text":{"body":"x","bdoy":1}}), "text.bdoy"),
        (json!({"type":"text","text":{"body":"x"},"image":{"id":"1"}}), "image"),
        (json!({"type":"text","text":{"body":"x"},"to":"123"}), "to"),
        (
            json!({"type":"text","text":{"body":"x"},"to":"15550001111","customer_id":"c"}),
            "customer_id",
        ),
        (json!({"type":"text","text":{"body":"x"},"recipient_type":"group"}), "recipient_type"),
        (json!({"type":"text","text":{"body":"x"},"session_id":long(257)}), "session_id"),
        (
            json!({"type":"text","text":{"body":"x"},"biz_opaque_callback_data":long(513)}),
            "biz_opaque_callback_data",
        ),
        (json!({"type":"image","image":{}}), "image.id"),
        (json!({"type":"image","image":{"id":"1","link":"https://a.example/x"}}), "image.link"),
        (json!({"type":"image","image":{"link":"ftp://a.example/x"}}), "image.link"),
        (json!({"type":"image","image":{"link":"https://"}}), "image.link"),
        (json!({"type":"image","image":{"id":"1","provider":"p"}}), "image.provider"),
        (json!({"type":"image","image":{"id":"1","caption":long(1_025)}}), "image.caption"),
        (json!({"type":"image","image":{"id":"1","filename":"x"}}), "image.filename"),
        (json!({"type":"audio","audio":{"id":"1","caption":"x"}}), "audio.caption"),
        (json!({"type":"video","video":{"id":"1","voice":true}}), "video.voice"),
        (json!({"type":"location","location":{"latitude":91,"longitude":0}}), "location.latitude"),
        (json!({"type":"contacts","contacts":[]}), "contacts"),
        (json!({"type":"contacts","contacts":[{}]}), "contacts[0].name"),
        (
            json!({"type":"contacts","contacts":[{"name":{"formatted_name":"Jane"}}]}),
            "contacts[0].name.first_name",
        ),
        (json!({"type":"interactive","interactive":{"action":{}}}), "interactive.type"),
        (json!({"type":"interactive","interactive":{"type":"list"}}), "interactive.action"),
        (
            json!({"type":"interactive","interactive":{"type":"button","body":{"text":"x"},
                "action":{"buttons":[{"type":"reply","reply":{"id":"1","title":long(21)}}]}}}),
            "interactive.action.buttons[0].reply.title",
        ),
        (
            json!({"type":"reaction","reaction":{"message_id":" ","emoji":"x"}}),
            "reaction.message_id",
        ),
    ] {
        assert_eq!(fault(value.clone()), field, "{value}");
    }
}

#[test]
fn lengths_are_counted_in_characters() {
    assert!(read(json!({"type":"text","text":{"body":"ü".repeat(4_096)}})).is_ok());
    assert!(read(json!({"type":"image","image":{"id":"1","caption":"ü".repeat(1_024)}})).is_ok());
}

#[test]
fn a_message_without_a_receiver_is_refused() {
    let value = json!({"type":"text","text":{"body":"x"}});
    let input: MessageInput = read_value(value).unwrap();
    let problem = input.into_command(&OrgId::new("org-1"), NOON).unwrap_err();
    assert_eq!(problem.errors()[0].field, "to");
}

fn with(name: &str, given: Value) -> Value {
    let mut value = json!({"type":"text","text":{"body":"x"}});
    value[name] = given;
    value
}

#[test]
fn what_is_asked_for_beside_the_content_is_read() {
    let mut value = with("context", json!({"message_id":"wamid.1"}));
    value["recipient_identity_key_hash"] = json!("AAAAAAAAAAA=");
    value["ttl_s"] = json!(60);
    value["priority"] = json!("high");
    value["notify_url"] = json!(" https://example.com/statuses ");
    value["notify_auth_id"] = json!("main");
    value["unknown_policy"] = json!("never_resend");
    let options = read(value).unwrap().options;
    let notify = Notify::new("https://example.com/statuses", Some("main".to_owned()));
    assert_eq!(
        options,
        MessageOptions {
            priority: Priority::High,
            expires_at: Some(NOON.plus_ms(60_000)),
            reply_to: Some("wamid.1".to_owned()),
            identity_key_hash: Some("AAAAAAAAAAA=".to_owned()),
            unknown_policy: Some(UnknownPolicy::NeverResend),
            notify: Some(notify),
            ..MessageOptions::default()
        }
    );
    let at = NOON.plus_ms(3_600_000);
    let options = read(with("expires_at", json!(at.rfc3339()))).unwrap().options;
    assert_eq!(options.expires_at, Some(at));
    assert!(read(with("priority", json!("normal"))).unwrap().options.is_empty());
    let command = read(with("to", json!("US.13491208655302741918"))).unwrap();
    let scoped = Phone::business_scoped("US.13491208655302741918").unwrap();
    assert_eq!(command.recipient, Recipient::Phone(scoped));
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_the_path_of_the_field() {
    let late = NOON.plus_ms(31 * 24 * 3_600_000).rfc3339();
    let mut both = with("ttl_s", json!(60));
    both["expires_at"] = json!(NOON.plus_ms(1_000).rfc3339());
    for (value, field) in [
        (with("context", json!({"message_id":" "})), "context.message_id"),
        (with("recipient_identity_key_hash", json!("")), "recipient_identity_key_hash"),
        (with("expires_at", json!("soon")), "expires_at"),
        (with("expires_at", json!(late)), "expires_at"),
        (with("ttl_s", json!(0)), "ttl_s"),
        (with("ttl_s", json!(2_592_001)), "ttl_s"),
        (both, "ttl_s"),
        (with("priority", json!("urgent")), "priority"),
        (with("notify_url", json!("example.com")), "notify_url"),
        (with("notify_url", json!("ftp://example.com")), "notify_url"),
        (with("notify_auth_id", json!("main")), "notify_auth_id"),
    ] {
        assert_eq!(fault(value.clone()), field, "{value}");
    }
}
