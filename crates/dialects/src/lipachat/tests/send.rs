//! The calls that send, all but the values of templates.

use ErrorKind::{InvalidType, InvalidValue, MissingField, ValueTooLong};
use waypost_domain::Phone;
use waypost_domain::command::Recipient;
use waypost_domain::content::{Action, FlowName};

use super::*;

/// 1, 3, and what goes upstream for each path.
#[test]
fn every_call_sends_what_the_cloud_api_wants() {
    let expected = [
        json!({"type": "text", "text": {"body": "Hello world", "preview_url": false}}),
        json!({"type": "image",
               "image": {"link": "https://files.example.com/a.jpg", "caption": "Hi"}}),
        json!({"type": "interactive", "interactive": {"type": "button",
               "body": {"text": "Continue?"}, "action": {"buttons": [
                   {"type": "reply", "reply": {"id": "1", "title": "YES"}},
                   {"type": "reply", "reply": {"id": "2", "title": "NO"}}]}}}),
        json!({"type": "interactive", "interactive": {"type": "list",
               "header": {"type": "text", "text": "Services"}, "body": {"text": "Pick one"},
               "action": {"button": "Click here", "sections": [{"title": "Airtime", "rows": [
                   {"id": "AIR_1", "title": "Safari", "description": "optional"}]}]}}}),
        json!({"type": "contacts", "contacts": [{
               "name": {"formatted_name": "Test User", "first_name": "Test User"},
               "phones": [{"phone": "15550002222", "type": "CELL", "wa_id": "15550002222"}]}]}),
        json!({"type": "location", "location": {"latitude": -1.2921, "longitude": 36.8219,
               "name": "Office", "address": "Main Street 1"}}),
        json!({"type": "interactive", "interactive": {"type": "location_request_message",
               "body": {"text": "Where are you?"}, "action": {"name": "send_location"}}}),
        // The values wait for the template.
        json!({"type": "template",
               "template": {"name": "offer_830", "language": {"code": "en"}}}),
        json!({"type": "interactive", "interactive": {"type": "flow",
               "body": {"text": "Tell us more"}, "action": {"name": "flow", "parameters": {
                   "flow_message_version": "3", "flow_id": "4", "flow_cta": "Share details",
                   "flow_token": "order-77", "mode": "published", "flow_action": "navigate",
                   "flow_action_payload": {"screen": "FIRST_SCREEN", "data": {"service": "A"}}}}}}),
    ];
    for ((path, body), expected) in SENDS.into_iter().zip(expected) {
        let send = send(path, &body()).unwrap();
        assert_eq!(message_object(&send.content), expected, "{path}");
        assert_eq!(send.org_id, OrgId::new("org-1"));
        assert_eq!(send.number.as_deref(), Some("15550009999"));
        assert_eq!(send.recipient, Recipient::Phone(Phone::parse("15550001111").unwrap()));
        assert_eq!(send.reference.as_deref(), Some("order-77"));
        assert!(send.options.is_empty());
        assert_eq!(send.binding.is_some(), path == path::TEMPLATE, "{path}");
    }
}

/// 36, 37, 39: the caller's id is the key for repetitions; 5: without one there is none.
#[test]
fn the_callers_id_recognises_repetitions() {
    for (id, key) in [
        (json!("order-77"), Some("order-77")),
        (json!(17), Some("17")),
        (json!("x".repeat(128)), Some(&*"x".repeat(128))),
        (json!(null), None),
        (json!(""), None),
        (json!("  "), None),
    ] {
        let body = with(text(), "/messageId", id).to_string();
        let command = post(path::TEXT, body.as_bytes()).unwrap();
        assert_eq!(LipaChat.idempotency_key(&command).as_deref(), key);
        assert_eq!(command.echo().reference.as_deref(), key);
    }
    assert_eq!(send(path::TEXT, &without(text(), "/messageId")).unwrap().reference, None);
    let body = with(text(), "/messageId", json!("x".repeat(129)));
    assert_refused(send(path::TEXT, &body), ValueTooLong, Some("messageId"));
}

