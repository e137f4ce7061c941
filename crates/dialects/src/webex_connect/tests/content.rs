//! Text, files, places, contact cards and the deprecated `hsm`.

use waypost_domain::MediaSource;
use waypost_domain::content::{Contact, Location, MediaMessage, Parameter};
use waypost_domain::media::MediaKind;

use super::*;

fn member(name: &str) -> String {
    format!("{WA}/{name}")
}

fn file(kind: MediaKind, url: &str) -> MediaMessage<MediaDraft> {
    let source = MediaSource::Link { url: url.to_owned(), provider: None };
    MediaMessage {
        kind,
        media: MediaDraft {
            kind,
            source,
            field: format!("channels.OTT-Messaging.wa.{}.url", kind.as_str()),
        },
        caption: None,
        filename: None,
        voice: false,
    }
}

/// 21, 22
#[test]
fn type_names_the_member_with_the_content() {
    assert_missing(&without(video(), &member("type")), "type");
    assert_missing(&with(video(), &member("type"), json!(" ")), "type");
    assert_missing(&without(video(), &member("video")), "video");
    assert_missing(&with(video(), &member("type"), json!("image")), "image");
    assert_invalid(&with(video(), &member("video"), json!([])), "video");
    sound(&with(video(), &member("type"), json!("VIDEO")));
}

/// 25
#[test]
fn other_types_are_not_offered() {
    for kind in [json!("reaction"), json!("flow"), json!("cta_url"), json!("product"), json!(5)] {
        assert_invalid(&with(video(), &member("type"), kind), "type");
    }
}

/// 23, 24
#[test]
fn a_file_needs_its_address_and_type() {
    for blank in [json!(null), json!(""), json!(" ")] {
        assert_missing(&with(video(), &member("video/url"), blank.clone()), "url");
        assert_missing(&with(video(), &member("video/mimeType"), blank), "mimeType");
    }
    for bad in [
        json!(5),
        json!("ftp://x/y"),
        json!("files.example.com/v.mp4"),
        json!("http:///v.mp4"),
        json!("https://files.example.com/a\nb"),
        json!(format!("https://files.example.com/{}", "x".repeat(8_192))),
    ] {
        assert_invalid(&with(video(), &member("video/url"), bad), "url");
    }
    assert_invalid(&with(video(), &member("video/mimeType"), json!(5)), "mimeType");
}

/// 26, 29, and the seed's samples with their braces filled in.
#[test]
fn files_of_five_kinds_are_read() {
    for (kind, mime_types) in [
        (MediaKind::Image, &["image/jpg", "image/jpeg", "IMAGE/PNG", "image/png; q=1"][..]),
        (MediaKind::Video, &["VIDEO/MP4", "<VIDEO/MP4>", "video/3gp", "< video/3gpp;a=b >"]),
        (MediaKind::Audio, &["audio/aac", "audio/ogg; codecs=opus", "audio/mp4", "audio/amr"]),
        (MediaKind::Document, &["application/pdf", "text/plain", "application/msword"]),
        (MediaKind::Sticker, &["image/WEBP"]),
    ] {
        for mime_type in mime_types {
            let url = "https://files.example.com/a?b=c";
            let wa = json!({
                "type": kind.as_str(), kind.as_str(): {"url": url, "mimeType": mime_type},
            });
            assert_eq!(said(wa), Content::Media(file(kind, url)), "{mime_type}");
        }
    }
}

/// 27
#[test]
fn a_type_that_whatsapp_does_not_take_fails_later() {
    for (kind, mime_type) in [
        ("image", "image/gif"),
        ("image", "image/webp"),
        ("image", "video/mp4"),
        ("sticker", "image/png"),
        ("audio", "audio/x-wav"),
        ("video", "<>"),
        ("document", "application/zip"),
    ] {
        let object = json!({"url": "https://files.example.com/a", "mimeType": mime_type});
        let doom = doom_of(&saying(json!({"type": kind, kind: object})));
        assert_eq!(doom, ("7861".to_owned(), "Unsupported mime type".to_owned()), "{mime_type}");
    }
}

