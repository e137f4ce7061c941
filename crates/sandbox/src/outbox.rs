//! Webhooks on their way: what waits, what is retried when, what was given up. It builds the
//! signed bodies; it opens no connection.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::entropy;

/// Updates in one POST.
pub const WEBHOOK_BATCH_MAX_UPDATES: usize = 1_000;
/// Bytes of one POST.
pub const WEBHOOK_BATCH_MAX_BYTES: usize = 3_000_000;
/// Updates that wait, are under way or await a retry. When there are more, the oldest waiting one
/// is dropped and counted.
pub const WEBHOOK_HELD_MAX_UPDATES: usize = 200_000;
/// Virtual time after which an update is given up.
pub const WEBHOOK_RETRY_SPAN_MS: i64 = 7 * 86_400_000;
/// How long a held-back webhook waits for another one to overtake it.
pub(crate) const REORDER_WAIT_MS: i64 = 2_000;

/// Delays between attempts; after the last one hourly.
const RETRY_DELAYS_MS: [i64; 6] = [0, 1_000, 10_000, 60_000, 600_000, 3_600_000];

/// Where an update goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// The application's own address, as it is when the update leaves.
    App,
    /// An address given for one number or WABA.
    Override(Arc<str>),
}

/// The application's webhook settings.
#[derive(Debug, Clone)]
pub(crate) struct AppWebhook {
    pub(crate) url: Option<String>,
    pub(crate) verify_token: String,
    pub(crate) app_secret: String,
    /// API version 23 or older: statuses carry the conversation object.
    pub(crate) with_conversation: bool,
    /// Webhooks tell the business-scoped user ids of people who were given none, too.
    pub(crate) with_user_ids: bool,
}

/// One change of one object, escaped and ready.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    route: Route,
    waba: Arc<str>,
    /// `entry[].time`, for fields other than `messages`.
    time_s: Option<i64>,
    change: Box<str>,
}

impl Update {
    pub(crate) fn new(
        route: Route,
        waba: &Arc<str>,
        time_s: Option<i64>,
        field: &str,
        value: &Value,
    ) -> Self {
        let change = escape(&json!({"value": value, "field": field}).to_string());
        Self { route, waba: Arc::clone(waba), time_s, change: change.into() }
    }

    fn same_entry(&self, other: &Self) -> bool {
        self.waba == other.waba && self.time_s == other.time_s
    }
}

/// In which order withheld updates go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// As they happened.
    #[default]
    Kept,
    /// The last one first.
    Reversed,
    /// In any.
    Shuffled,
}

/// One POST.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) route: Route,
    pub(crate) body: Bytes,
    updates: usize,
    attempts: usize,
    first_tried_ms: i64,
}

#[derive(Debug)]
struct Retry {
    at_ms: i64,
    order: u64,
    batch: Batch,
}

impl PartialEq for Retry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Retry {}

impl PartialOrd for Retry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Retry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

/// Counts since the start or the last reset.
#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    delivered: u64,
    failed_attempts: u64,
    expired: u64,
    dropped_full: u64,
    dropped_by_fault: u64,
    unrouted: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pending: VecDeque<Update>,
    retries: BinaryHeap<Reverse<Retry>>,
    held_back: Option<Update>,
    /// Kept until they are released.
    withheld: VecDeque<Update>,
    /// Updates in batches that are under way or await a retry.
    in_batches: usize,
    in_flight: usize,
    order: u64,
    totals: Totals,
    /// Batches of before a reset are not counted when they come back.
    generation: u64,
}

impl Outbox {
    /// Queues an update, then what was held back until one overtook it.
    pub(crate) fn push(&mut self, update: Update) {
        self.append(update);
        self.release_held_back();
    }

    /// Queues an update twice.
    pub(crate) fn push_twice(&mut self, update: Update) {
        self.append(update.clone());
        self.push(update);
    }

    /// Keeps an update back until another one has gone out.
    pub(crate) fn hold_back(&mut self, update: Update) {
        self.release_held_back();
        self.held_back = Some(update);
    }

    pub(crate) fn release_held_back(&mut self) {
        if let Some(update) = self.held_back.take() {
            self.append(update);
        }
    }

    /// Keeps an update until it is released.
    pub(crate) fn withhold(&mut self, update: Update) {
        self.make_room();
        self.withheld.push_back(update);
    }

    /// Queues what was withheld; returns how many there were.
    pub(crate) fn release(&mut self, order: Order) -> usize {
        let mut released = Vec::from(std::mem::take(&mut self.withheld));
        match order {
            Order::Kept => {}
            Order::Reversed => released.reverse(),
            Order::Shuffled => entropy::shuffle(&mut released),
        }
        let count = released.len();
        self.pending.extend(released);
        count
    }

