//! Everything the sandbox remembers, behind one lock, and the steps that change more than one
//! part of it: statuses, failures, windows, webhooks. It waits for nothing and speaks no HTTP.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, broadcast};
use waypost_clock::Clock;

use crate::agenda::{Agenda, Task};
use crate::blocking::BlockedBy;
use crate::config::{Seed, SeedNumber, SeedPerson};
use crate::errors::Failure;
use crate::faults::{Faults, Occasion, WebhookFault};
use crate::flows::Flows;
use crate::limits::{Limits, ManagementCalls, Pace, Portfolio};
use crate::links::Links;
use crate::log::{Direction, Log, Status};
use crate::media_store::MediaStore;
use crate::outbox::{AppWebhook, Outbox, REORDER_WAIT_MS, Route, Update};
use crate::people::{Chat, People};
use crate::templates::{Definition, Template, Templates};
use crate::uploads::Uploads;

/// The 24 hours in which free-form messages are delivered.
pub(crate) const WINDOW_MS: i64 = 86_400_000;
/// Windows opened from outside that are remembered across a reset.
const RENEWED_MAX: usize = 10_000;
/// From acceptance to `sent`.
pub const SENT_DELAY_MS: i64 = 20;
/// From `sent` to `delivered`, and from acceptance to `failed`.
pub const DELIVERED_DELAY_MS: i64 = 100;

/// A business number.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) id: Arc<str>,
    pub(crate) waba: u32,
    /// Digits.
    pub(crate) display: Box<str>,
    pub(crate) verified_name: Box<str>,
    pub(crate) registered: bool,
    pub(crate) verified: bool,
    pub(crate) pin: Option<Box<str>>,
    /// Register and deregister calls, for the limit of ten in 72 hours.
    pub(crate) registrations_ms: Vec<i64>,
    pub(crate) profile: Map<String, Value>,
    pub(crate) identity_check: bool,
    /// People whom the business blocks.
    pub(crate) blocked: BTreeMap<u32, BlockedBy>,
    pub(crate) webhook_override: Option<Arc<str>>,
    pub(crate) pace: Pace,
}

impl Number {
    fn seeded(seed: &SeedNumber, waba: u32) -> Self {
        Self::new(&seed.phone_number_id, waba, &seed.display_phone_number, &seed.verified_name)
    }

    /// A registered number.
    pub(crate) fn new(id: &str, waba: u32, display: &str, verified_name: &str) -> Self {
        Self {
            id: Arc::from(id),
            waba,
            display: display.into(),
            verified_name: verified_name.into(),
            registered: true,
            verified: true,
            pin: None,
            registrations_ms: Vec::new(),
            profile: Map::new(),
            identity_check: false,
            blocked: BTreeMap::new(),
            webhook_override: None,
            pace: Pace::default(),
        }
    }
}

/// A WhatsApp Business Account.
#[derive(Debug)]
pub(crate) struct Waba {
    pub(crate) id: Arc<str>,
    pub(crate) subscribed: bool,
    pub(crate) webhook_override: Option<Arc<str>>,
    pub(crate) calls: ManagementCalls,
    pub(crate) portfolio: Portfolio,
}

/// Something on the handset page changed.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) phone: Box<str>,
    pub(crate) phone_number_id: Arc<str>,
}

/// Wakes the background loops.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pub(crate) progress: Notify,
    pub(crate) webhooks: Notify,
    pub(crate) links: Notify,
}

/// The whole memory.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) wake: Arc<Wake>,
    /// `None`: anything may have changed.
    pub(crate) changes: broadcast::Sender<Option<Change>>,
    pub(crate) app: AppWebhook,
    seed: Seed,
    /// Windows that the embedding process opened (phone, phone number id): part of the beginning.
    renewed: HashSet<(String, String)>,
    pub(crate) numbers: Vec<Number>,
    number_by_id: HashMap<Arc<str>, u32>,
    pub(crate) wabas: Vec<Waba>,
    waba_by_id: HashMap<Arc<str>, u32>,
    pub(crate) people: People,
    pub(crate) chats: HashMap<(u32, u32), Chat>,
    pub(crate) log: Log,
    pub(crate) media: MediaStore,
    pub(crate) templates: Templates,
    pub(crate) flows: Flows,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    pub(crate) links: Links,
    pub(crate) outbox: Outbox,
    pub(crate) uploads: Uploads,
    agenda: Agenda,
}

