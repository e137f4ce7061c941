//! What is JSON and what is not, and that reading it costs what it should.

use std::borrow::Cow;

use proptest::prelude::*;

use super::contents::MAX_KEPT;
use super::*;

fn canonical_text(body: &str) -> String {
    let mut text = Vec::new();
    canonical(body.as_bytes(), &mut |piece| text.extend_from_slice(piece)).unwrap();
    String::from_utf8(text).unwrap()
}

fn problem(body: &[u8]) -> String {
    let failure = parse(body).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidJson);
    assert_eq!(failure.field, None);
    failure.message
}

#[test]
fn refuses_what_is_not_json() {
    for body in [
        "",
        " \n",
        "{\"message\":",
        "{\"id\": CUST_1}",
        "{'a':1}",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "{\"a\" 1}",
        "{a:1}",
        "// note\n{}",
        "{} {}",
        "NaN",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "Infinity",
        "tru",
        "nul",
        "\"open",
        "\"\\x41\"",
        "\"\\u12g4\"",
        "\"\\u12",
        "\"a\nb\"",
        "\"\u{1}\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\n\"",
        "\"\\udc00\"",
        "\u{A0}{}",
    ] {
        problem(body.as_bytes());
    }
    problem(b"\"\xFF\"");
    problem(b"\xFF\xFE{\x00}\x00");
}

#[test]
fn says_where_the_fault_is() {
    let message = problem(b"{\n  \"customerId\": CUSTOMER_ID\n}");
    assert_eq!(message, "The body is not valid JSON: expected a value at line 2, column 17.");
}

#[test]
fn skips_a_byte_order_mark_and_blanks() {
    assert_eq!(parse(b"\xEF\xBB\xBF {} \r\n").unwrap().root().kind(), Type::Object);
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    problem(nested(MAX_DEPTH + 1).as_bytes());
    problem("[".repeat(100_000).as_bytes());
    problem("{\"a\":".repeat(100_000).as_bytes());
}

#[test]
fn a_million_members_are_passed_by_and_the_last_duplicate_wins() {
    use std::fmt::Write as _;
    let mut body = "{\"a\":1".to_owned();
    for key in 0..1_000_000 {
        write!(body, ",\"k{key}\":{key}").unwrap();
    }
    body.push_str(",\"\\u0061\":2}");
    let document = parse(body.as_bytes()).unwrap();
    let node = document.root();
    let [a, absent] = node.pick(["a", "b"]);
    assert_eq!(a.and_then(Node::number), Some("2"));
    assert!(absent.is_none());
    assert_eq!(canonical_text(&body).len(), body.len() - "\\u0061".len() + 1);
}

#[test]
fn numbers_keep_their_text() {
    let document = parse(b"[12345678901234567890123, -0.50e+7,0]").unwrap();
    let node = document.root();
    let numbers: Vec<_> = node.elements().unwrap().filter_map(Node::number).collect();
    assert_eq!(numbers, ["12345678901234567890123", "-0.50e+7", "0"]);
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let document = parse("[\"grüße\",\"a\\/b\\u00fc\\ud83d\\ude00\\n\"]".as_bytes()).unwrap();
    let texts: Vec<_> = document.root().elements().unwrap().filter_map(Node::string).collect();
    assert!(matches!(texts[0].decoded(), Cow::Borrowed("grüße")));
    assert_eq!(texts[1].decoded(), "a/bü😀\n");
    assert!(texts[1].is("a/bü😀\n") && !texts[1].is("a/b"));
    assert!(texts[1].is_longer_than(5) && !texts[1].is_longer_than(6));
}

#[test]
fn one_text_for_all_ways_of_writing_the_same() {
    let expected = r#"{"a":[1,{"x":null,"y":"\"é/\u0001"}],"b":true}"#;
    for body in [
        r#"{"b":true,"a":[1,{"y":"\"é/\u0001","x":null}]}"#,
        "{ \"b\" : false, \"a\" : [ 1 ,\n{\"x\":null,\"y\":\"\\u0022\\u00e9\\/\\u0001\"} ],\"\\u0062\":true }",
    ] {
        assert_eq!(canonical_text(body), expected);
    }
    assert_ne!(canonical_text("[\"1\"]"), canonical_text("[1]"));
}

#[test]
fn one_text_for_all_ways_of_writing_the_same_number() {
    let zeros = "0".repeat(100_000);
    let (large, small) = (format!("1{zeros}"), format!("0.{zeros}1"));
    for equal in [
        &["0", "-0", "0.000", "0e99", "-0.0e-99", "0e99999999999999999999"][..],
        &["1", "1.0", "1e0", "10e-1", "0.1E+1", "0.001e0003"],
        &["36", "36.0", "3.6e1", "360e-1", "0.36e2"],
        &["36.5", "36.50", "3650e-2", "0.0365e3"],
        &["-1.29", "-129e-2", "-1.2900"],
        &["100", "1e2", "1.00E2"],
        &["12345678901234567890123456789", "1234567890123456789012345678.9e1"],
        &[&large, "1e100000", "0.1e100001"],
        &[&small, "1e-100001", "100e-100003"],
    ] {
        let first = canonical_text(equal[0]);
        for text in equal {
            assert_eq!(canonical_text(text), first, "{text:.60}");
        }
    }
    let different = [
        "1",
        "-1",
        "10",
        "0.1",
        "1.5",
        "15",
        "12345678901234567890123456789",
        "12345678901234567890123456788",
        "9007199254740993",
        "9007199254740992",
        "1e100",
        "1e101",
        "1e99999999999999999999",
        "1e99999999999999999998",
        "1e-99999999999999999999",
        "0.1e-9223372036854775808",
        "1e9223372036854775807",
        "10e9223372036854775807",
    ];
    let texts: std::collections::BTreeSet<_> = different.into_iter().map(canonical_text).collect();
    assert_eq!(texts.len(), different.len(), "{texts:?}");
    for plain in ["0", "7", "-7", "15550001111", "1000000"] {
        assert_eq!(canonical_text(plain), plain);
    }
}

