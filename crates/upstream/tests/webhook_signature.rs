//! Whose webhooks are believed (T11).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use waypost_upstream::webhook::{SignatureError, Verifier, handshake};

const SECRET: &str = "app-secret-of-the-tests";

/// Body and signature. The signatures were made by `openssl dgst -sha256 -hmac`.
const GOLDENS: &[(&str, &str)] = &[
    (r#""#, "9330cfbff60cad7d246af4e7bde5903b1043030dfa2a3e8a2d7dba9b9fdaa96f"),
    (
        r#"{"object":"whatsapp_business_account","url":"https:\/\/example.com\/a","body":"Gr\u00fc\u00dfe \ud83d\udc4b"}"#,
        "1d2d264f5c6012ce0c614fcafc008b831e288ed4258491c61ebb5d496cee7166",
    ),
    (r#"{"body":"Grüße 👋"}"#, "c2b36ce2b9e23206e0806b56c1cad2f0a529360a8299cadf58281899ee651e57"),
    (r#"{"entry":[]}"#, "b703a79ee06bc0823aa7790d063ac2fb6253d6797520aedfbe878b6d432fc959"),
];

fn verify(value: &str, body: &[u8]) -> Result<(), SignatureError> {
    Verifier::new([SECRET]).verify(value, body)
}

fn golden() -> (&'static [u8], String) {
    let (body, digits) = GOLDENS[1];
    (body.as_bytes(), format!("sha256={digits}"))
}

#[test]
fn t11_believes_what_openssl_signed() {
    for (body, digits) in GOLDENS {
        assert_eq!(verify(&format!("sha256={digits}"), body.as_bytes()), Ok(()), "{body}");
    }
}

#[test]
fn t11_the_raw_bytes_are_signed_and_not_their_meaning() {
    let (escaped, signature) = golden();
    let meaning: serde_json::Value = serde_json::from_slice(escaped).unwrap();
    let written_anew = meaning.to_string();
    assert_ne!(written_anew.as_bytes(), escaped);
    assert_eq!(verify(&signature, written_anew.as_bytes()), Err(SignatureError::Mismatch));
}

#[test]
fn t11_a_body_with_one_bit_flipped_anywhere_is_not_believed() {
    let (body, signature) = golden();
    for place in 0..body.len() {
        for bit in 0..8 {
            let mut flipped = body.to_vec();
            flipped[place] ^= 1 << bit;
            let verdict = verify(&signature, &flipped);
            assert_eq!(verdict, Err(SignatureError::Mismatch), "byte {place} bit {bit}");
        }
    }
    assert!(verify(&signature, &body[..body.len() - 1]).is_err());
    assert!(verify(&signature, &[body, b" "].concat()).is_err());
    assert!(verify(&signature, b"").is_err());
}

#[test]
fn t11_a_signature_with_one_digit_changed_anywhere_is_not_believed() {
    let (body, signature) = golden();
    for place in "sha256=".len()..signature.len() {
        let mut changed = signature.clone().into_bytes();
        changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(verify(&changed, body), Err(SignatureError::Mismatch), "digit {place}");
    }
}

#[test]
fn t11_only_the_one_form_is_a_signature() {
    let (body, signature) = golden();
    let digits = &signature["sha256=".len()..];
    for malformed in [
        "",
        "sha256=",
        "sha256=0",
        digits,
        &signature[..signature.len() - 1],
        &signature[..signature.len() - 2],
        &format!("{signature}0"),
        &format!("{signature}00"),
        &format!("sha1={digits}"),
        // HMAC-SHA1 of the same body.
        "sha1=0cf08923b97d73c980255eb647d1add0e0d2b9cc",
        &format!("sha512={digits}"),
        &format!("SHA256={digits}"),
        &format!("sha256:{digits}"),
        &format!("sha256= {digits}"),
        &format!("sha256={}g", &digits[1..]),
        &format!("{signature},{signature}"),
        &format!("{signature}, sha256={}", "0".repeat(64)),
        &format!("sha256={}", "é".repeat(32)),
    ] {
        assert_eq!(verify(malformed, body), Err(SignatureError::Malformed), "{malformed:?}");
    }
}

/// Decided: both letter cases spell the same 32 bytes.
#[test]
fn t11_digits_may_be_in_upper_case() {
    let (body, signature) = golden();
    let upper = format!("sha256={}", signature["sha256=".len()..].to_uppercase());
    assert_ne!(upper, signature);
    assert_eq!(verify(&upper, body), Ok(()));
}

#[test]
fn t11_wrong_secrets_are_not_believed_and_several_right_ones_are() {
    let (body, signature) = golden();
    for (secrets, believed) in [
        (&["another-secret"][..], false),
        (&[], false),
        (&["app-secret-of-the-test"], false),
        (&["new-secret", SECRET], true),
        (&[SECRET, "new-secret"], true),
        (&["", SECRET], true),
    ] {
        let verdict = Verifier::new(secrets).verify(&signature, body);
        assert_eq!(verdict.is_ok(), believed, "{secrets:?}");
    }
}

#[test]
fn t11_an_empty_secret_is_no_secret() {
    // HMAC-SHA256 of the empty body under the empty key, which everybody can compute.
    let known = "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    let verdict = Verifier::new([""]).verify(known, b"");
    assert_eq!(verdict, Err(SignatureError::Mismatch));
}

#[test]
fn t11_the_handshake_returns_the_challenge_for_the_right_token_only() {
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=tok%20en";
    assert_eq!(handshake(right, "tok en").as_deref(), Some("1158201444"));
    for (query, token) in [
        (right, "token"),
        (right, ""),
        ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=", ""),
        ("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=t", "t"),
        ("hub.challenge=1&hub.verify_token=t", "t"),
        ("hub.mode=subscribe&hub.verify_token=t", "t"),
        ("hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=t", "t"),
        ("", "t"),
    ] {
        assert_eq!(handshake(query, token), None, "{query}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let shown = format!("{:?}", Verifier::new([SECRET]));
    assert!(!shown.contains(SECRET) && !shown.contains("app-secret"), "{shown}");
}
