//! Text, media and location.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Location, MediaMessage};
use waypost_domain::media::MediaKind;
use waypost_domain::{Content, MediaId, MediaSource};

use super::*;

const ATTACHMENT: &str = "/message/0/type_media/0/attachments/0";

fn media_of(body: &Value) -> MediaMessage<MediaDraft> {
    match sent(body).content {
        Content::Media(message) => message,
        other => panic!("{other:?}"),
    }
}

fn attachment(body: Value, name: &str, value: Value) -> Value {
    with(body, &format!("{ATTACHMENT}/{name}"), value)
}

/// 3, 21, 22
#[test]
fn a_text_has_content() {
    let place = "/message/0/type_text/0";
    for (preview, shown) in
        [(json!("false"), false), (json!("True"), true), (json!(true), true), (json!(7), false)]
    {
        let body = with(text(), &format!("{place}/preview_url"), preview);
        let expected = Content::Text { body: "hello".to_owned(), preview_url: shown };
        assert_eq!(sent(&body).content, expected);
    }
    assert_refused(&without_field(text(), "type_text"), "8001", MISSING);
    assert_refused(&without(text(), &format!("{place}/content")), "8001", MISSING);
    for wrong in [json!({}), json!(null), json!(""), json!(" "), json!(5), json!(["x"])] {
        assert_refused(&with(text(), &format!("{place}/content"), wrong), "8001", MISSING);
    }
    for wrong in [json!("x"), json!([]), json!([null]), json!(["x"]), json!(1)] {
        assert_refused(&with_field(text(), "type_text", wrong), "8001", MISSING);
    }
    let two = with_field(text(), "type_text", json!([{"content": "a"}, {"content": "b"}]));
    assert_refused(&two, "8006", " type_text can contain only one element");
}

/// 35
#[test]
fn a_text_has_at_most_4096_code_points() {
    let place = "/message/0/type_text/0/content";
    sent(&with(text(), place, json!("ü".repeat(4_096))));
    let long = with(text(), place, json!("ü".repeat(4_097)));
    assert_refused(&long, "8006", " content cannot be greater than 4096 characters");
}

/// 1
#[test]
fn a_file_that_was_uploaded_says_itself_what_it_is() {
    for id in [MID.to_owned(), MID.to_uppercase(), format!(" {MID} "), "1000000000000042".into()] {
        let message = media_of(&attachment(media_id(), "attachment_id", json!(id)));
        let expected = MediaSource::IdOfItsKind(MediaId::new("1000000000000042"));
        assert_eq!(message.media.source, expected);
        assert_eq!(message.caption.as_deref(), Some("your invoice"));
    }
    let both = attachment(media_id(), "attachment_url", json!("ftp://x"));
    let both = attachment(both, "attachment_type", json!("gif"));
    assert_eq!(media_of(&both), media_of(&media_id()));
}

/// 25
#[test]
fn an_unknown_file_is_refused_at_once() {
    let id = json!("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be0");
    let message = media_of(&attachment(media_id(), "attachment_id", id.clone()));
    assert_eq!(message.media.source, MediaSource::IdOfItsKind(MediaId::new(id.as_str().unwrap())));
    assert!(Pepipost.info().refused_at_once.contains(&ErrorKind::MediaNotFound));
    let failure = Failure::new(ErrorKind::MediaNotFound, "No such file.");
    assert_answered(Err::<(), _>(failure), wire::NC_PATH, (400, "8008", BAD_MEDIA));
}

/// 20
#[test]
fn a_media_message_names_its_file() {
    assert_refused(&without_field(media_id(), "type_media"), "8001", MISSING);
    let attachments = "/message/0/type_media/0/attachments";
    for wrong in [json!([]), json!([{}]), json!({}), json!(null), json!("x"), json!([[]])] {
        assert_refused(&with(media_id(), attachments, wrong), "8001", MISSING);
    }
    for wrong in [json!(""), json!(null), json!("  ")] {
        assert_refused(&attachment(media_id(), "attachment_id", wrong), "8001", MISSING);
    }
}

/// 36
#[test]
fn a_message_has_one_attachment() {
    let two = json!([{"attachment_id": MID}, {"attachment_id": MID}]);
    let body = with(media_id(), "/message/0/type_media/0/attachments", two);
    assert_refused(&body, "8006", " attachments can contain only one element");
}

