//! Whatever comes in is refused or accepted, never a panic, and every refusal can be answered.

use proptest::prelude::*;

use super::*;

const PATHS: [&str; 4] =
    [wire::SEND_PATH, wire::NC_PATH, wire::RECORD_CONSENT_PATH, wire::FIND_CONSENT_PATH];

#[test]
fn hostile_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep_field = format!("{{\"message\":{deep}}}");
    for body in [
        deep.as_bytes(),
        deep_field.as_bytes(),
        b"{\"message\":NaN}",
        b"{\"message\":\"\\ud800\"}",
        b"{\"message\":\"\xFF\"}",
        b"\0",
        b"PK\x03\x04",
        b"message=hi",
    ] {
        assert_answered(post(wire::SEND_PATH, body), wire::SEND_PATH, (400, "8001", MISSING));
    }
}

#[test]
fn characters_that_whatsapp_cannot_carry_are_refused() {
    for (pointer, base) in [
        ("/message/0/type_text/0/content", text()),
        ("/message/0/x-apiheader", text()),
        ("/message/0/type_template/0/name", template()),
        ("/message/0/type_location/0/name", location()),
    ] {
        assert!(submit(&with(base, pointer, json!("a\0b"))).is_err(), "{pointer}");
    }
}

fn interactive() -> Value {
    let action = json!([{"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}]);
    let header = json!({"type": "image", "image": {"id": MID}});
    let block = json!([{"type": "button", "body": "text", "header": header, "action": action}]);
    message("interactive", "type_interactive", &block)
}

fn media_template() -> Value {
    let block = json!({
        "type": "image", "url": "https://files.example.com/a.jpg",
        "button": [{"index": "1", "payload": "x"}],
    });
    let body = with_field(template(), "message_type", json!("media_template"));
    with_field(body, "type_media_template", block)
}

fn optin() -> Value {
    let entry = json!({"recipient": "15550001111", "source": "WEB", "ip": "192.0.2.10"});
    json!({"type": "optin", "recipients": [entry]})
}

fn samples() -> Vec<Value> {
    let mut samples = all().to_vec();
    samples.extend([
        interactive(),
        media_template(),
        optin(),
        json!({"phone_number": "15550001111"}),
    ]);
    samples
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
        prop::sample::select(vec!["text", "media", "list", "image", "1", "+1", "{{1}}", "a\0"])
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

/// Decodes at every path, and answers what was refused.
fn survive(body: &[u8]) {
    for path in PATHS {
        let Err(failure) = post(path, body) else { continue };
        assert!(failure.message.len() < 600, "{failure}");
        let reply = reply_at(&failure, &Method::POST, path);
        assert!(reply.status.is_client_error(), "{failure}");
        assert!(header(&reply, "x-waypost-error").is_some(), "{failure}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes);
    }

    #[test]
    fn mutated_bodies_never_panic(
        which in 0_usize..9,
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut body = samples()[which].clone();
        for (index, value) in mutations {
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            if places.is_empty() {
                break;
            }
            let place = &places[index.index(places.len())];
            if let Some(found) = body.pointer_mut(place) {
                *found = value;
            }
        }
        survive(body.to_string().as_bytes());
    }

    #[test]
    fn damaged_bytes_never_panic(
        which in 0_usize..9,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut body = samples()[which].to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if cut {
            body.truncate(at);
        }
        survive(&body);
    }

    #[test]
    fn any_text_is_an_id_that_is_read_without_a_panic(text in any::<String>()) {
        let id = wire::media_id(&text);
        prop_assert!(id.as_str() == text.trim() || id.as_str().len() == 16);
    }
}
