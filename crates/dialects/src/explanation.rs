//! The header `X-Waypost-Error`: what is wrong with a request, for vendors whose fixed texts leave it
//! open.

use http::{HeaderName, HeaderValue};
use waypost_domain::Failure;

/// The header.
pub(crate) const X_WAYPOST_ERROR: HeaderName = HeaderName::from_static("x-waypost-error");
/// The longest explanation, in characters.
const MAX_CHARS: usize = 400;

/// The failure in one line of printable ASCII, with the field to blame; `ending` closes it, unless
/// it does so already.
pub(crate) fn of(failure: &Failure, ending: &str) -> HeaderValue {
    let mut text = match failure.field.as_deref() {
        Some(field) if !failure.message.starts_with(field) => {
            format!("{field}: {}", failure.message)
        }
        _ => failure.message.clone(),
    };
    if !text.ends_with(ending) {
        text = format!("{text} {ending}");
    }
    let printable = |char| if matches!(char, ' '..='~') { char } else { '?' };
    let line: String = text.chars().take(MAX_CHARS).map(printable).collect();
    HeaderValue::from_str(line.trim()).unwrap_or(HeaderValue::from_static("refused"))
}
