//! Templates: their values as they are read, and how each finds its variable.

use waypost_domain::ErrorKind;
use waypost_domain::content::{Component, Parameter, TemplateMessage};
use waypost_domain::template::Template;

use super::*;

const BODY: &str = "Dear {{first_name}}";

/// The reference's template: an image, and a named variable.
fn greeting() -> Template {
    known(
        "NAMED",
        "MARKETING",
        &[json!({"type": "HEADER", "format": "IMAGE"}), json!({"type": "BODY", "text": BODY})],
    )
}

fn known(format: &str, category: &str, components: &[Value]) -> Template {
    Template {
        id: "1000000000000001".to_owned(),
        waba_id: "100000000000002".to_owned(),
        name: "greeting".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        category: category.to_owned(),
        parameter_format: Some(format.to_owned()),
        components: components.to_vec(),
        synced_at: Timestamp(0),
    }
}

fn numbered(components: &[Value]) -> Template {
    known("POSITIONAL", "UTILITY", components)
}

fn giving(parameters: Value) -> Value {
    with(template(), "/message/parameters", parameters)
}

/// The components of a request once its template is known, in the Cloud API's form.
fn bound(template: &Template, parameters: Value) -> Result<Value, Failure> {
    let binding = sound(&giving(parameters)).binding.unwrap();
    let components = (binding.bind)(template, &binding.values)?;
    let message = TemplateMessage {
        name: template.name.clone(),
        language: Some(template.language.clone()),
        components,
    };
    template.check(&message).expect("what is bound fits");
    Ok(form(message))
}

fn form(message: TemplateMessage<MediaDraft>) -> Value {
    let mut object = serde_json::Map::new();
    Content::Template(message).write_message_object(&mut object, |draft: &MediaDraft| {
        use waypost_domain::MediaSource;
        let place = match &draft.source {
            MediaSource::Link { url, .. } => json!({"link": url}),
            MediaSource::Id(id) => json!({"id": id}),
            other => panic!("{other:?}"),
        };
        place.as_object().unwrap().clone()
    });
    object["template"].get("components").cloned().unwrap_or_else(|| json!([]))
}

#[track_caller]
fn assert_code(template: &Template, parameters: &Value, code: &str) {
    let failure = bound(template, parameters.clone()).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::TemplateParameterMismatch, "{parameters}");
    assert_eq!(failure.words_of("webex_connect").unwrap().code, code, "{failure} {parameters}");
}

/// 32
#[test]
fn the_references_template_is_bound() {
    let send = sound(&template());
    let Content::Template(message) = &send.content else { panic!() };
    assert_eq!(
        *message,
        TemplateMessage {
            name: "1000000000000001".to_owned(),
            language: None,
            components: Vec::new(),
        }
    );
    let parameters = template()["message"]["parameters"].clone();
    assert_eq!(
        bound(&greeting(), parameters).unwrap(),
        json!([
            {"type": "header", "parameters": [
                {"type": "image", "image": {"link": "https://files.example.com/a.jpg"}}]},
            {"type": "body", "parameters": [
                {"type": "text", "parameter_name": "first_name", "text": "Ann"}]},
        ])
    );
}

#[test]
fn a_template_is_named_by_id_or_name() {
    for (written, name, language) in [
        (json!("1000000000000001"), "1000000000000001", None),
        (json!(1_000_000_000_000_001_i64), "1000000000000001", None),
        (json!(" greeting "), "greeting", None),
        (json!("greeting:en_US"), "greeting", Some("en_US")),
        (json!("greeting:"), "greeting:", None),
    ] {
        let send = sound(&with(template(), "/message/template", written));
        let Content::Template(message) = send.content else { panic!() };
        assert_eq!((&*message.name, message.language.as_deref()), (name, language));
    }
}

/// 47
#[test]
fn a_template_message_names_its_template() {
    for body in [
        without(template(), "/message/template"),
        with(template(), "/message/template", json!(" ")),
        with(template(), "/message", json!({})),
    ] {
        assert_missing(&body, "template");
    }
    assert_invalid(&with(template(), "/message/template", json!({})), "template");
    assert_invalid(&with(template(), "/message", json!([])), "message");
    assert_invalid(&giving(json!(["Ann"])), "parameters");
    let failure = Failure::new(ErrorKind::TemplateNotFound, "There is no such template.");
    assert_refusal(&failure, "7108", "Invalid template ID");
    for kind in [ErrorKind::TemplateNotFound, ErrorKind::NumberNotFound] {
        assert!(WebexConnect.info().refused_at_once.contains(&kind));
    }
    assert!(!WebexConnect.info().refused_at_once.contains(&ErrorKind::WindowClosed));
}

