//! Places for calls to the upstream. Each number has a few of its own and may take more of those
//! that all share, up to a bound: numbers whose calls hang never take the last place of the others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls of a number that need no shared place: at 100 ms a call, 80 a second.
const OWN_SLOTS: usize = 8;
/// Shared places that one number may hold.
const MAX_BORROWED: usize = 248;
/// Places that all numbers share.
const SHARED_SLOTS: usize = 1_024;

/// The places that all numbers share.
#[derive(Clone)]
pub(super) struct Shared(Arc<Semaphore>);

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SHARED_SLOTS)))
    }
}

/// One number's places.
pub(super) struct Slots {
    own: Arc<Semaphore>,
    borrowed: Arc<Semaphore>,
    shared: Shared,
}

/// A place that is taken until it is dropped.
pub(super) struct Slot {
    _own: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn of(shared: &Shared) -> Self {
        Self {
            own: Arc::new(Semaphore::new(OWN_SLOTS)),
            borrowed: Arc::new(Semaphore::new(MAX_BORROWED)),
            shared: shared.clone(),
        }
    }

    /// Waits for a place.
    pub(super) async fn take(&self) -> Slot {
        tokio::select! {
            biased;
            own = acquire(&self.own) => Slot { _own: own, _shared: None },
            slot = self.borrow() => slot,
        }
    }

    async fn borrow(&self) -> Slot {
        let own = acquire(&self.borrowed).await;
        let shared = acquire(&self.shared.0).await;
        Slot { _own: own, _shared: Some(shared) }
    }

    /// Calls under way.
    pub(super) fn taken(&self) -> usize {
        let free = self.own.available_permits() + self.borrowed.available_permits();
        (OWN_SLOTS + MAX_BORROWED).saturating_sub(free)
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn at_once(slots: &Slots) -> Option<Slot> {
        tokio::task::unconstrained(slots.take()).now_or_never()
    }

    #[tokio::test]
    async fn numbers_whose_calls_hang_leave_places_for_the_others() {
        let shared = Shared::default();
        let slow: Vec<Slots> = (0..6).map(|_| Slots::of(&shared)).collect();
        let mut held = Vec::new();
        for slots in &slow {
            while let Some(slot) = at_once(slots) {
                held.push(slot);
            }
        }
        assert_eq!(held.len(), SHARED_SLOTS + 6 * OWN_SLOTS, "all that is shared is taken");
        assert_eq!(slow[0].taken(), OWN_SLOTS + MAX_BORROWED);
        let healthy = Slots::of(&shared);
        for _ in 0..OWN_SLOTS {
            held.push(at_once(&healthy).unwrap());
        }
        assert!(at_once(&healthy).is_none());
    }
}
