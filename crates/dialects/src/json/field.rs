//! Members with the path by which errors name them, and the checks that every dialect makes:
//! present, of the right type, not blank, not too long.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use waypost_domain::{ErrorKind, Failure};

use super::{Node, Text, Type};

/// A place in a request where a value may stand. `null` counts as absent.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    path: Path<'a>,
    node: Option<Node<'a>>,
}

/// An object at its path.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    path: Rc<Path<'a>>,
    node: Node<'a>,
}

/// Where a value stands. It is put into words only where an error names it.
#[derive(Clone, Debug)]
enum Path<'a> {
    Body,
    Named(String),
    Member(Rc<Self>, &'a str),
    Element(Rc<Self>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => Ok(()),
            Self::Named(path) => f.write_str(path),
            Self::Member(object, name) if matches!(**object, Self::Body) => f.write_str(name),
            Self::Member(object, name) => write!(f, "{object}.{name}"),
            Self::Element(array, index) => write!(f, "{array}[{index}]"),
        }
    }
}

impl<'a> Object<'a> {
    /// A body that must be an object; its members have their bare names as paths.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBody`]
    pub fn root(node: Node<'a>) -> Result<Self, Failure> {
        if node.kind() == Type::Object {
            return Ok(Self { path: Rc::new(Path::Body), node });
        }
        let found = node.kind().with_article();
        let message = format!("The body must be a JSON object, not {found}.");
        Err(Failure::new(ErrorKind::InvalidBody, message))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// The path of a member, whether it is there or not.
    #[must_use]
    pub fn path_of(&self, name: &'a str) -> String {
        Path::Member(Rc::clone(&self.path), name).to_string()
    }

    /// Its JSON text, as it was written.
    #[must_use]
    pub const fn written(&self) -> &'a str {
        self.node.written()
    }

    /// Whether a member is `null` rather than absent, for vendors who tell them apart.
    #[must_use]
    pub fn has_null(&self, name: &str) -> bool {
        let [found] = self.node.pick([name]);
        found.is_some_and(|node| node.kind() == Type::Null)
    }

    /// The named members, in one pass; of duplicates the last.
    #[must_use]
    pub fn fields<const N: usize>(&self, names: [&'a str; N]) -> [Field<'a>; N] {
        let mut found = self.node.pick(names).into_iter();
        names.map(|name| {
            Field::at(Path::Member(Rc::clone(&self.path), name), found.next().flatten())
        })
    }
}

impl<'a> Field<'a> {
    /// What stands at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, node: Option<Node<'a>>) -> Self {
        Self::at(Path::Named(path.into()), node)
    }

    fn at(path: Path<'a>, node: Option<Node<'a>>) -> Self {
        let node = node.filter(|node| node.kind() != Type::Null);
        Self { path, node }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// Whether something other than `null` stands there.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// Whether it is absent, or a string without content.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.node.is_none_or(|node| node.string().is_some_and(Text::is_blank))
    }

    /// Whether an optional object is absent: blank, or the empty array that PHP makes of one.
    #[must_use]
    pub fn is_blank_object(&self) -> bool {
        self.is_blank() || self.node.is_some_and(Node::is_empty_array)
    }

    /// This field, or another name for it where this one is absent.
    #[must_use]
    pub fn or(self, alias: Self) -> Self {
        if self.is_given() || !alias.is_given() { self } else { alias }
    }

    /// A failure that blames this field.
    #[must_use]
    pub fn failure(&self, kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure::new(kind, message).at(self.path())
    }

    /// [`ErrorKind::InvalidValue`]; `rule` completes a sentence that begins with the path.
    #[must_use]
    pub fn invalid(&self, rule: &str) -> Failure {
        self.failure(ErrorKind::InvalidValue, format!("{} {rule}.", self.path))
    }

    /// [`ErrorKind::MissingField`].
    #[must_use]
    pub fn missing(&self) -> Failure {
        self.failure(ErrorKind::MissingField, format!("{} is required.", self.path))
    }

