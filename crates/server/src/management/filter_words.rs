//! The words by which lists are filtered: reads each, and says what it must be where it is not. Does
//! not filter.

use waypost_domain::{BroadcastId, ErrorKind, EventId, MessageId, Status, Timestamp};
use waypost_engine::ports::ErrorFilter;

use crate::problem::Faults;

/// A word if there is one; `None` with the fault noted where it means nothing.
pub(super) fn word<T, E: std::fmt::Display>(
    faults: &mut Faults,
    field: &str,
    text: &Option<String>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    faults.take(field, read(text.as_deref()?))
}

/// An instant in RFC 3339.
pub(super) fn instant(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_rfc3339(text).ok_or("must be an instant such as 2030-01-31T00:00:00Z")
}

pub(super) fn status(text: &str) -> Result<Status, String> {
    Status::parse(text).ok_or_else(|| one_of(&Status::ALL.map(Status::as_str)))
}

/// Our own word for a failure, or the upstream's number.
pub(super) fn error(text: &str) -> Result<ErrorFilter, &'static str> {
    if let Ok(code) = text.parse() {
        return Ok(ErrorFilter::Upstream(code));
    }
    let kind = serde_json::from_value::<ErrorKind>(serde_json::Value::String(text.to_owned()));
    kind.map(ErrorFilter::Kind).map_err(|_| {
        "must be an error's code such as recipient_unreachable, or WhatsApp's number such as 131026"
    })
}

pub(super) fn newest_first(text: &str) -> Result<bool, &'static str> {
    match text {
        "newest" => Ok(true),
        "oldest" => Ok(false),
        _ => Err("must be oldest or newest"),
    }
}

pub(super) fn broadcast_id(text: &str) -> Result<BroadcastId, &'static str> {
    BroadcastId::parse(text).ok_or("must be the id of a broadcast")
}

pub(super) fn message_id(text: &str) -> Result<MessageId, &'static str> {
    MessageId::parse(text).ok_or("must be the id of a message")
}

pub(super) fn event_id(text: &str) -> Result<EventId, &'static str> {
    EventId::parse_public(text).ok_or("must be the id of an event")
}

/// What to say to those who gave none of a few words.
pub(super) fn one_of(allowed: &[&str]) -> String {
    format!("must be one of {}", allowed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_another_word_is_told_what_it_must_be() {
        for (told, rule) in [
            (instant("yesterday").err(), "2030-01-31T00:00:00Z"),
            (instant("2026-01-31").err(), "2030-01-31T00:00:00Z"),
            (instant("2026-01-31T00:00:00").err(), "2030-01-31T00:00:00Z"),
            (error("bad luck").err(), "131026"),
            (newest_first("sideways").err(), "oldest or newest"),
            (broadcast_id("1").err(), "the id of a broadcast"),
            (message_id("1").err(), "the id of a message"),
            (event_id("1").err(), "the id of an event"),
        ] {
            assert!(
                told.is_some_and(|told| told.contains(rule)),
                "{told:?} says nothing of {rule}"
            );
        }
        let told = status("seen").unwrap_err();
        for known in Status::ALL {
            assert!(told.contains(known.as_str()), "{told}");
        }
    }

    #[test]
    fn causes_are_named_by_word_or_number() {
        assert_eq!(error("131016"), Ok(ErrorFilter::Upstream(131_016)));
        assert_eq!(error("expired"), Ok(ErrorFilter::Kind(ErrorKind::Expired)));
    }
}
