//! Lists and reply buttons.

use waypost_domain::content::{Action, Header, Interactive, ReplyButton, Row, Section};
use waypost_domain::media::MediaKind;

use super::*;

fn list() -> Value {
    saying(json!({"type": "list", "list": {
        "header": {"type": "text", "text": "Menu"}, "body": {"text": "Pick one"},
        "footer": {"text": "Thanks"},
        "action": {"button": "Options", "sections": [
            {"title": "A", "rows": [{"id": "r1", "title": "Row 1", "description": "..."}]},
        ]},
    }}))
}

fn reply() -> Value {
    saying(json!({"type": "reply", "reply": {
        "header": {"type": "image", "image": {
            "url": "https://files.example.com/a.jpg", "provider": {"name": ""},
        }},
        "body": {"text": "Continue?"}, "footer": {"text": ""},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
    }}))
}

fn in_list(pointer: &str, value: Value) -> Value {
    with(list(), &format!("{WA}/list/{pointer}"), value)
}

fn in_reply(pointer: &str, value: Value) -> Value {
    with(reply(), &format!("{WA}/reply/{pointer}"), value)
}

fn rows(count: usize) -> Value {
    (0..count).map(|n| json!({"id": format!("r{n}"), "title": "Row"})).collect::<Vec<_>>().into()
}

fn sections(count: usize) -> Value {
    (0..count)
        .map(|n| json!({"title": format!("S{n}"), "rows": rows(1)}))
        .collect::<Vec<_>>()
        .into()
}

