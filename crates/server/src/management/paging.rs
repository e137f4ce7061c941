//! Lists in parts: `?limit=&after=`, answered with `data` and `next`. A cursor is opaque to
//! callers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::Timestamp;
use waypost_engine::ports::{Page, Paged};

use crate::problem::Problem;

/// Entries in a part where nothing is said.
const DEFAULT_LIMIT: u32 = 50;
/// Entries in a part at most.
const MAX_LIMIT: u32 = 1_000;

/// Which part of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageArguments {
    /// How many entries, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    pub(crate) limit: Option<u32>,
    /// `next` of the part before.
    pub(crate) after: Option<String>,
}

impl PageArguments {
    /// How many entries.
    fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            _ => Err(Problem::invalid("limit", format!("must be 1 to {MAX_LIMIT}"))),
        }
    }

    /// The part of a list that the store keeps.
    ///
    /// # Errors
    /// A 400 that names the argument.
    pub(crate) fn of_store(&self) -> Result<Page, Problem> {
        let after = match &self.after {
            None => None,
            Some(cursor) => Some(place(cursor)?),
        };
        Ok(Page { after, limit: self.limit()? })
    }

    /// The part of a list that is in memory, in the order of creation. The cursor names the last
    /// entry and when it was made: where the entry has gone, the list goes on with what was made
    /// later.
    ///
    /// # Errors
    /// A 400 that names the argument.
    pub(crate) fn of_memory<T, V>(
        &self,
        entries: &[T],
        name: impl Fn(&T) -> (Timestamp, String),
        view: impl Fn(&T) -> V,
    ) -> Result<List<V>, Problem> {
        let limit = usize::try_from(self.limit()?).unwrap_or(usize::MAX);
        let first = match &self.after {
            None => 0,
            Some(cursor) => {
                let text = decode(cursor).ok_or_else(bad)?;
                let (at, id) = text.split_once(':').ok_or_else(bad)?;
                let at = Timestamp(at.parse().map_err(|_| bad())?);
                let same = |entry: &T| name(entry) == (at, id.to_owned());
                let later = |entry: &T| name(entry).0 > at;
                match entries.iter().position(same) {
                    Some(place) => place + 1,
                    None => entries.iter().position(later).unwrap_or(entries.len()),
                }
            }
        };
        let part = &entries[first..entries.len().min(first.saturating_add(limit))];
        let more = first + part.len() < entries.len();
        let next = part.last().filter(|_| more).map(|last| {
            let (at, id) = name(last);
            encode(&format!("{}:{id}", at.0))
        });
        Ok(List { data: part.iter().map(view).collect(), next })
    }
}

/// A place in a list of the store, as callers see it.
pub(crate) fn cursor(place: i64) -> String {
    encode(&place.to_string())
}

/// The place that a cursor names.
///
/// # Errors
/// A 400 that names the argument.
pub(crate) fn place(cursor: &str) -> Result<i64, Problem> {
    decode(cursor).and_then(|text| text.parse().ok()).ok_or_else(bad)
}

fn bad() -> Problem {
    Problem::invalid("after", "must be the `next` of an earlier answer")
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The entries.
    pub(crate) data: Vec<T>,
    /// Where the next part begins; `null` at the end.
    #[schema(required = true)]
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// What the store gave, as callers see it.
    pub(crate) fn of<S>(paged: Paged<S>, view: impl Fn(S) -> T) -> Self {
        let next = paged.next.map(cursor);
        Self { data: paged.data.into_iter().map(view).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(entries: &[(i64, &str)], limit: u32, after: Option<String>) -> List<String> {
        let arguments = PageArguments { limit: Some(limit), after };
        let name = |entry: &(i64, &str)| (Timestamp(entry.0), entry.1.to_owned());
        arguments.of_memory(entries, name, |entry| entry.1.to_owned()).unwrap()
    }

    #[test]
    fn a_list_is_read_in_parts_without_gaps() {
        let entries = [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (3, "e")];
        let mut read = Vec::new();
        let mut after = None;
        loop {
            let part = part(&entries, 2, after);
            read.extend(part.data);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_cursor_whose_entry_has_gone_goes_on_later() {
        let cursor = part(&[(1, "a"), (2, "b"), (3, "c")], 2, None).next;
        assert_eq!(part(&[(1, "a"), (3, "c")], 2, cursor).data, ["c"]);
    }

    #[test]
    fn refuses_limits_and_cursors_that_are_none() {
        for (limit, after, field) in [
            (Some(0), None, "limit"),
            (Some(1_001), None, "limit"),
            (None, Some("7"), "after"),
            (None, Some("!!"), "after"),
        ] {
            let arguments = PageArguments { limit, after: after.map(str::to_owned) };
            assert_eq!(arguments.of_store().unwrap_err().errors()[0].field, field);
        }
        let stored = List::of(Paged { data: vec![1], next: Some(7) }, |it| it);
        let arguments = PageArguments { limit: None, after: stored.next };
        assert_eq!(arguments.of_store().unwrap(), Page { after: Some(7), limit: 50 });
    }
}
