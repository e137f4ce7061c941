//! The values of a template, and how they meet it.

use ErrorKind::{InvalidType, InvalidValue, MissingField, TemplateParameterMismatch};
use waypost_domain::Timestamp;
use waypost_domain::content::TemplateMessage;
use waypost_domain::template::Template;

use super::*;

fn known(category: &str, components: &Value) -> Template {
    Template {
        id: "1000000000000500".to_owned(),
        waba_id: "100000000000002".to_owned(),
        name: "offer_830".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        category: category.to_owned(),
        parameter_format: None,
        components: components.as_array().unwrap().clone(),
        synced_at: Timestamp(0),
    }
}

/// `offer_830` of the reference.
fn offer() -> Template {
    known(
        "MARKETING",
        &json!([
            {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi {{1}}, win {{2}}"},
        ]),
    )
}

fn with_buttons() -> Template {
    known(
        "MARKETING",
        &json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Open", "url": "https://www.example.com/{{1}}"},
            {"type": "QUICK_REPLY", "text": "Stop"},
            {"type": "FLOW", "text": "Form", "flow_id": "1"},
            {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "15550009999"},
        ]}]),
    )
}

/// W with other components.
fn values(components: Value) -> Value {
    with(template(), "/template/components", components)
}

/// Meta's components of a request, once the template is known.
fn bound(template: &Template, body: &Value) -> Result<Value, Failure> {
    let send = send(path::TEMPLATE, body).unwrap();
    let Content::Template(message) = send.content else { panic!() };
    let components = match send.binding {
        Some(binding) => (binding.bind)(template, &binding.values)?,
        None => message.components,
    };
    let message =
        TemplateMessage { components, ..TemplateMessage { components: vec![], ..message } };
    template.check(&message)?;
    let object = message_object(&Content::Template(message));
    Ok(object["template"].get("components").cloned().unwrap_or(json!([])))
}

/// 32: media header and body, as the vendor's sample has them.
#[test]
fn header_and_body_become_metas_components() {
    assert_eq!(
        bound(&offer(), &template()).unwrap(),
        json!([
            {"type": "header", "parameters": [
                {"type": "image", "image": {"link": "https://files.example.com/a.jpg"}}]},
            {"type": "body", "parameters": [
                {"type": "text", "text": "John"}, {"type": "text", "text": "2000"}]},
        ])
    );
}

/// 33
#[test]
fn too_few_values_do_not_fit() {
    let one = with(template(), "/template/components/body/placeholders", json!(["John"]));
    assert_eq!(bound(&offer(), &one).unwrap_err().kind, TemplateParameterMismatch);
    let none = with(template(), "/template/components", json!({}));
    assert_eq!(bound(&offer(), &none).unwrap_err().kind, TemplateParameterMismatch);
}

/// 34
#[test]
fn a_template_without_variables_takes_no_values() {
    let plain = known("UTILITY", &json!([{"type": "BODY", "text": "Hello"}]));
    for components in [
        json!({}),
        json!(null),
        json!(""),
        json!([]),
        json!({"header": {}, "body": {}, "buttons": []}),
        // As PHP writes what is empty.
        json!({"header": [], "body": [], "buttons": []}),
    ] {
        assert_eq!(bound(&plain, &values(components)).unwrap(), json!([]));
    }
    assert_eq!(bound(&plain, &without(template(), "/template/components")).unwrap(), json!([]));
}

