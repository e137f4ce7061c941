//! The sandbox's control plane, and the calls of its Cloud API that prepare a test.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, http};
use crate::files::PNG;
use crate::wait::eventually;

/// The sandbox's app.
const SANDBOX_APP: &str = "100000000000003";
/// What stands for an uploaded picture in a template's example.
const SAMPLE: &str = r#"["sample"]"#;

/// One sandbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    client: reqwest::Client,
    url: String,
}

impl Sandbox {
    /// The sandbox at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { client: http(), url: url.to_owned() }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Any call.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        // Any token that is not empty will do.
        request = request.bearer_auth("sandbox");
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::to(request).await
    }

    async fn control(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, &format!("/_sandbox/{path}"), Some(body)).await.ok().json()
    }

    /// The ledger: every message that was accepted.
    ///
    /// # Panics
    /// Where it is no list.
    pub async fn ledger(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut since = String::new();
        loop {
            let path = format!("/_sandbox/messages?since={since}");
            let page = self.call(Method::GET, &path, None).await.ok().json();
            let data = page["data"].as_array().expect("the ledger is a list");
            if data.is_empty() {
                return all;
            }
            all.extend(data.iter().cloned());
            since = page["next"].as_str().expect("the ledger has a cursor").to_owned();
        }
    }

    /// A person writes to the business; returns the message's id.
    ///
    /// # Panics
    /// Where the sandbox refuses.
    pub async fn inbound(&self, message: &Value) -> String {
        let received = self.control("inbound", message).await;
        received["wamid"].as_str().expect("an inbound message has an id").to_owned()
    }

    /// A person writes a text to the business.
    pub async fn writes(&self, from: &str, text: &str) -> String {
        self.inbound(&json!({"from": from, "type": "text", "text": {"body": text}})).await
    }

    /// Sets a status of an outbound message.
    pub async fn status(&self, body: &Value) {
        self.control("status", body).await;
    }

    /// Adds a rule for failures.
    pub async fn fault(&self, matches: &Value, deed: &Value) {
        self.control("faults", &json!({"match": matches, "do": deed})).await;
    }

    /// Removes all rules.
    pub async fn clear_faults(&self) {
        self.call(Method::DELETE, "/_sandbox/faults", None).await.ok();
    }

    /// Sets limits; null lifts one.
    pub async fn limits(&self, limits: &Value) {
        self.control("limits", limits).await;
    }

    /// Moves the clock that gateway and sandbox share.
    pub async fn advance(&self, seconds: u64) {
        self.control("clock/advance", &json!({ "seconds": seconds })).await;
    }

    /// Starts over.
    pub async fn clear(&self) {
        self.call(Method::DELETE, "/_sandbox/state", None).await.ok();
    }

    /// Makes a template and gives it a status; returns its id. The handle `sample` stands for a
    /// picture, which is uploaded first.
    ///
    /// # Panics
    /// Where the sandbox refuses it.
    pub async fn template(&self, waba_id: &str, template: &Value, status: &str) -> String {
        let path = format!("/v23.0/{waba_id}/message_templates");
        let mut text = template.to_string();
        if text.contains(SAMPLE) {
            let handle = json!([self.sample().await]).to_string();
            text = text.replace(SAMPLE, &handle);
        }
        let template = serde_json::from_str(&text).expect("a handle is text");
        let made = self.call(Method::POST, &path, Some(&template)).await.ok().json();
        let id = made["id"].as_str().expect("a template has an id").to_owned();
        self.control(&format!("templates/{id}"), &json!({ "status": status })).await;
        id
    }

    /// Uploads a picture as the example of a template's header; returns its handle.
    async fn sample(&self) -> String {
        let begin = format!(
            "/v23.0/{SANDBOX_APP}/uploads?file_name=a.png&file_length={}&file_type=image/png",
            PNG.len()
        );
        let session = self.call(Method::POST, &begin, None).await.ok().json();
        let session = session["id"].as_str().expect("a session has an id").to_owned();
        let upload = self.client.post(format!("{}/v23.0/{session}", self.url));
        let upload = upload.header("authorization", "OAuth sandbox").header("file_offset", "0");
        let uploaded = Reply::to(upload.body(PNG)).await.ok().json();
        uploaded["h"].as_str().expect("an upload has a handle").to_owned()
    }

    /// The type and the bytes of a file that was uploaded.
    ///
    /// # Panics
    /// Where the sandbox does not have it.
    pub async fn file(&self, media_id: &str) -> (String, Vec<u8>) {
        let about = self.call(Method::GET, &format!("/v23.0/{media_id}"), None).await.ok().json();
        let url = about["url"].as_str().expect("a file has an address");
        let bytes = Reply::to(self.client.get(url).bearer_auth("sandbox")).await.ok().body;
        (about["mime_type"].as_str().unwrap_or_default().to_owned(), bytes)
    }

    /// The message with this id, once it has a status.
    pub async fn settled(&self, wamid: &str, status: &str) -> Value {
        eventually(&format!("{wamid} being {status}"), async || {
            let all = self.ledger().await;
            let found = all.into_iter().find(|message| message["wamid"] == wamid)?;
            let statuses = found["statuses"].as_array()?;
            statuses.iter().any(|mark| mark["status"] == status).then_some(found.clone())
        })
        .await
    }
}
