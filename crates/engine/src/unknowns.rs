//! Messages of which nobody knows whether they were sent: what becomes of each, and sending those
//! again whose policy says so. Their instants are in the store; a status that comes before takes
//! them away there.
//!
//! What counts is the time in which statuses could have come: a start lets all of them wait anew, so
//! does a webhook that could not be stored, and none is sent again while webhooks that came before
//! its instant are not worked off.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waypost_domain::message::Message;
use waypost_domain::unknown::{HOLD_MS, UnknownPolicy};
use waypost_domain::{Content, Timestamp};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::admission::Acting;
use crate::ports::StoreResult;

/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Pause while webhooks are worked off that may settle what is to be sent again.
const INBOX_PAUSE: Duration = Duration::from_millis(100);
/// No webhook was refused.
const NEVER: i64 = i64::MIN;

/// What the task that sends again is told.
pub(crate) struct Resends {
    /// There is something new to be sent again.
    changed: Notify,
    /// When a webhook was last refused, until that was taken into account.
    refused_at: AtomicI64,
}

impl Default for Resends {
    fn default() -> Self {
        Self { changed: Notify::new(), refused_at: AtomicI64::new(NEVER) }
    }
}

impl Resends {
    pub(crate) fn planned(&self) {
        self.changed.notify_one();
    }
}

/// What to wait for.
enum Next {
    /// Nothing is to be sent again.
    News,
    At(Timestamp),
    Soon,
}

impl Engine {
    /// Decides what becomes of a message if its outcome is unknown: as its caller says; else never
    /// again where it is a one-time code; else as its organisation says.
    pub(crate) fn settle_unknown_policy(&self, acting: &Acting, message: &mut Message) {
        let asked = message.options.unknown_policy;
        let is_code = || {
            let Content::Template(template) = &message.content else { return false };
            self.directory().is_authentication(&acting.number.waba_id, &template.name)
        };
        let policy = match asked {
            Some(policy) => policy,
            None if is_code() => UnknownPolicy::NeverResend,
            None => acting.org.unknown_policy,
        };
        message.options.unknown_policy = (policy != UnknownPolicy::default()).then_some(policy);
    }

    /// A webhook could not be taken: the upstream sends it again, later and later. Until it has had
    /// the time, no message counts as without a status.
    pub fn note_refused_webhook(&self) {
        self.resends().refused_at.fetch_max(self.now().0, Ordering::AcqRel);
    }

    /// Sends messages of unknown outcome again when it is time, until it is cancelled.
    pub(crate) async fn resend_unknown(self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            let next = match self.release_resends().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "messages to be sent again");
                    self.note_store_error(&error);
                    cancel.run_until_cancelled(tokio::time::sleep(STORE_PAUSE)).await;
                    continue;
                }
            };
            let it_is_time = async {
                match next {
                    Next::News => std::future::pending().await,
                    Next::At(at) => self.clock().sleep_until(at.0).await,
                    Next::Soon => tokio::time::sleep(INBOX_PAUSE).await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = self.resends().changed.notified() => {}
                () = it_is_time => {}
            }
        }
    }

    async fn release_resends(&self) -> StoreResult<Next> {
        let store = self.store();
        self.make_up_for_refusals().await?;
        let Some(next) = store.next_resend_at().await? else { return Ok(Next::News) };
        let now = self.now();
        let waits = !is_planted(Bug::ResendWithoutWaiting);
        if next > now && waits {
            return Ok(Next::At(next));
        }
        let oldest = store.open_webhooks(0, 1).await?.first().map(|entry| entry.received_at);
        let heard_until = match oldest {
            _ if !waits => Timestamp(i64::MAX),
            Some(received_at) => now.min(received_at.plus_ms(-1)),
            None => now,
        };
        if next > heard_until {
            return Ok(Next::Soon);
        }
        let (released, numbers) = store.release_resends(heard_until, now).await?;
        if released > 0 {
            tracing::warn!(messages = released, "no status came: sent again, may be duplicates");
            self.count().messages_resent.add_many(usize::try_from(released).unwrap_or(usize::MAX));
        }
        for number in numbers {
            self.lanes().wake(&number);
        }
        Ok(Next::Soon)
    }

    async fn make_up_for_refusals(&self) -> StoreResult<()> {
        let refused_at = self.resends().refused_at.load(Ordering::Acquire);
        if refused_at == NEVER {
            return Ok(());
        }
        self.store().postpone_resends(Timestamp(refused_at).plus_ms(HOLD_MS)).await?;
        let forget = (Ordering::AcqRel, Ordering::Acquire);
        // Another one may have been refused meanwhile: the next round takes it into account.
        let _ = self.resends().refused_at.compare_exchange(refused_at, NEVER, forget.0, forget.1);
        Ok(())
    }
}
