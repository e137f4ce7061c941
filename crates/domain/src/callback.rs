//! Callbacks: how events are posted to a tenant's addresses. A shape is one vendor's way of saying
//! it (bodies, schedule, success codes, signature) as a pure codec, as a dialect is for requests.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::directory::{Number, Sealed};
use crate::event::{Event, EventKind};
use crate::ids::{NumberId, OrgId, WebhookId};
use crate::time::{Timestamp, Zone};

/// An address to which an organisation's events are posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The organisation.
    pub org_id: OrgId,
    /// The address.
    pub url: String,
    /// The id of its [`CallbackShape`].
    pub shape: String,
    /// Only events of this number; `None`: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_id: Option<NumberId>,
    /// Only events of these kinds; empty: all that the shape has words for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub events: BTreeSet<EventKind>,
    /// What signs, newest first. Empty: nothing is signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<WebhookSecret>,
    /// A header that goes with every call, as `Name: value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Sealed>,
    /// Why nothing is posted any more: the address answered 410, or an operator switched it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Webhook {
    /// Whether it is on and wants events of this kind.
    #[must_use]
    pub fn wants(&self, kind: EventKind) -> bool {
        self.disabled.is_none() && self.takes(kind)
    }

    /// What signs at an instant, newest first.
    pub fn secrets_at(&self, now: Timestamp) -> impl Iterator<Item = &WebhookSecret> {
        self.secrets.iter().filter(move |one| one.expires_at.is_none_or(|end| now < end))
    }

    /// Whether it wants events of this kind while it is on.
    #[must_use]
    pub fn takes(&self, kind: EventKind) -> bool {
        self.events.is_empty() || self.events.contains(&kind)
    }
}

/// What signs callbacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// The secret's text.
    pub secret: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it signs beside its successor; `None` for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A shape's constants.
#[derive(Clone, Copy, Debug)]
pub struct ShapeInfo {
    /// Short name: `standard`, `cloud_api`, or a dialect's id.
    pub id: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// How long after each failed call the next one is made, in seconds; after the last one the
    /// callback is dead.
    pub schedule_s: &'static [u32],
    /// Whether the schedule is spread by ±20 %. Not where a vendor names fixed times.
    pub is_jittered: bool,
    /// How long an address may take to answer, in seconds.
    pub timeout_s: u32,
    /// How callbacks are signed.
    pub signature: Signature,
    /// Whether several events go in one call.
    pub batch: Option<Batch>,
    /// What an answer's status means.
    pub verdict: fn(u16) -> Verdict,
    /// The zone of its zone-less times where the organisation sets none.
    pub zone_offset_minutes: i16,
}

/// Several events in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// At most so many.
    pub max_events: u32,
    /// How long the first one waits for others, in milliseconds.
    pub flush_ms: u32,
}

/// What an answer means. Whatever a shape says, 410 switches a configured address off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has the event.
    Delivered,
    /// Try again as the schedule says.
    Retry,
    /// Trying again is of no use.
    Dead,
}

impl Verdict {
    /// Any 2xx is success, everything else is tried again.
    #[must_use]
    pub const fn any_2xx(status: u16) -> Self {
        if status >= 200 && status <= 299 { Self::Delivered } else { Self::Retry }
    }
}

/// How callbacks are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
    /// Meta's: `X-Hub-Signature-256: sha256=<hex HMAC of the body>`.
    HubSha256,
    /// Webex Connect's: `x-hub-signature: <hex HMAC-SHA256 of the body>`, without a prefix.
    BareHexSha256,
}

/// For whom callbacks are written.
#[derive(Clone, Copy, Debug)]
pub struct CallbackSite<'a> {
    /// The number that the events concern, where they all concern one.
    pub number: Option<&'a Number>,
    /// The zone in which zone-less times are written.
    pub zone: &'a Zone,
}

/// One way of telling events.
pub trait CallbackShape: Send + Sync {
    /// Its constants.
    fn info(&self) -> &'static ShapeInfo;

    /// Whether it has a word for this event. Those without are not posted.
    fn tells(&self, event: &Event) -> bool;

    /// Whether statuses of messages whose request named no address go to their number's own.
    fn uses_number_address(&self) -> bool {
        false
    }

    /// The JSON body that tells of `events`, in order: one, or several of one organisation and
    /// number where [`ShapeInfo::batch`] allows it, which then all tell of people's messages or all
    /// of something else. All of them pass [`CallbackShape::tells`].
    fn encode(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<u8>;

    /// The bodies that tell of `events`, each to be posted in a call of its own, in this order:
    /// one, unless the vendor tells apart what comes together.
    fn calls(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<Vec<u8>> {
        vec![self.encode(events, site)]
    }
}
