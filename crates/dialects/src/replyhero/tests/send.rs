//! Text messages and what all calls have in common.

use waypost_domain::command::Recipient;
use waypost_domain::{CustomerId, OrgId, UserId};

use super::*;

#[test]
fn reads_a_text() {
    let send = send(&text()).unwrap();
    assert_eq!(send.org_id, OrgId::new("org-1"));
    assert_eq!(send.user_id, Some(UserId::new("user-1")));
    assert_eq!(send.recipient, Recipient::Customer(CustomerId::new("cust-1001")));
    assert_eq!(send.session_id.as_deref(), Some("chat-1"));
    let body = "testing msg".to_owned();
    assert_eq!(send.content, Content::Text { body, preview_url: false });
}

/// 4, 5 and the table of leniency.
#[test]
fn is_liberal_in_what_it_accepts() {
    let plain = send(&text()).unwrap();
    for body in [
        with(with(text(), "/extra", json!({"a": [1]})), "/message/extra", json!(null)),
        with(text(), "/message/type", json!("TEXT")),
        with(text(), "/message/image", json!("ignored")),
    ] {
        assert_eq!(send(&body).unwrap(), plain);
    }
    let body = format!("\u{feff}{}", text().to_string().replacen("{", "{\"orgId\":7,", 1));
    let Command::SendMessage(sent) = decode(Operation::SendMessage, body.as_bytes()).unwrap()
    else {
        panic!();
    };
    assert_eq!(*sent, plain, "byte-order mark, and the last duplicate wins");
}

/// 5
#[test]
fn numbers_are_ids_as_they_were_written() {
    let body = text()
        .to_string()
        .replace("\"cust-1001\"", "12345678901234567890123")
        .replace("\"chat-1\"", "-1.50E3")
        .replace("\"user-1\"", "0")
        .replace("\"org-1\"", "42");
    let Command::SendMessage(send) = decode(Operation::SendMessage, body.as_bytes()).unwrap()
    else {
        panic!();
    };
    assert_eq!(send.recipient, Recipient::Customer(CustomerId::new("12345678901234567890123")));
    assert_eq!(send.session_id.as_deref(), Some("-1.50E3"));
    assert_eq!(send.user_id, Some(UserId::new("0")));
    assert_eq!(send.org_id, OrgId::new("42"));
}

/// 11, 12, 13
#[test]
fn a_body_must_be_a_json_object() {
    let bare_words = "{\"message\":{\"type\":\"text\",\"text\":{\"body\":\"testing\"}},\
                      \"sessionId\": YOUR_SESSION_ID}";
    for operation in [Operation::SendMessage, Operation::Broadcast] {
        for body in ["{\"message\":", bare_words, "", "{'a':1}", "{\"a\":1,}", "{}//"] {
            let result = decode(operation, body.as_bytes());
            assert_refused(result, ErrorKind::InvalidJson, None);
        }
        for body in ["[]", "null", "\"x\"", "1", "true"] {
            let result = decode(operation, body.as_bytes());
            assert_refused(result, ErrorKind::InvalidBody, None);
        }
    }
}

/// 16, 17
#[test]
fn every_field_is_required() {
    for (pointer, field) in [
        ("/message", "message"),
        ("/message/type", "message.type"),
        ("/message/text", "message.text"),
        ("/message/text/body", "message.text.body"),
        ("/sessionId", "sessionId"),
        ("/customerId", "customerId"),
        ("/userId", "userId"),
        ("/orgId", "orgId"),
    ] {
        let kind = ErrorKind::MissingField;
        assert_refused(send(&without(text(), pointer)), kind, Some(field));
        assert_refused(send(&with(text(), pointer, json!(null))), kind, Some(field));
    }
}

/// 18, 19, 21
#[test]
fn types_and_words_are_checked() {
    use ErrorKind::{InvalidType, InvalidValue, UnsupportedMessageType, ValueTooLong};
    for (pointer, value, kind, field) in [
        ("/message", json!("hi"), InvalidType, "message"),
        ("/message", json!([]), InvalidType, "message"),
        ("/message/type", json!(1), InvalidType, "message.type"),
        ("/message/type", json!(" "), InvalidValue, "message.type"),
        ("/message/type", json!("audio"), UnsupportedMessageType, "message.type"),
        ("/message/type", json!("sticker"), UnsupportedMessageType, "message.type"),
        ("/message/type", json!("template"), UnsupportedMessageType, "message.type"),
        ("/message/type", json!("x".repeat(9_999)), UnsupportedMessageType, "message.type"),
        ("/message/text", json!("hi"), InvalidType, "message.text"),
        ("/message/text/body", json!({}), InvalidType, "message.text.body"),
        ("/message/text/body", json!(1), InvalidType, "message.text.body"),
        ("/message/text/body", json!("  "), InvalidValue, "message.text.body"),
        ("/message/text/body", json!(""), InvalidValue, "message.text.body"),
        ("/message/text/body", json!("a\u{0}b"), InvalidValue, "message.text.body"),
        ("/sessionId", json!(true), InvalidType, "sessionId"),
        ("/sessionId", json!(""), InvalidValue, "sessionId"),
        ("/sessionId", json!("x".repeat(257)), ValueTooLong, "sessionId"),
        ("/customerId", json!(["cust-1001"]), InvalidType, "customerId"),
        ("/userId", json!({}), InvalidType, "userId"),
        ("/orgId", json!("\t"), InvalidValue, "orgId"),
    ] {
        assert_refused(send(&with(text(), pointer, value)), kind, Some(field));
    }
    assert!(send(&with(text(), "/sessionId", json!("ü".repeat(256)))).is_ok());
}

/// 20
#[test]
fn refuses_text_over_4096_characters() {
    for char in ["a", "ü", "😀"] {
        assert!(send(&with(text(), "/message/text/body", json!(char.repeat(4_096)))).is_ok());
        let result = send(&with(text(), "/message/text/body", json!(char.repeat(4_097))));
        assert_refused(result, ErrorKind::ValueTooLong, Some("message.text.body"));
    }
}

#[test]
fn the_first_failing_field_in_the_order_of_the_tables_is_named() {
    let mut body = json!({"orgId": [], "message": {"type": "text", "text": {"body": []}}});
    let mut fields = Vec::new();
    for repair in ["/message/text/body", "/sessionId", "/customerId", "/userId", "/orgId"] {
        fields.push(send(&body).unwrap_err().field.unwrap());
        body = with(body, repair, json!("x"));
    }
    assert_eq!(fields, ["message.text.body", "sessionId", "customerId", "userId", "orgId"]);
    assert!(send(&body).is_ok());
}

/// 14, 15, 61: what the routes tell the server.
#[test]
fn routes_say_what_they_take() {
    let routes = ReplyHero.routes();
    let of = |path: &str| routes.iter().find(|route| route.path == path).unwrap();
    for path in ["/whatsapp/messages/send", "/whatsapp/template/send"] {
        let body = of(path).body;
        assert_eq!(body.max_bytes(), 140 * 1_048_576);
        assert!(body.accepts(None) && !body.accepts(Some("text/plain")));
    }
    let upload = of("/whatsapp/uploads/media_upload").body;
    assert_eq!(upload.max_bytes(), 105 * 1_048_576);
    assert!(!upload.accepts(Some("application/json")));
    assert!(routes.iter().all(|route| route.method == http::Method::POST));
    let request = request(Operation::UploadMedia, Body::Json(b"{}"));
    assert_refused(ReplyHero.decode(&request), ErrorKind::UnsupportedContentType, None);
}