/// 4, 21, 30
#[test]
fn numbers_are_read_as_people_write_them() {
    for to in ["+15550001111", "1 (555) 000-11.11", " 15550001111 "] {
        let send = send(path::TEXT, &with(text(), "/to", json!(to))).unwrap();
        assert_eq!(send.recipient, Recipient::Phone(Phone::parse("15550001111").unwrap()));
    }
    let number = with(text(), "/to", json!(15_550_001_111_u64));
    assert_eq!(send(path::TEXT, &number).unwrap(), send(path::TEXT, &text()).unwrap());
    for to in [
        "0700111222",
        "abc",
        "1555000",
        "0015550001111",
        "1555000111122223",
        "US.1349",
        "1/555000111",
    ] {
        let result = send(path::TEXT, &with(text(), "/to", json!(to)));
        assert_refused(result, InvalidValue, Some("to"));
    }
    for from in ["+15550009999", "1 555 000-9999", "tel:15550009999"] {
        let send = send(path::TEXT, &with(text(), "/from", json!(from))).unwrap();
        assert_eq!(send.number.as_deref(), Some("15550009999"));
    }
    let result = send(path::TEXT, &with(text(), "/from", json!("our shop")));
    assert_refused(result, ErrorKind::NumberNotFound, Some("from"));
}

