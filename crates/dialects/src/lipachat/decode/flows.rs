//! Forms: made and changed by a multipart form with the definition's file, or by JSON that holds
//! the definition.

use http::Method;
use serde::de::IgnoredAny;
use waypost_domain::manage::FlowsOf;
use waypost_domain::{ErrorKind, Failure};

use super::{
    MAX_NAME_CHARS, MAX_PHONE_CHARS, MAX_WORD_CHARS, MIN_PHONE_DIGITS, digits_of, flow_name,
};
use crate::contract::{Body, Form, Request, Task};
use crate::json::{self, Field, Object, Type};
use crate::lipachat::ID;
use crate::lipachat::wire::{member, path, text};

/// The most categories of a form; Meta has fewer words.
const MAX_CATEGORIES: usize = 16;

/// A request to make or to change a form.
struct Draft {
    number: Option<String>,
    name: Option<String>,
    categories: Vec<String>,
    definition: Definition,
}

/// Where a form's definition is.
enum Definition {
    /// In the request's JSON.
    Inline(Vec<u8>),
    /// In the multipart form's file.
    File,
    /// Nowhere, or it is no JSON object.
    Unreadable,
}

/// Any request about forms.
pub(super) fn task(request: &Request<'_>) -> Result<Task, Failure> {
    let flow = || flow_name(request.path_param(path::ID).unwrap_or_default());
    match (request.route_path, request.method) {
        (path::FLOWS, &Method::GET) => Ok(Task::ListFlows(FlowsOf::Org)),
        (path::FLOWS, _) => create(draft(request)?),
        (path::ONE_FLOW, &Method::GET) => Ok(Task::ListFlows(sender_or_flow(request)?)),
        (path::FLOW_PREVIEW, _) => Ok(Task::PreviewFlow { flow: flow()? }),
        (path::FLOW_PUBLISH, _) => Ok(Task::PublishFlow { flow: flow()? }),
        _ => {
            let draft = draft(request)?;
            let json = definition(draft.definition)?;
            let categories = (!draft.categories.is_empty()).then_some(draft.categories);
            Ok(Task::UpdateFlow { flow: flow()?, name: draft.name, categories, json })
        }
    }
}

/// Whose forms are listed. With a plus it is a number for sure; else it may be a form's id.
fn sender_or_flow(request: &Request<'_>) -> Result<FlowsOf, Failure> {
    let word = request.path_param(path::ID).unwrap_or_default().trim();
    let digits = digits_of(word)
        .ok_or_else(|| Failure::new(ErrorKind::FlowNotFound, "There is no such flow."))?;
    let is_number = word.starts_with('+') && digits.len() >= MIN_PHONE_DIGITS;
    Ok(if is_number { FlowsOf::Number(digits) } else { FlowsOf::NumberOrFlow(digits) })
}

fn create(draft: Draft) -> Result<Task, Failure> {
    let missing = |name| Field::new(name, None).missing();
    let number = draft.number.ok_or_else(|| missing(member::PHONE_NUMBER))?;
    let name = draft.name.ok_or_else(|| missing(member::NAME))?;
    if draft.categories.is_empty() {
        return Err(missing(member::CATEGORIES));
    }
    let json = definition(draft.definition)?;
    let number = digits_of(&number).ok_or_else(|| {
        let message = "phoneNumber names no number.";
        Failure::new(ErrorKind::NumberNotFound, message).at(member::PHONE_NUMBER)
    })?;
    Ok(Task::CreateFlow { number: Some(number), name, categories: draft.categories, json })
}

/// The vendor has one text for a form that it cannot read.
fn definition(definition: Definition) -> Result<Option<Vec<u8>>, Failure> {
    match definition {
        Definition::Inline(json) => Ok(Some(json)),
        Definition::File => Ok(None),
        Definition::Unreadable => {
            let message = "file must hold the flow's definition, a JSON object.";
            Err(Failure::new(ErrorKind::InvalidValue, message).at(member::FILE).in_words_of(
                ID,
                "400",
                text::REQUEST_FAILED,
            ))
        }
    }
}

