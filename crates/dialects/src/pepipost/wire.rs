//! Pepipost's words, reply bodies and ids. Fields of replies and webhooks stand in the vendor's
//! order.

use serde::Serialize;
use serde_json::Value;
use waypost_domain::MediaId;

/// The dialect's id.
pub(super) const ID: &str = "pepipost";

/// `POST`: messages, at the vendor's first base.
pub(super) const SEND_PATH: &str = "/api/v2/message";
/// `POST`: messages, at the newer base.
pub(super) const NC_PATH: &str = "/api/v2/message/nc";
/// `POST`: messages that go first.
pub(super) const NC_PRIORITY_PATH: &str = "/api/v2/message/nc/priority";
/// `POST`: messages, as some clients write the newer base.
pub(super) const NC_MESSAGE_PATH: &str = "/api/v2/message/nc/message";
/// `POST`: a file.
pub(super) const UPLOAD_PATH: &str = "/api/v2/media/upload";
/// `GET` and `DELETE`: a file.
pub(super) const MEDIA_PATH: &str = "/api/v2/media/{id}";
/// `POST`: what people say about being written to.
pub(super) const RECORD_CONSENT_PATH: &str = "/api/v2/consent/manage";
/// `POST`: what is recorded of a person.
pub(super) const FIND_CONSENT_PATH: &str = "/api/v2/consent";
/// `GET`: a template's approval.
pub(super) const TEMPLATE_STATUS_PATH: &str = "/api/v2/metainfo/template/status";
/// `GET`: a template's parts.
pub(super) const TEMPLATE_PREVIEW_PATH: &str = "/api/v2/metainfo/template/preview";

/// Members of requests, and of what is kept with a message.
pub(super) mod member {
    pub(crate) const ACTION: &str = "action";
    pub(crate) const ADDRESS: &str = "address";
    pub(crate) const ATTACHMENTS: &str = "attachments";
    pub(crate) const ATTACHMENT_ID: &str = "attachment_id";
    pub(crate) const ATTACHMENT_TYPE: &str = "attachment_type";
    pub(crate) const ATTACHMENT_URL: &str = "attachment_url";
    pub(crate) const ATTRIBUTES: &str = "attributes";
    pub(crate) const BODY: &str = "body";
    pub(crate) const BUTTON: &str = "button";
    pub(crate) const CAPTION: &str = "caption";
    pub(crate) const CONTENT: &str = "content";
    pub(crate) const FILE: &str = "file";
    pub(crate) const FILENAME: &str = "filename";
    pub(crate) const FOOTER: &str = "footer";
    pub(crate) const HEADER: &str = "header";
    pub(crate) const ID: &str = "id";
    pub(crate) const INDEX: &str = "index";
    pub(crate) const IP: &str = "ip";
    pub(crate) const LANGUAGE: &str = "language";
    pub(crate) const LATITUDE: &str = "latitude";
    pub(crate) const LOCALE: &str = "locale";
    pub(crate) const LONGITUDE: &str = "longitude";
    pub(crate) const MEDIA_ID: &str = "media_id";
    pub(crate) const MESSAGE: &str = "message";
    pub(crate) const MESSAGE_TYPE: &str = "message_type";
    pub(crate) const NAME: &str = "name";
    pub(crate) const PAYLOAD: &str = "payload";
    pub(crate) const PHONE_NUMBER: &str = "phone_number";
    pub(crate) const PREVIEW_URL: &str = "preview_url";
    pub(crate) const RECIPIENT: &str = "recipient";
    pub(crate) const RECIPIENTS: &str = "recipients";
    pub(crate) const RECIPIENT_TYPE: &str = "recipient_type";
    pub(crate) const RECIPIENT_WHATSAPP: &str = "recipient_whatsapp";
    pub(crate) const SOURCE: &str = "source";
    pub(crate) const TEMPLATE_NAME: &str = "templatename";
    pub(crate) const TEXT: &str = "text";
    pub(crate) const TTL: &str = "ttl";
    pub(crate) const TYPE: &str = "type";
    pub(crate) const TYPE_INTERACTIVE: &str = "type_interactive";
    pub(crate) const TYPE_LOCATION: &str = "type_location";
    pub(crate) const TYPE_MEDIA: &str = "type_media";
    pub(crate) const TYPE_MEDIA_TEMPLATE: &str = "type_media_template";
    pub(crate) const TYPE_TEMPLATE: &str = "type_template";
    pub(crate) const TYPE_TEXT: &str = "type_text";
    pub(crate) const URL: &str = "url";
    pub(crate) const USER_AGENT: &str = "user_agent";
    pub(crate) const X_APIHEADER: &str = "x-apiheader";
}

