//! Reads members of a JSON object and names the path of what is missing (131008) or wrong
//! (131009). It knows no message type.

use serde_json::{Map, Value};

use super::{invalid, missing};
use crate::errors::Answer;

/// An object with its path.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(map: &'a Map<String, Value>, at: impl Into<String>) -> Self {
        Self { map, at: at.into() }
    }

    /// The object that `value` must be.
    pub(crate) fn of(value: &'a Value, at: &str) -> Answer<Self> {
        let map = value.as_object().ok_or_else(|| invalid(at, "must be an object"))?;
        Ok(Self::new(map, at))
    }

    /// The path of a member.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// A member that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has_text(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Answer<&'a Value> {
        self.get(name).ok_or_else(|| missing(&self.path(name)))
    }

    pub(crate) fn object(&self, name: &str) -> Answer<Self> {
        Self::of(self.required(name)?, &self.path(name))
    }

    pub(crate) fn optional_object(&self, name: &str) -> Answer<Option<Self>> {
        self.get(name).map(|value| Self::of(value, &self.path(name))).transpose()
    }

    /// An array with a length in `range`.
    pub(crate) fn array(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Answer<&'a [Value]> {
        let path = self.path(name);
        let list =
            self.required(name)?.as_array().ok_or_else(|| invalid(&path, "must be an array"))?;
        if range.contains(&list.len()) {
            return Ok(list);
        }
        let why = format!("must have {} to {} elements", range.start(), range.end());
        Err(invalid(&path, &why))
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, name: &str, max_chars: usize) -> Answer<&'a str> {
        let text = self.any_text(name, max_chars)?;
        if text.is_empty() {
            return Err(invalid(&self.path(name), "must not be empty"));
        }
        Ok(text)
    }

    /// A string that may be empty.
    pub(crate) fn any_text(&self, name: &str, max_chars: usize) -> Answer<&'a str> {
        let value = self.required(name)?;
        let text = value.as_str().ok_or_else(|| invalid(&self.path(name), "must be a string"))?;
        // Counting is needed only when there are enough bytes for too many characters.
        if text.len() > max_chars && text.chars().count() > max_chars {
            let why = format!("has at most {max_chars} characters");
            return Err(invalid(&self.path(name), &why));
        }
        Ok(text)
    }

    pub(crate) fn optional_text(&self, name: &str, max_chars: usize) -> Answer<Option<&'a str>> {
        self.get(name).map(|_| self.text(name, max_chars)).transpose()
    }

    pub(crate) fn optional_any_text(
        &self,
        name: &str,
        max_chars: usize,
    ) -> Answer<Option<&'a str>> {
        self.get(name).map(|_| self.any_text(name, max_chars)).transpose()
    }

    pub(crate) fn optional_bool(&self, name: &str) -> Answer<Option<bool>> {
        let read = |value: &Value| {
            value.as_bool().ok_or_else(|| invalid(&self.path(name), "must be true or false"))
        };
        self.get(name).map(read).transpose()
    }

    /// A number, or a string that holds one, between `-max` and `max`.
    pub(crate) fn degrees(&self, name: &str, max: f64) -> Answer<f64> {
        let value = self.required(name)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number
            .filter(|number: &f64| number.abs() <= max)
            .ok_or_else(|| invalid(&self.path(name), &format!("must be within {max} degrees")))
    }
}
