//! A full disk ends by itself: while it lasts, readiness keeps callers away and nobody may have
//! anything to write, so a small write is tried every now and then.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Engine;

/// Rest before each try: well below the 10 s in which readiness is to come back.
const REST: Duration = Duration::from_secs(2);
/// The setting that is written.
const TRIED_AT: &str = "full_disk_tried_at";

/// What may lie on a disk of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disk {
    Database,
    Files,
}

impl Engine {
    /// Tries to write while a disk is full, until it is cancelled.
    pub(crate) async fn await_room(self, disk: Disk, cancel: CancellationToken) {
        let blobs = &self.media_library().blobs;
        let mut full = match disk {
            Disk::Database => self.store().full(),
            Disk::Files => blobs.full(),
        };
        loop {
            let until_a_try = async {
                if full.wait_for(|is_full| *is_full).await.is_err() {
                    return false;
                }
                tokio::time::sleep(REST).await;
                true
            };
            if cancel.run_until_cancelled(until_a_try).await != Some(true) {
                return;
            }
            let tried = match disk {
                Disk::Database => {
                    self.store().put_setting(TRIED_AT, &self.now().0.to_string()).await
                }
                Disk::Files => blobs.try_room().await,
            };
            if let Err(error) = tried {
                self.note_store_error(&error);
            }
        }
    }
}
