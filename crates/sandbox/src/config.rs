//! What the composition root hands to the sandbox: addresses, secrets, the client for media links
//! and the people, numbers and templates it starts with. It reads no file and no environment.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

/// The application that owns the numbers; its id is the same in every sandbox.
pub const APP_ID: &str = "100000000000003";

/// Settings of one sandbox.
pub struct SandboxConfig {
    /// Where webhooks go until something else is subscribed; `None` until the receiver is known.
    pub webhook_url: Option<String>,
    /// Echoed in the verification handshake of subscriptions that name no token of their own.
    pub verify_token: String,
    /// Key of the webhook signature.
    pub app_secret: String,
    /// The only bearer token that is accepted; `None` accepts any that is not empty.
    pub access_token: Option<String>,
    /// A name by which it may be called beside those that no stranger can own (IP addresses,
    /// `localhost`, names without a dot); any other is refused.
    pub public_host: Option<String>,
    /// Fetches the media links of messages.
    pub egress: Arc<dyn LinkFetcher>,
    /// What exists after the start and after `DELETE /_sandbox/state`.
    pub seed: Seed,
    /// Folder for the bytes of media; `None` keeps them in memory
    /// (at most [`crate::MEDIA_MEMORY_MAX_BYTES`]).
    pub state_dir: Option<PathBuf>,
}

/// A file behind a media link.
#[derive(Debug, Clone)]
pub struct FetchedLink {
    /// The `Content-Type` of the answer, with or without parameters.
    pub mime_type: Option<String>,
    /// The body.
    pub bytes: Bytes,
}

/// Fetches addresses that callers choose. The sandbox itself opens no such connection, so that
/// the rules about private networks are the same as the gateway's.
#[async_trait::async_trait]
pub trait LinkFetcher: Send + Sync {
    /// Fetches `url`; refuses bodies above `limit_bytes`. The error is one readable sentence.
    async fn fetch(&self, url: &str, limit_bytes: u64) -> Result<FetchedLink, String>;
}

/// Numbers, people and templates of the beginning.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// Business numbers, registered.
    pub numbers: Vec<SeedNumber>,
    /// People with WhatsApp.
    pub people: Vec<SeedPerson>,
    /// Approved templates of every WABA, in the form of `POST /{waba}/message_templates`.
    pub templates: Vec<Value>,
}

/// A business number.
#[derive(Debug, Clone)]
pub struct SeedNumber {
    /// Its id in paths.
    pub phone_number_id: String,
    /// The WhatsApp Business Account it belongs to.
    pub waba_id: String,
    /// International digits without `+`.
    pub display_phone_number: String,
    /// The name people see.
    pub verified_name: String,
}

/// A person with WhatsApp.
#[derive(Debug, Clone)]
pub struct SeedPerson {
    /// International digits without `+`.
    pub phone: String,
    /// The profile name.
    pub name: String,
    /// Whether the 24-hour window towards every number is open from the start.
    pub window_open: bool,
}

impl Seed {
    /// The demo: one number, four people, the templates `hello_world` and `order_update`.
    #[must_use]
    pub fn demo() -> Self {
        let people = [
            ("15550001111", "Ann"),
            ("15550002222", "Ben"),
            ("15550003333", "Carla"),
            ("15550005555", "Dev"),
        ];
        Self {
            numbers: vec![SeedNumber {
                phone_number_id: "100000000000001".into(),
                waba_id: "100000000000002".into(),
                display_phone_number: "15550009999".into(),
                verified_name: "Waypost Demo".into(),
            }],
            people: people
                .into_iter()
                .map(|(phone, name)| SeedPerson {
                    phone: phone.into(),
                    name: name.into(),
                    window_open: false,
                })
                .collect(),
            templates: vec![hello_world(), order_update()],
        }
    }
}

fn hello_world() -> Value {
    json!({
        "name": "hello_world", "language": "en_US", "category": "UTILITY",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome and congratulations! This message shows that your number can send templates."},
            {"type": "FOOTER", "text": "Waypost sandbox"}
        ]
    })
}

fn order_update() -> Value {
    json!({
        "name": "order_update", "language": "en_US", "category": "UTILITY",
        "components": [
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["sample"]}},
            {"type": "BODY", "text": "Hello {{1}}, there is news about your order {{2}}: it is on its way.",
             "example": {"body_text": [["Ann", "A-1001"]]}},
            {"type": "FOOTER", "text": "Waypost Demo"}
        ]
    })
}
