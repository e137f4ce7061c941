//! Hostile input that is particular to this vendor; what is hostile to all is in `tests/hostile.rs`
//! of this crate.

use proptest::prelude::*;

use super::*;

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

proptest! {
    #[test]
    fn any_expiry_and_recipient_never_panic(expiry in any::<String>(), waid in any::<String>()) {
        let body = with(text(), "/destination/0/waid/0", json!(waid));
        let _ = submit(&with(body, "/expiry", json!(expiry)));
    }

    #[test]
    fn expiries_that_look_like_times_never_panic(expiry in "[0-9TZ:+. -]{0,30}") {
        let _ = submit(&with(text(), "/expiry", json!(expiry)));
    }
}
