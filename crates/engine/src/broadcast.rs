//! Broadcasts: one template to every customer of an organisation. Accepted as a whole, sent by the
//! number's lane, and answered when every customer has an outcome or the time is up. Statuses of
//! those whose outcome is unknown are waited for as long as a single message's is; who is put off
//! beyond that time is not waited for, nor is anybody while the number's bulk is held back for longer.

use std::time::Duration;

use uuid::Uuid;
use waypost_domain::command::{Broadcast, BroadcastOutcome};
use waypost_domain::directory::BroadcastAudience;
use waypost_domain::message::{BroadcastRecord, BroadcastState, Message};
use waypost_domain::place::Place;
use waypost_domain::unknown::UnknownPolicy;
use waypost_domain::{BroadcastId, Content, Failure, OrgId, Timestamp};

use crate::admission::Acting;
use crate::countdown::Countdown;
use crate::idempotency::in_progress;
use crate::outcomes::UNKNOWN_WAIT;
use crate::ports::{Accepted, Audience, BroadcastMember, IdempotentTarget, MessageFilter, Page};
use crate::send::{delivery_of, new_message_id};
use crate::{Answer, Ask, Engine};

/// Members added, and messages read back, in one step.
const CHUNK: u32 = 1_000;

impl Engine {
    /// Accepts a broadcast and waits at most `wait_s` seconds for its outcomes and, in that time,
    /// five seconds more for statuses of unknown ones; with 0, answers as soon as it is accepted,
    /// and with no outcomes. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// Where nothing was accepted.
    pub async fn broadcast(
        &self,
        ask: Ask<Broadcast>,
        wait_s: u32,
    ) -> Result<Answer<BroadcastOutcome>, Failure> {
        let engine = self.clone();
        self.detached(async move { engine.broadcast_now(ask, wait_s).await }).await
    }

    async fn broadcast_now(
        &self,
        ask: Ask<Broadcast>,
        wait_s: u32,
    ) -> Result<Answer<BroadcastOutcome>, Failure> {
        let (ask, command) = ask.part();
        let Broadcast { org_id, user_id, number, session_id, template } = command;
        let org = self.org_of(&ask.caller, &org_id)?;
        let conflict = match self.find_broadcast_replay(&ask, &org.id).await {
            Ok(Some(id)) => return self.replayed_broadcast(&ask, &org.id, id, wait_s).await,
            Ok(None) => None,
            Err(failure) => Some(ask.put_off(failure)?),
        };
        let acting = self.acting(&ask.caller, &org_id, user_id.as_ref(), number.as_deref())?;
        let name = template.name.clone();
        let mut content = Content::Template(template);
        let language = acting.default_language(false);
        self.check_content(&acting, &mut content, None, language).await?;
        conflict.map_or(Ok(()), Err)?;
        let content = self.keep_media(&acting, content).await?;
        self.place_ahead(&acting, &content).await?;
        let id = BroadcastId(Uuid::now_v7());
        // Every member has a phone of its own; a model is never sent.
        let phone = acting.number.display_phone.clone();
        let mut model = Message {
            user_id,
            session_id,
            broadcast_id: Some(id),
            ..self.fresh_message(&ask, &acting, phone, content)
        };
        self.settle_unknown_policy(&acting, &mut model);
        if wait_s > 0 {
            // Whose caller waits is told of an unknown outcome, and not sent again by itself.
            model.options.unknown_policy = Some(UnknownPolicy::NeverResend);
        }
        let record = BroadcastRecord {
            id,
            org_id: acting.org.id.clone(),
            number_id: acting.number.id.clone(),
            template: name,
            audience: 0,
            created_at: model.created_at,
            state: BroadcastState::Running,
        };
        let claim = ask.claim(&acting.org.id);
        match self.store().prepare_broadcast(record, model, claim).await? {
            Accepted::New => {}
            Accepted::Replay { fingerprint, target } => {
                ask.check_fingerprint(fingerprint)?;
                let IdempotentTarget::Broadcast(id) = target else { return Err(in_progress()) };
                return self.replayed_broadcast(&ask, &acting.org.id, id, wait_s).await;
            }
        }
        let deadline = self.now().plus_ms(i64::from(wait_s) * 1_000);
        let mut countdown = self.start_broadcast(&acting, id, deadline).await?;
        if wait_s > 0 {
            countdown.finished(Duration::from_secs(u64::from(wait_s)), UNKNOWN_WAIT).await;
        }
        drop(countdown);
        Ok(Answer::new(self.outcome(&acting.org.id, id, wait_s).await?))
    }

