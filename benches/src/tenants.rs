//! Organisations to send for: each with a number, a user, a key and customers of its own.
//!
//! One number sends at most 1,000 messages a second, and one person gets one queued message after the other; so a
//! load beyond that needs many of both, as it has in life.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use hyper::Method;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::http::{Call, Connection};
use crate::mock::TEMPLATE;

/// The most that a number may send in a second.
pub(crate) const FASTEST_PER_S: u32 = 1_000;
/// So slow that accepting is measured and not delivering.
pub(crate) const SLOWEST_PER_S: u32 = 1;

/// The most that one part of a list shows.
const PAGE_ROWS: usize = 1_000;

/// One organisation.
pub(crate) struct Tenant {
    index: usize,
    org_id: String,
    number: String,
    user_id: String,
    key: String,
    /// Ids and phone numbers.
    customers: Vec<(String, String)>,
}

impl Tenant {
    /// Adds an organisation. Its window policy lets free-form messages pass, for nobody has written to it; the
    /// window is looked up all the same.
    ///
    /// # Errors
    /// When the management API refuses something.
    pub(crate) async fn add(
        gateway: &Gateway,
        index: usize,
        customers: usize,
        pace_per_s: u32,
    ) -> Result<Self> {
        let mut tenant = Self::add_without_number(gateway, index).await?;
        let mut admin = Admin::open(gateway).await?;
        let org_id = &tenant.org_id;
        let number = format!("{}", 200_000_000_000_000 + index);
        let number_fields = json!({
            "id": number,
            "display_phone": format!("15559{index:06}"),
            "phone_number_id": number,
            "waba_id": "300000000000000",
            "throughput_per_s": pace_per_s,
            "app_id": app_id(index),
            "source_id": source_id(index),
        });
        admin.call(Method::POST, &format!("/orgs/{org_id}/numbers"), &number_fields).await?;
        let user_id = format!("user-{index}");
        admin
            .call(Method::POST, &format!("/orgs/{org_id}/users"), &json!({ "id": user_id }))
            .await?;
        let customers: Vec<_> = (0..customers)
            .map(|person| (format!("person-{person}"), format!("1555{index:02}{person:05}")))
            .collect();
        if !customers.is_empty() {
            admin.import(org_id, &customers).await?;
        }
        (tenant.number, tenant.user_id, tenant.customers) = (number, user_id, customers);
        Ok(tenant)
    }

    /// Adds an organisation that can keep files and cannot send them yet.
    ///
    /// # Errors
    /// When the management API refuses something.
    pub(crate) async fn add_without_number(gateway: &Gateway, index: usize) -> Result<Self> {
        let mut admin = Admin::open(gateway).await?;
        let org_id = format!("bench-{index}");
        let org = json!({ "id": org_id, "name": org_id, "window_policy": "forward" });
        admin.call(Method::POST, "/orgs", &org).await?;
        let key_fields = json!({ "scopes": ["messages:send", "media"] });
        let key =
            admin.call(Method::POST, &format!("/orgs/{org_id}/api-keys"), &key_fields).await?;
        let key = key["secret"].as_str().context("a new key is shown")?.to_owned();
        let (number, user_id, customers) = (String::new(), String::new(), Vec::new());
        Ok(Self { index, org_id, number, user_id, key, customers })
    }

    /// The number's id.
    pub(crate) fn number(&self) -> &str {
        &self.number
    }

