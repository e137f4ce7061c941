//! Templates: what a request must have, and how its values are bound.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter, TemplateMessage};
use waypost_domain::media::MediaKind;
use waypost_domain::template::Template;
use waypost_domain::{Content, MediaId, MediaSource};

use super::*;

const MISMATCH: ErrorKind = ErrorKind::TemplateParameterMismatch;

fn known(components: &Value) -> Template {
    serde_json::from_value(json!({
        "id": "1", "waba_id": "100000000000002", "name": "tpl", "language": "en",
        "status": "APPROVED", "category": "UTILITY", "components": components, "synced_at": 0,
    }))
    .unwrap()
}

fn bind(body: &Value, template: &Template) -> Result<Vec<Component<MediaDraft>>, ErrorKind> {
    let binding = sent(body).binding.expect("a template has values");
    (binding.bind)(template, &binding.values).map_err(|failure| failure.kind)
}

fn text(value: &str) -> Parameter<MediaDraft> {
    Parameter::Text { text: value.to_owned(), name: None }
}

/// A `media_template` with a second block.
fn media_template(attributes: Value, block: Value) -> Value {
    let body = with_field(template(), "message_type", json!("media_template"));
    let body = with(body, "/message/0/type_template/0/attributes", attributes);
    with_field(without_field(body, "source"), "type_media_template", block)
}

/// 3
#[test]
fn a_template_is_named_with_its_language() {
    let send = sent(&template());
    let expected = TemplateMessage {
        name: "tpl".to_owned(),
        language: Some("en".to_owned()),
        components: Vec::new(),
    };
    assert_eq!(send.content, Content::Template(expected));
}

/// 24
#[test]
fn name_and_locale_are_required() {
    let place = "/message/0/type_template/0";
    for member in ["name", "language", "language/locale"] {
        assert_refused(&without(template(), &format!("{place}/{member}")), "8001", MISSING);
    }
    for (member, wrong) in [
        ("name", json!(" ")),
        ("name", json!(5)),
        ("language", json!("en")),
        ("language/locale", json!(null)),
        ("attributes", json!("v1")),
        ("attributes", json!([{}])),
        ("attributes", json!([null])),
        ("attributes", json!(vec!["x"; 257])),
    ] {
        assert_refused(&with(template(), &format!("{place}/{member}"), wrong), "8001", MISSING);
    }
    sent(&without(template(), &format!("{place}/attributes")));
}

#[test]
fn attributes_fill_the_header_first_and_then_the_body() {
    let template_of = |header: &str| {
        known(&json!([
            {"type": "HEADER", "format": "TEXT", "text": header},
            {"type": "BODY", "text": "{{2}} before {{1}}, and {{2}} again"},
            {"type": "FOOTER", "text": "bye"},
        ]))
    };
    let place = "/message/0/type_template/0/attributes";
    let body = with(template(), place, json!(["a", 5, true]));
    let components = bind(&body, &template_of("Hi {{1}}")).unwrap();
    let expected = [
        Component::new("header", vec![text("a")]),
        Component::new("body", vec![text("5"), text("true")]),
    ];
    assert_eq!(components, expected);
    assert_eq!(bind(&body, &template_of("Hi")), Err(MISMATCH), "one too many");
    let body = with(template(), place, json!(["a", "b"]));
    assert_eq!(
        bind(&body, &template_of("Hi")).unwrap(),
        [Component::new("body", vec![text("a"), text("b")])]
    );
    assert_eq!(bind(&body, &template_of("Hi {{1}}")), Err(MISMATCH), "one too few");
}

#[test]
fn ten_variables_are_filled_by_number() {
    let variables: Vec<String> = (1..=10).rev().map(|it| format!("{{{{{it}}}}}")).collect();
    let approved = known(&json!([{"type": "BODY", "text": variables.join(" ")}]));
    let values: Vec<String> = (1..=10).map(|it| it.to_string()).collect();
    let body = with(template(), "/message/0/type_template/0/attributes", json!(values));
    let expected = values.iter().map(|value| text(value)).collect();
    assert_eq!(bind(&body, &approved).unwrap(), [Component::new("body", expected)]);
}

