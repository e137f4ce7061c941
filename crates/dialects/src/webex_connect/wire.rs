//! Webex Connect's words, replies and receipts. Fields stand in the order of the vendor's samples.

use std::borrow::Cow;

use serde::Serialize;
use waypost_domain::MessageId;

/// The dialect's name in records, and its shape's.
pub(super) const DIALECT: &str = "webex_connect";

/// `POST`: messages of the channel WhatsApp.
pub(super) const MESSAGING_PATH: &str = "/resources/v1/messaging";

/// Members of requests.
pub(super) mod member {
    pub(crate) const ACTION: &str = "action";
    pub(crate) const ADDRESS: &str = "address";
    pub(crate) const AMOUNT_1000: &str = "amount_1000";
    pub(crate) const APPID: &str = "appid";
    pub(crate) const BODY: &str = "body";
    pub(crate) const BSUID: &str = "bsuid";
    pub(crate) const BUTTON: &str = "button";
    pub(crate) const BUTTONS: &str = "buttons";
    pub(crate) const BUTTON_TEXT: &str = "button_text";
    pub(crate) const CALLBACK_DATA: &str = "callbackData";
    pub(crate) const CAPTION: &str = "caption";
    pub(crate) const CHANNELS: &str = "channels";
    pub(crate) const CODE: &str = "code";
    pub(crate) const CONTACTS: &str = "contacts";
    pub(crate) const CORRELATION_ID: &str = "correlationid";
    pub(crate) const CURRENCY_CODE: &str = "currency_code";
    pub(crate) const DEFAULT: &str = "default";
    pub(crate) const DELIVERY_CHANNEL: &str = "deliverychannel";
    pub(crate) const DESCRIPTION: &str = "description";
    pub(crate) const DESTINATION: &str = "destination";
    pub(crate) const ELEMENT_NAME: &str = "element_name";
    pub(crate) const EXPIRY: &str = "expiry";
    pub(crate) const FALLBACK_VALUE: &str = "fallback_value";
    pub(crate) const FILENAME: &str = "filename";
    pub(crate) const FOOTER: &str = "footer";
    pub(crate) const FORMATTED_NAME: &str = "formatted_name";
    pub(crate) const HEADER: &str = "header";
    pub(crate) const HSM: &str = "hsm";
    pub(crate) const ID: &str = "id";
    pub(crate) const IDENTITY_KEY_HASH: &str = "identity_key_hash";
    pub(crate) const LANGUAGE: &str = "language";
    pub(crate) const LATITUDE: &str = "latitude";
    pub(crate) const LINK: &str = "link";
    pub(crate) const LIST: &str = "list";
    pub(crate) const LOCALIZABLE_PARAMS: &str = "localizable_params";
    pub(crate) const LOCATION: &str = "location";
    pub(crate) const LONGITUDE: &str = "longitude";
    pub(crate) const MESSAGE: &str = "message";
    pub(crate) const MIME_TYPE: &str = "mimeType";
    pub(crate) const MSISDN: &str = "msisdn";
    pub(crate) const NAME: &str = "name";
    pub(crate) const NOTIFY_AUTH_ID: &str = "notifyurlAuthId";
    pub(crate) const NOTIFY_URL: &str = "notifyurl";
    pub(crate) const OTP: &str = "otp";
    pub(crate) const OTT_MESSAGING: &str = "OTT-Messaging";
    pub(crate) const PARAMETERS: &str = "parameters";
    pub(crate) const PAYLOAD: &str = "payload";
    pub(crate) const PREVIEW_URL: &str = "preview_url";
    pub(crate) const PRIORITY: &str = "priority";
    pub(crate) const QUICK_REPLY: &str = "quickReply";
    pub(crate) const REPLY: &str = "reply";
    pub(crate) const ROWS: &str = "rows";
    pub(crate) const SECTIONS: &str = "sections";
    pub(crate) const TEMPLATE: &str = "template";
    pub(crate) const TEXT: &str = "text";
    pub(crate) const TITLE: &str = "title";
    pub(crate) const TYPE: &str = "type";
    pub(crate) const URL: &str = "url";
    pub(crate) const VALUE: &str = "value";
    pub(crate) const WA: &str = "wa";
    pub(crate) const WAID: &str = "waid";
}

