//! Arguments of `waypost admin`. What the commands do: `crate::admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::callbacks::{CallbackCommand, EventCommand, WebhookCommand};
use super::customers::CustomerCommand;
use super::gateway::Gateway;
use super::keys::KeyCommand;
use super::messages::MessageCommand;
use super::numbers::NumberCommand;
use super::pick::{Id, Page};

pub(super) const EXAMPLES: &str = "\
Examples:
  waypost admin orgs create Acme --time-zone Asia/Kuala_Lumpur
  waypost admin numbers add +15550009999 --phone-number-id 100000000000001 --waba-id 100000000000002 --register 123456 --subscribe
  waypost admin customers import people.csv
  waypost admin keys create --name crm --scope messages:send --scope media";

/// Manage a running gateway.
#[derive(Args, Debug)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    #[command(subcommand)]
    pub(crate) resource: Resource,
}

/// What is managed.
#[derive(Debug, Subcommand)]
pub(crate) enum Resource {
    /// Organisations, the tenants of this gateway
    #[command(subcommand, visible_alias = "organisations")]
    #[command(after_help = "Example:\n  waypost admin orgs list")]
    Orgs(OrgCommand),
    /// Users: an organisation's administrators and agents
    #[command(subcommand, after_help = "Example:\n  waypost admin users create --name Ann")]
    Users(UserCommand),
    /// Customers: the people an organisation writes to
    #[command(subcommand, after_help = "Example:\n  waypost admin customers import people.csv")]
    Customers(CustomerCommand),
    /// Numbers: the business's senders
    #[command(subcommand, after_help = "Example:\n  waypost admin numbers list")]
    Numbers(NumberCommand),
    /// API keys
    #[command(subcommand)]
    #[command(after_help = "Example:\n  waypost admin keys create --scope messages:send")]
    Keys(KeyCommand),
    /// Media: files to be sent, at public addresses
    #[command(subcommand, after_help = "Example:\n  waypost admin media upload offer.pdf")]
    Media(MediaCommand),
    /// Media providers: credentials for links to protected files
    #[command(subcommand, after_help = "Example:\n  waypost admin providers list")]
    Providers(ProviderCommand),
    /// Message templates
    #[command(subcommand, after_help = "Example:\n  waypost admin templates sync")]
    Templates(TemplateCommand),
    /// The message log
    #[command(subcommand, after_help = "Example:\n  waypost admin messages list --limit 20")]
    Messages(MessageCommand),
    /// Broadcasts and their progress
    #[command(subcommand, after_help = "Example:\n  waypost admin broadcasts list")]
    Broadcasts(BroadcastCommand),
    /// Sessions: which windows are open
    #[command(subcommand, after_help = "Example:\n  waypost admin sessions list")]
    Sessions(SessionCommand),
    /// Webhooks: the addresses to which events are posted
    #[command(subcommand)]
    #[command(
        after_help = "Example:\n  waypost admin webhooks create https://crm.example.com/events"
    )]
    Webhooks(WebhookCommand),
    /// Callbacks that were not delivered, or not yet
    #[command(subcommand, after_help = "Example:\n  waypost admin callbacks list --state dead")]
    Callbacks(CallbackCommand),
    /// Events: what happened, as webhooks tell it
    #[command(subcommand, after_help = "Example:\n  waypost admin events list --follow")]
    Events(EventCommand),
    /// Queues: what waits and for how long
    #[command(after_help = "Examples:\n  waypost admin queues\n  waypost admin queues resume")]
    Queues {
        #[command(subcommand)]
        command: Option<QueueCommand>,
    },
}

/// Queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Show what waits (the default)
    #[command(after_help = "Example:\n  waypost admin queues show --json")]
    Show,
    /// Send what is held back since a restore, flagged as possible duplicates
    #[command(after_help = "Example:\n  waypost admin queues resume")]
    Resume,
    /// Leave what is held back since a restore as it is: unknown, and broadcasts paused
    #[command(after_help = "Example:\n  waypost admin queues leave")]
    Leave,
}

