//! Hostile input to every dialect at once: each sample is damaged and mutated, and whatever comes in
//! is taken or refused with an answer, never with a panic.

use std::fmt::Write as _;

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use waypost_dialects::samples::{SAMPLE_ORG, SampleBody};
use waypost_dialects::{
    Body, BodyKind, Command, DIALECTS, Dialect, ErrorSite, Operation, Request, Route,
};
use waypost_domain::{ErrorKind, Failure, OrgId};

/// Mutations of one sample.
const MAX_MUTATIONS: usize = 4;

/// Every route that takes JSON, with a sample body for it.
fn bodies() -> Vec<(&'static dyn Dialect, &'static Route, &'static str)> {
    let mut found = Vec::new();
    for dialect in DIALECTS.iter().copied() {
        for sample in dialect.samples() {
            let SampleBody::Json(body) = sample.body else { continue };
            let fits = |route: &&Route| {
                let shape = |path: &str| path.split('/').count();
                route.method == sample.method
                    && shape(route.path) == shape(sample.path)
                    && route
                        .path
                        .split('/')
                        .zip(sample.path.split('/'))
                        .all(|(one, other)| one.starts_with('{') || one == other)
            };
            if let Some(route) = dialect.routes().iter().find(fits) {
                found.push((dialect, route, body));
            }
        }
    }
    assert!(found.len() > DIALECTS.len());
    found
}

fn decode(dialect: &dyn Dialect, route: &Route, body: &[u8]) -> Result<Command, Failure> {
    let org = OrgId::new(SAMPLE_ORG);
    let names = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let params: Vec<_> = names.map(|name| (name.to_owned(), "1".to_owned())).collect();
    dialect.decode(&Request {
        path_params: &params,
        org: Some(&org),
        ..Request::to(route, Body::Json(body))
    })
}

/// Decodes, and answers what was refused: with a client error, and in few words.
fn survive(dialect: &'static dyn Dialect, route: &'static Route, body: &[u8]) {
    let Err(failure) = decode(dialect, route, body) else { return };
    assert!(failure.message.len() < 600, "{failure}");
    let site = ErrorSite { route: Some(route), ..ErrorSite::default() };
    let reply = dialect.encode_error(&failure, site);
    assert!(reply.status.is_client_error(), "{}: {failure}", dialect.info().id);
    assert!(!reply.body.is_empty());
}

/// The routes that send, one a dialect and path.
fn sending() -> impl Iterator<Item = (&'static dyn Dialect, &'static Route)> {
    DIALECTS.iter().copied().flat_map(|dialect| {
        let sends = |route: &&Route| {
            let sends = matches!(
                route.operation,
                Operation::SendMessage | Operation::Broadcast | Operation::Submit
            );
            sends && route.method == Method::POST && matches!(route.body, BodyKind::Json { .. })
        };
        dialect.routes().iter().filter(sends).map(move |route| (dialect, route))
    })
}

#[test]
fn what_is_no_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep_field = format!("{{\"message\":{deep}}}");
    let unclosed = "{\"message\":".repeat(100_000);
    for body in [
        deep.as_bytes(),
        deep_field.as_bytes(),
        unclosed.as_bytes(),
        b"",
        b"{\"to\":NaN}",
        b"{\"to\":Infinity}",
        b"{\"to\":-}",
        b"{\"to\":\"\\ud800\"}",
        b"{\"to\":\"\\udc00\\ud800\"}",
        b"{\"to\":\"\0\"}",
        b"{\"to\":\"a\r\nb\"}",
        b"{\"to\":\"\xFF\"}",
        b"{\"to\":\"\xED\xA0\x80\"}",
        b"\0",
        b"PK\x03\x04",
        b"message=hi&to=15550001111",
    ] {
        for (dialect, route) in sending() {
            let failure = decode(dialect, route, body).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::InvalidJson, "{}", dialect.info().id);
        }
    }
}

#[test]
fn a_million_unknown_members_change_nothing() {
    let mut many = String::new();
    for key in 0..1_000_000 {
        write!(many, ",\"{key}\":0").unwrap();
    }
    for dialect in DIALECTS {
        let own = |(other, ..): &(&dyn Dialect, _, _)| other.info().id == dialect.info().id;
        let (_, route, plain) = bodies().into_iter().find(own).unwrap();
        let open = plain.strip_suffix('}').unwrap();
        let long = format!("{open}{many}}}");
        let read = decode(*dialect, route, long.as_bytes()).unwrap();
        assert_eq!(read, decode(*dialect, route, plain.as_bytes()).unwrap());
    }
}

/// A place in a body and something else to stand there.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, Value)> {
    let words = vec![
        "text",
        "image",
        "list",
        "button",
        "TEXT",
        "body",
        "+",
        "1",
        "US.1",
        "{{1}}",
        "a\0",
        "<>",
        "https://a.example/",
        "b'\\x4",
        "[1,2",
    ];
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
        prop::sample::select(words).prop_map(Value::from),
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

fn mutate(body: &mut Value, mutations: Vec<(prop::sample::Index, Value)>) {
    for (index, value) in mutations {
        let mut places = Vec::new();
        pointers(body, "", &mut places);
        if places.is_empty() {
            return;
        }
        let place = &places[index.index(places.len())];
        if let Some(found) = body.pointer_mut(place) {
            *found = value;
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (dialect, route) in sending() {
            survive(dialect, route, &bytes);
        }
    }

    #[test]
    fn mutated_samples_are_survived(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..MAX_MUTATIONS),
    ) {
        let samples = bodies();
        let (dialect, _, body) = samples[which.index(samples.len())];
        let mut body: Value = serde_json::from_str(body).unwrap();
        mutate(&mut body, mutations);
        let body = body.to_string();
        for (_, route, _) in samples.iter().filter(|(other, ..)| other.info().id == dialect.info().id) {
            survive(dialect, route, body.as_bytes());
        }
    }

    #[test]
    fn damaged_samples_are_survived(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let samples = bodies();
        let (dialect, route, body) = samples[which.index(samples.len())];
        let mut body = body.as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        if cut {
            body.truncate(at);
        }
        survive(dialect, route, &body);
    }
}
