//! The directory and the valid requests of the LipaChat reference's test cases (§14), and the three
//! forms in which that vendor refuses.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::Reply;
use crate::fixture::{Fixture, WABA_ID};
use crate::receiver::Receiver;
use crate::sandbox::Sandbox;
use crate::wait::eventually;
use crate::waypost::Options;

/// The key, which may do everything in `org-1`.
pub const KEY: &str = "wp_test_key_1-5c7e9d214f6a8b30917d2e4c6a8b0d1f";
/// What signs callbacks.
pub const SECRET: &str = "callback-secret-of-the-tests";

/// The paths of messages.
pub mod path {
    /// Text.
    pub const TEXT: &str = "/api/v1/whatsapp/message/text";
    /// Pictures, films, sounds, documents and stickers.
    pub const MEDIA: &str = "/api/v1/whatsapp/media";
    /// Reply buttons.
    pub const BUTTONS: &str = "/api/v1/whatsapp/interactive/buttons";
    /// Lists.
    pub const LIST: &str = "/api/v1/whatsapp/interactive/list";
    /// Contact cards.
    pub const CONTACT: &str = "/api/v1/whatsapp/contact";
    /// Places.
    pub const LOCATION: &str = "/api/v1/whatsapp/location";
    /// Asking for a place.
    pub const REQUEST_LOCATION: &str = "/api/v1/whatsapp/request_location";
    /// Templates.
    pub const TEMPLATE: &str = "/api/v1/whatsapp/template";
    /// Forms.
    pub const FLOW: &str = "/api/v1/whatsapp/interactive/flows";
}

/// A gateway with the reference's fixtures.
pub struct LipaChat {
    /// The directory below it.
    pub fixture: Fixture,
}

impl LipaChat {
    /// Makes everything.
    pub async fn new() -> Self {
        let local = Options::new()
            .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32")
            .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true");
        let fixture = Fixture::with(local).await;
        let all = json!(["messages:send", "messages:read", "templates", "media"]);
        let key = json!({"name": "lipachat", "scopes": all, "secret": KEY});
        fixture.admin().post("/orgs/org-1/api-keys", &key).await.ok();
        let lipachat = Self { fixture };
        lipachat.make_offer().await;
        lipachat
    }

    async fn make_offer(&self) {
        let offer = json!({"name": "offer_830", "language": "en", "category": "MARKETING",
            "components": [
                {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["sample"]}},
                {"type": "BODY", "text": "Hello {{1}}, {{2}} points are yours.",
                 "example": {"body_text": [["John", "2000"]]}}]});
        self.sandbox().template(WABA_ID, &offer, "APPROVED").await;
        let admin = self.fixture.admin();
        eventually("the template offer_830", async || {
            Reply::to(admin.request(Method::POST, "/orgs/org-1/templates/sync")).await;
            let templates = admin.all("/orgs/org-1/templates").await;
            let offer = templates.iter().find(|template| template["name"] == "offer_830")?;
            (offer["status"] == "APPROVED").then_some(())
        })
        .await;
    }

    /// The sandbox behind it.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        self.fixture.waypost.sandbox()
    }

    /// A request without a key.
    pub fn keyless(&self, method: Method, path: &str) -> RequestBuilder {
        self.fixture.waypost.request(method, path)
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.keyless(method, path).header("apiKey", KEY)
    }

    /// POST of a JSON body with the key.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// POST of exactly these bytes with the key.
    pub fn post_bytes(&self, path: &str, body: &'static str) -> RequestBuilder {
        let request = self.request(Method::POST, path).header("Content-Type", "application/json");
        request.body(body)
    }

    /// The organisation's callbacks go to `receiver` from now on.
    pub async fn tells(&self, org: &str, receiver: &Receiver) {
        self.tells_of(org, &json!([]), receiver).await;
    }

    /// The organisation's callbacks of these kinds go to `receiver` from now on.
    pub async fn tells_of(&self, org: &str, kinds: &Value, receiver: &Receiver) {
        let webhook = json!({"url": receiver.url("/events"), "shape": "lipachat",
            "secret": SECRET, "events": kinds});
        self.fixture.admin().post(&format!("/orgs/{org}/webhooks"), &webhook).await.ok();
    }

    /// What is in the sandbox's ledger for a reply; null where nothing is.
    pub async fn sent(&self, reply: &Reply) -> Value {
        let wamid = reply.json()["data"]["waId"].clone();
        let ledger = self.sandbox().ledger().await;
        ledger.into_iter().find(|row| row["wamid"] == wamid).unwrap_or(Value::Null)
    }
}