/// 30
#[test]
fn captions_and_names_stand_where_whatsapp_shows_them() {
    for (kind, mime_type, has_caption, has_name) in [
        ("image", "image/png", true, false),
        ("video", "video/mp4", true, false),
        ("audio", "audio/aac", false, false),
        ("document", "application/pdf", true, true),
        ("sticker", "image/webp", false, false),
    ] {
        let object = json!({
            "url": "https://files.example.com/a", "mimeType": mime_type, "caption": "Hi",
            "filename": "Document test",
        });
        let Content::Media(message) = said(json!({"type": kind, kind: object})) else { panic!() };
        assert_eq!(message.caption.is_some(), has_caption, "{kind}");
        assert_eq!(message.filename.is_some(), has_name, "{kind}");
    }
    let long = with(video(), &member("video/caption"), json!("x".repeat(1_025)));
    assert_eq!(doom_of(&long).0, "7722");
    sound(&with(video(), &member("video/caption"), json!("é".repeat(1_024))));
    assert_invalid(&with(video(), &member("video/caption"), json!(5)), "caption");
}

/// 33, 34
#[test]
fn text_and_its_preview() {
    for (beside, inside, preview) in [
        (json!(null), json!(null), false),
        (json!("true"), json!(null), true),
        (json!(true), json!(null), true),
        (json!("FALSE"), json!(true), false),
        (json!(""), json!("true"), true),
        (json!(null), json!(true), true),
    ] {
        let wa = json!({
            "type": "text", "preview_url": beside, "text": {"body": "a\n\"b", "preview_url": inside},
        });
        assert_eq!(said(wa), Content::Text { body: "a\n\"b".to_owned(), preview_url: preview });
    }
    assert_invalid(&with(text(), &member("preview_url"), json!("yes")), "preview_url");
    assert_invalid(&with(text(), &member("preview_url"), json!(1)), "preview_url");
    assert_missing(&with(text(), &member("text"), json!({})), "body");
    assert_invalid(&with(text(), &member("text/body"), json!(5)), "body");
    assert_invalid(&with(text(), &member("text/body"), json!("a\u{0}")), "body");
    sound(&with(text(), &member("text/body"), json!("é".repeat(4_096))));
    let message = one(&with(text(), &member("text/body"), json!("é".repeat(4_097))));
    assert_eq!(
        message.send.content,
        said(json!({"type": "text", "text": {"body": "é".repeat(4_096)}}))
    );
    let words = message.doomed.unwrap().vendor.unwrap();
    assert_eq!((&*words.code, &*words.text), ("7714", "Message too long"));
}

#[test]
fn an_identity_is_passed_on() {
    let hash = |value: Value| {
        sound(&with(video(), &member("identity_key_hash"), value)).options.identity_key_hash
    };
    assert_eq!(hash(json!("AAAA=")).as_deref(), Some("AAAA="));
    assert_eq!(hash(json!("")), None);
    assert_invalid(&with(video(), &member("identity_key_hash"), json!(5)), "identity_key_hash");
}

#[test]
fn places() {
    let place = |longitude: Value, latitude: Value| {
        saying(json!({"type": "location", "location": {
            "longitude": longitude, "latitude": latitude, "name": "Office", "address": "",
        }}))
    };
    let wanted = Content::Location(Location {
        latitude: -1.29,
        longitude: 36.8,
        name: Some("Office".to_owned()),
        address: None,
    });
    assert_eq!(sound(&place(json!(36.8), json!(-1.29))).content, wanted);
    assert_eq!(sound(&place(json!("36.8"), json!(" -1.29 "))).content, wanted);
    for (longitude, latitude) in [(180.5, 0.0), (0.0, -90.5)] {
        assert_eq!(doom_of(&place(json!(longitude), json!(latitude))).0, "7722");
    }
    assert_missing(&place(json!(null), json!(1)), "longitude");
    assert_missing(&place(json!(1), json!("")), "latitude");
    for bad in [json!("NaN"), json!("inf"), json!("1e999"), json!("x"), json!(true)] {
        assert_invalid(&place(json!(1), bad), "latitude");
    }
}

