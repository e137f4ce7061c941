//! Which variable of a template each of a request's loosely named values belongs to. Named
//! variables go by their names; numbered ones by number or by the order of the request; buttons by
//! kind. A value too few or too many is the vendor's 7804, a header without its file 7812.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter};
use waypost_domain::media::MediaKind;
use waypost_domain::template::{Template, is_of_type, variables, variables_of_body};
use waypost_domain::{ErrorKind, Failure, MediaId, MediaSource};

use super::codes;

/// A request's values, in the order in which they were written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Values {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<HeaderFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) quick_replies: Vec<QuickReply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) otp: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entries: Vec<Entry>,
}

/// The header's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HeaderFile {
    pub(super) kind: MediaKind,
    pub(super) place: Place,
    /// The field of the request that says where it is.
    pub(super) field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
}

/// Where a file is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Place {
    Link(String),
    Id(String),
}

/// What a quick-reply button sends back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QuickReply {
    pub(super) button_text: Option<String>,
    pub(super) payload: String,
}

/// A value under a name of the author's choice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) given: Given,
}

/// A value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Given {
    Text(String),
    /// A parameter in the Cloud API's form: a currency or a date.
    Meta(Value),
    /// The ending of a button's address.
    Url(String),
}

impl Values {
    /// Puts a value in its place; of one name the last value counts. Not where there are `max`.
    pub(super) fn set(&mut self, entry: Entry, max: usize) -> bool {
        let place = self.entries.iter().position(|known| known.name == entry.name);
        match place {
            Some(at) => self.entries[at] = entry,
            None if self.entries.len() < max => self.entries.push(entry),
            None => return false,
        }
        true
    }

    /// Puts the header's file; of one kind the last counts.
    pub(super) fn set_file(&mut self, file: HeaderFile) {
        self.files.retain(|known| known.kind != file.kind);
        self.files.push(file);
    }

    /// The form in which they wait for the template.
    pub(super) fn into_json(self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// [`waypost_domain::command::BindTemplate`] of this dialect.
pub(super) fn bind(
    template: &Template,
    values: &Value,
) -> Result<Vec<Component<MediaDraft>>, Failure> {
    let values =
        Values::deserialize(values).map_err(|_| mismatch("The values cannot be read again."))?;
    let mut binder = Binder {
        template,
        used: vec![false; values.entries.len()],
        is_otp_used: false,
        is_file_used: false,
        values: &values,
    };
    let header = binder.header()?;
    let body = binder.body()?;
    let buttons = binder.buttons()?;
    binder.judge_surplus()?;
    Ok(header.into_iter().chain(body).chain(buttons).collect())
}

struct Binder<'a> {
    template: &'a Template,
    values: &'a Values,
    /// For each entry, whether a variable has it.
    used: Vec<bool>,
    is_otp_used: bool,
    is_file_used: bool,
}

impl<'a> Binder<'a> {
    fn header(&mut self) -> Result<Option<Component<MediaDraft>>, Failure> {
        let Some(header) = self.template.part("HEADER") else { return Ok(None) };
        let format = header["format"].as_str().unwrap_or("TEXT");
        if format.eq_ignore_ascii_case("TEXT") {
            return self.text_header(header);
        }
        let wanted = MediaKind::parse(format);
        let file = self.values.files.iter().find(|file| Some(file.kind) == wanted);
        let Some(file) = file else {
            let message = format!("The template's header needs its {}.", format.to_lowercase());
            let kind = ErrorKind::TemplateParameterMismatch;
            return Err(codes::COMPONENT_MISSING.failure(kind, message));
        };
        self.is_file_used = true;
        Ok(Some(Component::new("header", vec![file.to_parameter()])))
    }

    fn text_header(&mut self, header: &Value) -> Result<Option<Component<MediaDraft>>, Failure> {
        let mut parameters = Vec::new();
        for variable in variables(header["text"].as_str().unwrap_or_default()) {
            let value = if is_number(variable) {
                self.take("header_1").or_else(|| self.take("headerText"))
            } else {
                self.take(variable)
            };
            parameters.push(parameter(variable, value)?);
        }
        Ok((!parameters.is_empty()).then(|| Component::new("header", parameters)))
    }

