//! Receipts: their shape, what they give back, and the whole table of codes.

use waypost_domain::callback::{CallbackShape, CallbackSite, Signature, Verdict};
use waypost_domain::command::MessageType;
use waypost_domain::content::TemplateMessage;
use waypost_domain::event::{Event, EventDetail, EventKind, StatusDetail, TemplateDetail};
use waypost_domain::message::{Direction, Message, MessageOptions};
use waypost_domain::{
    ErrorKind, EventId, MediaRef, MessageId, NumberId, Phone, Status, UpstreamFault, Zone,
};

use super::*;
use crate::webex_connect::WebexConnectEvents;

pub(super) const TRANSID: &str = "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bc0";

/// The record of a message by this dialect.
pub(super) fn message(content: Content) -> Message {
    Message {
        id: MessageId::parse(TRANSID).unwrap(),
        org_id: OrgId::new(ORG),
        number_id: NumberId::new("100000000000001"),
        customer_id: None,
        phone: Phone::parse("15550001111").unwrap(),
        direction: Direction::Outbound,
        message_type: MessageType::Human,
        dialect: "webex_connect".to_owned(),
        synchronous: false,
        user_id: None,
        session_id: None,
        reference: Some("row-1".to_owned()),
        broadcast_id: None,
        content,
        status: Status::Sent,
        wamid: Some("wamid.x".to_owned()),
        wa_id: None,
        failure: None,
        possible_duplicate: false,
        resend_at: None,
        options: MessageOptions {
            echo: Some(json!({"correlationid": "row-1", "callbackData": "any text"}).into()),
            ..MessageOptions::default()
        },
        created_at: now(),
        settled_at: None,
    }
}

fn plain() -> Content {
    Content::Text { body: "hi".to_owned(), preview_url: false }
}

fn by_template() -> Content {
    Content::Template(TemplateMessage::<MediaRef> {
        name: "greeting".to_owned(),
        language: Some("en".to_owned()),
        components: Vec::new(),
    })
}

fn detail(status: Status, failure: Option<Failure>) -> StatusDetail {
    StatusDetail { message: message(plain()), status, failure, upstream: None }
}

pub(super) fn event(kind: EventKind, detail: EventDetail, at: &str) -> Event {
    Event {
        id: EventId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bff").unwrap(),
        org_id: OrgId::new(ORG),
        number_id: Some(NumberId::new("100000000000001")),
        kind,
        at: Timestamp::parse_rfc3339(at).unwrap(),
        detail,
    }
}

fn status_event(detail: StatusDetail) -> Event {
    let kind = EventKind::of_status(detail.status).unwrap_or(EventKind::MessageSent);
    event(kind, EventDetail::Status(Box::new(detail)), NOW)
}

fn posted(detail: StatusDetail) -> Value {
    let event = status_event(detail);
    assert!(WebexConnectEvents.tells(&event));
    let zone = Zone::default();
    let body = WebexConnectEvents.encode(&[&event], &CallbackSite { number: None, zone: &zone });
    serde_json::from_slice(&body).unwrap()
}

fn info(detail: StatusDetail) -> Value {
    posted(detail)["deliveryInfoNotification"]["deliveryInfo"].clone()
}

#[track_caller]
fn assert_post(detail: StatusDetail, fixture: &str) {
    let zone = Zone::parse("+08:00").unwrap();
    let event = status_event(detail);
    let body = WebexConnectEvents.encode(&[&event], &CallbackSite { number: None, zone: &zone });
    assert_eq!(std::str::from_utf8(&body).unwrap(), fixture.trim_end());
}

fn fault(code: Option<i64>, details: &str) -> UpstreamFault {
    UpstreamFault { code, details: details.to_owned(), ..UpstreamFault::default() }
}

/// 1
#[test]
fn a_receipt_is_written_as_the_vendor_shows() {
    assert_post(detail(Status::Sent, None), include_str!("../fixtures/submitted.json"));
}