fn interactive(body: &Value) -> Interactive<MediaDraft> {
    match sound(body).content {
        Content::Interactive(interactive) => *interactive,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_doom(body: &Value, code: &str, text: &str) {
    assert_eq!(doom_of(body), (code.to_owned(), text.to_owned()));
}

#[test]
fn a_list_is_read() {
    let read = interactive(&list());
    assert_eq!(read.header, Some(Header::Text("Menu".to_owned())));
    assert_eq!(read.body.as_deref(), Some("Pick one"));
    assert_eq!(read.footer.as_deref(), Some("Thanks"));
    let row =
        Row { id: "r1".to_owned(), title: "Row 1".to_owned(), description: Some("...".to_owned()) };
    let section = Section { title: Some("A".to_owned()), rows: vec![row] };
    let action = Action::List { button: "Options".to_owned(), sections: vec![section] };
    assert_eq!(read.action, action);
}

#[test]
fn headers_and_footers_may_be_left_out_or_empty() {
    for (header, footer) in [
        (json!(null), json!(null)),
        (json!({"type": "text", "text": ""}), json!({"text": ""})),
        (json!({}), json!({})),
        // As PHP writes what is empty.
        (json!([]), json!([])),
    ] {
        for body in [
            with(in_list("header", header.clone()), &format!("{WA}/list/footer"), footer.clone()),
            with(in_reply("header", header.clone()), &format!("{WA}/reply/footer"), footer.clone()),
        ] {
            let read = interactive(&body);
            assert_eq!((read.header, read.footer), (None, None));
        }
    }
}

/// 45
#[test]
fn lists_out_of_bounds_fail_later() {
    let at = "action/sections/0/rows";
    sound(&in_list(at, rows(10)));
    assert_doom(&in_list(at, rows(11)), "7820", "Invalid number of rows");
    assert_doom(&in_list(at, json!([])), "7820", "Invalid number of rows");
    sound(&in_list("action/sections", sections(10)));
    assert_doom(&in_list("action/sections", sections(11)), "7819", "Invalid number of sections");
    assert_doom(&in_list("action/sections", json!([])), "7819", "Invalid number of sections");
    let image = json!({"type": "image", "image": {"url": "https://files.example.com/a.jpg"}});
    assert_doom(&in_list("header", image), "7830", "Invalid Header Structure");
    let two = json!([{"title": "A", "rows": rows(5)}, {"title": "B", "rows": rows(6)}]);
    assert_doom(&in_list("action/sections", two), "7820", "Invalid number of rows");
    let untitled = json!([{"title": "A", "rows": rows(1)}, {"rows": rows(1)}]);
    assert_doom(&in_list("action/sections", untitled), "7722", "Parameter value is not valid");
}

#[test]
fn texts_of_lists_are_bounded() {
    for (pointer, max) in [
        ("header/text", 60),
        ("body/text", 1_024),
        ("footer/text", 60),
        ("action/button", 24),
        ("action/sections/0/title", 24),
        ("action/sections/0/rows/0/id", 200),
        ("action/sections/0/rows/0/title", 24),
        ("action/sections/0/rows/0/description", 72),
    ] {
        sound(&in_list(pointer, json!("é".repeat(max))));
        let long = in_list(pointer, json!("é".repeat(max + 1)));
        assert_doom(&long, "7722", "Parameter value is not valid");
        assert_invalid(&in_list(pointer, json!([])), pointer.rsplit('/').next().unwrap());
    }
}

#[test]
fn lists_need_their_parts() {
    for (pointer, name) in [
        ("body", "body"),
        ("body/text", "text"),
        ("action", "action"),
        ("action/button", "button"),
        ("action/sections", "sections"),
        ("action/sections/0/rows", "rows"),
        ("action/sections/0/rows/0/id", "id"),
        ("action/sections/0/rows/0/title", "title"),
    ] {
        assert_missing(&without(list(), &format!("{WA}/list/{pointer}")), name);
    }
    assert_invalid(&in_list("action/sections", json!({})), "sections");
    assert_invalid(&in_list("action/sections/0", json!(5)), "sections");
    assert_invalid(&in_list("action/sections/0/rows/0", json!("x")), "rows");
}

#[test]
fn a_list_that_fails_keeps_no_more_than_a_list_holds() {
    let message = one(&in_list("action/sections", sections(500)));
    let Content::Interactive(read) = message.send.content else { panic!() };
    let Action::List { sections, .. } = &read.action else { panic!() };
    assert_eq!(sections.len(), 10);
}

#[test]
fn buttons_are_read() {
    let read = interactive(&reply());
    let Some(Header::Media { kind, media, filename }) = read.header else { panic!() };
    assert_eq!((kind, filename), (MediaKind::Image, None));
    assert_eq!(media.field, "channels.OTT-Messaging.wa.reply.header.image.url");
    let button = ReplyButton { id: "y".to_owned(), title: "Yes".to_owned() };
    assert_eq!(read.action, Action::Buttons(vec![button]));
}

#[test]
fn headers_of_buttons() {
    for kind in ["image", "video", "document"] {
        let file = json!({"link": "https://files.example.com/a", "filename": "Offer"});
        let read =
            interactive(&in_reply("header", json!({"type": kind.to_uppercase(), kind: file})));
        let Some(Header::Media { kind: read, filename, .. }) = read.header else { panic!() };
        assert_eq!(read.as_str(), kind);
        assert_eq!(filename.is_some(), kind == "document");
    }
    let read = interactive(&in_reply("header", json!({"text": "Hello"})));
    assert_eq!(read.header, Some(Header::Text("Hello".to_owned())));
    let url = json!({"url": "https://files.example.com/a"});
    let several = json!({"type": "image", "image": url, "video": url});
    assert_doom(&in_reply("header", several), "7830", "Invalid Header Structure");
    let sound_file = json!({"type": "audio", "audio": url});
    assert_doom(&in_reply("header", sound_file), "7830", "Invalid Header Structure");
    assert_missing(&in_reply("header", json!({"type": "video", "image": url})), "video");
    assert_missing(
        &in_reply("header", json!({"type": "image", "image": {"filename": "x"}})),
        "url",
    );
    assert_invalid(&in_reply("header/image/url", json!("x")), "url");
}

/// 46
#[test]
fn buttons_are_bounded() {
    let buttons = |count: usize| {
        let button = json!({"type": "reply", "reply": {"id": "y", "title": "Yes"}});
        in_reply("action/buttons", json!(vec![button; count]))
    };
    sound(&buttons(3));
    assert_doom(&buttons(4), "7722", "Parameter value is not valid");
    assert_doom(&buttons(0), "7722", "Parameter value is not valid");
    for (pointer, max) in [
        ("body/text", 1_024),
        ("footer/text", 60),
        ("action/buttons/0/reply/id", 200),
        ("action/buttons/0/reply/title", 20),
    ] {
        sound(&in_reply(pointer, json!("é".repeat(max))));
        let long = in_reply(pointer, json!("é".repeat(max + 1)));
        assert_doom(&long, "7722", "Parameter value is not valid");
    }
    let header = json!({"type": "text", "text": "é".repeat(61)});
    assert_doom(&in_reply("header", header), "7722", "Parameter value is not valid");
}

#[test]
fn buttons_need_their_parts() {
    for (pointer, name) in [
        ("body", "body"),
        ("action", "action"),
        ("action/buttons", "buttons"),
        ("action/buttons/0/reply", "reply"),
        ("action/buttons/0/reply/id", "id"),
        ("action/buttons/0/reply/title", "title"),
    ] {
        assert_missing(&without(reply(), &format!("{WA}/reply/{pointer}")), name);
    }
    assert_invalid(&in_reply("action/buttons/0/type", json!("url")), "type");
    sound(&without(reply(), &format!("{WA}/reply/action/buttons/0/type")));
}
