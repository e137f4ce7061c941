//! JSON Web Tokens (RFC 7519) with which a caller proves that it has a secret without showing it:
//! compact form, HS256 and nothing else. Finding the key that a token names is not done here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use sha2::Sha256;
use waypost_domain::Timestamp;

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 4_096;
/// How far a token's `iat` and `nbf` may lie ahead of our clock, in seconds.
const MAX_AHEAD_S: i64 = 300;

/// A token taken apart, nothing of it believed yet.
pub(crate) struct Token<'a> {
    /// Header and claims as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions without which the token may not be believed: none of them is known here.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    /// Seconds, perhaps with a fraction, which does not count.
    #[serde(default)]
    exp: Option<f64>,
    /// The same.
    #[serde(default)]
    nbf: Option<f64>,
}

impl<'a> Token<'a> {
    /// Takes a text apart that has a token's form and says HS256; `None` for anything else.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        let claims = decode(claims)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        (header.alg == "HS256" && !header.crit).then_some(Self { signed, signature, claims })
    }

    /// Whose secret the token claims to be signed with.
    pub(crate) fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Whether this secret signed it and it holds at `now`. The comparison takes the same time for
    /// every wrong signature.
    pub(crate) fn holds(&self, secret: &str, now: Timestamp) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(self.signed.as_bytes());
        let now_s = now.seconds();
        let soon_s = now_s.saturating_add(MAX_AHEAD_S);
        mac.verify_slice(&self.signature).is_ok()
            && self.claims.iat <= soon_s
            && self.claims.nbf.is_none_or(|start| start.floor() <= soon_s as f64)
            && self.claims.exp.is_none_or(|end| (now_s as f64) < end.floor())
    }
}

/// Whatever the member says.
fn is_there<'de, D: Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(member).map(|_| true)
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const SECRET: &str = "a secret of the service";
    const NOW: Timestamp = Timestamp(1_768_392_000_000);

    fn sign(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn claims() -> Value {
        json!({"iss": "service-1", "iat": NOW.seconds()})
    }

    fn holds(text: &str) -> bool {
        Token::read(text).is_some_and(|token| {
            assert_eq!(token.issuer(), "service-1");
            token.holds(SECRET, NOW)
        })
    }

    /// The example of RFC 7515, appendix A.1, whose claims lack `iat`, is no token of ours; its
    /// signature is checked by the same code with `iat` added.
    #[test]
    fn tokens_hold_by_signature_algorithm_and_time() {
        let hs256 = json!({"typ": "JWT", "alg": "HS256"});
        let at = |name: &str, value: i64| {
            let mut claims = claims();
            claims[name] = json!(value);
            claims
        };
        let now = NOW.seconds();
        let fraction = |name: &str, value: i64| {
            let mut claims = claims();
            claims[name] = json!(value as f64 + 0.9);
            claims
        };
        for (header, claims, secret, good) in [
            (&hs256, fraction("exp", now + 1), SECRET, true),
            (&hs256, fraction("exp", now), SECRET, false),
            (&hs256, fraction("nbf", now + 300), SECRET, true),
            (&hs256, fraction("nbf", now + 301), SECRET, false),
            (&hs256, fraction("iat", now), SECRET, false),
            (&hs256, claims(), SECRET, true),
            (&hs256, at("exp", now + 1), SECRET, true),
            (&hs256, at("exp", now), SECRET, false),
            (&hs256, at("iat", now + 300), SECRET, true),
            (&hs256, at("iat", now + 301), SECRET, false),
            (&hs256, at("iat", 0), SECRET, true),
            (&hs256, at("nbf", now), SECRET, true),
            (&hs256, at("nbf", now + 300), SECRET, true),
            (&hs256, at("nbf", now + 301), SECRET, false),
            (&json!({"alg": "HS256", "crit": ["b64"], "b64": true}), claims(), SECRET, false),
            (&json!({"alg": "HS256", "kid": "1"}), claims(), SECRET, true),
            (&hs256, claims(), "another secret", false),
            (&json!({"alg": "none"}), claims(), SECRET, false),
            (&json!({"alg": "HS512"}), claims(), SECRET, false),
        ] {
            assert_eq!(holds(&sign(header, &claims, secret)), good, "{header} {claims}");
        }
    }

    #[test]
    fn a_token_with_any_byte_changed_does_not_hold() {
        let token = sign(&json!({"alg": "HS256"}), &claims(), SECRET);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for bad in [
            signed.to_owned(),
            format!("{signed}."),
            format!("{signed}.{}", &signature[..20]),
            format!("{signed}.{signature}A"),
            format!("{signed}.{signature}.{signature}"),
            "a.b.c".to_owned(),
            String::new(),
        ] {
            assert!(!holds(&bad), "{bad}");
        }
    }
}
