//! One request for each thing that this vendor offers.

use super::wire;
use crate::samples::{Feature, Sample, SampleBody};

macro_rules! message {
    ($message:literal) => {
        concat!(
            r#"{"message":"#,
            $message,
            r#","sessionId":"chat-1","customerId":"cust-1001","userId":"user-1","orgId":"org-1"}"#
        )
    };
}

/// A PNG of one pixel.
const PIXEL: &[u8] = include_bytes!("fixtures/pixel.png");

/// The samples.
pub(super) static SAMPLES: [Sample; 8] = [
    Sample::post(
        Feature::Text,
        wire::SEND_PATH,
        message!(r#"{"type":"text","text":{"body":"Your order is on its way."}}"#),
    ),
    Sample::post(
        Feature::Image,
        wire::SEND_PATH,
        message!(
            r#"{"type":"image","image":{"link":"https://files.example.com/a.jpg","caption":"Here"}}"#
        ),
    ),
    Sample::post(
        Feature::Video,
        wire::SEND_PATH,
        message!(r#"{"type":"video","video":{"link":"https://files.example.com/a.mp4"}}"#),
    ),
    Sample::post(
        Feature::Document,
        wire::SEND_PATH,
        message!(
            r#"{"type":"document","document":{"link":"https://files.example.com/a.pdf","filename":"a.pdf"}}"#
        ),
    ),
    Sample::post(
        Feature::InlineFile,
        wire::SEND_PATH,
        message!(
            r#"{"type":"image","image":{"file":{"name":"a.png","type":"image/png","displayType":"IMAGE","extension":"png","data":"iVBORw0KGgo="}}}"#
        ),
    ),
    Sample::post(
        Feature::Broadcast,
        wire::TEMPLATE_PATH,
        r#"{"templateName":"plain_note","components":[],"sessionId":"chat-1","userId":"user-1","orgId":"org-1"}"#,
    ),
    Sample::post(
        Feature::Template,
        wire::TEMPLATE_PATH,
        r#"{"templateName":"plain_note","components":[],"sessionId":"chat-1","userId":"user-1","orgId":"org-1"}"#,
    ),
    Sample {
        feature: Feature::MediaUpload,
        method: http::Method::POST,
        path: wire::UPLOAD_PATH,
        body: SampleBody::Form {
            fields: &[("orgId", "org-1"), ("type", "image/png")],
            file: ("a.png", "image/png", PIXEL),
        },
    },
];
