//! The values of a small body in the order in which they were found, so that none is looked for
//! again. Of a large body nothing is kept: whoever wants a value of it looks for its end once more.

/// The most values, keys among them, that are kept of a body: some 100 KB.
pub(super) const MAX_KEPT: usize = 4_096;
/// Room to begin with; most requests need no more.
const USUAL: usize = 48;

/// A value or a key. What stands inside it comes right behind it.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) text: &'a str,
    /// How many entries stand inside it.
    pub(super) inside: usize,
}

/// What was found so far; nothing once it is too much.
pub(super) struct Contents<'a>(Option<Vec<Entry<'a>>>);

impl<'a> Contents<'a> {
    pub(super) fn new() -> Self {
        Self(Some(Vec::with_capacity(USUAL)))
    }

    /// Notes that a value begins. Gives its place in the list.
    pub(super) fn open(&mut self) -> usize {
        let Some(entries) = self.0.as_mut().filter(|entries| entries.len() < MAX_KEPT) else {
            self.0 = None;
            return 0;
        };
        entries.push(Entry { text: "", inside: 0 });
        entries.len() - 1
    }

    /// Notes the text of the value that began at this place.
    pub(super) fn close(&mut self, place: usize, text: &'a str) {
        if let Some(entries) = &mut self.0 {
            entries[place] = Entry { text, inside: entries.len() - place - 1 };
        }
    }

    /// The whole list; empty for a large body.
    pub(super) fn into_entries(self) -> Vec<Entry<'a>> {
        self.0.unwrap_or_default()
    }
}
