//! The fixtures of the reference's table: two senders with their sources, the people, the templates,
//! somebody who takes webhooks; and the valid bodies that the rows change.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use waypost_tests::files::PNG;
use waypost_tests::fixture::{Fixture, NUMBER_ID, WABA_ID};
use waypost_tests::receiver::Receiver;
use waypost_tests::{Options, Reply, Sandbox, eventually};

/// The key of `org-1`.
pub(crate) const KEY: &str = "wp_test_key_1-91f0a2b3c4d5e6f7a8b9c0d1e2f30415";
/// What signs webhooks.
pub(crate) const SECRET: &str = "webhook-secret-of-the-tests";
/// Where messages are sent.
pub(crate) const SEND: &str = "/api/v2/message/";
/// The same at the newer base.
pub(crate) const NC: &str = "/api/v2/message/nc";
/// Where files are uploaded.
pub(crate) const UPLOAD: &str = "/api/v2/media/upload/";

/// A gateway with the table's fixtures.
pub(crate) struct Desk {
    pub(crate) fixture: Fixture,
    pub(crate) receiver: Receiver,
}

/// A gateway's options that allow for receivers and files on this machine.
pub(crate) fn local() -> Options {
    Options::new()
        .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32")
        .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true")
}

impl Desk {
    /// Makes everything; webhooks tell of what happens from then on.
    pub(crate) async fn new() -> Self {
        let desk = Self::unheard().await;
        desk.tell(&desk.receiver.url("/events")).await;
        desk
    }

    /// Makes everything but a webhook.
    pub(crate) async fn unheard() -> Self {
        let fixture = Fixture::with(local()).await;
        let desk = Self { fixture, receiver: Receiver::start().await };
        let scopes = json!(["messages:send", "media", "customers", "templates"]);
        let key = json!({"name": "pepipost", "scopes": scopes, "secret": KEY});
        desk.make("/orgs/org-1/api-keys", &key).await;
        desk.name_source("org-1", NUMBER_ID, "src-1").await;
        let foreign = desk.fixture.admin().all("/orgs/org-3/numbers").await;
        desk.name_source("org-3", foreign[0]["id"].as_str().unwrap(), "src-2").await;
        desk.make_templates().await;
        desk.open_window("15550004444").await;
        let entry = json!({"recipient": "15550003333", "source": "WEB"});
        let optout = json!({"type": "optout", "recipients": [entry]});
        Reply::to(desk.post("/api/v2/consent/manage/", &optout)).await.expect(200);
        desk
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        self.fixture.waypost.sandbox()
    }

    pub(crate) async fn make(&self, path: &str, body: &Value) -> Value {
        self.fixture.admin().post(path, body).await.ok().json()
    }

    async fn name_source(&self, org: &str, number: &str, source: &str) {
        let path = format!("/orgs/{org}/numbers/{number}");
        self.fixture.admin().patch(&path, &json!({"source_id": source})).await.ok();
    }

    /// Posts the organisation's events to an address from now on.
    pub(crate) async fn tell(&self, url: &str) {
        let webhook = json!({"id": "vendor", "url": url, "shape": "pepipost", "secret": SECRET,
            "header": "X-Fixed: of the tests"});
        self.make("/orgs/org-1/webhooks", &webhook).await;
    }

    async fn make_templates(&self) {
        let utility = |name: &str, components: Value| {
            json!({"name": name, "language": "en", "category": "UTILITY",
                "components": components})
        };
        let body = json!({"type": "BODY", "text": "Hello {{1}}, your order {{2}} is ready.",
            "example": {"body_text": [["Ann", "77"]]}});
        let header =
            json!({"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["sample"]}});
        let titled = json!({"type": "HEADER", "format": "TEXT", "text": "Order {{1}}",
            "example": {"header_text": ["77"]}});
        let buttons = json!({"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Track", "url": "https://shop.example.com/orders/{{1}}",
             "example": ["https://shop.example.com/orders/77"]}]});
        let sandbox = self.sandbox();
        for template in [
            utility("tpl", json!([body])),
            utility("titled", json!([titled, body])),
            utility("tracked", json!([header, body, buttons])),
        ] {
            sandbox.template(WABA_ID, &template, "APPROVED").await;
        }
        let admin = self.fixture.admin();
        eventually("the templates", async || {
            Reply::to(admin.request(Method::POST, "/orgs/org-1/templates/sync")).await;
            let known = admin.all("/orgs/org-1/templates").await;
            let approved = |name: &str| {
                known.iter().any(|it| it["name"] == name && it["status"] == "APPROVED")
            };
            ["tpl", "titled", "tracked"].into_iter().all(approved).then_some(())
        })
        .await;
    }

    /// Somebody writes who leaves WhatsApp afterwards.
    async fn open_window(&self, phone: &str) {
        let is_there = async |there: bool| {
            let person = json!({"phone": phone, "on_whatsapp": there});
            self.sandbox().call(Method::POST, "/_sandbox/people", Some(&person)).await.ok();
        };
        is_there(true).await;
        self.sandbox().writes(phone, "hello").await;
        is_there(false).await;
        eventually("an open window", async || {
            let sessions = self.fixture.admin().all("/orgs/org-1/sessions").await;
            (sessions.len() == 3).then_some(())
        })
        .await;
    }