/// A message nobody has sent before, from the fixture's number to the person with an open window.
fn message(rest: Value) -> Value {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut body = json!({"messageId": format!("order-{serial}"), "from": "15550009999",
        "to": "15550001111"});
    if let (Value::Object(body), Value::Object(rest)) = (&mut body, rest) {
        body.extend(rest);
    }
    body
}

/// The reference's **T**.
#[must_use]
pub fn text() -> Value {
    message(json!({"message": "Hello world"}))
}

/// The reference's **M**.
#[must_use]
pub fn image() -> Value {
    media("IMAGE", "https://files.example.com/a.jpg")
}

/// **M** of another kind, from another place.
#[must_use]
pub fn media(kind: &str, url: &str) -> Value {
    message(json!({"mediaType": kind, "mediaUrl": url, "caption": "Please find attached"}))
}

/// The reference's **B**.
#[must_use]
pub fn buttons() -> Value {
    message(json!({"text": "Continue?",
        "buttons": [{"id": "1", "title": "YES"}, {"id": "2", "title": "NO"}]}))
}

/// The reference's **L**.
#[must_use]
pub fn list() -> Value {
    let row = json!({"id": "AIR_1", "title": "Safari", "description": "optional"});
    message(json!({"headerText": "Services", "body": "Pick one", "buttonText": "Click here",
        "buttons": [{"sectionTitle": "Airtime", "sectionItems": [row]}]}))
}

/// The reference's **C**.
#[must_use]
pub fn contact() -> Value {
    message(json!({"name": {"formattedName": "Test User"},
        "phones": [{"phone": "15550002222", "type": "Cell", "waId": "15550002222"}]}))
}

/// The reference's **P**.
#[must_use]
pub fn place() -> Value {
    message(json!({"latitude": -1.2921, "longtitude": 36.8219, "name": "Office",
        "address": "Main Street 1"}))
}

/// The reference's **R**.
#[must_use]
pub fn place_request() -> Value {
    message(json!({"text": "Where are you?"}))
}

/// The reference's **W**.
#[must_use]
pub fn template() -> Value {
    let components = json!({
        "header": {"type": "IMAGE", "mediaUrl": "https://files.example.com/a.jpg"},
        "body": {"placeholders": ["John", "2000"]}});
    message(json!({"template": {"name": "offer_830", "languageCode": "en",
        "components": components}}))
}

/// A form's message.
#[must_use]
pub fn flow(id: &Value) -> Value {
    message(json!({"text": "Tell us more", "flowId": id, "flowCta": "Share details",
        "screen": "FIRST", "data": {"service": "A"}}))
}

