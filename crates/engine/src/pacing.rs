//! What the upstream's answers and reports teach about paces and limits, and what is known of them
//! after a start. The arithmetic is the domain's, the waiting is the lanes' business.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waypost_domain::directory::Number;
use waypost_domain::message::Message;
use waypost_domain::place::Traffic;
use waypost_domain::retry::RetryClass;
use waypost_domain::window::Window;
use waypost_domain::{Content, ErrorKind, Failure, MessageId, NumberId, Phone, Timestamp};

use crate::Engine;
use crate::admission::Acting;
use crate::guards::DAY_MS;
use crate::lanes::{Lane, PACE_PAUSE};
use crate::panics::{BUG, caught};
use crate::ports::{Account, CallError, StoreResult, WaitingMessage};

/// The upstream's code for a person who gets no more marketing for a day.
const PERSON_HAD_ENOUGH: i64 = 131_049;
/// The upstream's code for a number that may not write to more people for now.
const NUMBER_HAD_ENOUGH: i64 = 131_048;
/// When the upstream is first asked for the limits of numbers.
const FIRST_LEARNT_AFTER: Duration = Duration::from_secs(60);
/// How often it is asked then: an hour.
const LEARNT_EVERY: Duration = Duration::from_secs(3_600);
/// Caps that are read at the start.
const MAX_CAPS: u32 = 100_000;
/// Messages that are looked through at the start for people who were written to outside of windows.
const MAX_LOOKED_THROUGH: u32 = 300_000;

impl Engine {
    /// Slows down what the upstream said is too fast, and remembers whom it wants left alone. The
    /// message itself waits for `delay` anyway.
    pub(crate) async fn heed(
        &self,
        error: &CallError,
        delay: Duration,
        message: &Message,
        lane: &Lane,
    ) {
        match error.class {
            RetryClass::Pace => lane.too_fast(delay.max(PACE_PAUSE)),
            RetryClass::PersonPace => lane.pair_too_fast(&message.phone, self.now(), delay),
            _ => self.heed_limit(&error.failure, lane, &message.phone).await,
        }
    }

    async fn heed_limit(&self, failure: &Failure, lane: &Lane, phone: &Phone) {
        let now = self.now();
        match failure.upstream.as_ref().and_then(|fault| fault.code) {
            Some(NUMBER_HAD_ENOUGH) => {
                tracing::warn!(
                    number = %lane.number_id,
                    "the upstream's limit of people is reached: bulk waits for an hour"
                );
                lane.guards.limit_reached(now);
            }
            Some(PERSON_HAD_ENOUGH) => {
                let until = now.plus_ms(DAY_MS);
                lane.guards.cap(phone, until, now);
                let (number, store) = (&lane.number_id, self.store());
                if let Err(error) = store.cap_marketing(number, phone, until, now).await {
                    tracing::warn!(%number, %error, "marketing cap not recorded");
                    self.note_store_error(&error);
                }
            }
            _ => {}
        }
    }

    /// The upstream reported that a message failed which it had accepted.
    pub(crate) async fn heed_report(
        &self,
        id: MessageId,
        failure: Option<&Failure>,
    ) -> StoreResult<()> {
        let Some(failure) = failure else { return Ok(()) };
        let code = failure.upstream.as_ref().and_then(|fault| fault.code);
        if !matches!(code, Some(NUMBER_HAD_ENOUGH | PERSON_HAD_ENOUGH)) {
            return Ok(());
        }
        let Some((number_id, phone)) = self.store().way_of(id).await? else { return Ok(()) };
        if let Some(number) = self.directory().number(&number_id) {
            self.heed_limit(failure, &self.lane(&number), &phone).await;
        }
        Ok(())
    }

    /// What the upstream last said about how much of its limits is used.
    pub(crate) fn heed_usage(&self, account: &Account, number_id: &NumberId) {
        if let Some(percent) = self.upstream().usage(account)
            && let Some(lane) = self.lanes().known(number_id)
        {
            lane.used(percent);
        }
    }