/// A fraction would become more digits.
#[test]
fn numbers_with_a_fraction_are_nobodys() {
    for written in [
        "15550004321.0",
        "1.5550004321e10",
        "15550004321E0",
        r#""15550001111.0""#,
        r#"" +15550001111.00 ""#,
    ] {
        for field in ["from", "to"] {
            let body = with(text(), &format!("/{field}"), json!("PLACE")).to_string();
            let body = body.replace(r#""PLACE""#, written);
            assert_refused(post(path::TEXT, body.as_bytes()), InvalidValue, Some(field));
        }
    }
}

/// 12 to 19
#[test]
fn every_required_field_is_required() {
    for (path, body, fields) in [
        (path::TEXT, text(), &["/from", "/to", "/message"][..]),
        (path::MEDIA, media(), &["/from", "/to", "/mediaType", "/mediaUrl"]),
        (path::BUTTONS, buttons(), &["/text", "/buttons", "/buttons/1/id", "/buttons/1/title"]),
        (
            path::LIST,
            list(),
            &[
                "/body",
                "/buttonText",
                "/buttons",
                "/buttons/0/sectionItems",
                "/buttons/0/sectionItems/0/id",
                "/buttons/0/sectionItems/0/title",
            ],
        ),
        (path::CONTACT, contact(), &["/name", "/name/formattedName", "/phones", "/phones/0/phone"]),
        (path::LOCATION, location(), &["/latitude", "/longtitude"]),
        (path::REQUEST_LOCATION, request_location(), &["/text"]),
        (path::TEMPLATE, template(), &["/template", "/template/name"]),
        (path::FLOW_MESSAGE, flow(), &["/text", "/flowId", "/flowCta"]),
    ] {
        for pointer in fields {
            for absent in [
                without(body.clone(), pointer),
                with(body.clone(), pointer, json!(null)),
                with(body.clone(), pointer, json!(" ")),
            ] {
                let failure = send(path, &absent).unwrap_err();
                assert_eq!(failure.kind, MissingField, "{path} {pointer}: {failure}");
            }
        }
    }
    let failure = send(path::LOCATION, &without(location(), "/longtitude")).unwrap_err();
    assert_eq!(failure.field.as_deref(), Some("longitude"), "the right spelling is asked for");
}

/// Required fields first, then values, each in the order of the tables.
#[test]
fn the_first_failing_field_is_named() {
    let mut body = json!({"messageId": [], "from": "", "mediaType": "GIF"});
    let mut fields = Vec::new();
    for (repair, value) in [
        ("/from", "15550009999"),
        ("/to", "abc"),
        ("/mediaUrl", "ftp://x/y"),
        ("/messageId", "a"),
        ("/to", "15550001111"),
        ("/mediaType", "image"),
        ("/mediaUrl", "https://files.example.com/a.jpg"),
    ] {
        fields.push(send(path::MEDIA, &body).unwrap_err().field.unwrap());
        body = with(body, repair, json!(value));
    }
    assert_eq!(fields, ["from", "to", "mediaUrl", "messageId", "to", "mediaType", "mediaUrl"]);
    assert!(send(path::MEDIA, &body).is_ok());
}

/// Whose number `from` is, is asked after everything that the request itself can tell.
#[test]
fn the_sender_is_looked_for_last() {
    let foreign = with(text(), "/from", json!("abc"));
    let wrong_to = with(foreign.clone(), "/to", json!("abc"));
    assert_refused(send(path::TEXT, &wrong_to), InvalidValue, Some("to"));
    let wrong_text = with(foreign.clone(), "/message", long(4_097));
    assert_refused(send(path::TEXT, &wrong_text), ValueTooLong, Some("message"));
    assert_refused(send(path::TEXT, &foreign), ErrorKind::NumberNotFound, Some("from"));
}

/// A place in a valid body, what stands there, and how it is refused.
type Wrong = (&'static str, Value, ErrorKind, &'static str);

#[track_caller]
fn assert_all_refused(path: &str, body: Sample, wrong: impl IntoIterator<Item = Wrong>) {
    for (pointer, value, kind, field) in wrong {
        assert_refused(send(path, &with(body(), pointer, value)), kind, Some(field));
    }
}

fn long(chars: usize) -> Value {
    json!("x".repeat(chars))
}

/// 20, 22, 23, 26, 29
#[test]
fn texts_and_media_out_of_bounds_are_refused() {
    assert_all_refused(
        path::TEXT,
        text,
        [
            ("/message", json!({"a": 1}), InvalidType, "message"),
            ("/message", json!(["a"]), InvalidType, "message"),
            ("/message", long(4_097), ValueTooLong, "message"),
            ("/message", json!("a\u{0}"), InvalidValue, "message"),
        ],
    );
    assert_all_refused(
        path::MEDIA,
        media,
        [
            ("/mediaType", json!("GIF"), InvalidValue, "mediaType"),
            ("/mediaUrl", json!("ftp://x/y"), InvalidValue, "mediaUrl"),
            ("/mediaUrl", json!("not a url"), InvalidValue, "mediaUrl"),
            ("/mediaUrl", json!("https:///a"), InvalidValue, "mediaUrl"),
            ("/mediaUrl", json!("https://a.example/b c"), InvalidValue, "mediaUrl"),
            ("/caption", long(1_025), ValueTooLong, "caption"),
            ("/caption", json!({}), InvalidType, "caption"),
        ],
    );
}

/// 40
#[test]
fn buttons_out_of_bounds_are_refused() {
    let button = |id: &str| json!({"id": id, "title": id});
    let four = json!([button("1"), button("2"), button("3"), button("4")]);
    assert_all_refused(
        path::BUTTONS,
        buttons,
        [
            ("/text", long(1_025), ValueTooLong, "text"),
            ("/buttons", json!([]), InvalidValue, "buttons"),
            ("/buttons", four, InvalidValue, "buttons"),
            ("/buttons/1", json!("NO"), InvalidType, "buttons[1]"),
            ("/buttons/1/title", long(21), ValueTooLong, "buttons[1].title"),
            ("/buttons/1/title", json!("YES"), InvalidValue, "buttons[1].title"),
            ("/buttons/1/id", json!(1), InvalidValue, "buttons[1].id"),
            ("/buttons/1/id", long(257), ValueTooLong, "buttons[1].id"),
        ],
    );
}

/// 42
#[test]
fn lists_out_of_bounds_are_refused() {
    let rows = |ids: std::ops::Range<u32>| -> Value {
        ids.map(|id| json!({"id": id, "title": "Row"})).collect()
    };
    let section = |rows: Value| json!({"sectionTitle": "One", "sectionItems": rows});
    let items = "/buttons/0/sectionItems";
    assert_all_refused(
        path::LIST,
        list,
        [
            ("/headerText", long(61), ValueTooLong, "headerText"),
            ("/body", long(4_097), ValueTooLong, "body"),
            ("/buttonText", long(21), ValueTooLong, "buttonText"),
            ("/buttons", json!([]), InvalidValue, "buttons"),
            (
                "/buttons",
                json!([section(rows(0..6)), section(rows(6..11))]),
                InvalidValue,
                "buttons",
            ),
            (
                "/buttons",
                json!([section(rows(0..1)), {"sectionItems": rows(1..2)}]),
                MissingField,
                "buttons[1].sectionTitle",
            ),
            ("/buttons", json!(vec![section(rows(0..1)); 11]), InvalidValue, "buttons"),
            ("/buttons/0/sectionTitle", long(25), ValueTooLong, "buttons[0].sectionTitle"),
            (items, rows(0..11), InvalidValue, "buttons[0].sectionItems"),
            (
                items,
                json!([{"id": "a", "title": "A"}, {"id": "a", "title": "B"}]),
                InvalidValue,
                "buttons[0].sectionItems[1].id",
            ),
            (
                "/buttons/0/sectionItems/0/id",
                long(201),
                ValueTooLong,
                "buttons[0].sectionItems[0].id",
            ),
            (
                "/buttons/0/sectionItems/0/title",
                long(25),
                ValueTooLong,
                "buttons[0].sectionItems[0].title",
            ),
            (
                "/buttons/0/sectionItems/0/description",
                long(73),
                ValueTooLong,
                "buttons[0].sectionItems[0].description",
            ),
        ],
    );
    let ten = json!([section(rows(0..5)), section(rows(5..10))]);
    assert!(send(path::LIST, &with(list(), "/buttons", ten)).is_ok());
}

/// 43
#[test]
fn cards_places_and_forms_out_of_bounds_are_refused() {
    assert_all_refused(
        path::CONTACT,
        contact,
        [
            ("/name", json!("Test User"), InvalidType, "name"),
            ("/phones", json!([]), InvalidValue, "phones"),
            ("/phones", json!(vec![json!({"phone": "1"}); 11]), InvalidValue, "phones"),
        ],
    );
    assert_all_refused(
        path::LOCATION,
        location,
        [
            ("/latitude", json!(91), InvalidValue, "latitude"),
            ("/latitude", json!("NaN"), InvalidValue, "latitude"),
            ("/latitude", json!(true), InvalidValue, "latitude"),
            ("/longtitude", json!(-180.5), InvalidValue, "longtitude"),
        ],
    );
    assert_all_refused(
        path::REQUEST_LOCATION,
        request_location,
        [("/text", long(1_025), ValueTooLong, "text")],
    );
    assert_all_refused(
        path::FLOW_MESSAGE,
        flow,
        [
            ("/text", long(1_025), ValueTooLong, "text"),
            ("/flowCta", long(31), ValueTooLong, "flowCta"),
            ("/data", json!([1]), InvalidType, "data"),
            ("/data", json!("a"), InvalidType, "data"),
        ],
    );
}

/// 6, 20, 22, 23, 27, 29, 41 to 44: what is accepted beside the plain form.
#[test]
fn is_liberal_in_what_it_accepts() {
    let image = |pointer: &str, value: Value| object(path::MEDIA, &with(media(), pointer, value));
    assert_eq!(
        object(path::TEXT, &with(text(), "/x", json!({"a": [1]}))),
        object(path::TEXT, &text())
    );
    for (message, read) in [(json!(123), "123"), (json!(true), "true"), (json!(1.50), "1.5")] {
        let object = object(path::TEXT, &with(text(), "/message", message));
        assert_eq!(object["text"]["body"], read);
    }
    for char in ["a", "ü", "😀"] {
        assert!(send(path::TEXT, &with(text(), "/message", json!(char.repeat(4_096)))).is_ok());
    }
    assert_eq!(image("/mediaType", json!("image")), object(path::MEDIA, &media()));
    assert_eq!(
        image("/mediaUrl", json!("http://files.example.com/a.jpg"))["image"]["link"],
        "http://files.example.com/a.jpg"
    );
    for absent in [json!(null), json!("")] {
        assert_eq!(image("/caption", absent)["image"].get("caption"), None);
    }
    for kind in ["AUDIO", "STICKER"] {
        let name = kind.to_lowercase();
        assert_eq!(image("/mediaType", json!(kind))[&name].get("caption"), None);
    }
    assert_eq!(
        object(path::BUTTONS, &with(without(buttons(), "/text"), "/message", json!("Continue?"))),
        object(path::BUTTONS, &buttons())
    );
    assert_eq!(
        object(path::LIST, &with(without(list(), "/body"), "/message", json!("Pick one"))),
        object(path::LIST, &list())
    );
    let both = with(buttons(), "/message", json!("the table's name"));
    assert_eq!(object(path::BUTTONS, &both), object(path::BUTTONS, &buttons()));
    let right = with(with(location(), "/longitude", json!("36.5")), "/latitude", json!("-1.29"));
    let right = object(path::LOCATION, &right);
    assert_eq!(right["location"]["longitude"], 36.5, "the right spelling wins");
    assert_eq!(right["location"]["latitude"], -1.29);
    let bare = object(path::LOCATION, &addressed(json!({"latitude": 1, "longitude": 2})));
    assert_eq!(bare["location"], json!({"latitude": 1.0, "longitude": 2.0}));
    let card =
        object(path::CONTACT, &with(contact(), "/phones/0", json!({"phone": "15550002222"})));
    assert_eq!(card["contacts"][0]["phones"], json!([{"phone": "15550002222", "type": "CELL"}]));
}

/// 24: the extension is the upstream's to judge.
#[test]
fn documents_keep_their_names_and_links_are_not_judged() {
    let document = addressed(json!({
        "mediaType": "DOCUMENT", "mediaUrl": "https://files.example.com/policy.pdf",
        "filename": "../dir/policy.pdf", "caption": "Please find attached",
    }));
    assert_eq!(
        object(path::MEDIA, &document)["document"],
        json!({"link": "https://files.example.com/policy.pdf",
               "caption": "Please find attached", "filename": "policy.pdf"})
    );
    let image = object(path::MEDIA, &with(document, "/mediaType", json!("VIDEO")));
    assert_eq!(image["video"].get("filename"), None);
    let sound = with(media(), "/mediaUrl", json!("https://files.example.com/a.wav"));
    let sound = object(path::MEDIA, &with(sound, "/mediaType", json!("AUDIO")));
    assert_eq!(
        sound,
        json!({"type": "audio", "audio": {"link": "https://files.example.com/a.wav"}})
    );
}

#[test]
fn a_flow_is_named_by_our_number_or_the_upstreams_id() {
    for (id, name) in [
        (json!("4"), FlowName::Local(4)),
        (json!(4), FlowName::Local(4)),
        (json!(" 999999999 "), FlowName::Local(999_999_999)),
        (json!("1000000000000777"), FlowName::Id("1000000000000777".to_owned())),
        (json!(1_000_000_000), FlowName::Id("1000000000".to_owned())),
    ] {
        let send = send(path::FLOW_MESSAGE, &with(flow(), "/flowId", id)).unwrap();
        let Content::Interactive(interactive) = send.content else { panic!() };
        let Action::Flow(call) = interactive.action else { panic!() };
        assert_eq!(call.flow, name);
    }
    for id in ["my_flow", "-4", "4/../5", "+4"] {
        let failure = send(path::FLOW_MESSAGE, &with(flow(), "/flowId", json!(id))).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::FlowNotFound, "{id}");
    }
    for empty in [json!({}), json!(null), json!(""), json!([])] {
        let flow = with(without(flow(), "/screen"), "/data", empty);
        let object = object(path::FLOW_MESSAGE, &flow);
        let parameters = &object["interactive"]["action"]["parameters"];
        assert_eq!(parameters.get("flow_action_payload"), None);
    }
}

