//! The management of templates, and the message list.

use ErrorKind::{InvalidType, InvalidValue, MissingField, NumberNotFound};
use waypost_domain::media::MimeType;

use super::*;

const NUMBER: [(&str, &str); 1] = [("phone_number", "+15550009999")];

/// The vendor's sample.
fn creation() -> Value {
    json!({"name": "temp_lower_68", "language": "en", "category": "MARKETING", "component": {
        "header": {"format": "TEXT", "text": "{{1}} registration", "example": "July"},
        "body": {"text": "Hi {{1}}, see {{2}}", "examples": ["John", "https://www.example.com"]},
        "footer": {"text": "Bye"},
        "buttons": [
            {"type": "URL", "text": "Open", "url": "https://www.example.com/{{1}}", "example": "a"},
            {"type": "PHONE_NUMBER", "text": "Call", "phoneNumber": "15550009999"},
            {"type": "QUICK_REPLY", "text": "Stop"}]}})
}

fn create(body: &Value) -> Result<Value, Failure> {
    let body = body.to_string();
    let body = Body::Json(body.as_bytes());
    match manage(&Method::POST, path::TEMPLATES, &NUMBER, body)? {
        Task::CreateTemplate { number, template } => {
            assert_eq!(number, "15550009999");
            Ok(template)
        }
        other => panic!("{other:?}"),
    }
}

fn edit(id: &str, body: &Value) -> Result<Task, Failure> {
    let body = body.to_string();
    let params = [NUMBER[0], ("template_id", id)];
    manage(&Method::PUT, path::ONE_TEMPLATE, &params, Body::Json(body.as_bytes()))
}

#[test]
fn a_template_is_made_in_metas_form() {
    let expected = json!({"name": "temp_lower_68", "language": "en", "category": "MARKETING",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "{{1}} registration",
             "example": {"header_text": ["July"]}},
            {"type": "BODY", "text": "Hi {{1}}, see {{2}}",
             "example": {"body_text": [["John", "https://www.example.com"]]}},
            {"type": "FOOTER", "text": "Bye"},
            {"type": "BUTTONS", "buttons": [
                {"type": "URL", "text": "Open", "url": "https://www.example.com/{{1}}", "example": ["a"]},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "15550009999"},
                {"type": "QUICK_REPLY", "text": "Stop"}]}]});
    assert_eq!(create(&creation()).unwrap(), expected);
    let component = creation()["component"].clone();
    let plural = with(without(creation(), "/component"), "/components", component);
    assert_eq!(create(&with(plural, "/category", json!("marketing"))).unwrap(), expected);
    let array = with(creation(), "/component", expected["components"].clone());
    assert_eq!(create(&array).unwrap(), expected);
}

#[test]
fn media_headers_and_codes_are_made_in_metas_form() {
    let media =
        json!({"header": {"format": "IMAGE", "mediaId": "4::aW1hZ2U="}, "body": {"text": "Hi"}});
    assert_eq!(
        create(&with(creation(), "/component", media)).unwrap()["components"],
        json!([
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW1hZ2U="]}},
            {"type": "BODY", "text": "Hi"},
        ])
    );
    let code = json!({"body": {"addSecurityRecommendation": true}, "footer": {"codeExpirationMinutes": 10},
        "buttons": [{"type": "OTP", "text": "Copy Code", "otpType": "COPY_CODE"}]});
    let code = with(with(creation(), "/component", code), "/category", json!("AUTHENTICATION"));
    let components = json!([
        {"type": "BODY", "add_security_recommendation": true},
        {"type": "FOOTER", "code_expiration_minutes": 10},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "text": "Copy Code", "otp_type": "COPY_CODE"}]},
    ]);
    assert_eq!(create(&code).unwrap()["components"], components);
    let bare = with(code, "/component", json!({"footer": {"codeExpirationMinutes": "10"}}));
    assert_eq!(
        create(&bare).unwrap()["components"],
        json!([{"type": "BODY"}, {"type": "FOOTER", "code_expiration_minutes": 10}])
    );
}