    fn append(&mut self, update: Update) {
        self.make_room();
        self.pending.push_back(update);
    }

    fn make_room(&mut self) {
        let held = self.pending.len() + self.withheld.len() + self.in_batches;
        if held >= WEBHOOK_HELD_MAX_UPDATES
            && self.pending.pop_front().or_else(|| self.withheld.pop_front()).is_some()
        {
            self.totals.dropped_full += 1;
        }
    }

    pub(crate) fn note_dropped_by_fault(&mut self) {
        self.totals.dropped_by_fault += 1;
    }

    pub(crate) fn note_unrouted(&mut self) {
        self.totals.unrouted += 1;
    }

    /// The next POST: a retry whose time has come, else the oldest updates for one address.
    pub(crate) fn next_batch(&mut self, now_ms: i64) -> Option<(u64, Batch)> {
        let batch = match self.next_retry_ms() {
            Some(at_ms) if at_ms <= now_ms => self.retries.pop().map(|Reverse(r)| r.batch)?,
            _ => self.new_batch(now_ms)?,
        };
        self.in_flight += 1;
        Some((self.generation, batch))
    }

    pub(crate) fn next_retry_ms(&self) -> Option<i64> {
        self.retries.peek().map(|Reverse(retry)| retry.at_ms)
    }

    fn new_batch(&mut self, now_ms: i64) -> Option<Batch> {
        let first = self.pending.pop_front()?;
        let route = first.route.clone();
        let mut bytes = first.change.len();
        let mut updates = vec![first];
        while updates.len() < WEBHOOK_BATCH_MAX_UPDATES
            && let Some(next) = self.pending.front()
            && next.route == route
            && bytes + next.change.len() + 100 < WEBHOOK_BATCH_MAX_BYTES
        {
            bytes += next.change.len() + 100;
            updates.extend(self.pending.pop_front());
        }
        self.in_batches += updates.len();
        let body = envelope(&updates);
        Some(Batch { route, body, updates: updates.len(), attempts: 0, first_tried_ms: now_ms })
    }

    /// Takes note of how a POST ended; a failed one is queued again.
    pub(crate) fn settle(&mut self, generation: u64, mut batch: Batch, ok: bool, now_ms: i64) {
        if generation != self.generation {
            return;
        }
        self.in_flight -= 1;
        if ok {
            self.in_batches -= batch.updates;
            self.totals.delivered += batch.updates as u64;
            return;
        }
        self.totals.failed_attempts += 1;
        let delay = RETRY_DELAYS_MS.get(batch.attempts).copied();
        let at_ms = now_ms + delay.unwrap_or(RETRY_DELAYS_MS[RETRY_DELAYS_MS.len() - 1]);
        batch.attempts += 1;
        if at_ms - batch.first_tried_ms > WEBHOOK_RETRY_SPAN_MS {
            self.in_batches -= batch.updates;
            self.totals.expired += batch.updates as u64;
            return;
        }
        self.order += 1;
        self.retries.push(Reverse(Retry { at_ms, order: self.order, batch }));
    }

