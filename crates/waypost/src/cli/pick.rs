//! Arguments that pick from what there is: one by its id, a page of a list, a span of time.

use clap::Args;

/// How many are shown.
#[derive(Args, Debug)]
pub(crate) struct Page {
    /// Show at most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Go on after this cursor, as the page before named it
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

/// Which one.
#[derive(Args, Debug)]
pub(crate) struct Id {
    /// Its id
    pub(crate) id: String,
}

/// Which part of a log, and in which order.
#[derive(Args, Debug, Default)]
pub(crate) struct Span {
    /// Only what was recorded at or after this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was recorded before this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Which come first [default: oldest]
    #[arg(long, value_parser = ["oldest", "newest"])]
    order: Option<String>,
}

impl Span {
    /// The filters by the names that the API has for them.
    pub(crate) fn filters(self) -> [(&'static str, Option<String>); 3] {
        [("since", self.since), ("until", self.until), ("order", self.order)]
    }
}
