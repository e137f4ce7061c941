//! How callbacks are signed: Standard Webhooks 1.0, and the two forms of a hexadecimal HMAC.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waypost_domain::Timestamp;
use waypost_domain::callback::Signature;

use crate::vault::{mac, random_bytes};

/// The prefix of a Standard Webhooks secret.
const SECRET_PREFIX: &str = "whsec_";
/// Random bytes in a new secret; the specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// A new secret, good for every signature.
#[must_use]
pub fn new_secret() -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(random_bytes::<SECRET_BYTES>()))
}

/// The headers that sign a body. `secrets` are those that are valid, the newest first; without one
/// nothing is signed, but Standard Webhooks' id and timestamp go along all the same.
pub(crate) fn headers(
    signature: Signature,
    secrets: &[String],
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    match signature {
        Signature::StandardWebhooks => {
            let timestamp = now.seconds().to_string();
            let signed: Vec<String> =
                secrets.iter().map(|secret| standard(secret, id, &timestamp, body)).collect();
            add("webhook-id", id.to_owned());
            add("webhook-timestamp", timestamp);
            if !signed.is_empty() {
                add("webhook-signature", signed.join(" "));
            }
        }
        // These carry one signature: the newest secret's.
        Signature::HubSha256 => {
            if let Some(secret) = secrets.first() {
                add("x-hub-signature-256", format!("sha256={}", hex_mac(secret, body)));
            }
        }
        Signature::BareHexSha256 => {
            if let Some(secret) = secrets.first() {
                add("x-hub-signature", hex_mac(secret, body));
            }
        }
    }
    headers
}

/// One `v1` signature: HMAC-SHA256 of `id.timestamp.body`.
fn standard(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    format!("v1,{}", STANDARD.encode(mac(&standard_key(secret), &parts)))
}

/// The bytes that a secret stands for: those behind its Base64, else its own.
fn standard_key(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
    STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec())
}

fn hex_mac(secret: &str, body: &[u8]) -> String {
    let mac = mac(secret.as_bytes(), &[body]);
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use subtle::ConstantTimeEq as _;

    use super::*;

    /// The vector that the libraries of Standard Webhooks share.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: Timestamp = Timestamp::from_seconds(1_614_265_330);
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signed(secrets: &[&str], id: &str, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        headers(Signature::StandardWebhooks, &secrets, id, at, body)
    }

    fn value<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
        headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// What a careful receiver does: any of the signatures, whole, in constant time, and a
    /// timestamp within five minutes.
    fn accepts(secret: &str, headers: &[(String, String)], body: &[u8], now: Timestamp) -> bool {
        let (id, timestamp) = (value(headers, "webhook-id"), value(headers, "webhook-timestamp"));
        let Ok(seconds) = timestamp.parse::<i64>() else { return false };
        if (now.seconds() - seconds).abs() > 300 {
            return false;
        }
        let expected = mac(
            &STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap(),
            &[format!("{id}.{timestamp}.").as_bytes(), body],
        );
        value(headers, "webhook-signature").split(' ').any(|one| {
            let Some(given) = one.strip_prefix("v1,") else { return false };
            STANDARD.decode(given).is_ok_and(|given| bool::from(given.ct_eq(&expected)))
        })
    }

    #[test]
    fn signs_as_the_libraries_of_standard_webhooks_do() {
        let headers = signed(&[SECRET], ID, AT, BODY);
        assert_eq!(value(&headers, "webhook-id"), ID);
        assert_eq!(value(&headers, "webhook-timestamp"), "1614265330");
        assert_eq!(value(&headers, "webhook-signature"), SIGNED);
        assert!(accepts(SECRET, &headers, BODY, AT));
    }

    #[test]
    fn while_secrets_rotate_both_sign() {
        let (old, new) = (SECRET, new_secret());
        let headers = signed(&[&new, old], ID, AT, BODY);
        assert_eq!(value(&headers, "webhook-signature").split(' ').count(), 2);
        assert!(value(&headers, "webhook-signature").ends_with(SIGNED), "the newest comes first");
        for secret in [old, &new] {
            assert!(accepts(secret, &headers, BODY, AT));
        }
        assert!(!accepts(&new_secret(), &headers, BODY, AT));
    }

    #[test]
    fn a_receiver_refuses_every_other_signature() {
        let whole = SIGNED.trim_start_matches("v1,");
        for bad in [
            String::new(),
            "v1,".to_owned(),
            "v1".to_owned(),
            whole.to_owned(),
            format!("v1a,{whole}"),
            format!("v1,{}", &whole[..whole.len() - 4]),
            format!("v1,{whole}AAAA"),
            format!("v1,{}", STANDARD.encode([0_u8; 32])),
            format!("v1,{}", STANDARD.encode([])),
        ] {
            let mut headers = signed(&[SECRET], ID, AT, BODY);
            headers.retain(|(name, _)| name != "webhook-signature");
            headers.push(("webhook-signature".to_owned(), bad.clone()));
            assert!(!accepts(SECRET, &headers, BODY, AT), "{bad}");
        }
        let headers = signed(&[SECRET], ID, AT, BODY);
        assert!(!accepts(SECRET, &headers, b"{}", AT), "another body");
        assert!(!accepts(SECRET, &headers, BODY, AT.plus_ms(301_000)), "too old");
        let mut other = headers;
        other[0].1.push('x');
        assert!(!accepts(SECRET, &other, BODY, AT), "another id");
    }

    #[test]
    fn the_timestamp_is_fresh_at_each_call_and_the_id_is_not() {
        let (first, second) =
            (signed(&[SECRET], ID, AT, BODY), signed(&[SECRET], ID, AT.plus_ms(5_000), BODY));
        assert_eq!(value(&first, "webhook-id"), value(&second, "webhook-id"));
        assert_ne!(value(&first, "webhook-timestamp"), value(&second, "webhook-timestamp"));
        assert_ne!(value(&first, "webhook-signature"), value(&second, "webhook-signature"));
    }

    #[test]
    fn hexadecimal_signatures_are_over_the_body_alone() {
        // RFC 4231, test case 2.
        let (secret, body) = (["Jefe".to_owned()], b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let hub = headers(Signature::HubSha256, &secret, ID, AT, body);
        assert_eq!(hub, [("x-hub-signature-256".to_owned(), format!("sha256={expected}"))]);
        let bare = headers(Signature::BareHexSha256, &secret, ID, AT, body);
        assert_eq!(bare, [("x-hub-signature".to_owned(), expected.to_owned())]);
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        assert!(headers(Signature::HubSha256, &[], ID, AT, BODY).is_empty());
        assert!(headers(Signature::BareHexSha256, &[], ID, AT, BODY).is_empty());
        let standard = signed(&[], ID, AT, BODY);
        assert_eq!(value(&standard, "webhook-id"), ID);
        assert_eq!(value(&standard, "webhook-signature"), "");
    }
}