/// 35, and the other names of the same things.
#[test]
fn other_names_and_metas_form_are_read_alike() {
    let expected = bound(&offer(), &template()).unwrap();
    let language =
        with(without(template(), "/template/languageCode"), "/template/language", json!("en"));
    let Content::Template(message) = send(path::TEMPLATE, &language).unwrap().content else {
        panic!()
    };
    assert_eq!(message.language.as_deref(), Some("en"));
    let components = template()["template"]["components"].clone();
    let singular =
        with(without(template(), "/template/components"), "/template/component", components);
    assert_eq!(bound(&offer(), &singular).unwrap(), expected);
    let url = "https://files.example.com/a.jpg";
    for header in [
        json!({"format": "image", "mediaUrl": url}),
        json!({"mediaUrl": url}),
        json!({"type": "IMAGE", "mediaUrl": url, "mediaId": "1000000000000042"}),
    ] {
        let body = with(template(), "/template/components/header", header);
        assert_eq!(bound(&offer(), &body).unwrap(), expected);
    }
    for name in ["parameter", "parameters", "placeholder", "text"] {
        let body = with(template(), "/template/components/body", json!({name: ["John", 2000]}));
        assert_eq!(bound(&offer(), &body).unwrap(), expected);
    }
    let array = with(template(), "/template/components", expected.clone());
    assert_eq!(bound(&offer(), &array).unwrap(), expected);
    let by_id = json!({"type": "IMAGE", "mediaId": "1000000000000042"});
    let by_id = with(template(), "/template/components/header", by_id);
    assert_eq!(
        bound(&offer(), &by_id).unwrap()[0]["parameters"][0]["image"],
        json!({"id": "1000000000000042"})
    );
    let bare = send(path::TEMPLATE, &without(template(), "/template/languageCode")).unwrap();
    assert!(bare.ignores_org_language, "`en` comes first");
    let Content::Template(message) = bare.content else { panic!() };
    assert_eq!(message.language, None);
}

#[test]
fn documents_and_texts_stand_in_headers() {
    let document = known("UTILITY", &json!([{"type": "HEADER", "format": "DOCUMENT"}]));
    let header =
        json!({"type": "DOCUMENT", "mediaUrl": "https://a.example/b", "filename": "x/b.pdf"});
    let parameter = json!({"type": "document",
        "document": {"link": "https://a.example/b", "filename": "b.pdf"}});
    let bound_header = bound(&document, &values(json!({"header": header}))).unwrap();
    assert_eq!(bound_header, json!([{"type": "header", "parameters": [parameter]}]));
    let text = known("UTILITY", &json!([{"type": "HEADER", "format": "TEXT", "text": "Hi {{1}}"}]));
    for header in [
        json!({"type": "TEXT", "parameter": "Ann"}),
        json!({"type": "text", "placeholders": ["Ann"]}),
        json!({"text": "Ann"}),
    ] {
        assert_eq!(
            bound(&text, &values(json!({"header": header}))).unwrap(),
            json!([{"type": "header", "parameters": [{"type": "text", "text": "Ann"}]}])
        );
    }
}

#[test]
fn named_variables_get_their_names_in_order() {
    let mut named =
        known("UTILITY", &json!([{"type": "BODY", "text": "{{ who }}, {{what}}, {{who}}"}]));
    named.parameter_format = Some("NAMED".to_owned());
    assert_eq!(
        bound(&named, &values(json!({"body": {"placeholders": ["Ann", "tea"]}}))).unwrap()[0]["parameters"],
        json!([{"type": "text", "parameter_name": "who", "text": "Ann"},
               {"type": "text", "parameter_name": "what", "text": "tea"}])
    );
}

#[test]
fn buttons_take_their_values_by_place_and_kind() {
    let expected = json!([
        {"type": "button", "sub_type": "url", "index": "0",
         "parameters": [{"type": "text", "text": "summer"}]},
        {"type": "button", "sub_type": "quick_reply", "index": "1",
         "parameters": [{"type": "payload", "payload": "STOP"}]},
        {"type": "button", "sub_type": "flow", "index": "2",
         "parameters": [{"type": "action", "action": {"flow_token": "t"}}]},
    ]);
    for buttons in [
        json!([{"index": 0, "type": "URL", "parameter": "summer"},
               {"index": "1", "type": "quick_reply", "payload": "STOP"},
               {"index": 2, "type": "FLOW", "parameter": "t"}]),
        json!([{"text": "summer"}, {"payload": "STOP"}, {"parameter": "t"}]),
    ] {
        assert_eq!(bound(&with_buttons(), &values(json!({"buttons": buttons}))).unwrap(), expected);
    }
    let code =
        known("MARKETING", &json!([{"type": "BUTTONS", "buttons": [{"type": "COPY_CODE"}]}]));
    let buttons = json!([{"type": "COPY_CODE", "code": "SAVE20"}]);
    assert_eq!(
        bound(&code, &values(json!({"buttons": buttons}))).unwrap()[0]["parameters"],
        json!([{"type": "coupon_code", "coupon_code": "SAVE20"}])
    );
}

