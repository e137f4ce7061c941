//! Each kind of event in each of the two shapes.

use serde_json::{Value, json};
use waypost_domain::callback::{CallbackShape, CallbackSite, Verdict};
use waypost_domain::command::MessageType;
use waypost_domain::content::InboundContent;
use waypost_domain::directory::{Number, default_throughput};
use waypost_domain::event::{
    Event, EventDetail, EventFile, EventKind, NoticeDetail, QuotedMessage, ReceivedDetail,
    StatusDetail, TemplateDetail,
};
use waypost_domain::message::{Direction, Message, MessageOptions};
use waypost_domain::{
    Content, ErrorKind, EventId, Failure, MediaId, MessageId, NumberId, OrgId, Phone, Status,
    Timestamp, UpstreamFault, Zone,
};

use super::{CloudApiEvents, StandardEvents};

const ID: &str = "0b8f1d52-7c0e-7a57-9a3c-2f1d5e6a7b80";
const WAMID: &str = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBJBMUIyQzNENEU1RjYwNzE4MjkA";
const AT: Timestamp = Timestamp(1_768_392_000_500);

fn number() -> Number {
    Number {
        id: NumberId::new("n-1"),
        org_id: OrgId::new("org-1"),
        display_phone: Phone::parse("15550009999").unwrap(),
        phone_number_id: "100000000000001".to_owned(),
        waba_id: "100000000000002".to_owned(),
        access_token: None,
        app_secret: None,
        throughput_per_s: default_throughput(),
        daily_limit: None,
        app_id: None,
        source_id: None,
        aliases: Vec::new(),
        default_notify_url: None,
        notify_auth: std::collections::BTreeMap::new(),
        errors_as_200: false,
        shared: false,
        registered: true,
        created_at: Timestamp(0),
    }
}

fn message(content: Content) -> Message {
    let inbound = matches!(content, Content::Inbound(_));
    Message {
        id: MessageId::parse(ID).unwrap(),
        org_id: OrgId::new("org-1"),
        number_id: NumberId::new("n-1"),
        customer_id: None,
        phone: Phone::parse("15550001111").unwrap(),
        direction: if inbound { Direction::Inbound } else { Direction::Outbound },
        message_type: if inbound { MessageType::User } else { MessageType::Human },
        dialect: "lipachat".to_owned(),
        synchronous: true,
        user_id: None,
        session_id: None,
        reference: (!inbound).then(|| "order-77".to_owned()),
        broadcast_id: None,
        content,
        status: Status::Read,
        wamid: Some(WAMID.to_owned()),
        wa_id: None,
        failure: None,
        possible_duplicate: false,
        resend_at: None,
        options: MessageOptions::default(),
        created_at: AT,
        settled_at: None,
    }
}

fn event(kind: EventKind, detail: EventDetail) -> Event {
    Event {
        id: EventId::parse(ID).unwrap(),
        org_id: OrgId::new("org-1"),
        number_id: Some(NumberId::new("n-1")),
        kind,
        at: AT,
        detail,
    }
}

fn of_status(status: Status, failure: Option<Failure>) -> Event {
    let content = Content::Text { body: "hi".to_owned(), preview_url: false };
    let detail = StatusDetail { message: message(content), status, failure, upstream: None };
    event(EventKind::of_status(status).unwrap(), EventDetail::Status(Box::new(detail)))
}

fn picture() -> Event {
    let image = json!({"from": "15550001111", "id": WAMID, "timestamp": "1768392000",
        "type": "image", "image": {"mime_type": "image/jpeg", "sha256": "x", "id": "900"}});
    let content = InboundContent { kind: "image".to_owned(), message: image, media: None };
    let detail = ReceivedDetail {
        message: message(Content::Inbound(content)),
        profile_name: Some("Test User".to_owned()),
        quoted: Some(QuotedMessage {
            id: MessageId::parse(ID).unwrap(),
            wamid: "wamid.q".to_owned(),
            reference: Some("order-76".to_owned()),
            echo: None,
        }),
        file: Some(EventFile {
            id: MediaId::new("1000000000000042"),
            url: "https://gateway.example.com/media/u.jpg".to_owned(),
            mime_type: "image/jpeg".to_owned(),
            sha256: "00".to_owned(),
            filename: None,
        }),
    };
    event(EventKind::MessageReceived, EventDetail::Received(Box::new(detail)))
}

