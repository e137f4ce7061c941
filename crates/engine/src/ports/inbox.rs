//! Where the upstream's webhooks are kept: raw before the 200, then what they meant.

use async_trait::async_trait;
use bytes::Bytes;
use waypost_domain::content::InboundContent;
use waypost_domain::{CustomerId, MediaId, MessageId, NumberId, OrgId, Phone, Timestamp};

use super::StoreResult;

/// Whose app signed a webhook: for which numbers it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The installation's: for all of them.
    Installation,
    /// The one that these numbers belong to: for no others.
    Numbers(Vec<NumberId>),
}

impl Signer {
    /// Whether what it signed counts for a number.
    #[must_use]
    pub fn speaks_for(&self, number_id: &NumberId) -> bool {
        match self {
            Self::Installation => true,
            Self::Numbers(ids) => ids.contains(number_id),
        }
    }
}

/// A webhook body that was answered with 200 and not yet worked off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its place in the inbox.
    pub id: i64,
    /// The bytes as they came.
    pub body: Bytes,
    /// Whose app signed them.
    pub signer: Signer,
    /// When they came.
    pub received_at: Timestamp,
}

/// For whom a message is that a person wrote to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// For the organisation that it names.
    Named,
    /// For the organisation that the person joined on that number, else for the one that it names.
    Joined,
    /// For the organisation that it names, which the person joins by it on that number.
    Joining,
}

/// A message that a person wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundMessage {
    /// The id it gets if it is new.
    pub id: MessageId,
    /// The organisation it is for, as `addressed` says.
    pub org_id: OrgId,
    /// How `org_id` is meant.
    pub addressed: Addressed,
    /// The number it was written to.
    pub number_id: NumberId,
    /// Who wrote.
    pub phone: Phone,
    /// The person's business-scoped id, where it is told: who is written to by it is the same person.
    pub user_id: Option<Phone>,
    /// The person's profile name.
    pub profile_name: Option<String>,
    /// The id a customer gets who is unknown so far.
    pub new_customer_id: CustomerId,
    /// The upstream's id; a second one with the same id is the same message.
    pub wamid: String,
    /// What it says.
    pub content: InboundContent,
    /// When it was written, by the upstream's clock: opens the window.
    pub written_at: Timestamp,
}

/// A message that a person wrote, whose file the upstream still has.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundFile {
    /// Its place among those that wait; younger ones have higher places.
    pub place: i64,
    /// The organisation it is for.
    pub org_id: OrgId,
    /// The number it was written to.
    pub number_id: NumberId,
    /// The message.
    pub message_id: MessageId,
    /// What it says.
    pub content: InboundContent,
}

/// Keeps the inbox and what its entries meant.
#[async_trait]
pub trait InboxStore: Send + Sync {
    /// Keeps a webhook's bytes; durable when it returns.
    async fn store_webhook(
        &self,
        body: Bytes,
        signer: Signer,
        received_at: Timestamp,
    ) -> StoreResult<i64>;
    /// Entries that are not worked off, oldest first, after a place.
    async fn open_webhooks(&self, after: i64, limit: u32) -> StoreResult<Vec<InboxEntry>>;
    /// Marks entries as worked off. What had no meaning to us stays, raw.
    async fn close_webhooks(&self, ids: Vec<i64>, keep_raw: bool) -> StoreResult<()>;
    /// Records an inbound message: the customer where unknown, the window, the log, and whom the
    /// person joined by it. `false` where it was recorded before.
    async fn record_inbound(&self, inbound: InboundMessage, now: Timestamp) -> StoreResult<bool>;
    /// The organisation that a person joined on a shared number.
    async fn joined_org(&self, number_id: &NumberId, phone: &Phone) -> StoreResult<Option<OrgId>>;
    /// Files sent to a number that have not been fetched from the upstream, those behind a place in
    /// the order in which they came.
    async fn inbound_without_media(
        &self,
        number_id: &NumberId,
        written_after: Timestamp,
        after: i64,
        limit: u32,
    ) -> StoreResult<Vec<InboundFile>>;
    /// Names the stored file of an inbound message.
    async fn attach_inbound_media(
        &self,
        id: MessageId,
        media_id: Option<MediaId>,
    ) -> StoreResult<()>;
}
