//! Broadcasts.

use waypost_domain::MediaId;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter};
use waypost_domain::media::MediaKind;

use super::*;

fn components(value: Value) -> Result<Vec<Component<MediaDraft>>, Failure> {
    broadcast(&with(template(), "/components", value)).map(|sent| sent.template.components)
}

fn body_of(text: &str) -> Value {
    json!({"type": "body", "parameters": [{"type": "text", "text": text}]})
}

fn header_with(parameter: &Value) -> Value {
    json!([{"type": "header", "parameters": [parameter]}])
}

fn media_of(components: &[Component<MediaDraft>]) -> &MediaDraft {
    match &components[0].parameters[0] {
        Parameter::Media { media, .. } => media,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reads_a_template() {
    let sent = broadcast(&template()).unwrap();
    assert_eq!(sent.org_id.as_str(), "org-1");
    assert_eq!(sent.user_id.unwrap().as_str(), "user-1");
    assert_eq!(sent.session_id.as_deref(), Some("camp-7"));
    assert_eq!((sent.template.name.as_str(), sent.template.language), ("spring_offer", None));
    let [header, body] = &sent.template.components[..] else { panic!() };
    assert_eq!((header.kind.as_str(), body.kind.as_str()), ("header", "body"));
    let draft = MediaDraft {
        kind: MediaKind::Image,
        source: MediaSource::Id(MediaId::new("1000000000000042")),
        field: "components[0].parameters[0].image.id".to_owned(),
    };
    let kind = MediaKind::Image;
    assert_eq!(header.parameters, [Parameter::Media { kind, media: draft, filename: None }]);
    let text = |text: &str| Parameter::Text { text: text.to_owned(), name: None };
    assert_eq!(body.parameters, [text("https://www.example.com/"), text("20%")]);
}

/// 46, 47
#[test]
fn components_may_be_json_in_a_string() {
    let plain = broadcast(&template()).unwrap();
    let text = template()["components"].to_string();
    assert_eq!(broadcast(&with(template(), "/components", json!(text))).unwrap(), plain);
    for none in [json!([]), json!("[]")] {
        assert!(components(none).unwrap().is_empty());
    }
    for (value, kind) in [
        (json!("[{"), ErrorKind::InvalidValue),
        (json!("header"), ErrorKind::InvalidValue),
        (json!(""), ErrorKind::InvalidValue),
        (json!("{}"), ErrorKind::InvalidType),
        (json!("\"[]\""), ErrorKind::InvalidType),
        (json!("null"), ErrorKind::MissingField),
    ] {
        assert_refused(components(value), kind, Some("components"));
    }
}

/// 48, 49
#[test]
fn every_field_is_required() {
    for name in ["templateName", "sessionId", "userId", "orgId", "components"] {
        let pointer = format!("/{name}");
        let kind = ErrorKind::MissingField;
        assert_refused(broadcast(&without(template(), &pointer)), kind, Some(name));
        assert_refused(broadcast(&with(template(), &pointer, json!(null))), kind, Some(name));
        let object = broadcast(&with(template(), &pointer, json!({})));
        assert_refused(object, ErrorKind::InvalidType, Some(name));
        let blank = broadcast(&with(template(), &pointer, json!("  ")));
        assert_refused(blank, ErrorKind::InvalidValue, Some(name));
    }
    for (pointer, field) in [
        ("/components/0/type", "components[0].type"),
        ("/components/1/parameters", "components[1].parameters"),
        ("/components/1/parameters/1/type", "components[1].parameters[1].type"),
        ("/components/1/parameters/1/text", "components[1].parameters[1].text"),
        ("/components/0/parameters/0/image", "components[0].parameters[0].image"),
        ("/components/0/parameters/0/image/id", "components[0].parameters[0].image.id"),
    ] {
        let result = broadcast(&without(template(), pointer));
        assert_refused(result, ErrorKind::MissingField, Some(field));
    }
}

/// 52 and its neighbours
#[test]
fn words_and_types_are_checked() {
    use ErrorKind::{InvalidType, InvalidValue};
    let image = json!({"type": "image", "image": {"id": "1"}});
    for (pointer, value, kind, field) in [
        ("/1/parameters/0", image, InvalidValue, "[1].parameters[0].type"),
        ("/1/parameters/0/type", json!("currency"), InvalidValue, "[1].parameters[0].type"),
        ("/0/parameters/0/type", json!("audio"), InvalidValue, "[0].parameters[0].type"),
        ("/0/parameters/0/type", json!("payload"), InvalidValue, "[0].parameters[0].type"),
        ("/0/type", json!("footer"), InvalidValue, "[0].type"),
        ("/0", json!("header"), InvalidType, "[0]"),
        ("/0", json!(null), InvalidType, "[0]"),
        ("/0/parameters", json!({}), InvalidType, "[0].parameters"),
        ("/0/parameters", json!("[]"), InvalidType, "[0].parameters"),
        ("/0/parameters/0", json!(1), InvalidType, "[0].parameters[0]"),
        ("/0/parameters/0/image", json!("x"), InvalidType, "[0].parameters[0].image"),
        ("/0/parameters/0/image/id", json!([]), InvalidType, "[0].parameters[0].image.id"),
        ("/0/parameters/0/image/id", json!(" "), InvalidValue, "[0].parameters[0].image.id"),
        ("/0/parameters/0/image/caption", json!(1), InvalidType, "[0].parameters[0].image.caption"),
        ("/1/parameters/0/text", json!(20), InvalidType, "[1].parameters[0].text"),
        ("/1/parameters/0/text", json!(""), InvalidValue, "[1].parameters[0].text"),
        (
            "/1/parameters/0/parameter_name",
            json!(1),
            InvalidType,
            "[1].parameters[0].parameter_name",
        ),
    ] {
        let body = with(template(), &format!("/components{pointer}"), value);
        assert_refused(broadcast(&body), kind, Some(&format!("components{field}")));
    }
    let mut body = template();
    body["components"][0]["type"] = json!("HEADER");
    body["components"][0]["parameters"][0]["type"] = json!("Image");
    assert_eq!(broadcast(&body).unwrap(), broadcast(&template()).unwrap());
}

/// 53, 54
#[test]
fn texts_have_limits_by_component() {
    let header = |text: &str| header_with(&json!({"type": "text", "text": text}));
    assert!(components(header(&"ü".repeat(60))).is_ok());
    let field = Some("components[0].parameters[0].text");
    let refused = ErrorKind::ValueTooLong;
    assert_refused(components(header(&"ü".repeat(61))), refused, field);

    assert!(components(json!([body_of(&"😀".repeat(36_768))])).is_ok());
    assert_refused(components(json!([body_of(&"a".repeat(36_769))])), refused, field);

    let beside = |text: String| {
        components(json!([body_of(&text), {"type": "button", "index": 0, "parameters": []}]))
    };
    assert!(beside("a".repeat(1_024)).is_ok());
    assert_refused(beside("a".repeat(1_025)), refused, field);
}

#[test]
fn lists_have_bounds() {
    let many = |count: usize| components(Value::Array(vec![body_of("x"); count]));
    assert!(many(32).is_ok());
    assert_refused(many(33), ErrorKind::InvalidValue, Some("components"));
    let many = |count: usize| {
        let parameters = vec![json!({"type": "text", "text": "x"}); count];
        components(json!([{"type": "body", "parameters": parameters}]))
    };
    assert!(many(256).is_ok());
    assert_refused(many(257), ErrorKind::InvalidValue, Some("components[0].parameters"));
}

#[test]
fn headings_of_the_document_are_accepted_as_names() {
    let value = json!([{"type": "body", "Parameters": [{"type": "text", "text": "x"}]}]);
    assert_eq!(components(value).unwrap()[0].parameters.len(), 1);
    let value = json!([{"type": "body", "Parameters": [{"type": "text"}]}]);
    let field = Some("components[0].Parameters[0].text");
    assert_refused(components(value), ErrorKind::MissingField, field);
}

#[test]
fn named_variables_are_passed_on() {
    let parameter = json!({"type": "text", "parameter_name": "discount", "text": "20%"});
    let read = components(json!([{"type": "body", "parameters": [parameter]}])).unwrap();
    let name = Some("discount".to_owned());
    assert_eq!(read[0].parameters, [Parameter::Text { text: "20%".to_owned(), name }]);
}

#[test]
fn buttons_are_passed_on() {
    let read = components(json!([
        {"type": "button", "sub_type": "quick_reply", "index": "0",
         "parameters": [{"type": "payload", "payload": "YES"}]},
        {"type": "button", "sub_type": "copy_code", "index": 1,
         "parameters": [{"type": "coupon_code", "coupon_code": "SPRING"}]},
        {"type": "button", "sub_type": "url", "index": 2,
         "parameters": [{"type": "text", "text": "x".repeat(2_000)}]},
    ]))
    .unwrap();
    assert_eq!(read[0].sub_type.as_deref(), Some("quick_reply"));
    let indexes: Vec<_> = read.iter().map(|component| component.index).collect();
    assert_eq!(indexes, [Some(0), Some(1), Some(2)]);
    let payload = json!({"type": "payload", "payload": "YES"});
    assert_eq!(read[0].parameters, [Parameter::Other(payload)]);
    let coupon = json!({"type": "coupon_code", "coupon_code": "SPRING"});
    assert_eq!(read[1].parameters, [Parameter::Other(coupon)]);
    for (component, kind, field) in [
        (json!({"index": "x", "parameters": []}), ErrorKind::InvalidValue, "index"),
        (json!({"index": -1, "parameters": []}), ErrorKind::InvalidValue, "index"),
        (json!({"sub_type": 1, "parameters": []}), ErrorKind::InvalidType, "sub_type"),
        (
            json!({"parameters": [{"type": "payload"}]}),
            ErrorKind::MissingField,
            "parameters[0].payload",
        ),
        (
            json!({"parameters": [{"type": "image", "image": {"id": "1"}}]}),
            ErrorKind::InvalidValue,
            "parameters[0].type",
        ),
    ] {
        let component = with(component, "/type", json!("button"));
        let field = format!("components[0].{field}");
        assert_refused(components(json!([component])), kind, Some(&field));
    }
}

#[test]
fn a_header_names_its_file_by_id_file_or_link() {
    let file = json!({
        "name": "logo.png", "type": "image/png", "displayType": "IMAGE", "extension": "png",
        "data": base64(PNG),
    });
    let url = "https://files.example.com/a.png";
    let image = |object: Value| components(header_with(&json!({"type": "image", "image": object})));
    let source = |object: Value| media_of(&image(object).unwrap()).source.clone();
    let link = |provider: Option<&str>| MediaSource::Link {
        url: url.to_owned(),
        provider: provider.map(str::to_owned),
    };
    let everything = json!({"id": 1_000_000_000_000_042_u64, "link": url, "file": file});
    assert_eq!(source(everything.clone()), MediaSource::Id(MediaId::new("1000000000000042")));
    let file_and_link = without(everything, "/id");
    assert!(matches!(source(file_and_link), MediaSource::Inline(file) if file.bytes == PNG));
    assert_eq!(source(json!({"link": url})), link(None));
    assert_eq!(source(json!({"id": "", "link": url, "provider": "vault"})), link(Some("vault")));
    let id = MediaSource::Id(MediaId::new("7"));
    assert_eq!(source(json!({"id": "7", "link": "ftp://x", "provider": 1, "caption": "x"})), id);

    let path = "components[0].parameters[0].image";
    let refused = |object: Value, kind: ErrorKind, field: &str| {
        assert_refused(image(object), kind, Some(&format!("{path}{field}")));
    };
    refused(json!({"link": "ftp://x/y"}), ErrorKind::InvalidValue, ".link");
    refused(
        json!({"file": with(file.clone(), "/type", json!("image/gif"))}),
        ErrorKind::UnsupportedMediaType,
        ".file.type",
    );
    refused(
        json!({"file": with(file, "/data", json!(base64(PDF)))}),
        ErrorKind::UnsupportedMediaType,
        ".file.data",
    );
}

#[test]
fn documents_keep_their_name_and_lose_their_caption() {
    let document = json!({"id": "7", "filename": "x/offer.pdf", "caption": "The offer"});
    let value = header_with(&json!({"type": "document", "document": document}));
    let read = components(value).unwrap();
    let Parameter::Media { kind, filename, .. } = &read[0].parameters[0] else { panic!() };
    assert_eq!((*kind, filename.as_deref()), (MediaKind::Document, Some("offer.pdf")));
}
