//! A file in Meta's form: `{"id":…}` or `{"link":…}`, with `provider` beside the link where we are
//! to fetch it with a provider's credential.

use super::super::{MAX_URL_CHARS, MediaSource};
use super::field::Field;
use crate::command::MediaDraft;
use crate::failure::Failure;
use crate::ids::MediaId;
use crate::media::{MediaKind, clean_filename};

/// The file and its shown name.
pub(super) fn file(
    field: &Field<'_>,
    kind: MediaKind,
) -> Result<(MediaDraft, Option<String>), Failure> {
    field.object()?;
    let (id, link, provider) = (field.member("id"), field.member("link"), field.member("provider"));
    let (place, source) = match (id.is_given(), link.is_given()) {
        (true, false) if provider.is_given() => {
            return Err(provider.invalid("belongs beside link"));
        }
        (true, false) => (&id, MediaSource::Id(MediaId::new(id.id()?))),
        (false, true) => {
            let url = url(&link)?;
            (&link, MediaSource::Link { url, provider: provider_name(&provider)? })
        }
        (true, true) => return Err(link.invalid("cannot stand beside id; give one of them")),
        (false, false) => return Err(id.missing()),
    };
    let filename = field.member("filename").optional_string()?;
    let filename = filename.filter(|_| kind == MediaKind::Document);
    let draft = MediaDraft { kind, source, field: place.path().to_owned() };
    Ok((draft, filename.as_deref().and_then(clean_filename)))
}

/// A name, or the object that Meta's on-premises interface wanted.
fn provider_name(field: &Field<'_>) -> Result<Option<String>, Failure> {
    let name = field.member("name");
    if name.is_given() { name.text().map(Some) } else { field.optional_string() }
}

/// An http or https URL.
pub(super) fn url(field: &Field<'_>) -> Result<String, Failure> {
    let text = field.text()?.trim().to_owned();
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let has_host =
        rest.is_some_and(|rest| rest.starts_with(|it: char| it.is_alphanumeric() || it == '['));
    let is_clean = !text.contains(|it: char| it.is_whitespace() || it.is_control());
    if !has_host || !is_clean {
        return Err(field.invalid("must be an http or https URL"));
    }
    if text.chars().count() > MAX_URL_CHARS {
        return Err(field.invalid(&format!("may have at most {MAX_URL_CHARS} characters")));
    }
    Ok(text)
}