    fn body(&mut self) -> Result<Option<Component<MediaDraft>>, Failure> {
        let variables = variables_of_body(&self.template.components);
        if variables.is_empty() {
            return Ok(None);
        }
        if let (true, Some(code)) = (self.template.is_authentication(), &self.values.otp) {
            self.is_otp_used = true;
            return Ok(Some(Component::new("body", vec![text(code)])));
        }
        let by_order = if self.has_numbered() { Vec::new() } else { self.unnamed() };
        let mut parameters = Vec::with_capacity(variables.len());
        for (place, variable) in variables.into_iter().enumerate() {
            let value = if !is_number(variable) {
                self.take(variable)
            } else if let Some(entry) = by_order.get(place) {
                self.take_at(*entry)
            } else {
                self.take(variable).or_else(|| self.take(&format!("body_{variable}")))
            };
            parameters.push(parameter(variable, value)?);
        }
        Ok(Some(Component::new("body", parameters)))
    }

    fn buttons(&mut self) -> Result<Vec<Component<MediaDraft>>, Failure> {
        let buttons = self.template.buttons();
        let replies = self.quick_replies(buttons)?;
        let mut components = Vec::new();
        let mut addresses = 0;
        for (index, button) in (0_u32..).zip(buttons) {
            let takes_address = is_of_type(button, "OTP")
                || is_of_type(button, "URL")
                    && !variables(button["url"].as_str().unwrap_or_default()).is_empty();
            if let Some(payload) = replies.get(&index) {
                let value = Parameter::Other(json!({"type": "payload", "payload": payload}));
                components.push(Component::button("quick_reply", index, vec![value]));
            } else if takes_address {
                addresses += 1;
                let ending = self.address_ending(addresses)?;
                components.push(Component::button("url", index, vec![text(&ending)]));
            }
        }
        Ok(components)
    }

