//! Callbacks: events become durable callbacks, one for each target ([`dispatch`]), and each target
//! that has some due gets a worker of its own ([`courier`], [`worker`]), so that a slow receiver
//! delays nobody else. What a vendor's body looks like is its shape's business, how bytes reach an
//! address the poster's.

mod attempt;
mod breaker;
mod compose;
mod courier;
mod dispatch;
mod replay;
mod sign;
mod trial;
mod verdict;
mod webhooks;
mod worker;

use std::sync::Arc;

use tokio::sync::Notify;
use waypost_domain::callback::CallbackShape;
use waypost_domain::{Failure, OrgId};

use crate::Engine;
use crate::ports::{CallbackPoster, CallbackTotals, TargetStats};
use crate::watch::Watch;

pub(crate) use breaker::Breakers;
pub use compose::origin;
pub use replay::{DeadCallbacks, Replay};
pub use sign::new_secret;
pub use webhooks::{NewWebhook, WebhookTest};

/// What the callbacks need beside the engine's other parts.
pub(crate) struct Callbacks {
    shapes: &'static [&'static dyn CallbackShape],
    poster: Arc<dyn CallbackPoster>,
    breakers: Breakers,
    /// Something was appended to the log of events.
    logged: Notify,
    /// Some target has something due.
    due: Notify,
    /// Organisations that somebody follows.
    followed: Watch<OrgId>,
}

impl Callbacks {
    pub(crate) fn new(
        shapes: &'static [&'static dyn CallbackShape],
        poster: Arc<dyn CallbackPoster>,
    ) -> Self {
        Self {
            shapes,
            poster,
            breakers: Breakers::default(),
            logged: Notify::new(),
            due: Notify::new(),
            followed: Watch::new(),
        }
    }

    pub(crate) fn followed(&self) -> &Watch<OrgId> {
        &self.followed
    }
}

/// How a target does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// What the store knows.
    pub stats: TargetStats,
    /// Whether it failed so often in a row that it is only probed until it answers again.
    pub is_only_probed: bool,
}

impl Engine {
    /// Every shape in which events can be posted.
    #[must_use]
    pub fn shapes(&self) -> &'static [&'static dyn CallbackShape] {
        self.callbacks().shapes
    }

    /// The shape with this id.
    #[must_use]
    pub fn shape(&self, id: &str) -> Option<&'static dyn CallbackShape> {
        self.shapes().iter().copied().find(|shape| shape.info().id == id)
    }

    /// Says that something may have been appended to the log of events.
    pub(crate) fn event_logged(&self) {
        self.callbacks().logged.notify_one();
    }

    /// Says that some callback may have fallen due.
    pub(crate) fn callbacks_due(&self) {
        self.callbacks().due.notify_one();
    }

    /// How the targets of an organisation do that were ever called: its webhooks, and the servers
    /// that its requests named.
    ///
    /// # Errors
    /// What the store says.
    pub async fn callback_health(&self, org_id: &OrgId) -> Result<Vec<TargetHealth>, Failure> {
        let stats = self.store().target_stats(org_id).await?;
        let health = |stats: TargetStats| {
            let is_only_probed = self.callbacks().breakers.is_open(stats.target.place);
            TargetHealth { stats, is_only_probed }
        };
        Ok(stats.into_iter().map(health).collect())
    }

    /// Counts the installation's callbacks.
    ///
    /// # Errors
    /// What the store says.
    pub async fn callback_totals(&self) -> Result<CallbackTotals, Failure> {
        Ok(self.store().callback_totals().await?)
    }
}
