//! One request for each thing that this vendor offers.

use super::wire::MESSAGING_PATH;
use crate::samples::{Feature, Sample};

/// A request to one person with the members that carry its content.
macro_rules! request {
    ($content:expr) => {
        concat!(
            r#"{"deliverychannel":"whatsapp","appid":"a_100000000000000001","#,
            r#""destination":[{"waid":["15550001111"],"correlationid":"row-1"}],"#,
            $content,
            r#","callbackData":"row 1","notifyurl":"https://app.example.com/dlr"}"#
        )
    };
}

/// The same with an object `wa`.
macro_rules! wa {
    ($wa:literal) => {
        request!(concat!(r#""channels":{"OTT-Messaging":{"wa":"#, $wa, "}}"))
    };
}

const fn sample(feature: Feature, json: &'static str) -> Sample {
    Sample::post(feature, MESSAGING_PATH, json)
}

/// The samples.
pub(super) static SAMPLES: [Sample; 12] = [
    sample(
        Feature::Text,
        wa!(r#"{"type":"text","preview_url":false,"text":{"body":"Your order is on its way."}}"#),
    ),
    sample(
        Feature::Image,
        wa!(
            r#"{"type":"image","image":{"url":"https://files.example.com/a.jpg","caption":"Here","mimeType":"image/jpeg"}}"#
        ),
    ),
    sample(
        Feature::Video,
        wa!(
            r#"{"type":"video","video":{"url":"https://files.example.com/v.mp4","mimeType":"<VIDEO/MP4>"}}"#
        ),
    ),
    sample(
        Feature::Audio,
        wa!(
            r#"{"type":"audio","audio":{"url":"https://files.example.com/a.aac","mimeType":"audio/aac"}}"#
        ),
    ),
    sample(
        Feature::Document,
        wa!(
            r#"{"type":"document","document":{"url":"https://files.example.com/a.pdf","filename":"Offer","mimeType":"application/pdf"}}"#
        ),
    ),
    sample(
        Feature::Sticker,
        wa!(
            r#"{"type":"sticker","sticker":{"url":"https://files.example.com/s.webp","mimeType":"image/WEBP"}}"#
        ),
    ),
    sample(
        Feature::Location,
        wa!(
            r#"{"type":"location","location":{"longitude":36.8,"latitude":-1.29,"name":"Office","address":"1 Main Road"}}"#
        ),
    ),
    sample(
        Feature::Contacts,
        wa!(
            r#"{"type":"contacts","contacts":[{"name":{"formatted_name":"A B","first_name":"A"},"phones":[{"phone":"15550002222","type":"CELL","wa_id":"15550002222"}]}]}"#
        ),
    ),
    sample(
        Feature::ReplyButtons,
        wa!(
            r#"{"type":"reply","reply":{"body":{"text":"Continue?"},"action":{"buttons":[{"type":"reply","reply":{"id":"y","title":"Yes"}}]}}}"#
        ),
    ),
    sample(
        Feature::List,
        wa!(
            r#"{"type":"list","list":{"body":{"text":"Pick one"},"action":{"button":"Options","sections":[{"title":"A","rows":[{"id":"r1","title":"Row 1"}]}]}}}"#
        ),
    ),
    sample(
        Feature::Template,
        request!(
            r#""message":{"template":"1000000000000001","parameters":{"image":{"link":"https://files.example.com/a.jpg"},"first_name":"Ann"}}"#
        ),
    ),
    sample(
        Feature::SeveralAtOnce,
        r#"{"deliverychannel":"whatsapp","appid":"a_100000000000000001","destination":[{"waid":["15550001111","15550002222"]},{"waid":["15550003333"],"correlationid":"row-2"}],"channels":{"OTT-Messaging":{"wa":{"type":"text","text":{"body":"Hello"}}}}}"#,
    ),
];
