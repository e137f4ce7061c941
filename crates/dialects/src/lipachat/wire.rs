//! LipaChat's words and reply bodies, in the vendor's order of keys.

use serde::Serialize;
use serde_json::Value;
use waypost_domain::{Timestamp, Zone};

/// The vendor's paths.
pub(super) mod path {
    pub(crate) const TEXT: &str = "/api/v1/whatsapp/message/text";
    pub(crate) const MEDIA: &str = "/api/v1/whatsapp/media";
    pub(crate) const BUTTONS: &str = "/api/v1/whatsapp/interactive/buttons";
    pub(crate) const LIST: &str = "/api/v1/whatsapp/interactive/list";
    pub(crate) const CONTACT: &str = "/api/v1/whatsapp/contact";
    pub(crate) const LOCATION: &str = "/api/v1/whatsapp/location";
    pub(crate) const REQUEST_LOCATION: &str = "/api/v1/whatsapp/request_location";
    pub(crate) const TEMPLATE: &str = "/api/v1/whatsapp/template";
    pub(crate) const FLOW_MESSAGE: &str = "/api/v1/whatsapp/interactive/flows";
    pub(crate) const MESSAGES: &str = "/api/v1/whatsapp/message";
    pub(crate) const TEMPLATES: &str = "/api/v1/template/{phone_number}";
    pub(crate) const ONE_TEMPLATE: &str = "/api/v1/template/{phone_number}/{template_id}";
    pub(crate) const TEMPLATE_SAMPLE: &str = "/api/v1/template/upload/file";
    pub(crate) const FLOWS: &str = "/api/v1/whatsapp/manage/flow";
    pub(crate) const ONE_FLOW: &str = "/api/v1/whatsapp/manage/flow/{id}";
    pub(crate) const FLOW_PREVIEW: &str = "/api/v1/whatsapp/manage/flow/{id}/preview/url";
    pub(crate) const FLOW_PUBLISH: &str = "/api/v1/whatsapp/manage/flow/{id}/publish";

    /// Names of the variables above.
    pub(crate) const PHONE_NUMBER: &str = "phone_number";
    pub(crate) const TEMPLATE_ID: &str = "template_id";
    pub(crate) const ID: &str = "id";
    /// Below it, templates are managed.
    pub(crate) const TEMPLATE_PREFIX: &str = "/api/v1/template/";
}

/// Members of requests, and the form's parts.
pub(super) mod member {
    pub(crate) const MESSAGE_ID: &str = "messageId";
    pub(crate) const FROM: &str = "from";
    pub(crate) const TO: &str = "to";
    pub(crate) const MESSAGE: &str = "message";
    pub(crate) const MEDIA_TYPE: &str = "mediaType";
    pub(crate) const MEDIA_URL: &str = "mediaUrl";
    pub(crate) const MEDIA_ID: &str = "mediaId";
    pub(crate) const CAPTION: &str = "caption";
    pub(crate) const FILENAME: &str = "filename";
    pub(crate) const TEXT: &str = "text";
    pub(crate) const BUTTONS: &str = "buttons";
    pub(crate) const ID: &str = "id";
    pub(crate) const TITLE: &str = "title";
    pub(crate) const DESCRIPTION: &str = "description";
    pub(crate) const HEADER_TEXT: &str = "headerText";
    pub(crate) const BODY: &str = "body";
    pub(crate) const BUTTON_TEXT: &str = "buttonText";
    pub(crate) const SECTION_TITLE: &str = "sectionTitle";
    pub(crate) const SECTION_ITEMS: &str = "sectionItems";
    pub(crate) const NAME: &str = "name";
    pub(crate) const FORMATTED_NAME: &str = "formattedName";
    pub(crate) const PHONES: &str = "phones";
    pub(crate) const PHONE: &str = "phone";
    pub(crate) const TYPE: &str = "type";
    pub(crate) const WA_ID: &str = "waId";
    pub(crate) const LATITUDE: &str = "latitude";
    pub(crate) const LONGITUDE: &str = "longitude";
    /// As the vendor's table spells it.
    pub(crate) const LONGTITUDE: &str = "longtitude";
    pub(crate) const ADDRESS: &str = "address";
    pub(crate) const TEMPLATE: &str = "template";
    pub(crate) const LANGUAGE_CODE: &str = "languageCode";
    pub(crate) const LANGUAGE: &str = "language";
    pub(crate) const COMPONENTS: &str = "components";
    pub(crate) const COMPONENT: &str = "component";
    pub(crate) const HEADER: &str = "header";
    pub(crate) const FOOTER: &str = "footer";
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const PARAMETER: &str = "parameter";
    pub(crate) const PARAMETERS: &str = "parameters";
    pub(crate) const PLACEHOLDER: &str = "placeholder";
    pub(crate) const PLACEHOLDERS: &str = "placeholders";
    pub(crate) const INDEX: &str = "index";
    pub(crate) const PAYLOAD: &str = "payload";
    pub(crate) const CODE: &str = "code";
    pub(crate) const FLOW_ID: &str = "flowId";
    pub(crate) const FLOW_CTA: &str = "flowCta";
    pub(crate) const SCREEN: &str = "screen";
    pub(crate) const DATA: &str = "data";
    pub(crate) const CATEGORY: &str = "category";
    pub(crate) const CATEGORIES: &str = "categories";
    pub(crate) const EXAMPLE: &str = "example";
    pub(crate) const EXAMPLES: &str = "examples";
    pub(crate) const ADD_SECURITY_RECOMMENDATION: &str = "addSecurityRecommendation";
    pub(crate) const CODE_EXPIRATION_MINUTES: &str = "codeExpirationMinutes";
    pub(crate) const URL: &str = "url";
    pub(crate) const PHONE_NUMBER: &str = "phoneNumber";
    pub(crate) const PACKAGE_NAME: &str = "packageName";
    pub(crate) const SIGNATURE_HASH: &str = "signatureHash";
    pub(crate) const FILE: &str = "file";
    pub(crate) const PAGE: &str = "page";
    pub(crate) const SIZE: &str = "size";
}