/// The fixed hexadecimal digits of a file's id as callers see it, the version's among them, and
/// where in the text the sixteen decimal digits of our own stand.
const MEDIA_UUID: &str = "77702d6d656480008000000000000000";
const FIRST_DIGIT_AT: usize = 15;
const OTHER_DIGITS_AT: usize = 17;
const MEDIA_ID_DIGITS: usize = 16;

/// A file's id as the vendor's callers know ids: a UUID (version 8) that holds our digits.
pub(super) fn media_uuid(id: &MediaId) -> String {
    let digits = id.as_str();
    if digits.len() != MEDIA_ID_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.to_owned();
    }
    let (first, others) = digits.split_at(1);
    let fixed = &MEDIA_UUID[..FIRST_DIGIT_AT];
    let variant = &MEDIA_UUID[FIRST_DIGIT_AT + 1..OTHER_DIGITS_AT];
    let hex = format!("{fixed}{first}{variant}{others}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

/// Our id of the file that a caller names: by its UUID, or by the digits that other dialects give
/// out. Anything else names no file, and stays as it is.
pub(super) fn media_id(text: &str) -> MediaId {
    let text = text.trim();
    MediaId::new(digits_of_uuid(text).unwrap_or_else(|| text.to_owned()))
}

fn digits_of_uuid(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let first = lower.chars().filter(|char| *char != '-').nth(FIRST_DIGIT_AT)?;
    let others = lower.chars().filter(|char| *char != '-').skip(OTHER_DIGITS_AT);
    let digits: String = std::iter::once(first).chain(others).collect();
    // Whatever else differs, the text is not what these digits give.
    (media_uuid(&MediaId::new(digits.as_str())) == lower && digits != lower).then_some(digits)
}

/// Everything that went well.
#[derive(Serialize)]
pub(super) struct Success<'a, D: Serialize> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
}

impl<'a, D: Serialize> Success<'a, D> {
    pub(super) const fn new(message: Option<&'a str>, data: Option<D>) -> Self {
        Self { status: "success", message, data }
    }
}

/// The ids of messages that were accepted.
#[derive(Serialize)]
pub(super) struct Accepted {
    /// The first one's.
    pub(super) id: String,
    /// All, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ids: Vec<String>,
}

/// The id of a file that is kept now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uploaded {
    pub(super) media_id: String,
}

/// What is recorded of a person.
#[derive(Serialize)]
pub(super) struct Optin<'a> {
    pub(super) ip: &'a str,
    pub(super) phone_number: &'a str,
    pub(super) optin_source: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) created_date: String,
}

/// A template's approval in one language.
#[derive(Serialize)]
pub(super) struct TemplateStatus<'a> {
    pub(super) templatename: &'a str,
    pub(super) language: &'a str,
    pub(super) status: &'a str,
    pub(super) category: &'a str,
}

/// A template's parts in one language.
#[derive(Serialize)]
pub(super) struct TemplatePreview<'a> {
    pub(super) templatename: &'a str,
    pub(super) language: &'a str,
    pub(super) components: &'a [Value],
}

/// Everything that failed.
#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    status: &'static str,
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    message: &'a str,
}

impl<'a> ErrorBody<'a> {
    pub(super) const fn new(code: Option<&'a str>, message: &'a str) -> Self {
        Self { status: "failure", error: Error { code, message } }
    }
}

/// A webhook.
#[derive(Default, Serialize)]
pub(super) struct Posted<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) delivery_status: Vec<DeliveryStatus<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) incoming_message: Vec<IncomingMessage<'a>>,
}

/// A message of ours went on.
#[derive(Serialize)]
pub(super) struct DeliveryStatus<'a> {
    pub(super) ncmessage_id: String,
    pub(super) recipient: &'a str,
    pub(super) status: &'static str,
    pub(super) status_remark: String,
    pub(super) received_at: String,
    pub(super) source: &'a str,
    #[serde(rename = "x-apiheader", skip_serializing_if = "Option::is_none")]
    pub(super) x_apiheader: Option<&'a str>,
}

/// A person wrote.
#[derive(Serialize)]
pub(super) struct IncomingMessage<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) from_name: &'a str,
    pub(super) message_id: &'a str,
    pub(super) received_at: String,
    pub(super) context: Context<'a>,
    pub(super) message_type: &'static str,
    /// The member that carries what was written.
    #[serde(flatten)]
    pub(super) payload: serde_json::Map<String, Value>,
}

/// What an inbound message answers.
#[derive(Default, Serialize)]
pub(super) struct Context<'a> {
    pub(super) ncmessage_id: String,
    pub(super) message_id: &'a str,
    #[serde(rename = "x-apiheader", skip_serializing_if = "Option::is_none")]
    pub(super) x_apiheader: Option<&'a str>,
}
