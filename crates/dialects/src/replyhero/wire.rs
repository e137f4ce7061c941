//! ReplyHero's words and reply bodies. Fields of replies stand in alphabetical order, for that is
//! the order in which the vendor writes them.

use serde::Serialize;

/// `POST`: one message.
pub(super) const SEND_PATH: &str = "/whatsapp/messages/send";
/// `POST`: one template to everybody.
pub(super) const TEMPLATE_PATH: &str = "/whatsapp/template/send";
/// `POST`: a file.
pub(super) const UPLOAD_PATH: &str = "/whatsapp/uploads/media_upload";

/// Members of requests. Names that begin with a capital are aliases from the vendor's headings.
pub(super) mod member {
    pub(crate) const MESSAGE: &str = "message";
    pub(crate) const TYPE: &str = "type";
    pub(crate) const TEXT: &str = "text";
    pub(crate) const BODY: &str = "body";
    pub(crate) const MEDIA: &str = "media";
    pub(crate) const MEDIA_ALIAS: &str = "Media";
    pub(crate) const SESSION_ID: &str = "sessionId";
    pub(crate) const CUSTOMER_ID: &str = "customerId";
    pub(crate) const USER_ID: &str = "userId";
    pub(crate) const ORG_ID: &str = "orgId";
    pub(crate) const ID: &str = "id";
    pub(crate) const FILE: &str = "file";
    pub(crate) const LINK: &str = "link";
    pub(crate) const CAPTION: &str = "caption";
    pub(crate) const FILENAME: &str = "filename";
    pub(crate) const PROVIDER: &str = "provider";
    pub(crate) const NAME: &str = "name";
    pub(crate) const DISPLAY_TYPE: &str = "displayType";
    pub(crate) const EXTENSION: &str = "extension";
    pub(crate) const DATA: &str = "data";
    pub(crate) const TEMPLATE_NAME: &str = "templateName";
    pub(crate) const COMPONENTS: &str = "components";
    pub(crate) const PARAMETERS: &str = "parameters";
    pub(crate) const PARAMETERS_ALIAS: &str = "Parameters";
    pub(crate) const PARAMETER_NAME: &str = "parameter_name";
    pub(crate) const SUB_TYPE: &str = "sub_type";
    pub(crate) const INDEX: &str = "index";
    pub(crate) const PAYLOAD: &str = "payload";
    pub(crate) const COUPON_CODE: &str = "coupon_code";
}

/// The answer to a text or media message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent<'a> {
    pub(super) customer_id: Option<&'a str>,
    pub(super) id: String,
    pub(super) message_type: &'static str,
    pub(super) org_id: &'a str,
    pub(super) response: Response<'a>,
    pub(super) session_id: Option<&'a str>,
    pub(super) timestamp: String,
    pub(super) user_id: Option<&'a str>,
}

/// One customer's element in the answer to a broadcast.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Element<'a> {
    pub(super) customer_id: Option<&'a str>,
    /// Only where the send failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Error<'a>>,
    /// Always `null`.
    pub(super) file: Option<()>,
    pub(super) id: String,
    /// The template's name.
    pub(super) message: Option<&'a str>,
    pub(super) message_type: &'static str,
    pub(super) org_id: &'a str,
    /// `null` where the send failed.
    pub(super) response: Option<Response<'a>>,
    pub(super) session_id: Option<&'a str>,
    pub(super) timestamp: String,
    pub(super) user_id: Option<&'a str>,
}

/// The Cloud API's answer, reduced to what the vendor shows.
#[derive(Serialize)]
pub(super) struct Response<'a> {
    contacts: [Contact<'a>; 1],
    messages: [MessageRef<'a>; 1],
    messaging_product: &'static str,
}

#[derive(Serialize)]
struct Contact<'a> {
    input: &'a str,
    wa_id: &'a str,
}

#[derive(Serialize)]
struct MessageRef<'a> {
    id: &'a str,
}

impl<'a> Response<'a> {
    pub(super) const fn new(input: &'a str, wa_id: &'a str, wamid: &'a str) -> Self {
        Self {
            contacts: [Contact { input, wa_id }],
            messages: [MessageRef { id: wamid }],
            messaging_product: "whatsapp",
        }
    }
}

/// The answer to an upload.
#[derive(Serialize)]
pub(super) struct Uploaded<'a> {
    pub(super) id: &'a str,
}

/// The answer to everything that failed.
#[derive(Serialize)]
pub(super) struct ErrorBody<'a> {
    pub(super) error: Error<'a>,
}

/// What failed.
#[derive(Serialize)]
pub(super) struct Error<'a> {
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<&'a str>,
    pub(super) message: std::borrow::Cow<'a, str>,
}
