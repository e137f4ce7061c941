//! Where the directory, templates and customers are kept.

use async_trait::async_trait;
use waypost_domain::callback::Webhook;
use waypost_domain::customer::{Consent, Customer};
use waypost_domain::directory::{ApiKey, MediaProvider, Number, Org, User};
use waypost_domain::template::Template;
use waypost_domain::{ApiKeyId, CustomerId, NumberId, OrgId, Phone, ProviderId, UserId, WebhookId};

use super::{Page, Paged, StoreResult};

/// The whole directory, read once at the start.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct DirectorySnapshot {
    pub orgs: Vec<Org>,
    pub users: Vec<User>,
    pub numbers: Vec<Number>,
    pub api_keys: Vec<ApiKey>,
    pub providers: Vec<MediaProvider>,
    pub webhooks: Vec<Webhook>,
    pub templates: Vec<Template>,
}

/// One entry of the directory.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Entry {
    Org(Org),
    User(User),
    Number(Number),
    ApiKey(ApiKey),
    Provider(MediaProvider),
    Webhook(Webhook),
}

/// Names one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum EntryKey {
    Org(OrgId),
    User(OrgId, UserId),
    Number(NumberId),
    ApiKey(ApiKeyId),
    Provider(OrgId, ProviderId),
    Webhook(OrgId, WebhookId),
}

/// Whether an entry must be new or must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// [`super::StoreError::Conflict`] where it exists.
    Create,
    /// [`super::StoreError::NotFound`] where it does not.
    Replace,
}

/// Keeps the directory. Unique besides the keys: a number's `phone_number_id`, an API key's
/// `secret_sha256`.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// Reads everything, each kind in the order of creation.
    async fn load_directory(&self) -> StoreResult<DirectorySnapshot>;
    /// Writes one entry; durable when it returns.
    async fn put_entry(&self, entry: Entry, mode: PutMode) -> StoreResult<()>;
    /// Removes one entry. `false` where there was none. Of a removed organisation nothing is read
    /// any more; what it leaves is deleted by [`super::RetentionStore::prune_removed_orgs`].
    ///
    /// [`super::StoreError::Conflict`] names `messages` where messages of a number wait, are on their
    /// way, or are to be sent again: then it stays.
    async fn remove_entry(&self, key: EntryKey) -> StoreResult<bool>;
    /// Removed numbers for which messages wait, are on their way, or are to be sent again: they were
    /// shared, and went with their organisation.
    async fn removed_numbers_in_use(&self) -> StoreResult<Vec<NumberId>>;
    /// A value of the installation's own, such as the hash of its administrator's key.
    async fn setting(&self, name: &str) -> StoreResult<Option<String>>;
    /// Writes such a value.
    async fn put_setting(&self, name: &str, value: &str) -> StoreResult<()>;
}

/// Keeps templates as the upstream last showed them.
#[async_trait]
pub trait TemplateStore: Send + Sync {
    /// Makes the templates of a business account exactly these.
    async fn replace_templates(&self, waba_id: &str, templates: Vec<Template>) -> StoreResult<()>;
    /// Writes one template, new or not (key: business account, name, language).
    async fn put_template(&self, template: Template) -> StoreResult<()>;
    /// Removes one language of a template, or all.
    async fn remove_template(
        &self,
        waba_id: &str,
        name: &str,
        language: Option<&str>,
    ) -> StoreResult<()>;
}

/// Which customers to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomerFilter {
    /// Only the one with this number.
    pub phone: Option<Phone>,
    /// Only those with this label.
    pub tag: Option<String>,
    /// Only active or only inactive ones.
    pub active: Option<bool>,
}

/// A customer to be added, or to be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerToImport {
    /// What is known of the customer.
    pub customer: Customer,
    /// Whether the id was given. Otherwise it is for a customer whose number is new.
    pub id_given: bool,
    /// What of the rest is said. What is not stays as it was of who exists.
    pub stated: Stated,
}

/// Which fields of a customer an import says something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The name.
    pub name: bool,
    /// The tags.
    pub tags: bool,
    /// Whether the customer is active.
    pub active: bool,
}

impl Stated {
    /// All of them.
    pub const ALL: Self = Self { name: true, tags: true, active: true };
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New customers.
    pub created: u64,
    /// Customers that existed and were brought up to date.
    pub updated: u64,
    /// Those that were left out, in their order.
    pub left_out: Vec<LeftOut>,
}

/// A customer that was left out of an import: its number belongs to one with another id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its place among those to be imported, from 0.
    pub place: usize,
    /// Whose the number is.
    pub owner: CustomerId,
}

/// Whom a broadcast reaches, beside that they are active and have not opted out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody.
    All,
    /// Only who opted in.
    OptedIn,
    /// Who opted in, or has ever written to the organisation.
    OptedInOrWrote,
}

/// What one person said about being written to, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConsent {
    /// The person.
    pub phone: Phone,
    /// The id a customer gets who is unknown so far.
    pub new_customer_id: CustomerId,
    /// What was said.
    pub consent: Consent,
}

/// Keeps customers. Unique within an organisation: the id, and the phone number.
#[async_trait]
pub trait CustomerStore: Send + Sync {
    /// Adds a customer.
    async fn create_customer(&self, customer: Customer) -> StoreResult<()>;
    /// Adds or updates many at once, in one transaction, in their order. Who exists is found by
    /// the id that was given, otherwise by number, and keeps its id, its place in the order of
    /// registration, its consent where the new one has none, and what is not stated. Who has the number of one with
    /// another id than was given is left out; the others are imported.
    async fn import_customers(&self, customers: Vec<CustomerToImport>) -> StoreResult<Imported>;
    /// Records what people said, all or nothing; who is unknown becomes a customer. What a person
    /// has said before stays as it was recorded. `false` where none of it was new.
    async fn record_consents(&self, org_id: &OrgId, consents: Vec<NewConsent>)
    -> StoreResult<bool>;
    /// Changes a customer that is still as it is `known`; its place in the order of registration
    /// stays. `false` where somebody else changed it first: then nothing is written.
    async fn update_customer(&self, known: &Customer, changed: Customer) -> StoreResult<bool>;
    /// Removes a customer; its messages stay in the log, and an opt-out still holds for its number.
    /// `false` where there was none.
    async fn delete_customer(&self, org_id: &OrgId, id: &CustomerId) -> StoreResult<bool>;
    /// One customer.
    async fn customer(&self, org_id: &OrgId, id: &CustomerId) -> StoreResult<Option<Customer>>;
    /// Customers in the order of registration.
    async fn customers(
        &self,
        org_id: &OrgId,
        filter: &CustomerFilter,
        page: Page,
    ) -> StoreResult<Paged<Customer>>;
    /// Whom a broadcast reaches: active, not opted out, opted in where asked; in the order of
    /// registration.
    async fn audience(
        &self,
        org_id: &OrgId,
        audience: Audience,
        page: Page,
    ) -> StoreResult<Paged<(CustomerId, Phone)>>;
}