#[test]
fn contact_cards_lose_what_is_empty() {
    let cards = json!([{
        "name": {"formatted_name": "A B", "first_name": "", "last_name": "B"},
        "phones": [{"phone": "15550002222", "type": "CELL", "wa_id": 15_550_002_222_i64}, {}],
        "emails": [], "addresses": [{"street": ""}], "org": {"company": ""}, "urls": null,
        "birthday": "2000-01-31",
    }, {"name": {"formatted_name": "C"}}]);
    let Content::Contacts(read) = said(json!({"type": "contacts", "contacts": cards})) else {
        panic!()
    };
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        json!([
            {"name": {"formatted_name": "A B", "last_name": "B"},
             "phones": [{"phone": "15550002222", "type": "CELL", "wa_id": "15550002222"}],
             "birthday": "2000-01-31"},
            {"name": {"formatted_name": "C", "first_name": "C"}},
        ])
    );
}

#[test]
fn contact_cards_are_bounded() {
    let contacts = |cards: Value| saying(json!({"type": "contacts", "contacts": cards}));
    let card = json!({"name": {"formatted_name": "A"}});
    sound(&contacts(json!(vec![&card; 100])));
    assert_eq!(doom_of(&contacts(json!(vec![&card; 101]))).0, "7722");
    let phones = |count: usize| {
        contacts(json!([{"name": {"formatted_name": "A"},
            "phones": vec![json!({"phone": "15550002222"}); count]}]))
    };
    sound(&phones(20));
    let message = one(&phones(21));
    assert!(message.doomed.is_some());
    let Content::Contacts(cards) = message.send.content else { panic!() };
    let [Contact { phones, .. }] = &cards[..] else { panic!() };
    assert_eq!(phones.len(), 20);
    for (cards, name) in [
        (json!([]), "contacts"),
        (json!([null]), "contacts"),
        (json!([{}]), "name"),
        (json!([{"name": {}}]), "formatted_name"),
    ] {
        assert_missing(&contacts(cards), name);
    }
    assert_invalid(&contacts(json!({})), "contacts");
    assert_invalid(&contacts(json!([{"name": {"formatted_name": "A"}, "phones": {}}])), "phones");
    assert_invalid(&contacts(json!([{"name": {"formatted_name": "A"}, "org": [1]}])), "org");
    let empty = json!([{"name": {"formatted_name": "A"}, "org": []}]);
    let Content::Contacts(cards) = sound(&contacts(empty)).content else { panic!() };
    assert_eq!(cards[0].org, None);
}

#[test]
fn the_old_template_message_is_a_template() {
    let hsm = json!({
        "namespace": "x", "element_name": "order_update",
        "language": {"code": "en", "policy": "deterministic"},
        "localizable_params": [
            {"default": "A-1001"},
            {"default": 5, "currency": {"currency_code": "USD", "amount_1000": 5_000}},
        ],
    });
    let body = saying(json!({"type": "hsm", "hsm": hsm}));
    assert!(one(&body).tells_all_later, "an unknown name is reported by receipt");
    let send = sound(&body);
    assert_eq!(send.binding, None);
    let Content::Template(template) = send.content else { panic!() };
    assert_eq!((&*template.name, template.language.as_deref()), ("order_update", Some("en")));
    let text = |text: &str| Parameter::Text { text: text.to_owned(), name: None };
    assert_eq!(template.components.len(), 1);
    assert_eq!(template.components[0].kind, "body");
    assert_eq!(template.components[0].parameters, [text("A-1001"), text("5")]);
    assert_missing(&without(body.clone(), &member("hsm/element_name")), "element_name");
    assert_missing(&with(body.clone(), &member("hsm/localizable_params/0"), json!({})), "default");
    let bare = without(without(body, &member("hsm/localizable_params")), &member("hsm/language"));
    let Content::Template(template) = sound(&bare).content else { panic!() };
    assert_eq!((template.language, template.components.len()), (None, 0));
    let many =
        json!({"element_name": "x", "localizable_params": vec![json!({"default": "x"}); 257]});
    assert_eq!(doom_of(&saying(json!({"type": "hsm", "hsm": many}))).0, "7804");
}