#[test]
fn a_template_beside_other_content_wins() {
    let mut body = template();
    body["channels"] = video()["channels"].clone();
    body["channels"]["OTT-Messaging"]["wa"]["identity_key_hash"] = json!("AAAA=");
    let send = sound(&body);
    assert!(send.content.is_template());
    assert_eq!(send.options.identity_key_hash.as_deref(), Some("AAAA="));
    for blank in [
        json!(null),
        json!(""),
        json!({}),
        json!([]),
        json!({"OTT-Messaging": {"wa": {}}}),
        json!({"OTT-Messaging": {"wa": []}}),
    ] {
        sound(&with(template(), "/channels", blank));
    }
    let mut body = video();
    body["message"] = json!("");
    assert!(!sound(&body).content.is_template());
}

/// 48
#[test]
fn values_too_few_or_too_many_are_a_mismatch() {
    let image = json!({"link": "https://files.example.com/a.jpg"});
    for parameters in [
        json!({"image": image}),
        json!({"image": image, "first_name": " "}),
        json!({"image": image, "first_name": null}),
        json!({"image": image, "name": "Ann"}),
        json!({"image": image, "first_name": "Ann", "last_name": "B"}),
        json!({"image": image, "first_name": "Ann", "video": image}),
        json!({"image": image, "first_name": "Ann", "otp": "1234"}),
        json!({"image": image, "first_name": "Ann", "track": {"type": "url", "payload": "x"}}),
        json!({"image": image, "first_name": {"type": "url", "payload": "x"}}),
        json!({"image": image, "first_name": "Ann", "quickReply": [{"payload": "x"}]}),
    ] {
        assert_code(&greeting(), &parameters, "7804");
    }
    for parameters in
        [json!({"first_name": "Ann"}), json!({"first_name": "Ann", "video": image}), json!({})]
    {
        assert_code(&greeting(), &parameters, "7812");
    }
    let place = numbered(&[json!({"type": "HEADER", "format": "LOCATION"})]);
    assert_code(&place, &json!({}), "7812");
}

#[test]
fn a_template_without_variables_needs_nothing() {
    let plain = numbered(&[json!({"type": "BODY", "text": "Hello"}), json!({"type": "FOOTER"})]);
    assert_eq!(bound(&plain, json!({})).unwrap(), json!([]));
    for body in [without(template(), "/message/parameters"), giving(json!([]))] {
        let binding = sound(&body).binding.unwrap();
        assert_eq!((binding.bind)(&plain, &binding.values).unwrap(), Vec::<Component<_>>::new());
    }
    assert_code(&plain, &json!({"x": "1"}), "7804");
}

#[test]
fn numbered_variables_are_found_by_number_or_order() {
    let order = numbered(&[json!({"type": "BODY", "text": "{{2}} for {{1}}, {{2}}"})]);
    for parameters in [
        json!({"1": "Ann", "2": "20%"}),
        json!({"2": "20%", "1": "Ann"}),
        json!({"body_2": "20%", "1": "Ann"}),
        json!({"name": "Ann", "rebate": "20%"}),
    ] {
        let body = &bound(&order, parameters).unwrap()[0];
        assert_eq!(
            *body,
            json!({"type": "body", "parameters": [
                {"type": "text", "text": "Ann"}, {"type": "text", "text": "20%"}]})
        );
    }
    for parameters in [
        json!({"1": "Ann", "rebate": "20%"}),
        json!({"1": "Ann"}),
        json!({"1": "Ann", "2": "20%", "3": "x"}),
        json!({"1": "Ann", "body_1": "Bob", "2": "20%"}),
        json!({"name": "", "rebate": "20%"}),
        json!({"a": "1", "b": "2", "c": "3"}),
    ] {
        assert_code(&order, &parameters, "7804");
    }
}

