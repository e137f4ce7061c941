//! Arguments of `waypost admin webhooks`, `callbacks` and `events`. What the commands do:
//! `crate::admin`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand};
use waypost_domain::event::EventKind;

use super::pick::{Id, Page, Span};

/// Webhooks.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Make a webhook; its secret is shown once
    #[command(
        after_help = "Example:\n  waypost admin webhooks create https://crm.example.com/events --event message.received --event message.failed"
    )]
    Create {
        /// Where events are posted
        #[arg(value_name = "URL")]
        address: String,
        /// Its id [default: a new one]
        #[arg(long)]
        id: Option<String>,
        /// File with the secret that signs, 16 to 256 characters; - for standard input [default: a
        /// new one]
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        #[command(flatten)]
        fields: WebhookFields,
    },
    /// List webhooks
    #[command(after_help = "Example:\n  waypost admin webhooks list")]
    List(Page),
    /// Show one webhook and how its address does
    #[command(after_help = "Example:\n  waypost admin webhooks get crm")]
    Get(Id),
    /// Change a webhook, or switch it off and on
    #[command(after_help = "Example:\n  waypost admin webhooks update crm --disabled false")]
    Update {
        /// Its id
        id: String,
        #[command(flatten)]
        change: WebhookChange,
    },
    /// Remove a webhook, and what it was still to be told
    #[command(after_help = "Example:\n  waypost admin webhooks delete crm")]
    Delete(Id),
    /// Give a webhook a new secret, shown once; the old one signs beside it for a while
    #[command(after_help = "Example:\n  waypost admin webhooks rotate-secret crm --overlap-s 3600")]
    RotateSecret {
        /// Its id
        id: String,
        /// File with the new secret; - for standard input [default: a new one]
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// How long the old secret signs beside it, in seconds [default: a day]
        #[arg(long, value_name = "SECONDS")]
        overlap_s: Option<u32>,
    },
    /// Post a made-up event, once, and tell what was answered
    #[command(after_help = "Example:\n  waypost admin webhooks test crm")]
    Test(Id),
    /// Make callbacks again
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// Its id
        id: String,
        #[command(flatten)]
        what: ReplayArgs,
    },
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  waypost admin webhooks replay crm --dead
  waypost admin webhooks replay crm --since 2030-01-31T00:00:00Z --until 2030-02-01T00:00:00Z
  waypost admin webhooks replay crm --event evt_01890000000070008000000000000000";

/// What can be set of a webhook. Secrets are read from files, so that no process list shows them.
#[derive(Args, Debug, Default)]
pub(crate) struct WebhookFields {
    /// How events are told: standard (what a new one has), cloud_api, or a dialect's name
    #[arg(long)]
    pub(crate) shape: Option<String>,
    /// Only events of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) number: Option<String>,
    /// Only events of this kind; repeat it for each (a new one hears of all)
    #[arg(long = "event", value_name = "KIND", value_parser = kinds())]
    pub(crate) events: Vec<String>,
    /// File with a header that goes with every call, as Name: value; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) header_file: Option<PathBuf>,
}

/// What can be changed of a webhook.
#[derive(Args, Debug, Default)]
pub(crate) struct WebhookChange {
    /// A new address; what waits goes there
    #[arg(long, value_name = "URL")]
    pub(crate) address: Option<String>,
    #[command(flatten)]
    pub(crate) fields: WebhookFields,
    /// Events of every number
    #[arg(long, conflicts_with = "number")]
    pub(crate) every_number: bool,
    /// Events of every kind
    #[arg(long, conflicts_with = "events")]
    pub(crate) every_event: bool,
    /// No header goes with the calls any more
    #[arg(long, conflicts_with = "header_file")]
    pub(crate) no_header: bool,
    /// Whether nothing is posted
    #[arg(long, value_name = "BOOL")]
    pub(crate) disabled: Option<bool>,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(EventKind::ALL.map(EventKind::as_str))
}

