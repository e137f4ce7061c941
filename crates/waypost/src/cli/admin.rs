//! Arguments of `waypost admin`. What the commands do: `crate::admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::callbacks::{CallbackCommand, EventCommand, WebhookCommand};
use super::messages::MessageCommand;

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

/// Which gateway is spoken to, and how it answers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct Gateway {
    /// The gateway's address [default: from <data_dir>/admin.env]
    #[arg(long, global = true, value_name = "URL", env = "WAYPOST_URL")]
    pub(crate) url: Option<String>,
    /// The admin key, or an API key with the scope [default: from <data_dir>/admin.env]
    #[arg(long, global = true, env = "WAYPOST_ADMIN_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// The organisation's id [default: the key's organisation, or the only one there is]
    #[arg(long, global = true, value_name = "ORG", env = "WAYPOST_ORG_ID")]
    pub(crate) org: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
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
    #[command(after_help = "Example:\n  waypost admin orgs update acme --window-policy refuse")]
    Update {
        /// Its id
        id: String,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        fields: OrgFields,
    },
    /// Delete an organisation with everything that belongs to it
    #[command(after_help = "Example:\n  waypost admin orgs delete acme")]
    Delete(Id),
}

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
    /// Zone in which a dialect writes its zone-less times, as DIALECT=ZONE; repeat it for each
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
    /// Delete a customer
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
    /// A label; repeat it for each
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
    #[command(
        after_help = "Example:\n  waypost admin numbers update 100000000000001 --access-token-file - < token.txt"
    )]
    Update {
        /// Its id
        id: String,
        #[command(flatten)]
        fields: NumberFields,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Remove a number
    #[command(after_help = "Example:\n  waypost admin numbers delete 100000000000001")]
    Delete(Id),
}

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
    /// Another name by which callers know it; repeat it for each
    #[arg(long = "alias", value_name = "NAME")]
    pub(crate) aliases: Vec<String>,
    /// Where receipts go when a request names no address
    #[arg(long, value_name = "URL")]
    pub(crate) default_notify_url: Option<String>,
    /// A credential for callbacks: its name (default for that address) and a file with the value
    /// of the header Authorization; repeat it for each
    #[arg(long = "notify-auth-file", value_name = "NAME=FILE")]
    pub(crate) notify_auth_files: Vec<String>,
    /// Answer errors with status 200 in dialects that offer it
    #[arg(long, value_name = "BOOL")]
    pub(crate) errors_as_200: Option<bool>,
    /// Let other organisations use it by join code
    #[arg(long, value_name = "BOOL")]
    pub(crate) shared: Option<bool>,
}

/// API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; its secret is shown once
    #[command(
        after_help = "Example:\n  waypost admin keys create --name crm --scope messages:send --scope media"
    )]
    Create(KeyFields),
    /// Take over an existing secret from standard input
    #[command(
        after_help = "Example:\n  waypost admin keys import --name crm --scope messages:send < secret.txt"
    )]
    Import(KeyFields),
    /// List keys; no secrets are kept
    #[command(after_help = "Example:\n  waypost admin keys list")]
    List(Page),
    /// Switch a key off or on, or let its holder sign tokens
    #[command(after_help = "Example:\n  waypost admin keys update 0a1b2c3d4e5f --disabled true")]
    Update {
        /// The key's id
        id: String,
        /// Whether it is switched off
        #[arg(long, value_name = "BOOL")]
        disabled: Option<bool>,
        #[command(flatten)]
        jwt: JwtFields,
    },
    /// Stop a key from working
    #[command(after_help = "Example:\n  waypost admin keys revoke 0a1b2c3d4e5f")]
    Revoke(Id),
}

/// What can be set of a key.
#[derive(Args, Debug, Default)]
pub(crate) struct KeyFields {
    /// Its id [default: a new one]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// What it is for
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it may do; repeat it for each
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(scopes()))]
    pub(crate) scopes: Vec<String>,
    /// When it stops working (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_at: Option<String>,
    /// Whether its sends are a person's or a bot's
    #[arg(long, value_name = "WHO", value_parser = ["human", "assistant"])]
    pub(crate) sends_as: Option<String>,
    /// A network from which it may be used (CIDR); repeat it for each [default: any]
    #[arg(long = "allowed-ip", value_name = "NETWORK")]
    pub(crate) allowed_ips: Vec<String>,
    /// Requests a second
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<u32>,
    /// Make it switched off
    #[arg(long)]
    pub(crate) disabled: bool,
    #[command(flatten)]
    pub(crate) jwt: JwtFields,
}

/// How a key's holder signs tokens of its own (Webex Connect).
#[derive(Args, Debug, Default)]
pub(crate) struct JwtFields {
    /// The tokens' `iss`: the service id
    #[arg(long, value_name = "ID", requires = "jwt_secret_file")]
    pub(crate) jwt_service_id: Option<String>,
    /// File with the secret that signs them
    #[arg(long, value_name = "FILE", requires = "jwt_service_id")]
    pub(crate) jwt_secret_file: Option<PathBuf>,
}

fn scopes() -> Vec<&'static str> {
    waypost_domain::directory::Scope::ALL.into_iter().map(|scope| scope.as_str()).collect()
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
}

/// Sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions
    #[command(after_help = "Example:\n  waypost admin sessions list")]
    List(Page),
}