#[test]
fn the_vendors_sample_of_every_kind_of_value() {
    let known = numbered(&[
        json!({"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"}),
        json!({"type": "BODY", "text": "{{1}} pays {{3}} until {{2}}"}),
        json!({"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "No"}, {"type": "QUICK_REPLY", "text": "Yes"},
            {"type": "URL", "text": "Shop", "url": "https://shop.example.com/"},
            {"type": "URL", "text": "Track", "url": "https://shop.example.com/{{1}}"},
        ]}),
    ]);
    let parameters = json!({
        "first_name": "Ann", "headerText": "A-1001",
        "due": {"type": "date_time", "fallback_value": "Jan 14th, 2026", "timestamp": "1768392000"},
        "sum": {"type": "currency", "currency_code": "USD", "amount_1000": "150000",
            "fallback_value": "USD 150"},
        "track": {"type": "url", "payload": "abc/1"},
        "quickReply": [{"button_text": "Yes", "payload": "Y"}],
    });
    let wanted = json!([
        {"type": "header", "parameters": [{"type": "text", "text": "A-1001"}]},
        {"type": "body", "parameters": [
            {"type": "text", "text": "Ann"},
            {"type": "date_time", "date_time": {"fallback_value": "Jan 14th, 2026"}},
            {"type": "currency", "currency":
                {"fallback_value": "USD 150", "code": "USD", "amount_1000": 150_000}}]},
        {"type": "button", "sub_type": "quick_reply", "index": "1", "parameters": [
            {"type": "payload", "payload": "Y"}]},
        {"type": "button", "sub_type": "url", "index": "3", "parameters": [
            {"type": "text", "text": "abc/1"}]},
    ]);
    assert_eq!(bound(&known, parameters.clone()).unwrap(), wanted);
    let mut by_name = parameters.as_object().unwrap().clone();
    by_name.remove("headerText");
    by_name.remove("track");
    by_name.insert("header_1".to_owned(), json!("A-1001"));
    by_name.insert("button_1".to_owned(), json!("abc/1"));
    assert_eq!(bound(&known, by_name.into()).unwrap(), wanted);
}

#[test]
fn named_variables_may_be_dates_and_stand_in_headers() {
    let known = known(
        "named",
        "UTILITY",
        &[
            json!({"type": "HEADER", "format": "TEXT", "text": "For {{first_name}}"}),
            json!({"type": "BODY", "text": "{{ first_name }}, until {{due}}"}),
        ],
    );
    let parameters = json!({
        "due": {"type": "date_time", "fallback_value": "Monday"}, "first_name": 7,
    });
    let name = json!({"type": "text", "parameter_name": "first_name", "text": "7"});
    assert_eq!(
        bound(&known, parameters).unwrap(),
        json!([
            {"type": "header", "parameters": [name]},
            {"type": "body", "parameters": [name,
                {"type": "date_time", "date_time": {"fallback_value": "Monday"},
                 "parameter_name": "due"}]},
        ])
    );
}

#[test]
fn quick_replies_without_a_known_text_go_by_place() {
    let known = numbered(&[json!({"type": "BUTTONS", "buttons": [
        {"type": "PHONE_NUMBER", "text": "Call"}, {"type": "QUICK_REPLY", "text": "Yes"},
        {"type": "QUICK_REPLY", "text": "No"},
    ]})]);
    let indices = |replies: Value| -> Vec<(String, String)> {
        let components = bound(&known, json!({"quickReply": replies})).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pair = |it: &Value| (text(&it["index"]), text(&it["parameters"][0]["payload"]));
        components.as_array().unwrap().iter().map(pair).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(index, payload)| ((*index).into(), (*payload).into())).collect()
    };
    assert_eq!(indices(json!([])), pairs(&[]));
    assert_eq!(indices(json!([{"payload": "Y"}])), pairs(&[("1", "Y")]));
    assert_eq!(
        indices(json!([{"button_text": "no", "payload": "N"}, {"payload": "?"}])),
        pairs(&[("1", "?"), ("2", "N")])
    );
    assert_code(
        &known,
        &json!({"quickReply": [{"payload": "1"}, {"payload": "2"}, {"payload": "3"}]}),
        "7804",
    );
}

#[test]
fn a_one_time_code_fills_body_and_button() {
    let known = known(
        "POSITIONAL",
        "AUTHENTICATION",
        &[
            json!({"type": "BODY", "text": "*{{1}}* is your code."}),
            json!({"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Copy", "url": "https://www.example.com/otp?code={{1}}"}]}),
        ],
    );
    let wanted = json!([
        {"type": "body", "parameters": [{"type": "text", "text": "123456"}]},
        {"type": "button", "sub_type": "url", "index": "0",
         "parameters": [{"type": "text", "text": "123456"}]},
    ]);
    for otp in [json!({"type": "otp", "value": "123456"}), json!("123456"), json!(123_456)] {
        assert_eq!(bound(&known, json!({"otp": otp})).unwrap(), wanted);
    }
    assert_code(&known, &json!({}), "7804");
    // As it is created: Meta writes the text, and the code goes in both places all the same.
    for body in [
        json!({"type": "BODY", "add_security_recommendation": true}),
        json!({"type": "BODY", "text": "Your code."}),
    ] {
        let buttons = json!([{"type": "OTP", "otp_type": "COPY_CODE"}]);
        let parts = [body, json!({"type": "BUTTONS", "buttons": buttons})];
        let created = self::known("POSITIONAL", "AUTHENTICATION", &parts);
        assert_eq!(bound(&created, json!({"otp": "123456"})).unwrap(), wanted);
        assert_code(&created, &json!({}), "7804");
    }
    assert_eq!(doom_of(&giving(json!({"otp": "1234567890123456"}))).0, "7808");
    assert_eq!(doom_of(&giving(json!({"otp": {"type": "otp", "value": "12 34"}}))).0, "7722");
    sound(&giving(json!({"otp": "123456789012345"})));
    assert_missing(&giving(json!({"otp": {"type": "otp"}})), "value");
}

