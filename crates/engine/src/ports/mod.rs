//! What the engine needs from the outside, as narrow traits. Adapters implement them; the engine
//! never names an adapter.

mod blobs;
mod callbacks;
mod calls;
mod directory;
mod egress;
mod events;
mod flows;
mod inbox;
mod media;
mod messages;
mod pacing;
mod upkeep;
mod upstream;
mod webhook;

use waypost_domain::{ErrorKind, Failure};

pub use blobs::{BlobInfo, BlobStore, BlobStream, BlobWriter, Sha256Hex};
pub use callbacks::{
    CallbackEnd, CallbackFilter, CallbackOutcome, CallbackPost, CallbackPoster, CallbackRecord,
    CallbackReply, CallbackStore, CallbackTarget, CallbackTotals, DeadFilter, DueCallback,
    DueCallbacks, NewCallback, PostError, Revived, TargetAddress, TargetName, TargetStats,
};
pub use calls::{AttemptCall, CallStore};
pub use directory::{
    Audience, CustomerFilter, CustomerStore, CustomerToImport, DirectorySnapshot, DirectoryStore,
    Entry, EntryKey, Imported, LeftOut, NewConsent, PutMode, Stated, TemplateStore,
};
pub use egress::{CallbackAddresses, FetchedLink, LinkCredential, LinkError, LinkFetcher};
pub use events::{EventFilter, EventHead, EventHeads, EventStore, LoggedEvent, NewNotice};
pub use flows::{FlowPreview, FlowStore, FlowUpstream, NewFlow, UpstreamFlow};
pub use inbox::{Addressed, InboundFile, InboundMessage, InboxEntry, InboxStore, Signer};
pub use media::{MediaRecord, MediaStore, UpstreamCopy};
pub use messages::{
    Accepted, BroadcastMember, BroadcastProgress, BroadcastStore, CreationClaim, DueMessage,
    ErrorFilter, Haste, IdempotencyClaim, IdempotencyStore, IdempotentTarget, LostAttempt,
    MessageFilter, MessageStore, NewRecord, Recipient, Recovered, ReportEffect, SessionFilter,
    Settled, Settlement, Start, StatusReport,
};
pub use pacing::{Hold, Look, PacingStore, PostponedMessage, WaitingMessage};
pub use upkeep::{
    BackupStore, HeldBack, NumberQueue, Pruned, QueueStore, QueueTotals, Resumed, RetentionStore,
    Snapshot, StoreHealth,
};
pub use upstream::{
    Account, CallError, DownloadedMedia, NumberInfo, OutgoingMessage, PlacedMedia, Sample,
    SendOutcome, Upstream,
};
pub use webhook::{
    Inbound, NoticeAbout, StatusNotice, UpstreamEvent, UpstreamNotice, WebhookCodec,
};

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Something with this key exists already. The text names the field, such as `phone`.
    #[error("{0} is taken")]
    Conflict(&'static str),
    /// An organisation has as many of these as it may.
    #[error("an organisation may have at most {most} {field}")]
    Full {
        /// What there are too many of, such as `users`.
        field: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// What should be changed does not exist.
    #[error("not found")]
    NotFound,
    /// It cannot be recorded now: disk full, queue full, shutting down. Trying later may help.
    #[error("the store cannot record now: {0}")]
    Unavailable(String),
    /// Something that is stored cannot be understood. Only what needs it fails, now and later.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The disk failed. Nothing more is accepted.
    #[error("the store failed: {0}")]
    Broken(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = match error {
            StoreError::Conflict(field) => {
                let message = format!("Something with this {field} exists already.");
                return Self::new(ErrorKind::InvalidValue, message).at(field);
            }
            StoreError::Full { field, most } => {
                let message = format!("An organisation may have at most {most} {field}.");
                return Self::new(ErrorKind::InvalidValue, message).at(field);
            }
            StoreError::NotFound => "What should be changed has gone.",
            StoreError::Unavailable(_) => "The message cannot be recorded now; try again later.",
            // Nobody knows a time to come again: an operator has to act first.
            StoreError::Damaged(_) => {
                let message = "Something that is stored for this cannot be understood.";
                return Self::new(ErrorKind::Unavailable, message);
            }
            StoreError::Broken(_) => {
                let message = "This installation has stopped accepting messages.";
                return Self::new(ErrorKind::Unavailable, message);
            }
        };
        Self::new(ErrorKind::Unavailable, message).retry_after_s(5)
    }
}

/// The outcome of a store's call.
pub type StoreResult<T> = Result<T, StoreError>;

/// Where in a list to go on, and how much to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries after this place; places grow.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Paged<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<i64>,
}

/// Everything that one store engine does, for the composition root.
pub trait Store:
    DirectoryStore
    + TemplateStore
    + CustomerStore
    + MessageStore
    + PacingStore
    + IdempotencyStore
    + BroadcastStore
    + InboxStore
    + MediaStore
    + EventStore
    + CallbackStore
    + CallStore
    + FlowStore
    + RetentionStore
    + QueueStore
    + BackupStore
{
}

impl<T> Store for T where
    T: DirectoryStore
        + TemplateStore
        + CustomerStore
        + MessageStore
        + PacingStore
        + IdempotencyStore
        + BroadcastStore
        + InboxStore
        + MediaStore
        + EventStore
        + CallbackStore
        + CallStore
        + FlowStore
        + RetentionStore
        + QueueStore
        + BackupStore
{
}
