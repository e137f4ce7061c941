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
    /// The store does not sync its commits.
    SyncNormal = "sync-normal",
    /// An idempotency key is looked up and then written, instead of the index deciding.
    ReadThenWriteIdempotency = "read-then-write-idempotency",
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
