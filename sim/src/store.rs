//! The real store with the time at which it is read, and what the checks read of it.

use std::sync::Arc;

use waypost_clock::Clock;
use waypost_domain::message::{Direction, Message, MessageHistory};
use waypost_domain::{MessageId, Phone, Timestamp};
use waypost_engine::ports::{
    EventFilter, EventStore as _, LoggedEvent, MessageFilter, MessageStore as _, Page,
};
use waypost_store_sqlite::SqliteStore;

use crate::furniture::org_id;

/// Read at once: more than a sequence has.
const MANY: u32 = 500;

/// The store of one process.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) sqlite: Arc<SqliteStore>,
    clock: Clock,
}

impl Store {
    pub(crate) fn new(sqlite: SqliteStore, clock: Clock) -> Self {
        Self { sqlite: Arc::new(sqlite), clock }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    /// Every message to people, or of them, in order; where one person is named, theirs only.
    pub(crate) async fn messages(
        &self,
        direction: Direction,
        phone: Option<Phone>,
    ) -> Vec<Message> {
        let filter =
            MessageFilter { direction: Some(direction), phone, ..MessageFilter::default() };
        let page = Page { after: None, limit: MANY };
        let listed = self.sqlite.messages(&org_id(), &filter, page).await;
        listed.expect("what is durable can be read").data
    }

    pub(crate) async fn history(&self, id: MessageId) -> Option<MessageHistory> {
        self.sqlite.message(&org_id(), id).await.expect("what is durable can be read")
    }

    /// The log of events, in order.
    pub(crate) async fn events(&self) -> Vec<LoggedEvent> {
        let page = Page { after: None, limit: MANY };
        let listed = self.sqlite.events(&org_id(), &EventFilter::default(), page).await;
        listed.expect("what is durable can be read").data
    }
}
