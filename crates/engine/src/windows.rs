//! What becomes of a message while its person's window is closed: refused with what would do, left
//! to the upstream, kept until the person writes, or replaced by a template that may always go.

use std::sync::Arc;

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter, TemplateMessage};
use waypost_domain::directory::Number;
use waypost_domain::message::{Message, MessageOptions};
use waypost_domain::place::{Place, Traffic};
use waypost_domain::template::{self, Template};
use waypost_domain::window::{ClosedWindow, WINDOW_MS, Window, WindowPolicy};
use waypost_domain::{Content, ErrorKind, Failure, MediaRef, Timestamp};

use crate::admission::Acting;
use crate::ports::{Hold, Recipient, Start};
use crate::{Ask, Engine};

/// Templates that a refusal names.
const MOST_NAMED: usize = 10;
/// And those that its text names.
const MOST_IN_WORDS: usize = 3;
/// The longest text that a template's body may come to with its values, in characters.
const MAX_BODY_CHARS: usize = 1_024;
/// Blanks in a row that the upstream takes in a value.
const MAX_BLANKS: usize = 4;

/// Whether a message can be put off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Its caller waits for the outcome: to hold it is no answer.
    None,
    /// It is sent later anyway.
    Some,
}

/// How a message goes on in view of its window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Passage {
    /// As it is.
    Free,
    /// Once the person has written.
    Held(Holding),
    /// This template goes in its place, and carries its text.
    Replaced(TemplateMessage<MediaDraft>),
}

/// How a message is kept until its person writes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holding {
    open_if_wrote_after: Timestamp,
    /// Goes ahead, so that the person has something to answer.
    nudge: Option<TemplateMessage<MediaRef>>,
}

/// How a queued message goes on at its turn, in view of its person's word and window then.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AtTurn {
    /// It may be attempted.
    Goes,
    /// Its window has closed, and it is kept until the person writes again.
    Waits,
    /// Its person has opted out, or its window has closed, and nothing becomes of it.
    Fails(Failure),
}

impl Engine {
    /// Free-form messages need an open window.
    pub(crate) fn passage<M>(
        &self,
        acting: &Acting,
        recipient: &Recipient,
        content: &Content<M>,
        options: &MessageOptions,
        patience: Patience,
    ) -> Result<Passage, Failure> {
        if content.is_template() {
            return Ok(Passage::Free);
        }
        let Some(window) = self.closed_window(acting, recipient) else { return Ok(Passage::Free) };
        let fallback = self.fallback(acting, options);
        if let (Some(template), Content::Text { body, .. }) = (&fallback, content)
            && let Some(carrying) = carrying(template, body)
        {
            return Ok(Passage::Replaced(carrying));
        }
        if acting.org.window_policy == WindowPolicy::Hold && patience == Patience::Some {
            let open_if_wrote_after = self.now().plus_ms(-WINDOW_MS);
            let nudge = fallback.as_ref().and_then(without_values);
            return Ok(Passage::Held(Holding { open_if_wrote_after, nudge }));
        }
        Err(self.closed(acting, window))
    }

    /// A queued message has its turn: its person may have opted out since it was accepted, or its
    /// window may have closed. A fallback template does not take its place any more: the record says
    /// what was accepted.
    pub(crate) async fn at_turn(
        &self,
        message: &Message,
        number: &Arc<Number>,
    ) -> Result<AtTurn, Failure> {
        let Some(org) = self.directory().org(&message.org_id) else { return Ok(AtTurn::Goes) };
        let (phone, number_id) = (&message.phone, &number.id);
        let recipient = self.store().recipient_by_phone(&org.id, phone, number_id).await?;
        if let Err(failure) = self.check_consent(&org, &recipient) {
            return Ok(AtTurn::Fails(failure));
        }
        if message.content.is_template() {
            return Ok(AtTurn::Goes);
        }
        let acting = Acting { org, number: Arc::clone(number) };
        let Some(window) = self.closed_window(&acting, &recipient) else {
            return Ok(AtTurn::Goes);
        };
        match message.options.expires_at {
            Some(until) if acting.org.window_policy == WindowPolicy::Hold => {
                let open_if_wrote_after = self.now().plus_ms(-WINDOW_MS);
                self.store().hold(message.id, until, open_if_wrote_after).await?;
                Ok(AtTurn::Waits)
            }
            _ => Ok(AtTurn::Fails(self.closed(&acting, window))),
        }
    }

