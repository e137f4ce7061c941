//! Statuses as Meta reports them: for each accepted message three signed webhooks, one after the other.
//!
//! Nothing is repeated or out of order; the sandbox does that. What the mock reports comes one by one; batches are for
//! whoever reports statuses by itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::{Mutex, mpsc};

use crate::http::{Call, Connection};
use crate::receiver::Receiver;

/// Tells the mock, by the body's address, where statuses go from then on.
pub(crate) const REPORT_PATH: &str = "/statuses";
/// What signs webhooks.
pub(crate) const APP_SECRET: &str = "bench-app-secret";
/// In the order in which they are reported.
pub(crate) const STATUSES: [&str; 3] = ["sent", "delivered", "read"];

/// Messages whose statuses are reported at the same time.
const REPORTERS: usize = 48;
/// Messages that wait for theirs.
const MAX_WAITING: usize = 100_000;

/// Whose statuses are to be reported.
#[derive(Clone)]
pub(crate) struct Accepted {
    /// The sender's phone-number id.
    pub(crate) number: String,
    /// The receiver's digits.
    pub(crate) to: String,
    /// The id that the upstream gave it.
    pub(crate) wamid: String,
}

/// What reports statuses, once it knows to whom.
#[derive(Default)]
pub(crate) struct Statuses {
    waiting: OnceLock<mpsc::Sender<Accepted>>,
    refused: Arc<AtomicU64>,
}

impl Statuses {
    /// Reports statuses to an address, from now on.
    pub(crate) fn report_to(&self, receiver: &Arc<Receiver>, address: &[u8]) -> String {
        let address = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
        let Some(address) = address else { return "no address".to_owned() };
        let (sender, waiting) = mpsc::channel(MAX_WAITING);
        if self.waiting.set(sender).is_err() {
            return "told before".to_owned();
        }
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..REPORTERS {
            let (waiting, refused) = (Arc::clone(&waiting), Arc::clone(&self.refused));
            let receiver = Arc::clone(receiver);
            tokio::spawn(async move {
                if let Err(error) = report(address, &waiting, &receiver).await {
                    eprintln!("statuses: {error:#}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        "{}".to_owned()
    }

    /// Has the statuses of a message reported that was posted to `path`.
    pub(crate) fn accepted(&self, receiver: &Receiver, path: &str, to: &str, wamid: &str) {
        let Some(waiting) = self.waiting.get() else { return };
        // The answer says by itself that it is sent; the webhook only repeats that.
        receiver.expect(wamid, STATUSES[0]);
        let number = path.split('/').nth(2).unwrap_or_default().to_owned();
        let message = Accepted { number, to: to.to_owned(), wamid: wamid.to_owned() };
        if waiting.try_send(message).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What could not be reported.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

async fn report(
    gateway: SocketAddr,
    waiting: &Mutex<mpsc::Receiver<Accepted>>,
    receiver: &Receiver,
) -> Result<()> {
    let mut connection = Connection::open(gateway).await?;
    loop {
        let Some(message) = waiting.lock().await.recv().await else { return Ok(()) };
        for status in STATUSES {
            let call = webhook(std::slice::from_ref(&message), status)?;
            if status != STATUSES[0] {
                receiver.expect(&message.wamid, status);
            }
            let answer = connection.call(&call).await?;
            if answer.status != 200 {
                bail!("answered {}: {}", answer.status, answer.excerpt());
            }
        }
    }
}

/// The signed webhook that says of each message that it has `status` now. One number has sent all of them.
///
/// # Errors
/// When there is no message, or the clock stands before 1970.
pub(crate) fn webhook(messages: &[Accepted], status: &str) -> Result<Call> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let statuses: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "id": message.wamid,
                "status": status,
                "timestamp": now_s.to_string(),
                "recipient_id": message.to,
            })
        })
        .collect();
    let number = &messages.first().context("a webhook tells of somebody")?.number;
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15559000000", "phone_number_id": number },
        "statuses": statuses,
    });
    let change = json!({ "field": "messages", "value": value });
    let entry = json!({ "id": "300000000000000", "changes": [change] });
    let body = json!({ "object": "whatsapp_business_account", "entry": [entry] }).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes())?;
    mac.update(body.as_bytes());
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Call {
        method: Method::POST,
        path: "/webhooks/meta".to_owned(),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-hub-signature-256", format!("sha256={hex}")),
        ],
        body: Bytes::from(body),
    })
}
