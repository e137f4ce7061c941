//! `POST /{number}/messages`: accepts or refuses a message and plans what becomes of it. The form
//! of the body is checked in `validate`; statuses are reported by the state.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::agenda::Task;
use crate::call::Call;
use crate::errors::{Answer, Failure, GraphError, json_response};
use crate::faults::Occasion;
use crate::limits::{WindowRule, admit_pair};
use crate::links::Wanted;
use crate::log::{Category, Direction, Entry};
use crate::state::{DELIVERED_DELAY_MS, SENT_DELAY_MS, State};
use crate::templates::Definition;
use crate::validate::{self, Asked, MediaRef, Outgoing, Recipient, Source};
use crate::wamid::{self, Sender};

/// Answers the call.
pub(crate) async fn post(sandbox: &Sandbox, mut call: Call, number: u32) -> Answer<Response> {
    let (body, raw) = call.object().await?;
    let effect = {
        let (to, kind) = occasion_of(&body);
        let (id, display) = {
            let state = sandbox.state();
            let number = state.number(number);
            (Arc::clone(&number.id), number.display.clone())
        };
        let from = (id.as_ref(), display.as_ref());
        call.effect(sandbox, Occasion { to: &to, from, kind: &kind, is_message: true })?
    };
    if let Some(response) = effect.before().await? {
        return Ok(response);
    }
    let answer = carry_out(sandbox, number, &body, raw, effect.failure());
    effect.after(answer.map(|answer| json_response(200, &answer)))
}

/// The person and the type as far as they can be read before validation.
fn occasion_of(body: &Map<String, Value>) -> (String, String) {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let to = text("to").or_else(|| text("recipient")).unwrap_or("");
    let to = validate::phone_digits(to).unwrap_or_else(|| to.to_owned());
    let kind = match text("status") {
        Some(_) if body.contains_key("typing_indicator") => "typing",
        Some(_) => "read",
        None => text("type").unwrap_or("text"),
    };
    (to, kind.to_owned())
}

fn carry_out(
    sandbox: &Sandbox,
    number: u32,
    body: &Map<String, Value>,
    raw: String,
    forced: Option<Failure>,
) -> Answer<Value> {
    match validate::check(body)? {
        Asked::Receipt { message_id } => {
            sandbox.state().mark_seen_by_business(number, message_id)?;
            Ok(json!({"success": true}))
        }
        Asked::Message(message) => sandbox.state().accept(number, &message, raw, forced),
    }
}

/// What a template send needs to know of its template.
struct Chosen<'a> {
    category: Category,
    media: Vec<MediaRef<'a>>,
    template: Option<Arc<Definition>>,
}

impl State {
    /// A read receipt: the inbound message and the earlier ones of its chat are seen.
    fn mark_seen_by_business(&mut self, number: u32, wamid: &str) -> Answer<()> {
        let unknown = || GraphError::new(131_009, "message_id: there is no such message.");
        let seq = self.log.find(wamid).ok_or_else(unknown)?;
        let entry = self.log.get(seq).ok_or_else(unknown)?;
        if entry.direction != Direction::In || entry.number != number {
            return Err(unknown());
        }
        let person = entry.person;
        let earlier: Vec<u64> = self.chat(number, person).shown.iter().copied().collect();
        let now_ms = self.now_ms();
        for seq in earlier.into_iter().filter(|other| *other <= seq) {
            if let Some(entry) = self.log.get_mut(seq)
                && entry.direction == Direction::In
            {
                entry.see(now_ms);
            }
        }
        self.note_change(number, person);
        Ok(())
    }

    /// Accepts a message: checks what depends on the state, remembers it, plans its statuses.
    fn accept(
        &mut self,
        number: u32,
        message: &Outgoing<'_>,
        raw: String,
        forced: Option<Failure>,
    ) -> Answer<Value> {
        if !self.number(number).registered {
            return Err(GraphError::new(133_010, "Register the phone number first."));
        }
        let chosen = self.choose(number, message)?;
        self.check_flow(number, message)?;
        let mut failure =
            self.check_media_ids(&chosen.media)?.or_else(|| self.check_voice(message));
        let person = self.find_recipient(number, message)?;
        self.check_limits(number, person, message.kind == "template")?;
        if let Some(found) = forced.or_else(|| self.foresee(number, person, message)) {
            failure = Some(found);
        }
        let address = self.people.get(person).address();
        let wamid: Arc<str> = Arc::from(wamid::new_wamid(address, Sender::Business));
        let now_ms = self.now_ms();
        let in_window = self.chat(number, person).is_open(now_ms);
        let seq = self.log.push(Entry {
            wamid: Arc::clone(&wamid),
            number,
            person,
            direction: Direction::Out,
            kind: message.kind,
            raw: raw.into(),
            opaque: message.opaque.map(Into::into),
            at_ms: now_ms,
            category: chosen.category,
            in_window,
            template: chosen.template,
            marks: Vec::new(),
        });
        self.chat(number, person).show(seq);
        match failure {
            Some(failure) => self.plan_failure(seq, failure),
            None => self.plan_progress(seq, &chosen.media, now_ms),
        }
        self.note_change(number, person);
        Ok(accepted(self, person, message, &wamid))
    }

