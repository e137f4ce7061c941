//! The directory and the valid requests of the Webex Connect reference's test cases (§10), and its two
//! kinds of answer: an array for what is queued, an object for what is refused.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::Reply;
use crate::fixture::{Fixture, NUMBER_ID, WABA_ID, with};
use crate::media_host::MediaHost;
use crate::receiver::Receiver;
use crate::sandbox::Sandbox;
use crate::wait::eventually;
use crate::waypost::Options;

/// The key of `org-1`.
pub const KEY: &str = "wp_test_key_4-7e1a9c3b5d2f4860a1b2c3d4e5f60718";
/// The sender's name in this dialect.
pub const APP: &str = "a_100000000000000001";
/// The path.
pub const PATH: &str = "/resources/v1/messaging";
/// The service whose tokens stand for a key.
pub const SERVICE: &str = "service-1";
/// What signs them.
pub const SERVICE_SECRET: &str = "secret-of-service-1";
/// Whoever has written.
pub const OPEN: &str = "15550001111";
/// Whoever has not.
pub const CLOSED: &str = "15550002222";

/// A gateway with the reference's fixtures, a receiver of callbacks and a host of files.
pub struct Webex {
    /// The directory below it.
    pub fixture: Fixture,
    /// Where callbacks go.
    pub receiver: Receiver,
    /// Where files are.
    pub media: MediaHost,
    /// The upstream's id of the template with an image and a named variable.
    pub template_id: String,
}

/// What lets a gateway reach this machine.
#[must_use]
pub fn local() -> Options {
    Options::new()
        .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32")
        .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true")
}

impl Webex {
    /// Makes everything.
    pub async fn new() -> Self {
        let fixture = Fixture::with(local()).await;
        let jwt = json!({"service_id": SERVICE, "secret": SERVICE_SECRET});
        let key = json!({"name": "webex", "scopes": ["messages:send"], "secret": KEY, "jwt": jwt});
        fixture.admin().post("/orgs/org-1/api-keys", &key).await.ok();
        let template_id = make_template(&fixture).await;
        let media = MediaHost::start().await;
        let webex = Self { fixture, receiver: Receiver::start().await, media, template_id };
        webex.change_number(&json!({ "app_id": APP })).await;
        webex
    }

    /// Changes the sender.
    pub async fn change_number(&self, change: &Value) {
        let path = format!("/orgs/org-1/numbers/{NUMBER_ID}");
        self.fixture.admin().patch(&path, change).await.ok();
    }

    /// The sandbox behind it.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        self.fixture.waypost.sandbox()
    }

    /// A request without a key.
    pub fn keyless(&self, body: &Value) -> RequestBuilder {
        self.fixture.waypost.request(Method::POST, PATH).json(body)
    }

    /// A request with the key.
    pub fn post(&self, body: &Value) -> RequestBuilder {
        self.keyless(body).header("key", KEY)
    }

    /// Exactly these bytes with the key.
    pub fn post_bytes(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.fixture.waypost.request(Method::POST, PATH).header("key", KEY).body(body)
    }

    /// An envelope around a `wa` object, for the person with an open window.
    #[must_use]
    pub fn saying(&self, wa: &Value) -> Value {
        json!({"deliverychannel": "whatsapp", "appid": APP, "destination": [{"waid": [OPEN]}],
            "channels": {"OTT-Messaging": {"wa": wa}}, "correlationid": "job-9",
            "callbackData": "any text", "notifyurl": self.receiver.url("/dlr"),
            "notifyurlAuthId": "", "expiry": "", "priority": "", "options": {}})
    }

    /// The reference's **V**.
    #[must_use]
    pub fn video(&self) -> Value {
        self.file("video", "/clip.mp4", "video/mp4")
    }

    /// A file of another kind.
    #[must_use]
    pub fn file(&self, kind: &str, path: &str, mime_type: &str) -> Value {
        let mut wa = json!({"type": kind, "identity_key_hash": ""});
        wa[kind] = json!({"url": self.media.url(path), "mimeType": mime_type});
        self.saying(&wa)
    }

    /// The reference's **TX**.
    #[must_use]
    pub fn text(&self, body: &str) -> Value {
        self.saying(&json!({"type": "text", "text": {"body": body}}))
    }

    /// The reference's **TP**.
    #[must_use]
    pub fn template(&self) -> Value {
        let parameters =
            json!({"image": {"link": self.media.url("/teal.png")}, "first_name": "Ann"});
        json!({"deliverychannel": "whatsapp", "appid": APP, "destination": [{"waid": [OPEN]}],
            "message": {"template": self.template_id, "parameters": parameters},
            "notifyurl": self.receiver.url("/dlr")})
    }

    /// Stores a file as an operator does; returns its public address.
    pub async fn upload(&self, bytes: &[u8], mime_type: &str) -> String {
        let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("file");
        let form =
            reqwest::multipart::Form::new().text("type", mime_type.to_owned()).part("file", part);
        let admin = self.fixture.admin();
        let request = admin.request(Method::POST, "/orgs/org-1/media").multipart(form);
        let stored = Reply::to(request).await.expect(201).json();
        stored["url"].as_str().unwrap_or_default().to_owned()
    }

    /// The message of a `transid`, as the log has it.
    pub async fn logged(&self, transid: &str) -> Value {
        let path = format!("/orgs/org-1/messages/{transid}");
        self.fixture.admin().get(&path).await.ok().json()
    }

    /// The message of a `transid` once it has a status, as the log has it.
    pub async fn settled(&self, transid: &str, status: &str) -> Value {
        eventually(&format!("{transid} being {status}"), async || {
            let message = self.logged(transid).await;
            (message["status"] == status).then_some(message)
        })
        .await
    }

    /// What reached the sandbox for a `transid`; null where nothing did.
    pub async fn sent(&self, transid: &str) -> Value {
        let wamid = self.logged(transid).await["wamid"].clone();
        let ledger = self.sandbox().ledger().await;
        ledger.into_iter().find(|row| row["wamid"] == wamid).unwrap_or(Value::Null)["message"]
            .take()
    }

    /// The receipt with a code for a `transid`, once it has come.
    pub async fn receipt(&self, row: &str, transid: &str, code: &str) -> Value {
        receipt(&self.receiver, row, transid, code).await
    }

    /// The receipts for a `transid`, as far as they have come.
    #[must_use]
    pub fn receipts(&self, transid: &str) -> Vec<Value> {
        receipts(&self.receiver, transid)
    }
}

