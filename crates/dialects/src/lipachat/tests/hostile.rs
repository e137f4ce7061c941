//! Whatever comes in is refused or accepted, never a panic.

use proptest::prelude::*;

use super::*;

#[test]
fn hostile_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep_field = format!("{{\"message\":{deep}}}");
    for body in [
        deep.as_bytes(),
        deep_field.as_bytes(),
        b"{\"to\":NaN}",
        b"{\"to\":\"\\ud800\"}",
        b"{\"to\":\"\0\"}",
        b"{\"to\":\"\xFF\"}",
        b"PK\x03\x04",
        b"message=hi&to=15550001111",
    ] {
        for (path, _) in SENDS {
            assert_refused(post(path, body), ErrorKind::InvalidJson, None);
        }
    }
}

/// Numbers that no double holds are refused where Meta's form is kept.
#[test]
fn numbers_without_end_are_refused() {
    let huge = format!("1{}", "0".repeat(400));
    let body = flow().to_string().replace("\"A\"", &huge);
    assert_refused(
        post(path::FLOW_MESSAGE, body.as_bytes()),
        ErrorKind::InvalidValue,
        Some("data"),
    );
    let body = location().to_string().replace("-1.2921", &huge);
    assert!(post(path::LOCATION, body.as_bytes()).is_err());
}

#[test]
fn a_million_unknown_members_change_nothing() {
    let plain = text().to_string();
    let mut body = plain[..plain.len() - 1].to_owned();
    for key in 0..50_000 {
        use std::fmt::Write as _;
        write!(body, ",\"{key}\":0").unwrap();
    }
    body.push('}');
    assert_eq!(
        post(path::TEXT, body.as_bytes()).unwrap(),
        post(path::TEXT, plain.as_bytes()).unwrap()
    );
}

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
        prop::sample::select(vec!["TEXT", "IMAGE", "body", "URL", "https://a.example/", "{{1}}"])
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
        for (path, _) in SENDS {
            let _ = post(path, &bytes);
        }
    }

    #[test]
    fn mutated_bodies_never_panic_and_name_a_field(
        which in 0_usize..9,
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let (_, valid) = SENDS[which];
        let mut body = valid();
        for (index, value) in mutations {
            let mut places = Vec::new();
            pointers(&body, "", &mut places);
            body = with(body, &places[index.index(places.len())], value);
        }
        let body = body.to_string();
        for (path, _) in SENDS {
            if let Err(failure) = post(path, body.as_bytes()) {
                prop_assert!(failure.field.is_some(), "{failure}");
                prop_assert!(failure.message.len() < 400);
            }
        }
        let params = [("phone_number", "15550009999"), ("template_id", "1"), ("id", "4")];
        for (method, path) in [
            (Method::POST, path::TEMPLATES),
            (Method::PUT, path::ONE_TEMPLATE),
            (Method::POST, path::FLOWS),
            (Method::PUT, path::ONE_FLOW),
        ] {
            let _ = call(&method, path, &params, Body::Json(body.as_bytes()));
        }
    }
}
