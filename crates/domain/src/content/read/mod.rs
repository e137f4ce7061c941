//! Reads Meta's form of what a message says. It checks the form only: required members and their
//! types. Limits are checked apart, by [`Interactive::check`] and [`super::check_contacts`]: some
//! dialects report those later than a wrong form. Members that Meta does not know are ignored.

mod contact;
mod field;
mod interactive;
mod media;
mod template;

use serde_json::Value;

use super::{Component, Contact, Interactive, MAX_CONTACTS};
use crate::command::MediaDraft;
use crate::failure::Failure;
use field::Field;

/// The most components of a template message, and of one of its cards.
const MAX_COMPONENTS: usize = 32;

/// Reads the `interactive` object of a Cloud API message, of any kind. `path` is where it stands in
/// the caller's request, such as `interactive`: failures and files are named below it.
///
/// # Errors
/// [`crate::ErrorKind::MissingField`], [`crate::ErrorKind::InvalidType`],
/// [`crate::ErrorKind::InvalidValue`] (an unknown `type` among them), with the field's path.
pub fn read_interactive(value: &Value, path: &str) -> Result<Interactive<MediaDraft>, Failure> {
    interactive::read(&Field::new(value, path))
}

/// Reads the `components` of a Cloud API template message, carousels included. `path` is where the
/// array stands, such as `template.components`.
///
/// # Errors
/// As [`read_interactive`].
pub fn read_components(value: &Value, path: &str) -> Result<Vec<Component<MediaDraft>>, Failure> {
    let elements = Field::new(value, path).optional_array(MAX_COMPONENTS)?;
    elements.iter().map(template::component).collect()
}

/// Reads the `contacts` of a Cloud API message. `path` is where the array stands, such as
/// `contacts`.
///
/// # Errors
/// As [`read_interactive`].
pub fn read_contacts(value: &Value, path: &str) -> Result<Vec<Contact>, Failure> {
    let elements = Field::new(value, path).array(MAX_CONTACTS)?;
    elements.iter().map(contact::card).collect()
}

#[cfg(test)]
mod tests;
