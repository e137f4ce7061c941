//! A value with the path by which failures name it, and the checks of its form: present, of the
//! right type, not blank. `null` counts as absent.

use serde_json::{Map, Value};

use crate::failure::{ErrorKind, Failure};

/// A place in a request where a value may stand.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    path: String,
    value: Option<&'a Value>,
}

impl<'a> Field<'a> {
    pub(super) fn new(value: &'a Value, path: impl Into<String>) -> Self {
        Self { path: path.into(), value: Some(value).filter(|value| !value.is_null()) }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The member of an object; absent where this is absent or no object.
    pub(super) fn member(&self, name: &str) -> Self {
        let value = self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null());
        Self { path: format!("{}.{name}", self.path), value }
    }

    pub(super) fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// The field, if it is there.
    pub(super) fn given(self) -> Option<Self> {
        self.is_given().then_some(self)
    }

    pub(super) fn missing(&self) -> Failure {
        let message = format!("{} is required.", self.path);
        Failure::new(ErrorKind::MissingField, message).at(&self.path)
    }

    /// `rule` completes a sentence that begins with the path.
    pub(super) fn invalid(&self, rule: &str) -> Failure {
        let message = format!("{} {rule}.", self.path);
        Failure::new(ErrorKind::InvalidValue, message).at(&self.path)
    }

    fn wrong_type(&self, wanted: &str) -> Failure {
        let message = format!("{} must be {wanted}.", self.path);
        Failure::new(ErrorKind::InvalidType, message).at(&self.path)
    }

    pub(super) fn value(&self) -> Result<&'a Value, Failure> {
        self.value.ok_or_else(|| self.missing())
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, Failure> {
        self.value()?.as_object().ok_or_else(|| self.wrong_type("an object"))
    }

    /// The elements, each with its path; at most `max` of them.
    pub(super) fn array(&self, max: usize) -> Result<Vec<Self>, Failure> {
        let elements = self.value()?.as_array().ok_or_else(|| self.wrong_type("an array"))?;
        if elements.len() > max {
            return Err(self.invalid(&format!("may have at most {max} entries")));
        }
        let indexed = |(index, value)| Self::new(value, format!("{}[{index}]", self.path));
        Ok(elements.iter().enumerate().map(indexed).collect())
    }

    /// The elements, none where it is absent.
    pub(super) fn optional_array(&self, max: usize) -> Result<Vec<Self>, Failure> {
        if self.is_given() { self.array(max) } else { Ok(Vec::new()) }
    }

    /// A string, blank or not.
    pub(super) fn string(&self) -> Result<String, Failure> {
        let text = self.value()?.as_str().ok_or_else(|| self.wrong_type("a string"))?;
        Ok(text.to_owned())
    }

    pub(super) fn optional_string(&self) -> Result<Option<String>, Failure> {
        if self.is_given() { self.string().map(Some) } else { Ok(None) }
    }

    /// A string that says something.
    pub(super) fn text(&self) -> Result<String, Failure> {
        let text = self.string()?;
        if text.trim().is_empty() { Err(self.invalid("must not be blank")) } else { Ok(text) }
    }

    /// An id: a string, or a number as some callers write ids of digits.
    pub(super) fn id(&self) -> Result<String, Failure> {
        match self.value()? {
            Value::Number(number) if number.is_u64() => Ok(number.to_string()),
            _ => self.text(),
        }
    }

    /// A number from 0, as such or in a string as Meta writes it.
    pub(super) fn index(&self) -> Result<u32, Failure> {
        let number = match self.value()? {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        number.ok_or_else(|| self.invalid("must be a number from 0"))
    }
}
