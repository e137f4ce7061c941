//! What callers ask of a gateway, in four dialects, and what the answers promise. It stays the same
//! over restarts.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::ledger::{Entry, Promise};
use crate::client::{Api, Reply, http};
use crate::fixture::{NUMBER_ID, WABA_ID};
use crate::receiver::Receiver;
use crate::signing::signature;
use crate::waypost::{APP_SECRET, Waypost};

/// Recipients of one request that may have many.
pub const TOGETHER: u64 = 5;
/// And of one that has more than the store takes at once while others wait.
const LARGE: u64 = 70;
/// Customers in one request of an import.
const IMPORT_ROWS: u64 = 5_000;

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ReplyHero: the caller waits until it is sent.
    Waiting,
    /// The management API, with an idempotency key: sent later.
    Single,
    /// Webex Connect, to several people: sent later.
    Webex,
    /// The same, to many.
    Large,
    /// Pepipost, to several people: sent later.
    Pepipost,
    /// The upstream tells of a message that came in.
    Inbound,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An answer, with what it promises of each message.
    Answer(Vec<Entry>),
    /// Nobody listened: it was not asked.
    Nobody,
    /// It was asked, and no answer came.
    Silence,
    /// An answer that must not be.
    Strange(String),
}

/// What a caller must know about the gateway.
#[derive(Clone)]
pub struct Desk {
    client: reqwest::Client,
    url: String,
    key: String,
    ids: Value,
    org: String,
    app_id: String,
    source: String,
}

/// A person's number.
#[must_use]
pub fn phone(person: u64) -> String {
    format!("1556{person:07}")
}

impl Desk {
    /// The desk of the demo organisation.
    #[must_use]
    pub fn of(waypost: &Waypost) -> Self {
        Self {
            client: http(),
            url: waypost.url().to_owned(),
            key: waypost.variable("WAYPOST_API_KEY"),
            ids: waypost.demo_message(&Value::Null),
            org: waypost.variable("WAYPOST_ORG_ID"),
            app_id: waypost.variable("WAYPOST_APP_ID"),
            source: waypost.variable("WAYPOST_SOURCE_ID"),
        }
    }

    /// The management API with the organisation's key.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(&self.url, &self.key)
    }

    /// The path of something of the organisation.
    #[must_use]
    pub fn at(&self, rest: &str) -> String {
        format!("/orgs/{}/{rest}", self.org)
    }

    /// Makes so many customers, and the number as fast as it can be.
    pub async fn furnish(&self, waypost: &Waypost, people: u64) {
        let admin = waypost.admin();
        let number = self.at(&format!("numbers/{NUMBER_ID}"));
        admin.patch(&number, &json!({"throughput_per_s": 1000})).await.ok();
        let mut from = 0;
        while from < people {
            let to = people.min(from + IMPORT_ROWS);
            let rows = (from..to).map(|one| format!("c-{one:07},{}\n", phone(one)));
            let csv = format!("id,phone\n{}", rows.collect::<String>());
            let import = admin.request(Method::POST, &self.at("customers/import"));
            Reply::to(import.header("content-type", "text/csv").body(csv)).await.ok();
            from = to;
        }
    }

    /// Has a receiver told of what people write.
    pub async fn is_heard_by(&self, waypost: &Waypost, receiver: &Receiver) {
        let heard =
            json!({"id": "heard", "url": receiver.url("/heard"), "events": ["message.received"]});
        waypost.admin().post(&self.at("webhooks"), &heard).await.ok();
    }

    /// A text to be sent later, with an idempotency key.
    pub fn keyed(&self, person: u64, text: &str, key: &str) -> RequestBuilder {
        let body = json!({"number": NUMBER_ID, "to": phone(person), "type": "text",
            "text": {"body": text}});
        let post = self.api().request(Method::POST, &self.at("messages"));
        post.header("Idempotency-Key", key).json(&body)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// The request; its id in the gateway's log is its text.
    pub fn request(&self, kind: Kind, person: u64, text: &str) -> RequestBuilder {
        let request = match kind {
            Kind::Waiting => {
                let mut body = self.ids.clone();
                body["customerId"] = format!("c-{person:07}").into();
                body["message"] = json!({"type": "text", "text": {"body": text}});
                let post = self.post("/whatsapp/messages/send");
                post.header("X-API-KEY", &self.key).json(&body)
            }
            Kind::Single => self.keyed(person, text, text),
            Kind::Webex | Kind::Large => {
                let people = several(kind, person);
                let body = json!({"appid": self.app_id, "destination": [{"waid": people}],
                    "channels": {"OTT-Messaging": {"wa": {"type": "text", "text": {"body": text}}}}});
                self.post("/resources/v1/messaging").header("key", &self.key).json(&body)
            }
            Kind::Pepipost => {
                let message = |phone: String| {
                    json!({"recipient_whatsapp": phone, "source": self.source,
                        "recipient_type": "individual", "message_type": "text",
                        "type_text": [{"content": text}]})
                };
                let messages: Vec<Value> = several(kind, person).into_iter().map(message).collect();
                let post = self.post("/api/v2/message/").bearer_auth(&self.key);
                post.json(&json!({ "message": messages }))
            }
            Kind::Inbound => {
                let body = inbound(person, text);
                let post = self.post("/webhooks/meta");
                post.header("X-Hub-Signature-256", signature(APP_SECRET, &body)).body(body)
            }
        };
        request.header("X-Request-Id", text)
    }

    /// Asks, and reads what is promised.
    pub async fn ask(&self, kind: Kind, person: u64, text: &str) -> Heard {
        match Reply::attempt(self.request(kind, person, text)).await {
            Ok(reply) => read(kind, person, text, &reply),
            Err(error) if error.is_connect() => Heard::Nobody,
            Err(_) => Heard::Silence,
        }
    }
}