    /// Lets the number send at another pace.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn set_pace(&self, gateway: &Gateway, per_s: u32) -> Result<()> {
        let path = format!("/orgs/{}/numbers/{}", self.org_id, self.number);
        let change = json!({ "throughput_per_s": per_s });
        let changed = Admin::open(gateway).await?.call(Method::PATCH, &path, &change).await?;
        if changed["throughput_per_s"] != per_s {
            bail!("the pace is still {}", changed["throughput_per_s"]);
        }
        Ok(())
    }

    /// How many people there are to write to.
    pub(crate) fn people(&self) -> Range<usize> {
        0..self.customers.len()
    }

    /// A send in ReplyHero's dialect: answered when the upstream has accepted it.
    pub(crate) fn send_now(&self, person: usize, message: &Value) -> Call {
        let body = json!({
            "message": message,
            "sessionId": "bench",
            "customerId": self.customers[person].0,
            "userId": self.user_id,
            "orgId": self.org_id,
        });
        Call::post_json("/whatsapp/messages/send", ("x-api-key", &self.key), &body)
    }

    /// A send in the management API: answered when it is durable.
    pub(crate) fn send_later(&self, person: usize, message: &Value) -> Call {
        let mut body = message.clone();
        body["number"] = json!(self.number);
        body["to"] = json!(self.customers[person].1);
        let path = format!("/waypost/v1/orgs/{}/messages", self.org_id);
        Call::post_json(&path, ("authorization", &format!("Bearer {}", self.key)), &body)
    }

    /// A message in Webex Connect's dialect to each of some people: answered when all are durable.
    pub(crate) fn submit_webex(&self, people: Range<usize>, text: &str) -> Call {
        let destinations: Vec<Value> =
            people.map(|person| json!({ "waid": [stranger(self.index, person)] })).collect();
        let body = json!({
            "deliverychannel": "whatsapp",
            "appid": app_id(self.index),
            "destination": destinations,
            "channels": { "OTT-Messaging": { "wa": { "type": "text", "text": { "body": text } } } },
            "correlationid": "bench",
        });
        Call::post_json("/resources/v1/messaging", ("key", &self.key), &body)
    }

    /// A text in Pepipost's dialect: answered when it is durable.
    pub(crate) fn submit_pepipost(&self, person: usize, text: &str) -> Call {
        let message = json!({
            "recipient_whatsapp": stranger(self.index, person),
            "recipient_type": "individual",
            "message_type": "text",
            "source": source_id(self.index),
            "x-apiheader": "bench",
            "type_text": [{ "preview_url": "false", "content": text }],
        });
        let credential = format!("Bearer {}", self.key);
        let body = json!({ "message": [message] });
        Call::post_json("/api/v2/message", ("authorization", &credential), &body)
    }

    /// The id of the organisation's only webhook.
    fn webhook_id(&self) -> String {
        format!("bench-{}", self.index)
    }

    /// Has the organisation's events posted to an address, in the shape `standard`.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn add_webhook(&self, gateway: &Gateway, url: &str) -> Result<()> {
        let fields = json!({ "id": self.webhook_id(), "url": url, "shape": "standard" });
        let path = format!("/orgs/{}/webhooks", self.org_id);
        Admin::open(gateway).await?.call(Method::POST, &path, &fields).await?;
        Ok(())
    }

    /// Has every callback since an instant (RFC 3339) made again; how many these are.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn replay(&self, gateway: &Gateway, since: &str) -> Result<u64> {
        let path = format!("/orgs/{}/webhooks/{}/replay", self.org_id, self.webhook_id());
        let what = json!({ "since": since });
        let answer = Admin::open(gateway).await?.call(Method::POST, &path, &what).await?;
        answer["replayed"].as_u64().context("a replay tells how much it replays")
    }

    /// Callbacks that are still to be made.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn pending_callbacks(&self, gateway: &Gateway) -> Result<u64> {
        let path = format!("/orgs/{}/webhooks/{}", self.org_id, self.webhook_id());
        let webhook = Admin::open(gateway).await?.call(Method::GET, &path, &json!({})).await?;
        webhook["state"]["pending"].as_u64().context("a webhook shows what is pending")
    }

    /// Visits every message of the organisation, as its log shows it.
    ///
    /// # Errors
    /// When the management API refuses, or `visit` fails.
    pub(crate) async fn visit_messages(
        &self,
        gateway: &Gateway,
        visit: impl FnMut(&Value) -> Result<()>,
    ) -> Result<()> {
        self.visit(gateway, "messages", visit).await
    }

    /// How many events of a kind the organisation's log has.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn count_events(&self, gateway: &Gateway, kind: &str) -> Result<u64> {
        let mut events = 0;
        let count = |_: &Value| {
            events += 1;
            Ok(())
        };
        self.visit(gateway, &format!("events?kind={kind}"), count).await?;
        Ok(events)
    }

    async fn visit(
        &self,
        gateway: &Gateway,
        list: &str,
        mut visit: impl FnMut(&Value) -> Result<()>,
    ) -> Result<()> {
        let mut admin = Admin::open(gateway).await?;
        let joint = if list.contains('?') { '&' } else { '?' };
        let first = format!("/orgs/{}/{list}{joint}limit={PAGE_ROWS}", self.org_id);
        let mut path = first.clone();
        loop {
            let page = admin.call(Method::GET, &path, &json!({})).await?;
            page["data"].as_array().context("a page has rows")?.iter().try_for_each(&mut visit)?;
            let Some(next) = page["next"].as_str() else { return Ok(()) };
            path = format!("{first}&after={next}");
        }
    }

    /// A broadcast of the upstream's template to all customers: answered when all of it is durable.
    pub(crate) fn broadcast(&self) -> Call {
        let body = json!({ "template": { "name": TEMPLATE } });
        let path = format!("/waypost/v1/orgs/{}/broadcasts", self.org_id);
        Call::post_json(&path, ("authorization", &format!("Bearer {}", self.key)), &body)
    }

    /// Withdraws what a broadcast has not sent yet.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn cancel_broadcast(&self, gateway: &Gateway, id: &str) -> Result<()> {
        let path = format!("/orgs/{}/broadcasts/{id}/cancel", self.org_id);
        Admin::open(gateway).await?.call(Method::POST, &path, &json!({})).await?;
        Ok(())
    }

    /// How many of a broadcast's messages have each status.
    ///
    /// # Errors
    /// When the management API refuses.
    pub(crate) async fn broadcast_statuses(
        &self,
        gateway: &Gateway,
        id: &str,
    ) -> Result<HashMap<String, u64>> {
        let path = format!("/orgs/{}/broadcasts/{id}", self.org_id);
        let view = Admin::open(gateway).await?.call(Method::GET, &path, &json!({})).await?;
        Ok(serde_json::from_value(view["by_status"].clone())?)
    }

    /// The head of an upload in ReplyHero's dialect, whose form needs the organisation's id.
    pub(crate) fn upload(&self, boundary: &str) -> (Call, &str) {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let call = Call {
            method: Method::POST,
            path: "/whatsapp/uploads/media_upload".to_owned(),
            headers: vec![("content-type", content_type), ("x-api-key", self.key.clone())],
            body: bytes::Bytes::new(),
        };
        (call, &self.org_id)
    }
}

