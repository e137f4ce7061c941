//! Meta's Cloud API as the engine needs it.

use std::fmt;

use async_trait::async_trait;
use waypost_domain::call::Call;
use waypost_domain::command::Receipt;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::template::Template;
use waypost_domain::{Content, Failure, Phone, Timestamp};

use super::blobs::BlobStream;
use super::flows::FlowUpstream;

/// By which number and with which token a call is made.
#[derive(Clone)]
pub struct Account {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// Meta's id of the business account.
    pub waba_id: String,
    /// The bearer token.
    pub access_token: String,
}

/// Never shows the token.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("phone_number_id", &self.phone_number_id)
            .field("waba_id", &self.waba_id)
            .finish_non_exhaustive()
    }
}

/// Where the upstream finds a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacedMedia {
    /// In its own store.
    Id(String),
    /// Behind a link that it fetches itself.
    Link(String),
}

/// One message as it leaves.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingMessage<'a> {
    /// Who it is for.
    pub to: &'a Phone,
    /// What it says.
    pub content: &'a Content<PlacedMedia>,
    /// Travels as `biz_opaque_callback_data` and comes back in every status.
    pub attempt_token: &'a str,
    /// The `wamid` of the message that it answers.
    pub reply_to: Option<&'a str>,
    /// It is delivered only to a person with this identity.
    pub identity_key_hash: Option<&'a str>,
}

impl<'a> OutgoingMessage<'a> {
    /// A message that asks for nothing beside its content.
    #[must_use]
    pub const fn new(
        to: &'a Phone,
        content: &'a Content<PlacedMedia>,
        attempt_token: &'a str,
    ) -> Self {
        Self { to, content, attempt_token, reply_to: None, identity_key_hash: None }
    }
}

/// What came of a send. What is sure and what is not is decided here, once.
#[derive(Clone, Debug, PartialEq)]
pub enum SendOutcome {
    /// Accepted.
    Sent(Receipt),
    /// Certainly not sent: the upstream said no.
    Refused(CallError),
    /// Certainly not sent: no byte of the body was written.
    NotSent(CallError),
    /// It may or may not have been sent.
    Unknown(Failure),
}

/// Why a call failed, and whether repeating it makes sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct CallError {
    /// What went wrong, in our words and the upstream's.
    pub failure: Failure,
    /// What may be done about it.
    pub class: RetryClass,
}

impl CallError {
    /// The failure of a message that is not tried again by itself.
    #[must_use]
    pub fn given_up(self) -> Failure {
        self.failure.worth_a_retry(self.class.may_work_later())
    }
}

/// A file that the upstream keeps for a customer's message.
pub struct DownloadedMedia {
    /// The upstream's word for the type, parameters included.
    pub mime_type: String,
    /// The bytes.
    pub body: BlobStream,
}

/// An example of what a template's header shows.
pub struct Sample {
    /// Its type.
    pub mime_type: MimeType,
    /// Its name.
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// The bytes.
    pub body: BlobStream,
}

/// What the upstream says of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberInfo {
    /// The number people see.
    pub display_phone_number: Option<String>,
    /// The name people see.
    pub verified_name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED` or `NA`.
    pub quality_rating: Option<String>,
    /// Such as `CONNECTED`.
    pub status: Option<String>,
    /// People who may be written to outside of a window within a day; `None`: without end, or not
    /// told.
    pub people_a_day: Option<u32>,
}

/// The upstream.
#[async_trait]
pub trait Upstream: FlowUpstream {
    /// How much of the limits on an account's calls is used, in hundredths, where a reply said so
    /// since the last call. More than 100 may be said.
    fn usage(&self, _account: &Account) -> Option<u8> {
        None
    }
    /// Sends one message.
    async fn send(&self, account: &Account, message: &OutgoingMessage<'_>) -> SendOutcome;
    /// Sends one message, and tells what can be told of the call beside its outcome.
    async fn send_and_tell(
        &self,
        account: &Account,
        message: &OutgoingMessage<'_>,
    ) -> (SendOutcome, Call) {
        (self.send(account, message).await, Call::default())
    }
    /// Uploads a file; returns the upstream's id and until when it can be sent.
    async fn upload(
        &self,
        account: &Account,
        mime_type: &MimeType,
        filename: &str,
        size: u64,
        body: BlobStream,
    ) -> Result<String, CallError>;
    /// Uploads an example of what a template's header shows, in the name of our app; returns the
    /// handle by which a new template names it.
    async fn upload_sample(
        &self,
        account: &Account,
        app_id: &str,
        sample: Sample,
    ) -> Result<String, CallError>;
    /// Opens a file that came with a customer's message, at most `limit_bytes` long.
    async fn download(
        &self,
        account: &Account,
        media_id: &str,
        limit_bytes: u64,
    ) -> Result<DownloadedMedia, CallError>;
    /// Reads all templates of a business account, or those with a name.
    async fn templates(
        &self,
        account: &Account,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Template>, CallError>;
    /// Creates a template from Meta's form; returns Meta's answer.
    async fn create_template(
        &self,
        account: &Account,
        template: &serde_json::Value,
    ) -> Result<serde_json::Value, CallError>;
    /// Edits a template.
    async fn edit_template(
        &self,
        account: &Account,
        template_id: &str,
        change: &serde_json::Value,
    ) -> Result<(), CallError>;
    /// Deletes all languages of a template, or the one with an id.
    async fn delete_template(
        &self,
        account: &Account,
        name: &str,
        template_id: Option<&str>,
    ) -> Result<(), CallError>;
    /// Registers a number for sending by us, with its two-step PIN.
    async fn register(&self, account: &Account, pin: &str) -> Result<(), CallError>;
    /// Subscribes our app to the business account's webhooks.
    async fn subscribe(&self, account: &Account) -> Result<(), CallError>;
    /// Reads what the upstream says of a number: also a check of the token.
    async fn number_info(&self, account: &Account) -> Result<NumberInfo, CallError>;
}
