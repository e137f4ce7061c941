//! Webhooks as Meta sends them, one recorded-like file for each thing that they can say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, Phone, Timestamp};
use waypost_engine::ports::{UpstreamEvent, WebhookCodec as _};
use waypost_upstream::webhook::{Codec, Event, InboundEvent, StatusEvent, Unreadable, parse};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks")
}

fn body(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.json"))).unwrap()
}

fn events(name: &str) -> Vec<Event> {
    parse(&body(name)).unwrap()
}

fn inbound(name: &str) -> InboundEvent {
    let events = events(name);
    let Some(Event::Inbound(event)) = events.first() else { panic!("{name}: {events:?}") };
    (**event).clone()
}

fn status(name: &str) -> StatusEvent {
    let events = events(name);
    let [Event::Status(event)] = &events[..] else { panic!("{name}: {events:?}") };
    (**event).clone()
}

/// File, type, and the id of its file.
const INBOUND: &[(&str, &str, Option<&str>)] = &[
    ("text", "text", None),
    ("text_reply", "text", None),
    ("text_forwarded", "text", None),
    ("text_from_advertisement", "text", None),
    ("text_product_enquiry", "text", None),
    ("text_in_group", "text", None),
    ("text_from_user_name", "text", None),
    ("text_without_contacts", "text", None),
    ("timestamp_as_number", "text", None),
    ("image", "image", Some("1000000000000101")),
    ("video", "video", Some("1000000000000102")),
    ("document", "document", Some("1000000000000103")),
    ("audio", "audio", Some("1000000000000104")),
    ("sticker", "sticker", Some("1000000000000105")),
    ("location", "location", None),
    ("contacts", "contacts", None),
    ("reaction", "reaction", None),
    ("reaction_removed", "reaction", None),
    ("button", "button", None),
    ("interactive_button_reply", "interactive", None),
    ("interactive_list_reply", "interactive", None),
    ("interactive_flow_reply", "interactive", None),
    ("interactive_call_permission_reply", "interactive", None),
    ("interactive_without_object", "interactive", None),
    ("order", "order", None),
    ("system_number_changed", "system", None),
    ("system_identity_changed", "system", None),
    ("edit", "edit", None),
    ("revoke", "revoke", None),
    ("unsupported", "unsupported", None),
    ("request_welcome", "request_welcome", None),
    ("unknown_type", "hologram", None),
];

/// File, Meta's word, what it means, and what went wrong.
const STATUSES: &[(&str, &str, Option<Report>, Option<ErrorKind>)] = &[
    ("status_sent", "sent", Some(Report::Sent), None),
    ("status_delivered", "delivered", Some(Report::Delivered), None),
    ("status_read", "read", Some(Report::Read), None),
    ("status_played", "played", Some(Report::Read), None),
    ("status_deleted", "deleted", None, None),
    ("status_failed", "failed", Some(Report::Failed), Some(ErrorKind::WindowClosed)),
    (
        "status_failed_marketing_cap",
        "failed",
        Some(Report::Failed),
        Some(ErrorKind::RejectedByUpstream),
    ),
    (
        "status_failed_without_errors",
        "failed",
        Some(Report::Failed),
        Some(ErrorKind::RejectedByUpstream),
    ),
    ("status_in_group", "read", Some(Report::Read), None),
];

const OTHERS: &[&str] = &[
    "template_approved",
    "template_rejected",
    "template_paused",
    "account_update",
    "calls",
    "history",
    "message_template_quality_update",
    "phone_number_quality_update",
    "security",
    "smb_message_echoes",
    "unheard_of_field",
    "user_preferences",
    "errors_only",
    "batch_with_broken_parts",
];

#[test]
fn every_recorded_webhook_is_looked_at() {
    let mut known: Vec<String> = INBOUND.iter().map(|row| row.0.to_owned()).collect();
    known.extend(STATUSES.iter().map(|row| row.0.to_owned()));
    known.extend(OTHERS.iter().map(|name| (*name).to_owned()));
    known.sort();
    let mut found: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, known);
}

#[test]
fn every_type_of_inbound_message_is_read() {
    for (name, kind, media_id) in INBOUND {
        let event = inbound(name);
        assert_eq!(event.kind, *kind, "{name}");
        assert_eq!(event.media_id.as_deref(), *media_id, "{name}");
        assert_eq!(event.phone_number_id, "100000000000001", "{name}");
        assert!(event.wamid.starts_with("wamid."), "{name}");
        assert_eq!(event.written_at, Some(Timestamp(1_768_392_000_000)), "{name}");
        let raw: Value = serde_json::from_slice(&body(name)).unwrap();
        let message = &raw["entry"][0]["changes"][0]["value"]["messages"][0];
        assert_eq!(&event.message, message, "{name}: kept as it came");
        if *name != "text_from_user_name" {
            assert_eq!(event.from, Phone::parse("15550001111").ok(), "{name}");
            assert_eq!(event.user_id, None, "{name}");
        }
        let no_contacts = ["system_number_changed", "text_without_contacts"].contains(name);
        let profile = (!no_contacts).then_some("Test User");
        assert_eq!(event.profile_name.as_deref(), profile, "{name}");
    }
}

