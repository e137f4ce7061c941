//! The directory of the ReplyHero reference's test cases (§13), made through the management API and
//! the sandbox: organisations, a user, customers with open and closed windows, templates, keys.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Api, Reply};
use crate::files::{JPEG, PNG, base64};
use crate::wait::eventually;
use crate::waypost::{Options, Waypost};

/// The key that is allowed for `org-1`.
pub const KEY: &str = "wp_test_key_1-0b8f1d527c0e4a579a3c2f1d5e6a7b80";
/// The key that is allowed for `org-2`.
pub const OTHER_KEY: &str = "wp_test_key_2-1c9f2e638d1f5b680b4d3a2e6f7b8c91";
/// The key that is allowed for `org-3`, which has no customers.
pub const EMPTY_KEY: &str = "wp_test_key_3-2daf3f749e2a6c791c5e4b3f7a8c9da2";
/// The sandbox's number.
pub const NUMBER_ID: &str = "100000000000001";
/// The account of the sandbox's number.
pub const WABA_ID: &str = "100000000000002";
/// Longer than a window stays open.
const BEYOND_A_WINDOW_S: u64 = 25 * 3_600;

const SEND: &str = "/whatsapp/messages/send";
const BROADCAST: &str = "/whatsapp/template/send";
const UPLOAD: &str = "/whatsapp/uploads/media_upload";

/// A gateway with the reference's fixtures.
pub struct Fixture {
    /// The gateway.
    pub waypost: Waypost,
}

impl Fixture {
    /// Makes everything.
    pub async fn new() -> Self {
        Self::with(Options::new()).await
    }

    /// Makes everything on a gateway that is started in a special way.
    pub async fn with(options: Options) -> Self {
        let waypost = options.env("WAYPOST_DEMO", "false").start().await;
        let fixture = Self { waypost };
        let sandbox = fixture.waypost.sandbox();
        sandbox.limits(&json!({"pair": false, "throughput_per_s": null})).await;
        fixture.make_orgs().await;
        fixture.make_customers().await;
        let draft = fixture.make_templates().await;
        // What is new is treated kindly for a day; the reference's cases are about later.
        sandbox.advance(BEYOND_A_WINDOW_S).await;
        for phone in ["15550001111", "15550003333"] {
            sandbox.writes(phone, "hello").await;
        }
        fixture.until_reviewed().await;
        let draft = format!("/_sandbox/templates/{draft}");
        sandbox.call(Method::POST, &draft, Some(&json!({"status": "PENDING"}))).await.ok();
        fixture.settle().await;
        fixture
    }

    /// The management API.
    #[must_use]
    pub fn admin(&self) -> Api {
        self.waypost.admin()
    }

    async fn make(&self, path: &str, body: Value) {
        self.admin().post(path, &body).await.ok();
    }

    async fn make_orgs(&self) {
        for (org, key) in [("org-1", KEY), ("org-2", OTHER_KEY), ("org-3", EMPTY_KEY)] {
            self.make("/orgs", json!({"id": org, "name": org, "time_zone": "+08:00"})).await;
            let scopes = json!(["messages:send", "messages:read", "media", "customers"]);
            let key = json!({"name": "tests", "scopes": scopes, "secret": key});
            self.make(&format!("/orgs/{org}/api-keys"), key).await;
        }
        for (org, user) in [("org-1", "user-1"), ("org-2", "user-2"), ("org-3", "user-3")] {
            self.make(&format!("/orgs/{org}/users"), json!({"id": user, "name": user})).await;
        }
        let number = json!({"id": NUMBER_ID, "display_phone": "15550009999",
            "phone_number_id": NUMBER_ID, "waba_id": WABA_ID, "throughput_per_s": 1000});
        self.make("/orgs/org-1/numbers", number).await;
        self.make_second_number().await;
    }

    /// A number as an operator gets one from Meta: added, verified, registered, subscribed.
    async fn make_second_number(&self) {
        let sandbox = self.waypost.sandbox();
        let asked = json!({"cc": "1", "phone_number": "5550008888", "verified_name": "Third"});
        let path = format!("/v23.0/{WABA_ID}/phone_numbers");
        let made = sandbox.call(Method::POST, &path, Some(&asked)).await.ok().json();
        let id = made["id"].as_str().expect("a number has an id");
        let verify = format!("/v23.0/{id}/verify_code");
        sandbox.call(Method::POST, &verify, Some(&json!({"code": "123456"}))).await.ok();
        let number = json!({"id": id, "display_phone": "15550008888", "phone_number_id": id,
            "waba_id": WABA_ID});
        self.make("/orgs/org-3/numbers", number).await;
        let path = format!("/orgs/org-3/numbers/{id}");
        self.make(&format!("{path}/register"), json!({"pin": "123456"})).await;
        self.make(&format!("{path}/subscribe"), json!({})).await;
    }

    async fn make_customers(&self) {
        for (id, phone, active) in [
            ("cust-1001", "15550001111", true),
            ("cust-1002", "15550002222", true),
            ("cust-1009", "15550006666", false),
            ("4711", "15550003333", true),
        ] {
            let customer = json!({"id": id, "phone": phone, "active": active});
            self.make("/orgs/org-1/customers", customer).await;
        }
        let foreign = json!({"id": "cust-2001", "phone": "15550007777"});
        self.make("/orgs/org-2/customers", foreign).await;
    }

