//! Arguments of `waypost admin messages`. What the commands do: `crate::admin`.

use clap::{Args, Subcommand};

use super::pick::{Id, Page, Span};

/// The message log.
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// List messages
    #[command(after_help = LIST_EXAMPLES)]
    List {
        #[command(flatten)]
        page: Page,
        #[command(flatten)]
        wanted: ListedMessages,
    },
    /// Show one message with its statuses and attempts
    #[command(
        after_help = "Example:\n  waypost admin messages get 01890000-0000-7000-8000-000000000000"
    )]
    Get(Id),
    /// Send messages again as they were accepted: one, or all that the options pick
    #[command(after_help = RETRY_EXAMPLES)]
    Retry {
        /// The one; without it, all that the options pick
        id: Option<String>,
        #[command(flatten)]
        picked: PickedMessages,
        /// Also messages of unknown outcome: they may arrive twice
        #[arg(long)]
        include_unknown: bool,
    },
    /// Withdraw messages that still wait to be sent: one, or all that the options pick
    #[command(after_help = CANCEL_EXAMPLES)]
    Cancel {
        /// The one; without it, all that the options pick
        id: Option<String>,
        #[command(flatten)]
        picked: PickedMessages,
    },
}

const LIST_EXAMPLES: &str = "\
Examples:
  waypost admin messages list --order newest --limit 20
  waypost admin messages list --status failed --since 2030-01-31T00:00:00Z";

const RETRY_EXAMPLES: &str = "\
Examples:
  waypost admin messages retry 01890000-0000-7000-8000-000000000000
  waypost admin messages retry --error-code 131016 --since 2030-01-31T00:00:00Z --dry-run
  waypost admin messages retry --retryable true --broadcast 01890000-0000-7000-8000-000000000000
  waypost admin messages retry --status unknown --include-unknown --since 2030-01-31T00:00:00Z";

const CANCEL_EXAMPLES: &str = "\
Examples:
  waypost admin messages cancel 01890000-0000-7000-8000-000000000000
  waypost admin messages cancel --number 100000000000001 --dry-run";

/// Which messages are listed, and in which order.
#[derive(Args, Debug, Default)]
pub(crate) struct ListedMessages {
    /// Only messages in this state
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only messages with this customer
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,
    /// Only messages with this person
    #[arg(long)]
    pub(crate) phone: Option<String>,
    /// Only messages by the number with this id
    #[arg(long, value_name = "ID")]
    pub(crate) number: Option<String>,
    /// Only messages of this broadcast
    #[arg(long, value_name = "ID")]
    pub(crate) broadcast: Option<String>,
    /// Only messages with this error: our word for it, or WhatsApp's number
    #[arg(long, value_name = "CODE")]
    pub(crate) error_code: Option<String>,
    /// Only failed messages that may be sent another time as they are (true), or the others
    #[arg(long, value_name = "BOOL")]
    pub(crate) retryable: Option<bool>,
    /// Only messages that were sent, or that came
    #[arg(long, value_parser = ["outbound", "inbound"])]
    pub(crate) direction: Option<String>,
    #[command(flatten)]
    pub(crate) span: Span,
}

/// Which messages.
#[derive(Args, Debug, Default)]
pub(crate) struct PickedMessages {
    /// Only messages in this state [default: failed for retry, queued for cancel]
    #[arg(long, conflicts_with = "id", value_parser = ["failed", "cancelled", "unknown", "queued"])]
    pub(crate) status: Option<String>,
    /// Only messages with this customer
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    pub(crate) customer: Option<String>,
    /// Only messages with this person
    #[arg(long, conflicts_with = "id")]
    pub(crate) phone: Option<String>,
    /// Only messages by the number with this id
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    pub(crate) number: Option<String>,
    /// Only messages of this broadcast
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    pub(crate) broadcast: Option<String>,
    /// Only messages with this error: our word for it, or WhatsApp's number
    #[arg(long, value_name = "CODE", conflicts_with = "id")]
    pub(crate) error_code: Option<String>,
    /// Only messages that may be sent another time as they are (true), or the others
    #[arg(long, value_name = "BOOL", conflicts_with = "id")]
    pub(crate) retryable: Option<bool>,
    /// Only messages accepted at or after this instant (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub(crate) since: Option<String>,
    /// Only messages accepted before this instant (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub(crate) until: Option<String>,
    /// Only count them
    #[arg(long, conflicts_with = "id")]
    pub(crate) dry_run: bool,
}
