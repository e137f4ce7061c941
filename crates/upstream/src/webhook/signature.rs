//! Who sent a webhook: HMAC-SHA256 of the raw body under an app secret, and the handshake by which
//! an address is confirmed.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;
use waypost_planted::{Bug, is_planted};

const PREFIX: &[u8] = b"sha256=";

/// Verifies signatures. Several secrets may be valid at once: old and new while one is rotated, or
/// those of several apps.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
}

/// Never shows a secret.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("secrets", &self.keys.len()).finish()
    }
}

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not `sha256=` and 64 hexadecimal digits.
    #[error("the header X-Hub-Signature-256 is not sha256= and 64 hexadecimal digits")]
    Malformed,
    /// No secret gives this signature for this body.
    #[error("the signature does not fit the body")]
    Mismatch,
}

impl Verifier {
    /// With the secrets that are valid now. Empty ones are left out: everybody knows them.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let keys = secrets
            .into_iter()
            .filter(|secret| !secret.as_ref().is_empty())
            // HMAC takes keys of every length.
            .filter_map(|secret| Hmac::new_from_slice(secret.as_ref()).ok())
            .collect();
        Self { keys }
    }

    /// Verifies a request by the value of its header `X-Hub-Signature-256` and its raw body, in
    /// constant time per secret.
    ///
    /// The 64 digits are read in either letter case, since both spell the same 32 bytes; the prefix
    /// is taken in lower case only, and nothing may stand before or behind.
    ///
    /// # Errors
    /// Says why the request is not believed. All are answered alike.
    pub fn verify(&self, signature: &str, body: &[u8]) -> Result<(), SignatureError> {
        let given = digest(signature.as_bytes()).ok_or(SignatureError::Malformed)?;
        let fits = |key: &Hmac<Sha256>| {
            let mac = key.clone().chain_update(body);
            if is_planted(Bug::SignaturePrefix) {
                return mac.verify_truncated_left(&given[..8]).is_ok();
            }
            mac.verify_slice(&given).is_ok()
        };
        if self.keys.iter().any(fits) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

fn digest(value: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = value.strip_prefix(PREFIX)?.try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(digest)
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The answer to Meta's `GET ?hub.mode=subscribe&hub.challenge=…&hub.verify_token=…`: the challenge
/// as text, or `None` for a refusal. An empty `verify_token` confirms nothing.
#[must_use]
pub fn handshake(query: &str, verify_token: &str) -> Option<String> {
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let given = value("hub.verify_token")?;
    let is_right = bool::from(given.as_bytes().ct_eq(verify_token.as_bytes()));
    let is_subscription = value("hub.mode")? == "subscribe";
    let challenge = value("hub.challenge")?;
    // Meta's challenge is a number; whoever else asks gets no text of theirs shown on our page.
    let is_number =
        (1..=32).contains(&challenge.len()) && challenge.bytes().all(|byte| byte.is_ascii_digit());
    (is_right && is_subscription && is_number && !verify_token.is_empty()).then_some(challenge)
}