    /// Whether a person may get marketing now, for a caller who waits.
    pub(crate) fn check_cap<M>(
        &self,
        acting: &Acting,
        lane: &Lane,
        phone: &Phone,
        content: &Content<M>,
    ) -> Result<(), Failure> {
        let now = self.now();
        let Some(until) = lane.guards.capped_until(phone, now) else { return Ok(()) };
        if self.traffic(acting, content) != Traffic::Marketing {
            return Ok(());
        }
        let left_s = until.0.saturating_sub(now.0) / 1_000 + 1;
        let message = "WhatsApp lets this person get no more marketing for now; try again later.";
        let failure = Failure::new(ErrorKind::RateLimited, message);
        Err(failure.retry_after_s(u32::try_from(left_s).unwrap_or(u32::MAX)))
    }

    /// A message starts for somebody: counts people who are written to outside of a window, where
    /// the number has a limit of them.
    pub(crate) fn note_recipient(
        &self,
        lane: &Lane,
        phone: &Phone,
        last_inbound_at: Option<Timestamp>,
    ) {
        let now = self.now();
        if lane.guards.counts_people()
            && !matches!(Window::at(now, last_inbound_at), Window::Open(_))
        {
            lane.guards.approached(phone, now);
        }
    }

    /// [`Engine::note_recipient`] for a queued message, whose person is looked up only if need be.
    pub(crate) async fn note_approach(&self, lane: &Lane, waiting: &WaitingMessage) {
        if !lane.guards.counts_people() {
            return;
        }
        let (org_id, phone) = (&waiting.org_id, &waiting.phone);
        match self.store().recipient_by_phone(org_id, phone, &lane.number_id).await {
            Ok(recipient) => self.note_recipient(lane, phone, recipient.last_inbound_at),
            Err(error) => tracing::warn!(number = %lane.number_id, %error, "people of the day"),
        }
    }

    /// Counts the people who were written to before the start, once a number has a limit of them.
    pub(crate) async fn remember_approached(&self, lane: &Lane) {
        if !lane.guards.must_load() {
            return;
        }
        let since = self.now().plus_ms(-DAY_MS);
        match self.store().approached(&lane.number_id, since, MAX_LOOKED_THROUGH).await {
            Ok(people) => {
                for (phone, at) in people {
                    lane.guards.approached(&phone, at);
                }
            }
            Err(error) => {
                tracing::warn!(number = %lane.number_id, %error, "people of the day");
                self.note_store_error(&error);
            }
        }
    }

    /// Reads the caps that were recorded before the start.
    pub(crate) async fn remember_caps(&self) {
        let now = self.now();
        let caps: Vec<(NumberId, Phone, Timestamp)> =
            match self.store().marketing_caps(now, MAX_CAPS).await {
                Ok(caps) => caps,
                Err(error) => {
                    tracing::warn!(%error, "marketing caps");
                    return self.note_store_error(&error);
                }
            };
        for (number_id, phone, until) in caps {
            if let Some(number) = self.directory().number(&number_id) {
                self.lane(&number).guards.cap(&phone, until, now);
            }
        }
    }

    /// Learns the messaging limits of numbers from the upstream, soon after the start and then again
    /// and again; operators' own settings go before.
    pub(crate) async fn learn_limits(self, cancel: CancellationToken) {
        let learning = async {
            let mut pause = FIRST_LEARNT_AFTER;
            loop {
                tokio::time::sleep(pause).await;
                self.learn_limits_once().await;
                pause = LEARNT_EVERY;
            }
        };
        cancel.run_until_cancelled(learning).await;
    }

    async fn learn_limits_once(&self) {
        for number in self.directory().all_numbers() {
            if number.daily_limit.is_some() {
                continue;
            }
            match caught(self.number_info(&number.id)).await {
                Some(Ok(info)) => self.set_daily_limit(&number, info.people_a_day),
                Some(Err(error)) => tracing::debug!(number = %number.id, %error, "messaging limit"),
                None => tracing::error!(number = %number.id, "messaging limit: {BUG}"),
            }
        }
    }

    fn set_daily_limit(&self, number: &Number, limit: Option<u32>) {
        self.lane(number).guards.set_daily_limit(limit);
    }
}
