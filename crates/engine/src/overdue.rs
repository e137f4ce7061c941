//! Messages that may or may not have been sent and of which no status came for a day: those who asked
//! for them without waiting are told that they failed. The messages stay unknown.

use tokio_util::sync::CancellationToken;

use crate::Engine;

/// How long a status is waited for, in milliseconds: a day.
const STATUS_WAIT_MS: i64 = 24 * 3_600 * 1_000;
/// How often it is looked for such messages, in milliseconds: an hour.
const LOOK_EVERY_MS: i64 = 3_600 * 1_000;

impl Engine {
    /// Tells of such messages until it is cancelled.
    pub(crate) async fn tell_overdue(self, cancel: CancellationToken) {
        loop {
            let next = self.now().plus_ms(LOOK_EVERY_MS);
            if cancel.run_until_cancelled(self.clock().sleep_until(next.0)).await.is_none() {
                return;
            }
            // Told too early it would be wrong; a later look tells it.
            if !self.believes_hour().await {
                continue;
            }
            let now = self.now();
            match self.store().tell_overdue(now.plus_ms(-STATUS_WAIT_MS), now).await {
                Ok(0) => {}
                Ok(told) => {
                    tracing::info!(told, "messages without a status for a day");
                    self.event_logged();
                }
                Err(error) => {
                    tracing::warn!(%error, "messages without a status");
                    self.note_store_error(&error);
                }
            }
        }
    }
}