    /// Payloads by the button's index. An entry goes to the button of its text, else to the
    /// button of its place, else to the first that is left.
    fn quick_replies(&self, buttons: &[Value]) -> Result<BTreeMap<u32, &'a str>, Failure> {
        let answering: Vec<(u32, &Value)> = (0_u32..)
            .zip(buttons)
            .filter(|(_, button)| is_of_type(button, "QUICK_REPLY"))
            .collect();
        let mut payloads = BTreeMap::new();
        let mut loose = Vec::new();
        for (place, reply) in self.values.quick_replies.iter().enumerate() {
            let says = |button: &Value| {
                let label = button["text"].as_str().unwrap_or_default().trim();
                reply.button_text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(label))
            };
            let named = answering.iter().find(|(_, button)| says(button));
            match named.filter(|(index, _)| !payloads.contains_key(index)) {
                Some((index, _)) => {
                    payloads.insert(*index, reply.payload.as_str());
                }
                None => loose.push((place, reply)),
            }
        }
        for (place, reply) in loose {
            let mut free = answering.get(place).into_iter().chain(&answering);
            let Some((index, _)) = free.find(|(index, _)| !payloads.contains_key(index)) else {
                return Err(mismatch("More quick replies are given than the template has."));
            };
            payloads.insert(*index, reply.payload.as_str());
        }
        Ok(payloads)
    }

    /// The value for the n-th button with an address that varies, from 1.
    fn address_ending(&mut self, button: usize) -> Result<String, Failure> {
        if let (true, Some(code)) = (self.template.is_authentication(), &self.values.otp) {
            self.is_otp_used = true;
            return Ok(code.clone());
        }
        let entries = &self.values.entries;
        let named = entries.iter().position(|entry| entry.name == format!("button_{button}"));
        let is_loose =
            |entry: &Entry| matches!(entry.given, Given::Url(_)) && !is_place(&entry.name);
        let in_order = || {
            let loose = entries.iter().enumerate().filter(|(_, entry)| is_loose(entry));
            loose.map(|(at, _)| at).nth(button - 1)
        };
        let at = named.or_else(in_order).filter(|at| !self.used[*at]);
        match at.map(|at| (at, &entries[at].given)) {
            Some((at, Given::Url(ending) | Given::Text(ending))) if !ending.trim().is_empty() => {
                self.used[at] = true;
                Ok(ending.clone())
            }
            _ => Err(mismatch(format!("The address of button {button} has no value."))),
        }
    }

    /// Whether the body's variables are given by number.
    fn has_numbered(&self) -> bool {
        self.values.entries.iter().any(|entry| {
            is_number(&entry.name) || entry.name.strip_prefix("body_").is_some_and(is_number)
        })
    }

    /// The places of the values that neither another variable nor a button has or names.
    fn unnamed(&self) -> Vec<usize> {
        let entries = self.values.entries.iter().zip(&self.used).enumerate();
        entries
            .filter(|(_, (entry, used))| {
                !**used && !matches!(entry.given, Given::Url(_)) && !is_place(&entry.name)
            })
            .map(|(at, _)| at)
            .collect()
    }

    fn take(&mut self, name: &str) -> Option<&'a Given> {
        let at = self.values.entries.iter().position(|entry| entry.name == name)?;
        self.take_at(at)
    }

    /// The value at a place, unless it is blank or a button's.
    fn take_at(&mut self, at: usize) -> Option<&'a Given> {
        let given = &self.values.entries.get(at)?.given;
        let is_value = match given {
            Given::Text(text) => !text.trim().is_empty(),
            Given::Meta(_) => true,
            Given::Url(_) => false,
        };
        if is_value {
            self.used[at] = true;
        }
        is_value.then_some(given)
    }

    fn judge_surplus(&self) -> Result<(), Failure> {
        let spare = self.values.entries.iter().zip(&self.used).find(|(_, used)| !**used);
        if let Some((entry, _)) = spare {
            return Err(mismatch(format!("The template has no place for `{}`.", entry.name)));
        }
        let files = usize::from(self.is_file_used);
        if self.values.files.len() > files {
            return Err(mismatch("The template's header takes no such file."));
        }
        if self.values.otp.is_some() && !self.is_otp_used {
            return Err(mismatch("The template takes no one-time code."));
        }
        Ok(())
    }
}

impl HeaderFile {
    fn to_parameter(&self) -> Parameter<MediaDraft> {
        let source = match &self.place {
            Place::Link(url) => MediaSource::Link { url: url.clone(), provider: None },
            Place::Id(id) => MediaSource::Id(MediaId::new(id)),
        };
        Parameter::Media {
            kind: self.kind,
            media: MediaDraft { kind: self.kind, source, field: self.field.clone() },
            filename: self.filename.clone(),
        }
    }
}

/// A key that names a place of its own, so that it stands for no variable of the body.
fn is_place(name: &str) -> bool {
    name == "header_1"
        || name == "headerText"
        || name.strip_prefix("button_").is_some_and(is_number)
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// A variable's value in the Cloud API's form, with the name where the variable has one.
fn parameter(variable: &str, value: Option<&Given>) -> Result<Parameter<MediaDraft>, Failure> {
    let name = (!is_number(variable)).then(|| variable.to_owned());
    match value {
        Some(Given::Text(text)) => Ok(Parameter::Text { text: text.clone(), name }),
        Some(Given::Meta(value)) => {
            let mut value = value.clone();
            if let Some(name) = name {
                value["parameter_name"] = Value::String(name);
            }
            Ok(Parameter::Other(value))
        }
        Some(Given::Url(_)) | None => {
            Err(mismatch(format!("The variable {variable} of the template has no value.")))
        }
    }
}

fn text(text: &str) -> Parameter<MediaDraft> {
    Parameter::Text { text: text.to_owned(), name: None }
}

fn mismatch(message: impl Into<String>) -> Failure {
    codes::PARAM_COUNT_MISMATCH.failure(ErrorKind::TemplateParameterMismatch, message)
}