    /// The person's window, where it keeps free-form messages back.
    fn closed_window(&self, acting: &Acting, recipient: &Recipient) -> Option<Window> {
        let now = self.now();
        let window = Window::at(now, recipient.last_inbound_at);
        let policy = acting.org.window_policy;
        let asked = if policy == WindowPolicy::Hold { WindowPolicy::Refuse } else { policy };
        let is_open = window.admits_free_form(asked, now, acting.number.created_at);
        (!is_open).then_some(window)
    }

    /// The template that the message, or else its organisation, names for this case, if it may be
    /// sent.
    fn fallback(&self, acting: &Acting, options: &MessageOptions) -> Option<Template> {
        let named = options.fallback_template.as_ref().or(acting.org.window_fallback.as_ref());
        let name = named.filter(|name| !name.is_empty())?;
        let candidates = self.directory().templates_named(&acting.number.waba_id, name);
        let default_language = acting.org.default_language.as_deref();
        match template::in_language(name, &candidates, None, default_language) {
            Ok(template) => Some(template.clone()),
            Err(error) => {
                tracing::warn!(org = %acting.org.id, template = name, %error, "fallback template");
                None
            }
        }
    }

    fn closed(&self, acting: &Acting, window: Window) -> Failure {
        let told = self.told_of(&acting.number, window);
        let usable = told.templates.iter().take(MOST_IN_WORDS);
        let names: Vec<&str> = usable.map(|template| template.name.as_str()).collect();
        let why = match told.since {
            Some(at) => format!("The 24-hour window closed at {}", at.rfc3339()),
            None => "The customer has not written to this number".to_owned(),
        };
        let such_as = match names.as_slice() {
            [] => String::new(),
            names => format!(" (such as {})", names.join(", ")),
        };
        let message = format!(
            "{why}; send an approved template{such_as}, or wait until the customer writes."
        );
        Failure::new(ErrorKind::WindowClosed, message).with_window(told)
    }

    /// What a failure tells of a closed window.
    fn told_of(&self, number: &Number, window: Window) -> ClosedWindow {
        ClosedWindow {
            number_id: number.id.clone(),
            since: window.closed_since(),
            templates: self.directory().usable_templates(&number.waba_id, MOST_NAMED),
        }
    }

    /// Why a message fails that was kept until the person writes, who did not, or who must not be
    /// written to.
    pub(crate) async fn never_opened(&self, message: &Message) -> Result<Failure, Failure> {
        let text = "The customer did not write before the message's time to live ended.";
        let failure = Failure::new(ErrorKind::WindowClosed, text);
        let number = self.directory().number(&message.number_id);
        let Some(number) = number else { return Ok(failure) };
        let (org_id, phone) = (&message.org_id, &message.phone);
        let recipient = self.store().recipient_by_phone(org_id, phone, &number.id).await?;
        if let Some(org) = self.directory().org(org_id)
            && let Err(blocked) = self.check_consent(&org, &recipient)
        {
            return Ok(blocked);
        }
        let window = Window::at(self.now(), recipient.last_inbound_at);
        Ok(failure.with_window(self.told_of(&number, window)))
    }

    /// How a message that is sent later begins, with its place in the queue.
    pub(crate) fn start_of(
        &self,
        ask: &Ask<()>,
        acting: &Acting,
        message: &Message,
        holding: Option<Holding>,
    ) -> Start {
        let place = self.place(acting, message);
        let Some(Holding { open_if_wrote_after, nudge }) = holding else {
            return Start::Queue { due_at: message.created_at, place };
        };
        let until = message.options.expires_at.unwrap_or(message.created_at);
        let nudge = nudge.map(|template| {
            let content = Content::Template(template);
            let place = Place::of(self.traffic(acting, &content), message.options.priority);
            let options = MessageOptions {
                expires_at: message.options.expires_at,
                has_default_life: message.options.has_default_life,
                ..MessageOptions::default()
            };
            let nudge = Message {
                customer_id: message.customer_id.clone(),
                user_id: message.user_id.clone(),
                session_id: message.session_id.clone(),
                options,
                ..self.fresh_message(ask, acting, message.phone.clone(), content)
            };
            (nudge, place)
        });
        Start::Hold(Box::new(Hold { open_if_wrote_after, until, place, nudge }))
    }

