//! Bugs planted on purpose. Every check of reliability has a control: with its bug planted it must
//! turn red. All of them are in every debug build, one at most is chosen when the process starts,
//! and a release build has none: there [`is_planted`] is a constant.
//!
//! It knows no environment: the binary chooses by `WAYPOST_PLANTED_BUG`, a test by [`plant`].

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU8, Ordering};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $bug:ident = $name:literal,)*) => {
        /// What can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $doc])* $bug,)*
        }

        impl Bug {
            /// Every bug.
            pub const ALL: &[Self] = &[$(Self::$bug),*];

            /// Its name on the command line and in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }
        }
    };
}

bugs! {
    /// A message is sent without a durable intent.
    NoIntent = "no-intent",
    /// A person gets messages faster than the upstream allows.
    PairLimitIgnored = "pair-limit-ignored",
    /// Marketing and broadcasts start before one-time passwords.
    BulkFirst = "bulk-first",
    /// What was held until a person writes stays held when the person does.
    HoldForgets = "hold-forgets",
    /// The start forgets what is left of a request that a crash cut off.
    PartsForgotten = "parts-forgotten",
    /// The store does not sync its commits.
    SyncNormal = "sync-normal",
    /// An idempotency key is looked up and then written, instead of the index deciding.
    ReadThenWriteIdempotency = "read-then-write-idempotency",
    /// A message of unknown outcome is sent again before a status could come.
    ResendWithoutWaiting = "resend-without-waiting",
    /// A start counts the time in which no webhook could be received as waited.
    RestartEndsWait = "restart-ends-wait",
    /// A status does not cancel the message's pending resend.
    StatusLeavesResend = "status-leaves-resend",
    /// An unknown outcome counts as not sent.
    UnknownCountsAsNotSent = "unknown-counts-as-not-sent",
    /// A connection lost after the first byte of the body counts as not sent.
    ResetCountsAsNotSent = "reset-counts-as-not-sent",
    /// Nothing holds back retries to an upstream that is down.
    RetryStorm = "retry-storm",
    /// A backup copies the database's file and not what is only in its write-ahead log.
    BackupSkipsWal = "backup-skips-wal",
    /// Retention deletes messages that still wait to be sent.
    RetentionTakesPending = "retention-takes-pending",
    /// Media that records name are collected like those that nothing names.
    GcTakesReferenced = "gc-takes-referenced",
    /// A restored queue goes on by itself.
    RestoreResumesQueue = "restore-resumes-queue",
    /// Connections that dawdle are never closed.
    HeaderTimerOff = "header-timer-off",
    /// New work is begun however long what was begun before waits for the store.
    NoShedding = "no-shedding",
    /// One organisation may take every call that can be made to receivers.
    NoTenantShare = "no-tenant-share",
    /// Redirects of the upstream are followed, with the token.
    FollowRedirects = "follow-redirects",
    /// Only the first bytes of a webhook's signature are compared.
    SignaturePrefix = "signature-prefix",
    /// Writes are answered before they are committed.
    AckBeforeCommit = "ack-before-commit",
    /// A commit that failed is answered as a success.
    AckFailedCommit = "ack-failed-commit",
    /// A webhook is answered before it is stored.
    WebhookBeforeStore = "webhook-before-store",
    /// Idempotency keys are not recorded.
    ForgetIdempotency = "forget-idempotency",
    /// A stop does not wait for what is on its way.
    StopAtOnce = "stop-at-once",
    /// A file gets its name before its content is on the disk.
    MediaNotSynced = "media-not-synced",
    /// A status that comes before the message's own record is dropped.
    EarlyStatusDropped = "early-status-dropped",
    /// A status that came early is not looked at again.
    ParkedStatusForgotten = "parked-status-forgotten",
    /// A status is not bound by the token that comes with it.
    TokenIgnored = "token-ignored",
    /// Whatever is reported becomes the status, also what lies behind.
    StatusFalls = "status-falls",
    /// A message that a person wrote is recorded as often as it is brought.
    InboundTwice = "inbound-twice",
    /// A start sends what was on its way anew.
    RestartRepeatsOpen = "restart-repeats-open",
    /// An answer that is lost makes a message unknown whose status had come.
    LateAnswerOverwrites = "late-answer-overwrites",
    /// A message that may have been sent is sent again without a flag.
    DuplicateUnflagged = "duplicate-unflagged",
    /// Events count as told before their callbacks are recorded.
    MarkBeforeCallbacks = "mark-before-callbacks",
    /// A person's messages are sent side by side.
    PersonInParallel = "person-in-parallel",
    /// Who asks for later is answered before the message is recorded.
    AcceptAnsweredEarly = "accept-answered-early",
    /// What is queued waits until something else wakes its number.
    QueueNotWoken = "queue-not-woken",
    /// Bodies are read however long they are.
    BodiesUnbounded = "bodies-unbounded",
    /// What stands behind the end of a JSON body is not looked at.
    TailIgnored = "tail-ignored",
    /// A clock that was set back makes who was written to before wait for the old hour.
    ClockBackHolds = "clock-back-holds",
    /// What fails is tried again without end.
    PoisonNeverEnds = "poison-never-ends",
    /// A refusal does not tell of the window that is closed.
    WindowUntold = "window-untold",
    /// There is no line in the log about an attempt whose answer was lost.
    AttemptUntold = "attempt-untold",
    /// What operators do to many messages, they do to messages in any state.
    SweepIgnoresState = "sweep-ignores-state",
    /// What is past its time is deleted in one job.
    RetentionAtOnce = "retention-at-once",
    /// Nobody looks whether the write-ahead log is whole.
    LogUnchecked = "log-unchecked",
    /// What is too old is deleted at whatever hour the machine shows.
    HourBelieved = "hour-believed",
}

impl Bug {
    /// The bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

/// The chosen bug's place in [`Bug::ALL`] plus one; 0 for none.
#[cfg(debug_assertions)]
static PLANTED: AtomicU8 = AtomicU8::new(0);

/// Plants a bug for the life of this process, or none. Does nothing in a release build.
pub fn plant(bug: Option<Bug>) {
    #[cfg(debug_assertions)]
    PLANTED.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::Relaxed);
    #[cfg(not(debug_assertions))]
    let _ = bug;
}

/// Whether this bug is planted.
#[must_use]
#[inline]
pub fn is_planted(bug: Bug) -> bool {
    #[cfg(debug_assertions)]
    return PLANTED.load(Ordering::Relaxed) == bug as u8 + 1;
    #[cfg(not(debug_assertions))]
    {
        let _ = bug;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_planted_by_its_name_and_only_that_one() {
        assert!(Bug::ALL.iter().all(|bug| !is_planted(*bug)));
        for bug in Bug::ALL {
            plant(Bug::named(bug.name()));
            let planted: Vec<_> = Bug::ALL.iter().filter(|bug| is_planted(**bug)).collect();
            assert_eq!(planted, [bug]);
        }
        plant(None);
        assert!(Bug::named("no such bug").is_none());
    }
}