#[test]
fn buttons_that_do_not_fit_are_a_mismatch() {
    for buttons in [
        json!([]),
        json!([{"index": 1, "type": "QUICK_REPLY", "parameter": "x"}]),
        json!([{"parameter": "x"}, {"index": 9, "type": "URL", "parameter": "x"}]),
        json!([{"type": "QUICK_REPLY", "parameter": "x"}]),
        json!([{"parameter": "x"}, {}]),
        json!([{"parameter": "x"}, {"index": 3, "parameter": "x"}]),
    ] {
        let failure = bound(&with_buttons(), &values(json!({"buttons": buttons}))).unwrap_err();
        assert_eq!(failure.kind, TemplateParameterMismatch, "{buttons}");
    }
}

#[test]
fn the_code_of_an_authentication_template_also_fills_its_button() {
    let code = known(
        "AUTHENTICATION",
        &json!([
            {"type": "BODY", "text": "*{{1}}* is your code."},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy"}]},
        ]),
    );
    let expected = json!([
        {"type": "body", "parameters": [{"type": "text", "text": "4711"}]},
        {"type": "button", "sub_type": "url", "index": "0",
         "parameters": [{"type": "text", "text": "4711"}]},
    ]);
    for components in [
        json!({"body": {"placeholders": ["4711"]}}),
        json!({"body": {"placeholder": 4711},
               "buttons": [{"index": 0, "type": "COPY_CODE", "code": 4711}]}),
    ] {
        assert_eq!(bound(&code, &values(components)).unwrap(), expected);
    }
}

/// 19, and what the values must look like.
#[test]
fn values_of_the_wrong_form_are_refused() {
    for (components, kind, field) in [
        (json!("none"), InvalidType, "template.components"),
        (json!({"header": ["IMAGE"]}), InvalidType, "template.components.header"),
        (json!({"header": {"type": "IMAGE"}}), MissingField, "template.components.header.mediaUrl"),
        (
            json!({"header": {"type": "TEXT"}}),
            MissingField,
            "template.components.header.placeholders",
        ),
        (
            json!({"header": {"type": "AUDIO", "mediaUrl": "https://a.example/"}}),
            InvalidValue,
            "template.components.header.type",
        ),
        (
            json!({"header": {"type": "IMAGE", "mediaUrl": "a.jpg"}}),
            InvalidValue,
            "template.components.header.mediaUrl",
        ),
        (json!({"body": ["John"]}), InvalidType, "template.components.body"),
        (
            json!({"body": {"placeholders": [null]}}),
            InvalidType,
            "template.components.body.placeholders[0]",
        ),
        (
            json!({"body": {"placeholders": [{"text": "x"}]}}),
            InvalidType,
            "template.components.body.placeholders[0]",
        ),
        (json!({"buttons": {}}), InvalidType, "template.components.buttons"),
        (
            json!({"buttons": [{"type": "CALL", "text": "x"}]}),
            InvalidValue,
            "template.components.buttons[0].type",
        ),
        (
            json!({"buttons": [{"index": "first", "text": "x"}]}),
            InvalidValue,
            "template.components.buttons[0].index",
        ),
        (
            json!({"buttons": [{"type": "URL"}]}),
            MissingField,
            "template.components.buttons[0].parameter",
        ),
        (json!([1]), InvalidType, "template.components[0]"),
        (json!([{"parameters": []}]), MissingField, "template.components[0].type"),
        (
            json!([{"type": "body", "parameters": [{"type": "text"}]}]),
            MissingField,
            "template.components[0].parameters[0].text",
        ),
        (
            json!([{"type": "header", "parameters": [{"type": "image"}]}]),
            MissingField,
            "template.components[0].parameters[0].image",
        ),
    ] {
        assert_refused(send(path::TEMPLATE, &values(components)), kind, Some(field));
    }
}

/// Meta's form with a carousel and kinds of parameters that are passed on.
#[test]
fn metas_components_go_out_as_they_came() {
    let components = json!([
        {"type": "body", "parameters": [
            {"type": "currency", "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000}}]},
        {"type": "carousel", "cards": [{"card_index": 0, "components": [
            {"type": "header", "parameters": [{"type": "video", "video": {"id": "1000000000000042"}}]}]}]},
        {"type": "button", "sub_type": "quick_reply", "index": "1",
         "parameters": [{"type": "payload", "payload": "X"}]},
    ]);
    let Content::Template(message) =
        send(path::TEMPLATE, &values(components.clone())).unwrap().content
    else {
        panic!()
    };
    let object = message_object(&Content::Template(message));
    assert_eq!(object["template"]["components"], components);
}
