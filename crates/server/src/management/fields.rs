//! The fields that many requests have, ids, names, texts and choices among a few words: what they
//! may be, and how that is described.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use waypost_domain::ids::is_acceptable_id;

use crate::problem::{Faults, Problem};

/// The longest name of an organisation, a user, a customer or a key, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 200;
/// The longest word of the caller's for a conversation, in characters.
pub(crate) const MAX_SESSION_CHARS: usize = 256;
/// What an id must be, as a caller is told it.
pub(crate) const ID_RULE: &str =
    "must have 1 to 128 visible ASCII characters other than / ? # %, and not be . or ..";
/// The longest address, in characters.
const MAX_ADDRESS_CHARS: usize = 2_048;

/// An id that a caller chose, if it did.
pub(crate) fn check_id(faults: &mut Faults, chosen: Option<&str>) {
    if chosen.is_some_and(|id| !is_acceptable_id(id)) {
        faults.add("id", ID_RULE);
    }
}

/// A new id for something whose caller chose none.
pub(crate) fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Refuses a change that would give something another id.
pub(crate) fn keep_id(current: &str, wanted: Option<&str>) -> Result<(), Problem> {
    if wanted.is_none_or(|wanted| wanted == current) {
        return Ok(());
    }
    Err(Problem::invalid("id", "cannot be changed"))
}

/// A text with a length limit, in characters. Blank counts as missing.
pub(crate) fn check_text(faults: &mut Faults, field: &str, text: &str, max_chars: usize) {
    if text.trim().is_empty() {
        faults.add(field, "must not be blank");
    } else if text.chars().count() > max_chars {
        faults.add(field, format!("may have at most {max_chars} characters"));
    } else if text.chars().any(char::is_control) {
        faults.add(field, "must not contain control characters");
    }
}

/// As [`check_text`] where there is one.
pub(crate) fn check_optional_text(
    faults: &mut Faults,
    field: &str,
    text: Option<&str>,
    max_chars: usize,
) {
    if let Some(text) = text {
        check_text(faults, field, text, max_chars);
    }
}

/// Refuses a text that is longer than so many code points.
pub(crate) fn check_length(faults: &mut Faults, field: &str, text: Option<&str>, max_chars: usize) {
    if text.is_some_and(|text| text.chars().count() > max_chars) {
        faults.add(field, format!("may have at most {max_chars} characters"));
    }
}

/// An http or https address with a host. Whether it may be called is judged when it is.
pub(crate) fn check_address(faults: &mut Faults, field: &str, address: &str) {
    check_length(faults, field, Some(address), MAX_ADDRESS_CHARS);
    let is_web = url::Url::parse(address)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_web {
        faults.add(field, "must be an http or https URL");
    }
}

/// A schema for one of a few words.
pub(crate) fn words(allowed: &[&str]) -> Object {
    let values = allowed.iter().map(|&word| word.to_owned());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).build()
}