    /// Where a message stands in its number's queue.
    pub(crate) fn place(&self, acting: &Acting, message: &Message) -> Place {
        Place::of(self.traffic(acting, &message.content), message.options.priority)
    }

    /// What kind of traffic a message is.
    pub(crate) fn traffic<M>(&self, acting: &Acting, content: &Content<M>) -> Traffic {
        Traffic::of(content, |name, language| {
            self.directory().traffic_of(&acting.number.waba_id, name, language)
        })
    }
}

/// The template with a text as its one value; `None` where it takes other values, or the text does
/// not fit.
fn carrying(template: &Template, text: &str) -> Option<TemplateMessage<MediaDraft>> {
    let (body, names) = template.body_variables()?;
    let [name] = names[..] else { return None };
    let text = in_one_line(text);
    let length = body.chars().count() + text.chars().count();
    let name = template.is_named().then(|| name.to_owned());
    let message = TemplateMessage {
        name: template.name.clone(),
        language: Some(template.language.clone()),
        components: vec![Component::new("body", vec![Parameter::Text { text, name }])],
    };
    (length <= MAX_BODY_CHARS && template.check(&message).is_ok()).then_some(message)
}

/// The template, where it needs no values.
fn without_values(template: &Template) -> Option<TemplateMessage<MediaRef>> {
    let message = TemplateMessage {
        name: template.name.clone(),
        language: Some(template.language.clone()),
        components: Vec::new(),
    };
    template.check(&message).is_ok().then_some(message)
}

/// The upstream takes neither line breaks nor tabs nor many blanks in a value.
fn in_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut blanks = 0;
    for char in text.trim().chars() {
        let char = if char.is_control() { ' ' } else { char };
        blanks = if char == ' ' { blanks + 1 } else { 0 };
        if blanks <= MAX_BLANKS {
            line.push(char);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(body: &str, format: &str) -> Template {
        Template {
            id: "1".to_owned(),
            waba_id: "100000000000002".to_owned(),
            name: "you_have_mail".to_owned(),
            language: "en".to_owned(),
            status: "APPROVED".to_owned(),
            category: "UTILITY".to_owned(),
            parameter_format: Some(format.to_owned()),
            components: vec![json!({"type": "BODY", "text": body})],
            synced_at: Timestamp(0),
        }
    }

    #[test]
    fn a_template_with_one_value_carries_the_text() {
        let positional = template("We say: {{1}}.", "POSITIONAL");
        let message = carrying(&positional, "one\r\ntwo\tthree").unwrap();
        let expected = Parameter::Text { text: "one  two three".to_owned(), name: None };
        assert_eq!(message.components, [Component::new("body", vec![expected])]);
        let named = carrying(&template("We say: {{text}}.", "NAMED"), "hi").unwrap();
        let expected = Parameter::Text { text: "hi".to_owned(), name: Some("text".to_owned()) };
        assert_eq!(named.components, [Component::new("body", vec![expected])]);
    }

    #[test]
    fn a_text_that_does_not_fit_is_not_carried() {
        let long = "x".repeat(MAX_BODY_CHARS);
        for (body, text) in
            [("Write to us.", "hi"), ("{{1}} and {{2}}", "hi"), ("We say: {{1}}.", &long)]
        {
            assert_eq!(carrying(&template(body, "POSITIONAL"), text), None, "{body}");
        }
        let mut with_header = template("We say: {{1}}.", "POSITIONAL");
        with_header.components.push(json!({"type": "HEADER", "format": "IMAGE"}));
        assert_eq!(carrying(&with_header, "hi"), None);
    }

    #[test]
    fn only_a_template_without_values_goes_ahead() {
        assert!(without_values(&template("Write to us.", "POSITIONAL")).is_some());
        assert!(without_values(&template("We say: {{1}}.", "POSITIONAL")).is_none());
    }

    #[test]
    fn many_blanks_become_four() {
        assert_eq!(in_one_line("  a        b\n\n\n\n\n\nc "), "a    b    c");
    }
}