#[test]
fn named_variables_are_filled_in_the_order_of_the_text() {
    let mut approved = known(&json!([{"type": "BODY", "text": "{{order}} for {{ name }}"}]));
    approved.parameter_format = Some("NAMED".to_owned());
    let named = |value: &str, name: &str| Parameter::Text {
        text: value.to_owned(),
        name: Some(name.to_owned()),
    };
    let expected = [Component::new("body", vec![named("v1", "order"), named("v2", "name")])];
    assert_eq!(bind(&template(), &approved).unwrap(), expected);
}

/// 34
#[test]
fn another_number_of_attributes_does_not_fit() {
    let approved = known(&json!([{"type": "BODY", "text": "Hi {{1}}, order {{2}}"}]));
    assert!(bind(&template(), &approved).is_ok());
    for attributes in [json!(["v1"]), json!([]), json!(["v1", "v2", "v3"]), json!(["v1", " "])] {
        let place = "/message/0/type_template/0/attributes";
        let body = with(template(), place, attributes);
        assert_eq!(bind(&body, &approved), Err(MISMATCH));
    }
}

fn with_picture_and_button() -> Template {
    known(&json!([
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hi"},
        {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Track", "url": "https://example.com/t/{{1}}"},
            {"type": "QUICK_REPLY", "text": "Stop"}]},
    ]))
}

fn picture() -> Component<MediaDraft> {
    let media = MediaDraft {
        kind: MediaKind::Image,
        source: MediaSource::Link {
            url: "https://files.example.com/a.jpg".to_owned(),
            provider: None,
        },
        field: "message[0].type_media_template.url".to_owned(),
    };
    let parameter = Parameter::Media { kind: MediaKind::Image, media, filename: None };
    Component::new("header", vec![parameter])
}

/// 54
#[test]
fn the_only_dynamic_button_is_meant_by_any_index() {
    for (index, payload, end) in [
        (json!("1"), "https://example.com/t/77?x", "77?x"),
        (json!("0"), "https://example.com/t/77?x", "77?x"),
        (json!(1), "77", "77"),
        (json!(9), "https://other.example.com/t/77", "https://other.example.com/t/77"),
    ] {
        let block = json!({
            "type": "image", "url": "https://files.example.com/a.jpg",
            "button": [{"index": index, "payload": payload}],
        });
        let body = media_template(json!([]), block);
        let expected = [picture(), Component::button("url", 0, vec![text(end)])];
        assert_eq!(bind(&body, &with_picture_and_button()).unwrap(), expected);
    }
}

