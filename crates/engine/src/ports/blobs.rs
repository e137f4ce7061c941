//! Where the bytes of media are kept: files named by their content.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;

use super::StoreResult;

/// A content's SHA-256 as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sha256Hex(String);

impl Sha256Hex {
    /// From a digest's 32 bytes.
    #[must_use]
    pub fn from_digest(digest: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(2 * digest.len());
        for byte in digest {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Self(hex)
    }

    /// From a store, where it was written by [`Sha256Hex::as_str`].
    #[must_use]
    pub fn from_stored(hex: String) -> Self {
        Self(hex)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// The content's name.
    pub sha256: Sha256Hex,
    /// Bytes.
    pub size: u64,
}

/// The bytes of a blob, in chunks of at most 256 KiB.
pub type BlobStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// Keeps blobs.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Begins a new blob. Dropping the writer leaves nothing behind.
    async fn create(&self) -> StoreResult<Box<dyn BlobWriter>>;
    /// Opens a blob for reading; `None` where there is none of this content.
    async fn open(&self, sha256: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>>;
    /// Opens a blob without looking whether its bytes are those of its name; [`BlobStore::open`] ends
    /// with an error where they are not.
    async fn open_as_it_is(&self, sha256: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>> {
        self.open(sha256).await
    }
    /// The contents whose digest begins with a byte.
    async fn list(&self, first_byte: u8) -> StoreResult<Vec<Sha256Hex>>;
    /// Removes a blob; nothing happens where there is none.
    async fn remove(&self, sha256: &Sha256Hex) -> StoreResult<()>;
    /// Whether blobs are refused because their disk is full: from the first write that found no room
    /// until [`BlobStore::try_room`] finds some.
    fn full(&self) -> watch::Receiver<bool>;
    /// Writes a little and takes it away again.
    async fn try_room(&self) -> StoreResult<()>;
}

/// Writes one blob.
#[async_trait]
pub trait BlobWriter: Send {
    /// Adds bytes.
    async fn write(&mut self, chunk: Bytes) -> StoreResult<()>;
    /// Makes it durable under its content's name.
    async fn finish(self: Box<Self>) -> StoreResult<BlobInfo>;
}
