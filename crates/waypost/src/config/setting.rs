//! The one table of settings. The file, the environment, the flags, `config/default.toml`, the help
//! text and `config print` are all derived from it. What a value must look like: `value.rs`; how
//! settings depend on each other: `rules.rs`.

use super::value::Kind;

/// One setting.
pub(crate) struct Setting {
    /// Its name in the file, with a dot after the section's name.
    pub(crate) key: &'static str,
    /// How it is given on the command line.
    pub(crate) flag: Flag,
    /// What a value must look like.
    pub(crate) kind: Kind,
    /// What holds when nobody sets it.
    pub(crate) default: Fallback,
    /// What it means, in sentences.
    pub(crate) doc: &'static str,
}

/// How a setting is given on the command line.
#[derive(Clone, Copy)]
pub(crate) enum Flag {
    /// Not at all.
    None,
    /// `--flag VALUE`.
    Takes(&'static str),
    /// The flag alone stands for a value; its own help text says what that means.
    Means(&'static str, &'static str, &'static str),
}

impl Flag {
    /// The flag's text, `--` included.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Takes(name) | Self::Means(name, ..) => Some(name),
        }
    }
}

/// What holds when nobody sets a setting.
#[derive(Clone, Copy)]
pub(crate) enum Fallback {
    /// A value in TOML's spelling.
    Literal(&'static str),
    /// Made, derived from other settings, or none. An example in TOML's spelling documents it.
    Unset(&'static str),
}

impl Setting {
    /// The variable that sets it: `tls.cert_file` is `WAYPOST_TLS__CERT_FILE`.
    pub(crate) fn variable(&self) -> String {
        format!("WAYPOST_{}", self.key.to_uppercase().replace('.', "__"))
    }

    /// The setting with a name.
    pub(crate) fn named(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

/// Variables that are no settings and yet known: where the file is, how much is logged, and what
/// `admin.env` and `demo.env` hold for clients.
pub(crate) const OTHER_VARIABLES: &[&str] = &[
    "WAYPOST_CONFIG",
    "WAYPOST_LOG",
    "WAYPOST_PLANTED_BUG",
    "WAYPOST_URL",
    "WAYPOST_API_KEY",
    "WAYPOST_ORG_ID",
    "WAYPOST_USER_ID",
    "WAYPOST_CUSTOMER_ID",
    "WAYPOST_CUSTOMER_PHONE",
    "WAYPOST_SENDER_PHONE",
    "WAYPOST_PHONE_NUMBER_ID",
    "WAYPOST_APP_ID",
    "WAYPOST_SOURCE_ID",
    "WAYPOST_JOIN_CODE",
    "WAYPOST_WEBHOOK_VERIFY_TOKEN",
    "WAYPOST_WEBHOOK_APP_SECRET",
];

/// Every setting, in the order of `config/default.toml`: a section's settings stand together, and
/// those without a section come first.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        flag: Flag::Takes("--listen"),
        kind: Kind::Address,
        default: Fallback::Literal(r#""127.0.0.1:8080""#),
        doc: "Address and port of the gateway.",
    },
    Setting {
        key: "data_dir",
        flag: Flag::Takes("--data-dir"),
        kind: Kind::Path,
        default: Fallback::Literal(r#""./waypost-data""#),
        doc: "Folder for the database, media and keys. Made on the first start, for its owner only.",
    },
    Setting {
        key: "database_url",
        flag: Flag::Takes("--database-url"),
        kind: Kind::Database,
        default: Fallback::Unset(r#""sqlite:./waypost-data/waypost.db""#),
        doc: "The database, as sqlite:PATH. Unset: waypost.db in data_dir.",
    },
    Setting {
        key: "public_url",
        flag: Flag::None,
        kind: Kind::Url,
        default: Fallback::Unset(r#""https://wa.example.com""#),
        doc: "Address at which Meta and your callers reach the gateway. \
              Must be set, and https, with a real upstream. Unset: http://<listen>.",
    },
    Setting {
        key: "trusted_proxies",
        flag: Flag::None,
        kind: Kind::Networks,
        default: Fallback::Literal("[]"),
        doc: "Networks of your reverse proxies (CIDR). \
              Only their X-Forwarded-For is believed.",
    },
    Setting {
        key: "admin_key",
        flag: Flag::None,
        kind: Kind::Secret,
        default: Fallback::Unset(r#""…""#),
        doc: "Key to the whole management API. \
              Unset: made on the first start and written to <data_dir>/admin.env.",
    },
    Setting {
        key: "master_key_file",
        flag: Flag::None,
        kind: Kind::Path,
        default: Fallback::Unset(r#""./waypost-data/master.key""#),
        doc: "The key that encrypts upstream tokens and other secrets at rest. Back it up apart \
              from the data. Unset: <data_dir>/master.key, made on the first start.",
    },
    Setting {
        key: "demo",
        flag: Flag::Means(
            "--demo",
            "true",
            "Make the demo organisation, with any upstream and on any data folder.",
        ),
        kind: Kind::Switch,
        default: Fallback::Unset("true"),
        doc: "Make a demo organisation with four customers. \
              Unset: yes on an empty data folder while the sandbox is the upstream; \
              true: with any upstream, and on a data folder made with the other kind of upstream.",
    },
    Setting {
        key: "tls.cert_file",
        flag: Flag::None,
        kind: Kind::Path,
        default: Fallback::Unset(r#""/etc/waypost/tls/fullchain.pem""#),
        doc: "Certificate chain (PEM), read again when it changes. \
              Unset: plain HTTP, for a reverse proxy in front.",
    },
    Setting {
        key: "tls.key_file",
        flag: Flag::None,
        kind: Kind::Path,
        default: Fallback::Unset(r#""/etc/waypost/tls/privkey.pem""#),
        doc: "Private key of the certificate (PEM), read again when it changes.",
    },
    Setting {
        key: "sandbox.enabled",
        flag: Flag::Means(
            "--no-sandbox",
            "false",
            "Do not run the sandbox. Without another upstream, messages go to Meta.",
        ),
        kind: Kind::Switch,
        default: Fallback::Unset("true"),
        doc: "Run the built-in simulator of Meta's Cloud API. \
              Unset: yes while neither upstream.base_url nor upstream.access_token is set.",
    },
    Setting {
        key: "sandbox.listen",
        flag: Flag::Takes("--sandbox-listen"),
        kind: Kind::Address,
        default: Fallback::Literal(r#""127.0.0.1:8081""#),
        doc: "Address and port of the sandbox and its handset page. \
              It asks for no key: keep it on a private address.",
    },
    Setting {
        key: "upstream.base_url",
        flag: Flag::None,
        kind: Kind::Url,
        default: Fallback::Unset(r#""https://graph.facebook.com""#),
        doc: "Meta's Cloud API, or what stands in for it. \
              Unset: the sandbox when it is on, else https://graph.facebook.com.",
    },
    Setting {
        key: "upstream.access_token",
        flag: Flag::None,
        kind: Kind::Secret,
        default: Fallback::Unset(r#""…""#),
        doc: "The token of a system user of your Meta business. \
              Unset: only numbers with a token of their own can send.",
    },
    Setting {
        key: "upstream.version",
        flag: Flag::None,
        kind: Kind::Version,
        default: Fallback::Literal(r#""v23.0""#),
        doc: "Version of Meta's Graph API.",
    },
    Setting {
        key: "upstream.app_id",
        flag: Flag::None,
        kind: Kind::Text,
        default: Fallback::Unset(r#""1234567890""#),
        doc: "Id of your Meta app. Needed only to create templates with a media header.",
    },
    Setting {
        key: "webhook.verify_token",
        flag: Flag::None,
        kind: Kind::Secret,
        default: Fallback::Unset(r#""…""#),
        doc: "The word that you enter beside the webhook's address in Meta's app dashboard. \
              Unset: made on the first start and written to <data_dir>/admin.env.",
    },
    Setting {
        key: "webhook.app_secret",
        flag: Flag::None,
        kind: Kind::Secret,
        default: Fallback::Unset(r#""…""#),
        doc: "The app secret of your Meta app: signs Meta's webhooks. \
              Required with a real upstream. Unset: made on the first start with the sandbox.",
    },
    Setting {
        key: "egress.allow_networks",
        flag: Flag::None,
        kind: Kind::Networks,
        default: Fallback::Literal("[]"),
        doc: "Private networks (CIDR) that callbacks and media links may reach. \
              Public addresses are always allowed.",
    },
    Setting {
        key: "egress.allow_http_callbacks",
        flag: Flag::None,
        kind: Kind::Switch,
        default: Fallback::Literal("false"),
        doc: "Whether callbacks may go to http:// addresses.",
    },
    Setting {
        key: "egress.allow_http_links",
        flag: Flag::None,
        kind: Kind::Switch,
        default: Fallback::Literal("true"),
        doc: "Whether media may be fetched from http:// addresses.",
    },
];