#[test]
fn fields_know_their_paths() {
    let body = br#"{"message":{"type":7,"list":[{"text":"  "},null]},"n":null}"#;
    let document = parse(body).unwrap();
    let root = Object::root(document.root()).unwrap();
    let [message, n] = root.fields(["message", "n"]);
    assert!(!n.is_given());
    let [kind, list] = message.object().unwrap().fields(["type", "list"]);
    let failure = kind.text(9).unwrap_err();
    assert_eq!(
        (failure.kind, failure.field.as_deref()),
        (ErrorKind::InvalidType, Some("message.type"))
    );
    assert_eq!(failure.message, "message.type must be a string, not a number.");
    assert_eq!(kind.id(9).unwrap(), "7");
    let items = list.array(2).unwrap();
    let [text] = items[0].object().unwrap().fields(["text"]);
    let failure = text.text(9).unwrap_err();
    assert_eq!(failure.field.as_deref(), Some("message.list[0].text"));
    assert_eq!(items[1].object().unwrap_err().kind, ErrorKind::InvalidType);
    assert_eq!(list.array(1).unwrap_err().kind, ErrorKind::InvalidValue);
}

/// The document's value as if the document were large and kept nothing.
fn looked_for<'a>(document: &'a Document<'_>) -> Node<'a> {
    Node { inside: &[], ..document.root() }
}

/// A value and all that stand inside it, each with its depth.
fn values(depth: usize, node: Node<'_>) -> Vec<(usize, &str)> {
    let mut found = vec![(depth, node.written())];
    for element in node.elements().into_iter().flatten() {
        found.extend(values(depth + 1, element));
    }
    for (_, value) in node.members().into_iter().flatten() {
        found.extend(values(depth + 1, value));
    }
    found
}

#[test]
fn what_was_kept_is_what_is_found_by_looking() {
    let body = r#" [{"a":[ ],"b":{"c":[1,"]"],"d":{}},"e":"\\"},[[2],3], {} ] "#;
    let document = parse(body.as_bytes()).unwrap();
    let expected = [
        (0, body.trim()),
        (1, r#"{"a":[ ],"b":{"c":[1,"]"],"d":{}},"e":"\\"}"#),
        (2, "[ ]"),
        (2, r#"{"c":[1,"]"],"d":{}}"#),
        (3, r#"[1,"]"]"#),
        (4, "1"),
        (4, r#""]""#),
        (3, "{}"),
        (2, r#""\\""#),
        (1, "[[2],3]"),
        (2, "[2]"),
        (3, "2"),
        (2, "3"),
        (1, "{}"),
    ];
    assert_eq!(values(0, document.root()), expected);
    assert_eq!(values(0, looked_for(&document)), expected);
}

#[test]
fn a_body_is_read_alike_on_both_sides_of_what_is_kept() {
    for elements in [MAX_KEPT - 2, MAX_KEPT - 1, MAX_KEPT, 2 * MAX_KEPT] {
        let body = format!("[{}7]", "{},".repeat(elements - 1));
        let document = parse(body.as_bytes()).unwrap();
        assert_eq!(document.entries.is_empty(), elements >= MAX_KEPT, "{elements}");
        let read = document.root().elements().unwrap();
        assert_eq!(read.map(Node::kind).filter(|kind| *kind == Type::Object).count(), elements - 1);
        let last = document.root().elements().unwrap().last().unwrap();
        assert_eq!(last.number(), Some("7"));
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_on_what_is_json(text in "[\\[\\]{}:,\"\\\\ 0-9eE+.ntrufals\u{1}ü-]{0,40}") {
        let ours = parse(text.as_bytes());
        prop_assert_eq!(ours.is_ok(), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        if let Ok(document) = ours {
            prop_assert_eq!(values(0, document.root()), values(0, looked_for(&document)));
        }
    }

    #[test]
    fn reads_what_serde_writes(text in any::<String>(), number in any::<i64>()) {
        let body = serde_json::json!({"b": [text.clone(), number], "a": text.clone()}).to_string();
        let document = parse(body.as_bytes()).unwrap();
        let [list, a] = document.root().pick(["b", "a"]);
        let decoded = a.and_then(Node::string).unwrap().decoded();
        prop_assert_eq!(&*decoded, &*text);
        let elements: Vec<_> = list.unwrap().elements().unwrap().collect();
        prop_assert_eq!(elements[1].number().unwrap(), number.to_string());
        let again: serde_json::Value = serde_json::from_str(&canonical_text(&body)).unwrap();
        prop_assert_eq!(again, serde_json::from_str::<serde_json::Value>(&body).unwrap());
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = canonical(&bytes, &mut |_| ());
    }
}
