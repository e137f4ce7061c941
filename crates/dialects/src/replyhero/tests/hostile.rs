//! Whatever comes in is refused or accepted, never a panic, and never a large allocation.

use proptest::prelude::*;

use super::*;

const OPERATIONS: [Operation; 2] = [Operation::SendMessage, Operation::Broadcast];

#[test]
fn hostile_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep_field = format!("{{\"message\":{deep}}}");
    let unclosed = "{\"message\":".repeat(100_000);
    for body in [
        deep.as_bytes(),
        deep_field.as_bytes(),
        unclosed.as_bytes(),
        b"{\"orgId\":NaN}",
        b"{\"orgId\":Infinity}",
        b"{\"orgId\":-}",
        b"{\"orgId\":\"\\ud800\"}",
        b"{\"orgId\":\"\\udc00\\ud800\"}",
        b"{\"orgId\":\"\0\"}",
        b"{\"orgId\":\"a\r\nb\"}",
        b"{\"orgId\":\"\xFF\"}",
        b"{\"orgId\":\"\xED\xA0\x80\"}",
        b"\0",
        b"PK\x03\x04",
        b"message=hi&orgId=org-1",
    ] {
        for operation in OPERATIONS {
            assert_refused(decode(operation, body), ErrorKind::InvalidJson, None);
        }
    }
}

#[test]
fn a_million_unknown_members_change_nothing() {
    let plain = text().to_string();
    let mut body = plain[..plain.len() - 1].to_owned();
    for key in 0..1_000_000 {
        use std::fmt::Write as _;
        write!(body, ",\"{key}\":0").unwrap();
    }
    body.push('}');
    let read = decode(Operation::SendMessage, body.as_bytes()).unwrap();
    assert_eq!(read, decode(Operation::SendMessage, plain.as_bytes()).unwrap());
}

#[test]
fn line_breaks_inside_ids_stay_inside_strings() {
    let body = with(text(), "/sessionId", json!("a\r\nSet-Cookie: x"));
    assert_eq!(send(&body).unwrap().session_id.as_deref(), Some("a\r\nSet-Cookie: x"));
    for id in ["/sessionId", "/customerId", "/userId", "/orgId"] {
        let result = send(&with(text(), id, json!("a\u{0}")));
        assert_refused(result, ErrorKind::InvalidValue, Some(&id[1..]));
    }
}

/// A place in a body and something else to stand there.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, Value)> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::from),
        prop::sample::select(vec!["text", "image", "document", "body", "button", "b'\\x4", "[1,2"])
            .prop_map(Value::from),
    ];
    (any::<prop::sample::Index>(), leaf)
}

/// Pointers to everything inside a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(array) => {
            array.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, child) in children {
        let pointer = format!("{at}/{key}");
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for operation in OPERATIONS {
            let _ = decode(operation, &bytes);
        }
    }

    #[test]
    fn mutated_bodies_never_panic_and_name_a_field_that_exists(
        which in 0_usize..4,
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut body = [text(), inline(), link(), template()][which].clone();
        for (index, value) in mutations {
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            if places.is_empty() {
                break;
            }
            let place = &places[index.index(places.len())];
            body = with(body, place, value);
        }
        for operation in OPERATIONS {
            if let Err(failure) = decode(operation, body.to_string().as_bytes()) {
                prop_assert!(failure.field.is_some(), "{failure}");
                prop_assert!(failure.message.len() < 400);
            }
        }
    }

    #[test]
    fn damaged_bytes_never_panic(
        which in 0_usize..4,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut body = [text(), inline(), link(), template()][which].to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if cut {
            body.truncate(at);
        }
        for operation in OPERATIONS {
            let _ = decode(operation, &body);
        }
    }

    #[test]
    fn any_file_survives_any_spelling(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = [PNG, &bytes].concat();
        let list = whole.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let latin1: String = whole.iter().map(|byte| char::from(*byte)).collect();
        for data in [json!(base64(&whole)), json!(list), json!(whole), json!(latin1)] {
            let body = with(inline(), "/message/image/file/data", data);
            prop_assert_eq!(&file_of(send(&body).unwrap()).bytes, &whole);
        }
    }
}