/// 5: the id that the reply will tell is the form's token.
#[test]
fn a_form_without_an_id_gets_one() {
    let body = without(flow(), "/messageId").to_string();
    let request = Request {
        org: Some(&OrgId::new("org-1")),
        new_id: || "made".to_owned(),
        ..Request::to(route(&Method::POST, path::FLOW_MESSAGE), Body::Json(body.as_bytes()))
    };
    let Command::SendMessage(send) = LipaChat.decode(&request).unwrap() else { panic!() };
    assert_eq!(send.reference.as_deref(), Some("made"));
    let object = message_object(&send.content);
    assert_eq!(object["interactive"]["action"]["parameters"]["flow_token"], "made");
}

/// 10, 11
#[test]
fn a_body_must_be_a_json_object() {
    for (path, _) in SENDS {
        for body in ["{\"to\":", "", "{'a':1}", "\u{1}"] {
            assert_refused(post(path, body.as_bytes()), ErrorKind::InvalidJson, None);
        }
        for body in ["[]", "null", "\"x\"", "1"] {
            assert_refused(post(path, body.as_bytes()), ErrorKind::InvalidBody, None);
        }
    }
}

#[test]
fn a_key_of_no_organisation_has_no_sender() {
    let body = text().to_string();
    let route = route(&Method::POST, path::TEXT);
    let result = LipaChat.decode(&Request::to(route, Body::Json(body.as_bytes())));
    assert_eq!(result.unwrap_err().kind, ErrorKind::OrgForbidden);
}