/// Members of the echo: what a message's replies and receipts give back. Absent members are
/// empty, so that most messages carry little.
pub(super) mod echo {
    /// The recipient as the caller wrote it, where that is not the digits that are dialled.
    pub(crate) const TO: &str = "to";
    /// Whether the recipient stood in a `bsuid` list.
    pub(crate) const BSUID: &str = "bsuid";
    pub(crate) const CORRELATION_ID: &str = "correlationid";
    pub(crate) const CALLBACK_DATA: &str = "callbackData";
}

/// The answer to what was accepted.
#[derive(Serialize)]
pub(super) struct Accepted<'a> {
    pub(super) response: Vec<Entry<'a>>,
}

/// One recipient's element.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    pub(super) code: &'static str,
    pub(super) transid: &'a MessageId,
    pub(super) description: &'static str,
    /// Only where the caller gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlationid: Option<&'a str>,
}

/// The answer to what was refused: an object where success has an array.
#[derive(Serialize)]
pub(super) struct Refused<'a> {
    pub(super) response: Refusal<'a>,
}

/// Why it was refused.
#[derive(Serialize)]
pub(super) struct Refusal<'a> {
    pub(super) code: &'a str,
    pub(super) description: Cow<'a, str>,
    pub(super) transid: &'a str,
}

/// A receipt.
#[derive(Serialize)]
pub(super) struct Receipt<'a> {
    #[serde(rename = "deliveryInfoNotification")]
    pub(super) notification: Notification<'a>,
}

/// A receipt's content.
#[derive(Serialize)]
pub(super) struct Notification<'a> {
    /// Always empty.
    pub(super) subtid: &'static str,
    #[serde(rename = "deliveryInfo")]
    pub(super) info: DeliveryInfo<'a>,
    pub(super) correlationid: &'a str,
    #[serde(rename = "callbackData")]
    pub(super) callback_data: &'a str,
    pub(super) transid: &'a MessageId,
}

/// What became of a message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryInfo<'a> {
    pub(super) delivery_channel: &'static str,
    #[serde(rename = "Description")]
    pub(super) description: Cow<'a, str>,
    pub(super) destination_type: &'static str,
    pub(super) time_stamp: String,
    pub(super) code: Cow<'a, str>,
    pub(super) additional_info: Cow<'a, str>,
    pub(super) delivery_status: &'static str,
    pub(super) destination: &'a str,
    pub(super) identity_key_hash: &'a str,
}

/// A message from a person. Three members are JSON inside a string.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inbound<'a> {
    pub(super) user_id: &'a str,
    pub(super) username: &'a str,
    pub(super) channel: &'static str,
    pub(super) app_id: &'a str,
    pub(super) event: &'static str,
    pub(super) waid: &'a str,
    pub(super) tid: String,
    pub(super) message: &'a str,
    pub(super) attachments: String,
    pub(super) location: String,
    pub(super) contacts: String,
    pub(super) datetime: &'a str,
    pub(super) ts: &'a str,
    pub(super) system: &'static str,
    pub(super) identity_key_hash: &'a str,
    #[serde(flatten)]
    pub(super) answer: Option<Answer<'a>>,
}

/// What an inbound message answers.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer<'a> {
    /// A row of a list, or a reply button.
    #[serde(rename_all = "camelCase")]
    Choice {
        reply_type: &'a str,
        reply_id: &'a str,
        reply_title: &'a str,
        reply_description: &'a str,
    },
    /// A template's quick-reply button.
    #[serde(rename_all = "camelCase")]
    Postback { payload: &'a str, button_text: &'a str },
    /// A message that was reacted to.
    #[serde(rename_all = "camelCase")]
    Reaction { reaction_to: String },
}

/// An inbound file.
#[derive(Serialize)]
pub(super) struct Attachment<'a> {
    pub(super) mime_type: &'a str,
    pub(super) caption: &'a str,
    pub(super) url: &'a str,
    /// Documents only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<&'a str>,
}

/// An inbound place.
#[derive(Serialize)]
pub(super) struct Place<'a> {
    pub(super) latitude: &'a serde_json::Value,
    pub(super) longitude: &'a serde_json::Value,
    pub(super) name: &'a str,
    pub(super) address: &'a str,
}
