//! Whatever comes in is refused or accepted, never a panic, and never a large allocation.

use proptest::prelude::*;

use super::*;

fn list() -> Value {
    saying(json!({"type": "list", "list": {
        "header": {"type": "text", "text": "Menu"}, "body": {"text": "Pick one"},
        "action": {"button": "Options", "sections": [
            {"title": "A", "rows": [{"id": "r1", "title": "Row 1", "description": "..."}]},
        ]},
    }}))
}

fn contacts() -> Value {
    saying(json!({"type": "contacts", "contacts": [
        {"name": {"formatted_name": "A B"}, "phones": [{"phone": "15550002222", "type": "CELL"}]},
    ]}))
}

fn bodies() -> [Value; 5] {
    [text(), video(), template(), list(), contacts()]
}

#[test]
fn hostile_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let unclosed = "{\"channels\":".repeat(100_000);
    for body in [
        deep.as_bytes(),
        unclosed.as_bytes(),
        b"{\"appid\":NaN}",
        b"{\"appid\":\"\\ud800\"}",
        b"{\"appid\":\"\0\"}",
        b"{\"appid\":\"\xFF\"}",
        b"\0",
        b"deliverychannel=whatsapp&appid=a_1",
    ] {
        assert_refusal(&decode(body).unwrap_err(), "7000", "Invalid JSON");
    }
}

#[test]
fn a_hundred_thousand_of_anything_change_nothing_or_are_refused() {
    let many = |element: &str| format!("[{}]", vec![element; 100_000].join(","));
    for (element, code) in [("{}", "7003"), ("0", "7003"), ("[]", "7003")] {
        let failure = decode(many(element).as_bytes()).unwrap_err();
        let reply: Value = serde_json::from_slice(&refusal(&failure).body).unwrap();
        assert_eq!(reply["response"]["code"], code);
    }
    let numbers = json!({"waid": vec![1; 400_000]});
    let description = "Max number of destination address limited to 1000";
    assert_refused(&with(text(), "/destination", numbers), "7009", description);
    let plain = text().to_string();
    let mut body = plain[..plain.len() - 1].to_owned();
    for key in 0..100_000 {
        use std::fmt::Write as _;
        write!(body, ",\"{key}\":0").unwrap();
    }
    body.push('}');
    assert_eq!(decode(body.as_bytes()).unwrap(), decode(plain.as_bytes()).unwrap());
}

#[test]
fn line_breaks_stay_inside_strings() {
    let body = with(text(), "/destination/0/correlationid", json!("a\r\nSet-Cookie: x"));
    let echo = sound(&body).options.echo.unwrap();
    assert_eq!(echo["correlationid"], "a\r\nSet-Cookie: x");
}

/// A place in a body and something else to stand there.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, Value)> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!([{}])),
        Just(json!({})),
        Just(json!("")),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::from),
        prop::sample::select(vec!["text", "image", "list", "reply", "hsm", "+", "US.1", "<>"])
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
        let _ = decode(&bytes);
    }

    #[test]
    fn any_expiry_and_recipient_never_panic(expiry in any::<String>(), waid in any::<String>()) {
        let body = with(text(), "/destination/0/waid/0", json!(waid));
        let _ = submit(&with(body, "/expiry", json!(expiry)));
    }

    #[test]
    fn expiries_that_look_like_times_never_panic(expiry in "[0-9TZ:+. -]{0,30}") {
        let _ = submit(&with(text(), "/expiry", json!(expiry)));
    }

    #[test]
    fn mutated_bodies_never_panic_and_every_refusal_has_words(
        which in 0_usize..5,
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut body = bodies()[which].clone();
        for (index, value) in mutations {
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            if places.is_empty() {
                break;
            }
            let place = &places[index.index(places.len())];
            body = with(body, place, value);
        }
        match submit(&body) {
            Ok(messages) => {
                for message in messages {
                    if let Some(failure) = message.doomed {
                        prop_assert!(failure.words_of("webex_connect").is_some());
                    }
                }
            }
            Err(failure) => {
                prop_assert!(failure.words_of("webex_connect").is_some(), "{failure}");
                prop_assert!(failure.message.len() < 400);
            }
        }
    }

    #[test]
    fn damaged_bytes_never_panic(
        which in 0_usize..5,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut body = bodies()[which].to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if cut {
            body.truncate(at);
        }
        let _ = decode(&body);
    }
}
