//! Members of requests with the vendor's two ways of refusing them, and the fault that an accepted
//! message will be reported with.
//!
//! The vendor's texts name a member by its last name only, so that no paths are built here.

use std::borrow::Cow;

use waypost_domain::{ErrorKind, Failure};

use crate::json::{Elements, Node, Text, Type};
use crate::webex_connect::codes::{self, Code};
use crate::webex_connect::wire::DIALECT;

/// The longest name that an error repeats, in bytes.
const MAX_SHOWN_NAME_BYTES: usize = 128;

/// A place in an object where a value may stand. `null` counts as absent.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    name: &'a str,
    node: Option<Node<'a>>,
}

/// The named members of an object, in one pass; of duplicates the last.
pub(super) fn members<'a, const N: usize>(
    object: Node<'a>,
    names: [&'static str; N],
) -> [Member<'a>; N] {
    let mut found = object.pick(names).into_iter();
    names.map(|name| Member::new(name, found.next().flatten()))
}

impl<'a> Member<'a> {
    pub(super) fn new(name: &'a str, node: Option<Node<'a>>) -> Self {
        Self { name, node: node.filter(|node| node.kind() != Type::Null) }
    }

    pub(super) const fn name(&self) -> &'a str {
        self.name
    }

    /// The value, whatever its type.
    pub(super) const fn node(&self) -> Option<Node<'a>> {
        self.node
    }

    /// Whether it is absent, or a string without content.
    pub(super) fn is_blank(&self) -> bool {
        self.node.is_none_or(|node| node.string().is_some_and(Text::is_blank))
    }

    /// This member, or another name for it where this one is blank.
    pub(super) fn or(self, alias: Self) -> Self {
        if self.is_blank() && !alias.is_blank() { alias } else { self }
    }

    /// 7003
    pub(super) fn missing(&self) -> Failure {
        let text = format!("param '{}' missing for channel whatsapp", self.name);
        Failure::new(ErrorKind::MissingField, format!("The request lacks `{}`.", self.name))
            .at(self.name)
            .in_words_of(DIALECT, codes::MEMBER_MISSING, text)
    }

    /// 7004
    pub(super) fn invalid(&self) -> Failure {
        let mut end = self.name.len().min(MAX_SHOWN_NAME_BYTES);
        while !self.name.is_char_boundary(end) {
            end -= 1;
        }
        let name = &self.name[..end];
        let message = format!("`{name}` has another type or form than the call takes.");
        Failure::new(ErrorKind::InvalidValue, message).at(name).in_words_of(
            DIALECT,
            codes::MEMBER_INVALID,
            format!("Invalid parameter: {name}"),
        )
    }

    /// The value; blank counts as absent.
    fn required(&self) -> Result<Node<'a>, Failure> {
        match self.node {
            Some(node) if !self.is_blank() => Ok(node),
            _ => Err(self.missing()),
        }
    }

    /// An object.
    pub(super) fn object(&self) -> Result<Node<'a>, Failure> {
        let node = self.required()?;
        if node.kind() == Type::Object { Ok(node) } else { Err(self.invalid()) }
    }

    /// An object, where anything stands there. PHP makes an empty array of an empty object.
    pub(super) fn optional_object(&self) -> Result<Option<Node<'a>>, Failure> {
        let is_absent = self.is_blank() || self.node.is_some_and(Node::is_empty_array);
        if is_absent { Ok(None) } else { self.object().map(Some) }
    }

    /// An array's elements.
    pub(super) fn array(&self) -> Result<Elements<'a>, Failure> {
        self.required()?.elements().ok_or_else(|| self.invalid())
    }

    /// An array's elements, where anything stands there.
    pub(super) fn optional_array(&self) -> Result<Option<Elements<'a>>, Failure> {
        if self.is_blank() { Ok(None) } else { self.array().map(Some) }
    }

    /// A string that is not blank.
    pub(super) fn text(&self) -> Result<Cow<'a, str>, Failure> {
        self.decoded(self.required()?)
    }

    /// A string, where one that is not blank stands there.
    pub(super) fn optional_text(&self) -> Result<Option<Cow<'a, str>>, Failure> {
        if self.is_blank() { Ok(None) } else { self.text().map(Some) }
    }

    /// A string, or a number as it was written; not blank.
    pub(super) fn label(&self) -> Result<Cow<'a, str>, Failure> {
        let node = self.required()?;
        match node.number() {
            Some(number) => Ok(Cow::Borrowed(number)),
            None => self.decoded(node),
        }
    }

    /// The same, where anything stands there.
    pub(super) fn optional_label(&self) -> Result<Option<Cow<'a, str>>, Failure> {
        if self.is_blank() { Ok(None) } else { self.label().map(Some) }
    }

    /// What a string says, as it is: blanks are content too.
    pub(super) fn decoded(&self, node: Node<'a>) -> Result<Cow<'a, str>, Failure> {
        node.string().and_then(Text::without_nul).ok_or_else(|| self.invalid())
    }
}

/// What is wrong with a message that the vendor accepts and reports as failed: the first fault
/// that was found.
#[derive(Default)]
pub(super) struct Doom(Option<Failure>);

impl Doom {
    /// Records a fault, unless there is one.
    pub(super) fn because(&mut self, kind: ErrorKind, code: Code, message: impl Into<String>) {
        if self.0.is_none() {
            self.0 = Some(code.failure(kind, message));
        }
    }

    /// 7722
    pub(super) fn out_of_bounds(&mut self, message: impl Into<String>) {
        self.because(ErrorKind::InvalidValue, codes::VALUE_NOT_VALID, message);
    }

    /// A text of at most `max_chars` code points. What is longer is cut, because the log keeps no
    /// more than a message can carry.
    pub(super) fn within(&mut self, text: Cow<'_, str>, max_chars: usize, name: &str) -> String {
        match cut(&text, max_chars) {
            None => text.into_owned(),
            Some(start) => {
                self.out_of_bounds(format!("`{name}` is longer than {max_chars} characters."));
                start.to_owned()
            }
        }
    }

    pub(super) fn into_failure(self) -> Option<Failure> {
        self.0
    }
}

/// The first `max_chars` code points of a text that has more.
pub(super) fn cut(text: &str, max_chars: usize) -> Option<&str> {
    if text.len() <= max_chars {
        return None;
    }
    let (end, _) = text.char_indices().nth(max_chars)?;
    Some(&text[..end])
}
