//! JSON text read to values strictly: a member that is given twice, of which serde keeps the last,
//! and NUL in a text are refused, with the field to blame.

use std::fmt;

use http::StatusCode;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::input::fault_of;
use crate::problem::Problem;

/// Reads a whole text.
///
/// # Errors
/// A 400 that says what is wrong, or names the field.
pub(super) fn read_json(text: &[u8]) -> Result<Value, Problem> {
    match serde_json::from_slice(text) {
        Ok(StrictJson(value)) => Ok(value),
        Err(error) if error.is_data() => Err(blame(text)),
        Err(error) => {
            let detail = format!("The body is not JSON: {error}.");
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail))
        }
    }
}

/// Reads once more what was refused, to learn the path of the field.
fn blame(text: &[u8]) -> Problem {
    let mut again = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, StrictJson>(&mut again) {
        Err(error) => fault_of(&error),
        Ok(_) => Problem::invalid("", "is not as it must be"),
    }
}

struct StrictJson(Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        if text.contains('\0') {
            return Err(E::custom("must not contain NUL"));
        }
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(StrictJson(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match read.entry(name) {
                Entry::Vacant(place) => {
                    let StrictJson(value) = members.next_value()?;
                    place.insert(value);
                }
                Entry::Occupied(known) => {
                    return Err(A::Error::custom(format!("duplicate field `{}`", known.key())));
                }
            }
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_twice_and_nul_are_refused_by_name() {
        for (text, field, message) in [
            (r#"{"to":"1","to":"2"}"#, "to", "is given twice"),
            (r#"{"to":null,"to":null}"#, "to", "is given twice"),
            (r#"{"text":{"body":"a","b\u006fdy":"b"}}"#, "text.body", "is given twice"),
            (r#"{"a":[{},{"b":1,"b":1}]}"#, "a[1].b", "is given twice"),
            (r#"{"text":{"body":"a\u0000"}}"#, "text.body", "must not contain NUL"),
            (r#"{"tags":["a","\u0000"]}"#, "tags[1]", "must not contain NUL"),
        ] {
            let problem = read_json(text.as_bytes()).unwrap_err();
            let fault = &problem.errors()[0];
            assert_eq!((fault.field.as_str(), fault.message.as_str()), (field, message), "{text}");
        }
    }

    #[test]
    fn everything_else_is_read_as_serde_reads_it() {
        for text in [
            r#"{"a":{"b":1},"c":{"b":1},"d":[],"e":[true,null,"x\n\t",-1,0.5,1e3,-0.0]}"#,
            r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":18446744073709551616}"#,
            r#""text""#,
            "{}",
        ] {
            let plain: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read_json(text.as_bytes()).unwrap(), plain, "{text}");
        }
        assert_eq!(read_json(b"{\"a\":1e999}").unwrap_err().code(), "invalid_json");
    }
}