fn approved() -> Event {
    let detail = TemplateDetail {
        id: "1000000000000500".to_owned(),
        name: "spring_offer".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        reason: None,
        waba_id: "100000000000002".to_owned(),
    };
    event(EventKind::TemplateStatus, EventDetail::Template(detail))
}

fn encode(shape: &dyn CallbackShape, event: &Event) -> Value {
    assert!(shape.tells(event));
    let (number, zone) = (number(), Zone::default());
    let site = CallbackSite { number: Some(&number), zone: &zone };
    serde_json::from_slice(&shape.encode(&[event], &site)).unwrap()
}

fn window_closed() -> Failure {
    Failure::new(ErrorKind::WindowClosed, "The window is closed.")
}

#[test]
fn the_own_shape_tells_everything() {
    assert_eq!(
        encode(&StandardEvents, &of_status(Status::Delivered, None)),
        json!({"type": "message.delivered", "timestamp": "2026-01-14T12:00:00.500Z",
            "id": "evt_0b8f1d527c0e7a579a3c2f1d5e6a7b80",
            "data": {"org_id": "org-1", "number_id": "n-1", "message_id": ID, "wamid": WAMID,
                "to": "15550001111", "message_type": "human", "status": "delivered",
                "content_type": "text", "dialect": "lipachat", "reference": "order-77"}})
    );
    let fault =
        UpstreamFault { code: Some(131_047), details: "old".to_owned(), ..Default::default() };
    let failed = of_status(Status::Failed, Some(window_closed().with_upstream(fault)));
    assert_eq!(
        encode(&StandardEvents, &failed)["data"]["error"],
        json!({"code": "window_closed", "message": "The window is closed.",
            "upstream_code": 131_047, "details": "old"})
    );
    let received = encode(&StandardEvents, &picture());
    assert_eq!(received["type"], "message.received");
    assert_eq!(received["data"]["from"], "15550001111");
    assert_eq!(received["data"]["message"]["image"]["id"], "900");
    assert_eq!(received["data"]["file"]["url"], "https://gateway.example.com/media/u.jpg");
    assert_eq!(received["data"]["in_reply_to"]["reference"], "order-76");
    assert_eq!(encode(&StandardEvents, &approved())["data"]["status"], "APPROVED");
    assert_eq!(
        encode(&StandardEvents, &of_status(Status::Cancelled, None))["type"],
        "message.cancelled"
    );
}