fn draft(request: &Request<'_>) -> Result<Draft, Failure> {
    match request.body {
        Body::Form(form) => of_form(form),
        Body::Json(body) => of_json(body),
        Body::None => {
            let message = "This call takes a form or JSON.";
            Err(Failure::new(ErrorKind::UnsupportedContentType, message))
        }
    }
}

fn of_form(form: &Form) -> Result<Draft, Failure> {
    let part = |name: &str, max_chars| {
        let value = form.field(name).map(str::trim).filter(|value| !value.is_empty());
        match value {
            Some(value) if value.contains('\0') || value.chars().nth(max_chars).is_some() => {
                Err(Field::new(name, None).invalid("is too long, or holds the character U+0000"))
            }
            value => Ok(value.map(str::to_owned)),
        }
    };
    let categories = part(member::CATEGORIES, MAX_NAME_CHARS)?.unwrap_or_default();
    let definition = match &form.file {
        Some(file) if file.is_whole() && is_object(&file.head) => Definition::File,
        // The rest is in the spool; the upstream reads all of it.
        Some(file) if !file.is_whole() && begins_object(&file.head) => Definition::File,
        _ => Definition::Unreadable,
    };
    Ok(Draft {
        number: part(member::PHONE_NUMBER, MAX_PHONE_CHARS)?,
        name: part(member::NAME, MAX_NAME_CHARS)?,
        categories: split_categories(&categories),
        definition,
    })
}

fn of_json(body: &[u8]) -> Result<Draft, Failure> {
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [number, name, categories, file] =
        root.fields([member::PHONE_NUMBER, member::NAME, member::CATEGORIES, member::FILE]);
    Ok(Draft {
        number: super::optional(&number, MAX_PHONE_CHARS)?,
        name: super::optional(&name, MAX_NAME_CHARS)?,
        categories: json_categories(&categories)?,
        definition: inline_definition(&file),
    })
}

/// One text, or an array of texts.
fn json_categories(field: &Field<'_>) -> Result<Vec<String>, Failure> {
    if field.is_blank() {
        return Ok(Vec::new());
    }
    if field.required()?.kind() != Type::Array {
        return super::text(field, MAX_NAME_CHARS).map(|text| split_categories(&text));
    }
    let elements = field.array(MAX_CATEGORIES)?;
    let words = elements.iter().map(|element| super::text(element, MAX_WORD_CHARS));
    let words = words.collect::<Result<Vec<String>, Failure>>()?;
    Ok(split_categories(&words.join(",")))
}

/// The words in a text such as `OTHER`, `SURVEY, OTHER` or `["OTHER"]`. `OTHERS` is the vendor's
/// slip for `OTHER`.
fn split_categories(text: &str) -> Vec<String> {
    let is_separator = |char: char| char.is_whitespace() || ",;[]\"'".contains(char);
    let words = text.split(is_separator).filter(|word| !word.is_empty());
    let words = words.map(str::to_ascii_uppercase).take(MAX_CATEGORIES);
    words.map(|word| if word == "OTHERS" { "OTHER".to_owned() } else { word }).collect()
}

/// The definition as an object, or as a text that holds one.
fn inline_definition(file: &Field<'_>) -> Definition {
    let Ok(node) = file.required() else { return Definition::Unreadable };
    let json = match node.string() {
        Some(text) => text.decoded().into_owned(),
        None => node.written().to_owned(),
    };
    if is_object(json.as_bytes()) {
        Definition::Inline(json.into_bytes())
    } else {
        Definition::Unreadable
    }
}

fn is_object(bytes: &[u8]) -> bool {
    begins_object(bytes) && serde_json::from_slice::<IgnoredAny>(without_mark(bytes)).is_ok()
}

fn begins_object(bytes: &[u8]) -> bool {
    without_mark(bytes).trim_ascii_start().starts_with(b"{")
}

/// Without a byte-order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}
