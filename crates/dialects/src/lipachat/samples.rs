//! One request for each thing that this vendor offers.

use http::Method;

use super::wire::path;
use crate::samples::{Feature, Sample, SampleBody};

macro_rules! message {
    ($rest:literal) => {
        concat!(r#"{"messageId":"order-77","from":"15550009999","to":"15550001111","#, $rest, "}")
    };
}

/// The beginning of a PNG file.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// A form's definition.
const FLOW: &[u8] = br#"{"version":"7.0","screens":[]}"#;

/// The samples.
pub(super) static SAMPLES: [Sample; 24] = [
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
        method: Method::POST,
        path: path::TEMPLATE_SAMPLE,
        body: SampleBody::Form { fields: &[], file: ("a.png", "image/png", PNG) },
    },
    Sample::post(
        Feature::TemplateCreation,
        "/api/v1/template/15550009999",
        concat!(
            r#"{"name":"temp_lower_68","language":"en","category":"MARKETING","#,
            r#""component":{"body":{"text":"Hi {{1}}!","examples":["John"]}}}"#
        ),
    ),
    Sample {
        feature: Feature::TemplateCreation,
        method: Method::PUT,
        path: "/api/v1/template/15550009999/1000000000000500",
        body: SampleBody::Json(r#"{"component":{"body":{"text":"Hello!"}}}"#),
    },
    Sample::get(Feature::FlowManagement, path::FLOWS),
    Sample::get(Feature::FlowManagement, "/api/v1/whatsapp/manage/flow/+15550009999"),
    Sample {
        feature: Feature::FlowManagement,
        method: Method::POST,
        path: path::FLOWS,
        body: SampleBody::Form {
            fields: &[("phoneNumber", "15550009999"), ("name", "f"), ("categories", "OTHER")],
            file: ("f.json", "application/json", FLOW),
        },
    },
    Sample {
        feature: Feature::FlowManagement,
        method: Method::PUT,
        path: "/api/v1/whatsapp/manage/flow/4",
        body: SampleBody::Form {
            fields: &[("name", "f"), ("categories", "OTHER")],
            file: ("f.json", "application/json", FLOW),
        },
    },
    Sample::get(Feature::FlowManagement, "/api/v1/whatsapp/manage/flow/4/preview/url"),
    Sample {
        feature: Feature::FlowManagement,
        method: Method::POST,
        path: "/api/v1/whatsapp/manage/flow/4/publish",
        body: SampleBody::Empty,
    },
];