/// 58
#[test]
fn a_failure_has_the_upstreams_code_and_words() {
    let fault = fault(Some(131_049), "Held back to keep the ecosystem healthy.");
    let failure = Failure::new(ErrorKind::RejectedByUpstream, "No.").with_upstream(fault);
    let upstream = Some(json!({"recipient_identity_key_hash": "AAAAAAAAAAA="}));
    let failed = StatusDetail { upstream, ..detail(Status::Failed, Some(failure)) };
    assert_post(failed, include_str!("../fixtures/failed.json"));
}

#[test]
fn the_upstreams_code_is_said_once() {
    for (details, told) in [
        ("(#131026) Message undeliverable", "(#131026)  | Message undeliverable"),
        ("(#100) Message undeliverable", "(#131026)  | (#100) Message undeliverable"),
        ("Message undeliverable", "(#131026)  | Message undeliverable"),
    ] {
        let failure = Failure::new(ErrorKind::RecipientUnreachable, "No.")
            .with_upstream(fault(Some(131_026), details));
        assert_eq!(info(detail(Status::Failed, Some(failure)))["additionalInfo"], told);
    }
}

/// Meta tells the later statuses in whole seconds.
#[test]
fn no_status_lies_before_its_submission() {
    for (status, told) in [
        (Status::Sent, "2026-03-04T09:49:20.000Z"),
        (Status::Delivered, "2026-03-04T09:49:20.000Z"),
        (Status::Read, "2026-03-04T09:49:20.000Z"),
        (Status::Failed, "2026-03-04T09:49:20.429Z"),
    ] {
        assert_eq!(info(detail(status, None))["timeStamp"], told, "{status:?}");
    }
}

#[test]
fn each_status_has_its_code_and_word() {
    for (status, code, word) in [
        (Status::Sent, "7501", "Submitted"),
        (Status::Delivered, "7500", "Delivered"),
        (Status::Read, "7502", "Read"),
        (Status::Failed, "7200", "Unknown Status"),
    ] {
        let info = info(detail(status, None));
        let shown = if status == Status::Failed { "Failed" } else { word };
        assert_eq!(
            (&info["code"], &info["Description"], &info["deliveryStatus"]),
            (&json!(code), &json!(word), &json!(shown))
        );
        assert_eq!(info["additionalInfo"], "");
    }
    let cancelled = info(detail(Status::Cancelled, None));
    assert_eq!(
        (&cancelled["code"], &cancelled["deliveryStatus"], &cancelled["additionalInfo"]),
        (&json!("7200"), &json!("Failed"), &json!("Cancelled before it was sent"))
    );
    for status in [Status::Queued, Status::Sending, Status::Unknown, Status::Received] {
        assert!(!WebexConnectEvents.tells(&status_event(detail(status, None))), "{status:?}");
    }
    let template = EventDetail::Template(TemplateDetail {
        id: "1".to_owned(),
        name: "greeting".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        reason: None,
        waba_id: "1".to_owned(),
    });
    assert!(!WebexConnectEvents.tells(&event(EventKind::TemplateStatus, template, NOW)));
}

/// 36, 37
#[test]
fn a_receipt_gives_back_what_the_caller_wrote() {
    let echo = |echo: Option<Value>, phone: Phone| {
        let mut detail = detail(Status::Read, None);
        detail.message.options.echo = echo.map(Into::into);
        detail.message.phone = phone;
        let body = posted(detail)["deliveryInfoNotification"].clone();
        let member = |name: &str| body["deliveryInfo"][name].as_str().unwrap().to_owned();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (
            member("destination"),
            member("destinationType"),
            text("correlationid"),
            text("callbackData"),
        )
    };
    let all = |parts: [&str; 4]| {
        let [one, two, three, four] = parts.map(str::to_owned);
        (one, two, three, four)
    };
    let phone = || Phone::parse("15550001111").unwrap();
    let scoped = || Phone::business_scoped("US.1349").unwrap();
    assert_eq!(echo(None, phone()), all(["15550001111", "waid", "", ""]));
    assert_eq!(
        echo(Some(json!({"to": "+1 555 0001111", "callbackData": "\"a\""})), phone()),
        all(["+1 555 0001111", "waid", "", "\"a\""])
    );
    assert_eq!(
        echo(Some(json!({"bsuid": true, "correlationid": "x"})), scoped()),
        all(["US.1349", "bsuid", "x", ""])
    );
    assert_eq!(echo(None, scoped()), all(["US.1349", "waid", "", ""]));
    assert_eq!(echo(Some(json!({"to": "abc"})), Phone::nobody()), all(["abc", "waid", "", ""]));
}