/// Organisations.
#[derive(Debug, Subcommand)]
pub(crate) enum OrgCommand {
    /// Make an organisation
    #[command(
        after_help = "Example:\n  waypost admin orgs create Acme --time-zone Asia/Kuala_Lumpur"
    )]
    Create {
        /// Its name
        name: String,
        /// Its id [default: a new one]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: OrgFields,
    },
    /// List organisations
    #[command(after_help = "Example:\n  waypost admin orgs list --json")]
    List(Page),
    /// Show one organisation
    #[command(after_help = "Example:\n  waypost admin orgs get acme")]
    Get(Id),
    /// Change an organisation
    #[command(after_help = ORG_UPDATE_EXAMPLES)]
    Update {
        /// Its id
        id: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        fields: OrgFields,
        /// Take back what was set, so that the default holds again; repeat it for each
        #[arg(long, value_name = "FIELD", value_parser = CLEARABLE)]
        clear: Vec<String>,
    },
    /// Delete an organisation with everything that belongs to it
    #[command(after_help = "Example:\n  waypost admin orgs delete acme")]
    Delete(Id),
}

const ORG_UPDATE_EXAMPLES: &str = "\
Examples:
  waypost admin orgs update acme --window-policy refuse
  waypost admin orgs update acme --clear message_retention_days";

/// Fields of an organisation that need no value, as the API names them.
const CLEARABLE: [&str; 11] = [
    "time_zone",
    "default_language",
    "window_policy",
    "window_fallback",
    "unknown_policy",
    "strict_opt_in",
    "broadcast_audience",
    "join_code",
    "wire_offsets",
    "message_retention_days",
    "media_retention_days",
];

/// What can be set of an organisation.
#[derive(Args, Debug, Default)]
pub(crate) struct OrgFields {
    /// IANA name or offset, such as Asia/Kuala_Lumpur or +08:00
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub(crate) time_zone: Option<String>,
    /// Template language to prefer
    #[arg(long, value_name = "CODE")]
    pub(crate) default_language: Option<String>,
    /// Free-form messages while a window is closed
    #[arg(long, value_name = "POLICY", value_parser = ["refuse", "forward", "hold"])]
    pub(crate) window_policy: Option<String>,
    /// Template that goes while a window is closed: with the text as its one value, or ahead of what
    /// is held where it takes none
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) window_fallback: Option<String>,
    /// Messages whose outcome is unknown
    #[arg(long, value_name = "POLICY")]
    #[arg(value_parser = ["hold_then_resend", "never_resend", "resend_now"])]
    pub(crate) unknown_policy: Option<String>,
    /// Whether only customers who opted in may be written to
    #[arg(long, value_name = "BOOL")]
    pub(crate) strict_opt_in: Option<bool>,
    /// Whom a broadcast reaches
    #[arg(long, value_name = "AUDIENCE", value_parser = ["all", "opted_in"])]
    pub(crate) broadcast_audience: Option<String>,
    /// The word that joins a person to this organisation on a shared number
    #[arg(long, value_name = "WORD")]
    pub(crate) join_code: Option<String>,
    /// Zone in which a dialect writes its zone-less times, as DIALECT=ZONE; repeat it for each.
    /// Those of other dialects stay
    #[arg(long = "wire-offset", value_name = "DIALECT=ZONE")]
    pub(crate) wire_offsets: Vec<String>,
    /// How long messages are kept, in days
    #[arg(long, value_name = "DAYS")]
    pub(crate) message_retention_days: Option<u32>,
    /// How long uploaded media are kept, in days
    #[arg(long, value_name = "DAYS")]
    pub(crate) media_retention_days: Option<u32>,
}

