//! What a caller asks for, after a dialect has decoded it, and what it gets, before the dialect
//! encodes it. The commands know no wire format; the field paths in them are for error messages.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::{Component, Content, MediaSource, TemplateMessage};
use crate::failure::Failure;
use crate::ids::{ApiKeyId, BroadcastId, CustomerId, MediaId, MessageId, OrgId, UserId};
use crate::media::MediaKind;
use crate::message::MessageOptions;
pub use crate::message::MessageType;
use crate::phone::Phone;
use crate::template::Template;
use crate::time::Timestamp;

/// A file as a caller named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDraft {
    /// What the message wants it to be.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource,
    /// The field of the caller's request that says so, such as `message.image.link`: what errors
    /// name.
    pub field: String,
}

impl MediaDraft {
    /// The field that names the provider. Every form that has one has it beside the link.
    #[must_use]
    pub fn provider_field(&self) -> String {
        self.field
            .rsplit_once('.')
            .map_or_else(|| "provider".to_owned(), |(object, _)| format!("{object}.provider"))
    }
}

/// Who the message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A customer in the organisation's directory.
    Customer(CustomerId),
    /// A number, in the directory or not.
    Phone(Phone),
    /// Nobody: what the caller wrote names no person. Only in a [`Submission`] that was found to
    /// fail.
    Nobody,
}

/// Who calls, as established by the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key, for logs and the message's record.
    pub key_id: ApiKeyId,
    /// The organisation that the key is bound to; `None` for the installation's administrator.
    pub org_id: Option<OrgId>,
    /// Whether sends by this key are a bot's answers.
    pub sends_as: MessageType,
}

impl Caller {
    /// Whether this caller may act for an organisation.
    #[must_use]
    pub fn may_act_for(&self, org_id: &OrgId) -> bool {
        self.org_id.as_ref().is_none_or(|own| own == org_id)
    }
}

/// Send one message.
#[derive(Clone, Debug, PartialEq)]
pub struct SendMessage {
    /// The sending organisation, as the caller claims.
    pub org_id: OrgId,
    /// The user in whose name it is sent, where the dialect has one.
    pub user_id: Option<UserId>,
    /// Who it is for.
    pub recipient: Recipient,
    /// The sender number as the caller names it: id, phone-number id or display number. `None`:
    /// the organisation's first.
    pub number: Option<String>,
    /// Whether a `number` that the organisation does not have means its first.
    pub number_or_default: bool,
    /// The caller's word for the conversation, echoed.
    pub session_id: Option<String>,
    /// The caller's own value, kept and given back in events.
    pub reference: Option<String>,
    /// What it says.
    pub content: Content<MediaDraft>,
    /// What is asked for beside the content.
    pub options: MessageOptions,
    /// Values for the content's template that are not in Meta's form yet.
    pub binding: Option<TemplateBinding>,
    /// Whether a template without a language goes out as if the organisation preferred none.
    pub ignores_org_language: bool,
}

impl SendMessage {
    /// A message of an organisation that asks for nothing beside its content.
    #[must_use]
    pub fn new(org_id: OrgId, recipient: Recipient, content: Content<MediaDraft>) -> Self {
        Self {
            org_id,
            user_id: None,
            recipient,
            number: None,
            number_or_default: false,
            session_id: None,
            reference: None,
            content,
            options: MessageOptions::default(),
            binding: None,
            ignores_org_language: false,
        }
    }
}

/// A dialect's own way of naming a template's values. Which variable a value belongs to can be told
/// only once the template is known: then `bind` makes Meta's components of the values, which replace
/// those of the draft.
#[derive(Clone)]
pub struct TemplateBinding {
    /// The values in the dialect's own form.
    pub values: Value,
    /// What makes components of them.
    pub bind: BindTemplate,
}

/// Makes components of a dialect's own values; fails with
/// [`crate::ErrorKind::TemplateParameterMismatch`].
pub type BindTemplate = fn(&Template, &Value) -> Result<Vec<Component<MediaDraft>>, Failure>;

impl PartialEq for TemplateBinding {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

/// Shows nothing of the values: they are a message to somebody.
impl fmt::Debug for TemplateBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TemplateBinding(…)")
    }
}

/// Accept messages to be sent later: all of them, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Submit {
    /// The sending organisation.
    pub org_id: OrgId,
    /// In the order of the request; 1 to some limit of the dialect.
    pub messages: Vec<Submission>,
}

/// One message to be sent later.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The message; its `org_id` is the [`Submit`]'s.
    pub send: SendMessage,
    /// What is wrong with it already, where the vendor accepts it all the same and reports the
    /// failure later.
    pub doomed: Option<Failure>,
    /// Whether what the engine finds wrong with its content is reported later too, whatever it is.
    pub tells_all_later: bool,
}

impl Submission {
    /// One that can be read as far as its sender: what is wrong with the rest dooms it.
    #[must_use]
    pub fn unread(org_id: OrgId, number: String, fault: Failure) -> Self {
        let nothing = Content::Text { body: String::new(), preview_url: false };
        let send = SendMessage {
            number: Some(number),
            ..SendMessage::new(org_id, Recipient::Nobody, nothing)
        };
        Self { send, doomed: Some(fault), tells_all_later: false }
    }
}

/// Send one template to every customer of an organisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Broadcast {
    /// The sending organisation, as the caller claims.
    pub org_id: OrgId,
    /// The user in whose name it is sent, where the dialect has one.
    pub user_id: Option<UserId>,
    /// The sender number as the caller names it; `None`: the organisation's first.
    pub number: Option<String>,
    /// The caller's word for the conversation, echoed.
    pub session_id: Option<String>,
    /// The template with one set of values for everybody.
    pub template: TemplateMessage<MediaDraft>,
}

/// What became of one message, as far as the caller of a synchronous dialect is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Waypost's id of the message.
    pub id: MessageId,
    /// The customer, where the directory knows the person.
    pub customer_id: Option<CustomerId>,
    /// The person's number as it was addressed.
    pub phone: Phone,
    /// When the upstream accepted it, or when it failed.
    pub at: Timestamp,
    /// How it is recorded.
    pub message_type: MessageType,
    /// What the upstream gave, or why it was not sent.
    pub result: Result<Receipt, Failure>,
}

/// The upstream's acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The upstream's message id, opaque.
    pub wamid: String,
    /// The person's WhatsApp id; the number that was addressed where the upstream gave none.
    pub wa_id: String,
}

/// A broadcast's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastOutcome {
    /// Under which its progress can be read.
    pub id: BroadcastId,
    /// One element per customer, in the order of registration; none for who did not wait.
    pub deliveries: Vec<Delivery>,
}

/// An upload's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Under which the file can be sent.
    pub media_id: MediaId,
}