#[test]
fn the_contacts_identity_is_kept_beside_the_message() {
    let mut raw: Value = serde_json::from_slice(&body("text")).unwrap();
    raw["entry"][0]["changes"][0]["value"]["contacts"][0]["identity_key_hash"] = json!("DF2lS5v2=");
    let events = parse(raw.to_string().as_bytes()).unwrap();
    let Some(Event::Inbound(event)) = events.first() else { panic!("{events:?}") };
    assert_eq!(event.message["identity_key_hash"], "DF2lS5v2=");
}

#[test]
fn the_id_of_a_contact_is_kept_beside_the_message() {
    let id = "US.13491208655302741918";
    let mut raw: Value = serde_json::from_slice(&body("text")).unwrap();
    raw["entry"][0]["changes"][0]["value"]["contacts"][0]["user_id"] = json!(id);
    let events = parse(raw.to_string().as_bytes()).unwrap();
    let Some(Event::Inbound(event)) = events.first() else { panic!("{events:?}") };
    assert_eq!((event.user_id.as_deref(), &event.message["from_user_id"]), (Some(id), &json!(id)));
}

#[test]
fn a_person_without_a_number_is_known_by_id() {
    let event = inbound("text_from_user_name");
    assert_eq!(event.from, None);
    assert_eq!(event.user_id.as_deref(), Some("US.13491208655302741918"));
}

#[test]
fn what_the_engine_is_told_keeps_all_that_its_callers_may_want() {
    let told = |name: &str| Codec.parse(&body(name)).remove(0);
    let UpstreamEvent::Inbound(inbound) = told("text_from_user_name") else { panic!("inbound") };
    let phone = inbound.phone.unwrap();
    assert!(phone.is_business_scoped());
    assert_eq!(phone.digits(), "US.13491208655302741918");
    let UpstreamEvent::Inbound(inbound) = told("text_reply") else { panic!("inbound") };
    assert!(inbound.message["context"]["id"].as_str().unwrap().starts_with("wamid."));
    let UpstreamEvent::Status(notice) = told("status_sent") else { panic!("status") };
    assert_eq!(notice.extra.unwrap()["pricing"]["category"], "utility");
    let UpstreamEvent::Template { template: detail, at } = told("template_rejected") else {
        panic!("template")
    };
    assert_eq!(at, Some(Timestamp(1_768_392_100_000)));
    assert_eq!(detail.id, "1000000000000500");
    assert_eq!(detail.reason.as_deref(), Some("INVALID_FORMAT"));
}