async fn make_template(fixture: &Fixture) -> String {
    let sandbox = fixture.waypost.sandbox();
    let template = json!({"name": "named_offer", "language": "en", "category": "MARKETING",
        "parameter_format": "NAMED", "components": [
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["sample"]}},
            {"type": "BODY", "text": "Hello {{first_name}}, look at this.", "example":
                {"body_text_named_params": [{"param_name": "first_name", "example": "Ann"}]}}]});
    let id = sandbox.template(WABA_ID, &template, "APPROVED").await;
    let admin = fixture.admin();
    eventually("the template named_offer", async || {
        Reply::to(admin.request(Method::POST, "/orgs/org-1/templates/sync")).await;
        let templates = admin.all("/orgs/org-1/templates").await;
        let made = templates.iter().find(|template| template["name"] == "named_offer")?;
        (made["status"] == "APPROVED").then_some(())
    })
    .await;
    id
}

/// The receipts for a `transid` that a receiver has.
#[must_use]
pub fn receipts(receiver: &Receiver, transid: &str) -> Vec<Value> {
    let all =
        receiver.seen().into_iter().map(|post| post.json()["deliveryInfoNotification"].take());
    all.filter(|receipt| receipt["transid"] == transid).collect()
}

/// The receipt with a code for a `transid`, once a receiver has it.
pub async fn receipt(receiver: &Receiver, row: &str, transid: &str, code: &str) -> Value {
    let what = format!("row {row}: a receipt {code} for {transid}");
    let is_it = |receipt: &Value| receipt["deliveryInfo"]["code"] == code;
    let mut told = Vec::new();
    let told = std::cell::RefCell::new(&mut told);
    eventually(&what, async || {
        let have = receipts(receiver, transid);
        let codes: Vec<String> =
            have.iter().map(|it| it["deliveryInfo"]["code"].to_string()).collect();
        let mut told = told.borrow_mut();
        if **told != codes {
            eprintln!("row {row}: {transid} has {codes:?}");
            **told = codes;
        }
        have.into_iter().find(is_it)
    })
    .await
}

/// The body to somebody else.
#[must_use]
pub fn to(body: Value, waid: &str) -> Value {
    with(body, "/destination", json!([{"waid": [waid]}]))
}

/// Rows that were asked for, with what went wrong: all are told at the end.
#[derive(Default)]
pub struct Table {
    faults: Vec<String>,
}

impl Table {
    /// The row is queued as so many messages; returns their `transid`s.
    pub async fn queued(
        &mut self,
        row: &str,
        request: RequestBuilder,
        count: usize,
    ) -> Vec<String> {
        let reply = Reply::to(request).await;
        self.judge_queued(row, &reply, count)
    }

    /// The row is queued as one message; returns its `transid`.
    pub async fn one(&mut self, row: &str, request: RequestBuilder) -> String {
        self.queued(row, request, 1).await.pop().unwrap_or_default()
    }

    /// The answer says that so many messages are queued.
    pub fn judge_queued(&mut self, row: &str, reply: &Reply, count: usize) -> Vec<String> {
        let body = reply.json();
        let entries = body["response"].as_array().cloned().unwrap_or_default();
        let is_queued = |entry: &Value| {
            let named = entry["code"] == "1001" && entry["description"] == "Queued";
            named && is_uuid(entry["transid"].as_str().unwrap_or_default())
        };
        let holds = reply.status == 200 && entries.len() == count && entries.iter().all(is_queued);
        let typed = reply.header("content-type") == Some("application/json");
        if !holds || !typed || reply.header("x-request-id").is_none() {
            let text: String = reply.text().chars().take(500).collect();
            self.faults.push(format!("row {row}: not {count} queued but {} {text}", reply.status));
        }
        let transid = |entry: &Value| entry["transid"].as_str().unwrap_or_default().to_owned();
        entries.iter().map(transid).collect()
    }

    /// The row is refused with 400.
    pub async fn refused(
        &mut self,
        row: &str,
        request: RequestBuilder,
        code: &str,
        description: &str,
    ) -> Reply {
        self.refused_with(row, request, 400, (code, description)).await
    }

    /// The row is refused with another status.
    pub async fn refused_with(
        &mut self,
        row: &str,
        request: RequestBuilder,
        status: u16,
        (code, description): (&str, &str),
    ) -> Reply {
        let reply = Reply::to(request).await;
        let body = reply.json();
        let transid = body["response"]["transid"].as_str().unwrap_or_default();
        let wanted = json!({"response": {"code": code, "description": description,
            "transid": transid}});
        let fits = reply.status == status && body == wanted && is_uuid(transid);
        if !fits || reply.header("content-type") != Some("application/json") {
            let said = format!("{} {}", reply.status, reply.text());
            self.faults.push(format!("row {row}: not {status} {code} `{description}` but {said}"));
        }
        reply
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

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, char)| match at {
            8 | 13 | 18 | 23 => char == '-',
            _ => char.is_ascii_hexdigit() && !char.is_ascii_uppercase(),
        })
}
