//! The command line: what can be typed, and how it is documented. What the commands do stands in the
//! modules named after them.

pub(crate) mod admin;
pub(crate) mod backup;
pub(crate) mod callbacks;
pub(crate) mod customers;
pub(crate) mod gateway;
pub(crate) mod keys;
pub(crate) mod messages;
pub(crate) mod numbers;
pub(crate) mod pick;
pub(crate) mod send;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Flag, Inputs, SETTINGS};

/// A self-hosted gateway to the WhatsApp Business Platform.
#[derive(Debug, Parser)]
#[command(name = "waypost", version, max_term_width = 100, after_help = TOP_EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const TOP_EXAMPLES: &str = "\
Examples:
  waypost                      start the gateway, with the built-in sandbox if nothing is configured
  waypost doctor               check an installation and say what to do
  waypost admin --help         organisations, customers, numbers, keys, templates
  waypost send --to 15550001111 --text 'Hello'

Without a command, waypost does what `waypost serve` does. All settings with their defaults:
`waypost config defaults`.";

/// Settings that can be given on the command line. Their help text comes from the table of settings.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingFlags {
    /// The configuration file [default: ./waypost.toml if it exists] [env: WAYPOST_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    #[arg(long, global = true)]
    no_sandbox: bool,
    #[arg(long, global = true, value_name = "ADDRESS")]
    sandbox_listen: Option<String>,
    #[arg(long, global = true)]
    demo: bool,
}

impl SettingFlags {
    /// What the configuration is read from: these flags and an environment.
    pub(crate) fn inputs(&self, environment: Vec<(OsString, OsString)>) -> Inputs {
        let taking = [
            ("--listen", &self.listen),
            ("--data-dir", &self.data_dir),
            ("--database-url", &self.database_url),
            ("--sandbox-listen", &self.sandbox_listen),
        ];
        let meaning = [("--no-sandbox", self.no_sandbox), ("--demo", self.demo)];
        let flags = taking
            .into_iter()
            .filter_map(|(name, value)| value.clone().map(|value| (name, Some(value))))
            .chain(meaning.into_iter().filter(|(_, given)| *given).map(|(name, _)| (name, None)));
        Inputs { file: self.config.clone(), flags: flags.collect(), environment }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the gateway (and the sandbox, while no upstream is configured)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve,
    /// Start only the sandbox: a simulator of Meta's Cloud API with a phone in the browser
    #[command(after_help = SANDBOX_EXAMPLES)]
    Sandbox(SandboxArgs),
    /// Manage a running gateway: organisations, customers, numbers, keys, templates
    #[command(after_help = admin::EXAMPLES)]
    Admin(Box<admin::AdminArgs>),
    /// Send one message through a running gateway
    #[command(after_help = send::EXAMPLES)]
    Send(Box<send::SendArgs>),
    /// Copy everything of a running gateway into one file; the master key apart
    #[command(after_help = backup::BACKUP_EXAMPLES)]
    Backup(Box<backup::BackupArgs>),
    /// Unpack a backup into an empty data folder
    #[command(after_help = backup::RESTORE_EXAMPLES)]
    Restore(backup::RestoreArgs),
    /// Check configuration, disk, upstream, token and webhook, and say what to do
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Show or check the configuration
    #[command(subcommand, after_help = CONFIG_EXAMPLES)]
    Config(ConfigCommand),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  waypost serve
  waypost serve --listen 0.0.0.0:8080 --data-dir /var/lib/waypost
  WAYPOST_UPSTREAM__ACCESS_TOKEN=… waypost serve --config /etc/waypost.toml";

const SANDBOX_EXAMPLES: &str = "\
Examples:
  waypost sandbox
  waypost sandbox --sandbox-listen 127.0.0.1:9000 --webhook-url http://127.0.0.1:8080/webhooks/meta";

/// Start only the sandbox.
#[derive(Args, Debug, Default)]
pub(crate) struct SandboxArgs {
    /// Where its webhooks go, signed with webhook.app_secret [default: nowhere]
    #[arg(long, value_name = "URL")]
    pub(crate) webhook_url: Option<String>,
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  waypost doctor
  waypost doctor --config /etc/waypost.toml --json";

/// Check an installation.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const CONFIG_EXAMPLES: &str = "\
Examples:
  waypost config print
  waypost config check --config /etc/waypost.toml
  waypost config defaults > waypost.toml";

/// Show or check the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in effect and where it was set; secrets are left out
    #[command(after_help = "Example:\n  waypost config print --json")]
    Print {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell everything that is wrong with the configuration
    #[command(after_help = "Example:\n  waypost config check --config /etc/waypost.toml")]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the documented defaults as a configuration file
    #[command(after_help = "Example:\n  waypost config defaults > waypost.toml")]
    Defaults,
}

/// The command line with the settings' documentation filled in: the first sentence of each.
pub(crate) fn command() -> clap::Command {
    SETTINGS.iter().fold(Cli::command(), |command, setting| {
        let (name, doc) = match setting.flag {
            Flag::None => return command,
            Flag::Takes(name) => (name, first_sentence(setting.doc)),
            Flag::Means(name, _, doc) => (name, doc),
        };
        let id = name.trim_start_matches('-').replace('-', "_");
        let help = format!("{doc} [env: {}]", setting.variable());
        command.mut_arg(id, |arg| arg.help(help))
    })
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

/// Reads the command line; prints help, version or what is wrong with it and exits by itself.
pub(crate) fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