/// What refusals in the envelope say, and the success of a send.
pub(super) mod text {
    pub(crate) const MEDIA_SENT: &str = "Media sent successfully";
    pub(crate) const MESSAGE_SENT: &str = "Message sent successfully";
    pub(crate) const INVALID_CREDENTIALS: &str = "Invalid credentials";
    pub(crate) const FOREIGN_SENDER: &str = "Sender number is not linked to this account";
    pub(crate) const WINDOW_CLOSED: &str =
        "The 24-hour session with this recipient is closed. Send a template message first.";
    pub(crate) const NO_TEMPLATE: &str = "Template not found";
    pub(crate) const NOT_APPROVED: &str = "Template is not approved";
    pub(crate) const MISMATCH: &str = "Template parameters do not match the template";
    pub(crate) const NO_FLOW: &str = "Flow not found";
    pub(crate) const UNDELIVERABLE: &str = "Message undeliverable";
    pub(crate) const BLOCKED: &str = "Recipient does not accept messages from this number";
    pub(crate) const BAD_MEDIA: &str = "Media could not be processed";
    pub(crate) const REQUEST_FAILED: &str = "Request failed.";
}

/// The five keys of the vendor's replies, and `totalPages` in the message list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<T> {
    pub(super) timestamp: Option<String>,
    pub(super) data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_pages: Option<u64>,
    pub(super) status: &'static str,
    pub(super) message: String,
    /// Always `null`.
    pub(super) errors: Option<()>,
}

/// A message that the upstream accepted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent<'a> {
    pub(super) message_id: String,
    pub(super) wa_id: &'a str,
    pub(super) status: &'static str,
    pub(super) status_desc: &'static str,
}

/// Done, where there is nothing more to say.
#[derive(Serialize)]
pub(super) struct Success {
    pub(super) success: bool,
    /// Always `null`.
    pub(super) error: Option<()>,
}

/// One entry of the message list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logged<'a> {
    pub(super) id: String,
    pub(super) wa_message_id: Option<&'a str>,
    pub(super) direction: &'static str,
    pub(super) contact: LoggedContact<'a>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    /// JSON inside a string.
    pub(super) metadata: Option<String>,
    pub(super) status: &'static str,
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoggedContact<'a> {
    pub(super) phone_number: &'a str,
}

/// The template list; its `data` lies inside the envelope's `data`.
#[derive(Serialize)]
pub(super) struct TemplateList<'a> {
    pub(super) data: Vec<Template<'a>>,
    /// Always empty: everything is in one reply.
    pub(super) paging: serde_json::Map<String, Value>,
}

/// A template as the Cloud API shows it.
#[derive(Serialize)]
pub(super) struct Template<'a> {
    pub(super) name: &'a str,
    pub(super) components: &'a [Value],
    pub(super) language: &'a str,
    pub(super) status: &'a str,
    pub(super) category: &'a str,
    pub(super) id: &'a str,
}

/// A template that was just made.
#[derive(Serialize)]
pub(super) struct CreatedTemplate<'a> {
    pub(super) id: &'a Value,
    pub(super) status: &'a Value,
    pub(super) category: &'a Value,
}

/// A form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flow<'a> {
    pub(super) id: i64,
    pub(super) wa_flow_id: &'a str,
    pub(super) name: &'a str,
    pub(super) status: &'a str,
    pub(super) categories: &'a [String],
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

/// Where a form can be looked at.
#[derive(Serialize)]
pub(super) struct FlowPreview<'a> {
    pub(super) preview: PreviewPlace<'a>,
    pub(super) id: &'a str,
}

#[derive(Serialize)]
pub(super) struct PreviewPlace<'a> {
    pub(super) preview_url: &'a str,
    pub(super) expires_at: &'a str,
}

/// Spring's form of a refusal.
#[derive(Serialize)]
pub(super) struct SpringError<'a> {
    pub(super) timestamp: String,
    pub(super) status: u16,
    pub(super) error: &'a str,
    pub(super) path: &'a str,
}

/// Java's local date-time: seconds always, a fraction where it is not zero, no zone.
pub(super) fn local_time(at: Timestamp, zone: &Zone) -> String {
    at.strftime(zone, "%Y-%m-%dT%H:%M:%S%.f")
}

/// UTC with milliseconds and a numeric offset.
pub(super) fn offset_time(at: Timestamp) -> String {
    at.rfc3339().replace('Z', "+00:00")
}
