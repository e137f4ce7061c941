//! Messages with a file, inline or behind a link.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::MediaMessage;
use waypost_domain::media::{MEGABYTE, MediaKind};

use super::*;

const FILE: &str = "/message/image/file";

fn media(body: &Value) -> MediaMessage<MediaDraft> {
    match send(body).unwrap().content {
        Content::Media(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_an_inline_picture() {
    let message = media(&inline());
    assert_eq!(message.kind, MediaKind::Image);
    assert_eq!(message.media.field, "message.image.file.data");
    assert_eq!(message.caption.as_deref(), Some("testing"));
    assert_eq!((message.filename, message.voice), (None, false));
    let file = file_of(send(&inline()).unwrap());
    assert_eq!(file.bytes, PNG);
    assert_eq!(file.mime_type.as_str(), "image/png");
    assert_eq!(file.name.as_deref(), Some("logo.png"));
}

/// 38
#[test]
fn reads_a_link_to_a_document() {
    let message = media(&link());
    let url = "https://files.example.com/a.pdf".to_owned();
    assert_eq!(message.media.source, MediaSource::Link { url, provider: None });
    assert_eq!(message.filename.as_deref(), Some("a.pdf"));
    assert_eq!(message.caption.as_deref(), Some("The offer"));
}

/// 30, 31
#[test]
fn every_part_of_a_file_is_required() {
    let kind = ErrorKind::MissingField;
    assert_refused(send(&without(inline(), "/message/image")), kind, Some("message.image"));
    assert_refused(send(&without(inline(), FILE)), kind, Some("message.image.file"));
    for part in ["name", "type", "displayType", "extension", "data"] {
        let pointer = format!("{FILE}/{part}");
        let field = format!("message.image.file.{part}");
        assert_refused(send(&without(inline(), &pointer)), kind, Some(&field));
        let blank = send(&with(inline(), &pointer, json!(" ")));
        assert_refused(blank, ErrorKind::InvalidValue, Some(&field));
        let boolean = send(&with(inline(), &pointer, json!(true)));
        assert_refused(boolean, ErrorKind::InvalidType, Some(&field));
    }
}

/// 32, 33, 34, 42 and their neighbours
#[test]
fn files_and_what_stands_beside_them_are_checked() {
    use ErrorKind::{InvalidType, InvalidValue, UnsupportedMediaType, ValueTooLong};
    for (pointer, value, kind, field) in [
        ("", json!("x"), InvalidType, ""),
        ("/file", json!("x"), InvalidType, ".file"),
        ("/file/data", json!(""), InvalidValue, ".file.data"),
        ("/file/data", json!([]), InvalidValue, ".file.data"),
        ("/file/data", json!([1, 256]), InvalidValue, ".file.data"),
        ("/file/data", json!({"type": "Buffer", "data": []}), InvalidValue, ".file.data"),
        ("/file/data", json!({"data": [1]}), InvalidType, ".file.data"),
        ("/file/data", json!("Ω"), InvalidValue, ".file.data"),
        ("/file/data", json!(base64(PDF)), UnsupportedMediaType, ".file.data"),
        ("/file/data", json!("hello, world"), UnsupportedMediaType, ".file.data"),
        ("/file/type", json!("image/gif"), UnsupportedMediaType, ".file.type"),
        ("/file/type", json!("image/webp"), UnsupportedMediaType, ".file.type"),
        ("/file/type", json!("audio/mpeg"), UnsupportedMediaType, ".file.type"),
        ("/file/type", json!("application/pdf"), UnsupportedMediaType, ".file.type"),
        ("/file/displayType", json!("PICTURE"), InvalidValue, ".file.displayType"),
        ("/file/displayType", json!("AUDIO"), InvalidValue, ".file.displayType"),
        ("/caption", json!("ü".repeat(1_025)), ValueTooLong, ".caption"),
        ("/caption", json!(5), InvalidType, ".caption"),
    ] {
        let field = format!("message.image{field}");
        let pointer = format!("/message/image{pointer}");
        assert_refused(send(&with(inline(), &pointer, value)), kind, Some(&field));
    }
}

#[test]
fn a_refused_type_is_told_what_its_kind_may_be() {
    let refused = send(&with(inline(), "/message/image/file/type", json!("image/gif")));
    let message = refused.unwrap_err().message;
    assert!(message.ends_with("of kind image, one of image/jpeg, image/png."), "{message}");
}

#[test]
fn what_does_not_matter_is_ignored() {
    for (pointer, value) in [
        ("/caption", json!("x".repeat(1_024))),
        ("/filename", json!(["not for pictures"])),
        ("/provider", json!(["not beside a file"])),
        ("/link", json!("ftp://not/beside/a/file")),
        ("/id", json!("1000000000000042")),
        ("/file/displayType", json!("video")),
        ("/file/extension", json!(".gif")),
        ("/file/type", json!("IMAGE/PNG; charset=binary")),
        ("/file/name", json!("..")),
        ("/file/name", json!("lo\0go.png")),
    ] {
        let body = with(inline(), &format!("/message/image{pointer}"), value);
        assert_eq!(file_of(send(&body).unwrap()).bytes, PNG, "{pointer}");
    }
    assert_eq!(media(&with(inline(), "/message/image/caption", json!(""))).caption, None);
}

/// 35
#[test]
fn the_signature_wins_over_the_declaration_within_a_kind() {
    let declared = |declared: &str, bytes: &[u8]| {
        let body = with(inline(), &format!("{FILE}/type"), json!(declared));
        let body = with(body, &format!("{FILE}/data"), json!(base64(bytes)));
        file_of(send(&body).unwrap()).mime_type.as_str().to_owned()
    };
    assert_eq!(declared("image/jpeg", PNG), "image/png");
    assert_eq!(declared("image/png", JPEG), "image/jpeg");
    assert_eq!(declared("image/jpg", JPEG), "image/jpeg");
    assert_eq!(declared("image/png", b"\x01\x02\x03\xF0"), "image/png", "the upstream judges");
}

#[test]
fn the_signature_of_a_sound_is_no_evidence_against_a_document() {
    let utf16 = b"\xFF\xFEh\0i\0";
    let file = json!({
        "name": "a.txt", "type": "text/plain", "displayType": "DOCUMENT", "extension": "txt",
        "data": utf16,
    });
    let mut body = text();
    body["message"] = json!({"type": "document", "document": {"file": file}});
    let file = file_of(send(&body).unwrap());
    assert_eq!((file.bytes.as_slice(), file.mime_type.as_str()), (&utf16[..], "text/plain"));
}

/// 36, and the same for video
#[test]
fn a_file_may_be_as_large_as_its_kind() {
    for (kind, mime, start, max_mb) in
        [("image", "image/png", PNG, 5_u64), ("video", "video/mp4", b"\0\0\0\x18ftypmp42\xFF", 16)]
    {
        let file_of_size = |size: u64| {
            let mut bytes = start.to_vec();
            bytes.resize(usize::try_from(size).unwrap(), 0xA5);
            let file = json!({
                "name": "f", "type": mime, "displayType": kind, "extension": "x",
                "data": base64(&bytes),
            });
            let mut body = text();
            body["message"] = json!({"type": kind, kind: {"file": file}});
            (send(&body), bytes)
        };
        let (largest, bytes) = file_of_size(max_mb * MEGABYTE);
        assert!(file_of(largest.unwrap()).bytes == bytes);
        let (larger, _) = file_of_size(max_mb * MEGABYTE + 1);
        let field = format!("message.{kind}.file.data");
        assert_refused(larger, ErrorKind::MediaTooLarge, Some(&field));
    }
}

/// 39
#[test]
fn a_link_is_an_http_url_with_a_host() {
    let linked = |url: &str| send(&with(link(), "/message/document/link", json!(url)));
    for url in [
        "http://files.example.com/a.pdf",
        "HTTPS://files.example.com:8443/a%20b.pdf?x=1#p",
        "https://grüße.example/ä.pdf",
        "https://[2001:db8::1]/a",
        " https://files.example.com/a.pdf ",
    ] {
        let MediaSource::Link { url: kept, .. } = (match linked(url).unwrap().content {
            Content::Media(message) => message.media.source,
            other => panic!("{other:?}"),
        }) else {
            panic!("{url}")
        };
        assert_eq!(kept, url.trim());
    }
    for url in [
        "ftp://x/y",
        "http://",
        "https:///etc/passwd",
        "http:\\\\x",
        "http:/x",
        "//x/y",
        "x.pdf",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http://a b/",
        "http://x/\ny",
        "http://x/a b",
        "http://[::1",
        "http://x:99999/",
        "",
        "  ",
    ] {
        assert_refused(linked(url), ErrorKind::InvalidValue, Some("message.document.link"));
    }
    let long = format!("https://x/{}", "a".repeat(8_192));
    assert_refused(linked(&long), ErrorKind::ValueTooLong, Some("message.document.link"));
    let number = send(&with(link(), "/message/document/link", json!(7)));
    assert_refused(number, ErrorKind::InvalidType, Some("message.document.link"));
}

/// 40, as far as the name goes
#[test]
fn a_provider_is_a_name_or_an_object_with_one() {
    let provider =
        |value: Value| match send(&with(link(), "/message/document/provider", value))?.content {
            Content::Media(message) => match message.media.source {
                MediaSource::Link { provider, .. } => Ok(provider),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
    for (value, name) in [
        (json!("vault"), Some("vault")),
        (json!({"name": "vault", "type": "www"}), Some("vault")),
        (json!(""), None),
        (json!(null), None),
        (json!({"name": ""}), None),
        (json!({}), None),
    ] {
        assert_eq!(provider(value).unwrap().as_deref(), name);
    }
    for (value, field) in [
        (json!(7), "message.document.provider"),
        (json!(["vault"]), "message.document.provider"),
        (json!({"name": 7}), "message.document.provider.name"),
    ] {
        assert_refused(provider(value), ErrorKind::InvalidType, Some(field));
    }
}

/// 41
#[test]
fn a_file_wins_over_a_link() {
    let body = with(inline(), "/message/image/link", json!("https://files.example.com/a.png"));
    assert_eq!(file_of(send(&body).unwrap()).bytes, PNG);
    let body = with(link(), "/message/document/file", json!(null));
    assert!(matches!(media(&body).media.source, MediaSource::Link { .. }));
}

#[test]
fn the_media_object_has_two_other_names() {
    for alias in ["media", "Media"] {
        let mut body = inline();
        let object = body["message"].as_object_mut().unwrap().remove("image").unwrap();
        body["message"][alias] = object;
        assert_eq!(media(&body).media.field, format!("message.{alias}.file.data"));
        body["message"]["image"] = json!({});
        let field = Some("message.image.file");
        assert_refused(send(&body), ErrorKind::MissingField, field);
    }
}

#[test]
fn document_names_are_cleaned_and_come_from_the_file_if_need_be() {
    let file = json!({
        "name": "../../offers/spring.pdf", "type": "application/pdf", "displayType": "DOCUMENT",
        "extension": "pdf", "data": base64(PDF),
    });
    let mut body = text();
    body["message"] = json!({"type": "document", "document": {"file": file}});
    let message = media(&body);
    assert_eq!(message.filename.as_deref(), Some("spring.pdf"));
    let named = |name: &str| media(&with(body.clone(), "/message/document/filename", json!(name)));
    assert_eq!(named("C:\\x\\The\r\noffer.pdf").filename.as_deref(), Some("Theoffer.pdf"));
    assert_eq!(named("The\0 offer.pdf").filename.as_deref(), Some("The offer.pdf"));
    assert_eq!(named("").filename.as_deref(), Some("spring.pdf"));
    assert_eq!(named(&"ü".repeat(300)).filename.unwrap().len(), 240);
    let number = send(&with(body, "/message/document/filename", json!(1)));
    assert_refused(number, ErrorKind::InvalidType, Some("message.document.filename"));
    assert_eq!(media(&without(link(), "/message/document/filename")).filename, None);
}
