//! How much an interactive message or a contact card may hold (Meta's limits, "Interactive messages"
//! in its Cloud API pages). The form has been read already; here texts are measured and entries are
//! counted, with Meta's paths for the fields.

use std::collections::HashSet;

use jiff::civil::Date;
use serde_json::Value;

use super::interactive::{
    Action, CALL_TTL_MINUTES, CARDS, Card, FlowCall, Header, Interactive, MAX_BODY_CHARS,
    MAX_BUTTON_ID_CHARS, MAX_BUTTON_TITLE_CHARS, MAX_BUTTONS, MAX_CALL_CHARS,
    MAX_CALL_PAYLOAD_CHARS, MAX_CARD_BODY_CHARS, MAX_CARD_LINE_BREAKS, MAX_CTA_CHARS,
    MAX_FLOW_CTA_CHARS, MAX_FOOTER_CHARS, MAX_HEADER_CHARS, MAX_LIST_BODY_CHARS,
    MAX_LIST_BUTTON_CHARS, MAX_PRODUCTS, MAX_ROW_DESCRIPTION_CHARS, MAX_ROW_ID_CHARS,
    MAX_ROW_TITLE_CHARS, MAX_ROWS, MAX_SECTIONS, MAX_URL_CHARS, Row, Section,
};
use super::{Contact, MAX_CONTACTS};
use crate::failure::{ErrorKind, Failure};
use crate::media::MediaKind;

impl<M> Interactive<M> {
    /// Checks every limit of this kind of message. `path` is where the `interactive` object stands
    /// in the caller's request; fields below it have Meta's names.
    ///
    /// # Errors
    /// [`ErrorKind::MissingField`], [`ErrorKind::InvalidValue`] or [`ErrorKind::ValueTooLong`] for
    /// the first field that is outside its limit.
    pub fn check(&self, path: &str) -> Result<(), Failure> {
        self.check_header(&format!("{path}.header"))?;
        self.check_body(&format!("{path}.body.text"))?;
        self.check_footer(&format!("{path}.footer"))?;
        let path = format!("{path}.action");
        match &self.action {
            Action::Buttons(buttons) => check_buttons(
                &path,
                "reply",
                buttons.iter().map(|button| (button.id.as_str(), button.title.as_str())),
            ),
            Action::List { button, sections } => {
                check_text(&format!("{path}.button"), button, MAX_LIST_BUTTON_CHARS)?;
                check_sections(&path, sections)
            }
            Action::CtaUrl { display_text, url } => {
                let path = format!("{path}.parameters");
                check_text(&format!("{path}.display_text"), display_text, MAX_CTA_CHARS)?;
                check_text(&format!("{path}.url"), url, MAX_URL_CHARS)
            }
            Action::LocationRequest => Ok(()),
            Action::Flow(call) => call.check(&format!("{path}.parameters")),
            Action::Carousel(cards) => check_cards(&path, cards),
            Action::Other { kind, action } => check_other(&path, kind, action),
        }
    }

    fn check_header(&self, path: &str) -> Result<(), Failure> {
        let kind = self.kind();
        match (&self.header, kind) {
            (None, "product_list") => Err(missing(path)),
            (None, _) => Ok(()),
            (Some(_), "location_request_message" | "product" | "carousel") => {
                Err(invalid(path, "is not for this kind of interactive message"))
            }
            (Some(Header::Text(text)), _) => {
                check_text(&format!("{path}.text"), text, MAX_HEADER_CHARS)
            }
            (Some(Header::Media { .. }), "list" | "product_list") => {
                Err(invalid(&format!("{path}.type"), "must be text"))
            }
            (Some(Header::Media { .. }), _) => Ok(()),
        }
    }

    fn check_body(&self, path: &str) -> Result<(), Failure> {
        let kind = self.kind();
        let max = if kind == "list" { MAX_LIST_BODY_CHARS } else { MAX_BODY_CHARS };
        match &self.body {
            Some(body) => check_text(path, body, max),
            None if matches!(kind, "product" | "call_permission_request") => Ok(()),
            None => Err(missing(path)),
        }
    }

    fn check_footer(&self, path: &str) -> Result<(), Failure> {
        let Some(footer) = &self.footer else { return Ok(()) };
        if matches!(self.kind(), "location_request_message" | "carousel") {
            return Err(invalid(path, "is not for this kind of interactive message"));
        }
        check_text(&format!("{path}.text"), footer, MAX_FOOTER_CHARS)
    }
}

impl FlowCall {
    fn check(&self, path: &str) -> Result<(), Failure> {
        check_text(&format!("{path}.flow_cta"), &self.cta, MAX_FLOW_CTA_CHARS)
    }
}