impl State {
    pub(crate) fn new(seed: Seed, app: AppWebhook, clock: Clock, wake: Arc<Wake>) -> Self {
        let (changes, _) = broadcast::channel(256);
        let media = MediaStore::new(clock.now_ms());
        let mut state = Self {
            clock,
            wake,
            changes,
            app,
            seed,
            renewed: HashSet::new(),
            numbers: Vec::new(),
            number_by_id: HashMap::new(),
            wabas: Vec::new(),
            waba_by_id: HashMap::new(),
            people: People::default(),
            chats: HashMap::new(),
            log: Log::default(),
            media,
            templates: Templates::new(),
            flows: Flows::new(),
            faults: Faults::default(),
            limits: Limits::default(),
            links: Links::default(),
            outbox: Outbox::default(),
            uploads: Uploads::default(),
            agenda: Agenda::default(),
        };
        state.plant_seed();
        state
    }

    /// Starts over: messages, people, media, templates, flows, windows, faults and waiting webhooks go;
    /// the clock, the limits and the webhook address stay.
    pub(crate) fn reset(&mut self) {
        self.numbers.clear();
        self.number_by_id.clear();
        self.wabas.clear();
        self.waba_by_id.clear();
        self.people = People::default();
        self.chats.clear();
        self.log.clear();
        self.media.clear();
        self.templates = Templates::new();
        self.flows = Flows::new();
        self.faults.remove(None);
        self.links = Links::default();
        self.outbox.clear();
        self.uploads = Uploads::default();
        self.agenda = Agenda::default();
        self.plant_seed();
        for (phone, number) in self.renewed.clone() {
            self.renew_window(&phone, &number);
        }
        self.note_any_change();
    }

    /// Opens a window on behalf of the embedding process, now and after each reset.
    pub(crate) fn renew_window(&mut self, digits: &str, phone_number_id: &str) -> bool {
        let Some(number) = self.find_number(phone_number_id) else { return false };
        let Some(person) = self.people.ensure(digits) else { return false };
        self.open_window(number, person, self.now_ms());
        if self.renewed.len() < RENEWED_MAX {
            self.renewed.insert((digits.to_owned(), phone_number_id.to_owned()));
        }
        true
    }

    fn plant_seed(&mut self) {
        let seed = self.seed.clone();
        for number in &seed.numbers {
            let waba = self.ensure_waba(&number.waba_id);
            self.add_number(Number::seeded(number, waba));
        }
        for person in &seed.people {
            self.seed_person(person);
        }
        for waba in 0..self.wabas.len() {
            self.seed_templates(u32::try_from(waba).unwrap_or(0));
        }
    }

    /// Gives a WABA the templates of the beginning.
    pub(crate) fn seed_templates(&mut self, waba: u32) {
        for template in self.seed.templates.clone() {
            self.seed_template(waba, &template);
        }
    }

    pub(crate) fn ensure_waba(&mut self, id: &str) -> u32 {
        if let Some(found) = self.find_waba(id) {
            return found;
        }
        let id: Arc<str> = Arc::from(id);
        let index = u32::try_from(self.wabas.len()).unwrap_or(u32::MAX);
        self.waba_by_id.insert(Arc::clone(&id), index);
        self.wabas.push(Waba {
            id,
            subscribed: true,
            webhook_override: None,
            calls: ManagementCalls::default(),
            portfolio: Portfolio::default(),
        });
        index
    }

    pub(crate) fn add_number(&mut self, number: Number) -> u32 {
        let index = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.number_by_id.insert(Arc::clone(&number.id), index);
        self.numbers.push(number);
        index
    }

    fn seed_person(&mut self, seed: &SeedPerson) {
        let Some(index) = self.people.ensure(&seed.phone) else { return };
        let person = self.people.get_mut(index);
        person.name = Some(seed.name.as_str().into());
        person.known = true;
        if seed.window_open {
            for number in 0..self.numbers.len() {
                self.open_window(u32::try_from(number).unwrap_or(0), index, self.now_ms());
            }
        }
    }