#[test]
fn a_request_and_its_receipt_agree() {
    let waid = json!([{"waid": ["+1 (555) 000-1111"], "correlationid": "r"}]);
    let send = sound(&with(text(), "/destination", waid));
    let mut detail = detail(Status::Sent, None);
    detail.message.options = send.options;
    let body = &posted(detail)["deliveryInfoNotification"];
    assert_eq!(body["deliveryInfo"]["destination"], "+1 (555) 000-1111");
    assert_eq!((&body["correlationid"], &body["callbackData"]), (&json!("r"), &json!("any text")));
}

#[test]
fn messages_of_other_dialects_are_told_by_their_record() {
    let mut detail = detail(Status::Sent, None);
    detail.message.dialect = "pepipost".to_owned();
    detail.message.options.echo =
        Some(json!({"to": "x", "bsuid": true, "callbackData": "x"}).into());
    detail.message.reference = Some("order-77".to_owned());
    let body = &posted(detail.clone())["deliveryInfoNotification"];
    assert_eq!(body["deliveryInfo"]["destination"], "15550001111");
    assert_eq!(body["deliveryInfo"]["destinationType"], "waid");
    assert_eq!((&body["correlationid"], &body["callbackData"]), (&json!("order-77"), &json!("")));
    detail.message.phone = Phone::business_scoped("US.1349").unwrap();
    detail.message.reference = None;
    let body = &posted(detail)["deliveryInfoNotification"];
    assert_eq!(body["deliveryInfo"]["destinationType"], "bsuid");
    assert_eq!(body["correlationid"], "");
}

/// 27, 33, 35, 45, 46, 48
#[test]
fn what_this_dialect_found_is_told_in_its_words() {
    let failed = |body: &Value| info(detail(Status::Failed, one(body).doomed));
    let long = failed(&with(text(), &format!("{WA}/text/body"), json!("x".repeat(4_097))));
    assert_eq!(
        (&long["code"], &long["Description"], &long["deliveryStatus"], &long["additionalInfo"]),
        (&json!("7714"), &json!("Message too long"), &json!("Failed"), &json!(""))
    );
    let nobody = failed(&with(text(), "/destination/0/waid/0", json!("abc")));
    assert_eq!(
        (&nobody["code"], &nobody["Description"], &nobody["additionalInfo"]),
        (&json!("7737"), &json!("Inavlid whatsapp destination"), &json!("Invalid waid"))
    );
    let other = Failure::new(ErrorKind::Expired, "Late.").in_words_of("pepipost", "8014", "Late");
    assert_eq!(info(detail(Status::Failed, Some(other)))["code"], "7705");
    let mut recorded = detail(Status::Failed, None);
    recorded.message.failure = Some(Failure::new(ErrorKind::WindowClosed, "Closed."));
    assert_eq!(
        info(recorded)["code"],
        "7710",
        "the record's failure counts where the event has none"
    );
}