/// Buttons that answer, as pairs of id and title; `member` is what Meta calls the inner object.
fn check_buttons<'a>(
    path: &str,
    member: &str,
    buttons: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
) -> Result<(), Failure> {
    check_count(&format!("{path}.buttons"), buttons.len(), MAX_BUTTONS)?;
    let mut titles = HashSet::new();
    for (place, (id, title)) in buttons.enumerate() {
        let path = format!("{path}.buttons[{place}].{member}");
        check_text(&format!("{path}.id"), id, MAX_BUTTON_ID_CHARS)?;
        check_text(&format!("{path}.title"), title, MAX_BUTTON_TITLE_CHARS)?;
        if !titles.insert(title) {
            return Err(invalid(&format!("{path}.title"), "must differ from the other buttons'"));
        }
    }
    Ok(())
}

fn check_sections(path: &str, sections: &[Section]) -> Result<(), Failure> {
    let path = format!("{path}.sections");
    check_count(&path, sections.len(), MAX_SECTIONS)?;
    let rows: usize = sections.iter().map(|section| section.rows.len()).sum();
    if rows > MAX_ROWS {
        return Err(invalid(&path, &format!("may have at most {MAX_ROWS} rows in all")));
    }
    for (place, section) in sections.iter().enumerate() {
        let path = format!("{path}[{place}]");
        match &section.title {
            Some(title) => check_text(&format!("{path}.title"), title, MAX_ROW_TITLE_CHARS)?,
            None if sections.len() > 1 => return Err(missing(&format!("{path}.title"))),
            None => {}
        }
        check_count(&format!("{path}.rows"), section.rows.len(), MAX_ROWS)?;
        for (place, row) in section.rows.iter().enumerate() {
            check_row(&format!("{path}.rows[{place}]"), row)?;
        }
    }
    Ok(())
}

fn check_row(path: &str, row: &Row) -> Result<(), Failure> {
    check_text(&format!("{path}.id"), &row.id, MAX_ROW_ID_CHARS)?;
    check_text(&format!("{path}.title"), &row.title, MAX_ROW_TITLE_CHARS)?;
    match &row.description {
        Some(text) => check_text(&format!("{path}.description"), text, MAX_ROW_DESCRIPTION_CHARS),
        None => Ok(()),
    }
}

fn check_cards<M>(path: &str, cards: &[Card<M>]) -> Result<(), Failure> {
    let path = format!("{path}.cards");
    if !CARDS.contains(&cards.len()) {
        let rule = format!("must have {} to {} entries", CARDS.start(), CARDS.end());
        return Err(invalid(&path, &rule));
    }
    let first = cards.first().map(Card::quick_replies).unwrap_or_default();
    for (place, card) in cards.iter().enumerate() {
        let path = format!("{path}[{place}]");
        card.check(&path)?;
        if card.quick_replies() != first {
            let path = format!("{path}.action.buttons");
            return Err(invalid(&path, "must be as many and of the same kind on every card"));
        }
    }
    Ok(())
}

impl<M> Card<M> {
    /// How many buttons that answer it has.
    fn quick_replies(&self) -> usize {
        self.action["buttons"].as_array().map_or(0, Vec::len)
    }

    fn check(&self, path: &str) -> Result<(), Failure> {
        let is_product = self.kind.as_deref() == Some("product");
        match &self.header {
            Some(Header::Media { kind: MediaKind::Image | MediaKind::Video, .. }) => {}
            Some(_) => {
                return Err(invalid(&format!("{path}.header.type"), "must be image or video"));
            }
            None if is_product => {}
            None => return Err(missing(&format!("{path}.header"))),
        }
        if let Some(body) = &self.body {
            let path = format!("{path}.body.text");
            check_text(&path, body, MAX_CARD_BODY_CHARS)?;
            if body.matches('\n').count() > MAX_CARD_LINE_BREAKS {
                let rule = format!("may have at most {MAX_CARD_LINE_BREAKS} line breaks");
                return Err(invalid(&path, &rule));
            }
        }
        if is_product { Ok(()) } else { self.check_action(&format!("{path}.action")) }
    }

    fn check_action(&self, path: &str) -> Result<(), Failure> {
        if let Some(buttons) = self.action["buttons"].as_array() {
            let mut read = Vec::with_capacity(buttons.len());
            for (place, button) in buttons.iter().enumerate() {
                let path = format!("{path}.buttons[{place}].quick_reply");
                let part = |name: &str| {
                    let text = button["quick_reply"][name].as_str();
                    text.ok_or_else(|| missing(&format!("{path}.{name}")))
                };
                read.push((part("id")?, part("title")?));
            }
            let read = read.into_iter();
            return check_buttons(path, "quick_reply", read);
        }
        let parameters = &self.action["parameters"];
        check_member(&format!("{path}.parameters"), parameters, "display_text", MAX_CTA_CHARS)?;
        check_member(&format!("{path}.parameters"), parameters, "url", MAX_URL_CHARS)
    }
}

