//! The types that messages have, by the way they go.

/// Types that people send and get.
pub(crate) const BOTH_WAYS: [&str; 10] = [
    "text",
    "image",
    "video",
    "document",
    "audio",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
];
/// The type that only a business sends.
pub(crate) const OUTBOUND_ONLY: &str = "template";
/// Types that only come in (reference §5.3).
pub(crate) const INBOUND_ONLY: [&str; 9] = [
    "system",
    "button",
    "order",
    "unsupported",
    "unknown",
    "edit",
    "revoke",
    "request_welcome",
    "ephemeral",
];

/// Every type that a business may send.
pub(crate) fn sendable() -> impl Iterator<Item = &'static str> {
    BOTH_WAYS.into_iter().chain([OUTBOUND_ONLY])
}

/// Every type that may come in.
pub(crate) fn receivable() -> impl Iterator<Item = &'static str> {
    BOTH_WAYS.into_iter().chain(INBOUND_ONLY)
}

/// Types as a sentence lists them.
pub(crate) fn listed(kinds: impl Iterator<Item = &'static str>) -> String {
    kinds.collect::<Vec<_>>().join(", ")
}
