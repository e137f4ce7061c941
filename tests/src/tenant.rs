//! Organisations beside each other, each with a number and a key of its own, that send to people of
//! their own in Webex Connect's dialect. They judge nothing.

use std::ops::Range;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::client::{Api, Reply, http};
use crate::waypost::Waypost;

/// The route by which they send.
pub const WEBEX: &str = "/resources/v1/messaging";
/// The most people of one request.
pub const REQUEST_PEOPLE: u64 = 1_000;
/// Rest before whoever is told to come again does.
const COME_AGAIN: Duration = Duration::from_millis(100);

/// An organisation with a number and a key.
#[derive(Clone)]
pub struct Tenant {
    /// Its place: what tells it from others, one digit.
    pub place: usize,
    /// The key to its messages.
    pub key: String,
    url: String,
    client: reqwest::Client,
}

impl Tenant {
    /// Adds one whose number sends so many messages a second. Nobody has to write to it first.
    pub async fn add(waypost: &Waypost, place: usize, per_s: u32, rate_limit: Option<u32>) -> Self {
        let admin = waypost.admin();
        let org = json!({"id": format!("org-{place}"), "name": "Org", "window_policy": "forward"});
        admin.post("/orgs", &org).await.expect(201);
        let number = number(place);
        let number = json!({"id": number, "phone_number_id": number, "waba_id": "300000000000000",
            "display_phone": format!("1555900000{place}"), "throughput_per_s": per_s,
            "app_id": format!("a_{place}"), "source_id": format!("source-{place}")});
        admin.post(&format!("/orgs/org-{place}/numbers"), &number).await.expect(201);
        let key = json!({"scopes": ["messages:send", "messages:read"], "rate_limit": rate_limit});
        let key = admin.post(&format!("/orgs/org-{place}/api-keys"), &key).await.expect(201);
        let key = word(&key.json()["secret"]);
        Self { place, key, url: waypost.url().to_owned(), client: http() }
    }

    /// Its number's id.
    #[must_use]
    pub fn number(&self) -> String {
        number(self.place)
    }

    /// The path of something of it in the management API.
    #[must_use]
    pub fn at(&self, rest: &str) -> String {
        format!("/orgs/org-{}/{rest}", self.place)
    }

    /// The management API with its key.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(&self.url, &self.key)
    }

    /// The number of one of its people, to whom nobody else writes.
    #[must_use]
    pub fn phone(&self, person: u64) -> String {
        format!("1556{}{person:06}", self.place)
    }

    /// One text to some people; receipts go to `notify`, if that is not empty.
    pub fn submit(&self, people: Range<u64>, text: &str, notify: &str) -> RequestBuilder {
        let people: Vec<Value> = people.map(|it| json!({"waid": [self.phone(it)]})).collect();
        let body = json!({"deliverychannel": "whatsapp", "appid": format!("a_{}", self.place),
            "destination": people, "notifyurl": notify, "correlationid": "load",
            "channels": {"OTT-Messaging": {"wa": {"type": "text", "text": {"body": text}}}}});
        self.client.post(format!("{}{WEBEX}", self.url)).header("key", &self.key).json(&body)
    }

    /// The same; the ids of the messages.
    ///
    /// # Panics
    /// Where they are not accepted.
    pub async fn submitted(&self, people: Range<u64>, text: &str, notify: &str) -> Vec<String> {
        ids(&Reply::to(self.submit(people, text, notify)).await)
    }

    /// The same; whoever is told to come again does.
    ///
    /// # Panics
    /// Where they are refused.
    pub async fn dumped(&self, people: Range<u64>, text: &str, notify: &str) -> Vec<String> {
        loop {
            let reply = Reply::to(self.submit(people.clone(), text, notify)).await;
            if reply.status == 200 || reply.header("retry-after").is_none() {
                return ids(&reply);
            }
            tokio::time::sleep(COME_AGAIN).await;
        }
    }
}

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let entries = reply.json()["response"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| word(&entry["transid"])).collect()
}

fn number(place: usize) -> String {
    format!("20000000000000{place}")
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
