//! Arguments of `waypost admin numbers`. What the commands do: `crate::admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pick::{Id, Page};

/// Numbers.
#[derive(Debug, Subcommand)]
pub(crate) enum NumberCommand {
    /// Add a number of the business
    #[command(
        after_help = "Example:\n  waypost admin numbers add +15550009999 --phone-number-id 100000000000001 --waba-id 100000000000002 --register 123456 --subscribe"
    )]
    Add {
        /// The number people see, with country code
        display_phone: String,
        /// Meta's id of the number
        #[arg(long, value_name = "ID")]
        phone_number_id: String,
        /// Meta's id of its business account
        #[arg(long, value_name = "ID")]
        waba_id: String,
        /// Its id here [default: Meta's id]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: NumberFields,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// List numbers
    #[command(after_help = "Example:\n  waypost admin numbers list")]
    List(Page),
    /// Show one number
    #[command(after_help = "Example:\n  waypost admin numbers get 100000000000001")]
    Get(Id),
    /// Change a number; register it or subscribe to its events
    #[command(after_help = UPDATE_EXAMPLES)]
    Update {
        /// Its id
        id: String,
        #[command(flatten)]
        fields: NumberFields,
        /// Take back what was set, so that the default holds again; repeat it for each
        #[arg(long, value_name = "FIELD", value_parser = CLEARABLE)]
        clear: Vec<String>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Remove a number
    #[command(after_help = "Example:\n  waypost admin numbers delete 100000000000001")]
    Delete(Id),
}

const UPDATE_EXAMPLES: &str = "\
Examples:
  waypost admin numbers update 100000000000001 --access-token-file - < token.txt
  waypost admin numbers update 100000000000001 --clear aliases --clear default_notify_url";

/// Fields of a number that need no value, as the API names them.
const CLEARABLE: [&str; 11] = [
    "access_token",
    "app_secret",
    "throughput_per_s",
    "daily_limit",
    "app_id",
    "source_id",
    "aliases",
    "default_notify_url",
    "notify_auth",
    "errors_as_200",
    "shared",
];

/// What is done with a number at the upstream.
#[derive(Args, Debug, Default)]
pub(crate) struct ConnectArgs {
    /// Register the number for sending, with its two-step verification PIN
    #[arg(long, value_name = "PIN")]
    pub(crate) register: Option<String>,
    /// Subscribe to the events of its business account
    #[arg(long)]
    pub(crate) subscribe: bool,
}

/// What can be set of a number. Secrets are read from files, so that no process list shows them.
#[derive(Args, Debug, Default)]
pub(crate) struct NumberFields {
    /// File with a token of its own; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// File with the app secret that signs its webhooks; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) app_secret_file: Option<PathBuf>,
    /// Messages a second
    #[arg(long, value_name = "N")]
    pub(crate) throughput_per_s: Option<u32>,
    /// People who may be written to outside of windows within a day [default: as Meta says]
    #[arg(long, value_name = "N")]
    pub(crate) daily_limit: Option<u32>,
    /// Its name in Webex Connect's dialect (appid)
    #[arg(long, value_name = "NAME")]
    pub(crate) app_id: Option<String>,
    /// Its name in Pepipost's dialect (source)
    #[arg(long, value_name = "NAME")]
    pub(crate) source_id: Option<String>,
    /// Another name by which callers know it; repeat it for each. Those given are all that it has
    #[arg(long = "alias", value_name = "NAME")]
    pub(crate) aliases: Vec<String>,
    /// Where receipts go when a request names no address
    #[arg(long, value_name = "URL")]
    pub(crate) default_notify_url: Option<String>,
    /// A credential for callbacks: its name (default for that address) and a file with the value
    /// of the header Authorization; repeat it for each. Those given are all that it has
    #[arg(long = "notify-auth-file", value_name = "NAME=FILE")]
    pub(crate) notify_auth_files: Vec<String>,
    /// Answer errors with status 200 in dialects that offer it
    #[arg(long, value_name = "BOOL")]
    pub(crate) errors_as_200: Option<bool>,
    /// Let other organisations use it by join code
    #[arg(long, value_name = "BOOL")]
    pub(crate) shared: Option<bool>,
}
