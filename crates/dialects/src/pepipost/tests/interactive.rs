//! Interactive messages in the vendor's forms and in Meta's.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Action, Header, Interactive, ReplyButton};
use waypost_domain::{Content, MediaId, MediaSource};

use super::*;

const BAD_VALUE: &str = " Invalid value in type_interactive parameter.";

fn interactive(block: &Value) -> Value {
    without_field(message("interactive", "type_interactive", block), "source")
}

fn read(block: &Value) -> Interactive<MediaDraft> {
    match sent(&interactive(block)).content {
        Content::Interactive(interactive) => *interactive,
        other => panic!("{other:?}"),
    }
}

fn buttons() -> Value {
    json!({
        "type": "button", "body": "text",
        "action": [{"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}],
    })
}

/// 55
#[test]
fn the_vendors_form_and_metas_say_the_same() {
    let cloud = json!({
        "type": "button", "body": {"text": "text"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]},
    });
    let expected = Interactive {
        header: None,
        body: Some("text".to_owned()),
        footer: None,
        action: Action::Buttons(vec![ReplyButton { id: "1".to_owned(), title: "Yes".to_owned() }]),
    };
    for block in [json!([buttons()]), buttons(), json!([cloud]), cloud] {
        assert_eq!(read(&block), expected);
    }
}

#[test]
fn a_list_is_read() {
    let block = json!([{
        "type": "LIST", "body": "text", "footer": "small", "header": "Big",
        "action": [{"button": "Menu", "sections": [
            {"title": "A", "rows": [{"id": "r1", "title": "Row", "description": ""}]}]}],
    }]);
    let read = read(&block);
    assert_eq!(read.header, Some(Header::Text("Big".to_owned())));
    assert_eq!(read.footer.as_deref(), Some("small"));
    match read.action {
        Action::List { button, sections } => {
            assert_eq!((button.as_str(), sections[0].rows[0].id.as_str()), ("Menu", "r1"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_headers_file_may_be_an_upload() {
    let mut block = buttons();
    block["header"] = json!({"type": "image", "image": {"id": MID}});
    match read(&block).header {
        Some(Header::Media { media, .. }) => {
            assert_eq!(media.source, MediaSource::Id(MediaId::new("1000000000000042")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn metas_limits_hold() {
    let button = |title: &str| json!({"type": "reply", "reply": {"id": title, "title": title}});
    let with_buttons = |list: Value| with(buttons(), "/action/0/buttons", list);
    read(&with_buttons(json!([button("a"), button("b"), button(&"c".repeat(20))])));
    for block in [
        with_buttons(json!([button("a"), button("b"), button("c"), button("d")])),
        with_buttons(json!([button("a"), button("a")])),
        with_buttons(json!([button(&"c".repeat(21))])),
        with_buttons(json!([])),
        with(buttons(), "/body", json!("x".repeat(1_025))),
        with(buttons(), "/body", json!(" ")),
        with(buttons(), "/footer", json!("x".repeat(61))),
        with(buttons(), "/header", json!("x".repeat(61))),
        with(buttons(), "/type", json!("dance")),
    ] {
        assert_refused(&interactive(&json!([block])), "8006", BAD_VALUE);
    }
}

#[test]
fn faults_are_blamed_on_what_the_caller_wrote() {
    let long = json!("c".repeat(1_025));
    let title = json!({"buttons": [{"type": "reply", "reply": {"id": "1", "title": long}}]});
    for (pointer, value, field) in [
        ("/body", long.clone(), "body"),
        ("/body", json!({ "text": long }), "body.text"),
        ("/footer", long.clone(), "footer"),
        ("/header", long.clone(), "header"),
        ("/header", json!({"type": "text", "text": long}), "header.text"),
        ("/action", json!([title]), "action[0].buttons[0].reply.title"),
        ("/action", title.clone(), "action.buttons[0].reply.title"),
        ("/type", json!("dance"), "type"),
    ] {
        let body = interactive(&json!([with(buttons(), pointer, value)]));
        let failure = submit(&body).unwrap_err();
        let field = format!("message[0].type_interactive[0].{field}");
        assert_eq!(failure.field.as_deref(), Some(field.as_str()));
        assert!(failure.message.starts_with(&format!("{field} ")), "{}", failure.message);
    }
}

#[test]
fn what_is_missing_is_missing() {
    assert_refused(&without_field(interactive(&buttons()), "type_interactive"), "8001", MISSING);
    for block in [
        without(buttons(), "/body"),
        without(buttons(), "/action"),
        without(buttons(), "/type"),
        with(buttons(), "/action", json!([])),
        with(buttons(), "/action", json!([{}, {}])),
        json!([]),
        json!("x"),
    ] {
        assert_refused(&interactive(&block), "8001", MISSING);
    }
    let two = json!([buttons(), buttons()]);
    let text = " type_interactive can contain only one element";
    assert_refused(&interactive(&two), "8006", text);
}
