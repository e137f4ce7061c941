//! What callers ask for beside a message's content: until when it may be sent, and where its statuses
//! are wanted. Priority is the due queue's business, quotes and identities are the upstream's.

use std::time::Duration;

use waypost_domain::message::{Message, MessageOptions};
use waypost_domain::{ErrorKind, Failure, Timestamp};

use crate::Engine;

/// How long a message may wait in the queue where its caller names no end, in milliseconds: a day.
const LIFE_MS: i64 = 24 * 3_600 * 1_000;

/// Names the end of a message that nobody waits for.
pub(crate) fn limit_life(message: &mut Message) {
    message.options.expires_at.get_or_insert(message.created_at.plus_ms(LIFE_MS));
}

/// Whether a message may not be sent any more.
pub(crate) fn is_expired(options: &MessageOptions, now: Timestamp) -> bool {
    options.expires_at.is_some_and(|end| end <= now)
}

/// How long a message may still be sent; `None`: for ever.
pub(crate) fn time_left(options: &MessageOptions, now: Timestamp) -> Option<Duration> {
    let left_ms = options.expires_at?.0.saturating_sub(now.0);
    Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))
}

pub(crate) fn expired() -> Failure {
    let message = "The message's time to live ended before it could be sent.";
    Failure::new(ErrorKind::Expired, message)
}

impl Engine {
    /// A message may be sent only before its end.
    pub(crate) fn check_expiry(&self, options: &MessageOptions) -> Result<(), Failure> {
        if is_expired(options, self.now()) { Err(expired()) } else { Ok(()) }
    }

    /// Notes why nothing will be posted to the address that a caller wants its statuses at. The
    /// message is sent all the same.
    pub(crate) fn judge_notify(&self, options: &mut MessageOptions) {
        if let Some(notify) = &mut options.notify {
            let refused = notify.refused.take();
            notify.refused = refused.or_else(|| self.callback_addresses().check(&notify.url).err());
        }
    }
}