/// Kinds whose action is in Meta's form.
fn check_other(path: &str, kind: &str, action: &Value) -> Result<(), Failure> {
    match kind {
        "product" => {
            check_member(path, action, "catalog_id", MAX_BUTTON_ID_CHARS)?;
            check_member(path, action, "product_retailer_id", MAX_BUTTON_ID_CHARS)
        }
        "product_list" => {
            check_member(path, action, "catalog_id", MAX_BUTTON_ID_CHARS)?;
            check_products(&format!("{path}.sections"), &action["sections"])
        }
        "voice_call" => check_call(&format!("{path}.parameters"), &action["parameters"]),
        _ => Ok(()),
    }
}

fn check_products(path: &str, sections: &Value) -> Result<(), Failure> {
    let sections = sections.as_array().ok_or_else(|| missing(path))?;
    check_count(path, sections.len(), MAX_SECTIONS)?;
    let mut products = 0;
    for (place, section) in sections.iter().enumerate() {
        let path = format!("{path}[{place}]");
        if sections.len() > 1 {
            check_member(&path, section, "title", MAX_ROW_TITLE_CHARS)?;
        }
        let items = section["product_items"].as_array().map_or(0, Vec::len);
        check_count(&format!("{path}.product_items"), items, MAX_PRODUCTS)?;
        products += items;
    }
    if products > MAX_PRODUCTS {
        return Err(invalid(path, &format!("may have at most {MAX_PRODUCTS} products in all")));
    }
    Ok(())
}

fn check_call(path: &str, parameters: &Value) -> Result<(), Failure> {
    for (name, max) in [("display_text", MAX_CALL_CHARS), ("payload", MAX_CALL_PAYLOAD_CHARS)] {
        if !parameters[name].is_null() {
            check_member(path, parameters, name, max)?;
        }
    }
    let ttl = &parameters["ttl_minutes"];
    let fits = ttl.is_null() || ttl.as_u64().is_some_and(|ttl| CALL_TTL_MINUTES.contains(&ttl));
    let rule = format!("must be {} to {}", CALL_TTL_MINUTES.start(), CALL_TTL_MINUTES.end());
    if fits { Ok(()) } else { Err(invalid(&format!("{path}.ttl_minutes"), &rule)) }
}

/// Checks the limits of a message's contact cards. `path` is where their array stands.
///
/// # Errors
/// As [`Interactive::check`].
pub fn check_contacts(contacts: &[Contact], path: &str) -> Result<(), Failure> {
    check_count(path, contacts.len(), MAX_CONTACTS)?;
    for (place, contact) in contacts.iter().enumerate() {
        let (path, name) = (format!("{path}[{place}]"), &contact.name);
        if name.formatted_name.trim().is_empty() {
            return Err(missing(&format!("{path}.name.formatted_name")));
        }
        let parts =
            [&name.first_name, &name.last_name, &name.middle_name, &name.suffix, &name.prefix];
        if parts.into_iter().flatten().all(|part| part.trim().is_empty()) {
            return Err(missing(&format!("{path}.name.first_name")));
        }
        let is_date = |text: &String| text.len() == 10 && text.parse::<Date>().is_ok();
        if !contact.birthday.iter().all(is_date) {
            return Err(invalid(&format!("{path}.birthday"), "must be a date as YYYY-MM-DD"));
        }
    }
    Ok(())
}

/// A required text among the members of an object in Meta's form.
fn check_member(path: &str, object: &Value, name: &str, max_chars: usize) -> Result<(), Failure> {
    let path = format!("{path}.{name}");
    match &object[name] {
        Value::String(text) => check_text(&path, text, max_chars),
        Value::Number(_) if name.ends_with("_id") => Ok(()),
        Value::Null => Err(missing(&path)),
        _ => {
            Err(Failure::new(ErrorKind::InvalidType, format!("{path} must be a string.")).at(path))
        }
    }
}

/// A text that says something within a limit, in Unicode code points.
fn check_text(path: &str, text: &str, max_chars: usize) -> Result<(), Failure> {
    if text.trim().is_empty() {
        return Err(invalid(path, "must not be blank"));
    }
    if text.chars().count() > max_chars {
        let message = format!("{path} may have at most {max_chars} characters.");
        return Err(Failure::new(ErrorKind::ValueTooLong, message).at(path));
    }
    Ok(())
}

fn check_count(path: &str, count: usize, max: usize) -> Result<(), Failure> {
    if (1..=max).contains(&count) {
        return Ok(());
    }
    Err(invalid(path, &format!("must have 1 to {max} entries")))
}

fn missing(path: &str) -> Failure {
    Failure::new(ErrorKind::MissingField, format!("{path} is required.")).at(path)
}

fn invalid(path: &str, rule: &str) -> Failure {
    Failure::new(ErrorKind::InvalidValue, format!("{path} {rule}.")).at(path)
}

#[cfg(test)]
mod tests;
