//! One request for each thing that this vendor offers.

use super::wire;
use crate::samples::{Feature, Sample, SampleBody};

macro_rules! message {
    ($rest:literal) => {
        concat!(
            r#"{"message":[{"recipient_whatsapp":"15550001111","recipient_type":"individual","source":"src-1","#,
            $rest,
            "}]}"
        )
    };
}

/// The beginning of a PNG file.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// The samples.
pub(super) static SAMPLES: [Sample; 24] = [
    Sample::post(
        Feature::Text,
        wire::SEND_PATH,
        message!(r#""message_type":"text","type_text":[{"content":"Your order is on its way."}]"#),
    ),
    Sample::post(
        Feature::Image,
        wire::SEND_PATH,
        message!(
            r#""message_type":"media","type_media":[{"attachments":[{"attachment_url":"https://files.example.com/a.jpg","attachment_type":"image","caption":"Here"}]}]"#
        ),
    ),
    Sample::post(
        Feature::Video,
        wire::SEND_PATH,
        message!(
            r#""message_type":"media","type_media":[{"attachments":[{"attachment_url":"https://files.example.com/a.mp4","attachment_type":"video"}]}]"#
        ),
    ),
    Sample::post(
        Feature::Audio,
        wire::SEND_PATH,
        message!(
            r#""message_type":"media","type_media":[{"attachments":[{"attachment_url":"https://files.example.com/a.mp3","attachment_type":"audio"}]}]"#
        ),
    ),
    Sample::post(
        Feature::Document,
        wire::SEND_PATH,
        message!(
            r#""message_type":"media","type_media":[{"attachments":[{"attachment_url":"https://files.example.com/a.pdf","attachment_type":"document","filename":"a.pdf"}]}]"#
        ),
    ),
    Sample::post(
        Feature::Sticker,
        wire::SEND_PATH,
        message!(
            r#""message_type":"media","type_media":[{"attachments":[{"attachment_url":"https://files.example.com/a.webp","attachment_type":"sticker"}]}]"#
        ),
    ),
    Sample::post(
        Feature::UploadedFile,
        wire::SEND_PATH,
        message!(
            r#""message_type":"media","type_media":[{"attachments":[{"attachment_id":"77702d6d-6564-8001-8000-000000000042"}]}]"#
        ),
    ),
    Sample::post(
        Feature::Location,
        wire::SEND_PATH,
        message!(
            r#""message_type":"location","type_location":[{"longitude":-122.4,"latitude":37.7,"name":"Office","address":"Main Street 1"}]"#
        ),
    ),
    Sample::post(
        Feature::ReplyButtons,
        wire::SEND_PATH,
        message!(
            r#""message_type":"interactive","type_interactive":[{"type":"button","body":"Is that right?","action":[{"buttons":[{"type":"reply","reply":{"id":"1","title":"Yes"}}]}]}]"#
        ),
    ),
    Sample::post(
        Feature::List,
        wire::SEND_PATH,
        message!(
            r#""message_type":"interactive","type_interactive":[{"type":"list","body":"Which one?","action":[{"button":"Menu","sections":[{"title":"A","rows":[{"id":"r1","title":"Row","description":""}]}]}]}]"#
        ),
    ),
    Sample::post(
        Feature::LocationRequest,
        wire::SEND_PATH,
        message!(
            r#""message_type":"interactive","type_interactive":[{"type":"location_request_message","body":"Where are you?","action":[{"name":"send_location"}]}]"#
        ),
    ),
    Sample::post(
        Feature::Flow,
        wire::SEND_PATH,
        message!(
            r#""message_type":"interactive","type_interactive":[{"type":"flow","body":"Book a table","action":[{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1000000000000500","flow_cta":"Book"}}]}]"#
        ),
    ),
    Sample::post(
        Feature::Template,
        wire::SEND_PATH,
        message!(
            r#""message_type":"template","type_template":[{"name":"plain_note","attributes":[],"language":{"locale":"en","policy":"deterministic"}}]"#
        ),
    ),
    Sample::post(
        Feature::SeveralAtOnce,
        wire::SEND_PATH,
        r#"{"message":[{"recipient_whatsapp":"15550001111","message_type":"text","type_text":[{"content":"One"}]},{"recipient_whatsapp":"15550002222","message_type":"text","type_text":[{"content":"Two"}]}]}"#,
    ),
    Sample {
        feature: Feature::MediaUpload,
        method: http::Method::POST,
        path: wire::UPLOAD_PATH,
        body: SampleBody::Form { fields: &[], file: ("a.png", "image/png", PICTURE) },
    },
    Sample::get(Feature::MediaDownload, "/api/v2/media/77702d6d-6564-8001-8000-000000000042"),
    Sample {
        feature: Feature::MediaRemoval,
        method: http::Method::DELETE,
        path: "/api/v2/media/77702d6d-6564-8001-8000-000000000042",
        body: SampleBody::Empty,
    },
    Sample::post(
        Feature::Consent,
        wire::RECORD_CONSENT_PATH,
        r#"{"type":"optin","recipients":[{"recipient":"15550001111","source":"WEB","user_agent":"Mozilla/5.0","ip":"192.0.2.10"}]}"#,
    ),
    Sample::get(Feature::TemplateList, "/api/v2/metainfo/template/status?templatename=plain_note"),
    Sample::post(
        Feature::Text,
        wire::NC_PATH,
        message!(r#""message_type":"text","type_text":[{"content":"Your order is on its way."}]"#),
    ),
    Sample::post(
        Feature::Text,
        wire::NC_PRIORITY_PATH,
        message!(r#""message_type":"text","type_text":[{"content":"Your code is 123456."}]"#),
    ),
    Sample::post(
        Feature::Text,
        wire::NC_MESSAGE_PATH,
        message!(r#""message_type":"text","type_text":[{"content":"Your order is on its way."}]"#),
    ),
    Sample::post(Feature::Consent, wire::FIND_CONSENT_PATH, r#"{"phone_number":"15550001111"}"#),
    Sample::get(Feature::TemplateList, "/api/v2/metainfo/template/preview?templatename=plain_note"),
];
