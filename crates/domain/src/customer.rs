//! Customers: the people an organisation writes to.

use serde::{Deserialize, Serialize};

use crate::ids::{CustomerId, OrgId};
use crate::phone::Phone;
use crate::time::Timestamp;

/// A person as one organisation knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The organisation.
    pub org_id: OrgId,
    /// The organisation's id for the person.
    pub id: CustomerId,
    /// The person's number. Unique within the organisation.
    pub phone: Phone,
    /// The person's name.
    pub name: Option<String>,
    /// The organisation's labels.
    pub tags: Vec<String>,
    /// Consent, where it is recorded.
    pub consent: Option<Consent>,
    /// Whether the person belongs to broadcasts and can be written to.
    pub active: bool,
    /// When the person was registered; broadcasts go in this order.
    pub created_at: Timestamp,
    /// When the person last wrote, by any number.
    pub last_inbound_at: Option<Timestamp>,
}

impl Customer {
    /// Whether the person has said that they want no messages.
    #[must_use]
    pub fn opted_out(&self) -> bool {
        self.consent.as_ref().is_some_and(|consent| !consent.opted_in)
    }
}

/// What a person said about being written to, and how we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Yes or no.
    pub opted_in: bool,
    /// When it was said.
    pub at: Timestamp,
    /// How it is known: a form's address, a recording's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// By which way it came.
    #[serde(default, skip_serializing_if = "ConsentOrigin::is_empty")]
    pub origin: ConsentOrigin,
}

/// By which way a consent came, as the caller said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentOrigin {
    /// Such as `WEB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The person's browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The person's network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

impl ConsentOrigin {
    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