#[test]
fn header_files_by_link_or_id() {
    let document = numbered(&[json!({"type": "HEADER", "format": "DOCUMENT"})]);
    for (given, file) in [
        (
            json!({"link": "https://files.example.com/a.pdf", "filename": "a.pdf"}),
            json!({"link": "https://files.example.com/a.pdf", "filename": "a.pdf"}),
        ),
        (
            json!({"url": "https://files.example.com/a.pdf"}),
            json!({"link": "https://files.example.com/a.pdf"}),
        ),
        (json!({"id": 1_000_000_000_000_042_i64}), json!({"id": "1000000000000042"})),
        (
            json!({"id": "1", "link": "https://files.example.com/a.pdf"}),
            json!({"link": "https://files.example.com/a.pdf"}),
        ),
    ] {
        let components = bound(&document, json!({"document": given})).unwrap();
        assert_eq!(components[0]["parameters"], json!([{"type": "document", "document": file}]));
    }
    assert_missing(&giving(json!({"image": {}})), "link");
    assert_invalid(&giving(json!({"image": {"link": "ftp://x/y"}})), "link");
    assert_invalid(&giving(json!({"image": "https://files.example.com/a.jpg"})), "image");
}

#[test]
fn values_of_another_form_are_refused() {
    for (parameters, name) in [
        (json!({"a": []}), "a"),
        (json!({"a": true}), "a"),
        (json!({"a": {"type": "text", "text": "x"}}), "a"),
        (
            json!({"a": {"type": "currency", "currency_code": "USD", "amount_1000": "1.5",
            "fallback_value": "x"}}),
            "amount_1000",
        ),
        (json!({"a": "b\u{0}"}), "a"),
        (json!({"quickReply": [5]}), "quickReply"),
        (json!({"quickReply": {}}), "quickReply"),
        (json!({"a\u{0}": "x", "b": []}), "b"),
        (json!({("ü".repeat(200)): []}), &*"ü".repeat(64)),
    ] {
        assert_invalid(&giving(parameters), name);
    }
    for (parameters, name) in [
        (json!({"a": {}}), "type"),
        (json!({"a": {"type": "url"}}), "payload"),
        (json!({"a": {"type": "date_time"}}), "fallback_value"),
        (json!({"a": {"type": "currency", "amount_1000": 1}}), "fallback_value"),
        (json!({"quickReply": [{"button_text": "Yes"}]}), "payload"),
    ] {
        assert_missing(&giving(parameters), name);
    }
    let reply = json!({"payload": "x"});
    assert_eq!(doom_of(&giving(json!({"quickReply": vec![&reply; 4]}))).0, "7722");
    let many: serde_json::Map<_, _> = (0..257).map(|n| (format!("v{n}"), json!("x"))).collect();
    assert_eq!(doom_of(&giving(many.into())).0, "7804");
}

#[test]
fn of_one_name_the_last_value_counts() {
    let body = template().to_string().replace(
        "\"first_name\":\"Ann\"",
        "\"first_name\":\"Ann\",\"x\":\"1\",\"first_name\":\"Bob\"",
    );
    let Command::Submit(submit) = decode(body.as_bytes()).unwrap() else { panic!() };
    let binding = submit.messages[0].send.binding.clone().unwrap();
    let known = numbered(&[
        json!({"type": "HEADER", "format": "IMAGE"}),
        json!({"type": "BODY", "text": "{{1}} {{2}}"}),
    ]);
    let components = (binding.bind)(&known, &binding.values).unwrap();
    let text = |text: &str| Parameter::Text { text: text.to_owned(), name: None };
    assert_eq!(components[1].parameters, [text("Bob"), text("1")]);
}