#[test]
fn an_error_beside_a_message_is_kept() {
    let events = events("interactive_without_object");
    let [Event::Inbound(_), Event::Other { field, raw, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(field, "messages");
    assert_eq!(raw["errors"][0]["code"], 131_000);
    assert_eq!(raw["metadata"]["phone_number_id"], "100000000000001");
}

#[test]
fn every_status_is_read() {
    for (name, word, report, kind) in STATUSES {
        let event = status(name);
        assert_eq!(event.status, *word, "{name}");
        assert_eq!(event.report, *report, "{name}");
        assert_eq!(event.failure.map(|failure| failure.kind), *kind, "{name}");
        assert_eq!(event.at, Some(Timestamp(1_768_392_007_000)), "{name}");
        assert_eq!(event.recipient.as_deref(), Some("15550001111"), "{name}");
        assert!(event.wamid.starts_with("wamid.HBgL"), "{name}");
    }
    let token = "wp1.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAA";
    assert_eq!(status("status_sent").opaque.as_deref(), Some(token));
    assert_eq!(status("status_read").opaque, None);
    let extra = status("status_read").extra;
    assert_eq!(extra, Some(json!({"recipient_user_id": "US.13491208655302741918"})));
    let extra = status("status_sent").extra.unwrap();
    assert_eq!(extra["conversation"]["origin"]["type"], "utility");
    assert_eq!(extra["pricing"]["billable"], true);
    assert_eq!(extra.as_object().unwrap().len(), 2);
    let extra = status("status_delivered").extra.unwrap();
    assert_eq!(extra["recipient_identity_key_hash"], "AAAAAAAAAAA=");
    let fault = status("status_failed").failure.unwrap().upstream.unwrap();
    assert_eq!(fault.code, Some(131_047));
    assert!(fault.details.starts_with("Message failed to send because"));
    assert_eq!(fault.http_status, None);
}

#[test]
fn template_updates_are_read() {
    for (name, word, reason) in [
        ("template_approved", "APPROVED", None),
        ("template_rejected", "REJECTED", Some("INVALID_FORMAT")),
        ("template_paused", "PAUSED", Some("NONE")),
    ] {
        let events = events(name);
        let [Event::Template(event)] = &events[..] else { panic!("{name}: {events:?}") };
        assert_eq!((event.status.as_str(), event.reason.as_deref()), (word, reason));
        assert_eq!(event.waba_id, "100000000000002");
        assert_eq!(event.id, "1000000000000500", "a number in webhooks, a text elsewhere");
        assert_eq!((event.name.as_str(), event.language.as_str()), ("abandoned_cart", "en"));
    }
}

#[test]
fn what_is_not_understood_is_kept_raw() {
    let [Event::Other { waba_id, raw, .. }] = &events("errors_only")[..] else { panic!() };
    assert_eq!(waba_id, "100000000000002");
    assert_eq!(raw["errors"][0]["code"], 131_000);
}

#[test]
fn a_broken_part_costs_the_rest_nothing() {
    let events = events("batch_with_broken_parts");
    let good = events.iter().find_map(|event| match event {
        Event::Inbound(inbound) => Some(inbound),
        _ => None,
    });
    let good = good.unwrap();
    assert_eq!(good.wamid, "wamid.GOOD");
    assert_eq!(good.profile_name.as_deref(), Some("Second User"));
    let statuses: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::Status(_))).collect();
    let [Event::Status(status)] = &statuses[..] else { panic!("{statuses:?}") };
    assert_eq!((status.wamid.as_str(), status.at), ("wamid.S", None));
    let others = events.iter().filter(|event| matches!(event, Event::Other { .. })).count();
    assert_eq!(events.len(), others + 2);
    assert_eq!(others, 12, "each broken part is kept");
    for (waba_id, raw) in [("100000000000002", json!("text")), ("", json!(7))] {
        let waba_id = waba_id.to_owned();
        assert!(events.contains(&Event::Other { waba_id, field: String::new(), raw }));
    }
}

#[test]
fn every_json_is_some_event_and_nothing_else_is() {
    for body in ["{}", "[]", "7", "null", "\"text\"", r#"{"entry":7}"#, r#"{"entry":{}}"#] {
        let events = parse(body.as_bytes()).unwrap();
        assert!(matches!(&events[..], [Event::Other { .. }]), "{body}");
    }
    assert_eq!(parse(br#"{"entry":[]}"#), Ok(vec![]));
    for body in ["", "{", "text", "{}{}", "{\"a\":NaN}", &"[".repeat(100_000)] {
        assert_eq!(parse(body.as_bytes()), Err(Unreadable::NotJson), "{body:.20}");
    }
}

#[test]
fn texts_that_are_no_unicode_are_read_with_replacements() {
    let webhook = |text: &[u8]| {
        let name = "\"body\": \"Yes\"";
        let body = String::from_utf8(body("text_reply")).unwrap();
        let (before, after) = body.split_once(name).unwrap();
        [before.as_bytes(), b"\"body\": \"", text, b"\"", after.as_bytes()].concat()
    };
    for (text, read) in [
        (&b"\xff\xfe"[..], "\u{fffd}\u{fffd}"),
        (b"\\ud83d", "\u{fffd}"),
        (b"\\udc4b and \\ud83d\\udc4b", "\u{fffd} and \u{1f44b}"),
        (b"\\ud83dx\\\\ud83d \\n", "\u{fffd}x\\ud83d \n"),
        (b"\\ud83d\\ud83d\\udc4b", "\u{fffd}\u{1f44b}"),
    ] {
        let events = parse(&webhook(text)).unwrap();
        let [Event::Inbound(event)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(event.message["text"]["body"], json!(read));
    }
}

#[test]
fn times_out_of_this_world_are_no_times() {
    for (text, at) in [
        ("1768392000", Some(1_768_392_000_000)),
        ("\"1768392000\"", Some(1_768_392_000_000)),
        ("\"\"", None),
        ("0", None),
        ("-5", None),
        ("1768392000.5", None),
        ("9223372036854775807", None),
        ("1768392000123", None),
        ("null", None),
    ] {
        let body = String::from_utf8(body("text")).unwrap();
        let body = body.replace("\"1768392000\"", text);
        let events = parse(body.as_bytes()).unwrap();
        let [Event::Inbound(event)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(event.written_at, at.map(Timestamp), "{text}");
    }
}