    /// Uploads a header's file once, before anybody is messaged, so that a refusal is told at
    /// once. An upstream that cannot be reached now is no reason to refuse.
    async fn place_ahead(&self, acting: &Acting, content: &Content) -> Result<(), Failure> {
        if content.media().is_empty() {
            return Ok(());
        }
        let account = self.account(&acting.number)?;
        match self.media_library().place(&acting.org.id, &acting.number, &account, content).await {
            Err(error) if error.failure.kind.blame() == waypost_domain::failure::Blame::Caller => {
                Err(error.failure)
            }
            _ => Ok(()),
        }
    }

    /// Adds the audience and makes it due. Whatever fails before that takes the broadcast back.
    async fn start_broadcast(
        &self,
        acting: &Acting,
        id: BroadcastId,
        deadline: Timestamp,
    ) -> Result<Countdown, Failure> {
        let started = match self.add_audience(acting, id).await {
            Ok(members) => {
                let number_id = acting.number.id.clone();
                let countdown = self.countdowns().begin(id, number_id, members, deadline);
                let started = self.store().start_broadcast(id, self.now()).await;
                self.count().messages_accepted.add_many(started.as_ref().map_or(0, |()| members));
                started.map(|()| countdown).map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        if started.is_err()
            && let Err(error) = self.store().discard_broadcast(id).await
        {
            // The next start removes it.
            tracing::warn!(broadcast = %id, %error, "a broadcast could not be taken back");
        }
        let countdown = started?;
        self.lane(&acting.number).queued(Place::BROADCAST);
        Ok(countdown)
    }

    /// Tells how many members there are.
    async fn add_audience(&self, acting: &Acting, id: BroadcastId) -> Result<usize, Failure> {
        let org_id = &acting.org.id;
        let audience = match (acting.org.broadcast_audience, acting.org.strict_opt_in) {
            (BroadcastAudience::OptedIn, _) => Audience::OptedIn,
            (BroadcastAudience::All, true) => Audience::OptedInOrWrote,
            (BroadcastAudience::All, false) => Audience::All,
        };
        let mut after = None;
        let mut members = 0;
        loop {
            let page = Page { after, limit: CHUNK };
            let people = self.store().audience(org_id, audience, page).await?;
            let chunk: Vec<BroadcastMember> = people
                .data
                .into_iter()
                .map(|(customer_id, phone)| BroadcastMember {
                    message_id: new_message_id(),
                    customer_id,
                    phone,
                })
                .collect();
            members += chunk.len();
            if !chunk.is_empty() {
                self.store().add_broadcast_members(id, chunk).await?;
            }
            after = people.next;
            if after.is_none() {
                return Ok(members);
            }
        }
    }

    /// What the first request with the same key was answered, once it is.
    async fn replayed_broadcast(
        &self,
        ask: &Ask<()>,
        org_id: &OrgId,
        id: BroadcastId,
        wait_s: u32,
    ) -> Result<Answer<BroadcastOutcome>, Failure> {
        let answered = self.countdowns().answered(id, ask.idempotency_wait).await;
        // One in preparation is not shown yet, and may still be taken back.
        if !answered || self.store().broadcast(org_id, id).await?.is_none() {
            return Err(in_progress());
        }
        Ok(Answer::replay(self.outcome(org_id, id, wait_s).await?))
    }

    /// One element for each member, in the order of registration; none where nobody waits for them.
    async fn outcome(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
        wait_s: u32,
    ) -> Result<BroadcastOutcome, Failure> {
        if wait_s == 0 {
            return Ok(BroadcastOutcome { id, deliveries: Vec::new() });
        }
        let filter = MessageFilter { broadcast_id: Some(id), ..MessageFilter::default() };
        let mut deliveries = Vec::new();
        let mut after = None;
        loop {
            let page = Page { after, limit: CHUNK };
            let part = self.store().messages(org_id, &filter, page).await?;
            deliveries.extend(part.data.iter().map(delivery_of));
            after = part.next;
            if after.is_none() {
                return Ok(BroadcastOutcome { id, deliveries });
            }
        }
    }

    /// Pauses, resumes or cancels a broadcast. `false` where it does not exist or is cancelled. Runs to
    /// its end even if the caller goes away.
    ///
    /// # Errors
    /// What the store says.
    pub async fn set_broadcast_state(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
        state: BroadcastState,
    ) -> Result<bool, Failure> {
        let (engine, org_id) = (self.clone(), org_id.clone());
        let change = async move { engine.set_broadcast_state_now(&org_id, id, state).await };
        self.detached(change).await
    }

    pub(crate) async fn set_broadcast_state_now(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
        state: BroadcastState,
    ) -> Result<bool, Failure> {
        let Some(progress) = self.store().broadcast(org_id, id).await? else { return Ok(false) };
        let changed = self.store().set_broadcast_state(org_id, id, state, self.now()).await?;
        if state == BroadcastState::Cancelled {
            self.countdowns().end(id);
        }
        self.lanes().wake(&progress.record.number_id);
        Ok(changed)
    }
}
