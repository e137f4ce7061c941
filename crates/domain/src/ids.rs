//! Identifiers as types of their own, so that a customer's id cannot be passed for a user's.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest identifier that a caller may choose, in bytes.
pub const MAX_ID_BYTES: usize = 128;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; callers check what they accept with [`is_acceptable_id`].
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_id! {
    /// An organisation: the tenant.
    OrgId,
    /// An administrator or agent of an organisation.
    UserId,
    /// A person who gets messages, as one organisation knows them.
    CustomerId,
    /// A sender number of the business. Waypost's own id; by default Meta's phone-number id.
    NumberId,
    /// An API key's public part: names the key in lists and logs, opens nothing.
    ApiKeyId,
    /// A named credential for media links, unique within its organisation.
    ProviderId,
    /// A stored file: 16 decimal digits.
    MediaId,
    /// An address to which events are posted.
    WebhookId,
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the canonical text form; anything else names nothing.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }

            /// The 16 bytes under which a store keeps it.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id that a store kept as 16 bytes.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )+};
}

uuid_id! {
    /// One message, inbound or outbound. Version 7, so that ids grow with time.
    MessageId,
    /// One template sent to many customers.
    BroadcastId,
    /// One call to the upstream for one message. Its bytes travel in the attempt token.
    AttemptId,
    /// Something that happened: the same in every callback that tells of it.
    EventId,
}

/// Whether a caller may give this id to something new: 1 to 128 bytes of visible ASCII without
/// a slash, so that it fits into a path. `.` and `..` do not: clients take them out of one.
#[must_use]
pub fn is_acceptable_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_fits_into_a_path() {
        for good in ["org-1", "UKIR5Iumv6", "a.b_c:d", "1", "...", ".a"] {
            assert!(is_acceptable_id(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "a?b", "ü", "a%2f", ".", "..", &"x".repeat(129)] {
            assert!(!is_acceptable_id(bad), "{bad}");
        }
    }
}
