//! Hostile input that is particular to this vendor; what is hostile to all is in `tests/hostile.rs`
//! of this crate.

use proptest::prelude::*;

use super::*;

#[test]
fn line_breaks_inside_ids_stay_inside_strings() {
    let body = with(text(), "/sessionId", json!("a\r\nSet-Cookie: x"));
    assert_eq!(send(&body).unwrap().session_id.as_deref(), Some("a\r\nSet-Cookie: x"));
    for id in ["/sessionId", "/customerId", "/userId", "/orgId"] {
        let result = send(&with(text(), id, json!("a\u{0}")));
        assert_refused(result, ErrorKind::InvalidValue, Some(&id[1..]));
    }
}

proptest! {
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
