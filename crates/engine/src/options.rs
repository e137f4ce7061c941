//! What callers ask for beside a message's content: until when it may be sent, and where its statuses
//! are wanted. Priority is the due queue's business, quotes and identities are the upstream's.

use std::time::Duration;

use waypost_domain::message::{Message, MessageOptions};
use waypost_domain::{ErrorKind, Failure, Timestamp};

use crate::Engine;

/// Names the end of a message that nobody waits for.
pub(crate) fn limit_life(message: &mut Message) {
    message.options.limit_life(message.created_at);
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

pub(crate) fn expired(options: &MessageOptions) -> Failure {
    let message = "The message's time to live ended before it could be sent.";
    Failure::new(ErrorKind::Expired, message).worth_a_retry(options.has_default_life)
}

impl Engine {
    /// A message may be sent only before its end.
    pub(crate) fn check_expiry(&self, options: &MessageOptions) -> Result<(), Failure> {
        if is_expired(options, self.now()) { Err(expired(options)) } else { Ok(()) }
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