#[test]
fn metas_shape_is_metas_envelope() {
    let delivered = encode(&CloudApiEvents, &of_status(Status::Delivered, None));
    assert_eq!(
        delivered,
        json!({"object": "whatsapp_business_account", "entry": [{"id": "100000000000002",
            "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp",
                "metadata": {"display_phone_number": "15550009999",
                    "phone_number_id": "100000000000001"},
                "contacts": [{"profile": {"name": ""}, "wa_id": "15550001111"}],
                "statuses": [{"id": WAMID, "status": "delivered", "timestamp": "1768392000",
                    "recipient_id": "15550001111", "biz_opaque_callback_data": "order-77"}]}}]}]})
    );
    let failed = encode(&CloudApiEvents, &of_status(Status::Failed, Some(window_closed())));
    let error = &failed["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"][0];
    assert_eq!(
        error,
        &json!({"code": 131_047, "title": "Re-engagement message",
            "message": "Re-engagement message",
            "error_data": {"details": "The window is closed."},
            "href": "/docs/whatsapp/cloud-api/support/error-codes/"})
    );
    for (code, details, title) in [
        (131_026, "Not on WhatsApp.", "Message undeliverable"),
        (131_026, "(#131026) Message undeliverable", "Message undeliverable"),
        (999_999, "(#999999) Something new", "Something new"),
        (999_999, "", "Something went wrong"),
    ] {
        let details = details.to_owned();
        let fault = UpstreamFault { code: Some(code), details, ..Default::default() };
        let failure = Failure::new(ErrorKind::RecipientUnreachable, "Ours.").with_upstream(fault);
        let failed = encode(&CloudApiEvents, &of_status(Status::Failed, Some(failure)));
        let error = &failed["entry"][0]["changes"][0]["value"]["statuses"][0]["errors"][0];
        assert_eq!((&error["title"], &error["message"]), (&json!(title), &json!(title)));
        assert_eq!(error["code"], code);
    }
    let received = encode(&CloudApiEvents, &picture());
    let value = &received["entry"][0]["changes"][0]["value"];
    assert_eq!(value["contacts"][0]["profile"]["name"], "Test User");
    assert_eq!(value["messages"][0]["image"]["id"], "1000000000000042");
    assert_eq!(value["messages"][0]["id"], WAMID);
    let mut recognised = picture();
    if let EventDetail::Received(detail) = &mut recognised.detail
        && let Content::Inbound(inbound) = &mut detail.message.content
    {
        inbound.message["identity_key_hash"] = json!("DF2lS5v2=");
    }
    let told = encode(&CloudApiEvents, &recognised);
    let value = &told["entry"][0]["changes"][0]["value"];
    assert_eq!(value["contacts"][0]["identity_key_hash"], "DF2lS5v2=");
    assert_eq!(value["messages"][0].get("identity_key_hash"), None);
    let template = encode(&CloudApiEvents, &approved());
    let change = &template["entry"][0]["changes"][0];
    assert_eq!(change["field"], "message_template_status_update");
    assert_eq!(change["value"]["message_template_id"], json!(1_000_000_000_000_500_u64));
}

const BSUID: &str = "US.13491208655302741918";

