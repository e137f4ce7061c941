//! One request for each thing that this vendor offers.

use super::wire::path;
use crate::samples::{Feature, Sample, SampleBody};

macro_rules! message {
    ($rest:literal) => {
        concat!(r#"{"messageId":"order-77","from":"15550009999","to":"15550001111","#, $rest, "}")
    };
}

/// The beginning of a PNG file.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// The samples.
pub(super) static SAMPLES: [Sample; 17] = [
    Sample::post(Feature::Text, path::TEXT, message!(r#""message":"Hello world""#)),
    Sample::post(
        Feature::Image,
        path::MEDIA,
        message!(r#""mediaType":"IMAGE","mediaUrl":"https://files.example.com/a.jpg""#),
    ),
    Sample::post(
        Feature::Video,
        path::MEDIA,
        message!(r#""mediaType":"VIDEO","mediaUrl":"https://files.example.com/a.mp4""#),
    ),
    Sample::post(
        Feature::Audio,
        path::MEDIA,
        message!(r#""mediaType":"AUDIO","mediaUrl":"https://files.example.com/a.mp3""#),
    ),
    Sample::post(
        Feature::Document,
        path::MEDIA,
        message!(
            r#""mediaType":"DOCUMENT","mediaUrl":"https://files.example.com/a.pdf","filename":"a.pdf""#
        ),
    ),
    Sample::post(
        Feature::Sticker,
        path::MEDIA,
        message!(r#""mediaType":"STICKER","mediaUrl":"https://files.example.com/a.webp""#),
    ),
    Sample::post(
        Feature::Location,
        path::LOCATION,
        message!(r#""latitude":-1.2921,"longtitude":36.8219,"name":"Office""#),
    ),
    Sample::post(
        Feature::Contacts,
        path::CONTACT,
        message!(
            r#""name":{"formattedName":"Test User"},"phones":[{"phone":"15550002222","type":"Cell"}]"#
        ),
    ),
    Sample::post(
        Feature::ReplyButtons,
        path::BUTTONS,
        message!(
            r#""text":"Continue?","buttons":[{"id":"1","title":"YES"},{"id":"2","title":"NO"}]"#
        ),
    ),
    Sample::post(
        Feature::List,
        path::LIST,
        message!(
            r#""body":"Pick one","buttonText":"Open","buttons":[{"sectionTitle":"Airtime","sectionItems":[{"id":"1","title":"Safari"}]}]"#
        ),
    ),
    Sample::post(
        Feature::LocationRequest,
        path::REQUEST_LOCATION,
        message!(r#""text":"Where are you?""#),
    ),
    Sample::post(
        Feature::Flow,
        path::FLOW_MESSAGE,
        message!(r#""text":"Tell us more","flowId":"4","flowCta":"Share details""#),
    ),
    Sample::post(
        Feature::Template,
        path::TEMPLATE,
        message!(
            r#""template":{"name":"offer_830","languageCode":"en","components":{"header":{"type":"IMAGE","mediaUrl":"https://files.example.com/a.jpg"},"body":{"placeholders":["John","2000"]}}}"#
        ),
    ),
    Sample::get(Feature::MessageLog, "/api/v1/whatsapp/message?page=0&size=10"),
    Sample::get(Feature::TemplateList, "/api/v1/template/15550009999"),
    Sample {
        feature: Feature::TemplateCreation,
        method: http::Method::POST,
        path: path::TEMPLATE_SAMPLE,
        body: SampleBody::Form { fields: &[], file: ("a.png", "image/png", PNG) },
    },
    Sample::get(Feature::FlowManagement, path::FLOWS),
];