/// Which callbacks are made again.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["dead", "since", "event"])))]
pub(crate) struct ReplayArgs {
    /// All that were given up
    #[arg(long)]
    pub(crate) dead: bool,
    /// All events from this instant on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only those before this instant (RFC 3339)
    #[arg(long, value_name = "TIME", requires = "since", conflicts_with_all = ["dead", "event"])]
    pub(crate) until: Option<String>,
    /// This event
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
}

/// Callbacks.
#[derive(Debug, Subcommand)]
pub(crate) enum CallbackCommand {
    /// List callbacks that were not delivered yet, and those that were given up
    #[command(after_help = CALLBACK_LIST_EXAMPLES)]
    List {
        #[command(flatten)]
        page: Page,
        #[command(flatten)]
        which: CallbackFilters,
        /// Only those still to be made, or given up
        #[arg(long, value_parser = ["pending", "dead"])]
        state: Option<String>,
    },
    /// Make callbacks again that were given up, also those for addresses that requests named
    #[command(after_help = CALLBACK_REPLAY_EXAMPLES)]
    Replay(CallbackReplayArgs),
}

const CALLBACK_LIST_EXAMPLES: &str = "\
Examples:
  waypost admin callbacks list --state dead
  waypost admin callbacks list --state dead --server https://crm.example.com
  waypost admin callbacks list --message 01890000-0000-7000-8000-000000000000";

const CALLBACK_REPLAY_EXAMPLES: &str = "\
Examples:
  waypost admin callbacks replay --server https://crm.example.com
  waypost admin callbacks replay --event evt_01890000000070008000000000000000
  waypost admin callbacks replay --all";

/// Which callbacks: those that meet all that is said.
#[derive(Args, Debug)]
#[group(id = "which", multiple = true)]
pub(crate) struct CallbackFilters {
    /// Only those of this webhook
    #[arg(long, value_name = "ID")]
    pub(crate) webhook: Option<String>,
    /// Only those for addresses of this server that requests named
    #[arg(long, value_name = "URL", conflicts_with = "webhook")]
    pub(crate) server: Option<String>,
    /// Only those that tell of this message
    #[arg(long, value_name = "ID")]
    pub(crate) message: Option<String>,
    /// Only those of this event
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
}

/// Which callbacks that were given up are made again.
#[derive(Args, Debug)]
#[command(group(
    ArgGroup::new("what").required(true).multiple(true)
        .args(["webhook", "server", "message", "event", "all"])
))]
pub(crate) struct CallbackReplayArgs {
    #[command(flatten)]
    pub(crate) which: CallbackFilters,
    /// All of the organisation
    #[arg(long, conflicts_with = "which")]
    pub(crate) all: bool,
}

/// Events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// List events, or show them as they happen
    #[command(after_help = EVENT_EXAMPLES)]
    List {
        #[command(flatten)]
        page: Page,
        #[command(flatten)]
        filters: EventFilters,
        /// Show what happens from now on, or after --after, until interrupted; with --json one
        /// object a line
        #[arg(long, conflicts_with_all = ["since", "until", "order", "limit"])]
        follow: bool,
    },
    /// Show one event
    #[command(
        after_help = "Example:\n  waypost admin events get evt_01890000000070008000000000000000"
    )]
    Get(Id),
}

const EVENT_EXAMPLES: &str = "\
Examples:
  waypost admin events list --order newest --limit 20
  waypost admin events list --event message.failed --since 2030-01-31T00:00:00Z
  waypost admin events list --follow --json";

/// Which events.
#[derive(Args, Debug, Default)]
pub(crate) struct EventFilters {
    /// Only of this kind; repeat it for each
    #[arg(long = "event", value_name = "KIND", value_parser = kinds())]
    pub(crate) events: Vec<String>,
    /// Only of the number with this id
    #[arg(long, value_name = "ID")]
    pub(crate) number: Option<String>,
    /// Only of this message
    #[arg(long, value_name = "ID")]
    pub(crate) message: Option<String>,
    #[command(flatten)]
    pub(crate) span: Span,
}