/// What the contact of an event says besides the name, and what its status says of the recipient.
fn people(event: &Event) -> (Value, Value) {
    let told = encode(&CloudApiEvents, event);
    let value = &told["entry"][0]["changes"][0]["value"];
    let mut contact = value["contacts"][0].clone();
    if let Some(contact) = contact.as_object_mut() {
        assert!(contact.shift_remove("profile").unwrap()["name"].is_string());
    }
    let status = value["statuses"][0].as_object().into_iter().flatten();
    let of_recipient = status.filter(|(name, _)| name.starts_with("recipient_"));
    (contact, of_recipient.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[test]
fn a_number_stands_in_wa_id_only_and_a_business_scoped_id_in_user_id_only() {
    let (number, id) = ("15550001111", BSUID);
    let scoped = Phone::business_scoped(BSUID).unwrap();
    let told = Some(json!({"recipient_user_id": BSUID}));
    let both = json!({"recipient_id": number, "recipient_user_id": id});
    for (phone, wa_id, upstream, contact, recipient) in [
        (None, None, None, json!({"wa_id": number}), json!({"recipient_id": number})),
        (None, Some(number), told.clone(), json!({"wa_id": number, "user_id": id}), both.clone()),
        (Some(&scoped), Some(id), None, json!({"user_id": id}), json!({"recipient_user_id": id})),
        (Some(&scoped), Some(number), told, json!({"wa_id": number, "user_id": id}), both),
    ] {
        for status in [Status::Sent, Status::Delivered, Status::Read, Status::Failed] {
            let mut event = of_status(status, (status == Status::Failed).then(window_closed));
            let EventDetail::Status(detail) = &mut event.detail else { panic!("a status") };
            detail.upstream = upstream.clone();
            detail.message.wa_id = wa_id.map(str::to_owned);
            detail.message.phone = phone.cloned().unwrap_or(detail.message.phone.clone());
            let standard = encode(&StandardEvents, &event)["data"]["wa_id"].clone();
            assert_eq!(standard, json!(wa_id.filter(|wa_id| *wa_id == number)));
            let shown = if status == Status::Failed { Value::Null } else { contact.clone() };
            assert_eq!(people(&event), (shown, recipient.clone()), "{status:?}");
        }
    }
    for (phone, from_user_id, contact) in [
        (None, None, json!({"wa_id": number})),
        (None, Some(id), json!({"wa_id": number, "user_id": id})),
        (Some(&scoped), Some(id), json!({"user_id": id})),
        (Some(&scoped), None, json!({"user_id": id})),
    ] {
        let mut event = picture();
        let EventDetail::Received(detail) = &mut event.detail else { panic!("a message") };
        detail.message.phone = phone.cloned().unwrap_or(detail.message.phone.clone());
        if let (Content::Inbound(inbound), Some(id)) = (&mut detail.message.content, from_user_id) {
            inbound.message["from_user_id"] = json!(id);
        }
        assert_eq!(people(&event).0, contact);
    }
}

#[test]
fn a_number_that_is_gone_is_told_by_our_own_id() {
    let site = CallbackSite { number: None, zone: &Zone::default() };
    for event in [of_status(Status::Delivered, None), picture()] {
        let told = CloudApiEvents.encode(&[&event], &site);
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(
            told["entry"][0]["changes"][0]["value"]["metadata"],
            json!({"display_phone_number": "", "phone_number_id": "n-1"})
        );
    }
}

#[test]
fn meta_has_no_word_for_a_cancelled_message() {
    assert!(!CloudApiEvents.tells(&of_status(Status::Cancelled, None)));
}

#[test]
fn success_is_200_for_meta_and_any_2xx_for_us() {
    let verdicts =
        |status| ((StandardEvents.info().verdict)(status), (CloudApiEvents.info().verdict)(status));
    assert_eq!(verdicts(200), (Verdict::Delivered, Verdict::Delivered));
    assert_eq!(verdicts(204), (Verdict::Delivered, Verdict::Retry));
    for status in [301, 400, 404, 429, 500] {
        assert_eq!(verdicts(status), (Verdict::Retry, Verdict::Retry));
    }
}

/// Of an account, or of a number.
fn notice(number: Option<&str>, field: &str, value: Option<Value>) -> Event {
    let detail = NoticeDetail {
        waba_id: "100000000000002".to_owned(),
        phone_number_id: number.map(str::to_owned),
        field: field.to_owned(),
        value,
    };
    let told = event(EventKind::UpstreamNotice, EventDetail::Notice(detail));
    Event { number_id: number.map(|_| NumberId::new("n-1")), ..told }
}

#[test]
fn what_waypost_only_passes_on_is_told_as_it_came() {
    let account = json!({"event": "ACCOUNT_RESTRICTION", "list": [null, 0.5]});
    let calls = json!({"metadata": {"phone_number_id": "100000000000001"}, "calls": []});
    for (number, field, value) in
        [(None, "account_update", account), (Some("100000000000001"), "calls", calls)]
    {
        let told = notice(number, field, Some(value.clone()));
        let mut data = json!({"org_id": "org-1", "waba_id": "100000000000002", "field": field,
            "value": value});
        if let Some(id) = number {
            data["number_id"] = json!("n-1");
            data["phone_number_id"] = json!(id);
        }
        let standard = encode(&StandardEvents, &told);
        assert_eq!((&standard["type"], &standard["data"]), (&json!("upstream.notice"), &data));
        assert_eq!(
            encode(&CloudApiEvents, &told),
            json!({"object": "whatsapp_business_account", "entry": [{"id": "100000000000002",
                "time": 1_768_392_000, "changes": [{"field": field, "value": value}]}]})
        );
    }
    let too_long = notice(None, "history", None);
    assert_eq!(
        encode(&StandardEvents, &too_long)["data"],
        json!({"org_id": "org-1", "waba_id": "100000000000002", "field": "history"})
    );
    assert!(!CloudApiEvents.tells(&too_long), "there is nothing to pass on");
}

#[test]
fn vendors_have_no_words_for_what_waypost_only_passes_on() {
    let told = notice(None, "account_update", Some(json!({})));
    for shape in crate::SHAPES {
        let info = shape.info();
        assert_eq!(shape.tells(&told), ["standard", "cloud_api"].contains(&info.id), "{}", info.id);
    }
}