/// Users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user
    #[command(after_help = "Example:\n  waypost admin users create --id 4711 --name Ann")]
    Create {
        /// The user's id [default: a new one]
        #[arg(long)]
        id: Option<String>,
        /// The user's name
        #[arg(long)]
        name: Option<String>,
    },
    /// List users
    #[command(after_help = "Example:\n  waypost admin users list")]
    List(Page),
    /// Show one user
    #[command(after_help = "Example:\n  waypost admin users get 4711")]
    Get(Id),
    /// Rename a user
    #[command(after_help = "Example:\n  waypost admin users update 4711 --name 'Ann Lee'")]
    Update {
        /// The user's id
        id: String,
        /// The new name
        #[arg(long)]
        name: String,
    },
    /// Delete a user
    #[command(after_help = "Example:\n  waypost admin users delete 4711")]
    Delete(Id),
}

/// Stored files.
#[derive(Debug, Subcommand)]
pub(crate) enum MediaCommand {
    /// Store a file; the answer has its id and its public address
    #[command(after_help = "Example:\n  waypost admin media upload offer.pdf")]
    Upload {
        /// The file
        file: PathBuf,
        /// Its type, such as image/png [default: by its ending]
        #[arg(long = "type", value_name = "TYPE")]
        mime_type: Option<String>,
    },
    /// List stored files
    #[command(after_help = "Example:\n  waypost admin media list")]
    List(Page),
    /// Show one stored file
    #[command(after_help = "Example:\n  waypost admin media get 1000000000000001")]
    Get(Id),
    /// Remove a stored file; its address stops working
    #[command(after_help = "Example:\n  waypost admin media delete 1000000000000001")]
    Delete(Id),
}

/// Media providers.
#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// Add a provider; its credential is read from standard input
    #[command(
        after_help = "Example:\n  waypost admin providers add twilio --scheme basic --host api.twilio.com < credential.txt"
    )]
    Add {
        /// The name that requests use
        name: String,
        /// How it authenticates: with user:password, or with a token
        #[arg(long, value_parser = ["basic", "bearer"])]
        scheme: String,
        /// A host that may see the credential; repeat it for each
        #[arg(long = "host", value_name = "HOST", required = true)]
        hosts: Vec<String>,
    },
    /// List providers
    #[command(after_help = "Example:\n  waypost admin providers list")]
    List(Page),
    /// Show one provider
    #[command(after_help = "Example:\n  waypost admin providers get twilio")]
    Get(Id),
    /// Remove a provider
    #[command(after_help = "Example:\n  waypost admin providers delete twilio")]
    Delete(Id),
}

/// Templates.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// List templates
    #[command(after_help = "Example:\n  waypost admin templates list")]
    List(Page),
    /// Show one template by the upstream's id
    #[command(after_help = "Example:\n  waypost admin templates get 1000000000000500")]
    Get(Id),
    /// Read all templates from the upstream
    #[command(after_help = "Example:\n  waypost admin templates sync")]
    Sync,
}

/// Broadcasts.
#[derive(Debug, Subcommand)]
pub(crate) enum BroadcastCommand {
    /// List broadcasts
    #[command(after_help = "Example:\n  waypost admin broadcasts list")]
    List(Page),
    /// Show one broadcast and how far it is
    #[command(
        after_help = "Example:\n  waypost admin broadcasts get 01890000-0000-7000-8000-000000000000"
    )]
    Get(Id),
    /// Hold back what has not been sent yet
    #[command(
        after_help = "Example:\n  waypost admin broadcasts pause 01890000-0000-7000-8000-000000000000"
    )]
    Pause(Id),
    /// Go on with a paused broadcast
    #[command(
        after_help = "Example:\n  waypost admin broadcasts resume 01890000-0000-7000-8000-000000000000"
    )]
    Resume(Id),
    /// Withdraw what has not been sent yet, for good
    #[command(
        after_help = "Example:\n  waypost admin broadcasts cancel 01890000-0000-7000-8000-000000000000"
    )]
    Cancel(Id),
}

/// Sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions
    #[command(after_help = "Example:\n  waypost admin sessions list")]
    List(Page),
}