    /// The value, whatever its type.
    ///
    /// # Errors
    /// [`ErrorKind::MissingField`]
    pub fn required(&self) -> Result<Node<'a>, Failure> {
        self.node.ok_or_else(|| self.missing())
    }

    /// An object.
    ///
    /// # Errors
    /// [`ErrorKind::MissingField`], [`ErrorKind::InvalidType`]
    pub fn object(&self) -> Result<Object<'a>, Failure> {
        let node = self.required()?;
        if node.kind() == Type::Object {
            return Ok(Object { path: Rc::new(self.path.clone()), node });
        }
        Err(self.wrong_type("an object", node))
    }

    /// An array of at most `max` elements, with an indexed path for each.
    ///
    /// # Errors
    /// [`ErrorKind::MissingField`], [`ErrorKind::InvalidType`]; [`ErrorKind::InvalidValue`] where it
    /// has more elements.
    pub fn array(&self, max: usize) -> Result<Vec<Self>, Failure> {
        let node = self.required()?;
        let elements = node.elements().ok_or_else(|| self.wrong_type("an array", node))?;
        let path = Rc::new(self.path.clone());
        let indexed = |(index, element)| Self {
            path: Path::Element(Rc::clone(&path), index),
            node: Some(element),
        };
        let fields: Vec<Self> = elements.take(max + 1).enumerate().map(indexed).collect();
        if fields.len() > max {
            return Err(self.invalid(&format!("may have at most {max} elements")));
        }
        Ok(fields)
    }

    /// A string that is not blank, still undecoded.
    ///
    /// # Errors
    /// [`ErrorKind::MissingField`], [`ErrorKind::InvalidType`]; [`ErrorKind::InvalidValue`] where it is
    /// blank.
    pub fn string(&self) -> Result<Text<'a>, Failure> {
        let node = self.required()?;
        let text = node.string().ok_or_else(|| self.wrong_type("a string", node))?;
        if text.is_blank() { Err(self.invalid("must not be blank")) } else { Ok(text) }
    }

    /// A string that may be absent, still undecoded; an empty one counts as absent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidType`]
    pub fn optional_string(&self) -> Result<Option<Text<'a>>, Failure> {
        let Some(node) = self.node else { return Ok(None) };
        let text = node.string().ok_or_else(|| self.wrong_type("a string", node))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A string that is not blank, of at most `max_chars` code points and without NUL.
    ///
    /// # Errors
    /// As [`Field::string`], and [`ErrorKind::ValueTooLong`].
    pub fn text(&self, max_chars: usize) -> Result<Cow<'a, str>, Failure> {
        self.checked(self.string()?, max_chars)
    }

    /// A string that may be absent; an empty one counts as absent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidType`], [`ErrorKind::ValueTooLong`], and [`ErrorKind::InvalidValue`] for NUL.
    pub fn optional_text(&self, max_chars: usize) -> Result<Option<Cow<'a, str>>, Failure> {
        self.optional_string()?.map(|text| self.checked(text, max_chars)).transpose()
    }

    /// A text, also where it was written as a number or a boolean. A blank one counts as absent.
    ///
    /// # Errors
    /// [`ErrorKind::MissingField`], and those of [`Field::optional_lenient_text`].
    pub fn lenient_text(&self, max_chars: usize) -> Result<Cow<'a, str>, Failure> {
        if self.is_blank() {
            return Err(self.missing());
        }
        self.optional_lenient_text(max_chars)?.ok_or_else(|| self.missing())
    }

    /// As [`Field::lenient_text`] where it may be absent; an empty one counts as absent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidType`] for an array or an object, [`ErrorKind::ValueTooLong`], and
    /// [`ErrorKind::InvalidValue`] for NUL.
    pub fn optional_lenient_text(&self, max_chars: usize) -> Result<Option<Cow<'a, str>>, Failure> {
        match self.node {
            Some(node) if matches!(node.kind(), Type::Number | Type::Boolean) => {
                let written = node.written();
                if written.len() > max_chars {
                    return Err(self.too_long(max_chars));
                }
                Ok(Some(Cow::Borrowed(written)))
            }
            _ => self.optional_text(max_chars),
        }
    }

    /// An identifier: a string, or a number as it was written.
    ///
    /// # Errors
    /// As [`Field::text`].
    pub fn id(&self, max_chars: usize) -> Result<String, Failure> {
        match self.required()?.number() {
            Some(number) if number.len() > max_chars => Err(self.too_long(max_chars)),
            Some(number) => Ok(number.to_owned()),
            None => self.text(max_chars).map(Cow::into_owned),
        }
    }

    /// [`ErrorKind::InvalidType`] for what stands there.
    #[must_use]
    pub fn wrong_type(&self, wanted: &str, found: Node<'_>) -> Failure {
        let found = found.kind().with_article();
        self.failure(
            ErrorKind::InvalidType,
            format!("{} must be {wanted}, not {found}.", self.path),
        )
    }

    fn checked(&self, text: Text<'a>, max_chars: usize) -> Result<Cow<'a, str>, Failure> {
        if text.is_longer_than(max_chars) {
            return Err(self.too_long(max_chars));
        }
        let nul = || self.invalid("must not hold the character U+0000; remove it");
        text.without_nul().ok_or_else(nul)
    }

    fn too_long(&self, max_chars: usize) -> Failure {
        let message = format!("{} is longer than {max_chars} characters; shorten it.", self.path);
        self.failure(ErrorKind::ValueTooLong, message)
    }
}