/// The number's name in Webex Connect's dialect.
fn app_id(tenant: usize) -> String {
    format!("a_{tenant:018}")
}

/// The number's name in Pepipost's dialect.
fn source_id(tenant: usize) -> String {
    format!("source-{tenant}")
}

/// Somebody whom the directory does not know: these dialects' callers keep their customers themselves.
fn stranger(tenant: usize, person: usize) -> String {
    format!("1556{tenant:02}{person:05}")
}

/// The management API, called with the admin key.
struct Admin {
    connection: Connection,
    credential: String,
}

impl Admin {
    async fn open(gateway: &Gateway) -> Result<Self> {
        let connection = Connection::open(gateway.address).await?;
        Ok(Self { connection, credential: format!("Bearer {}", gateway.admin_key()?) })
    }

    async fn call(&mut self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let path = format!("/waypost/v1{path}");
        let mut call = Call::post_json(&path, ("authorization", &self.credential), body);
        call.method = method;
        self.connection.call(&call).await?.json().context(path)
    }

    /// Adds customers who opted in, all at once.
    async fn import(&mut self, org_id: &str, customers: &[(String, String)]) -> Result<()> {
        let line = |(id, phone): &(String, String)| {
            format!("{}\n", json!({ "id": id, "phone": phone, "opt_in": true }))
        };
        let call = Call {
            method: Method::POST,
            path: format!("/waypost/v1/orgs/{org_id}/customers/import"),
            headers: vec![
                ("content-type", "application/x-ndjson".to_owned()),
                ("authorization", self.credential.clone()),
            ],
            body: customers.iter().map(line).collect::<String>().into(),
        };
        let answer = self.connection.call(&call).await?.json()?;
        if answer["failed"] != 0 {
            bail!("customers were not imported: {answer}");
        }
        Ok(())
    }
}
