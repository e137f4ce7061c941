//! Messages from people, as they are posted.

use waypost_domain::callback::{CallbackShape, CallbackSite};
use waypost_domain::content::InboundContent;
use waypost_domain::directory::Number;
use waypost_domain::event::{EventDetail, EventFile, EventKind, QuotedMessage, ReceivedDetail};
use waypost_domain::{MediaId, MessageId, Phone, Zone};

use super::receipts::{TRANSID, event, message};
use super::*;
use crate::webex_connect::WebexConnectEvents;

const AT: &str = "2026-01-11T15:52:12.980Z";

fn number() -> Number {
    serde_json::from_value(json!({
        "id": "100000000000001", "org_id": ORG, "display_phone": "15550009999",
        "phone_number_id": "100000000000001", "waba_id": "100000000000002",
        "app_id": "a_100000000000000001", "created_at": 0,
    }))
    .unwrap()
}

fn received(kind: &str, object: Value) -> ReceivedDetail {
    let content = InboundContent { kind: kind.to_owned(), message: object, media: None };
    let mut message = message(Content::Inbound(content));
    message.id = MessageId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bd0").unwrap();
    message.wa_id = Some("15550001111".to_owned());
    message.options.echo = None;
    ReceivedDetail { message, profile_name: Some("Test User".to_owned()), quoted: None, file: None }
}

fn body(detail: ReceivedDetail, number: Option<&Number>) -> String {
    let event = event(EventKind::MessageReceived, EventDetail::Received(Box::new(detail)), AT);
    assert!(WebexConnectEvents.tells(&event));
    let zone = Zone::default();
    String::from_utf8(WebexConnectEvents.encode(&[&event], &CallbackSite { number, zone: &zone }))
        .unwrap()
}

fn posted(detail: ReceivedDetail) -> Value {
    serde_json::from_str(&body(detail, Some(&number()))).unwrap()
}

fn file(mime_type: &str, filename: Option<&str>) -> Option<EventFile> {
    Some(EventFile {
        id: MediaId::new("1000000000000042"),
        url: "https://waypost.example.com/f/1".to_owned(),
        mime_type: mime_type.to_owned(),
        sha256: String::new(),
        filename: filename.map(str::to_owned),
    })
}

fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

#[test]
fn a_text_is_posted_as_the_vendor_shows() {
    let detail = received("text", json!({"type": "text", "text": {"body": "hello"}}));
    let fixture = include_str!("../fixtures/inbound_text.json");
    assert_eq!(body(detail, Some(&number())), fixture.trim_end());
}

/// 60
#[test]
fn an_image_is_one_attachment_in_a_string() {
    let object = json!({"type": "image", "image": {"caption": "Hi", "mime_type": "x", "id": "1"}});
    let detail = ReceivedDetail { file: file("image/jpeg", None), ..received("image", object) };
    let fixture = include_str!("../fixtures/inbound_image.json");
    assert_eq!(body(detail, Some(&number())), fixture.trim_end());
}

#[test]
fn every_kind_of_file_is_an_attachment() {
    for (kind, filename, shown) in [
        ("video", None, None),
        ("audio", Some("a.ogg"), None),
        ("sticker", None, None),
        ("document", Some("a.pdf"), Some("a.pdf")),
    ] {
        let object = json!({"type": kind, kind: {"mime_type": "x/y"}});
        let file = file("x/z", filename);
        let detail = ReceivedDetail { file, ..received(kind, object.clone()) };
        let attachments = inner(&posted(detail)["attachments"]);
        let mut wanted = json!([
            {"mime_type": "x/z", "caption": "", "url": "https://waypost.example.com/f/1"},
        ]);
        if let Some(name) = shown {
            wanted[0]["filename"] = json!(name);
        }
        assert_eq!(attachments, wanted);
        let unfetched = inner(&posted(received(kind, object))["attachments"]);
        assert_eq!((&unfetched[0]["mime_type"], &unfetched[0]["url"]), (&json!("x/y"), &json!("")));
    }
    let unlisted = json!({"type": "document", "document": {"mime_type": "application/zip"}});
    let file = file("application/octet-stream", Some("a.zip"));
    let detail = ReceivedDetail { file, ..received("document", unlisted) };
    assert_eq!(inner(&posted(detail)["attachments"])[0]["mime_type"], "application/zip");
    let named = json!({"type": "document", "document": {"filename": "b.pdf"}});
    assert_eq!(inner(&posted(received("document", named))["attachments"])[0]["filename"], "b.pdf");
}

