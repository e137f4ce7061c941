//! A full disk ends by itself: while it lasts, readiness keeps callers away and nobody may have
//! anything to write, so a small write is tried every now and then.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Engine;

/// Rest before each try: well below the 10 s in which readiness is to come back.
const REST: Duration = Duration::from_secs(2);
/// The setting that is written.
const TRIED_AT: &str = "full_disk_tried_at";

impl Engine {
    /// Tries to write while the disk is full, until it is cancelled.
    pub(crate) async fn await_room(self, cancel: CancellationToken) {
        let mut full = self.store().full();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                end = full.wait_for(|is_full| *is_full) => if end.is_err() { return },
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(REST) => {}
            }
            let now = self.now().0.to_string();
            if let Err(error) = self.store().put_setting(TRIED_AT, &now).await {
                self.note_store_error(&error);
            }
        }
    }
}
