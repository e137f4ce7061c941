//! How queues and store stand, for operators. Counting costs as much as there is to count, so what
//! was counted is shown again for a second.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use waypost_domain::Failure;

use crate::Engine;
use crate::ports::{CallbackTotals, NumberQueue, QueueTotals, StoreHealth, StoreResult};

/// How long a count is shown.
const SHOWN: Duration = Duration::from_secs(1);

/// What can be read off at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// The queues.
    pub queues: QueueTotals,
    /// The callbacks.
    pub callbacks: CallbackTotals,
    /// The store.
    pub store: StoreHealth,
}

/// What was read off last, and when.
#[derive(Default)]
pub(crate) struct Gauges(Mutex<Option<(Instant, Readings)>>);

impl Engine {
    /// How everything stands, as of a second ago at most.
    ///
    /// # Errors
    /// What the store says.
    pub async fn readings(&self) -> Result<Readings, Failure> {
        let mut last = self.gauges().0.lock().await;
        if let Some((at, readings)) = *last
            && at.elapsed() < SHOWN
        {
            return Ok(readings);
        }
        let readings = self.read_off().await?;
        *last = Some((Instant::now(), readings));
        Ok(readings)
    }

    async fn read_off(&self) -> StoreResult<Readings> {
        Ok(Readings {
            queues: self.store().queue_totals(self.now()).await?,
            callbacks: self.store().callback_totals().await?,
            store: self.store().health(),
        })
    }

    /// The queues of the numbers that have something waiting.
    ///
    /// # Errors
    /// What the store says.
    pub async fn number_queues(&self) -> Result<Vec<NumberQueue>, Failure> {
        Ok(self.store().number_queues(self.now()).await?)
    }
}