#[test]
fn places_and_contacts_are_json_in_strings() {
    let place = json!({"latitude": -1.29, "longitude": 36.8, "url": "https://x.example.com"});
    let posted_place = posted(received("location", json!({"type": "location", "location": place})));
    let wanted = "{\"latitude\":-1.29,\"longitude\":36.8,\"name\":\"\",\"address\":\"\"}";
    assert_eq!(posted_place["location"], wanted);
    let cards = json!([{"name": {"formatted_name": "A B"}, "phones": []}]);
    let object = json!({"type": "contacts", "contacts": cards});
    assert_eq!(inner(&posted(received("contacts", object))["contacts"]), cards);
    assert_eq!(posted(received("contacts", json!({"contacts": 5})))["contacts"], "[]");
}

#[test]
fn choices_carry_their_id() {
    for (kind, chosen, description) in [
        ("list_reply", json!({"id": "r1", "title": "Row 1", "description": "..."}), "..."),
        ("button_reply", json!({"id": "r1", "title": "Row 1"}), ""),
    ] {
        let object = json!({"type": "interactive", "interactive": {"type": kind, kind: chosen}});
        let posted = posted(received("interactive", object));
        for (name, value) in [
            ("event", "MO"),
            ("message", "Row 1"),
            ("replyType", kind),
            ("replyId", "r1"),
            ("replyTitle", "Row 1"),
            ("replyDescription", description),
        ] {
            assert_eq!(posted[name], value, "{kind} {name}");
        }
    }
}

#[test]
fn a_templates_button_is_a_postback() {
    let object = json!({"type": "button", "button": {"payload": "Y", "text": "Yes"}});
    let posted = posted(received("button", object));
    for (name, value) in
        [("event", "OnPostback"), ("payload", "Y"), ("buttonText", "Yes"), ("message", "Yes")]
    {
        assert_eq!(posted[name], value);
    }
    assert_eq!(posted.get("replyType"), None);
}

#[test]
fn a_reaction_names_our_message_where_we_know_it() {
    let object = json!({"type": "reaction", "reaction": {"message_id": "wamid.y", "emoji": "👍"}});
    let unknown = posted(received("reaction", object.clone()));
    assert_eq!((&unknown["message"], &unknown["reactionTo"]), (&json!("👍"), &json!("wamid.y")));
    let quoted = |wamid: &str| {
        Some(QuotedMessage {
            id: MessageId::parse(TRANSID).unwrap(),
            wamid: wamid.to_owned(),
            reference: None,
            echo: None,
        })
    };
    let known =
        ReceivedDetail { quoted: quoted("wamid.y"), ..received("reaction", object.clone()) };
    assert_eq!(posted(known)["reactionTo"], TRANSID);
    let other = ReceivedDetail { quoted: quoted("wamid.z"), ..received("reaction", object) };
    assert_eq!(posted(other)["reactionTo"], "wamid.y");
    let taken_back = json!({"reaction": {"message_id": "wamid.y"}});
    assert_eq!(posted(received("reaction", taken_back))["message"], "");
}

#[test]
fn what_the_vendor_has_no_word_for_is_unsupported() {
    for (kind, object) in [
        ("order", json!({})),
        ("unsupported", json!({"errors": []})),
        ("interactive", json!({"interactive": {"type": "nfm_reply", "nfm_reply": {"body": "x"}}})),
        ("interactive", json!(5)),
    ] {
        let posted = posted(received(kind, object));
        assert_eq!((&posted["message"], &posted["system"]), (&json!(""), &json!("unsupported")));
    }
}

#[test]
fn people_without_a_number_have_a_user_id() {
    let object = json!({"text": {"body": "x"}, "from_user_id": "US.1349"});
    let both = posted(received("text", object.clone()));
    assert_eq!((&both["waid"], &both["userId"]), (&json!("15550001111"), &json!("US.1349")));
    let mut scoped = received("text", object);
    scoped.message.phone = Phone::business_scoped("US.1350").unwrap();
    scoped.message.wa_id = None;
    let posted = posted(scoped);
    assert_eq!((&posted["waid"], &posted["userId"]), (&json!(""), &json!("US.1350")));
}

#[test]
fn a_number_without_an_app_id_is_named_by_the_upstreams() {
    let nameless = Number { app_id: None, ..number() };
    for (number, app_id) in [(Some(&nameless), "100000000000001"), (None, "")] {
        let mut detail = received("text", json!({"text": {"body": "x"}}));
        detail.profile_name = None;
        let posted: Value = serde_json::from_str(&body(detail, number)).unwrap();
        assert_eq!((&posted["appId"], &posted["username"]), (&json!(app_id), &json!("")));
    }
}
