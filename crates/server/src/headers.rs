//! Headers that mean the same in every dialect and in the management API: the idempotency key of a
//! request, and what a reply says beside its body. The id of a request is not among them.

use http::header::HeaderValue;
use http::{HeaderMap, HeaderName};
use waypost_domain::{BroadcastId, ErrorKind, Failure};

/// The header with a caller's idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Tells that a reply is an earlier one.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Names the broadcast that a reply is about.
const X_WAYPOST_BROADCAST_ID: HeaderName = HeaderName::from_static("x-waypost-broadcast-id");
/// The longest idempotency key, in characters.
const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;

/// The caller's idempotency key.
///
/// # Errors
/// [`ErrorKind::InvalidValue`] where it is empty, too long or not text.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if (1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&text.len()) && !text.contains('\t') {
        return Ok(Some(text.to_owned()));
    }
    let message = format!(
        "The header Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY_CHARS} printable characters."
    );
    Err(Failure::new(ErrorKind::InvalidValue, message).at("Idempotency-Key"))
}

/// Tells that the reply is an earlier one.
pub(crate) fn mark_replayed(headers: &mut HeaderMap) {
    headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
}

/// Names the broadcast that the reply is about.
pub(crate) fn name_broadcast(headers: &mut HeaderMap, id: BroadcastId) {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(X_WAYPOST_BROADCAST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_has_1_to_255_characters() {
        let key = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
            idempotency_key(&headers)
        };
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        assert_eq!(key(b"k-1"), Ok(Some("k-1".to_owned())));
        assert!(key(&[b'x'; 255]).is_ok());
        for bad in [&b""[..], b"  ", &[b'x'; 256], b"\xFF", b"k\t1"] {
            let refused = key(bad).unwrap_err();
            assert_eq!(refused.field.as_deref(), Some("Idempotency-Key"));
        }
    }
}