/// Meta's code, and the receipt's code and text.
const UPSTREAM: &[(i64, &str, &str)] = &[
    (0, "7832", "AuthException"),
    (1, "7833", "API Unknown"),
    (2, "7834", "API Service"),
    (3, "7835", "API Method"),
    (4, "7836", "API Too Many Calls"),
    (10, "7837", "API Permission Denied"),
    (100, "7838", "Parameter is invalid"),
    (104, "7839", "Access token expired"),
    (190, "7839", "Access token expired"),
    (200, "7840", "Permission not granted/removed"),
    (299, "7840", "Permission not granted/removed"),
    (131_005, "7840", "Permission not granted/removed"),
    (368, "7842", "Temporarily blocked for policy violations"),
    (80_007, "7706", "Rate limit hit"),
    (130_429, "7845", "Cloud API throughput reached"),
    (130_472, "7712", "User's number is part of an experiment"),
    (131_000, "7713", "Generic error"),
    (131_008, "7721", "Required parameter is missing"),
    (131_009, "7722", "Parameter value is not valid"),
    (131_051, "7722", "Parameter value is not valid"),
    (131_016, "7846", "Service Overloaded"),
    (131_021, "7733", "Bad User"),
    (131_026, "7871", "Message Undeliverable"),
    (131_031, "7860", "Account locked"),
    (131_037, "7865", "Phone number Not Registered"),
    (133_006, "7865", "Phone number Not Registered"),
    (133_010, "7865", "Phone number Not Registered"),
    (131_042, "7703", "Business eligibility - Payment issue"),
    (131_045, "7707", "Unsigned certificate"),
    (131_047, "7710", "Re-engagement message"),
    (131_048, "7711", "Spam Rate limit hit"),
    (131_052, "7701", "Media download error"),
    (131_053, "7727", "Internal error"),
    (131_056, "7874", "pair rate limit hit"),
    (131_057, "7870", "Account in maintenance mode"),
    (131_062, "7726", "User is not valid"),
    (132_000, "7804", "Template Param Count Mismatch"),
    (132_001, "7849", "Template does not exist"),
    (132_005, "7809", "Template Hydrated Text Too Long"),
    (132_007, "7811", "Template Format Character Policy Violated"),
    (132_008, "7816", "Template Parameter Format Mismatch"),
    (132_012, "7816", "Template Parameter Format Mismatch"),
    (132_018, "7816", "Template Parameter Format Mismatch"),
    (132_015, "7869", "Template Paused"),
    (132_016, "7868", "Template Disabled"),
    (133_004, "7854", "Server Temporarily Unavailable"),
    (133_005, "7803", "Sender account locked"),
    (133_008, "7803", "Sender account locked"),
    (133_009, "7803", "Sender account locked"),
    (135_000, "7863", "Generic user error"),
    (137_000, "7862", "Hash mismatch"),
    (131_049, "7200", "Unknown Status"),
    (131_050, "7200", "Unknown Status"),
    (130_403, "7200", "Unknown Status"),
    (131_063, "7200", "Unknown Status"),
    (131_064, "7200", "Unknown Status"),
    (130_497, "7200", "Unknown Status"),
    (131_030, "7200", "Unknown Status"),
    (300, "7200", "Unknown Status"),
    (-1, "7200", "Unknown Status"),
    (999_999, "7200", "Unknown Status"),
];

/// 28, 49, 57, 58
#[test]
fn every_code_of_the_upstream_has_its_receipt() {
    for (upstream, code, text) in UPSTREAM {
        let failure = Failure::new(ErrorKind::RejectedByUpstream, "No.")
            .with_upstream(fault(Some(*upstream), " details "));
        let info = info(detail(Status::Failed, Some(failure)));
        assert_eq!(
            (&info["code"], &info["Description"]),
            (&json!(code), &json!(text)),
            "{upstream}"
        );
        assert_eq!(info["additionalInfo"], format!("(#{upstream})  | details"));
        assert_eq!(info["deliveryStatus"], "Failed");
    }
}

#[test]
fn two_codes_depend_on_what_was_sent() {
    let code = |upstream: i64, details: &str, content: Content| {
        let failure = Failure::new(ErrorKind::MediaRejected, "No.")
            .with_upstream(fault(Some(upstream), details));
        let mut detail = detail(Status::Failed, Some(failure));
        detail.message.content = content;
        info(detail)["code"].clone()
    };
    assert_eq!(code(131_053, "x", by_template()), "7814");
    assert_eq!(code(131_053, "x", plain()), "7727");
    assert_eq!(code(132_018, "Button Url is not valid", by_template()), "7813");
    assert_eq!(code(132_018, "Parameter is not valid", by_template()), "7816");
}

