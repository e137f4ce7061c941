//! What a request asks for beside its content: expiry, priority, and where receipts go.

use std::borrow::Cow;

use waypost_domain::message::{Notify, Priority};
use waypost_domain::{Failure, Timestamp};

use super::member::{Member, cut};
use crate::json::Node;
use crate::link::{MAX_LINK_CHARS, is_web_link};

/// The members, not read yet.
pub(super) struct Written<'a> {
    pub(super) callback_data: Member<'a>,
    pub(super) notify_url: Member<'a>,
    pub(super) notify_auth_id: Member<'a>,
    pub(super) expiry: Member<'a>,
    pub(super) priority: Member<'a>,
}

/// What they say.
pub(super) struct Options<'a> {
    pub(super) priority: Priority,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) notify: Option<Notify>,
    pub(super) callback_data: Option<Cow<'a, str>>,
}

/// Reads them in the reference's order.
pub(super) fn read<'a>(written: &Written<'a>) -> Result<Options<'a>, Failure> {
    let priority = priority(&written.priority)?;
    let expires_at = expiry(&written.expiry)?;
    let notify = notify(&written.notify_url, &written.notify_auth_id)?;
    let callback_data = written.callback_data.node().map(text_of).filter(|text| !text.is_empty());
    Ok(Options { priority, expires_at, notify, callback_data })
}

/// A string's text, anything else as the JSON that was written.
fn text_of(node: Node<'_>) -> Cow<'_, str> {
    node.string().map_or(Cow::Borrowed(node.written()), crate::json::Text::decoded)
}

fn priority(member: &Member<'_>) -> Result<Priority, Failure> {
    match member.optional_label()?.as_deref().map(str::trim) {
        None | Some("2") => Ok(Priority::Normal),
        Some("1") => Ok(Priority::Low),
        Some("3") => Ok(Priority::High),
        Some(_) => Err(member.invalid()),
    }
}

/// Also one that is past: a repetition of a request that came in time is no fault.
fn expiry(member: &Member<'_>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = member.optional_text()? else { return Ok(None) };
    instant(text.trim()).map(Some).ok_or_else(|| member.invalid())
}

/// RFC 3339 with a lenient offset: `+5:30`, `+0530`, `+5`, or none at all, which is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    /// Where the time begins: after `2026-04-12T`.
    const TIME: usize = 11;
    if !text.is_ascii() || text.len() < TIME {
        return None;
    }
    if text.ends_with(['Z', 'z']) {
        return Timestamp::parse_rfc3339(text);
    }
    let (date, time) = text.split_at(TIME);
    let Some(place) = time.rfind(['+', '-']) else {
        return Timestamp::parse_rfc3339(&format!("{text}Z"));
    };
    let (time, offset) = time.split_at(place);
    let (sign, digits) = offset.split_at(1);
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() > 2 => digits.split_at(digits.len() - 2),
        None => (digits, "00"),
    };
    let is_number = |part: &str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    Timestamp::parse_rfc3339(&format!("{date}{time}{sign}{hours:0>2}:{minutes:0>2}"))
}

/// The address for receipts. One that cannot be used fails no message: it is kept, and says why
/// nothing is posted there.
fn notify(url: &Member<'_>, auth_id: &Member<'_>) -> Result<Option<Notify>, Failure> {
    let auth_id = auth_id.optional_label()?.map(|id| id.trim().to_owned());
    let (Some(node), false) = (url.node(), url.is_blank()) else { return Ok(None) };
    let text = text_of(node);
    let text = text.trim();
    let refused = if node.string().is_none() {
        Some("`notifyurl` is not a string.")
    } else {
        problem_of(text)
    };
    let url = cut(text, MAX_LINK_CHARS).unwrap_or(text).to_owned();
    Ok(Some(Notify { refused: refused.map(str::to_owned), ..Notify::new(url, auth_id) }))
}

/// What is wrong with an address whatever the installation's settings are.
fn problem_of(address: &str) -> Option<&'static str> {
    if cut(address, MAX_LINK_CHARS).is_some() {
        return Some("`notifyurl` is longer than 8192 characters.");
    }
    if is_web_link(address) {
        None
    } else {
        Some("`notifyurl` is not an absolute http or https URL.")
    }
}