    /// Makes the templates; returns the id of the one that is to be a draft.
    async fn make_templates(&self) -> String {
        let sandbox = self.waypost.sandbox();
        let template = |name: &str, components: Value| {
            json!({"name": name, "language": "en", "category": "MARKETING",
                "components": components})
        };
        let spring = json!([
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["sample"]}},
            {"type": "BODY", "text": "Look at {{1}}: {{2}} off.",
             "example": {"body_text": [["the shop", "20%"]]}}]);
        let long = json!([{"type": "BODY", "text": "Read this: {{1}}, please.",
            "example": {"body_text": [["a text"]]}}]);
        let plain = json!([{"type": "BODY", "text": "We are open again."}]);
        for (name, components) in
            [("spring_offer", spring), ("long_note", long), ("plain_note", plain.clone())]
        {
            sandbox.template(WABA_ID, &template(name, components), "APPROVED").await;
        }
        let draft = template("draft_note", plain.clone());
        let draft = sandbox.template(WABA_ID, &draft, "APPROVED").await;
        let path = format!("/v23.0/{WABA_ID}/message_templates");
        let last = template("last_note", plain);
        sandbox.call(Method::POST, &path, Some(&last)).await.ok();
        draft
    }

    /// Waits until the sandbox's review has come to the last template: it would approve a draft.
    async fn until_reviewed(&self) {
        let path = format!("/v23.0/{WABA_ID}/message_templates?name=last_note");
        eventually("a review that is over", async || {
            let listed = self.waypost.sandbox().call(Method::GET, &path, None).await.ok().json();
            (listed["data"][0]["status"] == "APPROVED").then_some(())
        })
        .await;
    }

    /// Waits until the gateway knows what the sandbox told it.
    async fn settle(&self) {
        let admin = self.admin();
        eventually("open windows and the templates' states", async || {
            let sync = Reply::to(admin.request(Method::POST, "/orgs/org-1/templates/sync")).await;
            let templates = admin.all("/orgs/org-1/templates").await;
            let draft = templates.iter().find(|template| template["name"] == "draft_note")?;
            let sessions = admin.all("/orgs/org-1/sessions").await;
            let done = sync.status == 200 && draft["status"] == "PENDING" && sessions.len() == 2;
            done.then_some(())
        })
        .await;
    }

    /// A call with the key of `org-1`.
    pub fn call(&self, path: &str, body: &Value) -> RequestBuilder {
        self.keyless(path).header("X-API-KEY", KEY).json(body)
    }

    /// A POST without a key.
    pub fn keyless(&self, path: &str) -> RequestBuilder {
        self.waypost.request(Method::POST, path)
    }

    /// `messages/send` with the key of `org-1`.
    pub fn send(&self, body: &Value) -> RequestBuilder {
        self.call(SEND, body)
    }

    /// `template/send` with the key of `org-1`.
    pub fn broadcast(&self, body: &Value) -> RequestBuilder {
        self.call(BROADCAST, body)
    }

    /// `uploads/media_upload` with the key of `org-1`.
    pub fn upload(&self, form: reqwest::multipart::Form) -> RequestBuilder {
        self.keyless(UPLOAD).header("X-API-KEY", KEY).multipart(form)
    }

    /// The id of an uploaded picture.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn uploaded(&self) -> String {
        let form = upload_form("org-1", "image/jpg", JPEG, "example.jpeg");
        let uploaded = Reply::to(self.upload(form)).await.expect(200).json();
        uploaded["id"].as_str().expect("an upload has an id").to_owned()
    }
}

/// The reference's **U**.
#[must_use]
pub fn upload_form(
    org: &str,
    mime_type: &str,
    bytes: &[u8],
    filename: &str,
) -> reqwest::multipart::Form {
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(filename.to_owned());
    reqwest::multipart::Form::new()
        .text("orgId", org.to_owned())
        .text("type", mime_type.to_owned())
        .part("file", part)
}

fn message(message: &Value) -> Value {
    json!({"message": message, "sessionId": "chat-1", "customerId": "cust-1001",
        "userId": "user-1", "orgId": "org-1"})
}

/// The reference's **T**.
#[must_use]
pub fn text() -> Value {
    message(&json!({"type": "text", "text": {"body": "testing msg"}}))
}

/// The reference's **I**.
#[must_use]
pub fn inline() -> Value {
    message(&json!({"type": "image", "image": {"caption": "testing", "file": {
        "name": "logo.png", "type": "image/png", "displayType": "IMAGE", "extension": "png",
        "data": base64(PNG)}}}))
}

/// The reference's **L**.
#[must_use]
pub fn link() -> Value {
    message(&json!({"type": "document", "document": {
        "link": "https://files.example.com/a.pdf", "filename": "a.pdf", "caption": "The offer"}}))
}

/// The reference's **P**, with an uploaded picture.
#[must_use]
pub fn template(media_id: &str) -> Value {
    json!({"templateName": "spring_offer", "sessionId": "camp-7", "orgId": "org-1",
        "userId": "user-1", "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": media_id}}]},
            {"type": "body", "parameters": [
                {"type": "text", "text": "https://www.example.com/"},
                {"type": "text", "text": "20%"}]}]})
}

/// The value with something else at a JSON pointer; an absent place is made.
///
/// # Panics
/// Where the pointer leads nowhere.
#[must_use]
pub fn with(mut value: Value, pointer: &str, other: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let parent = value.pointer_mut(parent).expect("the place exists");
    match name.parse::<usize>() {
        Ok(index) if parent.is_array() => parent[index] = other,
        _ => parent[name] = other,
    }
    value
}

/// The value without what is at a JSON pointer.
///
/// # Panics
/// Where the pointer leads nowhere.
#[must_use]
pub fn without(mut value: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let parent = value.pointer_mut(parent).and_then(Value::as_object_mut);
    let removed = parent.and_then(|parent| parent.shift_remove(name));
    assert!(removed.is_some(), "there is nothing at {pointer}");
    value
}
