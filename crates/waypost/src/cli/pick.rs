//! Arguments that pick from what there is: one by its id, or a page of a list.

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