/// The kinds that Waypost finds itself.
const OWN: &[(ErrorKind, &str, &str)] = &[
    (ErrorKind::WindowClosed, "7710", "Re-engagement message"),
    (ErrorKind::RecipientBlocked, "7200", "Unknown Status"),
    (ErrorKind::Expired, "7705", "Message expired (TTL)"),
    (ErrorKind::OutcomeUnknown, "7010", "Service provider exception"),
    (ErrorKind::UpstreamError, "7010", "Service provider exception"),
    (ErrorKind::Unavailable, "7011", "Unknown Exception"),
    (ErrorKind::UpstreamUnavailable, "7854", "Server Temporarily Unavailable"),
    (ErrorKind::UpstreamAuth, "7832", "AuthException"),
    (ErrorKind::RateLimited, "7706", "Rate limit hit"),
    (ErrorKind::RejectedByUpstream, "7200", "Unknown Status"),
    (ErrorKind::RecipientUnreachable, "7871", "Message Undeliverable"),
    (ErrorKind::IdentityMismatch, "7862", "Hash mismatch"),
    (ErrorKind::MediaRejected, "7701", "Media download error"),
    (ErrorKind::MediaNotFound, "7701", "Media download error"),
    (ErrorKind::MediaTooLarge, "7727", "Internal error"),
    (ErrorKind::UnsupportedMediaType, "7861", "Unsupported mime type"),
    (ErrorKind::TemplateParameterMismatch, "7804", "Template Param Count Mismatch"),
    (ErrorKind::TemplateNotFound, "7849", "Template does not exist"),
    (ErrorKind::TemplateLanguageNotFound, "7849", "Template does not exist"),
    (ErrorKind::TemplateNotApproved, "7868", "Template Disabled"),
    (ErrorKind::ValueTooLong, "7714", "Message too long"),
    (ErrorKind::InvalidValue, "7722", "Parameter value is not valid"),
    (ErrorKind::MissingField, "7721", "Required parameter is missing"),
    (ErrorKind::NumberNotFound, "7865", "Phone number Not Registered"),
];

/// 31, 43
#[test]
fn what_waypost_found_has_its_receipt_and_no_detail() {
    for (kind, code, text) in OWN {
        for upstream in [None, Some(fault(None, "connection refused"))] {
            let mut failure = Failure::new(*kind, "Why.");
            failure.upstream = upstream;
            let info = info(detail(Status::Failed, Some(failure)));
            assert_eq!(
                (&info["code"], &info["Description"]),
                (&json!(code), &json!(text)),
                "{kind:?}"
            );
            assert_eq!(
                (&info["additionalInfo"], &info["deliveryStatus"]),
                (&json!(""), &json!("Failed"))
            );
        }
    }
}

/// 42, 59
#[test]
fn posts_follow_the_vendors_schedule() {
    let info = WebexConnectEvents.info();
    assert_eq!(
        (info.id, info.schedule_s, info.is_jittered),
        ("webex_connect", &[60, 60, 60][..], false)
    );
    assert_eq!((info.timeout_s, info.signature), (10, Signature::BareHexSha256));
    assert_eq!((info.batch, info.zone_offset_minutes), (None, 0));
    let dead = [
        202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308, 400,
        402, 404, 405, 406, 407, 408, 409, 410, 411, 414, 415, 416, 418, 505,
    ];
    for status in 100..600 {
        let wanted = match status {
            200 => Verdict::Delivered,
            _ if dead.contains(&status) => Verdict::Dead,
            _ => Verdict::Retry,
        };
        assert_eq!((info.verdict)(status), wanted, "{status}");
    }
}
