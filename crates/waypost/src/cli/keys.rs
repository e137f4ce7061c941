//! Arguments of `waypost admin keys`. What the commands do: `crate::admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use waypost_domain::directory::Scope;

use super::pick::{Id, Page};

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
    /// Switch a key off or on, change its rate, or let its holder sign tokens
    #[command(after_help = "Example:\n  waypost admin keys update 0a1b2c3d4e5f --rate-limit 20")]
    Update {
        /// The key's id
        id: String,
        #[command(flatten)]
        fields: KeyChange,
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

/// What can be changed of a key.
#[derive(Args, Debug, Default)]
pub(crate) struct KeyChange {
    /// Whether it is switched off
    #[arg(long, value_name = "BOOL")]
    pub(crate) disabled: Option<bool>,
    /// Requests a second
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<u32>,
    /// Take the limit of requests away
    #[arg(long, conflicts_with = "rate_limit")]
    pub(crate) no_rate_limit: bool,
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
    Scope::ALL.into_iter().map(|scope| scope.as_str()).collect()
}
