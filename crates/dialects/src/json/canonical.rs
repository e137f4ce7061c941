//! One text for all ways of writing the same JSON, so that a repeated request is recognised.

use std::borrow::Cow;
use std::convert::Infallible;

use waypost_domain::Failure;

use super::{Node, Text, Type, parse};
use number::Decimal;

mod number;

/// Objects with more members than this keep the order in which they were written, which bounds
/// what sorting may cost. No vendor's request comes near it.
pub const MAX_SORTED_MEMBERS: usize = 4_096;

/// Writes a body without blanks, with sorted keys, without duplicates, with the fewest escapes and
/// with one form for equal numbers, piece by piece into `sink` (a hash, say): no second copy of a
/// large body is made.
///
/// # Errors
/// Those of [`parse`].
pub fn canonical(body: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Failure> {
    write(parse(body)?.root(), sink);
    Ok(())
}

fn write(node: Node<'_>, sink: &mut dyn FnMut(&[u8])) {
    match node.kind() {
        Type::String => write_text(node.string().unwrap_or(Text::of_valid("")), sink),
        Type::Array => {
            sink(b"[");
            for (index, element) in node.elements().into_iter().flatten().enumerate() {
                if index > 0 {
                    sink(b",");
                }
                write(element, sink);
            }
            sink(b"]");
        }
        Type::Object => {
            sink(b"{");
            write_object(node, sink);
            sink(b"}");
        }
        Type::Number => match Decimal::of(node.text) {
            Some(decimal) => decimal.write(sink),
            None => sink(node.text.as_bytes()),
        },
        Type::Null | Type::Boolean => sink(node.text.as_bytes()),
    }
}

fn write_object(node: Node<'_>, sink: &mut dyn FnMut(&[u8])) {
    let mut first = true;
    let mut write_one = |(key, value): (Text<'_>, Node<'_>)| {
        write_member(key, value, &mut first, sink);
    };
    match sorted(node) {
        Some(members) => members.into_iter().for_each(&mut write_one),
        None => node.members().into_iter().flatten().for_each(&mut write_one),
    }
}

fn write_member(key: Text<'_>, value: Node<'_>, first: &mut bool, sink: &mut dyn FnMut(&[u8])) {
    if !std::mem::take(first) {
        sink(b",");
    }
    write_text(key, sink);
    sink(b":");
    write(value, sink);
}

/// Members by key, the last of each; `None` where there are too many.
fn sorted(node: Node<'_>) -> Option<Vec<(Text<'_>, Node<'_>)>> {
    let mut members: Vec<(Cow<'_, str>, Text<'_>, Node<'_>)> = node
        .members()?
        .take(MAX_SORTED_MEMBERS + 1)
        .map(|(key, value)| (key.decoded(), key, value))
        .collect();
    if members.len() > MAX_SORTED_MEMBERS {
        return None;
    }
    // Turned round before the stable sort, so that of equal keys the last one written comes first
    // and is the one that stays.
    members.reverse();
    members.sort_by(|one, other| one.0.cmp(&other.0));
    members.dedup_by(|later, kept| later.0 == kept.0);
    Some(members.into_iter().map(|(_, key, value)| (key, value)).collect())
}

fn write_text(text: Text<'_>, sink: &mut dyn FnMut(&[u8])) {
    sink(b"\"");
    let Ok(()) = text.pieces(|piece| {
        // Runs hold nothing that needs an escape; only a character that was escaped may.
        match piece.as_bytes() {
            [byte @ (b'"' | b'\\')] => sink(&[b'\\', *byte]),
            [byte @ 0..=0x1F] => sink(format!("\\u{byte:04x}").as_bytes()),
            bytes => sink(bytes),
        }
        Ok::<(), Infallible>(())
    });
    sink(b"\"");
}
