//! Recipients: `destination`, its lists, and what stands in them.

use std::borrow::Cow;

use waypost_domain::{ErrorKind, Failure, Phone};

use super::member::{Member, cut, members};
use crate::json::{Node, Type};
use crate::webex_connect::codes;
use crate::webex_connect::wire::member as name;

/// The most recipients of one body.
pub(super) const MAX_RECIPIENTS: usize = 1_000;
/// The longest `correlationid`, in code points.
const MAX_CORRELATION_CHARS: usize = 2_000;
/// The digits that a number may have.
const MIN_DIGITS: usize = 8;
const MAX_DIGITS: usize = 15;

/// One recipient.
pub(super) struct Addressee<'a> {
    /// `None` where what is written names nobody.
    pub(super) phone: Option<Phone>,
    /// As the caller wrote it, trimmed.
    pub(super) written: Cow<'a, str>,
    /// Whether it stood in a `bsuid` list.
    pub(super) is_bsuid: bool,
    /// The effective one.
    pub(super) correlation_id: Option<Cow<'a, str>>,
}

/// All recipients, in the order of the body; at most one more than a body may have.
pub(super) fn read<'a>(
    destination: &Member<'a>,
    correlation: &Member<'a>,
) -> Result<Vec<Addressee<'a>>, Failure> {
    if destination.is_blank() {
        return Err(nobody());
    }
    let common = correlation_id(correlation)?;
    let mut found = Vec::new();
    let node = destination.node().ok_or_else(nobody)?;
    match node.elements() {
        Some(entries) => {
            for entry in entries {
                read_entry(destination, entry, common.as_ref(), &mut found)?;
            }
        }
        None => read_entry(destination, node, common.as_ref(), &mut found)?,
    }
    if found.is_empty() { Err(nobody()) } else { Ok(found) }
}

/// One object with its lists. An object without anybody is refused.
fn read_entry<'a>(
    destination: &Member<'a>,
    entry: Node<'a>,
    common: Option<&Cow<'a, str>>,
    found: &mut Vec<Addressee<'a>>,
) -> Result<(), Failure> {
    if entry.kind() != Type::Object {
        return Err(destination.invalid());
    }
    let [waid, msisdn, bsuid, correlation] =
        members(entry, [name::WAID, name::MSISDN, name::BSUID, name::CORRELATION_ID]);
    let own = correlation_id(&correlation)?;
    let correlation_id = own.as_ref().or(common);
    let mut is_anybody = false;
    for (list, is_bsuid) in [(waid, false), (msisdn, false), (bsuid, true)] {
        let Some(node) = list.node() else { continue };
        let mut add = |element: Node<'a>| -> Result<(), Failure> {
            is_anybody = true;
            let written = written(&list, element)?;
            // What comes after too many is judged by its form and not kept.
            if found.len() <= MAX_RECIPIENTS {
                let phone = phone(&written, is_bsuid);
                let correlation_id = correlation_id.cloned();
                found.push(Addressee { phone, written, is_bsuid, correlation_id });
            }
            Ok(())
        };
        match node.elements() {
            Some(mut elements) => elements.try_for_each(&mut add)?,
            None => add(node)?,
        }
    }
    if is_anybody { Ok(()) } else { Err(nobody()) }
}

/// The effective `correlationid` of a place: none where it is blank.
fn correlation_id<'a>(member: &Member<'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    match member.optional_label()? {
        Some(text) if cut(&text, MAX_CORRELATION_CHARS).is_some() => Err(member.invalid()),
        given => Ok(given),
    }
}

/// An element's text: a string, or a number as it was written.
fn written<'a>(list: &Member<'a>, element: Node<'a>) -> Result<Cow<'a, str>, Failure> {
    let entry = Member::new(list.name(), Some(element));
    if entry.is_blank() {
        return Err(nobody());
    }
    Ok(match entry.label()? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    })
}

fn phone(written: &str, is_bsuid: bool) -> Option<Phone> {
    if !is_bsuid && let Some(number) = number(written) {
        return Some(number);
    }
    Phone::business_scoped(written)
}

/// A number without its separators.
fn number(written: &str) -> Option<Phone> {
    let is_separator = |char: char| matches!(char, '+' | '-' | '(' | ')') || char.is_whitespace();
    if written.bytes().all(|byte| byte.is_ascii_digit()) {
        return of_digits(written);
    }
    // Whatever has more characters than this is no number with separators.
    let mut digits = String::with_capacity(MAX_DIGITS + 1);
    for char in written.chars().filter(|char| !is_separator(*char)) {
        if !char.is_ascii_digit() || digits.len() > MAX_DIGITS {
            return None;
        }
        digits.push(char);
    }
    of_digits(&digits)
}

fn of_digits(digits: &str) -> Option<Phone> {
    let fits = (MIN_DIGITS..=MAX_DIGITS).contains(&digits.len());
    fits.then(|| Phone::parse(digits).ok()).flatten()
}

/// The body names nobody at all.
fn nobody() -> Failure {
    let message = "The request names no recipient; fill `destination[].waid`.";
    codes::RECIPIENT_MISSING.failure(ErrorKind::MissingField, message).at(name::DESTINATION)
}

/// What an entry that names nobody is reported with.
pub(super) fn unreadable() -> Failure {
    let message = "The recipient is neither a number of 8 to 15 digits nor a business-scoped id.";
    codes::INVALID_DESTINATION.failure(ErrorKind::InvalidValue, message).at(name::DESTINATION)
}