    pub(crate) fn keyless(&self, path: &str) -> RequestBuilder {
        self.fixture.waypost.request(Method::POST, path)
    }

    /// POST of a JSON body with the key.
    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.keyless(path).bearer_auth(KEY).json(body)
    }

    /// Any request without a body, with the key.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.fixture.waypost.request(method, path).bearer_auth(KEY)
    }

    /// A message with the key.
    pub(crate) fn send(&self, body: &Value) -> RequestBuilder {
        self.post(SEND, body)
    }

    /// An upload with the key.
    pub(crate) fn upload(&self, form: Form) -> RequestBuilder {
        self.keyless(UPLOAD).bearer_auth(KEY).multipart(form)
    }

    /// The table's **MID**.
    pub(crate) async fn uploaded(&self) -> String {
        let reply = Reply::to(self.upload(form("image/png", PNG, "teal.png"))).await.expect(200);
        reply.json()["data"]["mediaId"].as_str().unwrap().to_owned()
    }

    /// What the log of `org-1` has on a message.
    pub(crate) async fn logged(&self, id: &str) -> Value {
        let path = format!("/orgs/org-1/messages/{id}");
        self.fixture.admin().get(&path).await.expect(200).json()
    }

    /// The sandbox's row of a message, once it is there.
    pub(crate) async fn sent(&self, id: &str) -> Value {
        eventually(&format!("{id} upstream"), async || {
            let wamid = self.logged(id).await["wamid"].as_str()?.to_owned();
            self.sandbox().ledger().await.into_iter().find(|row| row["wamid"] == wamid)
        })
        .await
    }

    /// Every receipt that was posted, in order.
    pub(crate) fn receipts(&self) -> Vec<Value> {
        elements(&self.receiver, "delivery_status")
    }

    /// The first inbound message that was posted and is such.
    pub(crate) async fn incoming(&self, what: &str, is_such: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            elements(&self.receiver, "incoming_message").into_iter().find(|it| is_such(it))
        })
        .await
    }

    /// The receipt of a message with a status.
    pub(crate) async fn receipt(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{status} of {id}"), async || {
            self.receipts()
                .into_iter()
                .find(|it| it["ncmessage_id"] == id && it["status"] == status)
        })
        .await
    }

    /// How the webhook does.
    pub(crate) async fn webhook_state(&self) -> Value {
        let webhook = self.fixture.admin().get("/orgs/org-1/webhooks/vendor").await.ok().json();
        webhook["state"].clone()
    }

    /// Where data lie.
    pub(crate) fn database(&self) -> impl AsRef<Path> {
        self.fixture.waypost.data_dir().join("waypost.db")
    }
}

/// The elements of everything that was posted under a name.
pub(crate) fn elements(receiver: &Receiver, name: &str) -> Vec<Value> {
    let of = |body: Value| body[name].as_array().cloned().unwrap_or_default();
    receiver.seen().iter().flat_map(|post| of(post.json())).collect()
}

/// A form with a file.
pub(crate) fn form(mime_type: &str, bytes: &[u8], filename: &str) -> Form {
    let part = Part::bytes(bytes.to_vec()).file_name(filename.to_owned());
    Form::new().part("file", part.mime_str(mime_type).unwrap())
}

fn message(kind: &str, rest: &Value) -> Value {
    let mut element = json!({"recipient_whatsapp": "15550001111",
        "recipient_type": "individual", "message_type": kind, "source": "src-1"});
    element.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    json!({ "message": [element] })
}

/// The table's **X**.
pub(crate) fn text() -> Value {
    message("text", &json!({"type_text": [{"preview_url": "false", "content": "hello"}]}))
}

/// The table's **MI**.
pub(crate) fn by_id(media_id: &str) -> Value {
    let attachment = json!({"attachment_id": media_id, "caption": "your invoice"});
    let rest = json!({"x-apiheader": "order-77", "type_media": [{"attachments": [attachment]}]});
    message("media", &rest)
}

/// The table's **MU**.
pub(crate) fn by_url(url: &str) -> Value {
    let attachment = json!({"attachment_url": url, "attachment_type": "image",
        "caption": "your picture"});
    message("media", &json!({"type_media": [{"attachments": [attachment]}]}))
}

/// The table's **LO**.
pub(crate) fn place() -> Value {
    let place = json!({"longitude": -122.4, "latitude": 37.7, "name": "Office",
        "address": "Main Street 1"});
    message("location", &json!({ "type_location": [place] }))
}

/// The table's **TE**.
pub(crate) fn template() -> Value {
    message("template", &json!({ "type_template": [filled("tpl")] }))
}

/// A template's name with two values.
pub(crate) fn filled(name: &str) -> Value {
    json!({"name": name, "attributes": ["Ann", "77"],
        "language": {"locale": "en", "policy": "deterministic"}})
}

/// A message of another type with one block more.
pub(crate) fn special(kind: &str, blocks: &Value) -> Value {
    message(kind, blocks)
}

/// The message, to somebody else.
pub(crate) fn to(body: Value, phone: &str) -> Value {
    waypost_tests::fixture::with(body, "/message/0/recipient_whatsapp", json!(phone))
}