/// 51, and the other rules of the reference.
#[test]
fn breaches_of_the_vendors_rules_are_refused() {
    for (pointer, value, kind, field) in [
        ("/name", json!(null), MissingField, "name"),
        ("/language", json!(""), MissingField, "language"),
        ("/category", json!(null), MissingField, "category"),
        ("/component", json!(null), MissingField, "component"),
        ("/name", json!("Temp"), InvalidValue, "name"),
        ("/name", json!("temp-1"), InvalidValue, "name"),
        ("/category", json!("NEWS"), InvalidValue, "category"),
        ("/component", json!("x"), InvalidType, "component"),
        ("/component", json!([{}]), MissingField, "component[0].type"),
        ("/component/body", json!(null), MissingField, "component.body"),
        ("/component/body/text", json!(null), MissingField, "component.body.text"),
        ("/component/body/examples", json!(["John"]), InvalidValue, "component.body.examples"),
        (
            "/component/body/examples",
            json!(["a", "b", "c"]),
            InvalidValue,
            "component.body.examples",
        ),
        ("/component/body/examples", json!(null), InvalidValue, "component.body.examples"),
        ("/component/body/examples", json!("John"), InvalidType, "component.body.examples"),
        ("/component/header/example", json!(["July"]), InvalidType, "component.header.example"),
        ("/component/header/example", json!(null), InvalidValue, "component.header.example"),
        ("/component/header/text", json!("July"), InvalidValue, "component.header.example"),
        ("/component/header/format", json!("AUDIO"), InvalidValue, "component.header.format"),
        ("/component/header", json!({"format": "IMAGE"}), MissingField, "component.header.mediaId"),
        ("/component/footer", json!({}), MissingField, "component.footer.text"),
        ("/component/buttons", json!({}), InvalidType, "component.buttons"),
        ("/component/buttons/0/type", json!(null), MissingField, "component.buttons[0].type"),
        ("/component/buttons/0/url", json!(null), MissingField, "component.buttons[0].url"),
        (
            "/component/buttons/1/phoneNumber",
            json!(null),
            MissingField,
            "component.buttons[1].phoneNumber",
        ),
        ("/component/buttons/2/text", json!(null), MissingField, "component.buttons[2].text"),
    ] {
        assert_refused(create(&with(creation(), pointer, value)), kind, Some(field));
    }
    let body = creation().to_string();
    let nobody = [("phone_number", "shop")];
    let result = manage(&Method::POST, path::TEMPLATES, &nobody, Body::Json(body.as_bytes()));
    assert_refused(result, NumberNotFound, None);
}

/// 52
#[test]
fn a_change_has_components_and_category_only() {
    let Task::EditTemplate { number, template_id, name, change } =
        edit("1000000000000500", &creation()).unwrap()
    else {
        panic!()
    };
    assert_eq!((number.as_str(), template_id.as_str()), ("15550009999", "1000000000000500"));
    assert_eq!(name.as_deref(), creation()["name"].as_str());
    let created = create(&creation()).unwrap();
    assert_eq!(change, json!({"category": "MARKETING", "components": created["components"]}));
    let bare = json!({"components": {"body": {"text": "Hi"}}});
    let Task::EditTemplate { name, change, .. } = edit("1000000000000500", &bare).unwrap() else {
        panic!()
    };
    assert_eq!(name, None);
    assert_eq!(change, json!({"components": [{"type": "BODY", "text": "Hi"}]}));
    assert_refused(edit("1000000000000500", &json!({})), MissingField, Some("component"));
    assert_refused(edit("../me", &creation()), ErrorKind::TemplateNotFound, None);
}

/// 49
#[test]
fn a_numbers_templates_are_listed() {
    let task = manage(&Method::GET, path::TEMPLATES, &NUMBER, Body::None).unwrap();
    let number = Some("15550009999".to_owned());
    assert_eq!(task, Task::ListTemplates { number, name: None });
}

/// 50
#[test]
fn a_sample_is_uploaded() {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xF0\x01\x02\xFF";
    let upload = |file| {
        let form = form(&[], file);
        manage(&Method::POST, path::TEMPLATE_SAMPLE, &[], Body::Form(&form))
    };
    for (name, declared) in [
        ("dir/logo.png", "image/png"),
        ("logo.png", "application/octet-stream"),
        ("logo.png", "image/jpeg"),
    ] {
        let Task::UploadTemplateSample { mime_type, filename } =
            upload(Some((name, declared, PNG))).unwrap()
        else {
            panic!()
        };
        assert_eq!(mime_type, MimeType::parse("image/png").unwrap());
        assert_eq!(filename.as_deref(), Some("logo.png"));
    }
    assert_refused(upload(None), MissingField, Some("file"));
    assert_refused(upload(Some(("a.png", "image/png", b""))), InvalidValue, Some("file"));
    for (name, declared, bytes) in
        [("a.zip", "application/zip", PNG), ("a.png", "image/png", &b"%PDF-1.7"[..])]
    {
        let result = upload(Some((name, declared, bytes)));
        assert_refused(result, ErrorKind::UnsupportedMediaType, Some("file"));
    }
}

/// 48
#[test]
fn bad_pages_fall_back_to_the_defaults() {
    for (query, page, size) in [
        (&[("page", "0"), ("size", "10")][..], 0, 10),
        (&[], 0, 10),
        (&[("page", "3"), ("size", "25")], 3, 25),
        (&[("page", "-1"), ("size", "0")], 0, 10),
        (&[("page", "x"), ("size", "many")], 0, 10),
        (&[("size", "101")], 0, 100),
        (&[("page", "99999999999999999999"), ("size", "1.5")], 0, 10),
    ] {
        let task = manage(&Method::GET, path::MESSAGES, query, Body::None).unwrap();
        assert_eq!(task, Task::ListMessages { page, size });
    }
    let command = call(&Method::GET, path::MESSAGES, &[("size", "25")], Body::None).unwrap();
    assert_eq!(command.echo().page_size, Some(25));
}