    /// Forgets everything that waits.
    pub(crate) fn clear(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    pub(crate) fn to_json(&self) -> Value {
        let withheld = self.withheld.len();
        let waiting = self.pending.len() + withheld + usize::from(self.held_back.is_some());
        json!({
            "pending": waiting + self.in_batches,
            "waiting": waiting,
            "withheld": withheld,
            "in_flight_posts": self.in_flight,
            "awaiting_retry_posts": self.retries.len(),
            "next_retry_at_ms": self.next_retry_ms(),
            "delivered": self.totals.delivered,
            "failed_attempts": self.totals.failed_attempts,
            "expired": self.totals.expired,
            "dropped_full": self.totals.dropped_full,
            "dropped_by_fault": self.totals.dropped_by_fault,
            "unrouted": self.totals.unrouted,
        })
    }
}

/// The body of a POST: consecutive updates of one WABA share an entry.
fn envelope(updates: &[Update]) -> Bytes {
    let mut body = String::from(r#"{"object":"whatsapp_business_account","entry":["#);
    let mut previous: Option<&Update> = None;
    for update in updates {
        match previous {
            Some(previous) if previous.same_entry(update) => body.push(','),
            Some(_) => {
                body.push_str("]},");
                open_entry(&mut body, update);
            }
            None => open_entry(&mut body, update),
        }
        body.push_str(&update.change);
        previous = Some(update);
    }
    body.push_str("]}]}");
    Bytes::from(body)
}

fn open_entry(body: &mut String, update: &Update) {
    body.push_str(r#"{"id":""#);
    body.push_str(&update.waba);
    body.push_str(r#"","#);
    if let Some(time_s) = update.time_s {
        body.push_str(&format!(r#""time":{time_s},"#));
    }
    body.push_str(r#""changes":["#);
}

/// Spells JSON as Meta does before it signs: non-ASCII as `\uXXXX`, `/` as `\/`.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 8);
    let mut units = [0_u16; 2];
    for character in json.chars() {
        match character {
            '/' => text.push_str("\\/"),
            ascii if ascii.is_ascii() => text.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

/// The value of `X-Hub-Signature-256`.
pub(crate) fn signature(app_secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", entropy::lower_hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(n: u64) -> Update {
        Update::new(Route::App, &Arc::from("1"), None, "messages", &json!({ "n": n }))
    }

    #[test]
    fn escapes_non_ascii_and_slashes() {
        assert_eq!(escape("\"é/😀\""), "\"\\u00e9\\/\\ud83d\\ude00\"");
    }

    #[test]
    fn signs_like_a_known_vector() {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let signed = signature("Jefe", b"what do ya want for nothing?");
        assert_eq!(signed, format!("sha256={expected}"));
    }

    #[test]
    fn batches_up_to_the_bound_and_no_further() {
        let mut outbox = Outbox::default();
        (0..1_001).for_each(|n| outbox.push(update(n)));
        let (_, first) = outbox.next_batch(0).unwrap();
        let (_, second) = outbox.next_batch(0).unwrap();
        assert_eq!((first.updates, second.updates), (1_000, 1));
        let body: Value = serde_json::from_slice(&first.body).unwrap();
        assert_eq!(body["entry"][0]["changes"].as_array().unwrap().len(), 1_000);
    }

    #[test]
    fn retries_at_once_then_ever_slower_for_seven_days() {
        let mut outbox = Outbox::default();
        outbox.push(update(1));
        let (mut now_ms, mut waits_ms) = (0, Vec::new());
        while let Some((generation, batch)) = outbox.next_batch(now_ms) {
            outbox.settle(generation, batch, false, now_ms);
            if let Some(at_ms) = outbox.next_retry_ms() {
                waits_ms.push(at_ms - now_ms);
                now_ms = at_ms;
            }
        }
        assert_eq!(waits_ms[..3], [0, 1_000, 10_000]);
        assert!(waits_ms.is_sorted(), "the frequency only decreases");
        assert!((WEBHOOK_RETRY_SPAN_MS - now_ms) < 3_600_000, "goes on for seven days");
        assert_eq!(outbox.to_json()["expired"], 1);
    }

    #[test]
    fn a_held_back_update_is_overtaken_by_the_next() {
        let mut outbox = Outbox::default();
        outbox.hold_back(update(1));
        assert!(outbox.next_batch(0).is_none());
        outbox.push(update(2));
        let body: Value = serde_json::from_slice(&outbox.next_batch(0).unwrap().1.body).unwrap();
        let order: Vec<_> = body["entry"][0]["changes"].as_array().unwrap().iter().collect();
        assert_eq!((&order[0]["value"]["n"], &order[1]["value"]["n"]), (&json!(2), &json!(1)));
    }

    #[test]
    fn what_is_withheld_goes_out_when_it_is_released_and_in_the_order_asked_for() {
        for (order, expected) in
            [(Order::Kept, [3, 1, 2]), (Order::Reversed, [3, 2, 1]), (Order::Shuffled, [3, 1, 2])]
        {
            let mut outbox = Outbox::default();
            outbox.withhold(update(1));
            outbox.withhold(update(2));
            assert!(outbox.next_batch(0).is_none());
            assert_eq!(outbox.to_json()["withheld"], 2);
            outbox.push(update(3));
            assert_eq!(outbox.release(order), 2);
            let (_, batch) = outbox.next_batch(0).unwrap();
            let body: Value = serde_json::from_slice(&batch.body).unwrap();
            let changes = body["entry"][0]["changes"].as_array().unwrap();
            let mut went: Vec<_> =
                changes.iter().filter_map(|change| change["value"]["n"].as_i64()).collect();
            if order == Order::Shuffled {
                went[1..].sort_unstable();
            }
            assert_eq!(went, expected, "{order:?}");
            assert_eq!(outbox.release(order), 0);
        }
    }

    #[test]
    fn drops_the_oldest_when_full_and_says_so() {
        let mut outbox = Outbox::default();
        (0..=WEBHOOK_HELD_MAX_UPDATES as u64).for_each(|n| outbox.push(update(n)));
        assert_eq!(outbox.to_json()["waiting"], WEBHOOK_HELD_MAX_UPDATES);
        assert_eq!(outbox.to_json()["dropped_full"], 1);
    }
}