/// What an answer is to be.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// 200, the envelope with this `statusDesc`.
    Sent(&'a str),
    /// Spring's form with this status, at this path.
    Spring(u16, &'a str),
    /// The envelope that refuses with this text.
    Refused(&'a str),
    /// 401, the envelope that says `success`.
    Stranger,
}

/// Rows that were asked for, with what went wrong: all are told at the end.
#[derive(Default)]
pub struct Table {
    faults: Vec<String>,
}

impl Table {
    /// The row is answered so.
    pub async fn row(
        &mut self,
        row: &str,
        request: RequestBuilder,
        expected: Expected<'_>,
    ) -> Reply {
        let reply = Reply::to(request).await;
        self.judge(row, &reply, expected);
        reply
    }

    /// The row is answered with 200 and some JSON.
    pub async fn ok(&mut self, row: &str, request: RequestBuilder) -> Value {
        let reply = Reply::to(request).await;
        self.check(row, reply.status == 200, &format!("{} {}", reply.status, reply.text()));
        reply.json()
    }

    /// The answer is as it should be.
    pub fn judge(&mut self, row: &str, reply: &Reply, expected: Expected<'_>) {
        let fault = match expected {
            Expected::Sent(words) => sent_fault(reply, words),
            Expected::Spring(status, path) => spring_fault(reply, status, path),
            Expected::Refused(text) => envelope_fault(reply, 400, "error", text),
            Expected::Stranger => envelope_fault(reply, 401, "success", "Invalid credentials"),
        };
        let explained = reply.header("x-waypost-error").is_some_and(|text| !text.is_empty());
        let silent = explained == (reply.status == 200);
        let common = match () {
            () if reply.header("x-request-id").is_none() => Some("no X-Request-Id".to_owned()),
            () if reply.header("content-type") != Some("application/json") => {
                Some(format!("content type {:?}", reply.header("content-type")))
            }
            () if silent => Some("X-Waypost-Error".to_owned()),
            () => None,
        };
        if let Some(fault) = fault.or(common) {
            let why = reply.header("x-waypost-error").unwrap_or_default();
            let said = format!("{} {} ({why})", reply.status, reply.text());
            self.faults.push(format!("row {row}: {fault}; expected {expected:?}, got {said}"));
        }
    }

    /// Something that must hold in a row.
    pub fn check(&mut self, row: &str, holds: bool, what: &str) {
        if !holds {
            self.faults.push(format!("row {row}: {what}"));
        }
    }

    /// Tells what went wrong.
    ///
    /// # Panics
    /// Where something did.
    pub fn end(self) {
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }
}

/// Whether a text is this JSON with its keys in this order and no blanks.
#[must_use]
pub fn is_exactly(text: &str, wanted: &Value) -> bool {
    text.as_bytes() == wanted.to_string().as_bytes()
}

fn sent_fault(reply: &Reply, words: &str) -> Option<String> {
    let body = reply.json();
    let data = &body["data"];
    let wamid = data["waId"].as_str().unwrap_or_default();
    let wanted = json!({"timestamp": body["timestamp"], "data": {
        "messageId": data["messageId"], "waId": wamid, "status": "SENT", "statusDesc": words},
        "status": "success", "message": "", "errors": null});
    let holds = reply.status == 200
        && is_exactly(&reply.text(), &wanted)
        && data["messageId"].as_str().is_some_and(|id| !id.is_empty())
        && wamid.starts_with("wamid.")
        && is_local_time(&body["timestamp"]);
    (!holds).then(|| "not sent".to_owned())
}

fn spring_fault(reply: &Reply, status: u16, path: &str) -> Option<String> {
    let body = reply.json();
    let reason = match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "?",
    };
    let wanted = json!({"timestamp": body["timestamp"], "status": status, "error": reason,
        "path": path});
    let time = body["timestamp"].as_str().unwrap_or_default();
    let dated = is_like(time, "0000-00-00T00:00:00.000+00:00");
    let holds = reply.status == status && is_exactly(&reply.text(), &wanted) && dated;
    (!holds).then(|| "not in Spring's form".to_owned())
}

fn envelope_fault(reply: &Reply, status: u16, word: &str, text: &str) -> Option<String> {
    let body = reply.json();
    let wanted = json!({"timestamp": body["timestamp"], "data": null, "status": word,
        "message": text, "errors": null});
    let holds = reply.status == status
        && is_exactly(&reply.text(), &wanted)
        && is_local_time(&body["timestamp"]);
    (!holds).then(|| "not in the envelope".to_owned())
}

/// Java's local time: seconds always, a fraction of 1 to 9 digits that ends in no zero.
fn is_local_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let (time, fraction) = text.split_once('.').map_or((text, None), |(t, f)| (t, Some(f)));
    let fraction_fits = fraction.is_none_or(|fraction| {
        (1..=9).contains(&fraction.len())
            && fraction.bytes().all(|byte| byte.is_ascii_digit())
            && !fraction.ends_with('0')
    });
    is_like(time, "0000-00-00T00:00:00") && fraction_fits
}

/// `0` in the pattern stands for a digit, everything else for itself.
fn is_like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(found, wanted)| {
            if wanted == b'0' { found.is_ascii_digit() } else { found == wanted }
        })
}