    /// Price class and media of a message; for templates this checks the template.
    fn choose<'a>(&self, number: u32, message: &Outgoing<'a>) -> Answer<Chosen<'a>> {
        if message.kind != "template" {
            let media = message.media.clone();
            return Ok(Chosen { category: Category::Service, media, template: None });
        }
        let content = message.content;
        let name = content["name"].as_str().unwrap_or("");
        let language = content["language"]["code"].as_str().unwrap_or("");
        let waba = self.number(number).waba;
        let found = self.templates.find(waba, name, language);
        let template = found.ok_or_else(|| {
            let details = format!("template name ({name}) does not exist in {language}");
            GraphError::new(132_001, details)
        })?;
        match template.status.as_str() {
            "APPROVED" | "FLAGGED" | "REINSTATED" | "UNARCHIVED" => {}
            "PAUSED" => return Err(GraphError::new(132_015, "The template is paused.")),
            "DISABLED" => return Err(GraphError::new(132_016, "The template is disabled.")),
            other => {
                let details = format!("template name ({name}) is {other} in {language}");
                return Err(GraphError::new(132_001, details));
            }
        }
        let category = Category::parse(&template.category).unwrap_or(Category::Utility);
        let is_user_id = matches!(message.recipient, Recipient::UserId(_));
        if category == Category::Authentication && is_user_id {
            let details = "Authentication templates need a phone number in `to`.";
            return Err(GraphError::new(131_062, details));
        }
        let media = validate::check_template(content, &template.definition.shape)?;
        let template = Some(Arc::clone(&template.definition));
        Ok(Chosen { category, media, template })
    }

    /// A flow must exist, in the state that the mode of the message wants.
    fn check_flow(&self, number: u32, message: &Outgoing<'_>) -> Answer<()> {
        if message.kind != "interactive" || message.content["type"] != "flow" {
            return Ok(());
        }
        let parameters = &message.content["action"]["parameters"];
        let waba = self.number(number).waba;
        let text = |name: &str| parameters[name].as_str();
        let flow = match (text("flow_id"), text("flow_name")) {
            (Some(id), _) => self.flows.get(id).filter(|flow| flow.waba == waba),
            (None, Some(name)) => self.flows.named(waba, name),
            (None, None) => None,
        };
        let unknown = || GraphError::new(131_009, "flow_id or flow_name names no flow.");
        let screen = parameters["flow_action_payload"]["screen"].as_str();
        flow.ok_or_else(unknown)?
            .check_send(text("mode").unwrap_or("published"), screen)
            .map_err(|(code, why)| GraphError::new(code, why))
    }

    /// A voice message is an OGG file.
    fn check_voice(&self, message: &Outgoing<'_>) -> Option<Failure> {
        if message.kind != "audio" || message.content["voice"] != true {
            return None;
        }
        let file = self.media.get(message.content["id"].as_str()?, self.now_ms())?;
        let why = "A voice message must be of type audio/ogg with the codec opus.";
        (&*file.mime != "audio/ogg").then(|| Failure::new(131_053, why))
    }

    /// Unknown media are refused; unfit ones fail later.
    fn check_media_ids(&self, media: &[MediaRef<'_>]) -> Answer<Option<Failure>> {
        let now_ms = self.now_ms();
        let mut failure = None;
        for reference in media {
            let Source::Id(id) = reference.source else { continue };
            let file = self.media.get(id, now_ms).ok_or_else(|| GraphError::unknown_object(id))?;
            if let Err(why) = reference.kind.check(&file.mime, &file.head, file.size) {
                failure = Some(Failure::new(131_053, why));
            }
        }
        Ok(failure)
    }

    fn find_recipient(&mut self, number: u32, message: &Outgoing<'_>) -> Answer<u32> {
        let address = match &message.recipient {
            Recipient::Phone(digits) => digits.as_str(),
            Recipient::UserId(user_id) => user_id,
        };
        if *self.number(number).display == *address {
            return Err(GraphError::new(131_021, "The recipient is the sender."));
        }
        let person = self.people.ensure(address).ok_or_else(|| {
            GraphError::new(131_016, "The sandbox knows no more people: start over.")
        })?;
        if self.number(number).blocked.contains_key(&person) {
            return Err(GraphError::new(130_403, "The business has blocked this user."));
        }
        Ok(person)
    }

    /// Everything that is refused at once by a limit, the cheapest to correct first.
    fn check_limits(&mut self, number: u32, person: u32, is_template: bool) -> Answer<()> {
        let now_ms = self.now_ms();
        if self.limits.window == WindowRule::Sync
            && !is_template
            && !self.chat(number, person).is_open(now_ms)
        {
            return Err(GraphError::new(131_047, window_details()));
        }
        if self.limits.pair {
            // Charged only if the throughput admits the message too.
            let mut tat_ms = self.chat(number, person).pair_tat_ms;
            if !admit_pair(&mut tat_ms, now_ms) {
                let details = "Too many messages from this number to this user in a short time.";
                return Err(GraphError::new(131_056, details));
            }
        }
        if let Some(limit) = self.limits.throughput_per_s
            && !self.number_mut(number).pace.admit(now_ms, limit)
        {
            let details = "Cloud API message throughput has been reached.";
            return Err(GraphError::new(130_429, details));
        }
        if self.limits.pair {
            admit_pair(&mut self.chat(number, person).pair_tat_ms, now_ms);
        }
        Ok(())
    }

    /// The failure that an accepted message will get, if it will.
    fn foresee(&mut self, number: u32, person: u32, message: &Outgoing<'_>) -> Option<Failure> {
        let now_ms = self.now_ms();
        let this = self.people.get(person);
        if !this.on_whatsapp {
            let details = "The recipient is not a WhatsApp user or cannot get this message.";
            return Some(Failure::new(131_026, details));
        }
        if message.identity_hash.is_some_and(|hash| hash != this.identity_hash()) {
            return Some(Failure::new(137_000, "The recipient's identity has changed."));
        }
        let is_open = self.chat(number, person).is_open(now_ms);
        if message.kind == "template" {
            return (!is_open).then(|| self.charge_portfolio(number, person, now_ms))?;
        }
        if !is_open && self.limits.window == WindowRule::Async {
            return Some(Failure::new(131_047, window_details()));
        }
        (message.kind == "reaction").then(|| self.check_reaction(number, person, message))?
    }

    fn charge_portfolio(&mut self, number: u32, person: u32, now_ms: i64) -> Option<Failure> {
        let limit = self.limits.portfolio?;
        let waba = self.number(number).waba;
        if self.waba_mut(waba).portfolio.admit(person, now_ms, limit) {
            return None;
        }
        Some(Failure::new(131_048, "The messaging limit of the business portfolio is reached."))
    }

    /// Only messages of the person can be reacted to.
    fn check_reaction(&self, number: u32, person: u32, message: &Outgoing<'_>) -> Option<Failure> {
        let wamid = message.content["message_id"].as_str().unwrap_or("");
        let entry = self.log.find(wamid).and_then(|seq| self.log.get(seq));
        let is_theirs = entry.is_some_and(|entry| {
            entry.direction == Direction::In && entry.number == number && entry.person == person
        });
        (!is_theirs).then(|| {
            Failure::new(131_009, "The message to react to is unknown or not from this user.")
        })
    }

    pub(crate) fn plan_failure(&mut self, seq: u64, failure: Failure) {
        let at_ms = self.now_ms() + DELIVERED_DELAY_MS;
        self.plan(at_ms, Task::Fail(seq, Box::new(failure)));
    }

    /// A message whose links are being fetched waits for them.
    fn plan_progress(&mut self, seq: u64, media: &[MediaRef<'_>], now_ms: i64) {
        let mut waits = false;
        for reference in media {
            let Source::Link(url) = reference.source else { continue };
            match self.links.want(reference.kind, url, seq, now_ms) {
                Wanted::Ready => {}
                Wanted::Waiting => waits = true,
                Wanted::Overloaded => {
                    let failure = Failure::new(131_053, "Too many links are being fetched.");
                    self.plan_failure(seq, failure);
                    return;
                }
            }
        }
        if waits {
            self.wake.links.notify_one();
        } else {
            self.plan(now_ms + SENT_DELAY_MS, Task::Sent(seq));
        }
    }
}

fn window_details() -> &'static str {
    "Message failed to send because more than 24 hours have passed since the customer last replied \
     to this number."
}

fn accepted(state: &State, person: u32, message: &Outgoing<'_>, wamid: &str) -> Value {
    let contact = match &message.recipient {
        Recipient::Phone(_) => {
            json!({"input": message.input, "wa_id": state.people.get(person).address()})
        }
        Recipient::UserId(user_id) => json!({"input": message.input, "user_id": user_id}),
    };
    let mut id = Map::new();
    id.insert("id".into(), wamid.into());
    if message.kind == "template" {
        id.insert("message_status".into(), "accepted".into());
    }
    json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [id]})
}