#[test]
fn of_several_dynamic_buttons_each_has_its_own_value() {
    let url =
        |name: &str| json!({"type": "URL", "url": format!("https://example.com/{name}/{{{{1}}}}")});
    let buttons = json!([url("a"), {"type": "QUICK_REPLY", "text": "Stop"}, url("b")]);
    let approved = known(&json!([
        {"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": buttons},
    ]));
    let filled = |list: Value| {
        bind(&media_template(json!([]), json!([{"type": "text", "button": list}])), &approved)
    };
    let value = |index: u32| json!({"index": index, "payload": "x"});
    let button = |index: u32| Component::button("url", index, vec![text("x")]);
    assert_eq!(filled(json!([value(2), value(0)])), Ok(vec![button(2), button(0)]));
    for wrong in
        [json!([value(0)]), json!([value(0), value(1)]), json!([value(0), value(0)]), json!([])]
    {
        assert!(filled(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn headers_and_buttons_that_lack_their_values_do_not_fit() {
    let approved = with_picture_and_button();
    let button = json!([{"index": "1", "payload": "x"}]);
    let file = json!({"type": "image", "url": "https://files.example.com/a.jpg"});
    assert_eq!(bind(&media_template(json!([]), file), &approved), Err(MISMATCH), "no button");
    let no_file = json!({"type": "text", "button": button});
    assert_eq!(bind(&media_template(json!([]), no_file), &approved), Err(MISMATCH), "no file");
    let plain = known(&json!([{"type": "BODY", "text": "Hi"}]));
    let file = json!({"type": "image", "url": "https://files.example.com/a.jpg"});
    assert_eq!(bind(&media_template(json!([]), file), &plain), Err(MISMATCH), "no such header");
    let static_buttons = known(&json!([
        {"type": "BODY", "text": "Hi"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://example.com/"}]},
    ]));
    let body = without_field(media_template(json!([]), json!({})), "type_media_template");
    assert_eq!(bind(&body, &static_buttons), Ok(Vec::new()));
}

#[test]
fn a_headers_file_may_be_an_upload_or_a_named_document() {
    let approved = known(&json!([{"type": "HEADER", "format": "DOCUMENT"}]));
    let block = json!({"type": "document", "media_id": MID, "filename": "a.pdf"});
    let body = media_template(json!([]), block);
    let components = bind(&body, &approved).unwrap();
    match &components[0].parameters[..] {
        [Parameter::Media { kind: MediaKind::Document, media, filename }] => {
            assert_eq!(media.source, MediaSource::Id(MediaId::new("1000000000000042")));
            assert_eq!(filename.as_deref(), Some("a.pdf"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_authentication_code_stands_behind_its_button_too() {
    let url = json!({"type": "URL", "url": "https://www.whatsapp.com/otp/code/?code=otp{{1}}"});
    let password = json!({"type": "OTP", "otp_type": "COPY_CODE"});
    for (part, button) in [
        (json!({"type": "BODY", "text": "Your code is {{1}}"}), url),
        (json!({"type": "BODY", "text": "Your code is {{1}}"}), password.clone()),
        // As it is created: Meta writes the text.
        (json!({"type": "BODY", "add_security_recommendation": true}), password.clone()),
        (json!({"type": "BODY", "text": "Your code."}), password),
    ] {
        let parts = json!([part, {"type": "BUTTONS", "buttons": [button]}]);
        let mut approved = known(&parts);
        approved.category = "AUTHENTICATION".to_owned();
        let body = with(template(), "/message/0/type_template/0/attributes", json!(["123456"]));
        let expected = [
            Component::new("body", vec![text("123456")]),
            Component::button("url", 0, vec![text("123456")]),
        ];
        assert_eq!(bind(&body, &approved).unwrap(), expected, "{parts}");
        let message = TemplateMessage {
            name: "tpl".to_owned(),
            language: None,
            components: expected.to_vec(),
        };
        assert_eq!(approved.check(&message), Ok(()), "{parts}");
        let none = with(template(), "/message/0/type_template/0/attributes", json!([]));
        assert_eq!(bind(&none, &approved), Err(MISMATCH), "{parts}");
    }
}

#[test]
fn the_second_block_is_checked_at_once() {
    let bad = " Invalid value in type_media_template parameter.";
    let url = "https://files.example.com/a.jpg";
    for (block, code, text) in [
        (json!({"type": "gif", "url": url}), "8006", bad),
        (json!({"type": "audio", "url": url}), "8006", bad),
        (json!({"type": "image", "url": "ftp://x"}), "8008", BAD_MEDIA),
        (json!({"url": "https://files.example.com/a"}), "8001", MISSING),
        (json!({"type": "text", "button": [{"index": "x", "payload": "y"}]}), "8006", bad),
        (json!({"type": "text", "button": [{"payload": "y"}]}), "8001", MISSING),
        (json!({"type": "text", "button": [{"index": "0"}]}), "8001", MISSING),
        (json!([{}, {}]), "8006", " type_media_template can contain only one element"),
    ] {
        assert_refused(&media_template(json!([]), block), code, text);
    }
}