/// 2, 9, 28, 45, 47: what the routes tell the server.
#[test]
fn routes_say_what_they_take() {
    use crate::contract::{BodyKind, Credential, IdempotencyScope, WireZone};
    let info = LipaChat.info();
    assert_eq!(info.credential, Credential::Header("apiKey"));
    assert_eq!(info.idempotency_scope, IdempotencyScope::Dialect);
    assert!(!info.heeds_idempotency_key, "`messageId` names requests");
    assert!(info.conflicts_first, "duplicates come before sender and template");
    assert_eq!(info.zone, WireZone::OffsetMinutes(180));
    for (path, _) in SENDS {
        let body = route(&Method::POST, path).body;
        assert_eq!(body.max_bytes(), 1_048_576);
        assert!(body.accepts(None) && body.accepts(Some("application/json; charset=UTF-8")));
        assert!(!body.accepts(Some("text/plain")));
        assert_eq!(LipaChat.methods_of(path), [&Method::POST]);
    }
    let sample = route(&Method::POST, path::TEMPLATE_SAMPLE).body;
    assert!(sample.accepts(Some("multipart/form-data; boundary=x")));
    assert!(!sample.accepts(Some("application/json")));
    for (method, path) in [(Method::POST, path::FLOWS), (Method::PUT, path::ONE_FLOW)] {
        let body = route(&method, path).body;
        assert!(matches!(body, BodyKind::JsonOrMultipart { .. }));
        assert_eq!(body.max_bytes_of(Some("multipart/form-data")), 105 * 1_048_576);
        for json in [None, Some("application/json")] {
            assert_eq!(body.max_bytes_of(json), 1_048_576);
        }
    }
    assert_eq!(LipaChat.methods_of(path::TEMPLATES), [&Method::GET, &Method::POST]);
    assert_eq!(LipaChat.methods_of(path::ONE_TEMPLATE), [&Method::PUT]);
}
