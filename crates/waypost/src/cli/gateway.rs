//! Arguments of every command that speaks to a running gateway. How it is found: `crate::admin`.

use clap::Args;

/// Which gateway is spoken to, and how it answers.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct Gateway {
    /// The gateway's address [default: from <data_dir>/admin.env]
    #[arg(long, global = true, value_name = "URL", env = "WAYPOST_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// The admin key, or an API key with the scope [default: from <data_dir>/admin.env]
    #[arg(long, global = true, env = "WAYPOST_ADMIN_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// The organisation's id [default: the key's organisation, or the only one there is]
    #[arg(long, global = true, value_name = "ORG", env = "WAYPOST_ORG_ID", hide_env_values = true)]
    pub(crate) org: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}