/// 3, 26
#[test]
fn a_file_behind_an_address_has_a_type() {
    let body = attachment(media_url(), "filename", json!("a.pdf"));
    for (word, kind) in [
        ("image", MediaKind::Image),
        ("VIDEO", MediaKind::Video),
        ("audio", MediaKind::Audio),
        ("document", MediaKind::Document),
        ("sticker", MediaKind::Sticker),
    ] {
        let message = media_of(&attachment(body.clone(), "attachment_type", json!(word)));
        let url = "https://files.example.com/a.jpg".to_owned();
        assert_eq!(message.media.source, MediaSource::Link { url, provider: None });
        assert_eq!((message.kind, message.media.kind), (kind, kind));
        let caption = !matches!(kind, MediaKind::Audio | MediaKind::Sticker);
        assert_eq!(message.caption.is_some(), caption, "{word}");
        assert_eq!(message.filename.is_some(), kind == MediaKind::Document, "{word}");
    }
    let only = " attachment_type can only be image/video/audio/document/sticker";
    for word in [json!("gif"), json!(1), json!({})] {
        assert_refused(&attachment(media_url(), "attachment_type", word), "8006", only);
    }
}

/// 27
#[test]
fn an_extension_stands_for_a_type() {
    let body = without(media_url(), &format!("{ATTACHMENT}/attachment_type"));
    for (name, kind) in [
        ("a.jpg", MediaKind::Image),
        ("A.JPEG?x=.mp4", MediaKind::Image),
        ("a.b.pdf#x", MediaKind::Document),
        ("a.opus", MediaKind::Audio),
        ("a.webp", MediaKind::Sticker),
    ] {
        let url = json!(format!("https://files.example.com/dir.mp4/{name}"));
        assert_eq!(media_of(&attachment(body.clone(), "attachment_url", url)).kind, kind, "{name}");
    }
    for name in ["a", "", "a.", "a.gif", "a?b=a.jpg"] {
        let url = json!(format!("https://files.example.com/{name}"));
        assert_refused(&attachment(body.clone(), "attachment_url", url), "8001", MISSING);
    }
}

/// 28
#[test]
fn an_address_is_one_of_the_web() {
    for url in
        ["ftp://files.example.com/a.jpg", "files.example.com/a.jpg", "https://", "a b", "http:///x"]
    {
        assert_refused(&attachment(media_url(), "attachment_url", json!(url)), "8008", BAD_MEDIA);
    }
    let endless = format!("https://files.example.com/{}", "x".repeat(9_000));
    assert_refused(&attachment(media_url(), "attachment_url", json!(endless)), "8008", BAD_MEDIA);
    assert_refused(&attachment(media_url(), "attachment_url", json!(["x"])), "8001", MISSING);
}

#[test]
fn a_caption_has_at_most_1024_code_points() {
    let longest = "ü".repeat(1_024);
    for body in [media_id(), media_url()] {
        let message = media_of(&attachment(body.clone(), "caption", json!(longest)));
        assert_eq!(message.caption.as_deref(), Some(longest.as_str()));
        let long = attachment(body, "caption", json!("ü".repeat(1_025)));
        assert_refused(&long, "8006", " caption cannot be greater than 1024 characters");
    }
}

/// 23
#[test]
fn a_location_has_coordinates() {
    let place = "/message/0/type_location/0";
    let expected = Content::Location(Location {
        latitude: 37.7,
        longitude: -122.4,
        name: Some("Office".to_owned()),
        address: Some("Main Street 1".to_owned()),
    });
    assert_eq!(sent(&location()).content, expected);
    for latitude in [json!("37.7"), json!(" 37.7 "), json!(377e-1)] {
        let body = with(location(), &format!("{place}/latitude"), latitude);
        assert_eq!(sent(&body).content, expected);
    }
    for member in ["latitude", "longitude"] {
        assert_refused(&without(location(), &format!("{place}/{member}")), "8001", MISSING);
        for wrong in [json!("x"), json!(181), json!(-180.5), json!("inf"), json!("NaN"), json!({})]
        {
            let body = with(location(), &format!("{place}/{member}"), wrong);
            assert_refused(&body, "8006", " Invalid value in location parameter.");
        }
    }
    let body = with(location(), &format!("{place}/latitude"), json!(90.5));
    assert_refused(&body, "8006", " Invalid value in location parameter.");
}