    fn seed_template(&mut self, waba: u32, definition: &Value) {
        let text = |name: &str, default: &str| {
            definition.get(name).and_then(Value::as_str).unwrap_or(default).to_owned()
        };
        let components = definition.get("components").cloned().unwrap_or_else(|| json!([]));
        let template = Template {
            id: self.templates.next_id(),
            waba,
            name: text("name", ""),
            language: text("language", "en_US"),
            status: text("status", "APPROVED"),
            category: text("category", "UTILITY").to_ascii_uppercase(),
            previous_category: None,
            parameter_format: text("parameter_format", "POSITIONAL").to_ascii_uppercase(),
            definition: Definition::new(components),
            ttl_s: None,
            rejected_reason: None,
            made_at_ms: self.now_ms(),
            edits_ms: Vec::new(),
            pending_since_ms: 0,
        };
        self.templates.insert(template);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn find_number(&self, id: &str) -> Option<u32> {
        self.number_by_id.get(id).copied()
    }

    /// By id or display number, as control calls name it.
    pub(crate) fn find_number_by_any(&self, name: &str) -> Option<u32> {
        let digits = name.trim_start_matches('+');
        self.find_number(digits).or_else(|| {
            let position = self.numbers.iter().position(|number| *number.display == *digits)?;
            u32::try_from(position).ok()
        })
    }

    pub(crate) fn number(&self, number: u32) -> &Number {
        &self.numbers[number as usize]
    }

    pub(crate) fn number_mut(&mut self, number: u32) -> &mut Number {
        &mut self.numbers[number as usize]
    }

    pub(crate) fn find_waba(&self, id: &str) -> Option<u32> {
        self.waba_by_id.get(id).copied()
    }

    pub(crate) fn waba(&self, waba: u32) -> &Waba {
        &self.wabas[waba as usize]
    }

    pub(crate) fn waba_mut(&mut self, waba: u32) -> &mut Waba {
        &mut self.wabas[waba as usize]
    }

    pub(crate) fn chat(&mut self, number: u32, person: u32) -> &mut Chat {
        self.chats.entry((number, person)).or_default()
    }

    /// Opens the window for 24 hours from an instant; it never shortens one.
    pub(crate) fn open_window(&mut self, number: u32, person: u32, from_ms: i64) {
        let chat = self.chat(number, person);
        chat.window_until_ms = chat.window_until_ms.max(from_ms.saturating_add(WINDOW_MS));
    }

    /// Adds a task and wakes the loop that carries it out.
    pub(crate) fn plan(&mut self, at_ms: i64, task: Task) {
        if self.agenda.add(at_ms, task) {
            self.wake.progress.notify_one();
        }
    }

    /// Carries out tasks whose time has come, at most `max_tasks`; returns when the next one is
    /// due, if there is one.
    pub(crate) fn run_due(&mut self, max_tasks: usize) -> Option<i64> {
        let now_ms = self.now_ms();
        for _ in 0..max_tasks {
            let Some(task) = self.agenda.take_due(now_ms) else { break };
            match task {
                Task::Sent(seq) => self.progress_sent(seq, now_ms),
                Task::Delivered(seq) => self.progress_delivered(seq),
                Task::Fail(seq, failure) => self.progress_failed(seq, failure),
                Task::Review(template) => self.finish_review(&template),
                Task::ReleaseHeldBack => {
                    self.outbox.release_held_back();
                    self.wake.webhooks.notify_one();
                }
            }
        }
        self.agenda.next_ms()
    }

    fn progress_sent(&mut self, seq: u64, now_ms: i64) {
        let Some(entry) = self.log.get(seq) else { return };
        if entry.furthest().is_some() {
            return;
        }
        let blocks = self.people.get(entry.person).blocks_business;
        // Reactions get no further status, and a phone that blocks the business shows nothing.
        let goes_on = entry.kind != "reaction" && !blocks;
        self.report(seq, Status::Sent, None);
        if goes_on {
            self.plan(now_ms + DELIVERED_DELAY_MS, Task::Delivered(seq));
        }
    }

    fn progress_delivered(&mut self, seq: u64) {
        let Some(entry) = self.log.get(seq) else { return };
        if entry.furthest() == Some(Status::Sent) {
            let key = (entry.number, entry.person);
            self.chat(key.0, key.1).deliver(seq);
            self.report(seq, Status::Delivered, None);
        }
    }

    fn progress_failed(&mut self, seq: u64, failure: Box<Failure>) {
        let is_open = self.log.get(seq).is_some_and(|entry| entry.furthest().is_none());
        if is_open {
            self.report(seq, Status::Failed, Some(failure));
        }
    }

    /// Queues a webhook of the field `messages`.
    pub(crate) fn tell_number(&mut self, number: u32, person: u32, kind: &str, value: &Value) {
        let this = &self.numbers[number as usize];
        let waba = &self.wabas[this.waba as usize];
        let over = this.webhook_override.as_ref().or(waba.webhook_override.as_ref());
        let Some(route) = self.route(waba, over) else {
            self.outbox.note_unrouted();
            return;
        };
        let update = Update::new(route, &waba.id, None, "messages", value);
        let occasion = Occasion {
            to: self.people.get(person).address(),
            from: (&this.id, &this.display),
            kind,
            is_message: true,
        };
        let fault = self.faults.for_webhook(occasion);
        self.queue(update, fault);
    }

    /// Queues a webhook of another field.
    pub(crate) fn tell_waba(&mut self, waba: u32, field: &str, value: &Value) {
        let this = &self.wabas[waba as usize];
        let Some(route) = self.route(this, this.webhook_override.as_ref()) else {
            self.outbox.note_unrouted();
            return;
        };
        let time_s = Some(self.now_ms() / 1_000);
        let update = Update::new(route, &this.id, time_s, field, value);
        let occasion = Occasion { to: "", from: (&this.id, ""), kind: field, is_message: true };
        let fault = self.faults.for_webhook(occasion);
        self.queue(update, fault);
    }

    /// Where updates of a WABA go; nowhere when nothing is subscribed.
    fn route(&self, waba: &Waba, over: Option<&Arc<str>>) -> Option<Route> {
        match over {
            _ if !waba.subscribed => None,
            Some(url) => Some(Route::Override(Arc::clone(url))),
            None => self.app.url.is_some().then_some(Route::App),
        }
    }

    fn queue(&mut self, update: Update, fault: Option<WebhookFault>) {
        match fault {
            None => self.outbox.push(update),
            Some(WebhookFault::Duplicate) => self.outbox.push_twice(update),
            Some(WebhookFault::Drop) => self.outbox.note_dropped_by_fault(),
            Some(WebhookFault::Withhold) => self.outbox.withhold(update),
            Some(WebhookFault::Reorder) => {
                self.outbox.hold_back(update);
                self.plan(self.now_ms() + REORDER_WAIT_MS, Task::ReleaseHeldBack);
            }
        }
        self.wake.webhooks.notify_one();
    }

    pub(crate) fn note_change(&self, number: u32, person: u32) {
        if self.changes.receiver_count() == 0 {
            return;
        }
        let change = Change {
            phone: self.people.get(person).address().into(),
            phone_number_id: Arc::clone(&self.number(number).id),
        };
        // Nobody listening is no failure.
        drop(self.changes.send(Some(change)));
    }

    /// More than one chat may look different now: the page fetches everything again.
    pub(crate) fn note_any_change(&self) {
        drop(self.changes.send(None));
    }

    /// The person sees the chat: what was delivered is read now.
    pub(crate) fn read_chat(&mut self, number: u32, person: u32) -> usize {
        let unread = std::mem::take(&mut self.chat(number, person).unread);
        let mut count = 0;
        for seq in unread {
            let is_delivered = self.log.get(seq).is_some_and(|entry| {
                entry.direction == Direction::Out && entry.furthest() == Some(Status::Delivered)
            });
            if is_delivered {
                self.report(seq, Status::Read, None);
                count += 1;
            }
        }
        count
    }
}
