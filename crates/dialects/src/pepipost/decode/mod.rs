//! Requests to commands. Checks run in the order of the vendor reference's tables, and the first
//! that fails is the answer; nothing here asks whether a source, a file or a template exists.

mod content;
pub(super) mod file;
mod interactive;
pub(super) mod manage;
pub(super) mod message;
mod templates;

use url::Url;
use waypost_domain::media::{MediaKind, MimeType};
use waypost_domain::{ErrorKind, Failure};

use super::errors::Code;
use super::wire::ID;
use crate::json::{Field, Object, Type};
use crate::link::{MAX_LINK_CHARS, WEB_LINK, is_web_link};

/// The longest name, id or word that is looked at, in code points.
const MAX_NAME_CHARS: usize = 512;
/// The most digits of a telephone number.
const MAX_DIGITS: usize = 15;
/// The fewest that the vendor takes.
const MIN_DIGITS: usize = 10;

/// A refusal with one of the vendor's texts for a wrong value (8006).
fn refused(field: &Field<'_>, text: &str) -> Failure {
    in_words(field.failure(ErrorKind::InvalidValue, format!("{}: {text}", field.path())), text)
}

/// The vendor shows its texts for wrong values with one blank before them.
fn in_words(failure: Failure, text: &str) -> Failure {
    failure.in_words_of(ID, Code::Value.number(), format!(" {text}"))
}

/// A block that the vendor writes as an array with one object, or that object.
fn sole<'a>(field: &Field<'a>, name: &str) -> Result<Object<'a>, Failure> {
    if field.required()?.kind() != Type::Array {
        return field.object();
    }
    let several = |_| refused(field, &format!("{name} can contain only one element"));
    let mut elements = field.array(1).map_err(several)?;
    elements.pop().ok_or_else(|| field.missing())?.object()
}

/// The only object of a block.
fn block<'a>(element: &Object<'a>, name: &'a str) -> Result<Object<'a>, Failure> {
    let [field] = element.fields([name]);
    sole(&field, name)
}

/// What the extension of a link's path says.
fn kind_of_link(link: &str) -> Option<MediaKind> {
    let url = Url::parse(link).ok()?;
    let (_, extension) = url.path().rsplit('/').next()?.rsplit_once('.')?;
    MimeType::of_extension(extension).map(|mime_type| mime_type.kind())
}

/// The elements of a list, for which a bare object stands as a list of one.
fn elements<'a>(field: &Field<'a>, max: usize) -> Result<Vec<Field<'a>>, Failure> {
    match field.required()?.kind() {
        Type::Object => Ok(vec![field.clone()]),
        _ => field.array(max),
    }
}

/// The vendor's texts for what is wrong with a telephone number.
struct DigitTexts {
    absent: &'static str,
    characters: &'static str,
    too_few: &'static str,
    too_many: &'static str,
}

/// The digits of a telephone number: a string or a number, with or without a plus.
fn digits(field: &Field<'_>, texts: &DigitTexts) -> Result<String, Failure> {
    if field.is_blank() {
        return Err(refused(field, texts.absent));
    }
    let node = field.required()?;
    let written = match (node.number(), node.string()) {
        (Some(number), _) => number.into(),
        (None, Some(text)) => text.decoded(),
        (None, None) => return Err(field.wrong_type("a string of digits", node)),
    };
    let trimmed = written.trim();
    let digits = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let text = match digits.len() {
        0 => texts.absent,
        _ if !digits.bytes().all(|byte| byte.is_ascii_digit()) => texts.characters,
        1..MIN_DIGITS => texts.too_few,
        MIN_DIGITS..=MAX_DIGITS => return Ok(digits.to_owned()),
        _ => texts.too_many,
    };
    Err(refused(field, text))
}

/// An http or https URL with a host, as it was written; anything else is bad media.
fn link(field: &Field<'_>) -> Result<String, Failure> {
    let bad = || field.invalid(WEB_LINK).in_words_of(ID, Code::Media.number(), Code::Media.text());
    let text = field.text(MAX_LINK_CHARS).map_err(|failure| match failure.kind {
        ErrorKind::MissingField | ErrorKind::InvalidType => failure,
        _ => bad(),
    })?;
    let text = text.trim();
    if is_web_link(text) { Ok(text.to_owned()) } else { Err(bad()) }
}
