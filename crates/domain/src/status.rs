//! The states of a message and the ladder that statuses may climb.

use serde::{Deserialize, Serialize};

/// Where a message stands. The words are those of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Durable, not yet on its way.
    Queued,
    /// An attempt's intent is durable: bytes may be on the wire.
    Sending,
    /// The upstream accepted it and gave a `wamid`.
    Sent,
    /// On the person's phone.
    Delivered,
    /// The person has seen it.
    Read,
    /// It will not arrive.
    Failed,
    /// It may or may not have been sent.
    Unknown,
    /// Withdrawn before it was sent.
    Cancelled,
    /// Written by a customer.
    Received,
}

impl Status {
    /// Every status, in the order of their stored numbers.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::Received,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Received => "received",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The number under which stores keep it. Stable.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The status with a stored number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The status after a report from the upstream, or `None` where the report tells nothing new.
    ///
    /// Reports are unordered and repeat: a message only climbs `sent < delivered < read`.
    /// `failed` may follow anything but proof of arrival, and proof of arrival overrules `failed`:
    /// a person who reads a message has got it.
    #[must_use]
    pub fn advanced_by(self, report: Report) -> Option<Self> {
        let next = match report {
            Report::Sent => Self::Sent,
            Report::Delivered => Self::Delivered,
            Report::Read => Self::Read,
            Report::Failed => Self::Failed,
        };
        (next.rung() > self.rung()).then_some(next)
    }

    const fn rung(self) -> u8 {
        match self {
            Self::Queued | Self::Sending | Self::Unknown | Self::Cancelled => 0,
            Self::Sent => 1,
            Self::Failed => 2,
            Self::Delivered => 3,
            Self::Read | Self::Received => 4,
        }
    }
}

/// What a status webhook says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Meta's words")]
pub enum Report {
    Sent,
    Delivered,
    /// Also `played`, the first playing of a voice message.
    Read,
    Failed,
}

impl Report {
    /// Reads Meta's word; unknown words are kept raw by the caller.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "sent" => Some(Self::Sent),
            "delivered" => Some(Self::Delivered),
            "read" | "played" => Some(Self::Read),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_are_the_places_in_the_list() {
        for (place, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(status.number()), place);
            assert_eq!(Status::from_number(status.number()), Some(status));
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }

    #[test]
    fn a_message_never_climbs_down() {
        for (from, report, to) in [
            (Status::Sending, Report::Sent, Some(Status::Sent)),
            (Status::Unknown, Report::Sent, Some(Status::Sent)),
            (Status::Sent, Report::Sent, None),
            (Status::Sent, Report::Read, Some(Status::Read)),
            (Status::Read, Report::Delivered, None),
            (Status::Delivered, Report::Sent, None),
            (Status::Sent, Report::Failed, Some(Status::Failed)),
            (Status::Failed, Report::Sent, None),
            (Status::Failed, Report::Delivered, Some(Status::Delivered)),
            (Status::Delivered, Report::Failed, None),
            (Status::Read, Report::Failed, None),
        ] {
            assert_eq!(from.advanced_by(report), to, "{from:?} {report:?}");
        }
    }
}
