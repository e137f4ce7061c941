//! Forms (flows): where they are kept under our own numbers, and what the upstream does with them.

use async_trait::async_trait;
use bytes::Bytes;
use waypost_domain::content::FlowName;
use waypost_domain::manage::FlowRecord;
use waypost_domain::{NumberId, OrgId, Timestamp};

use super::{Account, CallError, StoreResult};

/// A form to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFlow {
    /// The organisation.
    pub org_id: OrgId,
    /// The number whose business account it belongs to.
    pub number_id: NumberId,
    /// What the upstream shows of it.
    pub shown: UpstreamFlow,
}

/// Keeps forms. Unique within an organisation: the upstream's id.
#[async_trait]
pub trait FlowStore: Send + Sync {
    /// Records a form as the upstream shows it. A new one gets the installation's next number; of a
    /// known one number and time of creation stay, and its time of change where nothing changed.
    async fn record_flow(&self, flow: NewFlow, now: Timestamp) -> StoreResult<FlowRecord>;
    /// One form of an organisation: by our number, else by the upstream's id; by the upstream's id,
    /// else by our number; or by name, of several the last one.
    async fn flow(&self, org_id: &OrgId, name: &FlowName) -> StoreResult<Option<FlowRecord>>;
    /// The forms of an organisation, or those of one of its numbers, in the order of their numbers;
    /// at most `limit`.
    async fn flows(
        &self,
        org_id: &OrgId,
        number_id: Option<&NumberId>,
        limit: u32,
    ) -> StoreResult<Vec<FlowRecord>>;
}

/// A form as the upstream shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFlow {
    /// The upstream's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Meta's word, such as `DRAFT` or `PUBLISHED`.
    pub status: String,
    /// Meta's words.
    pub categories: Vec<String>,
}

/// Where a form can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowPreview {
    /// The address.
    pub url: String,
    /// Until when, as the upstream wrote it.
    pub expires_at: String,
}

/// The upstream's calls for forms. A form that it does not know is
/// [`waypost_domain::ErrorKind::FlowNotFound`].
#[async_trait]
pub trait FlowUpstream: Send + Sync {
    /// Makes an empty draft; returns the upstream's id.
    async fn create_flow(
        &self,
        account: &Account,
        name: &str,
        categories: &[String],
    ) -> Result<String, CallError>;
    /// Changes a form's name and categories; what is absent stays.
    async fn change_flow(
        &self,
        account: &Account,
        flow_id: &str,
        name: Option<&str>,
        categories: Option<&[String]>,
    ) -> Result<(), CallError>;
    /// Gives a draft its definition.
    async fn define_flow(
        &self,
        account: &Account,
        flow_id: &str,
        json: Bytes,
    ) -> Result<(), CallError>;
    /// Publishes a draft, for good.
    async fn publish_flow(&self, account: &Account, flow_id: &str) -> Result<(), CallError>;
    /// Deletes a draft.
    async fn delete_flow(&self, account: &Account, flow_id: &str) -> Result<(), CallError>;
    /// One form.
    async fn read_flow(&self, account: &Account, flow_id: &str) -> Result<UpstreamFlow, CallError>;
    /// Where a form can be looked at: the address that is valid already, else a new one.
    async fn flow_preview(
        &self,
        account: &Account,
        flow_id: &str,
    ) -> Result<FlowPreview, CallError>;
    /// All forms of a business account.
    async fn flows(&self, account: &Account) -> Result<Vec<UpstreamFlow>, CallError>;
}