/// Whose messages a request makes.
fn several(kind: Kind, person: u64) -> Vec<String> {
    let count = if kind == Kind::Large { LARGE } else { TOGETHER };
    (person..person + count).map(phone).collect()
}

/// The keys of the messages that a request makes.
#[must_use]
pub fn keys(kind: Kind, person: u64, text: &str) -> Vec<String> {
    match kind {
        Kind::Waiting | Kind::Single => vec![format!("{}|{text}", phone(person))],
        Kind::Webex | Kind::Large | Kind::Pepipost => {
            several(kind, person).into_iter().map(|phone| format!("{phone}|{text}")).collect()
        }
        Kind::Inbound => vec![format!("wamid.{text}")],
    }
}

fn inbound(person: u64, text: &str) -> Vec<u8> {
    let from = phone(person);
    // It opens the window.
    let now_s = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs();
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": "N"}, "wa_id": from}],
        "messages": [{"from": from, "id": format!("wamid.{text}"), "type": "text",
            "timestamp": now_s.to_string(), "text": {"body": text}}]});
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID,
        "changes": [{"field": "messages", "value": value}]}]})
    .to_string()
    .into_bytes()
}

/// What an answer promises of each message of its request.
fn read(kind: Kind, person: u64, text: &str, reply: &Reply) -> Heard {
    let keys = keys(kind, person, text);
    let body = reply.json();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ids: Vec<String> = match (kind, reply.status) {
        (Kind::Waiting, 200) => vec![word(&body["response"]["messages"][0]["id"])],
        (Kind::Single, 200 | 202) => vec![word(&body["id"])],
        (Kind::Webex | Kind::Large, 200) => {
            let entries = body["response"].as_array().cloned().unwrap_or_default();
            entries.iter().map(|entry| word(&entry["transid"])).collect()
        }
        (Kind::Pepipost, 200) => {
            let ids = body["data"]["ids"].as_array().cloned().unwrap_or_default();
            ids.iter().map(word).collect()
        }
        (Kind::Inbound, 200) => vec![String::new()],
        _ => return not_a_success(kind, keys, reply, &body),
    };
    if ids.len() != keys.len() || (kind != Kind::Inbound && ids.iter().any(String::is_empty)) {
        return Heard::Strange(format!("{kind:?}: {} {}", reply.status, reply.text()));
    }
    let promise = match kind {
        Kind::Waiting => Promise::Sent,
        Kind::Inbound => Promise::Taken,
        _ => Promise::Accepted,
    };
    let entries = keys.into_iter().zip(ids).map(|(key, id)| Entry { promise, key, id });
    Heard::Answer(entries.collect())
}

/// Whoever is not promised anything is told when to come again, or that nobody knows.
fn not_a_success(kind: Kind, keys: Vec<String>, reply: &Reply, body: &Value) -> Heard {
    let code = body["error"]["code"].as_str().or_else(|| body["code"].as_str());
    let code = code.unwrap_or_default();
    let promise = match reply.status {
        502 if code == "upstream_result_unknown" => Promise::Nothing,
        // The sent message could not be recorded: the words of a full disk.
        503 | 429 if reply.header("retry-after").is_some() => Promise::Refused,
        502 if kind == Kind::Waiting => Promise::Refused,
        _ => {
            return Heard::Strange(format!("{kind:?}: {} {}", reply.status, reply.text()));
        }
    };
    let id = format!("{} {code}", reply.status);
    Heard::Answer(keys.into_iter().map(|key| Entry { promise, key, id: id.clone() }).collect())
}
