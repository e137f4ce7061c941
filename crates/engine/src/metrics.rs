//! What the engine counts. Plain numbers; the server decides how to show them.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters since the start.
        #[derive(Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $name: Counter,)+
        }

        /// The counters at one instant.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct MetricsSnapshot {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Metrics {
            pub(crate) fn snapshot(&self) -> MetricsSnapshot {
                MetricsSnapshot { $($name: self.$name.0.load(Ordering::Relaxed),)+ }
            }
        }

        impl MetricsSnapshot {
            /// Every counter with its name, for exporters.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters! {
    /// Messages made durable.
    messages_accepted,
    /// Calls to the upstream begun.
    attempts,
    /// Messages that the upstream accepted.
    messages_sent,
    /// Messages that will not be sent.
    messages_failed,
    /// Messages whose outcome is unknown.
    messages_unknown,
    /// Messages sent again because no status settled their unknown outcome.
    messages_resent,
    /// Attempts put off to be repeated.
    attempts_retried,
    /// Messages that people wrote.
    messages_received,
    /// Statuses that the upstream reported.
    statuses,
    /// Statuses that came before their message was known.
    statuses_parked,
    /// Webhooks made durable.
    webhooks,
    /// Files stored.
    media_stored,
    /// Files uploaded to the upstream.
    media_uploaded,
    /// Calls to tenants' addresses.
    callbacks_posted,
    /// Of these, answered with success.
    callbacks_delivered,
    /// Of these, failed.
    callbacks_failed,
    /// Messages deleted because their organisation keeps them no longer.
    messages_deleted,
    /// Records of files deleted.
    media_deleted,
    /// Files removed that no record named.
    media_collected,
    /// Times that nothing was deleted for its age, because the hour may be wrong.
    retention_refused,
}

/// One counter.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    pub(crate) fn add_many(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}
