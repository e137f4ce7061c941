//! Messages that are withdrawn while they wait for a later time leave gaps in what their person is to
//! get. What waits behind them moves up: it falls due and is put off again, in order.

use std::sync::atomic::Ordering;

use foldhash::HashSet;
use parking_lot::Mutex;
use waypost_domain::{NumberId, Phone, Timestamp};

use super::drain::WIDE_WINDOW;
use super::{Lane, Lanes};
use crate::Engine;
use crate::ports::StoreResult;

/// People with gaps before what they are to get: at most as many as have something that waits.
pub(super) type Gaps = Mutex<HashSet<Phone>>;

impl Engine {
    /// Lets what waits behind gaps move up. Nothing of a number may be in the window onto its queue
    /// meanwhile: it could overtake what moves up.
    pub(super) async fn close_gaps(&self, lane: &Lane, now: Timestamp) -> StoreResult<()> {
        while let Some(phone) = lane.any_gap() {
            // Who comes now must look for what falls due.
            lane.drained.store(0, Ordering::Release);
            if let Err(error) = self.move_up(lane, &phone, now).await {
                lane.gaps.lock().insert(phone);
                return Err(error);
            }
            lane.unpark(&phone);
        }
        Ok(())
    }

    /// Makes due what waits for a later time, in order: should this end half-way, the later ones are
    /// still behind.
    async fn move_up(&self, lane: &Lane, phone: &Phone, now: Timestamp) -> StoreResult<()> {
        loop {
            let part = self.store().postponed_to(&lane.number_id, phone, now, WIDE_WINDOW).await?;
            let is_last = part.len() < WIDE_WINDOW as usize;
            self.store().postpone(part.into_iter().map(|id| (id, now)).collect()).await?;
            if is_last {
                return Ok(());
            }
        }
    }
}

impl Lanes {
    /// A message to a person was withdrawn; what waits behind it moves up with
    /// [`Lanes::wake_for_gaps`].
    pub(crate) fn note_gap(&self, number_id: &NumberId, phone: &Phone) {
        if let Some(lane) = self.known(number_id) {
            lane.note_gap(phone);
        }
    }

    /// Lets lanes look for what moves up: once after many messages were withdrawn.
    pub(crate) fn wake_for_gaps(&self) {
        for lane in self.lanes.lock().values() {
            if !lane.gaps.lock().is_empty() {
                lane.wake.notify_one();
            }
        }
    }
}

impl Lane {
    fn note_gap(&self, phone: &Phone) {
        let pacing = self.pacing.lock();
        if pacing.pairs.has_parked(pacing.pairs.person(phone)) {
            self.gaps.lock().insert(phone.clone());
        }
    }

    fn any_gap(&self) -> Option<Phone> {
        let mut gaps = self.gaps.lock();
        let phone = gaps.iter().next().cloned()?;
        gaps.take(&phone)
    }

    fn unpark(&self, phone: &Phone) {
        let mut pacing = self.pacing.lock();
        let person = pacing.pairs.person(phone);
        pacing.pairs.unpark(person);
    }
}
