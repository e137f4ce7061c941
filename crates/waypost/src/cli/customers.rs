//! Arguments of `waypost admin customers`. What the commands do: `crate::admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::pick::{Id, Page};

/// Customers.
#[derive(Debug, Subcommand)]
pub(crate) enum CustomerCommand {
    /// Register a customer
    #[command(
        after_help = "Example:\n  waypost admin customers create +15550001111 --name Ann --opt-in true --opt-in-proof 'web form'"
    )]
    Create {
        /// The phone number, with country code
        phone: String,
        /// The customer's id [default: a new one]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: CustomerFields,
    },
    /// List customers
    #[command(after_help = "Example:\n  waypost admin customers list --tag vip --limit 1000")]
    List {
        #[command(flatten)]
        page: Page,
        /// Only the one with this number
        #[arg(long)]
        phone: Option<String>,
        /// Only those with this label
        #[arg(long)]
        tag: Option<String>,
    },
    /// Show one customer
    #[command(after_help = "Example:\n  waypost admin customers get c-1")]
    Get(Id),
    /// Change a customer
    #[command(after_help = "Example:\n  waypost admin customers update c-1 --opt-in false")]
    Update {
        /// The customer's id
        id: String,
        /// A new phone number
        #[arg(long)]
        phone: Option<String>,
        #[command(flatten)]
        fields: CustomerFields,
    },
    /// Delete a customer; an opt-out still blocks the number
    #[command(after_help = "Example:\n  waypost admin customers delete c-1")]
    Delete(Id),
    /// Register many customers from a CSV or JSON Lines file
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        /// What the file is [default: by its name: .csv, .jsonl, .ndjson]
        #[arg(long)]
        format: Option<ImportFormat>,
    },
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  waypost admin customers import people.csv
  waypost admin customers import people.jsonl --json
  waypost admin customers import - --format csv < people.csv

A CSV file begins with a line of column names: `phone`, and any of `id`, `name`, `tags` (separated by ;), \
`opt_in`, `opt_in_at`, `opt_in_proof`, `active`. In a JSON Lines file each line is an object with the same \
names, `tags` being a list. A customer whose id or phone is known is updated.";

/// The forms of an import file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Comma-separated values with a line of column names
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// What can be set of a customer.
#[derive(Args, Debug, Default)]
pub(crate) struct CustomerFields {
    /// The name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A label; repeat it for each. Those given are all that the customer has
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Whether the customer agreed to get messages
    #[arg(long, value_name = "BOOL")]
    pub(crate) opt_in: Option<bool>,
    /// When the customer said so (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", requires = "opt_in")]
    pub(crate) opt_in_at: Option<String>,
    /// How the agreement is known
    #[arg(long, value_name = "TEXT", requires = "opt_in")]
    pub(crate) opt_in_proof: Option<String>,
    /// Whether the customer belongs to broadcasts
    #[arg(long, value_name = "BOOL")]
    pub(crate) active: Option<bool>,
}
